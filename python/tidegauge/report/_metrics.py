"""The report as metrics text, the Prometheus exposition format."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ._text import mapping, to_float, visible
from ._view import SEVERITY, Judgement, View, build, segment_label, window_key

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_FEATURES = 2_000
"""Columns with series of their own, worst first; the others are counted."""

#: As metrics have had it since the first: on a curve over time, a window without a verdict is above one that is ok.
_SEVERITY = {**SEVERITY, "ok": 0, "not_evaluated": 1}
_VERDICTS = ("ok", "waived", "inconclusive", "warn", "fail", "error", "not_evaluated")


def render_metrics(record: Mapping[str, Any]) -> str:
    """Render a record as metrics text (Prometheus exposition format 0.0.4).

    The last window speaks: a gauge is what is so now, and history is the collector's. Labels are
    model, its version, baseline, feature, statistic and verdict. Windows and segments are no
    labels, as their number grows; segments are counted by verdict.

    Parameters
    ----------
    record : mapping
        Content of report.json.

    Returns
    -------
    str
        Text for a collector of files or a push gateway, at most about 20,000 series. Strings from
        the data are escaped, control characters spelled out.

    Examples
    --------
    >>> print(render_metrics({"result": {"verdict": "ok"}}).splitlines()[2])
    tidegauge_verdict{model="",model_version="",verdict="ok"} 1
    """
    view = build(record)
    result = mapping(record.get("result"))
    named = mapping(result.get("model"))
    model = {"model": named.get("name") or "", "model_version": named.get("version") or ""}
    text: list[str] = []

    def family(name: str, words: str, series: list[tuple[dict[str, Any], object]]) -> None:
        if series:
            text.append(f"# HELP tidegauge_{name} {words}\n# TYPE tidegauge_{name} gauge\n")
            text.extend(f"tidegauge_{name}{{{_labels(model | labels)}}} {_value(value)}\n" for labels, value in series)

    family(
        "verdict",
        "Whether the report, over all windows, has this verdict.",
        [({"verdict": verdict}, int(view.verdict == verdict)) for verdict in _VERDICTS],
    )
    if view.windows:
        _window(view, family)
    if (finished := _seconds(mapping(record.get("envelope")).get("finished"))) is not None:
        family("report_timestamp_seconds", "When the report was made, seconds since 1970.", [({}, finished)])
    for side in ("reference", "current"):
        rows = mapping(result.get(side)).get("rows")
        family(f"{side}_rows", f"Rows of the {side} data.", [] if rows is None else [({}, rows)])
    return "".join(text)


def _window(view: View, family: Any) -> None:
    """Families on the last window."""
    last = view.windows[-1]
    if (end := _seconds(last.end)) is not None:
        family("window_end_timestamp_seconds", "End of the last window, seconds since 1970.", [({}, end)])
    family(
        "window_verdict",
        "Whether the last window has this verdict.",
        [({"verdict": v}, int(last.verdict == v)) for v in _VERDICTS] if last.verdict else [],
    )
    family("window_rows", "Rows of the last window.", [] if last.rows is None else [({}, last.rows)])
    judged: list[Judgement] = []
    for feature in view.features[:MOST_FEATURES]:
        at = (cells.get(last.key) for cells in (feature.cells.get(b, {}) for b in view.baselines))
        judged += [j for j in at if j is not None]
    counts: Counter[tuple[str, str]] = Counter()
    for feature in view.features:
        for baseline, cells in feature.cells.items():
            if last.key in cells:
                counts[(baseline, cells[last.key].verdict)] += 1
    family(
        "features",
        "Judged columns of the last window by verdict.",
        [({"baseline": b, "verdict": v}, counts[(b, v)]) for b in view.baselines for v in _VERDICTS],
    )
    family(
        "share_drifted",
        "Share of the judged columns of the last window that fail.",
        [
            ({"baseline": baseline}, row.get("value"))
            for (baseline, key), row in view.share_drifted.items()
            if key == last.key and baseline in view.baselines
        ],
    )
    family(
        "feature_severity",
        "Verdict on a column in the last window: 0 ok, 1 not evaluated, 2 inconclusive or waived, 3 warn, 4 fail, "
        "5 error.",
        [({"baseline": j.baseline, "feature": j.feature}, _SEVERITY.get(j.verdict, 1)) for j in judged],
    )
    shown = {j.feature for j in judged}
    deciding = [
        row
        for row in view.deciding
        if window_key(row) == last.key and segment_label(row) is None and str(row.get("feature")) in shown
    ]
    deciding.sort(key=lambda row: (str(row.get("feature")), str(row.get("baseline")), str(row.get("statistic"))))
    for name, key, words in (
        ("value", "value", "Value of a deciding statistic in the last window."),
        ("value_low", "ci_low", "Lower limit of the interval of a deciding statistic."),
        ("value_high", "ci_high", "Upper limit of the interval of a deciding statistic."),
        ("fail_at", "fail_at", "Limit at which a deciding statistic fails."),
    ):
        family(
            name,
            words,
            [
                ({n: row.get(n) or "" for n in ("baseline", "feature", "statistic")}, row[key])
                for row in deciding
                if row.get(key) is not None
            ],
        )
    if len(view.features) > MOST_FEATURES:
        family("features_omitted", "Columns without series of their own.", [({}, len(view.features) - MOST_FEATURES)])
    segments: Counter[str] = Counter()
    for segment in view.segments:
        segments[segment.worst.verdict] += 1
    if segments:
        family(
            "segments",
            "Segments by their worst verdict over columns and windows.",
            [({"verdict": verdict}, segments[verdict]) for verdict in _VERDICTS],
        )


def _labels(labels: Mapping[str, Any]) -> str:
    return ",".join(f'{name}="{_escape(str(value))}"' for name, value in labels.items())


def _escape(text: str) -> str:
    # A backslash of the data is doubled before control characters are spelled out with one, so that
    # no two names become one series, which a collector would refuse; then the format's own escapes.
    return visible(text.replace("\\", "\\\\")).replace("\\", "\\\\").replace('"', '\\"')


def _value(value: object) -> str:
    x = to_float(value)
    if x is None or math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "+Inf" if x > 0 else "-Inf"
    return str(value) if isinstance(value, int) else repr(x)


def _seconds(moment: object) -> float | int | None:
    """Seconds since 1970 of an instant of the record; None where it has none."""
    try:
        held = datetime.fromisoformat(str(moment))
    except ValueError:
        return None
    seconds = held.timestamp() if held.tzinfo is not None else None
    return int(seconds) if seconds is not None and seconds.is_integer() else seconds
