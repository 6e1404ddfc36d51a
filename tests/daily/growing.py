"""Logs that grow: made rows, and real ones, one file a day or a month."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
MAIN = [sys.executable, "-c", "from tidegauge.cli import main; main()"]
#: What changes from run to run and is no part of a result.
TIMES = ("started", "finished", "duration_seconds", "command", "digests")


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what its envelope tells of time."""
    envelope = {name: value for name, value in record["envelope"].items() if name not in TIMES}
    return {**record, "envelope": envelope, "envelope_digest": None}


def damage(path: Path) -> None:
    """Break the first page of a Parquet file, and leave its footer."""
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)


def rows_of(days: int, rows: int, *, start: str = "2024-01-01", shift: float = 0.0, seed: int = 0) -> pl.DataFrame:
    """Rows of some days: numbers, ties, missing values, categories."""
    rng = np.random.default_rng(seed)
    n = days * rows
    seconds = np.sort(rng.integers(0, 86_400, (days, rows)), axis=1) + 86_400 * np.arange(days)[:, None]
    begin = dt.datetime.fromisoformat(start)
    times = [begin + dt.timedelta(seconds=int(s)) for s in seconds.ravel()]
    x = rng.normal(shift, 1, n)
    missing = rng.random(n) < 0.05
    return pl.DataFrame({
        "ts": times,
        "x": [None if gone else float(value) for gone, value in zip(missing, x, strict=True)],
        "k": rng.poisson(4, n),
        "city": rng.choice(["Oslo", "Rome", "Lima", "Bonn"], n, p=[0.4, 0.3, 0.2, 0.1]),
    })  # fmt: skip


def daily(folder: Path, days: int, rows: int, *, groups: int = 2, seed: int = 1, skip: int = 0) -> list[Path]:
    """One file a day, drifting slowly; `skip` days are made but not written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for day in range(skip, days):
        date = dt.date(2024, 3, 1) + dt.timedelta(days=day)
        frame = rows_of(1, rows, start=f"{date}", shift=0.2 * day, seed=seed * 1000 + day)
        written.append(folder / f"{date}.parquet")
        frame.write_parquet(written[-1], row_group_size=-(-rows // groups), use_pyarrow=False)
    return written


def write_config(
    folder: Path, *, store: str = "", more: str = "", current: str = "", roles: str = "", top: str = ""
) -> Path:
    """A configuration over ``reference.parquet`` and ``log/*.parquet`` of a folder."""
    text = f"""
{top}
[reference]
path = "reference.parquet"
[current]
path = "log/*.parquet"
window = "1d"
{current}
[roles]
time = "ts"
{roles}
[output]
files = ["out/report.json", "out/rows.parquet"]
{f'[store]{chr(10)}path = "store"{chr(10)}{store}' if store != "none" else ""}
{more}
"""
    path = folder / "tidegauge.toml"
    path.write_text(text)
    return path


def command(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command line, in a process of its own."""
    return subprocess.run([*MAIN, "run", str(config), "-q", *options], capture_output=True, text=True, check=False)


def record_of(folder: Path) -> dict[str, Any]:
    """The record a run left."""
    found: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    return found


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
