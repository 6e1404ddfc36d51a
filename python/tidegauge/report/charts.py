"""Small inline SVG charts: no script, no style attribute, no outside resource.

Colours come from the page's style sheet through classes, so one chart serves light, dark and
print. Every chart has a title and a description, and the page puts a table of the same numbers
beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from ._text import number, objects, percent, sequence, shorten, to_float, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SPECIAL = {
    "missing": "missing",
    "nan": "NaN",
    "neg_inf": "-inf",
    "pos_inf": "+inf",
    "new": "new",
    "other": "other",
}
"""Kinds of cell that are drawn apart, with the label under the bar."""

WIDTH = 340
_PLOT = 96
_MOST_VALUES = 12


@dataclass(frozen=True)
class Cell:
    """One cell of a histogram: its label and the two shares of rows."""

    label: str
    kind: str
    low: float | None
    high: float | None
    reference: int
    current: int
    reference_share: float
    current_share: float

    @property
    def special(self) -> bool:
        """Whether the cell is drawn apart from the values."""
        return self.kind in SPECIAL


@dataclass(frozen=True)
class Histogram:
    """Reference and current counts of one feature in one window."""

    cells: tuple[Cell, ...]
    numeric: bool
    reference_rows: int
    current_rows: int

    @property
    def largest_change(self) -> Cell | None:
        """The cell whose share changed most."""
        return max(self.cells, key=lambda c: abs(c.current_share - c.reference_share), default=None)


def histogram(entry: Mapping[str, Any], key: tuple[str | None, str | None]) -> Histogram | None:
    """Read the histogram of one feature and one window from the record.

    Parameters
    ----------
    entry : mapping
        One element of ``histograms.features``.
    key : pair of str or None
        ``window_start``, ``window_end``.

    Returns
    -------
    Histogram or None
        None when the record holds no counts for that window, or lists of unequal length.
    """
    cells = objects(entry.get("cells"))
    reference = _counts(entry.get("reference"))
    windows = objects(entry.get("windows"))
    current = next(
        (_counts(w.get("counts")) for w in windows if (w.get("window_start"), w.get("window_end")) == key), None
    )
    if not cells or reference is None or current is None or not len(cells) == len(reference) == len(current):
        return None
    n, m = sum(reference), sum(current)
    return Histogram(
        tuple(
            Cell(
                _cell_label(cell),
                str(cell.get("kind") or "value"),
                to_float(cell.get("low")),
                to_float(cell.get("high")),
                a,
                b,
                a / n if n else 0.0,
                b / m if m else 0.0,
            )
            for cell, a, b in zip(cells, reference, current, strict=True)
        ),
        entry.get("kind") != "categorical",
        n,
        m,
    )


def svg(drawn: Histogram, *, ident: str, title: str) -> Markup:
    """Draw a histogram: the reference as filled bars, the current data as outlines on top.

    Parameters
    ----------
    drawn : Histogram
        What to draw.
    ident : str
        Prefix of the element ids, unique in the page.
    title : str
        Accessible title; may hold any characters.

    Returns
    -------
    Markup
        An ``<svg>`` element with everything from outside escaped.
    """
    body, height = _columns(drawn) if drawn.numeric else _bars(drawn)
    return Markup(
        '<svg viewBox="0 0 {w} {h}" role="img" aria-labelledby="{i}t {i}d">'
        '<title id="{i}t">{title}</title><desc id="{i}d">{desc}</desc>{body}</svg>'
    ).format(w=WIDTH, h=height, i=ident, title=visible(title), desc=_describe(drawn), body=body)


def _describe(drawn: Histogram) -> str:
    text = f"Share of rows per cell; {drawn.reference_rows:,} reference and {drawn.current_rows:,} current rows."
    cell = drawn.largest_change
    if cell is None:
        return text
    moved = f"from {percent(cell.reference_share)} to {percent(cell.current_share)}"
    return f"{text} Largest change: {cell.label}, {moved}."


def _columns(drawn: Histogram) -> tuple[Markup, int]:
    """Upright bars: values in order on the left, special cells apart on the right."""
    values = [c for c in drawn.cells if not c.special]
    special = [c for c in drawn.cells if c.special and (c.reference or c.current)]
    slot = 42
    right = WIDTH - 2 - slot * len(special)
    span = right - 2 - (10 if special else 0)
    top = max((max(c.reference_share, c.current_share) for c in drawn.cells), default=0.0)
    step = span / max(len(values), 1)
    boxes = [(2 + i * step, step, cell) for i, cell in enumerate(values)]
    boxes += [(right + i * slot + 4, slot - 8, cell) for i, cell in enumerate(special)]
    base = 14 + _PLOT
    filled = _steps([(x, width, _height(cell.reference_share, top)) for x, width, cell in boxes], base)
    outline = _steps([(x, width, _height(cell.current_share, top)) for x, width, cell in boxes], base)
    text: list[Markup] = [label(2, 9, f"{percent(top)} of rows")] if top else []
    if values:
        low, middle, high = values[0].low, values[len(values) // 2].low, values[-1].high
        first = f"below {_edge(values[0].high, 'high')}" if low is None or not math.isfinite(low) else number(low)
        last = f"from {_edge(values[-1].low, 'low')}" if high is None or not math.isfinite(high) else number(high)
        if values[0].low is None and values[0].high is None:
            # Values without an order of numbers, such as false and true, are called by their names.
            first, last = values[0].label, values[-1].label if len(values) > 1 else ""
        text.append(label(2, base + 12, first))
        if len(values) > 3:
            text.append(label(2 + (len(values) // 2) * step, base + 12, _edge(middle, ""), "m"))
        text.append(label(2 + span, base + 12, last, "e"))
    text += [label(right + i * slot + slot / 2, base + 12, SPECIAL[cell.kind], "m") for i, cell in enumerate(special)]
    body = Markup('<path class="hr" d="{}"/><path class="hc" d="{}"/><path class="ax" d="M0 {}H{}"/>{}').format(
        filled, outline, base, WIDTH, Markup("").join(text)
    )
    return body, base + 18


def _bars(drawn: Histogram) -> tuple[Markup, int]:
    """Lying bars, one line per value; the least are drawn as one line."""
    values = [c for c in drawn.cells if not c.special]
    special = [c for c in drawn.cells if c.special and (c.reference or c.current)]
    if len(values) > _MOST_VALUES:
        rank = sorted(values, key=lambda c: -max(c.reference_share, c.current_share))
        kept = set(map(id, rank[: _MOST_VALUES - 1]))
        rest = [c for c in values if id(c) not in kept]
        values = [c for c in values if id(c) in kept]
        values.append(
            Cell(
                f"{len(rest)} more",
                "value",
                None,
                None,
                sum(c.reference for c in rest),
                sum(c.current for c in rest),
                sum(c.reference_share for c in rest),
                sum(c.current_share for c in rest),
            )
        )
    lines = [*values, *special]
    top = max((max(c.reference_share, c.current_share) for c in lines), default=0.0)
    left, right, pitch = 92, 52, 15
    scale = (WIDTH - left - right) / top if top else 0.0
    filled: list[str] = []
    outline: list[str] = []
    text: list[Markup] = []
    for i, cell in enumerate(lines):
        y = 3 + i * pitch + (4 if cell.special else 0)
        for path, share in ((filled, cell.reference_share), (outline, cell.current_share)):
            if share > 0:
                path.append(f"M{left} {y}h{short(share * scale)}v11h-{short(share * scale)}z")
        word = SPECIAL.get(cell.kind, cell.label)
        longest = scale * max(cell.reference_share, cell.current_share)
        text.append(label(left - 5, y + 9, shorten(word, 15), "e"))
        text.append(label(left + longest + 4, y + 9, percent(cell.current_share)))
    height = 3 + len(lines) * pitch + (4 if special else 0)
    body = Markup('<path class="hr" d="{}"/><path class="hc" d="{}"/><path class="ax" d="M{} 0V{}"/>{}').format(
        "".join(filled), "".join(outline), left, height, Markup("").join(text)
    )
    return body, height + 3


def _counts(value: object) -> list[int] | None:
    counts = [n for n in sequence(value) if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    return counts if len(counts) == len(sequence(value)) else None


def _cell_label(cell: Mapping[str, Any]) -> str:
    kind = str(cell.get("kind") or "value")
    if kind == "range" and not cell.get("label"):
        return f"{_edge(to_float(cell.get('low')), 'low')} to {_edge(to_float(cell.get('high')), 'high')}"
    if kind in SPECIAL:
        return SPECIAL[kind]
    label = cell.get("label")
    return "(empty)" if label == "" else shorten(str(label))


def _edge(value: float | None, side: str) -> str:
    if value is None or not math.isfinite(value):
        return {"low": "below", "high": "above"}.get(side, "")
    return number(value)


def _height(share: float, top: float) -> float:
    # A cell that holds anything stays visible, however little.
    return max(1.0, _PLOT * share / top) if share > 0 and top > 0 else 0.0


def _steps(boxes: list[tuple[float, float, float]], base: int) -> str:
    """Outline of bars (left, width, height) that stand side by side; a gap between two starts anew."""
    path, right, at = "", math.nan, 0.0
    for x, width, height in boxes:
        if not math.isclose(x, right, abs_tol=0.01):
            path += f"{'' if at == 0 else f'V{base}'}M{short(x)} {base}"
            at = 0.0
        if height != at:
            path += f"V{short(base - height)}"
        path += f"H{short(x + width)}"
        right, at = x + width, height
    return path + (f"V{base}" if at else "")


def short(value: float) -> str:
    """Coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def label(x: float, y: float, text: str, anchor: str = "") -> Markup:
    """Text of a chart; `anchor` is ``"m"`` for the middle, ``"e"`` for the end."""
    return Markup('<text x="{}" y="{}"{}>{}</text>').format(
        short(x),
        short(y),
        Markup(' class="{}"').format(anchor) if anchor else "",
        escape(shorten(text, 40)) if text else "",
    )


def legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """Draw the key of the charts: class of the mark and its words."""
    return Markup("").join(
        Markup(
            '<span><svg viewBox="0 0 16 12" aria-hidden="true"><path class="{}" d="M1 1h14v10h-14z"/></svg> {}</span>'
        ).format(mark, words)
        for mark, words in entries
    )
