"""The tables of docs/performance.md and README.md, from the newest record of full scale.

tools/generated.py writes them between their marks, and its --check fails where page and record disagree, where a goal
that is not met has no reason, and where a reason is left of one that is met.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "benchmarks" / "record"

#: What each measure says of its value.
FORMS = {
    "faster": ("{} times less CPU", "at least {:g} times"),
    "over": ("{:.2f} of its CPU", "at most {:g}"),
    "speedup": ("{:.2f} times as fast", "at least {:g} times"),
    "cpu_s": ("{} s CPU", "at most {:g} s"),
    "rows_s": ("{} rows a second", "at least {:g}"),
    "cpu_ms": ("{} ms CPU", "at most {:g} ms"),
    "more_ms": ("{} ms more CPU", "at most {:g} ms"),
    "above_mb": ("{:.0f} MB above the data", "at most {:g} MB"),
    "peak_mb": ("peak {:.0f} MB", "at most {:g} MB"),
    "memory": ("{:.2f} of its peak", "at most {:g}"),
}
#: Why a goal is not met, and what was tried.
_EXACT = (
    "CPU includes the interval, the value expected without change and the p-value given the ties, which scipy does not "
    "give; what is left is the sort of all keys, 20 ns of 60 (docs/decisions/0033: three other sorts were slower; ks "
    "sorts only cells that can hold the largest difference). It was 3 us a value before keys were sorted once"
)
_PROFILE = (
    "a profile of a column in memory takes 14 to 17 ns a value at a million, of which the steps of the scan are 9 (the "
    "budget below); the goals come from kernels that did one of its steps"
)
_HISTOGRAM = (
    "no call counts alone; a profile has the counts on 1,024 cells with sums, keys, extremes and distinct values at "
    "17 ns a value, where numpy 2.4 takes 12 to 14 for either histogram. The goal was set when numpy took 40, from a "
    "kernel that only counts"
)
_WINDOWS = (
    "170 million values at 15 ns take more than half of the time, the profile of the reference and the comparison of "
    "ten windows (6 ms a column and window, all statistics with intervals) a quarter and a fifth; without these two it "
    "would be 16 times"
)
_BLOCKS = (
    "blocks of a day, which a log with a time gets by default and the goal did not count, are a tenth of the work; "
    "without them 1.20 is measured beside it"
)
_PERMUTED = (
    "98 times at 100,000 rows, by hand (docs/importance.md); what takes the time and what was tried stands in "
    "docs/decisions/0046"
)
_REPORT = (
    "the reference is profiled in every call: several passes, where the rows of the other side take one (the figures "
    "in memory below), three quarters of the time. Keeping the profile of the reference avoids them. Counting its "
    "cells once took 15 % of the instructions away after this was measured; half of the rest sorts keys for its cells"
)
REASONS: dict[tuple[str, str], str] = {
    ("profile_over_decode[zstd-2]", "over pyarrow"): _BLOCKS,
    ("drift_report", "faster Evidently"): _REPORT,
    ("drift_by_window", "faster NannyML"): _WINDOWS,
    ("importance_permuted", "faster scikit-learn"): _PERMUTED,
    ("histogram[10-60]", "faster numpy"): _HISTOGRAM,
    ("histogram[4096-12]", "faster numpy"): _HISTOGRAM,
    ("column_profile[against a grid]", "faster whylogs"): _PROFILE,
    ("column_profile[against a grid]", "faster DataSketches"): _PROFILE,
    **{(f"exact[{name}]", "faster scipy"): _EXACT for name in ("ks", "wasserstein", "cramer_von_mises")},
    **{(f"exact[{name}]", "faster scipy"): _EXACT for name in ("anderson_darling", "mann_whitney")},
}


def newest() -> dict[str, Any]:
    """The last record of full scale, by its date."""
    for path in sorted(RECORDS.glob("*.json"), reverse=True):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["scale"] == "full":
            return dict(record)
    raise SystemExit(f"{RECORDS} has no record of full scale; `make bench` writes one")


#: Groups in the order of the page; entries of a group stand by name.
GROUPS = ("files", "memory", "statistics", "importance", "service")


def ordered(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    def key(item: tuple[str, dict[str, Any]]) -> tuple[int, str]:
        group = item[1].get("group")
        return (GROUPS.index(group) if group in GROUPS else len(GROUPS), item[0])

    return sorted(record["benchmarks"].items(), key=key)


def digits(value: float) -> str:
    """Three significant digits, and all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def form(measure: str, value: float, *, goal: bool = False) -> str:
    if goal:
        return FORMS[measure][1].format(value)
    if measure == "faster" and value < 1:
        return f"{digits(1 / value)} times more CPU"
    pattern = FORMS[measure][0]
    return pattern.format(digits(value) if "{}" in pattern else value)


