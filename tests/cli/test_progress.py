"""What a scan tells while it runs, and how it stops."""

import contextlib
import datetime as dt
import itertools
import json
import os
import pty
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import tidegauge as tg
from tidegauge._profile import make_options, scan
from tidegauge.cli import _progress

PROFILE = [sys.executable, "-c", "from tidegauge.cli import main; main()", "profile"]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seconds of work in two row groups, whose column chunks take long each: one file, linked often."""
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(5)
    frame = pl.DataFrame({f"x{i}": rng.normal(size=500_000) for i in range(8)})
    first = folder / "000.parquet"
    frame.write_parquet(first, row_group_size=250_000, use_pyarrow=False)
    for i in range(1, 60):
        (folder / f"{i:03}.parquet").hardlink_to(first)
    return folder


def test_bytes_over_all_passes(long: Path) -> None:
    seen: list[tuple[int, int]] = []
    reference = scan(long / "000.parquet", make_options(), progress=lambda done, total: seen.append((done, total)))
    footer = pq.read_metadata(long / "000.parquet")
    chunks = [footer.row_group(g).column(c) for g in range(footer.num_row_groups) for c in range(footer.num_columns)]
    stored = sum(chunk.total_compressed_size for chunk in chunks)
    assert seen[-1][0] == seen[-1][1]
    assert seen[-1][1] >= 2 * stored  # keys and counts; more where a cell is heavy
    assert all(a <= b for (a, _), (b, _) in itertools.pairwise(seen))
    assert all(done <= total for done, total in seen)
    seen.clear()
    scan(long / "000.parquet", make_options(), like=reference, progress=lambda *n: seen.append(n))
    assert seen[-1] == (stored, stored)


def test_streams_count_rows() -> None:
    seen: list[tuple[int, int]] = []
    lazy = pl.LazyFrame({"x": np.random.default_rng(1).normal(size=600_000)})
    scan(lazy, make_options(), progress=lambda *n: seen.append(n))
    assert seen[-1][0] == seen[-1][1]
    assert seen[-1][1] % 600_000 == 0
    assert seen[-1][1] >= 1_200_000


def test_an_exception_of_the_callback_ends_the_scan(long: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise LookupError(f"{done} of {total}")

    for data in (long / "*.parquet", pl.DataFrame({"x": range(9)}), pl.LazyFrame({"x": range(9)})):
        with pytest.raises(LookupError):
            scan(data, make_options(), progress=stop)


@pytest.mark.parametrize(("unit", "done", "total", "seconds", "told"), [
    ("bytes", 0, 4_000_000, 0, "a: 0 %, 0 B of 4 MB"),
    ("bytes", 1_000_000, 4_000_000, 2, "a: 25 %, 1 MB of 4 MB, 500 kB/s, 6 s left"),
    ("bytes", 123_400_000_000, 246_800_000_000, 7200, "a: 50 %, 123 GB of 247 GB, 17.1 MB/s, 2 h 0 min left"),
    ("rows", 3_000, 0, 1.5, "a: 3,000 rows, 2,000 rows/s, 2 s"),
    ("rows", 3_000, 3_000, 1.5, "a: 100 %, 3,000 rows of 3,000 rows, 2,000 rows/s"),
])  # fmt: skip
def test_one_line(unit: str, done: int, total: int, seconds: float, told: str) -> None:
    assert _progress.describe("a: ", unit, done, total, seconds) == told


def test_a_log_gets_a_line_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = itertools.count(0, 1)
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(clock))
    with _progress.Progress() as progress:
        for i in range(35):
            progress(i, 100)
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 3
    assert "\r" not in told.err
    with _progress.Progress(quiet=True) as progress:
        for i in range(35):
            progress(i, 100)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_one_line(long: Path) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen([*PROFILE, str(long / "00*.parquet")], stdout=subprocess.DEVNULL, stderr=slave) as process:
        os.close(slave)
        told = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while chunk := os.read(master, 65536):
                told += chunk
    os.close(master)
    assert process.returncode == 0
    assert b"\n" not in told
    lines = told.decode().split("\r\x1b[2K")
    assert lines[-1] == ""
    assert any("B/s" in line and " left" in line and line.startswith("00*.parquet: ") for line in lines[1:])
    done = subprocess.run([*PROFILE, "--quiet", str(long / "000.parquet")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@contextlib.contextmanager
def scanning(data: Path, output: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that profiles `data` and is in the middle of it."""
    command = [*PROFILE, str(data), "-o", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not any(is_data(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.3)
        yield process


def is_data(link: Path) -> bool:
    with contextlib.suppress(OSError):
        return link.readlink().suffix == ".parquet"
    return False


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see open files")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_at_once(long: Path, tmp_path: Path, sent: signal.Signals, code: int) -> None:
    took = []
    for _ in range(3):
        with scanning(long, tmp_path / "x.tgp") as process:
            began = time.perf_counter()
            process.send_signal(sent)
            out, told = process.communicate(timeout=60)
            took.append(time.perf_counter() - began)
        assert process.returncode == code, told
        assert out == ""
        assert "nothing was written" in told
        assert list(tmp_path.iterdir()) == []
    median = statistics.median(took)
    # Measured on an idle machine: docs/decisions/0004. Here others may be at work.
    assert median < 1, f"median of {len(took)} stops: {1000 * median:.0f} ms ({took})"
    print(f"median of {len(took)} stops: {1000 * median:.0f} ms")


def test_profile_is_interrupted_in_process(long: Path) -> None:
    """In a notebook: KeyboardInterrupt reaches the caller, and the next call works."""
    previous = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            tg.profile(long)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert tg.profile(long / "000.parquet").rows == 500_000


@pytest.mark.parametrize("options", [
    [], ["--columns", "x"], ["--exclude", "x", "--by", "city"], ["--by", "city", "--by", "city,x"],
    ["--time", "ts", "--window", "1d"], ["--time", "ts", "--window", "1d", "--by", "city", "--model-version", "city"],
])  # fmt: skip
def test_a_plan_is_what_is_read(tmp_path: Path, options: list[str]) -> None:
    """Few distinct values, so that no column needs another look."""
    frame = pl.DataFrame({"x": [float(i % 50) for i in range(3000)], "city": ["a", "b", "c"] * 1000})
    start = dt.datetime(2024, 1, 1)
    path = tmp_path / "x.parquet"
    frame.with_columns(ts=pl.Series([start + dt.timedelta(minutes=i) for i in range(3000)])).write_parquet(path)
    given: dict[str, Any] = {
        "columns": None,
        "exclude": [],
        "by": [],
        "time": None,
        "window": None,
        "model_version": None,
    }
    for flag, value in zip(options[::2], options[1::2], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        cut = tuple(value.split(",")) if "," in value else value
        given[name] = [*given[name], cut] if name == "by" else [value] if name in ("columns", "exclude") else value
    chosen = make_options(**given)
    reference = scan(path, chosen)
    for like in (None, reference):
        seen: list[tuple[int, int]] = []
        scan(path, chosen, like=like, progress=lambda *n: seen.append(n))  # noqa: B023
        command = [*PROFILE[:-1], "plan", str(path), *options, "--format", "json", *(["--like"] if like else [])]
        planned = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        assert planned["bytes_to_read"] <= seen[-1][1]
        if like is not None:
            assert planned["bytes_to_read"] == seen[-1][1]
