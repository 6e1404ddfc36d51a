"""A year of daily files in a store, and what checkpoints cost.

``python benchmarks/store.py FOLDER [ROWS]`` writes 364 files of ROWS rows (default 20,000) and 13 columns, and
prints the CPU seconds of this process and its threads: the scan of all files in one go and in parts, a run for
every day of the year as its file comes, the same once more, the year read from the store and merged, and a first
run over the whole year. Answers are asserted equal before a time is told.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tidegauge as tg
from tidegauge._profile import Options, make_options, scan
from tidegauge._store import Store, join
from tidegauge._work import EVERY, SHARE, Parts

CONFIG = """
[reference]
path = "reference.parquet"
[current]
path = "log/*.parquet"
window = "1d"
[roles]
time = "ts"
[store]
path = "store"
render = 30
"""


def frame(day: int, rows: int) -> pl.DataFrame:
    """Rows of one day: ten numbers, of which some are rounded, and two categories."""
    rng = np.random.default_rng(1000 + day)
    begin = np.datetime64("2023-01-01", "us") + np.timedelta64(day, "D")
    times = begin + np.sort(rng.integers(0, 86_400_000_000, rows)).astype("timedelta64[us]")
    numbers = {f"x{i}": rng.normal(0.002 * day, 1, rows).round(i) for i in range(10)}
    categories = {f"c{i}": rng.integers(0, 5 * 10**i, rows).astype(str) for i in (1, 2)}
    return pl.DataFrame({"ts": times, **numbers, **categories})


def timed(label: str, work: Callable[[], Any]) -> Any:
    """Run, and tell CPU and elapsed seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    made = work()
    print(f"{label:<44} {time.process_time() - cpu:7.2f} s CPU {time.perf_counter() - wall:7.2f} s", flush=True)
    return made


def main(folder: Path, rows: int) -> None:
    """Write the files where they are not there, and measure."""
    (folder / "log").mkdir(parents=True, exist_ok=True)
    if not (folder / "reference.parquet").exists():
        pl.concat([frame(-30 + day, rows) for day in range(30)]).write_parquet(folder / "reference.parquet")
    for day in range(364):
        date = dt.date(2023, 1, 1) + dt.timedelta(days=day)
        if not (folder / "log" / f"{date}.parquet").exists():
            frame(day, rows).write_parquet(folder / "log" / f"{date}.parquet")
    (folder / "tidegauge.toml").write_text(CONFIG)
    config = folder / "tidegauge.toml"

    reference = scan(folder / "reference.parquet", make_options(time="ts"))
    options = make_options(time="ts", window="1d")
    data = str(folder / "log/*.parquet")
    whole = timed("364 files in one go", lambda: scan(data, options, like=reference))
    for label, every, share in (
        ("in parts, checkpoints as by default", EVERY, SHARE),
        ("the same, thought of every half second", 0.5, SHARE),
        ("a checkpoint every 2 s", 2.0, 1.0),
        ("a checkpoint every 0.5 s", 0.5, 1.0),
    ):
        kept: list[int] = []
        parts = Parts(lambda made: kept.append((folder / "checkpoint").write_bytes(made)), every, share)  # noqa: B023
        scanned = timed(label, lambda: scan(data, options, like=reference, parts=parts))  # noqa: B023
        print(f"    {len(kept)} checkpoints, {sum(kept) / 1e6:.0f} MB")
        assert scanned.digest == whole.digest
    del whole, scanned

    days = folder / "days"
    shutil.rmtree(days, ignore_errors=True)
    (days / "log").mkdir(parents=True)
    (days / "reference.parquet").symlink_to(folder / "reference.parquet")
    (days / "tidegauge.toml").write_text(CONFIG)
    spent = []
    for day, path in enumerate(sorted((folder / "log").iterdir())):
        (days / "log" / path.name).symlink_to(path)
        cpu = time.process_time()
        report = tg.run(days / "tidegauge.toml")
        spent.append(time.process_time() - cpu)
        if day and day % 52 == 51:
            print(f"daily runs {day - 50:3} to {day + 1:3}: {np.mean(spent[-51:]):.3f} s CPU each", flush=True)
    again = timed("the same again", lambda: tg.run(days / "tidegauge.toml"))
    assert again.record["result_digest"] == report.record["result_digest"]
    main_of = "from tidegauge.cli import main; main()"
    command = [sys.executable, "-c", main_of, "run", str(days / "tidegauge.toml"), "-q"]
    before, wall = os.times(), time.perf_counter()
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode in (0, 1)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{'the same as a process of its own':<44} {cpu:7.2f} s CPU {time.perf_counter() - wall:7.2f} s")
    merge_all(days, options, 364 * rows)

    shutil.rmtree(folder / "store", ignore_errors=True)
    timed("364 days in a first run", lambda: tg.run(config))
    merge_all(folder, options, 364 * rows)


def merge_all(folder: Path, options: Options, rows: int) -> None:
    """A year of days read from a store and merged."""
    with Store.open(folder / "store") as store:
        windows = timed("windows listed", store.windows)
        loaded = timed(f"{len(windows)} profiles read", lambda: store.load(windows.values(), options, late="reopen"))
        year = timed("a year merged", lambda: join(list(loaded.values())))
    assert year.rows == rows
    size = sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file())
    files = sum(path.is_file() for path in (folder / "store").rglob("*"))
    print(f"store: {size / 1e6:.1f} MB in {files} files; data: {rows:,} rows")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20_000)