def spread(result: dict[str, Any]) -> str:
    """Least and largest round, where they read differently from the median."""
    low, high = (digits(result[key]) for key in ("low", "high"))
    return "" if low == high or (result["high"] < 1 and result["measure"] == "faster") else f" ({low} to {high})"


def told(name: str, result: dict[str, Any], reasons: list[str]) -> str:
    """Met, or the number of the reason in the list of them; nothing where there is no goal."""
    reason = REASONS.get((name, result["measure"] + (f" {result['against']}" if result["against"] else "")))
    if (result["met"] is False) != (reason is not None):
        missing = "needs a reason in REASONS" if reason is None else "is met, or has no goal: remove its reason"
        raise SystemExit(f"benchmarks/page.py: {name}, {result['measure']} {result['against']}: {missing}")
    if result["goal"] is None:
        return ""
    if reason is not None:
        if reason not in reasons:
            reasons.append(reason)
        return f"no ({reasons.index(reason) + 1})"
    stretch = result["stretch"]
    if stretch is None:
        return "met"
    reached = result["value"] >= stretch if result["measure"] in ("faster", "speedup") else result["value"] <= stretch
    return f"met, and {stretch:g}" if reached else f"met; {stretch:g} is not"


def per_value(entry: dict[str, Any]) -> str:
    """CPU nanoseconds a value of our side."""
    if not entry.get("values") or "sides" not in entry:
        return ""
    rounds = sorted(entry["sides"]["tidegauge"]["cpu"])
    return f"{1e9 * rounds[len(rounds) // 2] / entry['values']:.3g}"


def table(record: dict[str, Any]) -> str:
    lines = ["| work | against | measured (rounds) | goal | met | ns a value |", "|---|---|--:|--:|---|--:|"]
    used = set()
    reasons: list[str] = []
    for name, entry in ordered(record):
        work, cost = entry["work"], per_value(entry)
        for result in entry["results"]:
            used.add((name, result["measure"] + (f" {result['against']}" if result["against"] else "")))
            goal = "" if result["goal"] is None else form(result["measure"], result["goal"], goal=True)
            measured = form(result["measure"], result["value"]) + spread(result)
            lines.append(
                f"| {work} | {result['against']} | {measured} | {goal} | {told(name, result, reasons)} | {cost} |"
            )
            work = cost = ""
    unused = sorted(set(REASONS) - used)
    if unused:
        raise SystemExit(f"benchmarks/page.py: reasons of no benchmark of the record: {unused}")
    if reasons:
        lines += ["", "Not met, because:", ""]
        lines += [f"{number}. {reason}." for number, reason in enumerate(reasons, 1)]
    return "\n".join(lines)


def versions(record: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in record["benchmarks"].values():
        for side in entry.get("sides", {}).values():
            found |= side["versions"]
    return dict(sorted(found.items()))


def rounds(record: dict[str, Any]) -> str:
    """How many rounds stand behind a row."""
    sides = [entry["sides"]["tidegauge"]["cpu"] for entry in record["benchmarks"].values() if "sides" in entry]
    single = sum(len(side) == 1 for side in sides)
    return f"Of {len(sides)} benchmarks, {single} have one round, the others up to {max(map(len, sides))}."


def head(record: dict[str, Any]) -> str:
    machine, entries = record["machine"], record["benchmarks"].values()
    loads = [load for entry in entries for load in entry["load"]]
    commits, builds = (sorted({entry[key] for entry in entries}) for key in ("commit", "build"))
    dates = sorted({entry["date"][:10] for entry in entries})
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}; "
        f"{dates[0] if len(dates) == 1 else f'{dates[0]} to {dates[-1]}'}; "
        f"sources at {', '.join(commits)}, extension module {', '.join(builds)}. Versions: "
        + ", ".join(f"{name} {number}" for name, number in versions(record).items())
        + f". {rounds(record)} Other work ran on the same cores: {min(loads):g} to {max(loads):g} processes wanted "
        "them, of which one was the benchmark.\n"
    )


