"""The report as one self-contained page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from . import _quality, charts
from ._text import count, interval, mapping, number, objects, percent, sequence, shorten, to_float, visible
from ._view import BESIDE, Judgement, Row, View, build, over_limit, segment_label, window_key
from ._words import (
    EXACTNESS,
    GLOSSARY,
    LETTER,
    MEANING,
    WORD,
    Name,
    Quote,
    Sentence,
    against,
    finding,
    side_by_side,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# Counts beyond which a page says "n of m" and points to report.json; together they keep a page of
# 50 columns in 7 windows under 300 kB and one of 1,000 columns under 2.5 MB.
MOST_FINDINGS = 10
MOST_WINDOWS = 24
MOST_CHARTS = 50
MOST_ROWS = 160
MOST_SEGMENTS = 60
MOST_FILES = 50
MOST_TEXT = 20_000


def render_html(record: Mapping[str, Any]) -> str:
    """Render a record as one HTML page that needs nothing else.

    Parameters
    ----------
    record : mapping
        Content of report.json; a section that is missing is left out of the page.

    Returns
    -------
    str
        A complete document without script, link or outside resource, held to that by its own
        content security policy. Equal records give equal bytes. Every string of the record is
        escaped, and its control characters are spelled out.

    Examples
    --------
    >>> page = render_html({"result": {"verdict": "ok", "title": "<nightly>"}})
    >>> "&lt;nightly&gt;" in page and "<nightly>" not in page
    True
    """
    view = build(record)
    result = mapping(record.get("result"))
    style = _style(record.get("result_digest"))
    windows = view.windows[-MOST_WINDOWS:]
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            record=record,
            result=result,
            view=view,
            style=Markup(style),
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            windows=windows,
            sentences=summary(view),
            findings=view.findings(),
            drawings=_drawings(result, view),
            quality=_quality.build(view, windows),
            rows=_row_table(view),
            columns=_columns(result),
            unread=[row for row in view.rows if row.get("verdict") == "error" and row.get("statistic") != "verdict"],
            how=_how(view),
            configuration=_json(result.get("configuration")),
            written=_cut(str(mapping(record.get("inputs")).get("configuration_as_written") or "")),
            engine=mapping(result.get("engine")),
            envelope=mapping(record.get("envelope")),
            inputs=_inputs(record, result),
            limitations=[str(text) for text in sequence(result.get("limitations"))],
            most={"findings": MOST_FINDINGS, "segments": MOST_SEGMENTS, "files": MOST_FILES},
        )
    )
    return str(page)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "name": _name,
        "number": number,
        "percent": percent,
        "sentence": _sentence,
        "wrapped": lambda text: visible(text, newlines=True),
    }
    environment.globals |= {
        "LETTER": LETTER,
        "MEANING": MEANING,
        "WORD": WORD,
        "against": against,
        "cell": _heat_cell,
        "count": count,
        "finding": finding,
        "interval": interval,
        "legend": charts.legend,
        "side_by_side": side_by_side,
    }
    return environment


def _source(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    """Spell out control characters in whatever a template prints."""
    if value is None:
        return ""
    return visible(value, newlines=True) if type(value) is str else value


def _style(digest: object) -> str:
    """Style sheet; the page footer of a print carries the digest where the browser can print one."""
    # Anything but a digest could break out of the CSS string.
    shown = digest if isinstance(digest, str) and re.fullmatch(r"[0-9a-z]{1,8}:[0-9a-f]{8,128}", digest) else ""
    return _source("report.css").replace("@DIGEST@", shown[:35]).strip()


def _name(text: object, limit: int = 48) -> Markup:
    """Name of a column: shortened, and isolated so that right-to-left text moves nothing else."""
    return Markup("<bdi>{}</bdi>").format(shorten(str(text), limit))


def _sentence(sentence: Sentence) -> Markup:
    return Markup("").join(
        _name(part.text, 400)
        if isinstance(part, Quote)
        else Markup("<b>{}</b>").format(_name(part.text, 120))
        if isinstance(part, Name)
        else escape(part)
        for part in sentence
    )


def _heat_cell(judgement: Judgement | None) -> Markup:
    """Cell of the heatmap: verdict letter and value, in a class for its colour."""
    if judgement is None:
        return Markup("<td>–</td>")
    lead = judgement.lead or {}
    statistic, value = str(lead.get("statistic") or ""), lead.get("value")
    style = judgement.verdict if judgement.verdict in WORD else "not_evaluated"
    strong = " strong" if style == "fail" and (judgement.ratio or 0) >= 3 else ""
    by = {"missing_rate": "missing", "new_category_mass": "new values"}.get(statistic, statistic)
    named = statistic in BESIDE  # any other cell is read by the distribution of its column
    return Markup('<td class="{}{}"><b>{}</b>{}{}</td>').format(
        style,
        strong,
        LETTER[style],
        "" if value is None else f" {_brief(value)}",
        Markup("<small>{}</small>").format(shorten(by, 16)) if named else "",
    )


def _brief(value: object) -> str:
    """Three decimals without the leading zero, so that months fit side by side."""
    x = to_float(value)
    if x is None or not abs(x) < 10:
        return number(value, 3)
    return f"{x:.3f}".replace("0.", ".", 1) if abs(x) < 1 else f"{x:.2f}"


def _drawings(result: Mapping[str, Any], view: View) -> dict[str, Any]:
    """Charts of the worst window of each feature, in the order of the findings."""
    held = result.get("histograms")
    entries = objects(held.get("features") if isinstance(held, Mapping) else held)
    by_name = {str(entry.get("feature")): entry for entry in entries}
    drawn: list[tuple[Any, ...]] = []
    for i, feature in enumerate(view.features):
        entry = by_name.get(feature.name)
        worst = next(filter(None, map(feature.worst, view.baselines)), None)
        if entry is None or worst is None:
            continue
        if len(drawn) == MOST_CHARTS:
            break
        histogram = charts.histogram(entry, worst.window.key)
        if histogram is not None:
            title = f"{shorten(feature.name)}: reference and current rows, {worst.window.label}"
            drawn.append((feature, worst, histogram, charts.svg(histogram, ident=f"h{i}", title=title)))
    return {"drawn": drawn, "total": len(entries)}


def _row_table(view: View) -> dict[str, Any]:
    labels = {window.key: window.label for window in view.windows}
    # Rows of the same verdict stay together; what is fine comes last.
    shown = view.deciding[:MOST_ROWS]
    return {
        "shown": [
            {
                "row": row,
                "segment": segment_label(row),
                "window": labels.get(window_key(row), "all rows"),
                "verdict": str(row.get("verdict") or "not_evaluated"),
                "ratio": over_limit(row),
            }
            for row in shown
        ],
        "deciding": len(view.deciding),
        "all": view.row_count,
    }


def _columns(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of both sides, joined by name in the order of the reference."""
    sides = [
        {str(c.get("name")): c for c in objects(mapping(result.get(side)).get("columns"))}
        for side in ("reference", "current")
    ]
    empty: Mapping[str, Any] = {}
    return [
        {"name": name, "reference": sides[0].get(name, empty), "current": sides[1].get(name, empty)}
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]


