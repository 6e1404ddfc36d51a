"""PSI and the divergences of ordered columns, with cells cut again here from the rows themselves.

The cells are the at most ten near-equal masses of the reference: edges at the values whose share of
rows below is nearest to k / 10, fewer where the reference has under 50 rows a cell; an end cell of one
value ends there. Where every value is heavy enough for a cell of the grid of its own, that is a rule
about the rows alone, and numpy can follow it.
"""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from engine import data_folder, profile, row, rows
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, entropy

STATISTICS = ("psi", "jensen_shannon", "hellinger", "total_variation", "l_infinity")


def edges(x: np.ndarray) -> list[float]:
    """Values at which a new coarse cell begins."""
    values, counts = np.unique(x, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)[:-1]])
    parts = max(min(10, len(x) // 50), 1)
    found: list[int] = []
    for k in range(1, parts):
        inner = [i for i in range(len(values)) if 0 < below[i] < len(x)]
        if not inner:
            break
        best = min(inner, key=lambda i: (abs(below[i] * parts - k * len(x)), i))
        if not found or best > found[-1]:
            found.append(best)
    # A cell begins right behind the last value of the one below it.
    cuts = [float(np.nextafter(values[i - 1], np.inf)) for i in found]
    # An end cell of one value ends at that value: what lies beyond it has a cell of its own.
    first, last = values[: found[0]] if found else values, values[found[-1] :] if found else values
    if len(first) == 1:
        cuts.insert(0, float(first[0]))
    if len(last) == 1:
        cuts.append(float(np.nextafter(last[0], np.inf)))
    return cuts


def counted(x: np.ndarray, cuts: list[float]) -> np.ndarray:
    """Rows of each cell, of missing, of -inf and of +inf."""
    finite = x[np.isfinite(x)]
    cells = np.bincount(np.searchsorted(cuts, finite, side="right"), minlength=len(cuts) + 1)
    return np.concatenate([cells, [np.isnan(x).sum(), (x == -np.inf).sum(), (x == np.inf).sum()]])


def expected(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    cuts = edges(x[np.isfinite(x)])
    a, b = counted(x, cuts), counted(y, cuts)
    kept = (a + b) > 0
    a, b = a[kept], b[kept]
    p, q = a / a.sum(), b / b.sum()
    s, t = (a + 0.5) / (a + 0.5).sum(), (b + 0.5) / (b + 0.5).sum()
    return {
        "psi": float(entropy(s, t) + entropy(t, s)),
        "expected rows": float(min(a.sum(), b.sum()) * ((a + b) / (a + b).sum()).min()),
        "psi pvalue": float(chi2.sf((entropy(s, t) + entropy(t, s)) / (1 / a.sum() + 1 / b.sum()), len(a) - 1)),
        "jensen_shannon": float(jensenshannon(p, q)),
        "hellinger": float(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2)),
        "total_variation": float(np.abs(p - q).sum() / 2),
        "l_infinity": float(np.abs(p - q).max()),
    }


def check(x: np.ndarray, y: np.ndarray) -> None:
    import pyarrow as pa

    first = profile(pa.table({"x": pa.array(x, from_pandas=False)}))
    found = rows(first, profile(pa.table({"x": pa.array(y, from_pandas=False)}), first))
    right = expected(x, y)
    for statistic in STATISTICS:
        got = row(found, statistic)
        assert math.isclose(got["value"], right[statistic], rel_tol=1e-9, abs_tol=1e-12), statistic
        assert got["bound_low"] <= right[statistic] * (1 + 1e-9) + 1e-12
        assert got["bound_high"] >= right[statistic] * (1 - 1e-9) - 1e-12
    # Where a cell is expected to hold fewer than 8 rows of a side, p is that of test_few_rows_of_categories.
    if right["expected rows"] >= 8:
        assert math.isclose(row(found, "psi")["pvalue"], right["psi pvalue"], rel_tol=1e-6, abs_tol=1e-290)


@pytest.mark.parametrize("seed", range(12))
def test_made_data(seed: int) -> None:
    """Ties, gaps, point masses, missing and infinite values, small and large samples."""
    rng = np.random.default_rng(seed)
    values = np.unique(np.round(rng.standard_cauchy(rng.integers(1, 200)) * 8, 1))
    weights = rng.dirichlet(np.full(len(values), 3.0)) * 0.8 + 0.2 / len(values)
    n, m = int(rng.choice([30, 120, 480, 3_000, 40_000])), int(rng.choice([40, 900, 20_000]))
    x = rng.choice(values, n, p=weights)
    tilted = weights * rng.uniform(0.5, 2, len(values))
    y = rng.choice(values, m, p=tilted / tilted.sum())
    y[rng.random(m) < 0.03] += rng.choice([-900.0, 900.0])
    for sample in (x, y):
        sample[rng.random(len(sample)) < 0.05] = np.nan
        sample[rng.random(len(sample)) < 0.02] = np.inf
    y[rng.random(m) < 0.02] = -np.inf
    check(x, y)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("nycflights13", ["distance", "sched_dep_min", "plane_year", "weekday", "humid", "visib"]),
        ("bike_2011", ["hour", "temp", "hum", "windspeed", "casual"]),
        ("adult", ["age", "education_num", "hours_per_week", "capital_gain"]),
    ],
)
def test_real_data(name: str, columns: list[str]) -> None:
    folder = data_folder(name)
    tables = [pq.read_table(folder / f"{side}.parquet", columns=columns) for side in ("reference", "current")]
    for column in columns:
        x, y = (t[column].to_pandas().to_numpy(dtype=float) for t in tables)
        _, counts = np.unique(x[np.isfinite(x)], return_counts=True)
        # Rarer values share a cell of the grid, whose edges the rule above does not know.
        if counts.min() * 1024 > len(x):
            check(x, y)
            continue
        common = np.unique(x[np.isfinite(x)])[counts * 1024 > len(x)]
        keep_x, keep_y = (np.isin(v, common) | np.isnan(v) for v in (x, y))
        check(x[keep_x], y[keep_y])
