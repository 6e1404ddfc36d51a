"""Waivers: a difference that somebody accepts, for a reason, until a day. Shown, never hidden."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from tidegauge.config import as_names

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from tidegauge.config import Config, Waiver
    from tidegauge.record import Context
    from tidegauge.results import Report, Row

#: Verdicts that a waiver accepts; an error or too few rows is nothing that can be accepted.
ACCEPTED = ("fail", "warn")
_MOST_NAMED = 5
#: What tells verdicts apart.
_PLACE = ("feature", "window_start", "window_end", "model_version", "segment_by", "segment_value", "baseline")


def waive(report: Report, settings: Config, context: Context) -> None:
    """Set the verdict of accepted failures and warnings to ``waived``, and note all waivers in the record.

    A waiver reaches windows that begin on or before its day, by the clock of the data: a report on the same
    rows is the same whenever it is made. Rows without a window go by the day of the run. What a waiver no
    longer reaches keeps its verdict, and says when the waiver ended.

    It accepts a verdict whose every reason it reaches, alone or with other waivers. By itself it reaches drift: what a
    check says, or a tolerance on performance, is reached only where its `statistic` names it.

    The rows that decide keep their verdicts; only the verdict on the feature changes, and says what it was.
    """
    if not settings.waivers:
        return
    today = context.started.date()
    used: list[dict[str, Any]] = []
    for waiver in settings.waivers:
        statistics = {"statistic": chosen} if (chosen := as_names(waiver.statistic)) else {}
        used.append({
            "match": waiver.match, **statistics, "window": waiver.window, "until": waiver.until.isoformat(),
            "who": waiver.who, "why": waiver.why, "waived": [], "ended": [],
        })  # fmt: skip
    behind: dict[tuple[Any, ...], list[Row]] = {}
    for row in report.rows:
        if row["decides"] and row["verdict"] in ACCEPTED:
            behind.setdefault(_key(row), []).append(row)
    unreached: dict[int, dict[str, None]] = {}
    for row in report.rows:
        if row["statistic"] != "verdict" or row["verdict"] not in ACCEPTED:
            continue
        matching = [i for i, waiver in enumerate(settings.waivers) if _matches(waiver, row)]
        reaching = [i for i in matching if _day(row, today) <= settings.waivers[i].until]
        # All that is behind the verdict has to be accepted, by one waiver or by several.
        reasons = behind.get(_key(row), [row])
        accepting = [_first(settings.waivers, reaching, reason) for reason in reasons]
        if reaching and None not in accepting:
            of = sorted({i for i in accepting if i is not None})
            for i in of:
                used[i]["waived"].append(_place(row))
            told = [settings.waivers[i] for i in of]
            words = "; ".join(f"waived until {waiver.until} by {waiver.who}: {waiver.why}" for waiver in told)
            row["message"] = "; ".join(filter(None, [f"{row['verdict']}, {words}", row["message"]]))
            row["verdict"] = "waived"
            continue
        beyond = [name_of(reason) for reason, by in zip(reasons, accepting, strict=True) if by is None]
        for i in reaching:
            unreached.setdefault(i, {}).update({f"{name} of {row['feature']}": None for name in beyond})
        ended = [i for i in matching if i not in reaching and _accepts_any(settings.waivers[i], reasons)]
        if ended:
            last = max(ended, key=lambda i: settings.waivers[i].until)
            used[last]["ended"].append(_place(row))
            waiver = settings.waivers[last]
            told_ended = f"the waiver by {waiver.who} ended {waiver.until}"
            row["message"] = "; ".join(filter(None, [row["message"], told_ended]))
    context.sections["waivers"] = used
    for i, (waiver, found) in enumerate(zip(settings.waivers, used, strict=True)):
        label = f"Waiver of {waiver.match!r} by {waiver.who}"
        n = len(found["waived"])
        if n:
            context.notes.append(
                f"{label} until {waiver.until} ({waiver.why}): {n} verdict{'s' * (n > 1)} accepted, shown as waived."
            )
        elif not found["ended"] and i not in unreached:
            context.notes.append(f"{label} accepted nothing: no failure or warning matches it.")
        if i in unreached:
            names = ", ".join([*unreached[i]][:_MOST_NAMED]) + (", ..." if len(unreached[i]) > _MOST_NAMED else "")
            context.notes.append(
                f"{label} does not reach {names}, which therefore stands; its statistic would name it."
            )


def _matches(waiver: Waiver, row: Row) -> bool:
    if waiver.window is not None and not str(row["window_start"] or "").startswith(waiver.window):
        return False
    return row["feature"] == waiver.match or fnmatch.fnmatchcase(str(row["feature"]), waiver.match)


def _first(waivers: Sequence[Waiver], among: Sequence[int], reason: Row) -> int | None:
    return next((i for i in among if _accepts(waivers[i], reason)), None)


def _accepts_any(waiver: Waiver, reasons: Sequence[Row]) -> bool:
    return any(_accepts(waiver, reason) for reason in reasons)


def _accepts(waiver: Waiver, reason: Row) -> bool:
    """Whether a waiver reaches the statistic of a row; that of a check is named ``check/r2``."""
    patterns = as_names(waiver.statistic)
    if not patterns:
        return reason["statistic"] != "check" and reason["kind"] not in ("performance", "fairness")
    name = name_of(reason)
    return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def name_of(reason: Row) -> str:
    """What a waiver calls a deciding row: its statistic, or ``check/`` and that of the check."""
    check = reason["statistic"] == "check"
    return str(reason["definition"]).rpartition("/v")[0] if check else str(reason["statistic"])


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*_PLACE, "model"))


def _day(row: Row, today: dt.date) -> dt.date:
    """The day a row belongs to: that its window begins, in the windows' zone."""
    start = row["window_start"]
    return type(today).fromisoformat(start[:10]) if start else today


def _place(row: Row) -> dict[str, Any]:
    return {**{name: row[name] for name in _PLACE}, "verdict": row["verdict"]}
