"""The statistics of the page in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._words import GLOSSARY

if TYPE_CHECKING:
    from tidegauge.report._page import Page


def build(page: Page) -> dict[str, Any] | None:
    """Entries of the statistics that occur; nothing where none does."""
    names = sorted({str(row.get("statistic") or "") for row in page.view.rows} & GLOSSARY.keys())
    return {"entries": [(name, GLOSSARY[name]) for name in names]} if names else None
