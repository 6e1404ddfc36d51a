"""The report as a card for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._html import environment
from ._view import build
from ._words import findings, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_FINDINGS = 8
MOST_COLUMNS = 25


def render_card(record: Mapping[str, Any]) -> str:
    """Render a record as a piece of HTML of at most 30 kB, for the output cell of a notebook.

    Parameters
    ----------
    record : mapping
        Content of report.json.

    Returns
    -------
    str
        One ``<div>`` without script, style sheet or outside resource, in the colours of the page
        it stands in. Every string of the record is escaped.

    Examples
    --------
    >>> card = render_card({"result": {"verdict": "ok", "title": "<nightly>"}})
    >>> "&lt;nightly&gt;" in card and "<nightly>" not in card
    True
    """
    view = build(record)
    entries, unsure = findings(view)
    columns = [(feature, j) for feature in view.features if (j := feature.worst(view.main)) is not None]
    return (
        environment()
        .get_template("card.html.j2")
        .render(
            view=view,
            sentences=summary(view),
            findings=entries[:MOST_FINDINGS],
            more=max(len(entries) - MOST_FINDINGS, 0),
            unsure=unsure,
            columns=columns[:MOST_COLUMNS],
            left=max(len(columns) - MOST_COLUMNS, 0),
            digest=str(record.get("result_digest") or ""),
        )
    )
