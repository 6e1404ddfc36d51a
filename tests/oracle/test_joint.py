"""Statistics of whole rows against brute force, scipy and scikit-learn; their levels by simulation."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from engine import EXAMPLES
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from tidegauge import stats as tg
from tidegauge.errors import UsageError

LEVEL = 0.05
JOINT: list[Callable[..., tg.JointResult]] = [tg.mmd, tg.energy_multivariate, tg.pca_reconstruction, tg.classifier_test]


def within(false: int, runs: int, level: float = LEVEL) -> bool:
    """Whether so many rejections are what the level gives, by 3.5 standard errors."""
    return abs(false / runs - level) < 3.5 * math.sqrt(level * (1 - level) / runs)


def mixed(n: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Numbers with ties, missing and infinite ones, categories with missing ones, and a constant."""
    rng = np.random.default_rng(seed)
    a = rng.normal(shift, 2, n)
    a[rng.random(n) < 0.1] = np.nan
    a[0] = np.inf
    words = rng.choice(["u", "v", "w"], n).astype(object)
    words[rng.random(n) < 0.1] = None
    columns = {"a": a, "b": rng.integers(0, 9, n), "c": words.tolist(), "d": rng.random(n) < 0.3, "e": np.full(n, 7.0)}
    return pl.DataFrame(columns)


def points(x: pl.DataFrame, y: pl.DataFrame) -> np.ndarray:
    """The rows as the definition of mmd places them, one-hot."""
    both = pl.concat([x, y])
    out = []
    for column in both:
        if column.dtype.is_numeric():
            v = column.cast(pl.Float64).to_numpy().copy()
            finite = np.isfinite(v)
            if v[finite].std() > 0:
                low, middle, high = np.quantile(v[finite], [0.25, 0.5, 0.75])
                scale = (high - low) / (2 * stats.norm.ppf(0.75)) or v[finite].std()
                v[~finite] = middle
                out.append((v - middle) / scale)
            raw = column.cast(pl.Float64).to_numpy()
            kinds: Any = np.select([finite, np.isnan(raw), raw > 0], [0, 1, 2], 3)
        else:
            kinds = np.array([str(v) for v in column.to_list()])
        if len(np.unique(kinds)) > 1:
            out += [1.0 * (kinds == level) for level in np.unique(kinds)]
    return np.column_stack(out)


def distances(p: np.ndarray) -> np.ndarray:
    return np.sqrt(((p[:, None] - p[None]) ** 2).sum(axis=-1))


def test_energy_of_mixed_rows_by_brute_force() -> None:
    x, y = mixed(70, 1), mixed(50, 2, 1.0)
    d, n = distances(points(x, y)), 70
    right = 2 * d[:n, n:].mean() - d[:n, :n].mean() - d[n:, n:].mean()
    found = tg.energy_multivariate(x, y, permutations=0)
    assert found.statistic == pytest.approx(right, rel=1e-12)
    assert found.pvalue is None
    assert str(found.message) == 'one value in both samples: "e"'


@pytest.mark.parametrize("seed", range(3))
def test_energy_of_one_column_is_the_square_of_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=80), np.round(rng.normal(0.4, 2, 60), 1)
    found = tg.energy_multivariate(x, y, scale="none", permutations=0)
    assert found.statistic == pytest.approx(stats.energy_distance(x, y) ** 2, rel=1e-12)


def test_permutation_p_by_brute_force() -> None:
    """All 70 allocations of 4 + 4 rows: p of many draws is near that of the full list, and never 0."""
    from itertools import combinations

    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(4, 2)), rng.normal(1.2, 1, (4, 2))
    d = distances(np.vstack([x, y]))

    def energy(own: tuple[int, ...]) -> float:
        rest = [i for i in range(8) if i not in own]
        return float(2 * d[np.ix_(own, rest)].mean() - d[np.ix_(own, own)].mean() - d[np.ix_(rest, rest)].mean())

    seen = energy((0, 1, 2, 3))
    every = np.array([energy(c) for c in combinations(range(8), 4)])
    exact = (every >= seen - 1e-12).mean()
    found = tg.energy_multivariate(x, y, scale="none", permutations=20_000)
    assert found.pvalue == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))
    assert found.value_if_no_change == pytest.approx(every.mean(), rel=0.02)
    far = tg.energy_multivariate(x, y + 100, permutations=999)
    assert far.pvalue is not None
    assert far.pvalue >= 1 / 1000


