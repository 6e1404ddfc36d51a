"""Histograms of the worst window of each column, and for the first of them curves and quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge.report import charts, curves
from tidegauge.report._text import objects, shorten, to_float

if TYPE_CHECKING:
    from markupsafe import Markup

    from tidegauge.report._page import Page
    from tidegauge.report._view import Feature, Judgement


class Drawn(NamedTuple):
    """Charts of one column."""

    feature: Feature
    worst: Judgement
    histogram: charts.Histogram
    bars: Markup
    difference: curves.Difference | None
    difference_svg: Markup | None
    quantiles: curves.Quantiles | None
    quantiles_svg: Markup | None


def build(page: Page) -> dict[str, Any] | None:
    """Charts with the columns they belong to; nothing where the record holds no counts."""
    held = page.result.get("histograms")
    entries = objects(held.get("features") if isinstance(held, Mapping) else held)
    by_name = {str(entry.get("feature")): entry for entry in entries}
    drawn: list[Drawn] = []
    for i, feature in enumerate(page.view.features):
        entry = by_name.get(feature.name)
        worst = next(filter(None, map(feature.worst, page.view.baselines)), None)
        if entry is None or worst is None:
            continue
        if len(drawn) == page.limits.charts:
            break
        histogram = charts.histogram(entry, worst.window.key)
        if histogram is not None:
            full = len(drawn) < page.limits.curves
            drawn.append(_draw(page, i, feature, worst, entry, histogram, full=full))
    if not drawn:
        return None
    several = [d for d in drawn if d.difference is not None or d.quantiles is not None]
    return {
        "several": several,
        "single": [d for d in drawn if d.difference is None and d.quantiles is None],
        "shown": len(drawn),
        "total": len(entries),
    }


def _draw(
    page: Page,
    i: int,
    feature: Feature,
    worst: Judgement,
    entry: Mapping[str, Any],
    histogram: charts.Histogram,
    *,
    full: bool,
) -> Drawn:
    name, label = shorten(feature.name), worst.window.label
    bars = charts.svg(histogram, ident=f"h{i}", title=f"{name}: reference and current rows, {label}")
    difference = curves.difference(entry, worst.window.key) if full else None
    quantiles = curves.quantiles(entry, page.windows) if full else None
    lead = worst.lead or {}
    # Only of the largest difference itself is the limit one of this chart.
    limit = to_float(lead.get("fail_at")) if lead.get("statistic") == "ks" else None
    difference_svg = quantiles_svg = None
    if difference is not None:
        title = f"{name}: cumulative difference, {label}"
        difference_svg = curves.difference_svg(difference, ident=f"c{i}", title=title, limit=limit)
    if quantiles is not None:
        quantiles_svg = curves.quantiles_svg(quantiles, ident=f"q{i}", title=f"{name}: quantiles by window")
    return Drawn(feature, worst, histogram, bars, difference, difference_svg, quantiles, quantiles_svg)
