"""What the report cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import sequence

if TYPE_CHECKING:
    from tidegauge.report._page import Page


def build(page: Page) -> dict[str, Any]:
    """Limitations that the engine wrote."""
    return {"limitations": [str(text) for text in sequence(page.result.get("limitations"))]}
