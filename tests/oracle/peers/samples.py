"""Samples that any Python makes alike: what other packages were asked about, and what tidegauge is asked about."""

import math
from statistics import NormalDist

Pair = tuple[list[float], list[float]]
Words = tuple[list[str], list[str]]


def spread(n: int, start: int = 1) -> list[float]:
    """Numbers between 0 and 1 that fill it evenly in no visible order: van der Corput's, base 2."""
    return [sum(int(b) / 2 ** (i + 1) for i, b in enumerate(reversed(f"{k:b}"))) for k in range(start, n + start)]


def normal(n: int, start: int = 1) -> list[float]:
    return [NormalDist().inv_cdf(u) for u in spread(n, start)]


def words(**counts: int) -> list[str]:
    return [word for word, n in counts.items() for _ in range(n)]


NUMBERS: dict[str, Pair] = {
    "normal": (normal(1000), [0.3 + 1.2 * x for x in normal(800, 7)]),
    "skewed": ([math.exp(x) for x in normal(900)], [math.exp(1.3 * x) for x in normal(700, 3)]),
    "ties": ([float(round(9 * u)) for u in spread(600)], [float(round(11 * u)) for u in spread(500, 5)]),
    "small": (normal(60), [x + 0.4 for x in normal(40, 9)]),
    "no change": (normal(150), normal(150)),
}
WORDS: dict[str, Words] = {
    "rare and new": (words(a=690, b=5, c=300, d=5), words(a=200, b=100, c=190, e=10)),
    "rare in both": (words(a=600, b=398, c=1, d=1), words(a=500, b=492, c=4, d=4)),
    "two values": (words(a=61, b=39), words(a=20, b=25)),
    "three values": (words(a=60, b=39, c=20), words(a=20, b=25, c=5)),
    "no change": (words(a=50, b=30), words(a=100, b=60)),
}