def test_energy_refuses_what_is_quadratic() -> None:
    x = np.zeros((9000, 1))
    with pytest.raises(UsageError, match=r"all pairs of 18000 rows; at most 10000 together.*mmd"):
        tg.energy_multivariate(x, x)


def gaussian(p: np.ndarray, n: int, width: float) -> float:
    """Unbiased squared discrepancy over all pairs, Gretton et al. (2012), equation 3."""
    k = np.exp(-(distances(p) ** 2) / (2 * width**2))
    m = len(p) - n
    own, other = (k[:n, :n].sum() - n) / (n * (n - 1)), (k[n:, n:].sum() - m) / (m * (m - 1))
    return float(own + other - 2 * k[:n, n:].mean())


def test_mmd_of_mixed_rows_by_brute_force() -> None:
    """Random features approach the kernel: the error of their mean falls as the root of their number."""
    x, y = mixed(80, 4), mixed(60, 5, 2.5)
    p = points(x, y)
    width = np.sqrt(np.median(distances(p)[np.triu_indices(140, 1)] ** 2))
    found = tg.mmd(x, y, features=60_000, permutations=0)
    assert found.details["bandwidth"] == pytest.approx(width, rel=0.01)  # the upper of two in the middle
    right = gaussian(p, 80, found.details["bandwidth"])
    assert found.statistic == pytest.approx(right, abs=1e-3)
    assert right > 0.01
    few = [tg.mmd(x, y, features=64, permutations=0, random_state=k).statistic for k in range(40)]
    assert np.mean(few) == pytest.approx(right, abs=4 * np.std(few) / math.sqrt(40))
    wide = tg.mmd(x, y, features=60_000, permutations=0, bandwidth=5.0)
    assert wide.statistic == pytest.approx(gaussian(p, 80, 5.0), abs=1e-3)


@pytest.mark.parametrize("function", JOINT)
def test_the_callers_generators_are_untouched(function: Callable[..., tg.JointResult]) -> None:
    x, y = mixed(60, 6), mixed(60, 7)
    np.random.seed(5)  # noqa: NPY002 - the global state is what must not move
    before, own = np.random.get_state()[1].copy(), np.random.default_rng(3)  # type: ignore[index,union-attr]  # noqa: NPY002
    first = function(x, y, random_state=own)
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]  # noqa: NPY002
    assert own.integers(1 << 60) == np.random.default_rng(3).integers(1 << 60)
    assert function(x, y, random_state=np.random.default_rng(3)) == first


@pytest.mark.parametrize("function", [tg.mmd, tg.energy_multivariate])
def test_threads_change_nothing(function: Callable[..., tg.JointResult]) -> None:
    x, y = mixed(150, 8), mixed(130, 9, 0.3)
    one, three = (function(x, y, threads=k) for k in (1, 3))
    assert one == three


def test_equal_rows_are_no_difference() -> None:
    same = {"a": [1.0] * 30, "b": ["u"] * 30}
    assert tg.mmd(same, same).pvalue == 1
    assert tg.energy_multivariate(same, same).pvalue == 1
    with pytest.raises(UsageError, match="every column has one value in the reference"):
        tg.pca_reconstruction(same, same)
    frame = mixed(100, 10)
    for function in JOINT:
        found = function(frame, frame)
        assert found.pvalue is not None
        assert found.pvalue > 0.2


