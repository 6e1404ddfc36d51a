"""Run sides in processes of their own, in turn, and put what they cost into a record."""

import datetime as dt
import fcntl
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
from compare import SCHEMA

ROOT = Path(__file__).resolve().parent.parent
SIDES = Path(__file__).with_name("sides.py")
#: Peers that report their use over the network are told not to.
SILENT = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}


class Clock:
    """Advances by the CPU seconds of measured work alone: start, imports and loading do not count."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


clock = Clock()


@dataclass(frozen=True)
class Side:
    """A function of sides.py with its options, done `number` times a round."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    number: int = 1
    peer: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """One round in a process of its own."""
        python = peers.interpreter(self.peer)
        assert python is not None, f"{self.peer} is not installed"
        # Through a pipe: ten thousand paths are more than a command line holds.
        command = [str(python), str(SIDES), self.name, str(self.number)]
        environment = os.environ | SILENT | self.environment
        options = json.dumps(self.options)
        done = subprocess.run(command, input=options, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise AssertionError(f"{self.name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told


#: How a number is made of the rounds of both sides; the goal is a least value for the first, else a largest.
#: faster   CPU of the peer over ours
#: over     CPU over that of the peer
#: speedup  elapsed seconds of the peer over ours, least of the rounds: other processes only add to them
#: cpu_ms   CPU milliseconds
#: more_ms  CPU milliseconds above those of the peer
#: above_mb peak of memory above what was there before, in MB
#: peak_mb  peak of memory, in MB
#: memory   peak over that of the peer
Rounds = list[dict[str, Any]]
MEASURES: dict[str, Callable[[Rounds, Rounds], list[float]]] = {
    "faster": lambda ours, theirs: _paired(theirs, ours, "cpu"),
    "over": lambda ours, theirs: _paired(ours, theirs, "cpu"),
    "speedup": lambda ours, theirs: [min(r["wall"] for r in theirs) / min(r["wall"] for r in ours)],
    "cpu_ms": lambda ours, _: [1000 * r["cpu"] for r in ours],
    "more_ms": lambda ours, theirs: [1000 * (a["cpu"] - b["cpu"]) for a, b in zip(ours, theirs, strict=True)],
    "above_mb": lambda ours, _: [r["peak"] - r["base"] for r in ours],
    "peak_mb": lambda ours, _: [r["peak"] for r in ours],
    "memory": lambda ours, theirs: _paired(ours, theirs, "peak"),
}
LEAST = ("faster", "speedup")


def _paired(above: Rounds, below: Rounds, key: str) -> list[float]:
    """Ratios round by round; a side of fewer rounds stands with its median."""
    if len(above) == len(below):
        return [a[key] / b[key] for a, b in zip(above, below, strict=True)]
    middle_above, middle_below = (statistics.median(r[key] for r in side) for side in (above, below))
    if len(above) < len(below):
        return [middle_above / r[key] for r in below]
    return [r[key] / middle_below for r in above]


@dataclass(frozen=True)
class Goal:
    """What is measured, and the value to reach; None measures only."""

    measure: str
    limit: float | None = None
    against: str = ""
    stretch: float | None = None

    def judge(self, ours: Rounds, theirs: Rounds) -> dict[str, Any]:
        values = MEASURES[self.measure](ours, theirs)
        value = statistics.median(values)
        met = None
        if self.limit is not None:
            met = value >= self.limit if self.measure in LEAST else value <= self.limit
        return {
            "measure": self.measure,
            "against": self.against,
            "value": round(value, 4),
            "low": round(min(values), 4),
            "high": round(max(values), 4),
            "goal": self.limit,
            "stretch": self.stretch,
            "met": met,
        }


def machine() -> dict[str, Any]:
    """The processor and the system; no names."""
    model, memory = platform.processor(), 0
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.partition(": ")[2] for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_mb": memory,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """The last commit of the package's sources, `+` where files differ from it."""
    sources = ("rust", "python", "Cargo.lock")

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", *sources)
    return git("log", "-1", "--format=%h", "--abbrev=10", "--", *sources) + ("+" if changed else "")


def build() -> str:
    """Cargo profile and commit of the extension module, as make knows them."""
    for profile in ("release", "ci"):
        stamp = ROOT / ".build" / f"extension-{profile}"
        if stamp.exists():
            return f"{profile} of {stamp.read_text(encoding='utf-8').strip() or 'an unknown commit'}"
    return "unknown"


def load() -> float:
    """Mean number of running processes over the last minute, of which one is the benchmark."""
    return round(os.getloadavg()[0], 1)


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def merge(path: Path, scale: str, entries: Mapping[str, Any]) -> None:
    """Put entries into a record; those of the same name are replaced, the others stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record: dict[str, Any] = {"schema": SCHEMA, "scale": scale, "machine": machine(), "benchmarks": {}}
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            if (record["scale"], record["machine"]) != (scale, machine()):
                raise SystemExit(f"{path}: a record of another scale or machine; give another --record")
        record["benchmarks"] |= entries
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(path)


if __name__ == "__main__":
    print(json.dumps(machine()), commit(), build(), load(), sys.version)
