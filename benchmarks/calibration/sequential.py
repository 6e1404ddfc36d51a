"""How often does a rule raise any false alarm in a replay of many windows against one fixed reference?

A reference of one column is drawn once for each replay; its own error is then part of every window.
Windows of the replay lie at a true Kolmogorov-Smirnov distance (0, or the failing tolerance itself,
the edge of the null) from the distribution the reference was drawn from. Prints, for each rule of
`decisions`, the share of replays with any failing row and a 99 % lower confidence bound (Clopper and
Pearson) of it, and for drift beyond the tolerance the share found and the median window.

The null is repeated in plain numpy with many more replays, also for evidence that leaves the reference's
error out, and that takes it into each window as if it were drawn anew.

Usage: python benchmarks/calibration/sequential.py [--replays 12] [--by-hand 400] [--windows 1000] [--seed 1]
       [--output docs/calibration/sequential_by_hand.md]
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import tidegauge as tg

RULES = ("window", "online_fdr", "sequential")
DAY = 86_400_000_000


class Case(NamedTuple):
    """Rows of the reference and of a window, failing tolerance, and true distance."""

    reference: int
    window: int
    tolerance: float
    distance: float


CASES = (
    Case(500, 500, 0.0, 0.0),
    Case(500, 2000, 0.02, 0.02),
    Case(5000, 500, 0.05, 0.05),
    Case(5000, 500, 0.05, 0.15),
    Case(5000, 500, 0.05, 0.25),
)


def draw(generator: np.random.Generator, windows: int, rows: int, distance: float) -> pl.DataFrame:
    """Uniform whole numbers over days, of which the share `distance` moved from below the middle to above."""
    day = np.repeat(np.arange(windows), rows)
    x = generator.integers(0, 1000, len(day))
    x += 500 * ((x < 500) & (generator.random(len(day)) < 2 * distance))
    return pl.DataFrame({"ts": pl.Series(day * DAY).cast(pl.Datetime("us")), "x": x})


def replay(case: Case, windows: int, generator: np.random.Generator) -> dict[str, int | None]:
    """The first window that fails under each rule."""
    reference = tg.profile(draw(generator, 1, case.reference, 0.0), time="ts", block="none")
    rows = draw(generator, windows, case.window, case.distance)
    current = tg.profile(rows, like=reference, window="1d", time="ts")
    limits = {"x": {"warn": case.tolerance, "fail": case.tolerance}}
    first: dict[str, int | None] = {}
    for rule in RULES:
        report = tg.compare(reference, current, tolerances=limits, decisions={"over_time": rule})
        judged = [row for row in report.rows if row["statistic"] == "ks"]
        judged.sort(key=lambda row: row["window_start"])
        first[rule] = next((i + 1 for i, row in enumerate(judged) if row["verdict"] == "fail"), None)
    return first


def by_hand(case: Case, windows: int, replays: int, generator: np.random.Generator, alpha: float = 0.05) -> list[int]:
    """Alarms of e-values without the reference's error, with it in each window, and with a band around it."""
    cells = 100
    base, moved = np.full(cells, 1 / cells), np.full(cells, 1 / cells)
    moved[: cells // 2] -= 2 * case.distance / cells
    moved[cells // 2 :] += 2 * case.distance / cells
    band = np.sqrt(np.log(2 / (alpha / 2)) / (2 * case.reference))
    ways = (
        (1 / case.window, 0.0, alpha),
        (1 / case.window + 1 / case.reference, 0.0, alpha),
        (1 / case.window, band, alpha / 2),
    )
    alarms = [0, 0, 0]
    for _ in range(replays):
        reference = np.cumsum(generator.multinomial(case.reference, base)) / case.reference
        counts = generator.multinomial(case.window, moved, size=windows)
        distance = np.abs(np.cumsum(counts, axis=1) / case.window - reference).max(axis=1)
        for way, (variance, width, level) in enumerate(ways):
            beyond = np.maximum(distance - case.tolerance - width, 0)
            p = np.clip(2 * np.exp(-2 * beyond**2 / variance), 1e-300, 1 - 1e-9)
            evalues = (1 - p + p * np.log(p)) / (p * np.log(p) ** 2)
            process = 0.0
            for i, e in enumerate(np.minimum(evalues, 1e200).tolist(), start=1):
                process = min((process + 1 / (i * (i + 1))) * e, 1e200)
                if process + 1 / (i + 1) >= 1 / level:
                    alarms[way] += 1
                    break
    return alarms


def lower_bound(alarms: int, replays: int, level: float = 0.01) -> float:
    """One-sided Clopper-Pearson limit."""
    from scipy.stats import beta

    return float(beta.ppf(level, alarms, replays - alarms + 1)) if alarms else 0.0


def _named(case: Case) -> str:
    return f"{case.reference:,} | {case.window:,} | {case.tolerance:g} | {case.distance:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=12)
    parser.add_argument("--by-hand", type=int, default=400, help="replays in numpy")
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    command = f"python benchmarks/calibration/sequential.py --replays {arguments.replays} --windows {arguments.windows}"
    command += f" --by-hand {arguments.by_hand}"
    lines = [
        f"# Any alarm in a replay of {arguments.windows:,} windows, {dt.date.today().isoformat()}",
        "",
        f"`{command} --seed {arguments.seed}`, tidegauge {tg.__version__}.",
        "One reference for a whole replay, alpha 5 %. Each cell: replays with any failing `ks` row (99 % lower",
        "confidence bound), and the median window of the first.",
        "",
        "| reference rows | rows a window | tolerance | true distance | " + " | ".join(RULES) + " |",
        "|---|---|---|---|" + "---|" * len(RULES),
    ]
    generator = np.random.default_rng(arguments.seed)
    for case in CASES:
        # A change that is there is found soon; what counts is the null.
        windows = arguments.windows if case.distance <= case.tolerance else 50
        found = [replay(case, windows, generator) for _ in range(arguments.replays)]
        cells = []
        for rule in RULES:
            first = [at for one in found if (at := one[rule]) is not None]
            share, bound = len(first) / len(found), lower_bound(len(first), len(found))
            cells.append(f"{share:.1%} ({bound:.1%})" + (f", {statistics.median(first):g}" if first else ""))
        lines.append(
            f"| {case.reference:,} | {case.window:,} | {case.tolerance:g} | {case.distance:g} | {' | '.join(cells)} |"
        )
    lines += [
        "",
        f"The same in numpy, {arguments.by_hand} replays of {arguments.windows:,} windows:",
        "",
        "| reference rows | rows a window | tolerance | true distance | reference taken as known | reference drawn "
        "anew in each window | band around the reference |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in (case for case in CASES if case.distance <= case.tolerance):
        alarms = by_hand(case, arguments.windows, arguments.by_hand, generator)
        cells = [f"{a / arguments.by_hand:.1%} ({lower_bound(a, arguments.by_hand):.1%})" for a in alarms]
        lines.append(f"| {_named(case)} | {' | '.join(cells)} |")
    text = "\n".join(lines) + "\n"
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
