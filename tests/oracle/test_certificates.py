"""Bounds of compared profiles hold the exact value on samples that no key histogram holds exactly."""

import numpy as np
import pyarrow as pa
import pytest
from engine import profile, row, rows
from scipy import stats

ROWS = 6000  # more distinct values than the 4,096 keys that are kept


def mixture(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.4, rng.choice([0.0, 1.0, -2.5], n), rng.normal(size=n))


SAMPLES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "shifted": lambda rng, n: rng.normal(0.3, 1.2, n),
    "offset": lambda rng, n: 1e6 + 1e-3 * rng.normal(size=n),
    "near 1": lambda rng, n: 1 - 1e-6 * rng.exponential(size=n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "lognormal": lambda rng, n: np.exp(3 * rng.normal(size=n)),
    "beta": lambda rng, n: rng.beta(0.1, 0.1, n),
    "mixture": mixture,
    "single": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "integers": lambda rng, n: rng.integers(-(10**9), 10**9, n),
    "large": lambda rng, n: 1e300 * rng.normal(size=n),
    "tiny": lambda rng, n: 1e-300 * rng.normal(size=n),
    "subnormal": lambda rng, n: rng.integers(-(10**6), 10**6, n) * 5e-324,
}

PAIRS = [(name, name) for name in SAMPLES] + [
    ("normal", "shifted"),
    ("normal", "mixture"),
    ("mixture", "normal"),
    ("cauchy", "normal"),
    ("normal", "cauchy"),
    ("beta", "mixture"),
    ("near 1", "beta"),
    ("lognormal", "cauchy"),
    ("normal", "offset"),
]


def quantile_shift(x: np.ndarray, y: np.ndarray) -> float:
    at = [0.05, 0.25, 0.5, 0.75, 0.95]
    return float(np.abs(np.quantile(x, at, method="inverted_cdf") - np.quantile(y, at, method="inverted_cdf")).max())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("reference", "current"), PAIRS, ids=[" to ".join(pair) for pair in PAIRS])
def test_bounds_hold(reference: str, current: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = SAMPLES[reference](rng, ROWS), SAMPLES[current](rng, ROWS // (seed + 1))
    first = profile(pa.table({"x": x}), roles={"x": "feature"})  # unique integers would be an id
    found = rows(first, profile(pa.table({"x": y}), first))
    x, y = x.astype(float), y.astype(float)
    scale = max(np.abs(x).mean(), np.abs(y).mean())
    exact = {
        "ks": (stats.ks_2samp(x, y, method="asymp").statistic, 1e-12),
        "wasserstein": (stats.wasserstein_distance(x, y), 1e-12 * scale),
        "quantile_shift": (quantile_shift(x, y), 0),
        "mean_shift": (y.mean() - x.mean(), 1e-12 * scale),
    }
    for name, (value, rounding) in exact.items():
        r = row(found, name)
        assert r["bound_low"] - rounding <= value <= r["bound_high"] + rounding, name
        assert r["bound_low"] <= r["value"] <= r["bound_high"], name
        # Never wider than the heaviest cell, 1/1,024 of the reference and a little more.
        assert name != "ks" or r["bound_high"] - r["bound_low"] <= 1 / 500, r
