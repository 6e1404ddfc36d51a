"""Two-sample tests of the registry against scipy on real prediction logs and on adversarial samples."""

import math
from collections import Counter
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine import Json, data_folder, profile_files, row, rows, statistic
from scipy import special, stats

# scipy says that it clips the p-value of Anderson and Darling, and that constants lose precision.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

DATA_SETS = ["nycflights13", "bike_2011", "bike_sharing", "adult"]
# Sums of 2e5 doubles in another order than scipy's, and ranks of 1e10 in it.
REL = 1e-9


@cache
def sample(name: str, side: str) -> pa.Table:
    return pq.read_table(data_folder(name) / f"{side}.parquet")


def columns(name: str, numeric: bool) -> list[str]:
    schema = sample(name, "reference").schema
    kinds = [(f.name, pa.types.is_integer(f.type) or pa.types.is_floating(f.type)) for f in schema]
    times = {f.name for f in schema if pa.types.is_timestamp(f.type)}
    return [c for c, number in kinds if number == numeric and c not in times]


def numbers(name: str, side: str, column: str) -> np.ndarray:
    return sample(name, side)[column].drop_null().cast(pa.float64()).to_numpy()


def blocks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of either side per distinct value, ascending."""
    values, at = np.unique(np.concatenate([x, y]), return_inverse=True)
    counted = (np.bincount(side, minlength=len(values)) for side in (at[: len(x)], at[len(x) :]))
    a, b = (c.astype(float) for c in counted)
    return a, b


def cramer_von_mises(x: np.ndarray, y: np.ndarray) -> float:
    """n m / N^2 times the sum of (F - G)^2 over pooled rows: scipy 1.17 is wrong with ties."""
    a, b = blocks(x, y)
    n, m = len(x), len(y)
    gap = np.cumsum(a) / n - np.cumsum(b) / m
    return float(n * m / (n + m) ** 2 * ((a + b) * gap**2).sum())


def kuiper(x: np.ndarray, y: np.ndarray) -> float:
    a, b = blocks(x, y)
    gap = np.cumsum(a) / len(x) - np.cumsum(b) / len(y)
    return float(max(gap.max(), 0) + max(-gap.min(), 0))


def kuiper_limit(x: float) -> float:
    j = np.arange(1, 200)
    if x < 0.5:
        return 1.0
    return float(2 * ((4 * j**2 * x**2 - 1) * np.exp(-2 * j**2 * x**2)).sum())


def close(found: Json, value: float, pvalue: float | None, what: object, absolute: float = 1e-12) -> None:
    assert found["statistic"] == pytest.approx(value, rel=REL, abs=absolute), what
    if pvalue is not None:
        assert found["pvalue"] == pytest.approx(pvalue, rel=1e-6, abs=1e-290), what


def check(x: object, y: object, a: np.ndarray, b: np.ndarray, what: object) -> None:
    """Every two-sample test of one ordered column."""
    n, m = len(a), len(b)
    close(statistic("energy", x, y), stats.energy_distance(a, b), None, what, 1e-7)  # a root near 0
    close(statistic("cramer_von_mises", x, y), cramer_von_mises(a, b), None, what)
    v = kuiper(a, b)
    limit = kuiper_limit(v * math.sqrt(n * m / (n + m)))
    found = statistic("kuiper", x, y)
    assert found["statistic"] == pytest.approx(v, rel=REL, abs=1e-12)
    assert found["pvalue"] == pytest.approx(limit, rel=1e-6, abs=1e-12 if limit > 0.5 else 1e-290), what
    u = stats.mannwhitneyu(a, b, method="asymptotic")
    if math.isnan(u.pvalue):
        assert statistic("mann_whitney", x, y)["pvalue"] == 1
    else:
        close(statistic("mann_whitney", x, y), u.statistic, u.pvalue, what)
    found = statistic("probability_of_superiority", x, y)
    close(found, 1 - u.statistic / (n * m), None, what)
    assert found["ci_low"] <= found["statistic"] <= found["ci_high"]
    if len(np.unique(np.concatenate([a, b]))) > 1:
        found = statistic("anderson_darling", x, y)
        close(found, stats.anderson_ksamp([a, b], variant="midrank").statistic, None, what, 1e-9)
        assert 0 <= found["pvalue"] <= 1
    if a.std() + b.std() > 0 and min(n, m) > 1:
        t = stats.ttest_ind(a, b, equal_var=False)
        close(statistic("welch_t", x, y), t.statistic, t.pvalue, what, 1e-9)
        w = stats.levene(a, b, center="median")
        if not math.isnan(w.statistic) and math.isfinite(w.statistic):
            found = statistic("brown_forsythe", x, y)
            assert found["statistic"] == pytest.approx(w.statistic, rel=1e-8, abs=1e-12), what
            # F with one degree of freedom is the square of a t, which keeps the digits scipy's F may not.
            p = 2 * special.stdtr(n + m - 2, -math.sqrt(w.statistic))
            assert found["pvalue"] == pytest.approx(p, rel=1e-6, abs=1e-290), what


@pytest.mark.parametrize("name", DATA_SETS)
def test_ordered_columns(name: str) -> None:
    for column in columns(name, numeric=True):
        x, y = (sample(name, side)[column] for side in ("reference", "current"))
        check(x, y, numbers(name, "reference", column), numbers(name, "current", column), (name, column))


RNG = np.random.default_rng(2026)
ADVERSARIAL: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "normal": (RNG.normal(size=700), RNG.normal(0.2, 1.1, 900)),
    "no change": (RNG.normal(size=300), RNG.normal(size=400)),
    "binary": (RNG.integers(0, 2, 500).astype(float), (RNG.random(400) < 0.6).astype(float)),
    "nine tenths zero": (
        np.where(RNG.random(800) < 0.9, 0, RNG.normal(size=800)),
        np.where(RNG.random(900) < 0.85, 0, RNG.normal(size=900)),
    ),
    "constant against constant": (np.full(50, 3.0), np.full(40, 4.0)),
    "equal constants": (np.full(50, 3.0), np.full(40, 3.0)),
    "disjoint": (RNG.normal(size=600), RNG.normal(50, 1, 500)),
    "heavy tails": (RNG.standard_cauchy(500), RNG.standard_cauchy(500) * 2),
    "one row": (np.array([0.3]), RNG.normal(size=100)),
    "thousand to one": (RNG.normal(size=20_000), RNG.normal(0.5, 1, 20)),
    "offset": (1e6 + RNG.normal(size=300), 1e6 + RNG.normal(0.3, 1, 300)),
    "wider": (RNG.normal(size=3000), RNG.normal(0, 3, 2500)),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_adversarial_samples(name: str) -> None:
    x, y = ADVERSARIAL[name]
    check(x, y, x, y, name)
    check(y, x, y, x, name)


def test_infinities_are_ordered_values() -> None:
    x = np.array([-np.inf, -np.inf, 0.5, 1.0, np.inf, 2.0])
    y = np.array([-np.inf, 0.5, np.inf, np.inf, 3.0])
    plain = [np.nan_to_num(v, posinf=10, neginf=-10) for v in (x, y)]
    for name in ("cramer_von_mises", "anderson_darling", "mann_whitney", "probability_of_superiority", "kuiper"):
        with_infinities, finite = statistic(name, x, y), statistic(name, *plain)
        assert with_infinities["statistic"] == finite["statistic"], name
        assert with_infinities["pvalue"] == finite["pvalue"], name
    with_missing = [np.append(v, [np.nan, np.nan]) for v in plain]
    for name in ("energy", "welch_t", "brown_forsythe", "kuiper", "mann_whitney"):
        assert statistic(name, *with_missing)["statistic"] == statistic(name, *plain)["statistic"], name


def test_scipy_agrees_without_ties() -> None:
    """The asymptotic p-value of Cramer and von Mises, which scipy gives without ties."""
    for seed, shift in enumerate([0.0, 0.1, 0.3, 1.0]):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=230), rng.normal(shift, 1, 310)
        theirs = stats.cramervonmises_2samp(x, y, method="asymptotic")
        found = statistic("cramer_von_mises", x, y)
        assert found["statistic"] == pytest.approx(theirs.statistic, rel=1e-9)
        assert found["pvalue"] == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-8)  # 1 - cdf there
        # Within scipy's table for Anderson and Darling the interpolated p is good to a tenth or so.
        p = stats.anderson_ksamp([x, y], variant="midrank").pvalue
        ours = statistic("anderson_darling", x, y)["pvalue"]
        assert p in (0.001, 0.25) or ours == pytest.approx(p, rel=0.1), (p, ours)


def test_equal_shares_with_ties() -> None:
    """0/1 columns with equal shares: scipy 1.17 gives T = 3.4 and p = 1e-8, right are 0 and 1."""
    x, y = (np.repeat([0.0, 1.0], counts) for counts in ([400, 600], [300, 450]))
    assert stats.cramervonmises_2samp(x, y).pvalue < 1e-7
    for name in ("cramer_von_mises", "kuiper", "energy"):
        assert statistic(name, x, y)["statistic"] == 0, name
    for name in ("cramer_von_mises", "anderson_darling", "kuiper"):
        assert statistic(name, x, y)["pvalue"] == 1, name


@pytest.mark.parametrize("values", [2, 3, 10, 10**6], ids=lambda v: f"{v} values")
@pytest.mark.parametrize("name", ["cramer_von_mises", "anderson_darling"])
def test_level_with_ties(name: str, values: int) -> None:
    """5 % false alarms with any ties: standardised by the variance given the ties."""
    rng, runs, level = np.random.default_rng(values), 2000, 0.05
    false = 0
    for _ in range(runs):
        x, y = (np.floor(rng.beta(0.7, 1.3, n) * values) for n in (60, 90))
        false += statistic(name, x, y)["pvalue"] < level
    # Two moments of a law, on lattices: within a third of the level and Monte-Carlo error.
    assert abs(false / runs - level) < level / 3 + 4 * math.sqrt(level * (1 - level) / runs)


def table(name: str, column: str) -> np.ndarray:
    """2 x k counts of values without nulls, new values as one cell."""
    reference, current = (Counter(sample(name, s)[column].drop_null().to_pylist()) for s in ("reference", "current"))
    known = sorted(reference)
    new = sum(c for v, c in current.items() if v not in reference)
    rows_ = [[c[v] for v in known] + [extra] for c, extra in ((reference, 0), (current, new))]
    counted = np.array(rows_)
    return counted[:, counted.sum(axis=0) > 0]


@pytest.mark.parametrize("name", DATA_SETS)
def test_categories(name: str) -> None:
    for column in columns(name, numeric=False):
        x, y = (sample(name, side)[column] for side in ("reference", "current"))
        counted = table(name, column)
        found = statistic("g_test", x, y)
        if counted.shape[1] > 1:
            theirs = stats.chi2_contingency(counted, lambda_="log-likelihood", correction=False)
            # Where a value is expected in fewer than 8 rows of a side: test_few_rows_of_categories.
            many = (counted.sum(axis=0) * counted.sum(axis=1).min() / counted.sum()).min() >= 8
            close(found, theirs.statistic, theirs.pvalue if many else None, column, 1e-9)
        missing = [sample(name, s)[column].null_count for s in ("reference", "current")]
        cells = np.column_stack([counted, missing])
        p, q = (c / c.sum() for c in cells[:, cells.sum(axis=0) > 0] + 0.5)
        close(statistic("kullback_leibler", x, y), stats.entropy(p, q), None, column)
        if counted.shape[1] == 2:
            test = stats.fisher_exact(counted)
            close(statistic("fisher_exact", x, y), test.statistic, test.pvalue, column)


def test_fisher_refuses_more_than_two_categories() -> None:
    with pytest.raises(Exception, match="3 categories; exactly 2 would be accepted"):
        statistic("fisher_exact", list("abc"), list("aab"))
    with pytest.raises(Exception, match="1 categories"):
        statistic("fisher_exact", list("aaa"), list("aa"))


@pytest.mark.parametrize("counts", [(5000, 5200, 5300, 4900), (3, 40_000, 30, 41_000), (400, 4, 10, 390)])
def test_fisher_of_booleans(counts: tuple[int, int, int, int]) -> None:
    a, b, c, d = counts
    x, y = ([False] * i + [True] * j for i, j in ((a, b), (c, d)))
    test = stats.fisher_exact([[a, b], [c, d]])
    close(statistic("fisher_exact", x, y), test.statistic, test.pvalue, counts)


@pytest.mark.parametrize("name", ["nycflights13", "adult"])
def test_certificates_of_profiles(name: str) -> None:
    """Bounds of profiles hold the exact values, and are of use."""
    folder = data_folder(name)
    reference = profile_files([folder / "reference.parquet"])
    found = rows(reference, profile_files([folder / "current.parquet"], reference))
    judged = {r["feature"] for r in found if r["statistic"] == "kuiper"} & set(columns(name, numeric=True))
    assert judged
    for column in judged:
        x, y = (sample(name, side)[column] for side in ("reference", "current"))
        for which in (
            "energy",
            "cramer_von_mises",
            "anderson_darling",
            "mann_whitney",
            "probability_of_superiority",
            "kuiper",
            "welch_t",
            "brown_forsythe",
        ):
            exact, certified = statistic(which, x, y), row(found, which, column)
            slack = REL * abs(exact["statistic"]) + 1e-12
            assert certified["bound_low"] <= exact["bound_high"] + slack, (column, which)
            assert certified["bound_high"] >= exact["bound_low"] - slack, (column, which)
            # With blocks of days p is another test's.
            if which != "energy" and certified["variance"] == "iid":
                assert certified["pvalue"] >= exact["pvalue"] * (1 - 1e-3) - 1e-12, (column, which)
            width = certified["bound_high"] - certified["bound_low"]
            if which in ("probability_of_superiority", "kuiper"):
                assert width <= 0.01, (column, which)
            if which in ("energy", "cramer_von_mises", "mann_whitney", "brown_forsythe"):
                assert width <= 0.2 * abs(certified["value"]) + 0.5, (column, which, width)
