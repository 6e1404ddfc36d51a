"""Risk register: segments where the model's loss is higher than elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import interval, mapping, number, objects

if TYPE_CHECKING:
    from tidegauge.report._page import Page


def build(page: Page) -> dict[str, Any] | None:
    """The segments found, and the candidates that are not told from chance; nothing where none was searched."""
    told = mapping(page.result.get("risk_register"))
    if not told:
        return None
    entries = [
        {
            "segment": str(entry.get("segment")),
            "rows": number(entry.get("rows")),
            "loss": number(entry.get("mean_loss"), 3),
            "elsewhere": number(entry.get("mean_loss_elsewhere"), 3),
            "limits": interval(entry.get("ci_low"), entry.get("ci_high")),
            "qvalue": number(entry.get("qvalue"), 2),
            "weak": entry.get("weak") is True,
        }
        for entry in objects(told.get("entries"))
    ]
    return {"told": told, "weak": [e for e in entries if e["weak"]], "others": [e for e in entries if not e["weak"]]}
