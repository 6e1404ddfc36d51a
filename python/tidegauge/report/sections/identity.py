"""What was judged: the model as its owner describes it, and how much of the data was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import mapping, number, objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegauge.report._page import Page

#: Reasons listed for rows that were not counted.
MOST_REASONS = 20


LABELS = {"sha256": "SHA-256", "path": "File", "bytes": "Size", "checks": "Checked"}
"""Names of fields of the model that are no words."""


def build(page: Page) -> dict[str, Any] | None:
    """Fields of the model, and rows expected, scanned and rejected of each side."""
    inputs = mapping(page.record.get("inputs"))
    model = {
        LABELS.get(name, name.replace("_", " ").capitalize()): _told(name, value)
        for name, value in mapping(inputs.get("model")).items()
        if value is not None
    }
    sides = []
    for name in ("reference", "current"):
        side = mapping(inputs.get(name))
        counts = mapping(side.get("rows"))
        if not counts:
            continue
        times, rows = mapping(side.get("time_range")), mapping(side.get("row_digest"))
        rejected = [_reason(lost) for lost in objects(counts.get("rejected"))]
        sides.append({
            "name": name,
            "expected": counts.get("expected"),
            "scanned": counts.get("scanned"),
            "rejected": rejected[:MOST_REASONS],
            "more": max(0, len(rejected) - MOST_REASONS),
            "times": f"{times['first']} to {times['last']}" if times else None,
            "digest": rows.get("digest"),
        })  # fmt: skip
    return {"model": model, "sides": sides} if model or sides else None


def _told(name: str, value: Any) -> str:
    if name == "bytes":
        return f"{number(value)} bytes"
    if name != "checks":
        return str(value)
    gap = mapping(mapping(value).get("score"))
    if not gap:
        return "the model in the file was not compared with the score that was logged"
    rows, largest, accepted = (number(gap.get(part), 3) for part in ("rows", "largest_difference", "tolerance"))
    return (
        f"on {rows} rows the model in the file differs from the logged score by {largest} at most ({accepted} accepted)"
    )


def _reason(lost: Mapping[str, Any]) -> str:
    """What was not counted, and why."""
    where = str(lost.get("path") or "rows without a weight")
    group = lost.get("row_group")
    return f"{where}{'' if group is None else f', row group {group}'}: {lost.get('reason')}"
