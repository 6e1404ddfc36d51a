"""How often does the interval of an importance hold the importance in the population, and how often is a null rejected?

A run draws rows from a population, takes the importances of one fixed model on them, and asks whether each interval
of level 95 % holds the importance over all pairs of a very large sample of the same population. Three features: a
strong one, a weak one, and one that the model leans on and the labels do not know: as it is independent of all
else, its importance is 0.

Usage: python benchmarks/calibration/importance.py [--runs 4000] [--seed 1] [--state FILE.json] [--output FILE.md]

With --state, what was computed is kept there after every cell, and a second call goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tidegauge as tg
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from tidegauge import _core, _models

LEVEL = 0.05
SIZES = (300, 1000, 3000)
LOSSES = ("squared", "absolute", "log_loss")
#: Rows that the truth is taken from.
POPULATION = 1_500_000
#: Of the labels, and of the linear model, which leans on the third feature too.
WEIGHTS = np.array([2.0, 0.4, 0.0])
MODEL = np.array([2.0, 0.4, 0.4])
FEATURES = ("strong", "weak", "null")
#: Rows of a block.
DAY = 20
BLOCKS = (20, 50, 200)

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


def normal(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(3, n)), rng.normal(size=n)


def skewed(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.exponential(size=(3, n)) - 1.0, rng.normal(size=n)


def flags(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """One row in twenty carries each flag."""
    return (rng.random(size=(3, n)) < 0.05) / math.sqrt(0.05 * 0.95), rng.normal(size=n)


def correlated(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The first two features with correlation .7, and errors that grow with the first."""
    x = rng.normal(size=(3, n))
    x[1] = 0.7 * x[0] + math.sqrt(1 - 0.49) * x[1]
    return x, np.exp(0.4 * x[0] - 0.08) * rng.normal(size=n)