def duration(seconds: float) -> str:
    """In the unit that leaves one to three digits."""
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def billion(entry: dict[str, Any], killed: dict[str, Any] | None) -> str:
    """What the run of billion.py says, and what larger logs would cost at the same CPU a value."""
    one, whole = entry["one"], entry["whole"]
    per_billion = 1e9 * whole["cpu"] / entry["values"]
    text = (
        f"{entry['rows']:,} rows of 21 columns ({entry['links']} hard links of one file, "
        f"{entry['bytes'] / 1e9:.1f} GB of Parquet), windows of a day, drift, {entry['threads']} threads: "
        f"{whole['cpu']:,.0f} s CPU, {per_billion:.1f} s a billion values; {duration(whole['wall'])} on the shared "
        f"machine, {entry['rows'] / whole['wall']:,.0f} rows a second. Peak {whole['peak']:.0f} MB; one file alone "
        f"{one['peak']:.0f} MB."
    )
    if whole["eta_error_median"] is not None:
        text += (
            f" The time left, as told between 10 and 90 %, was wrong by {100 * whole['eta_error_median']:.0f} % in the "
            "median, while other work came and went."
        )
    if killed is not None:
        never = killed.get("uninterrupted", whole if killed["rows"] == entry["rows"] else None)
        parts = [part["cpu"] for part in (killed["killed"], killed["resumed"], never)]
        text += (
            f" Of {killed['rows']:,} rows, a run killed with SIGKILL at {killed['at']} % and started again ended with "
            f"{'the same' if killed['same_digest'] else 'another'} result digest as one that was not; both parts took "
            f"{(parts[0] + parts[1]) / parts[2]:.2f} of its CPU."
        )
    else:
        text += (
            " Killing and resuming it was not tried at this size; tests/daily does so with small logs at every step."
        )
    lines = ["| rows | CPU | 64 cores | 100 nodes of 64 cores | data |", "|--:|--:|--:|--:|--:|"]
    for rows in (1e9, 1e11, 1e13):
        cpu = per_billion * rows * 21 / 1e9
        size = entry["bytes"] / entry["rows"] * rows / 1e12
        lines.append(
            f"| {rows:.0e} | {duration(cpu)} | {duration(cpu / 64)} | {duration(cpu / 6400)} | {size:,.3g} TB |"
        )
    return (
        f"{text}\n\nAt the same CPU a value, where cores scale and storage delivers (files are units of work, states "
        "merge, and the peak of a node is that of its threads):\n\n" + "\n".join(lines)
    )


def performance(record: dict[str, Any]) -> str:
    goals = [r for entry in record["benchmarks"].values() for r in entry["results"] if r["goal"] is not None]
    met = sum(r["met"] for r in goals)
    text = f"{met} of {len(goals)} goals are met.\n\n{head(record)}\n{table(record)}"
    long, killed = (record["benchmarks"].get(name) for name in ("billion", "killed"))
    if long and "whole" in long:
        text += f"\n\n### {long['rows']:,} rows\n\n{billion(long, killed)}"
    return text


def readme(record: dict[str, Any]) -> str:
    """Ratios that have a goal, one line each."""
    lines = ["| work | against | measured | goal |", "|---|---|--:|--:|"]
    for _, entry in ordered(record):
        work = entry["work"]
        for result in entry["results"]:
            if result["goal"] is None:
                continue
            goal = form(result["measure"], result["goal"], goal=True) + ("" if result["met"] else " (not met)")
            lines.append(f"| {work} | {result['against']} | {form(result['measure'], result['value'])} | {goal} |")
            work = ""
    return "\n".join(lines)


PAGES = {"docs/performance.md": performance, "README.md": readme}


def page(name: str) -> str:
    """The file with its table renewed."""
    text = (ROOT / name).read_text(encoding="utf-8")
    marks = r"(<!-- benchmarks: [^\n]*-->\n).*?(\n<!-- end of benchmarks -->)"
    made = PAGES[name](newest())
    new, count = re.subn(marks, lambda found: f"{found[1]}\n{made}\n{found[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{name}: {count} places for the benchmarks; exactly one would be accepted")
    return new


if __name__ == "__main__":
    for name in PAGES:
        (ROOT / name).write_text(page(name), encoding="utf-8")
        print(f"written: {name}")
