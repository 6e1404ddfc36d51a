"""How to make the numbers again and compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import mapping

if TYPE_CHECKING:
    from tidegauge.report._page import Page


def build(page: Page) -> dict[str, Any]:
    """The commands that the record tells, where a configuration was run."""
    commands = mapping(mapping(page.record.get("inputs")).get("reproduce"))
    return {"commands": [str(commands[name]) for name in ("run", "verify") if name in commands]}
