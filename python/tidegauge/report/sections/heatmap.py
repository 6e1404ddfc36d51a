"""Verdict and value of every column in every window, against each baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tidegauge.report._text import number, shorten, to_float
from tidegauge.report._view import BESIDE
from tidegauge.report._words import LETTER, MEANING, WORD, checked

if TYPE_CHECKING:
    from tidegauge.report._page import Page
    from tidegauge.report._view import Judgement


#: Classes of cells; there are thousands, and no word is as short.
_SHORT = {
    "error": "e",
    "fail": "f",
    "warn": "w",
    "waived": "v",
    "inconclusive": "q",
    "ok": "o",
    "not_evaluated": "n",
}


def build(page: Page) -> dict[str, Any] | None:
    """Key and cells; nothing where no column was judged."""
    if not page.view.features:
        return None
    judged = (j.verdict for f in page.view.features for b in page.view.baselines for j in f.judged(b))
    waived = ("waived",) if "waived" in judged else ()
    read_first = ("fail", "warn", *waived, "ok", "inconclusive", "error", "not_evaluated")
    return {"verdicts": [(v, LETTER[v], MEANING[v]) for v in read_first], "cell": cell}


def cell(judgement: Judgement | None) -> Markup:
    """Cell of the table: verdict letter and value, in a class for its colour."""
    if judgement is None:
        return Markup("<td>–")
    lead = judgement.lead or {}
    statistic, value = str(lead.get("statistic") or ""), lead.get("value")
    style = judgement.verdict if judgement.verdict in WORD else "not_evaluated"
    strong = style == "fail" and (judgement.ratio or 0) >= 3
    by = {"missing_rate": "missing", "new_category_mass": "new values", "check": checked(lead)}.get(
        statistic, statistic
    )
    named = statistic in BESIDE or statistic == "check"  # any other cell is read by the distribution of its column
    return Markup("<td class=k{}><b>{}</b>{}{}").format(
        "s" if strong else _SHORT[style],
        LETTER[style],
        "" if value is None else f" {_brief(value)}",
        Markup("<small>{}</small>").format(shorten(by, 16)) if named else "",
    )


def _brief(value: object) -> str:
    """Three decimals without the leading zero, so that months fit side by side."""
    x = to_float(value)
    if x is None or not abs(x) < 10:
        return number(value, 3)
    return f"{x:.3f}".replace("0.", ".", 1) if abs(x) < 1 else f"{x:.2f}"
