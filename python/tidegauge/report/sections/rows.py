"""The rows that decide, with every number behind their verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._view import segment_label, window_key

if TYPE_CHECKING:
    from tidegauge.report._page import Page


def build(page: Page) -> dict[str, Any] | None:
    """Rows with their window and verdict in words; nothing where no row decides."""
    labels = {window.key: window.label for window in page.view.windows}
    # Rows of the same verdict stay together; what is fine comes last.
    shown = [
        {
            "row": row,
            "segment": segment_label(row),
            "window": labels.get(window_key(row), "all rows"),
            "verdict": str(row.get("verdict") or "not_evaluated"),
        }
        for row in page.view.deciding[: page.limits.rows]
    ]
    return {"shown": shown, "deciding": len(page.view.deciding), "all": page.view.row_count} if shown else None
