"""The columns to look at, worst first, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._words import findings

if TYPE_CHECKING:
    from tidegauge.report._page import Page

MOST = 10
"""Findings in sentences; the tables have the others."""


def build(page: Page) -> dict[str, Any]:
    """Verdict and sentence of each finding, and of what many columns share."""
    entries, unsure = findings(page.view)
    return {"findings": entries[:MOST], "more": max(len(entries) - MOST, 0), "unsure": unsure}