def heavy(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Lognormal features, errors of Student's t with 5 degrees of freedom."""
    x = (rng.lognormal(size=(3, n)) - math.exp(0.5)) / math.sqrt((math.e - 1) * math.e)
    return x, rng.standard_t(5, size=n)


def days(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Half of the variance of features and errors is common to the rows of a block."""
    of_day = np.repeat(rng.normal(size=(4, n // DAY)), DAY, axis=1)
    both = (of_day + rng.normal(size=(4, n))) / math.sqrt(2.0)
    return both[:3], both[3]


GENERATORS: dict[str, Draw] = {
    "normal features and errors": normal,
    "exponential features": skewed,
    "flags of one row in twenty": flags,
    "correlated, errors of unequal size": correlated,
    "lognormal features, t errors": heavy,
}


def rows(draw: Draw, loss: str, rng: np.random.Generator, n: int) -> tuple[list[np.ndarray], np.ndarray]:
    x, errors = draw(rng, n)
    signal = WEIGHTS @ x
    positive = rng.random(n) < 1.0 / (1.0 + np.exp(-signal))
    return [np.ascontiguousarray(c) for c in x], positive.astype(float) if loss == "log_loss" else signal + errors


@cache
def trees(draw: Draw, loss: str) -> _core.TreeModel:
    """Fitted to labels that know the third feature, so that the model leans on it."""
    rng = np.random.default_rng(zlib.crc32(draw.__name__.encode()))
    x, errors = draw(rng, 4000)
    signal = MODEL @ x
    shape = {"n_estimators": 8, "max_depth": 2, "learning_rate": 0.5, "random_state": 0}
    if loss == "log_loss":
        y = rng.random(4000) < 1.0 / (1.0 + np.exp(-signal))
        return _models.read(GradientBoostingClassifier(**shape).fit(x.T, y)).trees
    return _models.read(GradientBoostingRegressor(**shape).fit(x.T, signal + errors)).trees


def estimate(
    kind: str, draw: Draw, loss: str, columns: list[np.ndarray], y: np.ndarray, blocks: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Importance, interval and p-value of the three features."""
    keys = ("importance", "low", "high", "pvalue")
    if kind == "trees":
        donors = _core.Donors(trees(draw, loss), loss, 0.5)
        donors.update(columns, y)
        sums = _core.ImportanceSums(donors)
        sums.update(columns, y, 1, blocks)
        if blocks is not None:
            sums.update_donors(columns, blocks)
        found = json.loads(sums.finish(LEVEL))
        return {key: np.array(found[key], dtype=np.float64) for key in keys}
    margins = sum(w * c for w, c in zip(MODEL, columns, strict=True))
    parts = []
    for w, column in zip(MODEL, columns, strict=True):
        if kind == "linear":
            told = _core.additive_importance(
                loss, "logistic" if loss == "log_loss" else "identity", margins, w * column, y, LEVEL, blocks
            )
        else:
            told = permuted(y, margins, w * column, int(kind.split()[0]), blocks)
        parts.append(json.loads(told))
    return {key: np.array([part[key] for part in parts], dtype=np.float64) for key in keys}


def permuted(y: np.ndarray, margins: np.ndarray, term: np.ndarray, repeats: int, blocks: np.ndarray | None) -> str:
    """A black box under squared error; the permutations are keyed by the rows themselves."""
    made = _core.Permuted(len(y), blocks)
    rng = np.random.default_rng(zlib.crc32(term.tobytes()))
    own = (y - margins) ** 2
    for _ in range(repeats):
        order = rng.permutation(len(y))
        made.add((y - margins + term - term[order]) ** 2 - own, order.astype(np.uint64))
    return made.finish(LEVEL)


def truth(kind: str, draw: Draw, loss: str) -> np.ndarray:
    kind = "trees" if kind == "trees" else "linear"
    if kind == "linear" and loss == "squared":
        # Twice the covariance of the term with the labels, given the others as they are: 2 b (b v + cov(e, x)).
        spread = np.eye(3)
        if draw is correlated:
            spread[0, 1] = spread[1, 0] = 0.7
        return 2 * MODEL * (MODEL * np.diag(spread) + spread @ (WEIGHTS - MODEL))
    rng = np.random.default_rng(99)
    columns, y = rows(draw, loss, rng, POPULATION)
    found = estimate(kind, draw, loss, columns, y, None)["importance"]
    # The third feature is independent of all else.
    found[2] = 0.0
    return found


def cells() -> Iterator[tuple[str, str, str, str, int]]:
    """Kind of rows, generator, model, loss, rows or blocks."""
    for name in GENERATORS:
        kinds = [("linear", LOSSES[:1]), ("trees", LOSSES), ("2 permutations", LOSSES[:1])]
        # Permutations show in the first two populations what they show anywhere.
        for kind, losses in kinds[: 3 if name in list(GENERATORS)[:2] else 2]:
            for loss in losses:
                for n in SIZES:
                    yield "rows", name, kind, loss, n
    for kind, losses in (("linear", LOSSES[:1]), ("trees", LOSSES), ("5 permutations", LOSSES[:1])):
        for loss in losses:
            for n in BLOCKS:
                yield "blocks", "days", kind, loss, n


def run(cell: tuple[str, str, str, str, int], runs: int, seed: int, known: np.ndarray) -> dict[str, Any]:
    unit, name, kind, loss, size = cell
    draw, n = (GENERATORS[name], size) if unit == "rows" else (days, DAY * size)
    blocks = None if unit == "rows" else np.repeat(np.arange(size, dtype=np.uint32), DAY)
    low, high, rejected = np.zeros(3), np.zeros(3), np.zeros(3)
    for k in range(runs):
        rng = np.random.default_rng([seed, zlib.crc32(repr(cell).encode()), k])
        columns, y = rows(draw, loss, rng, n)
        found = estimate(kind, draw, loss, columns, y, blocks)
        low += known < found["low"]
        high += known > found["high"]
        rejected += found["pvalue"] < LEVEL
    return {"low": list(low), "high": list(high), "rejected": list(rejected), "truth": list(known), "runs": runs}


def told(value: float, least: float, most: float) -> str:
    text = f"{100 * value:.1f}"
    return text if least <= value <= most else f"**{text}**"


def page(found: dict[str, dict[str, Any]], arguments: argparse.Namespace, seconds: float) -> str:
    lines = [
        f"# Intervals of importances: coverage and level, {dt.date.today().isoformat()}",
        "",
        f"`python benchmarks/calibration/importance.py --runs {arguments.runs} --seed {arguments.seed}`, tidegauge "
        f"{tg.__version__}, {seconds:.0f} s of CPU. Coverage in percent of {arguments.runs} intervals of level 95 %, "
        "of a strong feature, a weak one, and one that the model leans on and the labels do not know. The last is "
        "independent of all else, so that its importance is 0 under any loss: the share of one-sided tests at 5 % that "
        "reject it stands beside. Outside 92.5 to 97.5 %, or of a null 3 to 7 %: bold. "
        f"The standard error of a share of {arguments.runs} is 0.3.",
        "",
    ]
    worst: list[tuple[float, str]] = []
    for unit, title in (("rows", "Rows drawn one by one"), ("blocks", f"Blocks of {DAY} rows that hang together")):
        sizes = SIZES if unit == "rows" else BLOCKS
        what = "rows" if unit == "rows" else "blocks"
        head = [f"{n} {what}: strong, weak, null" for n in sizes]
        lines += [f"## {title}", "", "| population | model | loss | " + " | ".join([*head, "null rejected"]) + " |"]
        lines.append("|" + "---|" * (4 + len(sizes)))
        groups = dict.fromkeys(cell[:4] for cell in cells() if cell[0] == unit)
        for group in groups:
            texts, level = [], []
            for n in sizes:
                held = found.get(key((*group, n)))
                if held is None:
                    texts.append("")
                    continue
                total = held["runs"]
                cover = [1 - (a + b) / total for a, b in zip(held["low"], held["high"], strict=True)]
                texts.append(", ".join(told(c, 0.925, 0.975) for c in cover))
                worst += [
                    (c, f"{group[1]}, {group[2]}, {group[3]}, {n} {what}, {f}")
                    for c, f in zip(cover, FEATURES, strict=True)
                ]
                level.append(told(held["rejected"][2] / total, 0.03, 0.07))
            lines.append(f"| {group[1]} | {group[2]} | {group[3]} | " + " | ".join([*texts, ", ".join(level)]) + " |")
        lines.append("")
    inside = sum(0.925 <= c <= 0.975 for c, _ in worst)
    lines += [
        "## Exceptions by name",
        "",
        f"{inside} of {len(worst)} intervals are inside. The others:",
        "",
        *[f"- {name}: {100 * c:.1f} %" for c, name in sorted(worst) if not 0.925 <= c <= 0.975],
        "",
    ]
    return "\n".join(lines)


def key(cell: tuple[str, str, str, str, int]) -> str:
    return "/".join(map(str, cell))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    if arguments.state and arguments.state.exists():
        found = json.loads(arguments.state.read_text())
    known: dict[tuple[str, ...], np.ndarray] = {}
    for cell in cells():
        if found.get(key(cell), {}).get("runs", 0) >= arguments.runs:
            continue
        began = time.process_time()
        draw = GENERATORS.get(cell[1], days)
        kind = "trees" if cell[2] == "trees" else "linear"
        at = (draw.__name__, kind, cell[3])
        if at not in known:
            known[at] = truth(kind, draw, cell[3])
        made = run(cell, arguments.runs, arguments.seed, known[at])
        found[key(cell)] = made | {"seconds": time.process_time() - began}
        print(key(cell), {k: v for k, v in made.items() if k != "runs"}, flush=True)
        if arguments.state:
            arguments.state.write_text(json.dumps(found))
    seconds = sum(held["seconds"] for held in found.values())
    if arguments.output:
        arguments.output.write_text(page(found, arguments, seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
