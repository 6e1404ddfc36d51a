"""Total variation of categories with few rows, against permutations of the rows: the null that was claimed.

Seen before: one to five current rows, or hundreds of categories, failed without any drift.
"""

from __future__ import annotations

import numpy as np
import pytest
import tidegauge as tg
from tidegauge import stats

#: Categories, exponent of their shares, rows of either side.
SHAPES = [
    (2, 0.0, 1000, 1),
    (2, 0.0, 1000, 3),
    (10, 1.0, 1000, 5),
    (200, 0.0, 1000, 50),
    (200, 1.1, 500, 500),
    (5000, 1.1, 2000, 300),
    (30, 0.0, 30, 1000),
    (12, 0.5, 50, 50),
]


def draw(rng: np.random.Generator, k: int, exponent: float, n: int) -> np.ndarray:
    p = 1.0 / np.arange(1, k + 1) ** exponent
    return rng.choice(k, n, p=p / p.sum())


def total_variation(x: np.ndarray, y: np.ndarray, k: int) -> float:
    p, q = np.bincount(x, minlength=k) / len(x), np.bincount(y, minlength=k) / len(y)
    return 0.5 * float(np.abs(p - q).sum())


def text(values: np.ndarray) -> list[str]:
    return [f"c{v}" for v in values]


@pytest.mark.parametrize(("k", "exponent", "n", "m"), SHAPES)
def test_the_null_is_that_of_permutations(k: int, exponent: float, n: int, m: int) -> None:
    rng = np.random.default_rng(k + n + m)
    x, y = draw(rng, k, exponent, n), draw(rng, k, exponent, m)
    found = stats.total_variation(text(x), text(y))
    assert found.statistic == pytest.approx(total_variation(x, y, k), abs=1e-12)
    pooled = np.concatenate([x, y])
    permuted = []
    for _ in range(1000):
        pooled = rng.permutation(pooled)
        permuted.append(total_variation(pooled[:n], pooled[n:], k))
    error = np.std(permuted) / np.sqrt(len(permuted))
    assert found.value_if_no_change is not None
    assert found.pvalue is not None
    # Cells of many rows have the mean of a normal, which is some percent off at 8 rows.
    assert abs(found.value_if_no_change - np.mean(permuted)) <= 4 * error + 0.02 * np.mean(permuted)
    # Never far below the share that is larger; of few rows it is larger than the share as large.
    permuted_values = np.array(permuted)
    above = np.mean(permuted_values > found.statistic + 1e-12)
    as_large = np.mean(permuted_values >= found.statistic - 1e-12)
    assert found.pvalue >= min(above - 0.05, 0.2)
    if min(n, m) >= 200:
        assert found.pvalue <= as_large + 0.07


@pytest.mark.parametrize(("k", "exponent", "n", "m"), SHAPES)
def test_no_drift_is_no_drift(k: int, exponent: float, n: int, m: int) -> None:
    """At 5 %, 60 pairs reject 9 times or more with a chance of .4 %; no verdict fails."""
    rng = np.random.default_rng(7)
    pairs = [(draw(rng, k, exponent, n), draw(rng, k, exponent, m)) for _ in range(60)]
    found = [stats.total_variation(text(x), text(y)) for x, y in pairs]
    assert sum((r.pvalue or 0.0) <= 0.05 for r in found) <= 8
    assert sum(r.ci is not None and r.ci.low > 0.1 for r in found) <= 1
    for x, y in pairs[:5]:
        assert tg.drift({"f": text(x)}, {"f": text(y)}).verdict != "fail"


def test_disjoint_samples_of_few_rows_are_no_certainty() -> None:
    """Three rows against three: one split in ten is as far apart."""
    assert 0.05 <= stats.total_variation(["a"] * 3, ["b"] * 3).pvalue <= 0.2  # type: ignore[operator]
    found = stats.total_variation(["a"], ["b"])
    assert found.pvalue is not None
    assert found.pvalue > 0.3
    assert found.value_if_no_change == 1.0


def test_drift_of_many_rows_is_still_seen() -> None:
    rng = np.random.default_rng(3)
    x, y = draw(rng, 50, 1.1, 3000), draw(rng, 50, 0.6, 3000)
    found = stats.total_variation(text(x), text(y))
    assert found.pvalue is not None
    assert found.pvalue < 1e-6
    assert tg.drift({"f": text(x)}, {"f": text(y)}).verdict == "fail"
