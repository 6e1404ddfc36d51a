"""CPU time of a scan with sampling weights, and with integer frequencies, beside one without.

One file of gen.py with a column of weights (log-normal, cut to 1/1024) and one of frequencies (1 to 5), profiled
against a grid saved beforehand; blocks are off. Each scan is a process of its own, in turn; its figure is user + system
CPU time less that of a bare import, and ratios are medians over the runs. Before a time is told, the mean of one column
is compared with numpy's.
"""

import argparse
import math
import statistics
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from ratio import cpu, generate

SCAN = """
import tidegauge as tg
reference = tg.Profile.load({saved!r})
current = tg.profile({path!r}, like=reference)
print(next(c["mean"] for c in current.info["columns"] if c["name"] == {column!r}))
"""
SAVE = """
import tidegauge as tg
tg.profile({path!r}, exclude={exclude!r}, block="none", **{options!r}).save({saved!r})
"""
KINDS = {
    "unweighted": ({}, ["weight", "frequency"]),
    "weight": ({"weight": "weight"}, ["frequency"]),
    "frequency": ({"frequency": "frequency"}, ["weight"]),
}


def add_weights(path: Path, made: Path) -> None:
    """The log with a weight and a frequency in each row."""
    rng = np.random.default_rng(5)
    frame = pl.read_parquet(path)
    weights = np.ceil(rng.lognormal(0.0, 0.7, frame.height) * 1024) / 1024
    frequencies = rng.integers(1, 6, frame.height)
    frame.with_columns(weight=weights, frequency=frequencies).write_parquet(made, compression="zstd", statistics=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir(), "tidegauge-bench"))
    args = parser.parse_args()

    args.dir.mkdir(parents=True, exist_ok=True)
    sides = {}
    for side, rows, seed in (("ref", args.rows // 4, "7"), ("cur", args.rows, "11")):
        plain = args.dir / f"weights_{side}_{rows}_plain.parquet"
        sides[side] = args.dir / f"weights_{side}_{rows}.parquet"
        if not sides[side].exists():
            generate(plain, rows, "--seed", seed, "--codec", "zstd")
            add_weights(plain, sides[side])
            plain.unlink()
    schema = pl.read_parquet_schema(sides["cur"])
    column = next(name for name, dtype in schema.items() if dtype == pl.Float64 and name != "weight")
    values = pl.read_parquet(sides["cur"], columns=[column, "weight", "frequency"]).drop_nulls()
    values = values.filter(pl.col(column).is_finite())
    expected = {
        name: float(np.average(values[column], weights=None if not roles else values[name]))
        for name, (roles, _) in KINDS.items()
    }
    saved = {}
    for name, (options, exclude) in KINDS.items():
        saved[name] = str(args.dir / f"weights_{name}.tgp")
        cpu(SAVE.format(path=str(sides["ref"]), exclude=exclude, options=options, saved=saved[name]))

    base, _, _ = cpu("import tidegauge as tg; tg.Profile")
    times: dict[str, list[float]] = {name: [] for name in KINDS}
    for _ in range(args.runs):
        for name in KINDS:
            seconds, _, told = cpu(SCAN.format(saved=saved[name], path=str(sides["cur"]), column=column))
            if not math.isclose(float(told), expected[name], rel_tol=1e-9):
                raise SystemExit(f"{name}: mean of {column} is {told}, numpy says {expected[name]}")
            times[name].append(seconds - base)
    print(f"{args.rows:,} rows x {len(schema) - 2} columns, {args.runs} runs")
    for name, found in times.items():
        over = statistics.median(a / b for a, b in zip(found, times["unweighted"], strict=True))
        print(f"{name:<11} {statistics.median(found):6.2f} s  {over:5.2f} times unweighted")


if __name__ == "__main__":
    main()
