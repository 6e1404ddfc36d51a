"""What a sharper interval of the Kolmogorov-Smirnov distance would cost: a trial, not in the engine.

The limits of `ks` hold for every distribution. Those of one shape are narrower: with true differences in
proportion to the observed `F - G`, the chance that the largest one gets as far as observed is a boundary
crossing of a Brownian bridge, by Durbin's (1985) first approximation `integral of (b(u)/u - b'(u)) f(b(u))`,
which is exact for straight boundaries. Prints how often either lower limit is above the true distance of
normal numbers, one moved by a share of a standard deviation, how often the upper limit (the same for
both) is below it, and the mean widths.

Usage: python benchmarks/calibration/ks_shape.py [--pairs 400] [--seed 1]
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import norm

POINTS = 32
ALPHA = 0.05


def curve(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The distance, and `F - G` at places of the pooled sample."""
    pooled = np.sort(np.concatenate([x, y]))
    below = [np.searchsorted(np.sort(side), pooled, side="right") / len(side) for side in (x, y)]
    gaps = below[0] - below[1]
    at = np.unique(np.linspace(0, len(pooled) - 1, POINTS + 2).astype(int)[1:-1])
    return float(np.abs(gaps).max()), gaps[at], (at + 1) / len(pooled)


def crossing(value: float, gaps: np.ndarray, places: np.ndarray) -> float:
    """Chance, about, that a bridge moved by `gaps` leaves the band of half-width `value`."""
    spread = places * (1 - places)
    chance = 0.0
    for sign in (1, -1):
        boundary = np.maximum(value - sign * gaps, 0)
        rate = np.maximum(boundary / places - np.gradient(boundary, places), 0)
        density = rate * np.exp(-(boundary**2) / (2 * spread)) / np.sqrt(2 * np.pi * spread)
        chance += float(np.sum(0.5 * (density[1:] + density[:-1]) * np.diff(places)))
    return chance


def lower(distance: float, gaps: np.ndarray, places: np.ndarray, inverse_rows: float) -> float:
    """The smallest distance along the observed curve that is not surprisingly small."""
    unit = np.sqrt(inverse_rows)
    value, shape = distance / unit, gaps / unit

    def fits(share: float) -> bool:
        # Misses belong to the lower limit where nothing changed, and in halves to both from two deviations on.
        level = ALPHA * (1 - 0.5 * min(share * value, 1.0))
        return crossing(value, share * shape, places) >= level

    if fits(0.0):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(25):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high * distance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    print("| n | shift | of one shape: above | of every shape: above | upper limit below | widths |")
    print("|---|---|---|---|---|---|")
    for n in (50, 200, 1000, 10_000):
        for shift in (0.0, 0.02, 0.1, 0.5):
            pairs = arguments.pairs // (2 if n > 5000 else 1)
            truth = float(2 * norm.cdf(shift / 2) - 1)
            inverse_rows = 2 / n
            misses, widths = np.zeros(3), np.zeros(2)
            for _ in range(pairs):
                distance, gaps, places = curve(generator.normal(size=n), generator.normal(size=n) + shift)
                own = lower(distance, gaps, places, inverse_rows)
                every = max(0.0, distance - np.sqrt(0.5 * inverse_rows * np.log(2 / ALPHA)))
                high = distance + 0.5 * (norm.isf(ALPHA / 2) * np.sqrt(inverse_rows) + inverse_rows)
                misses += [own > truth + 1e-12, every > truth + 1e-12, high < truth]
                widths += [high - own, high - every]
            a, b, c = 100 * misses / pairs
            v, w = widths / pairs
            print(f"| {n} | {shift:g} | {a:.1f} % | {b:.1f} % | {c:.1f} % | {v:.4f}, {w:.4f} |")


if __name__ == "__main__":
    main()
