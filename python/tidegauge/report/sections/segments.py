"""Verdicts by segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegauge.report._page import Page

MOST = 60
"""Segments shown, worst first."""


def build(page: Page) -> dict[str, Any] | None:
    """How many to show; nothing where the data is not cut."""
    return {"most": MOST} if page.view.segments else None
