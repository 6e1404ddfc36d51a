"""Faults, one system call at a time: disk full, input/output error, kill; then the same command again.

``python tests/daily/faults.py FOLDER [STEP [CALLS ...]]`` goes through every call of a small run, or every STEP-th,
of all kinds or some, which takes an hour for all; ``test_faults.py`` goes through some. Each case starts from a copy
of a folder with a configuration and data, has strace fail the n-th call of one kind, and runs again without it: the
result, the outputs and the rows in the store must be those of a run that nothing happened to.

``python tests/daily/faults.py FOLDER disk`` runs on disks of ever more bytes, up to the one that is large enough
(mounted, so as root), each made larger and run again; ``... FOLDER signals`` interrupts a run twice, a twentieth of a
second apart, after ever longer times.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MAIN = [sys.executable, "-c", "from tidegauge.cli import main; main()"]
#: What writing and renaming and locking come down to, by kind of fault.
CALLS = (
    "fsync",
    "rename",
    "mkdir",
    "unlink,unlinkat",
    "rmdir",
    "ftruncate",
    "pwrite64",
    "flock",
    "write",
    "fchmod,chmod",
)
FAULTS = {"ENOSPC": "error=ENOSPC", "EIO": "error=EIO", "KILL": "signal=KILL", "TERM": "signal=TERM"}
#: Seconds that a run may take under strace; one that hangs is told with the stacks of its threads.
PATIENCE = 60
#: What the runtime below Polars says where strace fails the write by which one of its threads wakes another, and
#: waits for ever then. It writes to memory, so no disk does that; the run counts as killed.
CANNOT_WAKE = "failed to wake I/O driver"
TIMES = ("started", "finished", "duration_seconds", "command", "digests", "folder")


def run(folder: Path, *strace: str) -> subprocess.CompletedProcess[str]:
    """The command line in a folder, under strace where options of it are given.

    Raises
    ------
    AssertionError
        If it does not end in time.
    """
    # Files are written by the first thread; others write to wake each other.
    follow = [] if "trace=write" in strace else ["-f"]
    traced = ["strace", *follow, "-qq", "-o", str(folder.parent / "trace.txt"), *strace] if strace else []
    arguments = [*traced, *MAIN, "run", str(folder / "tidegauge.toml"), "-q"]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            # Its own session: strace and all it traces. The handler of Python's faults writes the stacks.
            os.killpg(process.pid, signal.SIGABRT)
            time.sleep(2)
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            if CANNOT_WAKE in err:
                return subprocess.CompletedProcess(arguments, -signal.SIGKILL, out, CANNOT_WAKE)
            raise AssertionError(f"{' '.join(strace)}: not ended after {PATIENCE} s\n{err}") from None
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def count(folder: Path, calls: str) -> int:
    """How often a run makes one of these calls."""
    run(folder, "-e", f"trace={calls}")
    lines = (folder.parent / "trace.txt").read_text().splitlines()
    # Calls that strace does not know by name are traced whatever is asked for.
    return sum(bool(re.match(rf"(\d+ +)?({calls.replace(',', '|')})\(", line)) for line in lines)


def outcome(folder: Path) -> dict[str, Any]:
    """What a run left, without times and without what only tells how the store came about."""
    import polars as pl

    # The folder is another in every case, and digests of inputs speak of it.
    record = json.loads((folder / "out" / "report.json").read_text().replace(str(folder), "FOLDER"))
    for name in ("inputs_digest", "record_digest", "envelope_digest", "section_digests"):
        del record[name]
    record["envelope"] = {k: v for k, v in record["envelope"].items() if k not in TIMES}
    left = {
        "record": record,
        "rows": (folder / "out" / "rows.parquet").read_bytes(),
        "files": sorted(p.name for p in (folder / "out").iterdir() if not p.name.endswith(".tmp")),
    }
    if (folder / "store").exists():
        coverage = pl.read_parquet(folder / "store/parts/*/coverage.parquet").drop("footer").sort(pl.all())
        cells = pl.read_parquet(folder / "store/parts/*/cells.parquet")
        keys = [name for name in cells.columns if name != "count"]
        left |= {
            "coverage": coverage.rows(),
            "cells": cells.group_by(keys).agg(pl.col("count").sum()).sort(keys).rows(),
            "verdicts": pl.read_parquet(folder / "store/verdicts/*/rows.parquet").sort(pl.all()).rows(),
            "tables": sorted(
                {p.relative_to(folder / "store").parts[0] for p in (folder / "store").iterdir()} - {"work"}
            ),
        }
    return left


def case(source: Path, place: Path, calls: str, fault: str, n: int, expected: dict[str, Any]) -> str:
    """Inject one fault, run again, and compare; what the first run ended with."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place)
    hurt = run(place, "-e", f"trace={calls}", "-e", f"inject={calls}:{FAULTS[fault]}:when={n}")
    whole = [json.loads(path.read_text()) for path in (place / "out").glob("report.json")]
    assert all(record["result_digest"] == expected["record"]["result_digest"] for record in whole)
    assert "Traceback" not in hurt.stderr, hurt.stderr
    return again(place, f"{calls} {fault} {n}: {hurt.returncode} {hurt.stderr.strip()[-200:]!r}", expected)


