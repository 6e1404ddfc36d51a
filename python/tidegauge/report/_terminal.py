"""The report on a terminal."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from ._text import columns_wide, interval, mapping, number, shorten, visible
from ._view import build, over_limit
from ._words import WORD, Name, Quote, Sentence, findings, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODE = {"error": "35", "fail": "31", "warn": "33", "waived": "34", "inconclusive": "36", "ok": "32"}
_MOST = 10


def render_text(record: Mapping[str, Any], width: int | None = None, color: bool = False) -> str:
    r"""Render a record as text for a terminal.

    Parameters
    ----------
    record : mapping
        Content of report.json.
    width : int, optional
        Columns to fill, at least 40; those of the terminal by default.
    color : bool
        Whether to mark verdicts with ANSI colours. The words stand either way.

    Returns
    -------
    str
        Text that ends in a newline. Strings from the data cannot move the cursor: control
        characters are spelled out.

    Examples
    --------
    >>> print(render_text({"result": {"verdict": "ok", "title": "nightly"}}, width=60))
    OK  nightly
    <BLANKLINE>
    No column was judged, so nothing can be said about drift.
    Nothing was found and nothing was ruled out.
    See the limitations and the data section for what was read.
    <BLANKLINE>
    """
    view = build(record)
    room = max(40, shutil.get_terminal_size((100, 24)).columns if width is None else width)

    def mark(verdict: str, text: str) -> str:
        return f"\x1b[1;{_CODE[verdict]}m{text}\x1b[0m" if color and verdict in _CODE else text

    def wrap(text: str, indent: str = "") -> list[str]:
        return textwrap.wrap(text, room, subsequent_indent=indent, break_on_hyphens=False) or [""]

    word = WORD.get(view.verdict, view.verdict).upper()
    lines = [f"{mark(view.verdict, visible(word))}  {shorten(view.title, room - len(word) - 2)}"]
    if view.model and view.model != view.title:
        lines.append(f"model {shorten(view.model, room - 6)}")
    lines.append("")
    for sentence in summary(view):
        lines += wrap(_plain(sentence))
    entries, unsure = findings(view)
    if entries or unsure:
        lines += ["", "Findings"]
        for i, (verdict, sentence) in enumerate(entries[:_MOST], 1):
            told = wrap(f"{i:>2}. {WORD.get(verdict, verdict)} {_plain(sentence)}", "    ")
            word = WORD.get(verdict, verdict)
            lines += [told[0].replace(f". {word} ", f". {mark(verdict, word)} ", 1), *told[1:]]
        if len(entries) > _MOST:
            lines.append(f"    and {len(entries) - _MOST} more in report.json")
        if unsure is not None:
            lines += wrap(f"    {_plain(unsure)}", "    ")
    whole = view.joint()
    if whole:
        lines += ["", "Rows as a whole"]
        for label, row in whole[-_MOST:]:
            p = "" if row.get("pvalue") is None else f", p {number(row.get('pvalue'), 2)}"
            verdict = "" if row.get("verdict") is None else f", {WORD.get(str(row.get('verdict')), '')}"
            line = f"{shorten(str(row.get('statistic')))} {label}: {number(row.get('value'))}{p}{verdict}"
            lines += wrap(f"  {line}; {visible(str(row.get('message') or ''))}", "    ")
        if len(whole) > _MOST:
            lines.append(f"    and {len(whole) - _MOST} more before")
    table = []
    for feature in view.features:
        j = feature.worst(view.main)
        if j is not None:
            lead = j.lead or {}
            ratio = over_limit(lead)
            table.append(
                (
                    j.verdict,
                    [
                        shorten(feature.name, max(12, room - 68)),
                        WORD.get(j.verdict, j.verdict),
                        str(lead.get("statistic") or ""),
                        number(lead.get("value")),
                        interval(lead.get("ci_low"), lead.get("ci_high")),
                        "" if ratio is None else f"{ratio:.2g}x" if ratio < 99.5 else f"{ratio:,.0f}x",
                    ],
                )
            )
    if table:
        head = ["Column", "Verdict", "Statistic", "Value", "Interval", "Limit"]
        sizes = [max(columns_wide(row[i]) for row in (head, *(cells for _, cells in table))) for i in range(6)]
        lines += ["", _line(head, sizes, room)]
        for verdict, cells in table[:60]:
            line = _line(cells, sizes, room)
            lines.append(line.replace(f"  {cells[1]}", f"  {mark(verdict, cells[1])}", 1))
        if len(table) > 60:
            lines.append(f"and {len(table) - 60} more in report.json")
    digest = record.get("result_digest")
    if digest:
        lines += ["", f"result {shorten(str(digest), room - 7)}"]
    hints = [str(text) for text in mapping(record.get("result")).get("limitations") or ()]
    for text in hints[:5]:
        lines += wrap(f"note: {visible(text)}", "      ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _line(cells: list[str], sizes: list[int], room: int) -> str:
    """Lay cells out in columns; what does not fit into `room` is left out from the right."""
    text, used = "", 0
    for i, (cell, size) in enumerate(zip(cells, sizes, strict=True)):
        gap = 2 if i else 0
        if used + gap + size > room and i > 1:
            break
        text += " " * gap + cell + " " * (size - columns_wide(cell))
        used += gap + size
    return text


def _plain(sentence: Sentence) -> str:
    return "".join(
        shorten(part.text, 300 if isinstance(part, Quote) else 80) if isinstance(part, Name) else visible(part)
        for part in sentence
    )
