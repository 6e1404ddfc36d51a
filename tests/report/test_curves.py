"""Curves and quantiles of the record against the rows themselves, and as they are drawn."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import polars as pl
import pytest
import records
import tidegauge as tg
from scipy import stats
from tidegauge.report import curves, render_html
from tidegauge.report._view import Window

RNG = np.random.default_rng(20)
N, M = 4000, 3000
SIDES = {
    "normal": (RNG.normal(0, 1, N), RNG.normal(0.4, 1.3, M)),
    "skewed": (RNG.lognormal(3, 2, N), RNG.lognormal(3.2, 2, M)),
    # A third of the rows are one value, which a curve has to show as a jump.
    "heavy": (np.where(RNG.random(N) < 0.33, 0.0, RNG.normal(0, 1, N)), np.where(RNG.random(M) < 0.5, 0.0, 2.0)),
    "beyond": (RNG.uniform(0, 1, N), RNG.uniform(5, 6, M)),
    "infinite": (
        np.concatenate([RNG.normal(0, 1, N - 200), np.full(200, -np.inf)]),
        np.concatenate([RNG.normal(0, 1, M - 600), np.full(600, np.inf)]),
    ),
    "few": (RNG.normal(0, 1, 60), RNG.normal(0, 1, 45)),
}


def entry(reference: np.ndarray, current: np.ndarray) -> dict[str, Any]:
    report = tg.drift(pl.DataFrame({"x": reference}), pl.DataFrame({"x": current}))
    return report.record["result"]["histograms"][0]


@pytest.mark.parametrize("name", SIDES)
def test_shares_below_the_edges_are_those_of_the_rows(name: str) -> None:
    reference, current = SIDES[name]
    drawn = curves.difference(entry(reference, current), (None, None))
    assert drawn is not None
    for edge, r, c in drawn.steps:
        # Exact: counts over counts, of values strictly below the edge.
        assert r == np.count_nonzero(reference < edge) / len(reference)
        assert c == np.count_nonzero(current < edge) / len(current)


@pytest.mark.parametrize("name", SIDES)
def test_bounds_hold_the_difference_at_every_value(name: str) -> None:
    reference, current = SIDES[name]
    held = entry(reference, current)
    drawn = curves.difference(held, (None, None))
    assert drawn is not None
    low, high = (np.array(side) for side in zip(*drawn.bounds, strict=True))
    for side in ("left", "right"):
        values = np.unique(np.concatenate([reference, current]))
        f = np.searchsorted(np.sort(reference), values, side=side) / len(reference)
        g = np.searchsorted(np.sort(current), values, side=side) / len(current)
        cell = np.searchsorted(drawn.edges, values, side="right")
        # Both are quotients of the same integers, subtracted in the other order: a few ulp.
        assert np.all(g - f >= low[cell] - 1e-12)
        assert np.all(g - f <= high[cell] + 1e-12)
    value = stats.ks_2samp(reference, current).statistic
    edges = max(abs(c - r) for _, r, c in drawn.steps)
    assert edges - 1e-12 <= value <= max(np.max(high), -np.min(low)) + 1e-12
    # And they are tight: an inner cell that is not one value holds a fiftieth of the pooled rows, so up
    # to a twenty-fifth of a side, and the heaviest cell of the grid more.
    # In "heavy" half of the current rows are one value that is none of the reference: no cell of its own.
    if name not in ("few", "heavy"):
        points = {0, len(drawn.bounds) - 1, *held["curve"]["points"]}
        assert max(h - lo for j, (lo, h) in enumerate(drawn.bounds) if j not in points) < 0.1


def test_a_jump_is_no_band() -> None:
    held = entry(*SIDES["heavy"])
    drawn = curves.difference(held, (None, None))
    assert drawn is not None
    at = [j for j in held["curve"]["points"] if drawn.edges[j - 1] <= 0 < drawn.edges[j]]
    assert len(at) == 1
    jump = drawn.current[at[0]] - drawn.current[at[0] - 1]
    assert jump > 0.4
    low, high = drawn.bounds[at[0]]
    steps = [drawn.current[i] - drawn.reference[i] for i in (at[0] - 1, at[0])]
    assert (low, high) == (min(steps), max(steps))


@pytest.mark.parametrize("name", ["normal", "skewed", "heavy", "beyond"])
def test_quantiles_are_those_of_the_rows_within_a_cell(name: str) -> None:
    reference, current = SIDES[name]
    held = entry(reference, current)
    for values, found in ((reference, held["quantiles"]["reference"]), (current, held["windows"][0]["quantiles"])):
        for percent, x in zip(held["quantiles"]["percent"], found, strict=True):
            # A cell of the grid holds at most 1/1024 of the reference, and here under 1 % of either side;
            # at 10,000 rows or fewer keys are exact and so is the quantile.
            low, high = np.quantile(values, [percent / 100 - 0.01, percent / 100 + 0.01], method="inverted_cdf")
            assert low <= x <= high


def test_quantiles_of_few_rows_are_not_told() -> None:
    held = entry(*SIDES["few"])
    # Of 60 and 45 rows, fewer than ten lie beyond the outer quantiles.
    assert [x is None for x in held["quantiles"]["reference"]] == [True, False, False, False, True]
    assert [x is None for x in held["windows"][0]["quantiles"]] == [True, False, False, False, True]
    reference, current = (np.sort(side) for side in SIDES["few"])
    for edge in held["curve"]["edges"]:
        assert np.count_nonzero(reference < edge) + np.count_nonzero(current < edge) >= 10


def test_a_curve_that_does_not_fit_is_not_drawn() -> None:
    held = records.small()["result"]["histograms"]["features"][0]
    key = records.MONTHS[0]
    assert curves.difference(held, key) is not None
    assert curves.difference(held, ("1999-01-01T00:00:00Z", None)) is None
    for wrong in (
        {"edges": []},
        {"edges": [1.0]},
        {"reference": [0] * 51},
        {"reference": None},
        {"reference": [-1] * 51},
    ):
        assert curves.difference(held | {"curve": held["curve"] | wrong}, key) is None
    windows = [Window(*month) for month in records.MONTHS]
    assert curves.quantiles(held, windows) is not None
    assert curves.quantiles(held, windows[:1]) is None
    assert curves.quantiles(held | {"quantiles": {"percent": [50]}}, windows) is None
    shorter = [w | {"quantiles": [None] * 5} if i < 2 else w for i, w in enumerate(held["windows"])]
    drawn = curves.quantiles(held | {"windows": shorter}, windows)
    assert drawn is not None
    assert (len(drawn.windows), drawn.left_out) == (5, 2)


def test_every_chart_has_its_numbers() -> None:
    page = render_html(records.small())
    assert len(re.findall('<svg viewBox="0 0 340', page)) == page.count("<summary>Numbers")
    for word in ("Cumulative difference", "Quantiles by window", "Largest at"):
        assert page.count(word) >= 4
