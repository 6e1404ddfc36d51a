"""Statistics of real prediction logs against scipy, and certificates of profiles around its values."""

import math
from collections import Counter
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine import data_folder, profile_files, row, rows, shares, statistic
from scipy import stats
from scipy.spatial import distance

DATA_SETS = ["nycflights13", "bike_2011", "bike_sharing", "adult"]
MISSING = None
NEW = object()

# Sums of up to 2e5 doubles in another order than scipy's.
REL = 1e-9
# A distance of 0 that rounding makes 1e-17.
ABS = 1e-13


@cache
def sample(name: str, side: str) -> pa.Table:
    return pq.read_table(data_folder(name) / f"{side}.parquet")


def columns(name: str, numeric: bool) -> list[str]:
    def is_number(kind: pa.DataType) -> bool:
        return pa.types.is_integer(kind) or pa.types.is_floating(kind)

    schema = sample(name, "reference").schema
    return [f.name for f in schema if is_number(f.type) == numeric and not pa.types.is_timestamp(f.type)]


def numbers(name: str, side: str, column: str) -> np.ndarray:
    return sample(name, side)[column].drop_null().cast(pa.float64()).to_numpy()


def counters(name: str, column: str) -> tuple[Counter[object], Counter[object]]:
    """Rows per value, nulls too; values the reference never held are one cell."""
    reference, current = (Counter(sample(name, side)[column].to_pylist()) for side in ("reference", "current"))
    for value in [v for v in current if v not in reference and v is not MISSING]:
        current[NEW] += current.pop(value)
    return reference, current


@pytest.mark.parametrize("name", DATA_SETS)
def test_numeric_statistics(name: str) -> None:
    for column in columns(name, numeric=True):
        x, y = (sample(name, side)[column] for side in ("reference", "current"))
        a, b = (numbers(name, side, column) for side in ("reference", "current"))

        ks = statistic("ks", x, y)
        assert ks["statistic"] == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, rel=REL, abs=ABS)
        limit = stats.kstwobign.sf(ks["statistic"] / math.sqrt(1 / len(a) + 1 / len(b)))
        assert ks["pvalue"] == pytest.approx(limit, rel=1e-9, abs=1e-300)

        found = statistic("wasserstein", x, y)["statistic"]
        assert found == pytest.approx(stats.wasserstein_distance(a, b), rel=REL, abs=ABS), column

        shift = statistic("mean_shift", x, y)
        exact = math.fsum(b) / len(b) - math.fsum(a) / len(a)
        scale = abs(math.fsum(b)) / len(b) + abs(math.fsum(a)) / len(a)
        assert shift["statistic"] == pytest.approx(exact, rel=REL, abs=1e-15 * scale), column
        welch = stats.ttest_ind(b, a, equal_var=False)
        assert shift["pvalue"] == pytest.approx(welch.pvalue, rel=1e-6, abs=1e-300), column


@pytest.mark.parametrize("name", DATA_SETS)
def test_categorical_statistics(name: str) -> None:
    for column in columns(name, numeric=False):
        if column == "ts":
            continue
        x, y = (sample(name, side)[column] for side in ("reference", "current"))
        a, b = counters(name, column)
        every = list({**a, **b})
        p, q = (np.array(shares(c, every)) for c in (a, b))
        expected = {
            "jensen_shannon": distance.jensenshannon(p, q),
            "hellinger": distance.euclidean(np.sqrt(p), np.sqrt(q)) / math.sqrt(2),
        }

        present = [cell for cell in every if cell is not MISSING]
        table = np.array([[c.get(cell, 0) for cell in present] for c in (a, b)])
        expected["total_variation"] = 0.5 * np.abs(table[0] / table[0].sum() - table[1] / table[1].sum()).sum()
        pvalue = 1.0
        expected["chi_square"] = 0.0
        if len(present) > 1:
            test = stats.chi2_contingency(table, correction=False)
            expected["chi_square"], pvalue = test.statistic, test.pvalue
        # Bergsma (2013), equations 7-9, r = 2 rows and k columns.
        n, k = table.sum(), len(present)
        phi = max(0.0, expected["chi_square"] / n - (k - 1) / (n - 1))
        scale = min(2 - 1 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
        expected["cramers_v"] = math.sqrt(phi / scale) if scale > 0 else 0.0

        for which, value in expected.items():
            found = statistic(which, x, y)
            assert found["statistic"] == pytest.approx(value, rel=REL, abs=1e-9), (column, which)
            # Where a value is expected in fewer than 8 rows of a side: test_few_rows_of_categories.
            if which == "chi_square" and (table.sum(axis=0) * table.sum(axis=1).min() / n).min() >= 8:
                assert found["pvalue"] == pytest.approx(pvalue, rel=1e-6, abs=1e-300), column


@pytest.mark.parametrize("name", DATA_SETS)
def test_certificates_of_profiles_hold_the_exact_values(name: str) -> None:
    folder = data_folder(name)
    reference = profile_files([folder / "reference.parquet"])
    found = rows(reference, profile_files([folder / "current.parquet"], reference))
    judged = {r["feature"] for r in found if r["statistic"] == "ks"}
    assert judged
    for column in judged & set(columns(name, numeric=True)):
        a, b = (numbers(name, side, column) for side in ("reference", "current"))
        for which, exact in {
            "ks": float(stats.ks_2samp(a, b, method="asymp").statistic),
            "wasserstein": float(stats.wasserstein_distance(a, b)),
        }.items():
            certified = row(found, which, column)
            slack = REL * exact + ABS  # scipy's own rounding
            assert certified["bound_low"] <= exact + slack, (column, which)
            assert certified["bound_high"] >= exact - slack, (column, which)
            # The certificate is of use: an order of magnitude narrower than the smallest tolerance.
            if which == "ks":
                assert certified["bound_high"] - certified["bound_low"] <= 0.005, column


def test_adult_against_itself_is_quiet() -> None:
    """`current_iid` is a random part of the reference's population: no drift by construction."""
    folder = data_folder("adult")
    reference = profile_files([folder / "reference.parquet"])
    found = rows(reference, profile_files([folder / "current_iid.parquet"], reference))
    assert [(r["feature"], r["statistic"]) for r in found if r["verdict"] in ("warn", "fail", "error")] == []
    for r in found:
        if r["statistic"] == "psi":
            # n allows no less than the value expected without any change.
            assert r["value"] < 0.02 + r["value_if_no_change"], r["feature"]


def test_adult_names_the_columns_that_were_chosen_by() -> None:
    """`current` holds three levels of education only."""
    folder = data_folder("adult")
    reference = profile_files([folder / "reference.parquet"])
    found = rows(reference, profile_files([folder / "current.parquet"], reference))
    ranks = {r["feature"]: r["rank"] for r in found if r["statistic"] == "verdict"}
    assert {f for f, rank in ranks.items() if rank in (1, 2)} == {"education", "education_num"}
