"""Where the numbers come from: digests, engine, files, configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegauge.report._text import mapping

if TYPE_CHECKING:
    from tidegauge.report._page import Page

MOST_FILES = 50
"""Files listed for each side."""

MOST_TEXT = 20_000
"""Characters of a configuration."""


def build(page: Page) -> dict[str, Any]:
    """Configuration in effect and as written, and the envelope."""
    configuration = page.result.get("configuration")
    text = json.dumps(configuration, indent=2, sort_keys=True, ensure_ascii=False) if configuration else ""
    return {
        "configuration": _cut(text),
        "written": _cut(str(mapping(page.record.get("inputs")).get("configuration_as_written") or "")),
        "envelope": mapping(page.record.get("envelope")),
        "most_files": MOST_FILES,
    }


def _cut(text: str) -> str:
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n... {len(text) - MOST_TEXT:,} more characters in report.json"
