"""Waivers: a difference that somebody accepts, for a reason, until a day. Shown, never hidden."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt

    from tidegauge.config import Config, Waiver
    from tidegauge.record import Context
    from tidegauge.results import Report, Row

#: Verdicts that a waiver accepts; an error or too few rows is nothing that can be accepted.
ACCEPTED = ("fail", "warn")


def waive(report: Report, settings: Config, context: Context) -> None:
    """Set the verdict of accepted failures and warnings to ``waived``, and note all waivers in the record.

    A waiver reaches windows that begin on or before its day, by the clock of the data: a report on the same
    rows is the same whenever it is made. Rows without a window go by the day of the run. What a waiver no
    longer reaches keeps its verdict, and says when the waiver ended.

    The rows that decide keep their verdicts; only the verdict on the feature changes, and says what it was.
    """
    if not settings.waivers:
        return
    today = context.started.date()
    used: list[dict[str, Any]] = []
    for waiver in settings.waivers:
        used.append({
            "match": waiver.match, "window": waiver.window, "until": waiver.until.isoformat(), "who": waiver.who,
            "why": waiver.why, "waived": [], "ended": [],
        })  # fmt: skip
    for row in report.rows:
        if row["statistic"] != "verdict" or row["verdict"] not in ACCEPTED:
            continue
        matching = [i for i, waiver in enumerate(settings.waivers) if _matches(waiver, row)]
        reaching = [i for i in matching if _day(row, today) <= settings.waivers[i].until]
        if reaching:
            waiver = settings.waivers[reaching[0]]
            used[reaching[0]]["waived"].append(_place(row))
            told = f"waived until {waiver.until} by {waiver.who}: {waiver.why}"
            row["message"] = "; ".join(filter(None, [f"{row['verdict']}, {told}", row["message"]]))
            row["verdict"] = "waived"
        elif matching:
            last = max(matching, key=lambda i: settings.waivers[i].until)
            used[last]["ended"].append(_place(row))
            waiver = settings.waivers[last]
            told = f"the waiver by {waiver.who} ended {waiver.until}"
            row["message"] = "; ".join(filter(None, [row["message"], told]))
    context.sections["waivers"] = used
    for waiver, found in zip(settings.waivers, used, strict=True):
        label = f"Waiver of {waiver.match!r} by {waiver.who}"
        n = len(found["waived"])
        if n:
            context.notes.append(
                f"{label} until {waiver.until} ({waiver.why}): {n} verdict{'s' * (n > 1)} accepted, shown as waived."
            )
        elif not found["ended"]:
            context.notes.append(f"{label} accepted nothing: no failure or warning matches it.")


def _matches(waiver: Waiver, row: Row) -> bool:
    if waiver.window is not None and not str(row["window_start"] or "").startswith(waiver.window):
        return False
    return row["feature"] == waiver.match or fnmatch.fnmatchcase(str(row["feature"]), waiver.match)


def _day(row: Row, today: dt.date) -> dt.date:
    """The day a row belongs to: that its window begins, in the windows' zone."""
    start = row["window_start"]
    return type(today).fromisoformat(start[:10]) if start else today


def _place(row: Row) -> dict[str, Any]:
    names = ("feature", "window_start", "window_end", "model_version", "segment_by", "segment_value", "baseline")
    return {**{name: row[name] for name in names}, "verdict": row["verdict"]}
