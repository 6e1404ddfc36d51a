"""Histograms of the worst window of each column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidegauge.report import charts
from tidegauge.report._text import objects, shorten

if TYPE_CHECKING:
    from tidegauge.report._page import Page

MOST = 50
"""Columns drawn, in the order of the findings."""


def build(page: Page) -> dict[str, Any] | None:
    """Charts with the columns they belong to; nothing where the record holds no counts."""
    held = page.result.get("histograms")
    entries = objects(held.get("features") if isinstance(held, Mapping) else held)
    by_name = {str(entry.get("feature")): entry for entry in entries}
    drawn: list[tuple[Any, ...]] = []
    for i, feature in enumerate(page.view.features):
        entry = by_name.get(feature.name)
        worst = next(filter(None, map(feature.worst, page.view.baselines)), None)
        if entry is None or worst is None:
            continue
        if len(drawn) == MOST:
            break
        histogram = charts.histogram(entry, worst.window.key)
        if histogram is not None:
            title = f"{shorten(feature.name)}: reference and current rows, {worst.window.label}"
            drawn.append((feature, worst, histogram, charts.svg(histogram, ident=f"h{i}", title=title)))
    return {"drawn": drawn, "total": len(entries)} if drawn else None
