"""The data compared: windows, what could not be computed, columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import mapping, objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegauge.report._page import Page


def build(page: Page) -> dict[str, Any]:
    """Columns of both sides and rows without a value for a reason."""
    rows = page.view.rows
    return {
        "columns": _columns(page.result),
        "unread": [row for row in rows if row.get("verdict") == "error" and row.get("statistic") != "verdict"],
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