def again(place: Path, told: str, expected: dict[str, Any]) -> str:
    """Run again where something happened, and compare."""
    done = run(place)
    assert done.returncode in (0, 1), f"{told}; then {done.returncode} {done.stderr}"
    found = outcome(place)
    for name, value in expected.items():
        assert found[name] == value, f"{told}; then other {name}"
    return told


def full(source: Path, disk: Path, size: int, expected: dict[str, Any]) -> int:
    """A run on a disk of so many kB, then on the same one made larger; what the first run ended with."""
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o"]
    subprocess.run([*mount, f"size={size}k", "tidegauge", str(disk)], check=True)
    try:
        place = disk / "case"
        shutil.copytree(source, place)
        hurt = run(place)
        told = f"{size} kB: {hurt.returncode} {hurt.stderr.strip()[-200:]!r}"
        print(told, flush=True)
        assert hurt.returncode in (0, 1, 3), told
        assert hurt.returncode != 3 or f"{place}/" in hurt.stderr.partition(": no space left on device")[0], told
        subprocess.run([*mount, "remount,size=50000k", str(disk)], check=True)
        again(place, told, expected)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return hurt.returncode


def disks(source: Path, expected: dict[str, Any], step: int = 12) -> None:
    """Disks that are too small, ever larger, until one is not."""
    size, total = sum(path.stat().st_size for path in source.rglob("*")) // 1024 + 24, 0
    while full(source, source.parent / "disk", size, expected) == 3:
        size, total = size + step, total + 1
    print(f"{total} disks too small, every one recovered from")


def twice(source: Path, place: Path, delay: float, expected: dict[str, Any]) -> bool:
    """Interrupt a run twice; whether it still ran."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place)
    arguments = [*MAIN, "run", str(place / "tidegauge.toml"), "-q"]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(delay)
        running = process.poll() is None
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=PATIENCE)
        spent = time.monotonic() - began
    told = f"{delay:.2f} s: {process.returncode} after {spent:.2f} s {err.strip()[-200:]!r}"
    assert process.returncode in (0, 1, 130, -signal.SIGINT), told
    assert spent < 1, told
    print(again(place, told, expected), flush=True)
    return running


def signals(source: Path, expected: dict[str, Any], step: float = 0.1) -> None:
    """Two signals after ever longer times, until the run is over before them."""
    total = 0
    while twice(source, source.parent / "case", step * total, expected):
        total += 1
    print(f"{total} pairs of signals, every one recovered from")


def main(source: Path, step: int = 1, kinds: Sequence[str] = CALLS) -> None:
    """Every call of some kinds, or every `step`-th, every fault."""
    place = source.parent / "case"
    undisturbed = source.parent / "undisturbed"
    shutil.rmtree(undisturbed, ignore_errors=True)
    shutil.copytree(source, undisturbed)
    done = run(undisturbed)
    assert done.returncode in (0, 1), done.stderr
    expected = outcome(undisturbed)
    for kind, sweep in (("disk", disks), ("signals", signals)):
        if kind in kinds:
            sweep(source, expected)
            return
    total = 0
    for calls in kinds:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(source, place)
        n = count(place, calls)
        for fault in FAULTS:
            for i in range(1, n + 1, step):
                print(case(source, place, calls, fault, i, expected), flush=True)
                total += 1
    print(f"{total} faults, every one recovered from")


if __name__ == "__main__":
    given = sys.argv[2:]
    every = int(given.pop(0)) if given and given[0].isdigit() else 1
    main(Path(sys.argv[1]), every, given or CALLS)
