"""Charts of ordered columns: difference of the distribution functions, and quantiles over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ._text import mapping, number, objects, percent, sequence, to_float, visible
from .charts import WIDTH, label, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._view import Window

_PLOT = 96
_TOP = 14


@dataclass(frozen=True)
class Difference:
    """Shares of rows below each edge, and what the difference can be between two edges."""

    edges: tuple[float, ...]
    reference: tuple[float, ...]
    """Share of reference rows below each edge."""
    current: tuple[float, ...]
    bounds: tuple[tuple[float, float], ...]
    """By cell, one more than edges: between which values current less reference lies there."""

    @property
    def steps(self) -> list[tuple[float, float, float]]:
        """Edge, share of reference rows and of current rows below it."""
        return list(zip(self.edges, self.reference, self.current, strict=True))

    @property
    def largest(self) -> tuple[float, float, float]:
        """The step where the two sides differ most."""
        return max(self.steps, key=lambda step: abs(step[2] - step[1]))


def difference(entry: Mapping[str, Any], key: tuple[str | None, str | None]) -> Difference | None:
    """Read the curve of one feature and one window from the record.

    Returns
    -------
    Difference or None
        None when the record holds no curve for that window, or one that does not fit its edges.
    """
    held = mapping(entry.get("curve"))
    edges = [x for x in map(to_float, sequence(held.get("edges"))) if x is not None]
    window = next(
        (w for w in objects(entry.get("windows")) if (w.get("window_start"), w.get("window_end")) == key), None
    )
    sides = [_counts(held.get("reference")), _counts(mapping(window).get("curve"))]
    if not edges or any(len(side) != len(edges) + 1 or not sum(side) for side in sides):
        return None
    below = [[n / sum(side) for n in accumulate(side)][:-1] for side in sides]
    points = {i for i in sequence(held.get("points")) if isinstance(i, int)}
    reference, current = ([0.0, *side, 1.0] for side in below)
    bounds = []
    for j, ((r0, r1), (c0, c1)) in enumerate(zip(pairwise(reference), pairwise(current), strict=True)):
        # Inside a cell either side may have all its rows first; at a single value both jump at once.
        ends = (c0 - r0, c1 - r1) if j in points else (c0 - r1, c1 - r0)
        bounds.append((min(ends), max(ends)))
    return Difference(tuple(edges), tuple(below[0]), tuple(below[1]), tuple(bounds))


def difference_svg(drawn: Difference, *, ident: str, title: str, limit: float | None) -> Markup:
    """Draw current less reference share below each value, exact at the edges, with bounds between.

    Parameters
    ----------
    drawn : Difference
    ident : str
        Prefix of the element ids, unique in the page.
    title : str
        Accessible title; may hold any characters.
    limit : float or None
        Fail limit of the largest difference, drawn on both sides of zero.
    """
    values = [c - r for _, r, c in drawn.steps]
    top = max(*(abs(x) for pair in drawn.bounds for x in pair), 1.15 * (limit or 0.0), 0.005)
    step = (WIDTH - 4) / len(drawn.bounds)
    middle, scale = _TOP + _PLOT / 2, _PLOT / 2 / top

    def y(x: float) -> str:
        return short(middle - scale * x)

    ends = [f"M2 {y(0)}"]
    ends += [f"V{y(high)}H{short(2 + (j + 1) * step)}" for j, (_, high) in enumerate(drawn.bounds)]
    ends += [f"V{y(low)}H{short(2 + j * step)}" for j, (low, _) in reversed(list(enumerate(drawn.bounds)))]
    band = "".join(ends) + "z"
    line = f"M2 {y(0)}" + "".join(f"L{short(2 + (i + 1) * step)} {y(v)}" for i, v in enumerate([*values, 0.0]))
    zero = f"M2 {y(0)}H{WIDTH - 2}"
    dashed = "".join(f"M2 {y(x)}H{WIDTH - 2}" for x in (limit, -limit) if abs(x) <= top) if limit else ""
    base = _TOP + _PLOT
    text = [
        label(2, 9, f"+{percent(top)}: more current rows below"),
        label(2, base + 24, f"-{percent(top)}: fewer"),
        label(2, base + 12, f"below {edge_text(drawn.edges[0])}"),
        label(WIDTH / 2, base + 12, edge_text(drawn.edges[len(drawn.edges) // 2]), "m"),
        label(WIDTH - 2, base + 12, f"from {edge_text(drawn.edges[-1])}", "e"),
    ]
    edge, r, c = drawn.largest
    words = (
        f"Share of rows below each value, current less reference. Largest at {edge_text(edge)}: "
        f"{percent(r)} of the reference rows and {percent(c)} of the current rows lie below."
    )
    body = Markup('<path class="cb" d="{}"/><path class="ax" d="{}"/><path class="li" d="{}"/>').format(
        band, zero, dashed
    )
    return _frame(ident, title, words, base + 28, [body, Markup('<path class="cl" d="{}"/>').format(line), *text])


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of the reference and of every window that has them."""

    percents: tuple[int, ...]
    reference: tuple[float, ...]
    windows: tuple[tuple[Window, tuple[float, ...]], ...]
    left_out: int
    """Windows with too few rows for their outer quantiles."""


