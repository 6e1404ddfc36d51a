"""What adds most to each finding: cells of the values, in the window that differs most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge.report._text import number, objects, to_float

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegauge.report._page import Page

WIDTH = 120
"""Units of the longest bar."""


class Finding(NamedTuple):
    """One feature: where it differs most, and the cells that make the value."""

    feature: str
    verdict: str
    window: str
    statistic: str
    value: Any
    cells: list[Cell]
    more: int


class Cell(NamedTuple):
    """One cell: shares of rows on both sides, what it adds, and the length of its bar."""

    label: str
    reference: Any
    current: Any
    adds: Any
    width: str


def build(page: Page) -> dict[str, Any] | None:
    """Findings with their cells; nothing where the record has none."""
    found = [finding for entry in objects(page.result.get("contributions")) if (finding := _finding(entry, page))]
    shown = found[: page.limits.findings]
    return {"findings": shown, "left": len(found) - len(shown), "bar": WIDTH} if found else None


def _finding(entry: Mapping[str, Any], page: Page) -> Finding | None:
    cells = objects(entry.get("cells"))
    adds = [to_float(cell.get("contribution")) or 0.0 for cell in cells]
    most = max(map(abs, adds), default=0.0)
    if not most:
        return None
    more = entry.get("more")
    return Finding(
        str(entry.get("feature")),
        str(entry.get("verdict")),
        page.view.label(entry.get("window_start"), entry.get("window_end")),
        str(entry.get("statistic")),
        entry.get("value"),
        [
            Cell(
                str(cell.get("label")),
                cell.get("share_reference"),
                cell.get("share_current"),
                add,
                number(WIDTH * abs(add) / most, 3),
            )
            for cell, add in zip(cells, adds, strict=True)
        ],
        more if isinstance(more, int) else 0,
    )
