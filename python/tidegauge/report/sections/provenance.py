"""Where the numbers come from: digests, engine, files, configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    text = _compact(configuration) if configuration else ""
    return {
        "configuration": _cut(text),
        "written": _cut(str(mapping(page.record.get("inputs")).get("configuration_as_written") or "")),
        "envelope": mapping(page.record.get("envelope")),
        "most_files": MOST_FILES,
    }


def _compact(value: Any, indent: str = "") -> str:
    """JSON with sorted keys, in which a list or mapping without another inside is one line."""
    inner = [*(value.values() if isinstance(value, Mapping) else value)] if isinstance(value, (Mapping, list)) else []
    if not any(isinstance(item, (Mapping, list)) for item in inner) and indent:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    below = indent + "  "
    if isinstance(value, Mapping):
        lines = [
            f"{below}{json.dumps(str(name), ensure_ascii=False)}: {_compact(item, below)}"
            for name, item in sorted(value.items())
        ]
        return "\n".join(["{", ",\n".join(lines), f"{indent}}}"])
    if isinstance(value, list):
        return "\n".join(["[", ",\n".join(f"{below}{_compact(item, below)}" for item in value), f"{indent}]"])
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n... {len(text) - MOST_TEXT:,} more characters in report.json"
