"""Measured defects of tools in use today; each test states the case, the wrong answer elsewhere and the right one."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from engine import EXAMPLES, column, compare, profile, row, rows, statistic
from scipy import stats
from tidegauge import _core

DISTANCES = ["ks", "wasserstein", "psi", "jensen_shannon", "hellinger", "total_variation", "l_infinity"]


def normal(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, size=n)


def one(values: object) -> pa.Table:
    return pa.table({"x": values})


def test_01_one_outlier_does_not_move_the_bins() -> None:
    """One value of 1e6 among 5,000 on a shift of half a standard deviation.

    Bins over the pooled sample: PSI .270 falls to .00007. Right: bins of the reference, one row's mass moves.
    """
    reference, current = normal(5000, 1), normal(5000, 2, shift=0.5)
    outlier = np.append(current[1:], 1e6)
    for name in ("psi", "jensen_shannon", "hellinger"):
        plain, disturbed = (statistic(name, reference, c)["statistic"] for c in (current, outlier))
        assert plain > 0.15
        assert disturbed == pytest.approx(plain, abs=0.002), name


def test_02_chi_square_knows_that_the_reference_is_a_sample() -> None:
    """Two samples of 500 from one distribution over 5 categories.

    A one-sample test against reference shares: 29.5 % false positives at 5 %. Right: 5 % of a 2 x 5 table.
    """
    rng, runs = np.random.default_rng(3), 2000
    words = pa.array(["a", "b", "c", "d", "e"])
    weights = [0.4, 0.25, 0.2, 0.1, 0.05]
    false = 0
    for _ in range(runs):
        x, y = (words.take(pa.array(rng.choice(5, 500, p=weights))) for _ in range(2))
        false += statistic("chi_square", x, y)["pvalue"] < 0.05
    assert abs(false / runs - 0.05) < 4 * math.sqrt(0.05 * 0.95 / runs)


def test_03_one_row_of_a_new_category() -> None:
    """One row of a new category among 10,000.

    Division by an expected count of zero: p = 0; or the category is ignored. Right: one pooled cell of new values,
    p = 1/2 for one row in one of two equal samples; from ten rows on the value is named.
    """
    known = ["a", "b", "c", "d"] * 2500
    found = compare(one(known), one([*known[1:], "z"]))
    mass = row(found, "new_category_mass")
    assert mass["value"] == 1e-4
    assert mass["pvalue"] == pytest.approx(0.5, rel=1e-9)
    assert row(found, "verdict")["verdict"] == "ok"
    # The one row is new to one side or the other in any split: it adds 1 to chi-square, and says nothing.
    table = [[2500, 2500, 2500, 2500, 0], [2499, 2500, 2500, 2500, 1]]
    expected = stats.chi2_contingency(table, correction=False)
    assert row(found, "chi_square")["value"] == pytest.approx(expected.statistic, rel=1e-9)
    assert expected.pvalue < row(found, "chi_square")["pvalue"] < 1
    assert "'z'" in row(compare(one(known), one([*known[10:], *["z"] * 10])), "new_category_mass")["message"]


@pytest.mark.parametrize("n", [10_000, 20_000])
def test_09_ks_of_a_skewed_column(n: int) -> None:
    """KS on lognormal(sigma 3), from 10,000 reference rows on.

    Equal-width bins: D = .026 where .048 is exact. Right: exact, or inside the stated bounds, which are narrow.
    """
    reference, current = np.exp(3 * normal(n, 4)), np.exp(3 * normal(n, 5, shift=0.1))
    exact = stats.ks_2samp(reference, current, method="asymp").statistic
    assert statistic("ks", reference, current)["statistic"] == pytest.approx(exact, rel=1e-12)
    certified = row(compare(one(reference), one(current)), "ks")
    assert certified["bound_low"] <= exact <= certified["bound_high"]
    assert certified["bound_high"] - certified["bound_low"] < 0.002


def test_12_a_nan_hides_no_drift() -> None:
    """One NaN in 1,000 rows, another column 5 standard deviations away.

    A NaN in a joint distance: p = NaN and no drift anywhere. Right: drift found; only rates of missing tell of the NaN.
    """
    hole = normal(1000, 6)
    hole[17] = np.nan
    reference = pa.table({"a": normal(1000, 7), "b": normal(1000, 8)})
    found = compare(reference, pa.table({"a": hole, "b": normal(1000, 9, shift=5)}))
    assert row(found, "verdict", "b")["verdict"] == "fail"
    assert row(found, "verdict", "a")["verdict"] not in ("fail", "warn", "error")
    assert row(found, "missing_rate", "a")["value"] == row(found, "nan_rate", "a")["value"] == 0.001
    assert row(found, "missing_rate", "b")["value"] == 0
    for r in found:
        assert not isinstance(r["value"], float) or math.isfinite(r["value"])
    whole = stats.ks_2samp(reference["a"], hole[~np.isnan(hole)], method="asymp").statistic
    assert row(found, "ks", "a")["value"] == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("n", [200, 2000])
def test_13_psi_without_drift(n: int) -> None:
    """PSI of two samples of one distribution, 2,000 and 200 rows.

    Zero cells replaced by 2.2e-308: 1.07 and 7.32. Right: a small number, beside the value to expect without change,
    and an interval that holds 0.
    """
    found = [statistic("psi", normal(n, seed), normal(n, seed + 1)) for seed in range(0, 600, 2)]
    expected = ((4 if n < 500 else 10) - 1) * 2 / n
    assert [row["value_if_no_change"] for row in found] == pytest.approx([expected] * len(found))
    assert np.mean([row["statistic"] for row in found]) == pytest.approx(expected, rel=0.15)
    assert max(row["statistic"] for row in found) < 8 * expected
    # 95 % less four standard errors of 300 pairs.
    assert np.mean([row["ci_low"] == 0 for row in found]) > 0.9


def test_13_cells_that_are_empty_on_both_sides_are_left_out() -> None:
    """Five categories no row holds, a million rows against a thousand.

    A prior of 1/2 in them would add .017. Right: they are no cells.
    """
    words = pa.array(["a", "b", *"vwxyz"])

    def held(n: int) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(np.arange(n) % 2, pa.int8()), words)

    assert statistic("psi", held(1_000_000), held(1000))["statistic"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", [200, 10_000])
def test_14_an_emptied_cell(n: int) -> None:
    """A cell of 10 % without a current row.

    Six tools give .21, .69, .92, 2.07, 70.6 and infinity, one 0. Right: one documented rule, prior 1/2 on the counts;
    as the number depends on n the row says `support_mismatch` with the mass, and never decides alone.
    """
    cells = [str(i) for i in range(10)]
    reference = cells * (n // 10)
    current = (cells[:9] * n)[:n]
    counts = np.array([[s.count(c) for c in cells] for s in (reference, current)]) + 0.5
    p, q = counts / counts.sum(axis=1, keepdims=True)
    found = compare(one(reference), one(current), statistics={"x": "psi"})
    psi = row(found, "psi")
    assert psi["value"] == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=1e-12)
    assert "support_mismatch" in psi["message"]
    assert "1.000e-1 of the reference" in psi["message"]


def test_14_an_emptied_cell_does_not_decide_alone() -> None:
    """A value of 4 % without a current row, a million rows: PSI .48 "fails", yet 4 % of the rows moved.

    Right: total variation decides beside PSI, and finds less than its tolerance.
    """
    n, words = 1_000_000, pa.array([f"v{i}" for i in range(25)])

    def drawn(cells: int) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(np.arange(n) % cells, pa.int8()), words)

    found = compare(one(drawn(25)), one(drawn(24)), statistics={"x": "psi"})
    psi, moved = row(found, "psi"), row(found, "total_variation")
    assert psi["ci_low"] > psi["fail_at"]
    assert moved["decides"]
    assert moved["ci_high"] < moved["warn_at"]
    assert row(found, "verdict")["verdict"] not in ("warn", "fail")


def test_17_disjoint_samples() -> None:
    """Two samples without a common value.

    Empty cells skipped: PSI = 0. Right: large and finite.
    """
    for x, y in [(normal(1000, 12), normal(1000, 13, shift=100)), (["a"] * 1000, ["b"] * 1000)]:
        assert 5 < statistic("psi", x, y)["statistic"] < 50
    assert statistic("total_variation", x, y)["statistic"] == 1


def test_18_a_rare_class() -> None:
    """Fraud rises from .1 % to .9 %.

    A floor of 1 % per category: 6e-5. Right: .0176, no floor.
    """
    n = 1_000_000
    before, after = (pa.array(np.arange(n) < share * n) for share in (0.001, 0.009))
    right = 0.008 * math.log(9) - 0.008 * math.log(0.991 / 0.999)
    assert right == pytest.approx(0.0176, abs=5e-5)
    assert statistic("psi", before, after)["statistic"] == pytest.approx(right, rel=2e-3)  # the prior on 1,000 rows


def test_19_samples_of_different_size() -> None:
    """The same shares, ten times the rows.

    Raw counts instead of proportions: a large distance. Right: 0, for PSI up to its prior.
    """
    words = ["a"] * 500 + ["b"] * 300 + ["c"] * 200
    other = ["a"] * 450 + ["b"] * 300 + ["c"] * 250
    assert statistic("jensen_shannon", words, words * 10)["statistic"] == 0
    assert statistic("psi", words, words * 10)["statistic"] < 1e-6
    once, ten = (statistic("jensen_shannon", words, other * k)["statistic"] for k in (1, 10))
    assert once == pytest.approx(ten, rel=1e-14)
    once, ten = (statistic("psi", words, other * k)["statistic"] for k in (1, 10))
    assert once == pytest.approx(ten, rel=5e-3)


def test_20_a_column_with_nan_against_itself() -> None:
    """5 % NaN, compared with itself, then with 10 % NaN.

    NaN in a bin of their own on one side only: divergence .05; or drift of NaN vanishes. Right: exactly 0; the change
    is one of missing rows and leaves the distribution alone.
    """
    values = normal(2000, 14)
    values[:100] = np.nan
    for found in (compare(one(values), one(values)), compare(one(values), one(values[::-1].copy()))):
        for name in DISTANCES:
            assert row(found, name)["value"] == 0, name
    more = values.copy()
    more[:200] = np.nan
    found = compare(one(values), one(more))
    assert row(found, "missing_rate")["value"] == pytest.approx(0.05, rel=1e-12)
    assert row(found, "nan_rate")["value"] == pytest.approx(0.05, rel=1e-12)
    assert row(found, "null_rate")["value"] == 0
    assert row(found, "missing_rate")["verdict"] in ("warn", "fail", "inconclusive")
    assert row(found, "ks")["verdict"] == "ok"


def test_21_a_nan_touches_one_count() -> None:
    """One NaN somewhere in a frame.

    All quantiles of all columns become 0. Right: one count of one column moves.
    """
    a, b = normal(1000, 15), normal(1000, 16)
    plain = profile(pa.table({"a": np.append(a, 0.25), "b": np.append(b, 1.0)}))
    holed = profile(pa.table({"a": np.append(a, np.nan), "b": np.append(b, 1.0)}))
    assert column(plain, "b") == column(holed, "b")
    found, alone = column(holed, "a"), column(profile(pa.table({"a": a})), "a")
    assert (found["nan"], found["nulls"]) == (1, 0)
    for name in ("min", "max", "mean", "variance", "distinct"):
        assert found[name] == alone[name], name


def test_22_a_constant_column() -> None:
    """A column of one value.

    Histogram total 0, or p = NaN. Right: its rows are counted, equal is 0 with p = 1, another constant is 1.
    """
    same = np.full(1000, 7.5)
    found = column(profile(one(same)))
    values = [found[name] for name in ("rows", "mean", "variance", "min", "max", "distinct")]
    assert values == [1000, 7.5, 0, 7.5, 7.5, 1]
    equal, moved = compare(one(same), one(same)), compare(one(same), one(same + 0.1))
    for name in DISTANCES:
        assert row(equal, name)["value"] == 0, name
    assert row(equal, "ks")["pvalue"] == row(equal, "mean_shift")["pvalue"] == 1
    assert row(equal, "verdict")["verdict"] == "ok"
    assert row(moved, "ks")["value"] == row(moved, "range_violation")["value"] == 1
    assert row(moved, "wasserstein")["value"] == pytest.approx(0.1, rel=1e-14)
    assert row(moved, "verdict")["verdict"] == "fail"


def test_25_the_method_does_not_depend_on_rows() -> None:
    """A reference of 1,000 rows, then of 1,001.

    The statistic changes in silence. Right: the same definitions decide.
    """

    def definitions(n: int) -> list[tuple[str, str, bool]]:
        made = compare(
            pa.table({"x": normal(n, 17), "s": ["a", "b"] * (n // 2) + ["a"] * (n % 2)}), one(normal(50, 18))
        )
        return [(r["feature"], r["definition"], r["decides"]) for r in made]

    assert definitions(1000) == definitions(1001)
    assert definitions(30) == definitions(100_000)


def test_26_ten_times_the_same() -> None:
    """The same data profiled ten times.

    A randomised sketch: p from 2.7e-07 to .74. Right: equal bytes.
    """
    reference, current = one(normal(20_000, 19)), one(normal(20_000, 20, shift=0.02))
    first = profile(reference)
    runs = {_core.compare(first, profile(current, profile(reference)), "{}") for _ in range(10)}
    assert len(runs) == 1


def test_36_single_precision_is_no_drift() -> None:
    """nycflights13, the reference as written and the same rows cast to f32.

    Isolated point masses: PSI 13.5 (temp), 17.0 (wind_speed), KS up to .128. Right: 0, or a row that says why not.
    """
    wide = pq.read_table(EXAMPLES / "nycflights13" / "reference.parquet")
    wide = wide.select([f.name for f in wide.schema if f.type == pa.float64()])
    narrow = wide.cast(pa.schema([(name, pa.float32()) for name in wide.column_names]))
    found = compare(wide, narrow)
    for name in wide.column_names:
        for distance in ("ks", "psi", "jensen_shannon", "hellinger", "total_variation", "l_infinity"):
            r = row(found, distance, name)
            assert r["value"] == 0 or "single precision" in r["message"], (name, distance, r["value"])
        assert row(found, "verdict", name)["verdict"] == "ok", name


def test_38_divergences_use_ten_cells() -> None:
    """PSI and Jensen-Shannon of two equal distributions.

    On 1,024 cells: .43 and .22, drift by convention. Right: ten cells, and the definition says so.
    """
    for name, most in {"psi": 0.03, "jensen_shannon": 0.06}.items():
        found = statistic(name, normal(5000, 21), normal(5000, 22))
        assert found["statistic"] < most
        assert "10q" in found["definition"]


def test_39_thirty_rows_are_too_few() -> None:
    """Thirty rows of the same distribution.

    "ok", for want of power. Right: `inconclusive`, with the smallest change that would have been seen.
    """
    found = compare(one(normal(5000, 23)), one(normal(30, 24)))
    assert row(found, "verdict")["verdict"] == "inconclusive"
    ks = row(found, "ks")
    assert ks["verdict"] == "inconclusive"
    assert ks["minimum_detectable"] > ks["fail_at"]


def test_40_heavy_categories_among_many() -> None:
    """200,000 categories, Zipf with exponent 1.1.

    A sample of 4,096 distinct values holds 1.4 % of the mass and .2 of the ten heaviest. Right: every value that holds
    1 / 1,024 of the rows is counted on its own.
    """
    rng = np.random.default_rng(25)
    mass = 1 / np.arange(1, 200_001) ** 1.1
    drawn = rng.choice(200_000, 400_000, p=mass / mass.sum())
    drawn[:200_000] = np.where(rng.random(200_000) < 0.5, drawn[:200_000], np.arange(200_000))
    x = pa.table({"x": pc.binary_join_element_wise("c", pa.array(drawn).cast(pa.string()), "")})
    reference = profile(x)
    counts = np.bincount(drawn)
    (feature,) = json.loads(_core.histograms(reference, profile(x, reference), "{}"))["features"]
    shown = {
        cell["label"]: count
        for cell, count in zip(feature["cells"], feature["reference"], strict=True)
        if cell["kind"] == "value"
    }
    heaviest = np.argsort(-counts, kind="stable")[:10]
    assert {f"c{i}": counts[i] for i in heaviest}.items() <= shown.items()
    assert column(reference)["cells"] >= (counts * 1024 >= len(drawn)).sum()
    assert row(rows(reference, profile(x, reference)), "new_category_mass")["value"] == 0
