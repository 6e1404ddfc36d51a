"""How the numbers were made: definitions, exactness, limits and variance methods that the rows used."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tidegauge.report._text import number, to_float
from tidegauge.report._words import EXACTNESS, variance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegauge.report._page import Page
    from tidegauge.report._view import Row

MOST = 40
"""Different limits, and kinds of sampling error, shown."""


def build(page: Page) -> dict[str, Any]:
    """Each different one with the number of rows that used it."""
    view = page.view
    definitions: dict[tuple[str, str], Counter[str]] = {}
    for row in view.rows:
        statistic = str(row.get("statistic") or "")
        if statistic not in ("", "verdict"):
            key = (statistic, str(row.get("definition") or ""))
            definitions.setdefault(key, Counter())[str(row.get("exactness") or "")] += 1
    deciding = {str(row.get("statistic")) for row in view.deciding}
    used = {row.get("exactness") for row in view.rows}
    limits = _limits(view.deciding)
    return {
        "definitions": [
            {
                "statistic": statistic,
                "definition": definition,
                "rows": found.total(),
                "exactness": ", ".join(word for word in EXACTNESS if found[word]),
                "decides": statistic in deciding,
            }
            for (statistic, definition), found in sorted(definitions.items())
        ],
        "limits": limits[:MOST],
        "more": max(len(limits) - MOST, 0),
        "variance": sorted(Counter(variance(r["variance"]) for r in view.deciding if r.get("variance")).items())[:MOST],
        "exactness": [(word, meaning) for word, meaning in EXACTNESS.items() if word in used],
    }


def _limits(rows: Iterable[Row]) -> list[tuple[tuple[str, str, str, str], int]]:
    """Statistic, limits, their source and rows; limits that differ by column are a range."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((str(row.get("statistic")), str(row.get("threshold_source") or "")), []).append(row)
    told = []
    for (statistic, source), held in sorted(found.items()):
        # Limits that somebody chose are listed one by one; of a convention laid on top of chance the ends are told.
        parts = [held] if source == "convention" else list(_alike(held))
        told += [((statistic, _ends(part, "warn_at"), _ends(part, "fail_at"), source), len(part)) for part in parts]
    return told


def _alike(rows: list[Row]) -> Iterable[list[Row]]:
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(str((row.get("warn_at"), row.get("fail_at"))), []).append(row)
    return parts.values()


def _ends(rows: list[Row], name: str) -> str:
    values = [row.get(name) for row in rows]
    known = sorted(x for x in map(to_float, values) if x is not None)
    if not known:
        return number(None)
    low, high = number(known[0]), number(known[-1])
    return low if low == high else f"{low} to {high}"
