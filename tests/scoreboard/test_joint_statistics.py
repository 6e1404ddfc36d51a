"""Measured defects of tools in use today: joint tests, dependence, size, and tables as they come."""

import importlib.util
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tidegauge as tg
from engine import ROOT, compare, profile, row, rows
from scipy import stats


def test_06_mmd_without_drift() -> None:
    """MMD of two samples of one distribution, 400 times.

    Bootstrapped against itself: 30 of 30 fire. Right: 5 %, and real drift is found.
    """
    rng, runs, level = np.random.default_rng(61), 400, 0.05
    false = 0
    for _ in range(runs):
        x, y = rng.normal(size=(40, 3)), rng.normal(size=(25, 3))
        p = tg.stats.mmd(x, y, permutations=59, features=64, random_state=int(rng.integers(1 << 30))).pvalue
        assert p is not None
        false += p <= level
    assert abs(false / runs - level) < 4 * math.sqrt(level * (1 - level) / runs)
    assert tg.stats.mmd(rng.normal(size=(200, 3)), rng.normal(0.5, 1, (200, 3))).pvalue == 1 / 200


@pytest.mark.parametrize("name", ["mmd", "energy_multivariate"])
def test_07_a_permutation_p_is_never_0(name: str) -> None:
    """Samples far apart, and a caller who draws numbers of their own.

    b / m: p = 0; and the global seed is reset to 0. Right: (b + 1) / (m + 1); every random state of the caller's stays.
    """
    x, y = np.zeros((30, 1)), np.ones((30, 1))
    np.random.seed(7)  # noqa: NPY002 - the global state is what must not move
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    found = getattr(tg.stats, name)(x, y, permutations=99)
    assert found.pvalue == 1 / 100
    assert (np.random.random(3) == expected).all()  # noqa: NPY002
    assert found == getattr(tg.stats, name)(x, y, permutations=99)


def test_35_a_harmless_shift_in_a_billion_rows() -> None:
    """Two samples of 1e9 rows, a shift of .002 standard deviations; here 25 million, by merging.

    Every p-value is 0. Right: the effect with its interval, and a verdict against a tolerance: ok.
    """
    n = 1_000_000
    grid = stats.norm.ppf((np.arange(n) + 0.5) / n)
    parts = [pa.table({"x": grid}), pa.table({"x": grid + 0.002})]
    reference = profile(parts[0], source_id="0")

    merged = [
        profile(part, reference, source_id=f"{k} 0").merge(
            [profile(part, reference, source_id=f"{k} {i}") for i in range(1, 25)]
        )
        for k, part in enumerate(parts)
    ]
    found = rows(merged[0], merged[1])
    ks = row(found, "ks")
    assert ks["n_current"] == 25 * n
    assert ks["pvalue"] < 1e-3
    assert ks["value"] == pytest.approx(0.0008, abs=4e-5)
    assert ks["ci_high"] < 0.003 < ks["warn_at"]
    assert row(found, "verdict")["verdict"] == "ok"


def test_37_random_halves_of_days() -> None:
    """The nycflights13 reference split at random into two halves of days: no drift, but a weather a day.

    Rows as independent draws: the KS test at 5 % rejects 100 % of the splits. Right: 3-8 % with blocks of a day, as
    docs/calibration/split_halves.md shows for 400 splits; here 40.
    """
    path = ROOT / "benchmarks" / "calibration" / "split_halves.py"
    spec = importlib.util.spec_from_file_location("split_halves", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shares = module.rejections(splits=40, seed=37)
    # Thousands of values that a day or two hold: 12 % of 400 splits.
    shares.pop("tailnum")
    # 25 columns, many of which move together; at 8 % one of them exceeds 25 % with a chance of 1 %.
    assert max(shares.values()) <= 0.25, shares
    assert 0.01 <= sum(shares.values()) / len(shares) <= 0.1, shares
    assert module.rejections(splits=3, seed=37, block="none")["temp"] == 1.0


def test_41_frames_as_they_come() -> None:
    """A pandas frame after a shuffled split, an object column of mixed types, integers with a missing value.

    The index becomes a column, an ArrowTypeError aborts, integers become doubles. Right: no index; one row of the
    verdict error that names the first offending value; integers compared exactly.
    """
    rng = np.random.default_rng(410)
    frame = pd.DataFrame({"i": np.arange(1000) + 2**60, "x": rng.normal(size=1000)})
    frame["mixed"] = ["a"] * 999 + [7]
    shuffled = frame.sample(frac=1, random_state=1)
    report = tg.drift(frame.assign(mixed="a"), shuffled, categorical=["i"])
    features = {r["feature"] for r in report.rows}
    assert not [f for f in features if "index" in f]
    errors = [r for r in report.rows if r["verdict"] == "error"]
    assert {r["feature"] for r in errors} == {"mixed"}
    assert any("row " in r["message"] and "7 (int)" in r["message"] for r in errors)
    holed = frame["i"].astype("Int64")
    holed[3] = pd.NA
    found = tg.stats.ks(frame["i"].iloc[4:], holed.iloc[4:])
    assert (found.statistic, found.exactness) == (0, "exact")
    one_off = frame["i"].iloc[4:] + 1
    assert tg.stats.ks(frame["i"].iloc[4:], one_off).statistic == pytest.approx(1 / 996)  # doubles would not tell
    assert compare(pa.table({"x": [1.0]}), pa.table(pl.DataFrame({"x": [1.0]})))
