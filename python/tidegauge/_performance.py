"""How well the model did: metrics of label and score by window and segment, beside the reference.

A pass of its own over label, score, weight and the columns that cut rows. It reads nothing else, holds
states whose size does not depend on rows, and cuts as the profile of the same rows does, which knows
the windows, segments, blocks and weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge.errors import ConfigError, SchemaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidegauge._profile import Options, Profile, Progress
    from tidegauge.results import Row

#: Metrics of each task unless others are named.
METRICS = {
    "binary": ("roc_auc", "average_precision", "log_loss", "brier", "calibration_error"),
    "classes": ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc"),
    "regression": ("rmse", "mae", "r2", "observed_over_expected"),
}
#: Metrics of the classes that a threshold predicts, beside the above where one is named.
AT_THRESHOLD = ("accuracy", "precision", "recall", "f1")
#: Binary exponent of the largest weight over the unit that the reference froze.
_LARGEST = 48


@dataclass(frozen=True)
class Settings:
    """What ``[performance]`` says."""

    metrics: tuple[str, ...] | None = None
    score: str | None = None
    classes: tuple[Any, ...] = ()
    threshold: float | None = None
    protected: tuple[str, ...] = ()
    enabled: bool = True


@dataclass
class Measured:
    """States of both sides, or why there are none."""

    current: _core.Performance | None = None
    reference: _core.Performance | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    #: Column and role that a row without a number is about.
    about: tuple[str, str] = ("*", "label")
    #: Why the reference has no numbers though the current data has.
    reference_reason: str | None = None


def measure(
    sides: tuple[tuple[Any, Options, Profile], tuple[Any, Options, Profile]],
    settings: Settings,
    progress: Progress | None = None,
) -> Measured | None:
    """Measure the rows of the reference and of the current data.

    Parameters
    ----------
    sides : ((data, options, profile), (data, options, profile))
        Data None where a side is a profile, whose rows are not known.
    settings : Settings
    progress : callable, optional

    Returns
    -------
    Measured or None
        None where no column is the label, so that there is nothing to say.
    """
    (data, options, reference), (current_data, current_options, current) = sides
    roles = {**reference.info["roles"], **options.roles, **current_options.roles}
    labels = [name for name, role in roles.items() if role == "label"]
    if not settings.enabled or not labels:
        return None
    plan = plan_of(reference, current, roles, settings)
    if isinstance(plan, str):
        return Measured(reason=plan, about=(labels[0], "label"))
    found = Measured(plan=plan, about=(plan["label"], "label"))
    if current_data is None:
        found.reason = "a profile holds no labels beside scores; performance needs the rows"
        return found
    try:
        found.current = measure_side(current_data, current_options, plan, reference, current, progress)
        if data is None:
            found.reference_reason = "the reference is a profile, which holds no labels beside scores"
        else:
            found.reference = measure_side(data, options, plan, reference, reference, progress)
    except (SchemaError, _CannotReadTwiceError) as error:
        found.current = found.reference = None
        found.reason = str(error)
    return found


class _CannotReadTwiceError(UsageError):
    """A stream that comes once was read by the profile."""


def measure_side(
    data: Any,
    options: Options,
    plan: Mapping[str, Any],
    like: Profile,
    own: Profile,
    progress: Progress | None,
    only: Sequence[str] | None = None,
) -> _core.Performance:
    """States of label and prediction of one side, cut as `own`, its profile; `only` names the units that are read.

    Raises
    ------
    SchemaError
        If a column is not there, or has another type than its role needs.
    """
    from pathlib import Path

    from tidegauge._profile import _names
    from tidegauge.sources import Selection, resolve, small_chunks

    info = like.info
    block = options.block if options.block in info["roles"] or options.block in info["order"] else None
    times = [name for name, role in {**info["roles"], **options.roles}.items() if role == "time"]
    cuts = [name for cut in options.by for name in _names(cut)]
    wanted = [plan["label"], plan.get("score"), plan.get("prediction"), block, options.model_version]
    wanted += [*times[:1], *cuts, *plan.get("protected", ()), (info["weight"] or {}).get("column")]
    needed = list(dict.fromkeys(name for name in wanted if name))
    selection = Selection(
        columns=needed,
        exclude=(),
        needed=needed,
        where=options.where,
        since=options.since,
        until=options.until,
        time=options.time or next(iter(times), None),
        time_zone=options.time_zone,
    )
    types = {column["name"]: column["logical"] for column in info["columns"]}
    source = resolve(data, selection, schema=options.schema, like=types)
    if source.once:
        raise _CannotReadTwiceError(
            "the data is a stream that comes once, and was read for the profile; a path or a table would be accepted"
        )
    begin = getattr(progress, "begin", None)
    if begin is not None:
        first = Path(source.names[0]).name if source.names else "table"
        begin(f"{first}, labels: ", "bytes" if source.open is None else "rows")
    chosen = json.loads(options.to_core(source))
    # Roles of columns that the pass does not read are no matter of it.
    chosen["roles"] = {name: role for name, role in options.roles.items() if name in needed}
    for name in ("columns", "exclude", "categorical", "column_errors"):
        chosen.pop(name, None)
    kind, what = ("paths", source.paths) if source.paths is not None else ("table", source.table)
    if source.open is not None:
        kind, what = "stream", source.open
    with small_chunks():
        return _core.measure_performance(
            kind,
            what,
            json.dumps(chosen),
            json.dumps(plan),
            like._core,
            own._core,
            progress,
            None if only is None else set(only),
        )


def plan_of(reference: Profile, current: Profile, roles: Mapping[str, str], settings: Settings) -> dict[str, Any] | str:
    """What is measured, told from the reference; else why nothing can be.

    Raises
    ------
    ConfigError
        If a metric or column of the settings does not exist, or they do not go together.
    """
    by_role: dict[str, list[str]] = {}
    for name, role in roles.items():
        by_role.setdefault(role, []).append(name)
    labels = by_role.get("label", [])
    if len(labels) > 1:
        return f"{len(labels)} columns are labels ({', '.join(labels)}); one would be accepted"
    if "frequency" in by_role:
        return "rows have frequencies; performance of rows that count several times is not measured"
    scores = [settings.score] if settings.score else by_role.get("score", [])
    if len(scores) > 1:
        return f"{len(scores)} columns are scores ({', '.join(scores)}); name one as performance.score"
    predictions = by_role.get("prediction", [])
    if not scores and len(predictions) != 1:
        told = f"{len(predictions)} columns are predictions" if predictions else "no column is a score or prediction"
        return f"{told}; one with the role score or prediction would be accepted"
    label = labels[0]
    columns = {column["name"]: column for column in reference.info["columns"]}
    held = columns.get(label) or {}
    if not held.get("distinct"):
        # The reference has no label: the current data says what it is.
        own = next((c for c in current.info["columns"] if c["name"] == label), held)
        if not own.get("distinct"):
            sides = "the reference" if current is reference else "either side"
            return f"no row of {sides} has a label in {label!r}"
        held = own
    task, classes = _task(held, settings, scored=bool(scores))
    if task is None:
        return str(classes)
    default = METRICS[task if task == "regression" or (task == "binary" and scores) else "classes"]
    metrics = list(settings.metrics or default)
    if settings.metrics is None and task == "binary" and scores and settings.threshold is not None:
        metrics += AT_THRESHOLD
    known = {metric["name"] for metric in json.loads(_core.metric_registry())} - {"cost", "confusion_matrix"}
    for name in metrics:
        if name not in known:
            raise ConfigError(f"performance.metrics: {name!r}; accepted are {', '.join(sorted(known))}")
    plan: dict[str, Any] = {"task": task, "label": label, "metrics": metrics}
    if scores:
        plan["score"] = scores[0]
    else:
        plan["prediction"] = predictions[0]
    if task == "regression":
        plan["center"] = held.get("mean") or 0.0
    else:
        plan["classes"] = classes
        plan["threshold"] = 0.5 if settings.threshold is None else settings.threshold
    if task == "binary":
        protected = settings.protected or tuple(by_role.get("protected", ()))
        if protected:
            plan["protected"] = list(protected)
    elif settings.protected:
        raise ConfigError(f"performance.protected: groups are compared where the label has two classes, not of {task}")
    weight = reference.info["weight"]
    if weight:
        plan["weight_exponent"] = weight["exponent"] + _LARGEST
    return plan


def _task(label: Mapping[str, Any], settings: Settings, *, scored: bool) -> tuple[str | None, Any]:
    """The task and the classes in their order; or None and the reason."""
    name, logical = label["name"], str(label["logical"])
    if settings.classes:
        classes = [float(c) if isinstance(c, (bool, int, float)) else c for c in settings.classes]
        if len({type(c) for c in classes}) > 1 or len(set(classes)) < len(classes) or len(classes) < 2:
            raise ConfigError(
                f"performance.classes: {list(settings.classes)}; accepted are two or more, numbers or text, none twice"
            )
        if len(classes) > 2 and scored:
            return None, f"{name!r} has {len(classes)} classes and one score; the column of predicted classes is needed"
        return ("binary" if len(classes) == 2 else "multiclass"), classes
    if logical == "bool":
        return "binary", [0.0, 1.0]
    if not (logical in ("int", "uint", "float") or logical.startswith("decimal")):
        return None, f"the label {name!r} is {logical}; name its classes as performance.classes, the positive one last"
    low, high, distinct = label.get("min"), label.get("max"), label.get("distinct")
    if low is None and distinct is not None and distinct <= 2:
        return None, f"the label {name!r} has categories; name them as performance.classes, the positive one last"
    if distinct is not None and distinct <= 2:
        for pair in ((0.0, 1.0), (-1.0, 1.0)):
            if low in pair and high in pair:
                return "binary", list(pair)
    if label.get("kind") == "categorical":
        return None, f"the label {name!r} has categories; name them as performance.classes"
    return "regression", None


def finish(details: dict[str, Any] | None, rows: list[Row]) -> dict[str, Any] | None:
    """Add which side of a metric is better, and the sentence that joins drift and performance."""
    if details is None:
        return None
    sides = {True: "higher", False: "lower", None: None}
    better = {m["name"]: sides[m["higher_is_better"]] for m in json.loads(_core.metric_registry())}
    names = details["measure"]["metrics"]
    details["better"] = {name: better[name] for name in names}
    details["sentence"] = sentence(names[0], better[names[0]], details, rows) if names else None
    if names and (others := others_worse(names[1:], better, rows)):
        details["sentence"] = f"{details['sentence']} {others}"
    return details


def others_worse(metrics: Sequence[str], better: Mapping[str, str | None], rows: list[Row]) -> str:
    """One sentence on the other metrics that are worse in a window; nothing where none is."""
    told = []
    for metric in metrics:
        changes = _changes(metric, rows)
        worse = [r for r in changes if _worse(r, better[metric])]
        if worse:
            told.append(f"{metric} in {len(worse)} of {len(changes)} windows" if len(changes) > 1 else metric)
    return f"Worse in single windows, beyond sampling error: {', '.join(told)}." if told else ""


def _changes(metric: str, rows: list[Row]) -> list[Row]:
    """Changes against the reference of all rows of each window, those that have an interval."""
    name = f"{metric}_change"
    of_reference = (r for r in rows if r["statistic"] == name and r["baseline"] == "reference")
    return [r for r in of_reference if _whole(r) and r["ci_low"] is not None]


def _worse(change: Row, better: str | None) -> bool:
    low, high = change["ci_low"], change["ci_high"]
    return bool(high < 0 if better == "higher" else low > 0 if better == "lower" else False)


def sentence(metric: str, better: str | None, details: Mapping[str, Any], rows: list[Row]) -> str:
    """One plain sentence: whether inputs moved, and whether performance fell."""
    inputs: dict[str, bool] = {}
    for row in rows:
        whole = row["segment_by"] is None and row["baseline"] == "reference"
        if row["statistic"] == "verdict" and row["role"] == "feature" and whole:
            raised = row["verdict"] in ("warn", "fail")
            inputs[row["feature"]] = inputs.get(row["feature"], False) or raised
    moved = sum(inputs.values())
    told = f"inputs moved ({moved} of {len(inputs)} columns beyond their limits)" if moved else "no input moved"
    told = told if inputs else "no input was compared"
    told = f"{told[:1].upper()}{told[1:]}"
    values = {_key(r): r for r in rows if r["statistic"] == metric and _whole(r) and r["value"] is not None}
    changes = _changes(metric, rows)
    if not values:
        return f"{told}; performance is not known: no window has a number for {metric}."
    low, high = min(r["value"] for r in values.values()), max(r["value"] for r in values.values())
    span = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    count = f" in {len(values)} windows" if len(values) > 1 else ""
    if not changes or better is None:
        return f"{told}; {metric} is {span}{count}."
    before = next((r for r in details["reference"] if r["statistic"] == metric and r["segment_by"] is None), None)
    against = "" if before is None or before["value"] is None else f", {before['value']:.3g} in the reference"
    worse = [r for r in changes if _worse(r, better)]
    if worse:
        found = max(worse, key=lambda r: abs(r["value"]))
        lowest = values.get(_key(found))
        value = "" if lowest is None else f" ({lowest['value']:.3g}{against})"
        where = f" in {len(worse)} of {len(changes)} windows" if len(changes) > 1 else ""
        most = f", most from {found['window_start'][:10]}" if found["window_start"] else ""
        return f"{told}; performance fell: {metric} is worse beyond sampling error{where}{most}{value}."
    gap = max((r["minimum_detectable"] or 0.0) for r in changes)
    seen = f"; a fall of {gap:.2g} would have shown in every window" if gap and len(changes) > 1 else ""
    link = "but" if moved else "and"
    return f"{told}, {link} {metric} did not get worse beyond sampling error: it is {span}{count}{against}{seen}."


def _whole(row: Row) -> bool:
    return row["kind"] == "performance" and row["segment_by"] is None


def _key(row: Row) -> tuple[Any, Any]:
    return row["window_start"], row["model_version"]


def missing_rows(measured: Measured | None, told: Mapping[str, Any], reference: Profile, current: Profile) -> list[Row]:
    """One row that says why performance was not measured."""
    if measured is None or measured.reason is None:
        return []
    name, role = measured.about
    return [
        {
            **told, "baseline": "reference", "feature": name, "role": role, "kind": "performance",
            "statistic": "label_coverage", "definition": "label_coverage/v1", "decides": False,
            "n_reference": reference.rows, "n_current": current.rows, "verdict": "not_evaluated",
            "message": f"performance is not measured: {measured.reason}",
        }
    ]  # fmt: skip
