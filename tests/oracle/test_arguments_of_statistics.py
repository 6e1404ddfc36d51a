"""What `tg.stats` and comparisons take, refuse and say, found by attacking them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import tidegauge as tg
from scipy.stats import norm
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


def test_true_and_false_beside_numbers_are_1_and_0() -> None:
    x = np.arange(100) % 3 == 0
    for numbers in (np.arange(100) % 2, np.linspace(0, 1, 100), np.arange(100, dtype=np.uint8)):
        for first, second in ((x, numbers), (numbers, x)):
            as_numbers = stats.ks(first.astype(float), second.astype(float))
            assert stats.ks(first, second) == as_numbers


@pytest.mark.parametrize("values", [{"x": [1.0]}, tg.drift({"x": [1.0]}, {"x": [1.0]}).to_pandas()])
def test_a_sample_is_one_column(values: Any) -> None:
    for x, y in ((values, [1.0, 2.0]), ([1.0, 2.0], values)):
        with pytest.raises(UsageError, match="an array, a list or a Series would be accepted"):
            stats.ks(x, y)


@pytest.mark.parametrize("value", [-1, 1.5, True, float("nan"), {"a": 1}, [3]])
@pytest.mark.parametrize("role", ["frequency", "weight", "time", "label", "id"])
def test_roles_take_names(role: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^{role}=.*of (a column|columns) would be accepted$"):
        tg.drift({"x": [1.0, 2.0]}, {"x": [1.0, 2.0]}, **{role: value})


@pytest.mark.parametrize("scale", [1e160, 1e-200, 1e300, 5e-320])
def test_components_know_no_largest_number(scale: float) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.integers(-8, 9, size=(300, 3)) * 1.0, rng.integers(-8, 9, size=(300, 3)) * [3.0, 1.0, 1.0]
    usual = stats.pca_reconstruction(x, y, components=2)
    # Whole numbers up to 24: exact at any scale, the smallest floats included.
    found = stats.pca_reconstruction(x * scale, y * scale, components=2)
    assert found.statistic == pytest.approx(usual.statistic, rel=1e-9 if scale > 1e-300 else 1e-2)
    assert found.statistic > 0.5


def test_all_components_leave_nothing() -> None:
    rng = np.random.default_rng(2)
    found = stats.pca_reconstruction(rng.normal(size=(200, 3)), rng.normal(size=(200, 3)) + 1, components=3)
    assert (found.statistic, found.pvalue) == (0, 1)
    assert "nothing is left to reconstruct" in str(found.message)


def test_components_of_values_without_measure() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    y[7, 1] = 1e200
    with pytest.raises(UsageError, match=r'column "column_1": row 7 of the current sample'):
        stats.pca_reconstruction(x, y)


def test_quantiles_of_few_rows_have_no_interval() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.lognormal(size=1000), rng.lognormal(size=49)
    few = stats.quantile_shift(x, y)
    assert few.ci is None
    assert "49 rows of a side" in str(few.message)
    assert stats.quantile_shift(x, np.append(y, 1.0)).ci is not None


@pytest.mark.parametrize(("n", "m"), [(5, 1000), (10, 10), (1000, 10)])
@pytest.mark.parametrize("name", ["wasserstein", "l_infinity", "hellinger", "psi", "kullback_leibler"])
def test_intervals_of_few_rows_hold(name: str, n: int, m: int) -> None:
    """Held before in 86 % (wasserstein), 0 to 50 % (l_infinity), 0 to 95 % (psi, Kullback-Leibler)."""
    rng = np.random.default_rng(n + m)
    edges = norm.ppf(np.arange(1, 12) / 12)
    for shift in (0.0, 1.5):
        p, q = (np.diff([0, *norm.cdf(edges - s), 1]) for s in (0.0, shift))
        true = {
            "wasserstein": shift,
            "l_infinity": np.abs(p - q).max(),
            "hellinger": np.sqrt(0.5 * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum()),
            "psi": ((q - p) * np.log(q / p)).sum(),
            "kullback_leibler": (p * np.log(p / q)).sum(),
        }[name]
        held = 0
        for _ in range(60):
            x, y = rng.normal(size=n), rng.normal(shift, 1, size=m)
            if name == "wasserstein":
                found = stats.wasserstein(x, y)
            else:
                cells = (np.searchsorted(edges, v) for v in (x, y))
                found = getattr(stats, name)(*cells, categorical=True)
            assert found.ci is not None
            held += found.ci.low - 1e-9 <= true <= found.ci.high + 1e-9
        # 50 of 60 where 95 % hold: a chance of 1.5e-3.
        assert held > 50, shift
