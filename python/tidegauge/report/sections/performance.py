"""How well the model did in each window, beside the reference, and how well its scores are calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge.report import charts_explain as charts
from tidegauge.report._text import (
    between,
    decimals,
    fixed,
    interval,
    mapping,
    number,
    objects,
    percent,
    to_float,
)
from tidegauge.report._view import Row, segment_label, window_key
from tidegauge.report._words import variance

if TYPE_CHECKING:
    from tidegauge.report._page import Page
    from tidegauge.report._view import View

MOST_SEGMENTS = 12
"""Segments shown whose performance is worse than in the reference beyond sampling error."""
MOST_GROUPS = 24
"""Rates of protected groups shown."""
MOST_CURVES = 8
"""Windows with a curve, the last ones."""


_CLASSES = frozenset(("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "mcc"))


class Cell(NamedTuple):
    """A metric in a window: value, interval, and its changes against the reference and the window before."""

    value: str
    limits: str
    word: str
    style: str
    step: str = ""


class Line(NamedTuple):
    """A metric over the windows."""

    name: str
    reference: Cell
    cells: list[Cell]
    better: str = ""
    """``higher`` or ``lower``, where one is better."""


EMPTY = Cell("–", "", "", "")


def beyond(change: Row | None, better: object) -> str:
    """``worse`` or ``better`` where the interval of a change leaves zero out, else nothing."""
    low, high = (to_float((change or {}).get(name)) for name in ("ci_low", "ci_high"))
    if low is None or high is None or better not in ("higher", "lower") or low <= 0.0 <= high:
        return ""
    return "better" if (low > 0.0) == (better == "higher") else "worse"


def build(page: Page) -> dict[str, Any] | None:
    """Metrics by window, segments and groups, curves; nothing where nothing was measured."""
    told = mapping(page.result.get("performance"))
    plan = mapping(told.get("measure"))
    if not plan:
        return None
    better = mapping(told.get("better"))
    metrics = [str(name) for name in plan.get("metrics") or []]
    rows = [row for row in page.view.rows if row.get("kind") == "performance"]
    told_rows = [r for r in rows if r.get("decides") is not True]
    by = {_at(r): r for r in told_rows if r.get("baseline") != "previous"}
    before = {_at(r): r for r in told_rows if r.get("baseline") == "previous"}
    reference = {(segment_label(r), str(r.get("statistic"))): r for r in objects(told.get("reference"))}
    keys = [window.key for window in page.windows]
    lines = []
    for name in metrics:
        shown = [reference.get((None, name)), *(by.get((key, None, name)) for key in keys)]
        places = decimals([(row or {}).get("value") for row in shown])
        change = f"{name}_change"
        words = [beyond(by.get((key, None, change)), better.get(name)) for key in keys]
        steps = [beyond(before.get((key, None, change)), better.get(name)) for key in keys]
        told_words = zip(shown, ["", *words], ["", *steps], strict=True)
        first, *cells = [_cell(row, word, places)._replace(step=step) for row, word, step in told_words]
        lines.append(Line(name, first, cells, str(better.get(name) or "")))
    coverage = [by.get((key, None, "label_coverage")) for key in keys]
    lines.append(
        Line(
            "rows with a label",
            _coverage(told),
            [EMPTY if r is None else Cell(percent(r.get("value")), "", "", "") for r in coverage],
        )
    )
    return {
        "sentence": told.get("sentence"),
        "lines": lines,
        "reference_known": bool(reference),
        "against_previous": bool(before),
        "threshold": plan.get("threshold") if plan.get("protected") or _CLASSES.intersection(metrics) else None,
        "plan": plan,
        "variances": sorted({variance(r["variance"]) for r in rows if r.get("variance")}),
        **_segments(page.view, rows, better, metrics),
        **_groups(page),
        "curves": _curves(page.view, told),
    }


def _at(row: Row) -> tuple[Any, str | None, str]:
    return window_key(row), segment_label(row), str(row.get("statistic"))


def _cell(row: Any, word: str, places: int) -> Cell:
    if row is None:
        return EMPTY
    if row.get("value") is None:
        return Cell("–", str(row.get("message") or ""), "", "")
    style = {"worse": "warn", "better": "ok"}.get(word, "")
    limits = between(row.get("ci_low"), row.get("ci_high"), places)
    return Cell(fixed(row["value"], places), "" if limits == "–" else limits, word, style)


def _coverage(told: Any) -> Cell:
    for side in objects(told.get("coverage")):
        if side.get("side") == "reference" and side.get("rows"):
            return Cell(percent(1 - side.get("unlabelled", 0) / side["rows"]), "", "", "")
    return EMPTY


def _segments(view: View, rows: list[Row], better: Any, metrics: list[str]) -> dict[str, Any]:
    """Segments that are worse than the same segment of the reference, the clearest first."""
    found = []
    changes = {
        (window_key(r), segment_label(r)): r
        for r in rows
        if metrics
        and r.get("statistic") == f"{metrics[0]}_change"
        and r.get("segment_by") is not None
        and r.get("baseline") != "previous"
    }
    for (window, segment), row in changes.items():
        if beyond(row, better.get(metrics[0])) != "worse":
            continue
        low, high = to_float(row.get("ci_low")) or 0.0, to_float(row.get("ci_high")) or 0.0
        found.append((-min(abs(low), abs(high)), segment or "", window, row))
    found.sort(key=lambda item: (item[0], item[1], str(item[2])))
    places = decimals(row.get("value") for _, _, _, row in found[:MOST_SEGMENTS])
    shown = [
        {
            "segment": segment,
            "window": view.label(*window) if len(view.windows) > 1 else "",
            "change": fixed(row.get("value"), places),
            "limits": between(row.get("ci_low"), row.get("ci_high"), places),
            "rows": number(row.get("n_current")),
        }
        for _, segment, window, row in found[:MOST_SEGMENTS]
    ]
    return {"worse": shown, "worse_more": len(found) - len(shown), "cells": len(changes), "first": (metrics or [""])[0]}


def _groups(page: Page) -> dict[str, Any]:
    """Rates of protected groups in the last window."""
    rows = [row for row in page.view.rows if row.get("kind") == "fairness" and row.get("decides") is not True]
    last = page.windows[-1].key if page.windows else None
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        if window_key(row) != last:
            continue
        limits = interval(row.get("ci_low"), row.get("ci_high"))
        value = number(row.get("value"), 3) + (f" ({limits})" if limits != "–" else "")
        table.setdefault(segment_label(row) or "", {})[str(row.get("statistic"))] = value
    shown = dict(list(table.items())[:MOST_GROUPS])
    label = page.windows[-1].label if page.windows else ""
    return {"groups": shown, "groups_more": len(table) - len(shown), "group_window": label}


def _curves(view: View, told: Any) -> list[dict[str, Any]]:
    """Reliability of each window over that of the reference, with its table."""
    sides = objects(told.get("reliability"))
    before = next((_bins(side) for side in sides if side.get("side") == "reference"), [])
    current = [side for side in sides if side.get("side") == "current"]
    found = []
    for i, side in enumerate(current[-MOST_CURVES:]):
        bins, label = _bins(side), view.label(side.get("window_start"), side.get("window_end"))
        if not bins:
            continue
        gap = max(bins, key=lambda b: abs(b[1] - b[0]))
        drawn = charts.reliability(
            [("reference", before), (label, bins)],
            ident=f"rel{i}",
            title=f"Observed rate by mean score, {label}",
            description=f"Farthest from the diagonal: mean score {number(gap[0], 3)}, observed {number(gap[1], 3)}.",
        )
        found.append({"label": label, "svg": drawn, "bins": objects(side.get("bins"))})
    return found


def _bins(side: Any) -> list[tuple[float, float, charts.Limits]]:
    found = []
    for b in objects(side.get("bins")):
        score, rate = to_float(b.get("mean_score")), to_float(b.get("observed"))
        low, high = to_float(b.get("ci_low")), to_float(b.get("ci_high"))
        if score is not None and rate is not None and (b.get("rows") or 0) > 0:
            found.append((score, rate, None if low is None or high is None else (low, high)))
    return found
