"""Two profiles in, rows with verdicts out."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._baselines import check_baselines, deciding_baselines
from tidegauge._performance import finish, missing_rows
from tidegauge._privacy import hide_segments
from tidegauge._profile import as_profile
from tidegauge.errors import UsageError
from tidegauge.results import Report, parse_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from tidegauge._explain import Explanation
    from tidegauge._joint_rows import Samples
    from tidegauge._performance import Measured
    from tidegauge._profile import Profile
    from tidegauge._recorded import RecordedExplanation
    from tidegauge.config import Joint
    from tidegauge.results import Row


def compare(
    reference: Profile | str | os.PathLike[str],
    current: Profile | str | os.PathLike[str],
    *,
    alpha: float = 0.05,
    tolerances: Mapping[str, Mapping[str, Any]] | None = None,
    statistics: Mapping[str, str] | None = None,
    baselines: Sequence[str] = ("reference",),
    decided_by: Sequence[str] = (),
    segment_baselines: Sequence[str] = (),
    as_of: str | dt.date | None = None,
    decisions: Mapping[str, Any] | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
    model: str | None = None,
    title: str | None = None,
) -> Report:
    """Compare two profiles; no data is read.

    Parameters
    ----------
    reference, current : Profile or path
        `current` must have been profiled with ``like=reference`` to share its grid; otherwise
        bounds are wider, or the pair is refused.
    alpha : float
        One minus the level of the intervals, adjusted for multiplicity. Default 0.05.
    tolerances : mapping of column to {"warn": float, "fail": float}
        In units of the deciding statistic; both are needed. Or, by statistic that decides,
        ``{"missing_rate": {"warn": 0.02, "fail": 0.1}}``.
    statistics : mapping of column to statistic
        Statistic that decides, in place of the default for the column's kind.
    baselines : sequence of str
        What each window, segment and model version is compared with; every one is a merge of states
        that the profiles hold.

        - ``"reference"``: the reference, or the same segment of it;
        - ``"previous"``, ``"rolling:4"``, ``"rolling:7d"``, ``"expanding"``: the window before, the four
          before (all of which must be there), those that begin within seven days before, all before;
        - ``"seasonal:1y"``: the window that lies a year (``1w``, ``1d`` ...) earlier on the calendar of
          the windows' zone;
        - ``"segment:carrier=AA"``, ``"rest"``: that segment, or all other segments of the cut, in the
          same window;
        - ``"version:1.3"``: that model version in the same window.

        A window without its baseline has a ``coverage`` row, ``not_evaluated``, that says why.
    decided_by : sequence of str
        Baselines whose verdicts count, as one family with one level; the others are context and
        change no verdict. Default: ``"reference"`` where it is a baseline, else all.
    segment_baselines : sequence of str
        Baselines that segments are compared with too. Default: those that decide alone, and ``"rest"`` and
        ``"segment:..."``; whole windows are compared with every baseline.
    as_of : str, date or datetime
        Instant of the comparison (ISO; without an offset UTC; cut to whole seconds; ``"now"``): how old the newest
        row is, and which time should have held rows, is told as of then where a window is still open.
        Default: the end of each window.
    decisions : mapping
        Rules beside tolerances; see ``docs/decisions-over-time.md``.

        - ``minimum_n={"reference": 100, "current": 100}``: a row of fewer rows is ``not_evaluated``;
        - ``consecutive=2``: a feature fails when it failed in so many windows in a row, and warns
          before; its deciding rows keep their verdicts;
        - ``calibrated={"warn": 0.1, "fail": 0.05}``: thresholds against the reference are those that
          this share of its own windows exceeds, each compared with the others; the reference must have
          been profiled with the same `window`;
        - ``over_time="online_fdr"``: false-discovery rate over all windows, or ``"sequential"``: chance
          of any false alarm over all windows. A later window never changes an earlier verdict.
    checks : sequence of {"feature": str, "statistic": str, "min": float, "max": float}
        Limits on the value of any statistic of a column, or of ``"*"``, the whole set; one of both
        suffices. Each gives a deciding row ``check`` a window: a certain violation fails, bounds that do
        not tell are inconclusive, and a row that does not exist is not evaluated.
    model, title : str
        Name of the model (default: the current profile's) and title of the report.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        If an option is outside its range or names an unknown column or statistic.
    IncompatibleError
        If the profiles cannot be compared.

    Examples
    --------
    >>> import tidegauge as tg
    >>> reference = tg.profile({"x": [1, 2, 3, 4]})
    >>> tg.compare(reference, tg.profile({"x": [1, 2, 3, 4]}, like=reference)).failed
    []
    """
    from tidegauge.record import Context, build

    started = dt.datetime.now(dt.UTC)
    context = Context(started=started, title=title, model=model)
    return decide(
        as_profile(reference),
        as_profile(current),
        alpha=alpha,
        tolerances=tolerances,
        statistics=statistics,
        baselines=baselines,
        decided_by=decided_by,
        segment_baselines=segment_baselines,
        as_of=as_of,
        decisions=decisions,
        checks=checks,
        model=model,
        context=context,
        build=build,
    )


def decide(
    reference: Profile,
    current: Profile,
    *,
    alpha: float = 0.05,
    tolerances: Mapping[str, Mapping[str, Any]] | None = None,
    statistics: Mapping[str, str] | None = None,
    baselines: Sequence[str] = ("reference",),
    decided_by: Sequence[str] = (),
    segment_baselines: Sequence[str] = (),
    as_of: str | dt.date | None = None,
    decisions: Mapping[str, Any] | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
    joint: Joint | None = None,
    samples: Samples | None = None,
    joint_again: Sequence[Mapping[str, Any]] = (),
    model: str | None = None,
    context: Any,
    build: Any,
    measured: Measured | None = None,
    explanation: Explanation | RecordedExplanation | None = None,
) -> Report:
    """Compare with what the record needs to know; shared by ``compare``, ``drift`` and ``run``."""
    options, told = prepare(
        reference,
        current,
        alpha=alpha,
        tolerances=tolerances,
        statistics=statistics,
        baselines=baselines,
        decided_by=decided_by,
        segment_baselines=segment_baselines,
        as_of=as_of,
        decisions=decisions,
        checks=checks,
        joint=joint,
        model=model,
        context=context,
    )
    if measured is not None and measured.plan:
        options["performance"] = measured.plan
    if explanation is not None:
        options["explain"] = explanation.options()
    found: dict[str, Any] = {}
    if joint and samples:
        from tidegauge._joint_rows import joint_rows

        found = joint_rows(reference, current, samples, joint, alpha=alpha)
    elif joint and joint_again:
        from tidegauge._joint_rows import from_rows

        found = from_rows(joint_again, joint)
    states = (None, None) if measured is None else (measured.current, measured.reference)
    whole = json.dumps({**options, **told, **found})
    answer = json.loads(_core.compare(reference._core, current._core, whole, *states))
    unmeasured = missing_rows(measured, told, reference, current)
    rows = [*parse_rows([*answer["rows"], *unmeasured]), *coverage_rows(reference, current, told)]
    hide_segments(rows, reference, current, answer["performance"])
    if explanation is not None:
        rows += explanation.rows(told)
    deciding = deciding_baselines(baselines, decided_by)
    report = Report(rows, reference, current, lambda report: build(report, options, context), deciding)
    report.performance, report.explanation = finish(answer["performance"], report.rows), explanation
    return report


def prepare(
    reference: Profile,
    current: Profile,
    *,
    alpha: float = 0.05,
    tolerances: Mapping[str, Mapping[str, Any]] | None = None,
    statistics: Mapping[str, str] | None = None,
    baselines: Sequence[str] = ("reference",),
    decided_by: Sequence[str] = (),
    segment_baselines: Sequence[str] = (),
    as_of: str | dt.date | None = None,
    decisions: Mapping[str, Any] | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
    joint: Joint | None = None,
    model: str | None = None,
    context: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of a comparison, checked, and what every row tells of its run."""
    if not 0 < alpha < 1:
        raise UsageError(f"alpha: {alpha}; accepted is a number between 0 and 1")
    check_baselines(baselines, decided_by, segment_baselines)
    by_column, by_statistic = _tolerances(tolerances or {})
    options: dict[str, Any] = {
        "alpha": alpha,
        "baselines": list(baselines),
        "decided_by": list(decided_by),
        "segment_baselines": list(segment_baselines),
        "as_of": as_instant(as_of),
        "decisions": _rules(decisions),
        "tolerances": by_column,
        "statistic_tolerances": by_statistic,
        "checks": [dict(check) for check in checks],
        "statistics": dict(statistics or {}),
        "joint": joint.semantic() if joint else {},
    }
    options = {name: value for name, value in options.items() if value not in ({}, [], None)}
    name = model or current.model
    told = {
        "model": name,
        "model_version": context.model_version,
        "run_id": context.identify(reference, current, options, name),
    }
    return options, told


def rows_of(
    reference: Profile,
    current: Profile,
    options: Mapping[str, Any],
    told: Mapping[str, Any],
    states: tuple[_core.Performance | None, _core.Performance | None] = (None, None),
) -> list[Row]:
    """Rows of every window, segment and statistic; `states` are those of label and prediction, of both sides."""
    current_states, before = states
    whole = json.dumps({**options, **told})
    answer = json.loads(_core.compare(reference._core, current._core, whole, current_states, before))
    rows = parse_rows(answer["rows"])
    hide_segments(rows, reference, current)
    return rows


def as_instant(value: str | dt.date | None) -> str | None:
    """An instant as RFC 3339 in UTC, whole seconds.

    Raises
    ------
    UsageError
        If it is no date or time.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = dt.datetime.now(dt.UTC) if value == "now" else dt.datetime.fromisoformat(value)
        except ValueError:
            raise UsageError(
                f"as_of: {value!r} is no date or time; accepted are 2014-01-01, 2014-01-01T12:00:00+00:00 and now"
            ) from None
    if not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _tolerances(
    given: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, dict[str, float]]]]:
    """Limits by column, and by column and statistic."""
    by_column: dict[str, dict[str, float]] = {}
    by_statistic: dict[str, dict[str, dict[str, float]]] = {}
    for column, limits in given.items():
        for name, limit in limits.items():
            if name in ("warn", "fail"):
                by_column.setdefault(column, {})[name] = limit
            else:
                by_statistic.setdefault(column, {})[name] = _limits(f"{name} of {column!r}", limit)
    return {column: _limits(repr(column), limits) for column, limits in by_column.items()}, by_statistic


def _limits(place: str, limits: Any) -> dict[str, float]:
    try:
        if set(limits) == {"warn", "fail"} and 0 <= limits["warn"] <= limits["fail"] < math.inf:
            return dict(limits)
    except TypeError:
        pass
    raise UsageError(f"tolerance of {place}: {limits}; accepted are finite numbers warn and fail, 0 <= warn <= fail")


def _rules(decisions: Mapping[str, Any] | None) -> dict[str, Any]:
    """The rules as the core reads them; those left at their default are left out."""
    if not decisions:
        return {}
    import msgspec

    from tidegauge.config import as_decisions

    rules: dict[str, Any] = msgspec.to_builtins(as_decisions(decisions))
    return rules


def coverage_rows(
    reference: Profile,
    current: Profile,
    told: Mapping[str, Any],
    unread: Sequence[Mapping[str, Any]] | None = None,
) -> list[Row]:
    """One row a side of which something could not be read: what is missing, counted as far as it is known.

    `unread` are the units of the current data that a store could not read; it does not keep them.
    """
    rows: list[Row] = []
    for side, profile in (("reference", reference), ("current", current)):
        lost = [problem for problem in profile.info["problems"] if problem["kind"] == "unit"]
        if side == "current":
            lost += unread or []
        if not lost:
            continue
        known = sum(problem["rows"] or 0 for problem in lost)
        unknown = sum(problem["rows"] is None for problem in lost)
        units = f"{len(lost)} unit{'s' * (len(lost) > 1)} of the {side} data could not be read"
        message = f"{units}: {_rows_missing(known, unknown)}; nothing is claimed of what is missing"
        share = known / (known + profile.rows) if known else None
        rows.append({
            **told, "baseline": "reference", "feature": "*", "kind": "table", "statistic": "coverage",
            "definition": "coverage/v1", "decides": True, "value": None if unknown else share, "unit": "share of rows",
            "bound_low": share or 0.0, "bound_high": 1.0 if unknown else share, "exactness": "certified" if unknown
            else "exact", "n_reference": reference.rows, "n_current": current.rows, "verdict": "inconclusive",
            "message": message,
        })  # fmt: skip
    return parse_rows(rows)


def _rows_missing(known: int, unknown: int) -> str:
    if not unknown:
        return f"{known:,} rows are not counted"
    units = "one unit" if unknown == 1 else f"{unknown} units"
    told = f"{known:,} rows are not counted, and those of {units}" if known else f"the rows of {units}"
    return f"{told} are unknown in number"
