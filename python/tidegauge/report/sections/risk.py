"""Risk register: segments where the model's loss is higher than elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import between, decimals, fixed, mapping, number, objects

if TYPE_CHECKING:
    from tidegauge.report._page import Page


LOSSES = {
    "log_loss": "log loss",
    "squared": "squared error",
    "absolute": "absolute error",
    "zero_one": "share of wrong predictions",
}
"""Losses in words."""


def build(page: Page) -> dict[str, Any] | None:
    """The segments found, and the candidates that are not told from chance; nothing where none was searched."""
    told = mapping(page.result.get("risk_register"))
    if not told:
        return None
    listed = objects(told.get("entries"))
    places = decimals(entry.get("mean_loss") for entry in listed)
    entries = [
        {
            "segment": str(entry.get("segment")),
            "rows": number(entry.get("rows")),
            "loss": fixed(entry.get("mean_loss"), places),
            "elsewhere": fixed(entry.get("mean_loss_elsewhere"), places),
            "difference": fixed(entry.get("difference"), places),
            "limits": between(entry.get("ci_low"), entry.get("ci_high"), places),
            "qvalue": number(entry.get("qvalue"), 2),
            "weak": entry.get("weak") is True,
        }
        for entry in listed
    ]
    loss = str(told.get("loss"))
    return {
        "told": told,
        "loss": LOSSES.get(loss, loss),
        "weak": [e for e in entries if e["weak"]],
        "others": [e for e in entries if not e["weak"]],
    }