def _how(view: View) -> dict[str, Any]:
    """Definitions, exactness, limits and variance methods that the rows used."""
    definitions: dict[tuple[str, str], Counter[str]] = {}
    for row in view.rows:
        statistic = str(row.get("statistic") or "")
        if statistic not in ("", "verdict"):
            key = (statistic, str(row.get("definition") or ""))
            definitions.setdefault(key, Counter())[str(row.get("exactness") or "")] += 1
    deciding = {str(row.get("statistic")) for row in view.deciding}
    return {
        "definitions": [
            {
                "statistic": statistic,
                "definition": definition,
                "rows": found.total(),
                "exactness": ", ".join(word for word in EXACTNESS if found[word]),
                "decides": statistic in deciding,
            }
            for (statistic, definition), found in sorted(definitions.items())
        ],
        "limits": _counted(
            ((row.get("statistic"), row.get("warn_at"), row.get("fail_at"), row.get("threshold_source")))
            for row in view.deciding
        ),
        "variance": _counted((row.get("variance"),) for row in view.deciding if row.get("variance") is not None),
        "exactness": [(word, meaning) for word, meaning in EXACTNESS.items() if _any(view.rows, "exactness", word)],
        "glossary": [(name, GLOSSARY[name]) for name in sorted({key[0] for key in definitions}) if name in GLOSSARY],
        "verdicts": [
            (v, LETTER[v], MEANING[v]) for v in ("fail", "warn", "ok", "inconclusive", "error", "not_evaluated")
        ],
    }


def _any(rows: list[Row], key: str, value: str) -> bool:
    return any(row.get(key) == value for row in rows)


def _counted(keys: Iterable[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], int]]:
    found: dict[str, tuple[tuple[Any, ...], int]] = {}
    for key in keys:
        text = json.dumps(key, default=str)
        found[text] = (key, found[text][1] + 1 if text in found else 1)
    return [found[text] for text in sorted(found)][:40]


def _inputs(record: Mapping[str, Any], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    inputs = mapping(record.get("inputs"))
    sides = []
    for side in ("reference", "current"):
        source, profile = mapping(inputs.get(side)), mapping(result.get(side))
        listed = objects(source.get("files"))
        sides.append(
            {
                "side": side,
                "rows": profile.get("rows"),
                "digest": profile.get("profile_digest"),
                "paths": [str(path) for path in sequence(source.get("paths"))][:MOST_FILES],
                "files": listed[:MOST_FILES],
                "total": len(listed),
                "bytes": sum(n for f in listed if isinstance(n := f.get("bytes"), int)),
            }
        )
    return sides


def _json(value: object) -> str:
    return _cut(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)) if value else ""


def _cut(text: str) -> str:
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n... {len(text) - MOST_TEXT:,} more characters in report.json"
