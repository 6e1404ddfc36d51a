"""How the numbers were made: definitions, exactness, limits and variance methods that the rows used."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from tidegauge.report._words import EXACTNESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegauge.report._page import Page

MOST = 40
"""Different limits, and variance methods, shown."""


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
        "limits": _counted(
            (row.get("statistic"), row.get("warn_at"), row.get("fail_at"), row.get("threshold_source"))
            for row in view.deciding
        ),
        "variance": _counted((row.get("variance"),) for row in view.deciding if row.get("variance") is not None),
        "exactness": [(word, meaning) for word, meaning in EXACTNESS.items() if word in used],
    }


def _counted(keys: Iterable[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], int]]:
    found: dict[str, tuple[tuple[Any, ...], int]] = {}
    for key in keys:
        text = json.dumps(key, default=str)
        found[text] = (key, found[text][1] + 1 if text in found else 1)
    return [found[text] for text in sorted(found)][:MOST]
