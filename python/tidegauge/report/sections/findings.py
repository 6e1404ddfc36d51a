"""The columns to look at, worst first, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._words import finding

if TYPE_CHECKING:
    from tidegauge.report._page import Page

MOST = 10
"""Findings in sentences; the tables have the others."""


def build(page: Page) -> dict[str, Any]:
    """Verdict and sentence of each finding."""
    view = page.view
    found = view.findings()
    entries = []
    for feature in found[:MOST]:
        judged = (j for baseline in view.baselines if (j := feature.worst(baseline)) is not None)
        # Of equals the first, which is that of the main baseline.
        entries.append((max(judged, key=lambda j: j.severity).verdict, finding(feature, view)))
    return {"findings": entries, "more": len(found) - len(entries)}
