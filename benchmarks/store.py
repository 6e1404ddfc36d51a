"""A year of daily files in a store, and what checkpoints cost.

``python benchmarks/store.py FOLDER [ROWS]`` writes 365 files of ROWS rows (default 20,000) and 12 columns,
and prints the CPU seconds of this process and its threads: the first run over a year, a run with one more day,
the same once more, a whole year merged and compared, and the scan of all files in one go and in parts.
Answers are asserted equal before a time is told.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tidegauge as tg
from tidegauge._profile import make_options, scan
from tidegauge._store import Store, join
from tidegauge._work import Parts

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
    whole = timed("364 files in one go", lambda: scan(str(folder / "log/*.parquet"), options, like=reference))
    for every in (10.0, 1.0):
        parts = Parts(keep=(folder / "checkpoint").write_bytes, every=every)
        scanned = timed(
            f"the same, a checkpoint every {every:g} s",
            lambda: scan(str(folder / "log/*.parquet"), options, like=reference, parts=parts),  # noqa: B023
        )
        assert scanned.digest == whole.digest

    timed("first run, 364 days", lambda: tg.run(config))
    frame(364, rows).write_parquet(folder / "log" / "2023-12-31.parquet")
    report = timed("one more day", lambda: tg.run(config))
    again = timed("the same again", lambda: tg.run(config))
    assert again.record["result_digest"] == report.record["result_digest"]

    with Store.open(folder / "store") as store:
        windows = timed("windows listed", store.windows)
        loaded = timed("365 profiles read", lambda: store.load(windows.values(), options, late="reopen"))
        year = timed("a year merged", lambda: join(list(loaded.values())))
    assert year.rows == 365 * rows
    size = sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file())
    files = sum(path.is_file() for path in (folder / "store").rglob("*"))
    print(f"store: {size / 1e6:.1f} MB in {files} files; data: {365 * rows:,} rows")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20_000)
