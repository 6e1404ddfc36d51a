"""Decision and signatures: what people wrote into the record, and room for what they did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import mapping, objects

if TYPE_CHECKING:
    from tidegauge.report._page import Page

ROLES = ("developer", "independent validator", "model owner")
"""Who signs where the record names nobody."""

FIELDS = ("decision", "rationale", "conditions", "due")


def build(page: Page) -> dict[str, Any]:
    """Fields of the decision, and one line for each signature; nothing is filled in here."""
    told = mapping(page.record.get("sign_off"))
    signatures = objects(told.get("signatures")) or [{"role": role} for role in ROLES]
    return {
        "fields": [(name, told.get(name)) for name in FIELDS],
        "signatures": [
            [str(line.get("role") or ""), *(line.get(name) for name in ("name", "date", "reference"))]
            for line in signatures
        ],
    }
