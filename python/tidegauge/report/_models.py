"""The comparison of two models as text: for a terminal, and for a pull request."""

from __future__ import annotations

from typing import Any

from ._text import count, number, percent, visible

# `tidegauge.ModelComparison` and its rows; renderings do not import what computes.
ModelComparison = Any
ModelDifference = Any

#: Bytes of a comment that code hosts take.
MOST_BYTES = 60_000
#: Segments shown.
MOST_SEGMENTS = 20

_HEAD = {
    "allow": "ALLOW  every margin holds",
    "block": "BLOCK  a margin is broken",
    "inconclusive": "INCONCLUSIVE  a margin can neither be shown to hold nor to be broken",
}


def _head(found: ModelComparison) -> str:
    if all(row.max_drop is None for row in found.rows):
        return "COMPARED  no margin was given, so nothing is judged"
    head = _HEAD[found.decision]
    if found.n_only_first:
        said = found.n_compared + found.n_only_first
        told = f"the second model predicts nothing in {found.n_only_first:,} of {said:,} rows that the first predicts"
        told += f" ({percent(found.n_only_first / said)})"
        return f"{head}; {told}" if found.decision == "block" else f"INCONCLUSIVE  {told}"
    open_ = sum(row.decision == "inconclusive" for row in found.rows if row.segment_by is not None)
    if found.decision == "allow" and open_:
        return f"{head} in all rows; {count(open_, 'row')} of segments can tell neither"
    return head


def text(found: ModelComparison) -> str:
    """Lines for a terminal."""
    whole, segments = _split(found)
    lines = [_head(found), "", f"{visible(found.b)} less {visible(found.a)}, {_rows(found)}", ""]
    lines += _aligned([_HEADER, *(_cells(row) for row in whole)])
    if segments:
        lines += ["", _told(segments), *_aligned([_HEADER, *(_cells(row) for row in segments[:MOST_SEGMENTS])])]
    lines += [*([""] if found.notes else []), *(visible(note) for note in found.notes)]
    return "\n".join(lines)


def markdown(found: ModelComparison) -> str:
    """Text for a pull request, at most 64 KB."""
    whole, segments = _split(found)
    head, _, words = _head(found).partition("  ")
    parts = [f"### {head}: {words}\n\n{_escaped(found.b)} less {_escaped(found.a)}, {_rows(found)}.\n"]
    parts.append(_table(whole))
    if segments:
        parts.append(f"\n{_told(segments)}\n\n{_table(segments[:MOST_SEGMENTS])}")
    if found.notes:
        parts.append("\n" + "".join(f"- {_escaped(note)}\n" for note in found.notes))
    whole_text = "".join(parts)
    if len(whole_text.encode()) <= MOST_BYTES:
        return whole_text
    kept = whole_text.encode()[:MOST_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\nCut; the JSON has all.\n"


_HEADER = ("metric", "where", "first", "second", "difference", "interval", "margin", "rows", "decision")


def _split(found: ModelComparison) -> tuple[list[ModelDifference], list[ModelDifference]]:
    whole = [row for row in found.rows if row.segment_by is None]
    return whole, [row for row in found.rows if row.segment_by is not None]


def _rows(found: ModelComparison) -> str:
    left = []
    if found.n_unlabelled:
        left.append(f"{found.n_unlabelled:,} without a label")
    if found.n_unpredicted:
        left.append(f"{found.n_unpredicted:,} not predicted by both")
    return f"{found.n_compared:,} of {found.n_rows:,} rows" + (f" ({', '.join(left)})" if left else "")


def _told(segments: list[ModelDifference]) -> str:
    blocked = sum(row.decision == "block" for row in segments)
    told = f"Segments, worst first: {count(blocked, 'row')} of {len(segments):,} beyond a margin"
    return told + (f"; {MOST_SEGMENTS} shown" if len(segments) > MOST_SEGMENTS else "")


def _cells(row: ModelDifference) -> tuple[str, ...]:
    where = "all rows" if row.segment_by is None else f"{visible(row.segment_by)} = {visible(str(row.segment_value))}"
    if row.message is not None:
        return (row.metric, where, "-", "-", "-", visible(row.message), "-", f"{row.n:,}", row.decision or "-")
    margin = "-" if row.max_drop is None else number(row.max_drop)
    interval = f"{number(row.ci_low)} to {number(row.ci_high)}"
    values = (number(row.a), number(row.b), number(row.difference))
    return (row.metric, where, *values, interval, margin, f"{row.n:,}", row.decision or "-")


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _table(rows: list[ModelDifference]) -> str:
    lines = [f"| {' | '.join(_HEADER)} |", f"|{' --- |' * len(_HEADER)}"]
    lines += [f"| {' | '.join(map(_escaped, _cells(row)))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    """Names from the data stay text: no table, link, mention or tag comes out of them."""
    return "".join(f"&#{ord(c)};" if c in "\\`*_{}[]<>|#@!" else c for c in visible(value))
