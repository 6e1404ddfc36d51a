"""How often do tests reject when nothing changed? The nycflights13 reference, split at random into halves of days.

Days are dealt at random into a reference and a current half, so nothing differs but chance; rows of a
day are dependent (one weather, one timetable). Prints, for each feature, score and label, how often
the deciding statistic's p-value is at most 5 %, with blocks of a day and with rows taken as
independent.

Usage: python benchmarks/calibration/split_halves.py [--splits 400] [--seed 1] [--output FILE.md]
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections import defaultdict
from pathlib import Path

import polars as pl
import tidegauge as tg

REFERENCE = Path(__file__).resolve().parents[2] / "examples" / "nycflights13" / "reference.parquet"
EXCLUDE = ["row_id", "month", "flight", "tailnum"]
MAIN = ("ks", "total_variation")


def rejections(splits: int, seed: int, block: str = "1d", level: float = 0.05) -> dict[str, float]:
    """Share of `splits` random halvings in which each column's main statistic has p <= `level`."""
    import numpy as np

    log = pl.read_parquet(REFERENCE).drop(EXCLUDE, strict=False)
    day = log.get_column("ts").dt.truncate("1d")
    days = np.array(day.unique().sort().to_list())
    generator = np.random.default_rng(seed)
    rejected: dict[str, int] = defaultdict(int)
    for _ in range(splits):
        chosen = generator.permutation(days)[: len(days) // 2].tolist()
        half = day.is_in(chosen)
        reference = tg.profile(log.filter(half), time="ts", block=block)
        current = tg.profile(log.filter(~half), like=reference)
        for row in tg.compare(reference, current).rows:
            if row["statistic"] in MAIN and row["decides"]:
                rejected[row["feature"]] += row["pvalue"] is not None and row["pvalue"] <= level
    return {feature: count / splits for feature, count in sorted(rejected.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=400)
    parser.add_argument("--independent", type=int, default=40, help="splits of the i.i.d. column")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    blocks = rejections(arguments.splits, arguments.seed)
    independent = rejections(arguments.independent, arguments.seed, block="none")
    lines = [
        f"# Random halves of days, {dt.date.today().isoformat()}",
        "",
        f"`python benchmarks/calibration/split_halves.py --splits {arguments.splits} --seed {arguments.seed}`,",
        f"tidegauge {tg.__version__}. Share of splits whose deciding statistic has p <= 5 % although nothing",
        f"changed: {arguments.splits} splits with blocks of a day, {arguments.independent} with independent rows.",
        "",
        "| column | blocks of a day | rows as independent |",
        "|---|---|---|",
        *(f"| {name} | {100 * share:.1f} % | {100 * independent[name]:.0f} % |" for name, share in blocks.items()),
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
