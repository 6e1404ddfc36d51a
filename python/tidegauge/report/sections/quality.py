"""Data quality by window: what a report tells of rows as a whole, and of columns that need a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge.report._text import number, percent, shorten, to_float
from tidegauge.report._view import Row, window_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegauge.report._page import Page

MOST_COLUMNS = 40
"""Columns with a finding that a page shows; the others are counted."""


class Line(NamedTuple):
    """One line of a table: a name, and for each window what its cell says, part by part."""

    name: str
    cells: list[list[str]]


def duration(value: object) -> str:
    """Seconds in the unit a person would use."""
    x = to_float(value)
    if x is None:
        return "–"
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if abs(x) >= 2 * size:
            return f"{number(x / size, 3)} {unit}"
    return f"{number(x, 3)} s"


def _ratio(value: object) -> str:
    x = to_float(value)
    return "–" if x is None else f"{number(x, 3)} times"


WHOLE: dict[str, tuple[str, Callable[[Any], str]]] = {
    "volume_rate": ("Rows over time, against the reference", _ratio),
    "empty_blocks": ("Days (or other blocks of time) without a row", number),
    "longest_gap": ("Longest gap", duration),
    "freshness": ("Last row before the window's end", duration),
    "duplicate_keys": ("Rows that repeat a key", number),
    "schema": ("Columns missing, new or of another type", number),
}
"""Statistics of all rows of a window, in the order of the table."""

OF_COLUMNS = {
    "constant": "constant",
    "infinite_rate": "infinite",
    "missing_rate": "missing",
    "new_category_mass": "new",
    "range_violation": "out of range",
    "vanished_category_mass": "vanished",
}
"""Statistics of a column with the word that stands for them in a cell."""


def told(row: Row) -> str | None:
    """A cell's words where the row is more than chance or a few rows would show."""
    statistic, value = str(row.get("statistic")), to_float(row.get("value"))
    word = OF_COLUMNS[statistic]
    if not value or value != value:
        return None
    expected = to_float(row.get("value_if_no_change")) or 0.0
    if statistic == "constant":
        return word if expected < 0.05 else None
    low = to_float(row.get("ci_low"))
    # Differences of shares expect their own sampling error, shares what chance would leave outside.
    floor = 0.001 if statistic in ("missing_rate", "infinite_rate") else max(2 * expected, 0.001)
    return f"{word} {percent(value)}" if low is not None and low > floor else None


def build(page: Page) -> dict[str, Any] | None:
    """Both tables, against the main baseline and without segments; nothing where both are empty."""
    view, windows = page.view, page.windows
    at = {window.key: i for i, window in enumerate(windows)}
    whole: dict[str, list[list[str]]] = {}
    columns: dict[str, list[list[str]]] = {}
    for row in view.rows:
        position = at.get(window_key(row))
        if position is None or row.get("segment_by") is not None or row.get("baseline") not in (None, view.main):
            continue
        statistic, feature = str(row.get("statistic")), str(row.get("feature"))
        if statistic in WHOLE and (feature == "*" or statistic not in ("schema", "volume_rate", "empty_blocks")):
            cells = whole.setdefault(statistic, [[] for _ in windows])
            estimated = "about " if row.get("exactness") == "estimated" else ""
            cells[position] = [estimated + WHOLE[statistic][1](row.get("value"))]
        elif statistic in OF_COLUMNS:
            words = told(row)
            if words is not None:
                columns.setdefault(feature, [[] for _ in windows])[position].append(words)
    ranked = sorted(columns, key=lambda name: (-sum(map(len, columns[name])), name))
    shown = ranked[:MOST_COLUMNS]
    if not whole and not columns:
        return None
    return {
        "whole": [Line(name, whole[statistic]) for statistic, (name, _) in WHOLE.items() if statistic in whole],
        "columns": [Line(shorten(name, 30), columns[name]) for name in shown],
        "more": len(ranked) - len(shown),
    }
