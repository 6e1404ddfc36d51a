"""A plan as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def plan_lines(found: Mapping[str, Any]) -> list[str]:
    """What a run would hold, take and test, a line each."""
    memory, tests, seconds = found["memory"], found["tests"], found["seconds"]
    lines = []
    for side in ("reference", "current"):
        told = found[side]
        if "profile" in told:
            lines.append(f"{side}: profile of {told['rows']:,} rows, taken as it is")
        if "row_groups_new" in told:
            lines.append(f"store: {told['row_groups_new']:,} row groups are new, {told['rows_new']:,} rows")
    whole = [column["bytes"] for column in memory["columns"]]
    cut = [column["bytes_segment"] for column in memory["columns"] if column["bytes_segment"] is not None]
    sizes = f"{size(min(whole))} to {size(max(whole))} each" if whole else "none"
    if cut:
        sizes += f", {size(min(cut))} to {size(max(cut))} in a segment"
    states = f"{memory['states']:,} states of {size(memory['state_bytes'])} ({sizes})"
    lines += [
        f"memory: {states}, reference {size(memory['reference_bytes'])}, peak about {size(memory['peak_bytes'])}",
        f"tests: {tests['columns']:,} columns x {tests['windows']:,} windows x {1 + tests['segments']:,} "
        f"(all rows and {tests['segments']:,} segments)",
        f"  deciding: {', '.join(f'{name} of {n}' for name, n in tests['deciding'].items()) or 'nothing'}; "
        f"{tests['family']:,} tests a family (one window and model), {tests['rows']:,} rows in the report",
    ]
    if tests["windows"] > 1 and not tests["windows_counted"]:
        lines.append(
            "  windows are those between the first and the last time of the probe: rows out of order hold more, and "
            "one time far from the others makes them many"
        )
    explain = found["explain"]
    if explain is not None:
        of = f"{explain['tables']:,} tables x (1 + {explain['features']:,} features x {explain['n_repeats']} repeats)"
        calls = {
            "exact": "no model call: the exact form of the model",
            "permutation": f"{explain['model_calls']:,} predictions of a table, {of}",
            "auto": "no model call where the model has an exact form, else "
            f"{explain['model_calls']:,} predictions of a table, {of}",
        }
        lines.append(f"explain: {calls[explain['method']]}")
    probe = seconds["probe"]
    # Text has none.
    groups = f"{probe['row_groups']} row groups ({probe['rows']:,} rows)"
    probed = groups if probe["row_groups"] else f"{probe['rows']:,} rows"
    lines.append(
        f"time: about {span(seconds['scan'])} to scan and {span(seconds['compare'])} to compare, by a probe of "
        f"{probed} in {span(probe['seconds'])}"
    )
    return lines


def size(n: float) -> str:
    """Bytes in words."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            break
        n /= 1000
    return f"{n:,.0f} {unit}" if unit == "bytes" or n >= 100 else f"{n:,.1f} {unit}"


def span(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
