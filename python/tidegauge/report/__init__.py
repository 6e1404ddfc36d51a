"""Renderings of a record: pure functions from the content of report.json to a page or text.

Nothing is computed here that a verdict depends on, nothing is read but the record, and equal
records give equal bytes.
"""

from ._html import render_html
from ._markdown import render_markdown
from ._terminal import render_text

__all__ = ["render_html", "render_markdown", "render_text"]
