"""Weighted statistics against numpy, scipy and statsmodels, on the survey weights of adult and made ones."""

import itertools
import json
import math
from functools import cache

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import tidegauge as tg
from engine import data_folder
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
from tidegauge import _core
from tidegauge.errors import UsageError

REL = 1e-9
Side = tuple[np.ndarray, np.ndarray]


@cache
def adult(side: str) -> dict[str, np.ndarray]:
    data = pq.read_table(data_folder("adult") / f"{side}.parquet")
    return {name: np.array(data[name].to_pylist(), dtype=object) for name in data.column_names}


@cache
def numbers(column: str, side: str) -> Side:
    found = adult(side)
    return found[column].astype(float), found["fnlwgt"].astype(float)


PAIRS = list(itertools.product(["age", "hours_per_week", "capital_gain", "score"], ["current", "current_iid"]))


def pair(column: str, current: str) -> tuple[Side, Side]:
    return numbers(column, "reference"), numbers(column, current)


def distributions(a: Side, b: Side) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All values, and both weighted distribution functions there."""
    z = np.unique(np.concatenate([a[0], b[0]]))
    mass = [np.bincount(np.searchsorted(z, x), w, len(z)) for x, w in (a, b)]
    f, g = (np.cumsum(m) / m.sum() for m in mass)
    return z, f, g


def kish(w: np.ndarray) -> float:
    return float(w.sum() ** 2 / (w * w).sum())


def mean_error(x: np.ndarray, w: np.ndarray) -> float:
    """Linearised variance of a weighted mean, every row a cluster."""
    n = kish(w)
    return float((w**2 * (x - np.average(x, weights=w)) ** 2).sum() / w.sum() ** 2 * n / (n - 1))


@pytest.mark.parametrize(("column", "current"), PAIRS)
def test_distances_of_distribution_functions(column: str, current: str) -> None:
    a, b = pair(column, current)
    weights = (a[1], b[1])
    z, f, g = distributions(a, b)
    up, down = (f - g).max(), (g - f).max()
    n, m = kish(a[1]), kish(b[1])
    ks = tg.stats.ks(a[0], b[0], weights=weights)
    assert ks.statistic == pytest.approx(max(up, down), rel=REL)
    assert ks.exactness == "exact"
    assert ks.variance == "weights"
    assert (ks.n_reference, ks.n_current) == (len(a[0]), len(b[0]))
    assert ks.n_eff_reference == pytest.approx(n, rel=REL)
    assert ks.n_eff_current == pytest.approx(m, rel=REL)
    assert tg.stats.kuiper(a[0], b[0], weights=weights).statistic == pytest.approx(max(up, 0) + max(down, 0), rel=REL)
    w1 = stats.wasserstein_distance(a[0], b[0], *weights)
    assert tg.stats.wasserstein(a[0], b[0], weights=weights).statistic == pytest.approx(w1, rel=REL)
    energy = stats.energy_distance(a[0], b[0], *weights)
    assert tg.stats.energy(a[0], b[0], weights=weights).statistic == pytest.approx(energy, rel=REL)
    pooled = np.diff((n * f + m * g) / (n + m), prepend=0)
    cvm = n * m / (n + m) * ((f - g) ** 2 * pooled).sum()
    assert tg.stats.cramer_von_mises(a[0], b[0], weights=weights).statistic == pytest.approx(cvm, rel=REL)
    p, q = np.diff(f, prepend=0), np.diff(g, prepend=0)
    above = (q * (f - 0.5 * p)).sum()
    superior = tg.stats.probability_of_superiority(a[0], b[0], weights=weights)
    assert superior.statistic == pytest.approx(above, rel=REL)
    mann_whitney = tg.stats.mann_whitney(a[0], b[0], weights=weights).statistic
    assert mann_whitney == pytest.approx((1 - above) * n * m, rel=REL)
    shifts = [
        abs(z[np.searchsorted(g, k - 1e-15)] - z[np.searchsorted(f, k - 1e-15)]) for k in (0.05, 0.25, 0.5, 0.75, 0.95)
    ]
    assert tg.stats.quantile_shift(a[0], b[0], weights=weights).statistic == pytest.approx(max(shifts), rel=REL)


@pytest.mark.parametrize(("column", "current"), PAIRS)
def test_means(column: str, current: str) -> None:
    a, b = pair(column, current)
    weights = (a[1], b[1])
    first, second = DescrStatsW(*a, ddof=0), DescrStatsW(*b, ddof=0)
    shift = tg.stats.mean_shift(a[0], b[0], weights=weights)
    assert shift.statistic == pytest.approx(second.mean - first.mean, rel=REL)
    va, vb = mean_error(*a), mean_error(*b)
    t = tg.stats.welch_t(a[0], b[0], weights=weights)
    assert t.statistic == pytest.approx((first.mean - second.mean) / math.sqrt(va + vb), rel=REL)
    n, m = kish(a[1]), kish(b[1])
    df = (va + vb) ** 2 / (va**2 / (n - 1) + vb**2 / (m - 1))
    assert t.pvalue == pytest.approx(2 * stats.t.sf(abs(t.statistic), df), rel=1e-7)
    assert shift.pvalue == pytest.approx(t.pvalue, rel=1e-7)
    assert shift.ci is not None
    half = stats.t.isf(0.025, df) * math.sqrt(va + vb)
    assert shift.ci.high - shift.statistic == pytest.approx(half, rel=1e-6)


def test_frequencies_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=300), rng.normal(0.2, 1.3, size=200)
    wx, wy = rng.integers(0, 6, 300), rng.integers(1, 9, 200)
    found = tg.drift(
        pl.DataFrame({"x": x, "n": wx}), pl.DataFrame({"x": y, "n": wy}), frequency="n", statistics={"x": "mean_shift"}
    ).rows
    t = next(r for r in found if r["statistic"] == "welch_t")
    expected = CompareMeans(DescrStatsW(x, wx), DescrStatsW(y, wy)).ttest_ind(usevar="unequal")
    assert t["value"] == pytest.approx(expected[0], rel=REL)
    assert t["pvalue"] == pytest.approx(expected[1], rel=1e-8)
    assert (t["n_reference"], t["n_current"]) == (wx.sum(), wy.sum())


def table(column: str, current: str, missing: bool) -> tuple[list[object], list[Side], list[np.ndarray]]:
    """Categories with new values as one cell; positions and weights of the rows, and the squared weights by cell."""
    sides = [adult("reference"), adult(current)]
    known = sorted({v for v in sides[0][column] if v is not None})
    cells: list[object] = [*known]
    values = [[("new" if v not in known else v) if v is not None else None for v in s[column]] for s in sides]
    if any("new" in v for v in values):
        cells.append("new")
    if missing and any(None in v for v in values):
        cells.append(None)
    rows = []
    for v, s in zip(values, sides, strict=True):
        kept = [i for i, value in enumerate(v) if value in cells]
        rows.append((np.array([cells.index(v[i]) for i in kept]), s["fnlwgt"].astype(float)[kept]))
    return cells, rows, [np.bincount(at, w, len(cells)) for at, w in rows]


CATEGORICAL = list(itertools.product(["workclass", "occupation", "sex", "race"], ["current", "current_iid"]))


@pytest.mark.parametrize(("column", "current"), CATEGORICAL)
def test_shares_of_categories(column: str, current: str) -> None:
    _, rows, mass = table(column, current, missing=True)
    p, q = (m / m.sum() for m in mass)
    n, m = (kish(w) for _, w in rows)
    k = int(((p + q) > 0).sum())
    a, b = (p * n + 0.5) / (n + k / 2), (q * m + 0.5) / (m + k / 2)
    x, y = (adult(s)[column].tolist() for s in ("reference", current))
    weights = (adult("reference")["fnlwgt"].astype(float), adult(current)["fnlwgt"].astype(float))
    expected = {
        "psi": ((b - a) * np.log(b / a)).sum(),
        "kullback_leibler": (a * np.log(a / b)).sum(),
        "hellinger": math.sqrt(0.5 * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum()),
        "l_infinity": np.abs(p - q).max(),
    }
    for name, value in expected.items():
        found = getattr(tg.stats, name)(x, y, weights=weights)
        assert found.statistic == pytest.approx(value, rel=1e-8, abs=1e-12), name
        assert found.bound_low - 1e-15 <= value <= found.bound_high + 1e-15, name
    _, rows, mass = table(column, current, missing=False)
    p, q = (m / m.sum() for m in mass)
    n, m = (kish(w) for _, w in rows)
    tv = tg.stats.total_variation(x, y, weights=weights)
    assert tv.statistic == pytest.approx(0.5 * np.abs(p - q).sum(), rel=REL, abs=1e-13)
    chi_square = n * m * ((p - q) ** 2 / (n * p + m * q)).sum()
    assert tg.stats.chi_square(x, y, weights=weights).statistic == pytest.approx(chi_square, rel=REL)
    assert tv.pvalue == pytest.approx(rao_scott(rows, mass, weights), rel=1e-6, abs=1e-290)


def rao_scott(rows: list[Side], mass: list[np.ndarray], weights: tuple[np.ndarray, np.ndarray]) -> float:
    """The survey test of homogeneity: second-order correction, every row a cluster, rare cells in one.

    Rows without a category are clusters too; samples are pooled as rows of equal weight.
    """
    worth = [kish(w) for w in weights]
    unit = [k / w.sum() for k, w in zip(worth, weights, strict=True)]
    pooled = sum(u * m for u, m in zip(unit, mass, strict=True))
    common = pooled >= 0.01 * pooled.sum()
    order = np.where(common, np.cumsum(common) - 1, common.sum())
    k = order.max() + 1
    shares, covariances = [], []
    for (at, w), n in zip(rows, worth, strict=True):
        one = np.eye(k)[order[at]]
        p = w @ one / w.sum()
        residual = (one - p) * w[:, None]
        covariances.append(residual.T @ residual / w.sum() ** 2 * n / (n - 1))
        shares.append(p)
    own = [u * w.sum() for u, (_, w) in zip(unit, rows, strict=True)]
    h = (own[0] * shares[0] + own[1] * shares[1]) / sum(own)
    scaled = [v / np.sqrt(np.outer(h, h)) for v in covariances]
    traces = [np.trace(v) for v in scaled]
    total = scaled[0] + scaled[1]
    distance = ((shares[0] - shares[1]) ** 2 / h).sum()
    df = np.trace(total) ** 2 / (total**2).sum()
    blocks = sum(traces) ** 2 / sum(t * t / (n - 1) for t, n in zip(traces, worth, strict=True))
    return float(stats.f.sf(distance / sum(traces), df, df * blocks))


@pytest.mark.parametrize("current", ["current", "current_iid"])
def test_profiles_give_the_same_numbers_as_arrays(current: str) -> None:
    columns = ["age", "workclass", "sex", "score", "hours_per_week"]
    frames = [pl.DataFrame({c: adult(s)[c].tolist() for c in [*columns, "fnlwgt"]}) for s in ("reference", current)]
    rows = tg.drift(*frames, weight="fnlwgt").rows
    weights = tuple(f["fnlwgt"] for f in frames)
    checked = 0
    for row in rows:
        # The scale of scaled distances is read off the grid.
        named = row["statistic"] in ("verdict", "schema") or row["statistic"].endswith("_scaled")
        if row["feature"] not in columns or named or row["value"] is None:
            continue
        x, y = (f[row["feature"]] for f in frames)
        found = getattr(tg.stats, row["statistic"])(x, y, weights=weights)
        room = 1e-12 * (1 + abs(found.statistic))
        assert row["bound_low"] - room <= found.statistic <= row["bound_high"] + room
        if row["exactness"] == "exact":
            assert found.statistic == row["value"], row["statistic"]
            checked += 1
    assert checked > 40


def test_rounded_weights_stay_within_their_certificate() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=800), rng.normal(0.2, 1, size=700)
    weights = rng.lognormal(0, 3, 800), rng.lognormal(0, 3, 700)
    _, f, g = distributions((x, weights[0]), (y, weights[1]))
    for name, value in {
        "ks": np.abs(f - g).max(),
        "wasserstein": stats.wasserstein_distance(x, y, *weights),
        "energy": stats.energy_distance(x, y, *weights),
        "mean_shift": np.average(y, weights=weights[1]) - np.average(x, weights=weights[0]),
    }.items():
        found = getattr(tg.stats, name)(x, y, weights=weights)
        assert found.exactness == "certified"
        assert found.bound_low <= value <= found.bound_high
        assert found.bound_high - found.bound_low < 1e-4
    assert tg.stats.ks(x, y, weights=(np.round(weights[0]), None)).exactness == "exact"


def test_one_side_may_have_equal_weights() -> None:
    rng = np.random.default_rng(8)
    x, y, w = rng.normal(size=500), rng.normal(size=400), rng.integers(1, 10**6, 400)
    _, f, g = distributions((x, np.ones(500)), (y, w))
    found = tg.stats.ks(x, y, weights=(None, w))
    assert found.statistic == pytest.approx(np.abs(f - g).max(), rel=REL)
    assert found.n_eff_reference == 500
    assert tg.stats.ks(x, y, weights=(None, None)) == tg.stats.ks(x, y)
    with pytest.raises(UsageError, match="400 values and 3 weights"):
        tg.stats.ks(x, y, weights=(None, [1, 2, 3]))


def test_every_statistic_takes_weights() -> None:
    rng = np.random.default_rng(9)
    samples = {
        "numeric": (rng.normal(size=200), rng.normal(0.3, 1, size=150)),
        "categorical": (rng.choice(["a", "b"], 200).tolist(), rng.choice(["a", "b"], 150, p=[0.6, 0.4]).tolist()),
    }
    weights = rng.integers(1, 9, 200), rng.integers(1, 9, 150)
    for entry in json.loads(_core.registry()):
        x, y = samples["categorical" if entry["kinds"] == "categorical" else "numeric"]
        plain, weighed = (getattr(tg.stats, entry["name"])(x, y, weights=w) for w in ((None, None), weights))
        assert math.isfinite(weighed.statistic)
        low, high = entry["range"]
        assert low is None or weighed.statistic >= low
        assert high is None or weighed.statistic <= high
        assert getattr(tg.stats, entry["name"])(x, y, weights=([3] * 200, [5] * 150)).statistic == plain.statistic


# Pairs of samples of 600 and 500 rows with lognormal weights (sigma 1, worth 37 %).
RUNS = 250


@cache
def simulated(shift: float) -> dict[str, list[tuple[float, float, float, float]]]:
    """Of each statistic: p, both limits and the value; beside them a test that takes rows for their worth."""
    rng = np.random.default_rng(11)
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for _ in range(RUNS):
        x, y = rng.normal(size=600), rng.normal(shift, 1, size=500)
        wx, wy = rng.lognormal(size=600), rng.lognormal(size=500)
        for name in ("ks", "mean_shift", "total_variation", "psi"):
            r = getattr(tg.stats, name)(x, y, weights=(wx, wy))
            assert r.ci is not None
            found.setdefault(name, []).append((r.pvalue, r.ci.low, r.ci.high, r.statistic))
        # The same weighted statistic with the number of rows in place of their worth.
        se = math.sqrt(np.cov(x, aweights=wx) / 600 + np.cov(y, aweights=wy) / 500)
        t = (np.average(x, weights=wx) - np.average(y, weights=wy)) / se
        found.setdefault("unweighted n", []).append((2 * stats.norm.sf(abs(t)), 0, 0, t))
    return found


def test_tests_keep_their_level_under_weights() -> None:
    found = simulated(0.0)
    rate = {name: np.mean([r[0] < 0.05 for r in runs]) for name, runs in found.items()}
    for name in ("ks", "mean_shift", "total_variation", "psi"):
        assert 0.02 <= rate[name] <= 0.09, rate
    assert rate["unweighted n"] > 0.15, rate


def test_intervals_cover_under_weights() -> None:
    shift = 0.3
    found = simulated(shift)
    true_ks = 2 * stats.norm.cdf(shift / 2) - 1
    truth = {"mean_shift": shift, "ks": true_ks}
    cover = {name: np.mean([low <= truth[name] <= high for _, low, high, _ in found[name]]) for name in truth}
    assert 0.92 <= cover["mean_shift"] <= 0.98, cover
    # Intervals of distances are wide by design.
    assert cover["ks"] >= 0.93, cover