def test_what_is_refused() -> None:
    x = {"a": [1.0, 2.0, 3.0], "day": ["m", "m", "t"]}
    with pytest.raises(UsageError, match="column 'a' is in x but not in y"):
        tg.mmd(x, {"day": ["m", "m"]})
    with pytest.raises(UsageError, match="column 'a' is Float64 in x and String in y"):
        tg.mmd(x, {"a": ["1"], "day": ["m"]})
    with pytest.raises(UsageError, match="a block has rows in both samples"):
        tg.mmd(x, x, block="day")
    with pytest.raises(UsageError, match="2 blocks in the reference and 1 in the current sample"):
        tg.mmd(x, {"a": [1.0, 2.0], "day": ["w", "w"]}, block="day")
    with pytest.raises(UsageError, match="block is missing in 1 rows"):
        tg.mmd(x, {"a": [1.0, 2.0], "day": ["w", None]}, block="day")
    with pytest.raises(UsageError, match="1 current rows"):
        tg.mmd(x, {"a": [1.0], "day": ["w"]})
    with pytest.raises(UsageError, match="3 rows in x and 3 in y; 20 or more a side"):
        tg.classifier_test(x, x)
    with pytest.raises(UsageError, match="bandwidth -1"):
        tg.mmd(x, x, bandwidth=-1.0)


# --- principal components ---------------------------------------------------------------------------


@pytest.mark.parametrize("components", [None, 1, 4])
def test_reconstruction_is_scikit_learns(components: int | None) -> None:
    rng = np.random.default_rng(11)
    turn = rng.normal(size=(6, 6))
    x, y = rng.normal(size=(300, 6)) @ turn + 1e4, rng.normal(size=(200, 6)) @ turn + 1e4 + rng.normal(size=6)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    fitted = PCA(n_components=components or 0.65, svd_solver="full").fit((x - mean) / scale)
    errors = []
    for side in (x, y):
        z = (side - mean) / scale
        errors.append(np.linalg.norm(z - fitted.inverse_transform(fitted.transform(z)), axis=1))
    found = tg.pca_reconstruction(x, y, components=components)
    assert found.statistic == pytest.approx(errors[1].mean(), rel=1e-9)
    assert found.details["in_sample"] == pytest.approx(errors[0].mean(), rel=1e-9)
    assert found.details["components"] == fitted.n_components_
    assert found.details["explained"] == pytest.approx(fitted.explained_variance_ratio_.sum(), rel=1e-9)
    low, high = stats.t.interval(0.95, 199, errors[1].mean(), errors[1].std(ddof=1) / math.sqrt(200))
    assert found.ci == pytest.approx((low, high), rel=1e-9)


def test_reconstruction_of_categories_and_missing_values() -> None:
    """Categories by their share of the reference, 0 for new ones; missing numbers at the mean."""
    x = pl.DataFrame({"a": [1.0, 2, 3, 4, None, 9], "b": [2.0, 1, 4, 3, 5, 5], "c": list("uuuvvw")})
    y = pl.DataFrame({"a": [1.0, None, 3.0], "b": [2.0, 2, 8], "c": ["u", "v", "new"]})
    encoded = [
        np.column_stack(
            [d["a"].fill_null(3.8), d["b"], [{"u": 3 / 6, "v": 2 / 6, "w": 1 / 6}.get(c, 0) for c in d["c"]]]
        )
        for d in (x, y)
    ]
    mean, scale = encoded[0].mean(axis=0), encoded[0].std(axis=0)
    z = [(e - mean) / scale for e in encoded]
    fitted = PCA(n_components=2, svd_solver="full").fit(z[0])
    right = np.linalg.norm(z[1] - fitted.inverse_transform(fitted.transform(z[1])), axis=1).mean()
    found = tg.pca_reconstruction(x, y, components=2)
    assert found.statistic == pytest.approx(right, rel=1e-9)
    assert "1 in the reference, 1 in the current sample" in str(found.message)


# --- levels and power -------------------------------------------------------------------------------


def test_level_of_mmd_and_energy() -> None:
    """5 % false alarms, whatever the tails and the sizes; a change of correlation alone is found."""
    rng, runs = np.random.default_rng(12), 600
    false = {"mmd": 0, "energy_multivariate": 0}
    for _ in range(runs):
        x, y = (rng.standard_t(2, size=(n, 3)) for n in (30, 20))
        for name in false:
            p = getattr(tg, name)(x, y, permutations=39, random_state=int(rng.integers(1 << 30)), threads=1).pvalue
            false[name] += p <= LEVEL
    assert all(within(count, runs) for count in false.values()), false
    one, other = (rng.multivariate_normal([0, 0], [[1, r], [r, 1]], 500) for r in (0.8, -0.8))
    assert tg.mmd(one, other).pvalue == tg.energy_multivariate(one, other).pvalue == 1 / 200


