"""Fields for people, which no program fills in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegauge.report._page import Page


def build(page: Page) -> dict[str, Any]:
    """Nothing beside the page: the fields stay empty."""
    return {}
