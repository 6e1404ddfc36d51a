"""What `tg.stats` and comparisons take, refuse and say, found by attacking them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import tidegauge as tg
from tidegauge import stats
from tidegauge.errors import UsageError


@pytest.mark.parametrize(("x", "y"), [([1.5, 2.5], [1, 2, 3]), ([1, 2, 3], [1.5, 2.5]), ([-(2**53), 0], [0.5])])
def test_integers_beside_floats_are_floats(x: list[Any], y: list[Any]) -> None:
    found = stats.ks(x, y)
    assert found == stats.ks(np.array(x, float), np.array(y, float))


@pytest.mark.parametrize("alpha", ["a", None, float("nan"), 0, 1, True])
def test_alpha_is_a_number_between_0_and_1(alpha: Any) -> None:
    with pytest.raises(UsageError, match="alpha"):
        stats.ks([1.0, 2.0], [1.0, 3.0], alpha=alpha)


@pytest.mark.parametrize("offset", [0.0, 1e9, 1e12, 1e15])
def test_an_offset_costs_means_no_digits(offset: float) -> None:
    rng = np.random.default_rng(5)
    x, y = offset + rng.normal(size=100), offset + rng.normal(0.1, 1, size=80)
    exact = sum(map(Fraction, y.tolist())) / 80 - sum(map(Fraction, x.tolist())) / 100
    found = stats.mean_shift(x, y)
    assert found.statistic == pytest.approx(float(exact), rel=1e-12, abs=1e-15)
    assert found.bound_low <= exact <= found.bound_high
    kept = tg.compare(tg.profile({"f": x}), tg.profile({"f": y}, like=tg.profile({"f": x})))
    assert next(r["value"] for r in kept.rows if r["statistic"] == "mean_shift") == found.statistic


def test_integers_beyond_2_to_the_53_keep_their_means() -> None:
    x = 2**53 + np.arange(4).repeat(5)
    found = stats.mean_shift(x, x + 1)
    assert found.statistic == 1.0
    assert found.pvalue == pytest.approx(0.008918627, abs=1e-8)


@pytest.mark.parametrize("statistic", ["wasserstein", "energy"])
def test_scaled_distances_of_profiles_hold_the_exact_ones(statistic: str) -> None:
    rng = np.random.default_rng(8)
    for draw in (rng.normal, rng.lognormal, rng.standard_cauchy):
        x, y = draw(size=6000), 1.2 * draw(size=300) + 0.5
        reference = tg.profile({"f": x})
        rows = tg.compare(reference, tg.profile({"f": y}, like=reference)).rows
        row = next(r for r in rows if r["statistic"] == f"{statistic}_scaled")
        exact = getattr(stats, f"{statistic}_scaled")(x, y).statistic
        assert row["exactness"] == "certified"
        assert row["bound_low"] <= exact <= row["bound_high"]
        assert row["bound_high"] - row["bound_low"] < 0.1 * exact


def test_a_statistic_that_does_not_apply_decides_nothing() -> None:
    sides = {"f": np.arange(200.0)}, {"f": np.arange(200.0) + 900}
    with pytest.raises(UsageError, match=r"chi_square.*'?f'?.*numeric.*ks"):
        tg.drift(*sides, statistics={"f": "chi_square"})
    for wrong in ({"statistics": {"g": "ks"}}, {"tolerances": {"g": {"warn": 0.1, "fail": 0.2}}}):
        with pytest.raises(UsageError, match="neither side has; the reference has f"):
            tg.drift(*sides, **wrong)  # type: ignore[arg-type]


def test_one_cell_is_told() -> None:
    x = np.random.default_rng(1).normal(size=99)
    assert "one cell" in str(stats.psi(x, x + 100).message)
    assert stats.psi(np.ones(99), np.ones(99)).message is None
    assert "one cell" not in str(stats.psi(np.tile(x, 2), x + 100).message)


def test_single_precision_is_told() -> None:
    x = 5 + np.random.default_rng(2).normal(size=100) * 1e-9
    assert "single precision" in str(stats.ks(x, np.full(100, 5.0)).message)
