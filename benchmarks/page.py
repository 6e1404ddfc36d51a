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
    "faster": ("{:.3g} times less CPU", "at least {:g} times"),
    "over": ("{:.2f} of its CPU", "at most {:g}"),
    "speedup": ("{:.2f} times as fast", "at least {:g} times"),
    "cpu_s": ("{:,.0f} s CPU", "at most {:g} s"),
    "rows_s": ("{:,.0f} rows a second", "at least {:g}"),
    "cpu_ms": ("{:.3g} ms CPU", "at most {:g} ms"),
    "more_ms": ("{:.3g} ms more CPU", "at most {:g} ms"),
    "above_mb": ("{:.0f} MB above the data", "at most {:g} MB"),
    "peak_mb": ("peak {:.0f} MB", "at most {:g} MB"),
    "memory": ("{:.2f} of its peak", "at most {:g}"),
}
#: Why a goal is not met, and what was tried.
REASONS: dict[tuple[str, str], str] = {}


def newest() -> dict[str, Any]:
    """The last record of full scale, by its date."""
    for path in sorted(RECORDS.glob("*.json"), reverse=True):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["scale"] == "full":
            return dict(record)
    raise SystemExit(f"{RECORDS} has no record of full scale; `make bench` writes one")


def form(measure: str, value: float, *, goal: bool = False) -> str:
    return FORMS[measure][goal].format(value)


def spread(result: dict[str, Any]) -> str:
    """Least and largest round, where they read differently from the median."""
    low, high = (f"{result[key]:.3g}" for key in ("low", "high"))
    return "" if low == high else f" ({low} to {high})"


def told(name: str, result: dict[str, Any]) -> str:
    """Met, or the reason; nothing where there is no goal."""
    reason = REASONS.get((name, result["measure"] + (f" {result['against']}" if result["against"] else "")))
    if (result["met"] is False) != (reason is not None):
        missing = "needs a reason in REASONS" if reason is None else "is met, or has no goal: remove its reason"
        raise SystemExit(f"benchmarks/page.py: {name}, {result['measure']} {result['against']}: {missing}")
    if result["goal"] is None:
        return ""
    if reason is not None:
        return f"no: {reason}"
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
    for name, entry in record["benchmarks"].items():
        work, cost = entry["work"], per_value(entry)
        for result in entry["results"]:
            used.add((name, result["measure"] + (f" {result['against']}" if result["against"] else "")))
            goal = "" if result["goal"] is None else form(result["measure"], result["goal"], goal=True)
            measured = form(result["measure"], result["value"]) + spread(result)
            lines.append(f"| {work} | {result['against']} | {measured} | {goal} | {told(name, result)} | {cost} |")
            work = cost = ""
    unused = sorted(set(REASONS) - used)
    if unused:
        raise SystemExit(f"benchmarks/page.py: reasons of no benchmark of the record: {unused}")
    return "\n".join(lines)


def versions(record: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in record["benchmarks"].values():
        for side in entry.get("sides", {}).values():
            found |= side["versions"]
    return dict(sorted(found.items()))


def head(record: dict[str, Any]) -> str:
    machine, entries = record["machine"], record["benchmarks"].values()
    loads = [load for entry in entries for load in entry["load"]]
    commits = sorted({entry["commit"] for entry in entries})
    dates = sorted({entry["date"][:10] for entry in entries})
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}; "
        f"{dates[0] if len(dates) == 1 else f'{dates[0]} to {dates[-1]}'}; "
        f"commit {', '.join(commits)}. Versions: "
        + ", ".join(f"{name} {number}" for name, number in versions(record).items())
        + f". Other work ran on the same cores: {min(loads):g} to {max(loads):g} processes wanted them, "
        "of which one was the benchmark.\n"
    )


def duration(seconds: float) -> str:
    """In the unit that leaves one to three digits."""
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def billion(entry: dict[str, Any]) -> str:
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
    if "killed" in entry:
        killed, resumed = entry["killed"], entry["resumed"]
        share = (killed["cpu"] + resumed["cpu"]) / whole["cpu"] * entry["links"] / killed["links"]
        text += (
            f" Killed with SIGKILL at {killed['at']} % of {killed['links'] * entry['rows'] // entry['links']:,} rows "
            f"and started again, it ended with {'the same' if entry['same_digest'] else 'another'} result digest; both "
            f"parts together took {share:.2f} of the CPU of a run in one go."
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
    if "billion" in record["benchmarks"]:
        text += f"\n\n### A billion rows\n\n{billion(record['benchmarks']['billion'])}"
    return text


def readme(record: dict[str, Any]) -> str:
    """Ratios that have a goal, one line each."""
    lines = ["| work | against | measured | goal |", "|---|---|--:|--:|"]
    for entry in record["benchmarks"].values():
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
