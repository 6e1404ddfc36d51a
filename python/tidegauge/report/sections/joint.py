"""Rows as a whole: joint statistics on samples of rows, by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegauge.report._page import Page

MEANING = {
    "classifier_test": "area under the ROC curve of a classifier that tells current rows from reference rows, 0.5 "
    "where it cannot",
    "energy_multivariate": "energy distance of the rows, 0 where they are alike",
    "mmd": "squared maximum mean discrepancy of the rows, about 0 where they are alike",
    "pca_reconstruction": "mean distance of rows from the principal components of the reference",
}
"""What a value is, in words."""


def build(page: Page) -> dict[str, Any] | None:
    """Rows of the kind ``joint``; nothing where the record has none."""
    view = page.view
    shown = {window.key for window in page.windows}
    found = view.joint(shown)
    if not found:
        return None
    statistics = dict.fromkeys(str(row.get("statistic")) for _, row in found)
    return {"found": found, "meanings": [(name, MEANING.get(name, "")) for name in statistics]}
