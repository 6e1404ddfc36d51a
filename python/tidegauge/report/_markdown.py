"""The report as Markdown, for a pull request or a job summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ._text import ABSENT, interval, mapping, number, shorten
from ._view import Feature, View, build
from ._words import LETTER, MEANING, WORD, Name, Quote, Sentence, findings, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIMIT = 64_000
"""Most bytes of a rendering; a comment on a pull request holds 65,536 characters."""

_SIGN = {
    "error": "⛔",
    "fail": "❌",
    "warn": "⚠️",
    "waived": "☑️",
    "inconclusive": "❔",
    "ok": "✅",
    "not_evaluated": "➖",
}
_MOST_WINDOWS = 12


def render_markdown(record: Mapping[str, Any]) -> str:
    """Render a record as Markdown of at most 64,000 bytes.

    Parameters
    ----------
    record : mapping
        Content of report.json.

    Returns
    -------
    str
        GitHub-flavoured Markdown. Strings from the data stand in code spans, so they make no
        links, mentions, images or markup. What does not fit is left out and counted.

    Examples
    --------
    >>> print(render_markdown({"result": {"verdict": "ok", "title": "nightly"}}).splitlines()[0])
    ## ✅ OK: `nightly`
    """
    view = build(record)
    sign = _SIGN.get(view.verdict, "➖")
    parts = [f"## {sign} {WORD.get(view.verdict, 'Not evaluated')}: {code(view.title, 120)}\n"]
    if view.model and view.model != view.title:
        parts.append(f"Model {code(view.model, 120)}.\n")
    parts.append("".join(f"- {_inline(sentence)}\n" for sentence in summary(view)))
    tail = _tail(record, view)
    room = LIMIT - len("".join([*parts, tail]).encode()) - 400
    blocks_of = (("Findings", _findings(view)), ("Rows as a whole", _joint(view)), ("Columns by window", _tables(view)))
    for heading, blocks in blocks_of:
        text, left = "", 0
        for block in blocks:
            if left or len((text + block).encode()) > room:
                left += 1
            else:
                text += block
        if text:
            note = f"\n{left:,} more in `report.json`.\n" if left else ""
            parts.append(f"### {heading}\n\n{text}{note}")
            room -= len(parts[-1].encode())
    return "\n".join([*parts, tail])


def code(text: str, limit: int = 60, *, table: bool = False) -> str:
    """Code span around foreign text; longer fences than any run of backticks inside."""
    shown = shorten(text, limit)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown.replace('|', chr(92) + '|') if table else shown}{pad}{fence}"


def _inline(sentence: Sentence) -> str:
    return "".join(
        code(part.text, 300 if isinstance(part, Quote) else 120) if isinstance(part, Name) else part
        for part in sentence
    )


def _findings(view: View) -> Iterator[str]:
    entries, unsure = findings(view)
    for i, (_, sentence) in enumerate(entries[:20], 1):
        yield f"{i}. {_inline(sentence)}\n"
    if len(entries) > 20:
        yield f"\n{len(entries) - 20:,} more in `report.json`.\n"
    if unsure is not None:
        yield f"\n{_inline(unsure)}\n"


def _joint(view: View) -> Iterator[str]:
    shown = {window.key for window in view.windows[-_MOST_WINDOWS:]}
    for label, row in view.joint(shown):
        value = f"{number(row.get('value'))} ({interval(row.get('ci_low'), row.get('ci_high'))})"
        p = "" if row.get("pvalue") is None else f", p {number(row.get('pvalue'), 2)}"
        sign = "" if row.get("verdict") is None else f"{_SIGN.get(str(row.get('verdict')), '➖')} "
        told = code(str(row.get("message") or ""), 300)
        yield f"- {sign}{code(str(row.get('statistic')))} {code(label)}: {value}{p}; {told}\n"


def _tables(view: View) -> Iterator[str]:
    windows = view.windows[-_MOST_WINDOWS:]
    if not view.features:
        return
    note = f" (last {len(windows)} of {len(view.windows)} windows)" if len(windows) < len(view.windows) else ""
    yield (
        f"Verdict and value of the deciding statistic{note}. "
        + "; ".join(f"**{LETTER[v]}** {MEANING[v]}" for v in ("fail", "warn", "inconclusive"))
        + ".\n"
    )
    for baseline in view.baselines:
        labels = [window.label for window in windows]
        yield (
            f"\nAgainst {code(baseline)}\n\n| Column | {' | '.join(labels)} | Worst interval |\n"
            f"|---|{'---|' * len(labels)}---|\n"
        )
        for feature in view.features:
            yield _table_row(feature, baseline, [window.key for window in windows])


def _table_row(feature: Feature, baseline: str, keys: list[tuple[str | None, str | None]]) -> str:
    cells = []
    for key in keys:
        j = feature.cells.get(baseline, {}).get(key)
        if j is None:
            cells.append(ABSENT)
            continue
        value = number(j.lead.get("value"), 3) if j.lead else ""
        letter = LETTER.get(j.verdict, "n/a")
        cells.append(f"**{letter}** {value}" if j.severity >= 3 else f"{letter} {value}".strip())
    worst = feature.worst(baseline)
    lead = mapping(worst.lead if worst else None)
    cells.append(interval(lead.get("ci_low"), lead.get("ci_high")))
    return f"| {code(feature.name, table=True)} | {' | '.join(cells)} |\n"


def _tail(record: Mapping[str, Any], view: View) -> str:
    version = mapping(mapping(record.get("result")).get("engine")).get("version")
    lines = [f"{view.row_count:,} rows in all"]
    if version:
        lines.append(f"tidegauge {code(str(version), 40)}")
    if record.get("result_digest"):
        lines.append(f"result {code(str(record['result_digest']), 80)}")
    return "---\n" + "; ".join(lines) + ".\n"
