"""Say of two records whether each benchmark became faster or slower, or whether that is noise.

    python benchmarks/compare.py A.json B.json [--level 0.01] [--least 0.05]

A is before, B after. What is compared are the rounds of a benchmark: CPU over that of its first peer where that peer
has as many rounds and the same version in both records, which takes the speed of the machine out; CPU itself otherwise.
Two lists of rounds differ when the two-sided Mann-Whitney test, exact over all arrangements, falls to --level or below
*and* the medians are at least --least apart; all else is noise. Five rounds against five are the fewest that can reach
one per cent; with fewer the verdict is "too few". At this level about one benchmark in a hundred is called wrongly when
nothing changed, and the least difference makes that rarer. A peak of memory that is more than 10 % and 5 MB higher is
"more memory".

Exit codes: 0 nothing slower and nothing that needs more memory; 1 something is; 2 a record that cannot be read or
compared.
"""

import argparse
import json
import math
import statistics
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA = "tidegauge.benchmarks/v1"
MORE_MEMORY = 1.1, 5.0  # factor and MB


class RecordError(Exception):
    """A file is no record, or two have nothing to compare."""


@dataclass(frozen=True)
class Verdict:
    """One benchmark in both records; `change` is after over before."""

    name: str
    verdict: str
    change: float
    pvalue: float
    of: str
    memory: float

    @property
    def worse(self) -> bool:
        return self.verdict in ("slower", "more memory")


@cache
def arrangements(n: int, m: int) -> tuple[int, ...]:
    """How many of the arrangements of n and m ranks give each value of Mann and Whitney's U.

    Mann and Whitney (1947), equation 1: the largest rank is of one side or of the other.
    """
    if n == 0 or m == 0:
        return (1,)
    counts = [0] * (n * m + 1)
    for u, count in enumerate(arrangements(n - 1, m)):
        counts[u + m] += count
    for u, count in enumerate(arrangements(n, m - 1)):
        counts[u] += count
    return tuple(counts)


def mann_whitney(x: list[float], y: list[float]) -> float:
    """Two-sided exact p-value; equal values count against a difference."""
    counts, total = arrangements(len(x), len(y)), math.comb(len(x) + len(y), len(x))
    larger = sum(a >= b for a in x for b in y)
    smaller = sum(a <= b for a in x for b in y)
    most = max(min(larger, smaller), 0)
    return min(1.0, 2 * sum(counts[: most + 1]) / total)


def read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise RecordError(f"{path}: not JSON ({error})") from None
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema != SCHEMA:
        raise RecordError(f"{path}: schema {schema!r}; {SCHEMA!r} would be accepted")
    return dict(record)


def yardstick(a: dict[str, Any], b: dict[str, Any]) -> str | None:
    """The first peer that both records can be measured by."""
    for name, side in a["sides"].items():
        other = b["sides"].get(name)
        if name == "tidegauge" or other is None or side["versions"] != other["versions"]:
            continue
        if all(len(e["sides"][name]["cpu"]) == len(e["sides"]["tidegauge"]["cpu"]) for e in (a, b)):
            return name
    return None


def rounds(entry: dict[str, Any], peer: str | None) -> list[float]:
    ours = entry["sides"]["tidegauge"]["cpu"]
    if peer is None:
        return [float(x) for x in ours]
    return [a / b for a, b in zip(ours, entry["sides"][peer]["cpu"], strict=True)]


def judge(name: str, a: dict[str, Any], b: dict[str, Any], level: float, least: float) -> Verdict:
    peer = yardstick(a, b)
    before, after = rounds(a, peer), rounds(b, peer)
    change = statistics.median(after) / statistics.median(before)
    pvalue = mann_whitney(before, after)
    peaks = [statistics.median(e["sides"]["tidegauge"]["peak"]) for e in (a, b)]
    memory = peaks[1] / peaks[0] if peaks[0] else 1.0
    if 2 / math.comb(len(before) + len(after), len(before)) > level:
        verdict = "too few"
    elif pvalue > level or abs(math.log(change)) < math.log1p(least):
        verdict = "noise"
    else:
        verdict = "slower" if change > 1 else "faster"
    if verdict != "slower" and memory > MORE_MEMORY[0] and peaks[1] - peaks[0] > MORE_MEMORY[1]:
        verdict = "more memory"
    return Verdict(name, verdict, change, pvalue, f"CPU over {peer}" if peer else "CPU", memory)


def compare(a: dict[str, Any], b: dict[str, Any], level: float = 0.01, least: float = 0.05) -> list[Verdict]:
    """A verdict for each benchmark of both records.

    Raises
    ------
    RecordError
        If the scales differ or no benchmark is in both.
    """
    if a["scale"] != b["scale"]:
        raise RecordError(f"scales {a['scale']} and {b['scale']} differ; records of one scale would be accepted")
    # A run that is watched as a whole has no rounds.
    names = [name for name, entry in a["benchmarks"].items() if "sides" in entry and name in b["benchmarks"]]
    if not names:
        raise RecordError("no benchmark is in both records")
    return [judge(name, a["benchmarks"][name], b["benchmarks"][name], level, least) for name in names]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--level", type=float, default=0.01, help="of the test, for one benchmark")
    parser.add_argument("--least", type=float, default=0.05, help="smallest relative difference that counts")
    given = parser.parse_args(arguments)
    try:
        a, b = read(given.before), read(given.after)
        verdicts = compare(a, b, given.level, given.least)
    except RecordError as error:
        print(error, file=sys.stderr)
        return 2
    if a["machine"] != b["machine"]:
        print("the machines differ: what is not over a peer says nothing about the code", file=sys.stderr)
    width = max(len(v.name) for v in verdicts)
    for v in verdicts:
        print(f"{v.name:<{width}}  {v.verdict:<11}  {v.change:5.2f} times  p = {v.pvalue:.4f}  "
              f"memory {v.memory:.2f} times  ({v.of})")  # fmt: skip
    for record, names in (("before", set(a["benchmarks"]) - set(b["benchmarks"])),
                          ("after", set(b["benchmarks"]) - set(a["benchmarks"]))):  # fmt: skip
        if names:
            print(f"only {record}: {', '.join(sorted(names))}", file=sys.stderr)
    return int(any(v.worse for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
