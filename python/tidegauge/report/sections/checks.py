"""Limits that the configuration sets on numbers, and whether each window keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge.report._text import between, decimals, fixed, mapping, number, objects
from tidegauge.report._view import Row, segment_label, window_key
from tidegauge.report._words import checked

if TYPE_CHECKING:
    from tidegauge.report._page import Page

MOST = 40
"""Checks shown, in the order of the configuration, and violations in segments."""


class Cell(NamedTuple):
    """A check in a window: verdict, value, interval."""

    verdict: str
    value: str
    limits: str


class Line(NamedTuple):
    """A check over the windows."""

    feature: str
    statistic: str
    limits: str
    cells: list[Cell | None]


def build(page: Page) -> dict[str, Any] | None:
    """Checks by window, and segments that do not keep them; nothing where none is configured."""
    configured = objects(mapping(page.result.get("configuration")).get("checks"))
    rows = [row for row in page.view.rows if row.get("statistic") == "check"]
    if not configured or not rows:
        return None
    by = {(str(r.get("feature")), checked(r), window_key(r)): r for r in rows if r.get("segment_by") is None}
    lines = []
    for check in configured[:MOST]:
        feature, statistic = str(check.get("feature")), str(check.get("statistic"))
        found = [by.get((feature, statistic, window.key)) for window in page.windows]
        places = decimals((row or {}).get("value") for row in found)
        lines.append(Line(feature, statistic, _limits(check), [_cell(row, places) for row in found]))
    labels = {window.key: window.label for window in page.view.windows}
    kept = ("ok", "not_evaluated")
    broken = [r for r in rows if r.get("segment_by") is not None and r.get("verdict") not in kept]
    broken.sort(key=lambda r: (r.get("verdict") != "fail", str(r.get("feature")), segment_label(r), str(window_key(r))))
    return {
        "lines": lines,
        "more": len(configured) - len(lines),
        "broken": [
            (r, segment_label(r), checked(r), labels.get(window_key(r), "all rows"), str(r.get("verdict")))
            for r in broken[:MOST]
        ],
        "broken_more": max(len(broken) - MOST, 0),
    }


def _limits(check: Any) -> str:
    ends = [f"at least {number(check['min'])}"] if check.get("min") is not None else []
    ends += [f"at most {number(check['max'])}"] if check.get("max") is not None else []
    return " and ".join(ends)


def _cell(row: Row | None, places: int) -> Cell | None:
    if row is None:
        return None
    limits = between(row.get("ci_low"), row.get("ci_high"), places)
    return Cell(
        str(row.get("verdict") or "not_evaluated"), fixed(row.get("value"), places), "" if limits == "–" else limits
    )