def test_level_of_pca_reconstruction() -> None:
    rng, runs, false = np.random.default_rng(13), 1000, 0
    turn = rng.normal(size=(5, 5))
    for _ in range(runs):
        x, y = (rng.normal(size=(n, 5)) @ turn for n in (150, 100))
        p = tg.pca_reconstruction(x, y).pvalue
        assert p is not None
        false += p < LEVEL
    assert 0.03 < false / runs < 0.07


def test_level_and_coverage_of_the_classifier_test() -> None:
    """5 % false alarms with trees and with a line; the interval covers 1/2 without change."""
    rng, runs = np.random.default_rng(14), 100
    false = covered = line = 0
    for _ in range(runs):
        x, y = rng.normal(size=(120, 2)), rng.normal(size=(100, 2))
        found = tg.classifier_test(x, y, classifier="lightgbm")
        assert found.pvalue is not None
        assert found.ci is not None
        false += found.pvalue < LEVEL
        covered += found.ci.low <= 0.5 <= found.ci.high
        p = tg.classifier_test(x, y, classifier=LogisticRegression()).pvalue
        assert p is not None
        line += p < LEVEL
    assert within(false, runs), false
    assert within(line, runs), line
    assert within(runs - covered, runs), covered


def test_the_classifier_names_what_separates() -> None:
    rng = np.random.default_rng(15)
    x = {"same": rng.normal(size=800), "moved": rng.normal(size=800), "word": rng.choice(["a", "b"], 800)}
    y = {"same": rng.normal(size=900), "moved": rng.normal(0.8, 1, 900), "word": rng.choice(["a", "b", "c"], 900)}
    for classifier in ("lightgbm", "sklearn"):
        found = tg.classifier_test(x, y, classifier=classifier)
        assert found.ci is not None
        assert found.ci.low > 0.6
        assert list(found.importances)[-1] == "same"
        assert abs(found.importances["same"]) < 0.03 < found.importances["word"]
    perfect = tg.classifier_test({"a": np.zeros(200)}, {"a": np.ones(200)})
    assert perfect.statistic == 1
    assert perfect.ci is not None
    assert 0.9 < perfect.ci.low < 1


def halves(rng: np.random.Generator, days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Some days of nycflights13 in random halves, every seventh row of them."""
    rows = pl.read_parquet(EXAMPLES / "nycflights13" / "reference.parquet").gather_every(7)
    rows = rows.select(pl.col("ts").dt.date().alias("day"), "temp", "dewp", "pressure", "wind_speed", "score")
    chosen = rng.permutation(rows["day"].unique().sort().to_numpy())[:days]
    first, second = (pl.Series(half) for half in np.array_split(chosen, 2))
    return rows.filter(pl.col("day").is_in(first.implode())), rows.filter(pl.col("day").is_in(second.implode()))


@pytest.mark.parametrize(("name", "runs"), [("mmd", 60), ("pca_reconstruction", 100), ("classifier_test", 25)])
def test_days_of_a_real_log(name: str, runs: int) -> None:
    """Random halves of 60 days without drift: rows as independent draws reject nearly always, days hold the level."""
    rng = np.random.default_rng(16)
    function, blocks, rows_ = getattr(tg, name), 0, 0
    for _ in range(runs):
        x, y = halves(rng, 60)
        found = function(x, y, block="day")
        assert (found.variance, found.units_reference, found.units_current) == ("block", 30, 30)
        blocks += found.pvalue <= LEVEL
        if runs < 100 and rows_ < 10 and blocks + rows_ < 15:
            rows_ += function(x, y, exclude=["day"]).pvalue <= LEVEL
    assert blocks <= stats.binom.isf(1e-3, runs, LEVEL), blocks
    assert runs >= 100 or rows_ >= 10
