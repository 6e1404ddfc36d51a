"""Windows of a store: closed or open, as of when, and what was said of them before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import mapping, objects

if TYPE_CHECKING:
    from tidegauge.report._page import Page


def build(page: Page) -> dict[str, Any] | None:
    """Windows with their history; nothing for a run without a store."""
    told = mapping(page.result.get("monitoring"))
    if not told:
        return None
    verdicts = {window.key: window.verdict for window in page.view.windows}
    rows = []
    for window in objects(told.get("windows")):
        key = (window.get("start"), window.get("end"))
        before = [
            f"revision {entry.get('revision')}, as of {_day(entry.get('as_of'))}: {entry.get('verdict')}"
            f" on {entry.get('rows'):,} rows"
            for entry in objects(window.get("superseded"))
        ]
        rows.append({**window, "label": page.view.label(*key), "verdict": verdicts.get(key), "before": before,
                     "day": _day(window.get("as_of"))})  # fmt: skip
    late = "reopen it" if told.get("late") == "reopen" else "are counted, and do not reopen it"
    return {"listed": rows, "late": late, "store": mapping(told.get("store"))}


def _day(text: object) -> str:
    return "" if text is None else str(text)[:16].removesuffix("T00:00").replace("T", " ")