def quantiles(entry: Mapping[str, Any], windows: Sequence[Window]) -> Quantiles | None:
    """Read the quantiles of one feature from the record.

    Returns
    -------
    Quantiles or None
        None where the column has none, or fewer than two windows have all.
    """
    held = mapping(entry.get("quantiles"))
    percents = tuple(p for p in sequence(held.get("percent")) if isinstance(p, int))
    reference = _numbers(held.get("reference"))
    by_window = {
        (w.get("window_start"), w.get("window_end")): _numbers(w.get("quantiles"))
        for w in objects(entry.get("windows"))
    }
    found = [(window, by_window.get(window.key, ())) for window in windows]
    drawn = tuple((window, values) for window, values in found if len(values) == len(percents))
    if len(percents) != 5 or len(reference) != 5 or len(drawn) < 2:
        return None
    return Quantiles(percents, reference, drawn, len(found) - len(drawn))


def quantiles_svg(drawn: Quantiles, *, ident: str, title: str) -> Markup:
    """Draw the middle half and the middle nine tenths of every window, over those of the reference.

    Parameters
    ----------
    drawn : Quantiles
    ident : str
        Prefix of the element ids, unique in the page.
    title : str
        Accessible title; may hold any characters.
    """
    every = [*drawn.reference, *(x for _, values in drawn.windows for x in values)]
    low, high = min(every), max(every)
    span = (high - low) or 1.0
    base = _TOP + _PLOT
    step = (WIDTH - 20) / (len(drawn.windows) - 1)

    def y(x: float) -> str:
        return short(base - _PLOT * (x - low) / span)

    def at(i: int, x: float) -> str:
        return f"{short(10 + i * step)} {y(x)}"

    def band(low_at: int, high_at: int) -> str:
        upper = [at(i, values[high_at]) for i, (_, values) in enumerate(drawn.windows)]
        lower = [at(i, values[low_at]) for i, (_, values) in enumerate(drawn.windows)]
        return f"M{'L'.join([*upper, *reversed(lower)])}z"

    def across(low_at: int, high_at: int) -> str:
        return f"M2 {y(drawn.reference[high_at])}H{WIDTH - 2}V{y(drawn.reference[low_at])}H2z"

    median = "L".join(at(i, values[2]) for i, (_, values) in enumerate(drawn.windows))
    body = Markup(
        '<path class="qr" d="{}"/><path class="qr" d="{}"/><path class="li" d="M2 {}H{}"/>'
        '<path class="cb" d="{}"/><path class="cb" d="{}"/><path class="cl" d="M{}"/>'
    ).format(across(0, 4), across(1, 3), y(drawn.reference[2]), WIDTH - 2, band(0, 4), band(1, 3), median)
    text = [
        label(2, 9, number(high)),
        label(2, base + 11, number(low)),
        label(10, base + 24, drawn.windows[0][0].label),
        label(WIDTH - 2, base + 24, drawn.windows[-1][0].label, "e"),
    ]
    far = max(drawn.windows, key=lambda held: abs(held[1][2] - drawn.reference[2]))
    words = (
        f"Quantiles 5, 25, 50, 75 and 95 % by window. The median of the reference is {number(drawn.reference[2])}; "
        f"the window farthest from it is {far[0].label}, with {number(far[1][2])}."
    )
    return _frame(ident, title, words, base + 28, [body, *text])


def _frame(ident: str, title: str, words: str, height: float, parts: list[Markup]) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {w} {h}" role="img" aria-labelledby="{i}t {i}d">'
        '<title id="{i}t">{title}</title><desc id="{i}d">{words}</desc>{body}</svg>'
    ).format(w=WIDTH, h=short(height), i=ident, title=visible(title), words=words, body=Markup("").join(parts))


def edge_text(edge: float) -> str:
    """Text of an edge. A cell that holds 0 alone ends at the next number of single precision, which reads as 0."""
    return number(0.0 if abs(edge) < 2.0**-126 else edge)


def _counts(value: object) -> list[int]:
    """Counts of a JSON list; empty where one is not a count."""
    counts = [n for n in sequence(value) if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    return counts if len(counts) == len(sequence(value)) else []


def _numbers(value: object) -> tuple[float, ...]:
    """Finite numbers of a JSON list; empty where one is absent."""
    found = tuple(x for x in map(to_float, sequence(value)) if x is not None and math.isfinite(x))
    return found if len(found) == len(sequence(value)) else ()
