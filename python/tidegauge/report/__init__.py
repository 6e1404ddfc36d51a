"""Renderings of a record: pure functions from the content of report.json to a page or text.

Nothing is computed here that a verdict depends on, nothing is read but the record, and equal
records give equal bytes.
"""

from ._card import render_card
from ._html import render_html
from ._index import Entry, entry_of, render_index
from ._junit import render_junit
from ._markdown import render_markdown
from ._metrics import render_metrics
from ._terminal import render_text

__all__ = [
    "Entry",
    "entry_of",
    "render_card",
    "render_html",
    "render_index",
    "render_junit",
    "render_markdown",
    "render_metrics",
    "render_text",
]
