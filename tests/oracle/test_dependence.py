"""Sampling error from blocks, against numpy and scipy on the rows themselves."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine import EXAMPLES, profile, profile_files, row, rows
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]


def made(days: int, size: float, seed: int) -> pa.Table:
    """A log whose days differ: a category, a flag and a number move together within a day."""
    rng = np.random.default_rng(seed)
    per_day = rng.poisson(size, days) + 1
    day = np.repeat(np.arange(days), per_day)
    mood = rng.normal(size=days)[day]
    u = rng.random(len(day))
    category = np.where(u < 1 / (1 + np.exp(-mood)), "a", np.where(u < 0.9, "b", "c"))
    number = rng.integers(-50, 50, len(day)) + np.round(20 * mood)
    missing = rng.random(len(day)) < 0.05 + 0.05 * (mood > 0)
    ts = (1_700_006_400 + day * 86_400 + rng.integers(0, 86_400, len(day))) * 1_000_000
    return pa.table(
        {
            "ts": pa.array(ts, pa.timestamp("us")),
            "category": category,
            "number": pa.array(number, mask=missing),
        }
    )


def by_day(data: pa.Table, values: np.ndarray) -> np.ndarray:
    """Sums of the columns of `values` over the days of a log, one line a day."""
    day = data["ts"].cast(pa.int64()).to_numpy() // (86_400 * 1_000_000)
    return np.array([values[day == d].sum(axis=0) for d in np.unique(day)])


def ratio_covariance(parts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Covariance of shares: between blocks, as a ratio estimator."""
    residual = parts - whole[:, None] * parts.sum(axis=0) / whole.sum()
    return len(parts) / (len(parts) - 1) * residual.T @ residual / whole.sum() ** 2


def welch(a: float, b: float, blocks: tuple[int, int]) -> float:
    return (a + b) ** 2 / (a**2 / (blocks[0] - 1) + b**2 / (blocks[1] - 1))


@pytest.mark.parametrize("seed", range(4))
def test_homogeneity_means_and_missing(seed: int) -> None:
    tables = made(30, 40, seed), made(23, 55, 100 + seed)
    roles = {"ts": "time"}
    first = profile(tables[0], roles=roles)
    found = rows(first, profile(tables[1], first))

    # Rao and Scott on the categories.
    names = np.unique(tables[0]["category"].to_numpy(zero_copy_only=False))
    cells = [by_day(t, t["category"].to_numpy(zero_copy_only=False)[:, None] == names) for t in tables]
    sizes = [c.sum() for c in cells]
    pooled = (cells[0].sum(axis=0) + cells[1].sum(axis=0)) / sum(sizes)
    difference = cells[0].sum(axis=0) / sizes[0] - cells[1].sum(axis=0) / sizes[1]
    scaled = [ratio_covariance(c, c.sum(axis=1)) / np.sqrt(np.outer(pooled, pooled)) for c in cells]
    traces = [np.trace(s) for s in scaled]
    own = sum(traces) ** 2 / ((scaled[0] + scaled[1]) ** 2).sum()
    df = welch(traces[0], traces[1], (len(cells[0]), len(cells[1])))
    expected = stats.f.sf((difference**2 / pooled).sum() / sum(traces), own, own * df)
    for statistic in ("total_variation", "chi_square", "g_test"):
        got = row(found, statistic, "category")
        assert math.isclose(got["pvalue"], expected, rel_tol=1e-9), statistic
        assert (got["variance"], got["null"]) == ("block:1d", "rao-scott-f")
        rank = len(names) - 1
        assert math.isclose(got["n_eff_reference"], rank / traces[0], rel_tol=1e-9)
        assert math.isclose(got["n_eff_current"], rank / traces[1], rel_tol=1e-9)

    # Means by block sums.
    numbers = [t["number"].to_pandas().to_numpy(dtype=float) for t in tables]
    sums = [by_day(t, np.column_stack([np.nan_to_num(x), ~np.isnan(x)])) for t, x in zip(tables, numbers, strict=True)]
    variance = [ratio_covariance(s[:, :1], s[:, 1])[0, 0] for s in sums]
    shift = np.nanmean(numbers[1]) - np.nanmean(numbers[0])
    df = welch(variance[0], variance[1], (len(sums[0]), len(sums[1])))
    got = row(found, "mean_shift", "number")
    assert math.isclose(got["pvalue"], 2 * stats.t.sf(abs(shift) / math.sqrt(sum(variance)), df), rel_tol=1e-9)
    half = stats.t.isf(0.025, df) * math.sqrt(sum(variance))
    assert np.allclose([got["ci_low"], got["ci_high"]], [shift - half, shift + half], rtol=1e-9)

    # Missing rows.
    flags = [by_day(t, np.column_stack([np.isnan(x), np.ones(len(x))])) for t, x in zip(tables, numbers, strict=True)]
    shares = [f[:, 0].sum() / f[:, 1].sum() for f in flags]
    variance = [ratio_covariance(f[:, :1], f[:, 1])[0, 0] for f in flags]
    got = row(found, "missing_rate", "number")
    for side, share, v in zip(("reference", "current"), shares, variance, strict=True):
        assert math.isclose(got[f"n_eff_{side}"], share * (1 - share) / v, rel_tol=1e-9)


def test_one_day_takes_the_error_of_a_day_of_the_reference() -> None:
    reference = made(40, 60, 1)
    first = profile(reference, roles={"ts": "time"})
    rejected = 0
    for seed in range(60):
        day = made(1, 60, 1000 + seed)
        got = row(rows(first, profile(day, first)), "total_variation", "category")
        assert "one block" in got["message"]
        rejected += got["pvalue"] <= 0.05
    # Binomial(60, .05): 9 or fewer with probability .998. Independent rows reject most of them.
    assert rejected <= 9


def test_random_halves_of_days_reject_as_often_as_they_say() -> None:
    """The small version of benchmarks/calibration/split_halves.py."""
    path = ROOT / "benchmarks" / "calibration" / "split_halves.py"
    spec = importlib.util.spec_from_file_location("split_halves", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shares = module.rejections(splits=60, seed=5)
    # Thousands of values that a day or two hold: 12 % of 400 splits.
    shares.pop("tailnum")
    assert len(shares) > 20
    # At a true 8 % the largest of 27 columns stays below 21 % with probability .99.
    assert max(shares.values()) <= 0.21, shares
    assert 0.02 <= sum(shares.values()) / len(shares) <= 0.09, shares
    independent = module.rejections(splits=5, seed=5, block="none")
    assert independent["temp"] == independent["pressure"] == 1.0


def test_ids_and_times_are_never_judged() -> None:
    folder = EXAMPLES / "nycflights13"
    first = profile_files([folder / "reference.parquet"])
    found = rows(first, profile_files([folder / "current.parquet"], first))
    assert not {"row_id", "ts", "flight"} & {r["feature"] for r in found if r["decides"]}
    assert pq.read_schema(folder / "reference.parquet").field("flight") is not None
