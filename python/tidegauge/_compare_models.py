"""Two models on the same rows: what the second gains and loses, in all rows and in each cut."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tidegauge import _core
from tidegauge._compare_records import is_record, log_of
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import polars as pl

Decision = Literal["allow", "block", "inconclusive"]
Task = Literal["binary", "regression"]

#: Metrics compared where none are named.
DEFAULTS: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "log_loss", "brier", "accuracy"),
    "regression": ("rmse", "mae", "r2"),
}
#: Metrics of numbers; the others are of two classes.
NUMBERS = ("mae", "mse", "r2", "rmse")
#: Segments of a cut that are compared; the largest, the rest are counted.
MOST_SEGMENTS = 200
#: Values of fewer rows are compared, and not named.
MIN_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class ModelDifference:
    """One metric of both models, in all rows or in one segment.

    Attributes
    ----------
    metric, definition : str
        Name, and the versioned id of the paired difference.
    segment_by, segment_value : str or None
        The cut; None for all rows.
    a, b : float
        The metric of each model; NaN where it has no value, and `message` says why.
    difference : float
        Second less first.
    gain : float
        The difference, positive where the second model is better.
    standard_error : float
        Of the difference; rows, or blocks, are the units.
    ci_low, ci_high : float
        Interval of the difference at ``1 - alpha``, adjusted for the segments of its metric (Bonferroni).
    max_drop : float or None
        The loss that is still accepted, in units of the metric.
    decision : {"allow", "block", "inconclusive"} or None
        Of a row with a margin: ``allow`` where the interval rules a larger loss out, ``block`` where it
        holds larger losses only, else ``inconclusive``.
    n : int
        Rows compared.
    blocks : int or None
        Blocks that hold rows, where blocks are the units.
    method : str
        How the interval was made.
    message : str or None
    """

    metric: str
    definition: str | None
    segment_by: str | None
    segment_value: str | None
    a: float
    b: float
    difference: float
    gain: float
    standard_error: float
    ci_low: float
    ci_high: float
    max_drop: float | None
    decision: Decision | None
    n: int
    blocks: int | None
    method: str | None
    message: str | None


@dataclass(frozen=True, kw_only=True)
class ModelComparison:
    """What :func:`tidegauge.compare_models` found.

    Attributes
    ----------
    decision : {"allow", "block", "inconclusive"}
        ``block`` where any row with a margin blocks, in all rows or in a segment; ``allow`` where every
        margin holds in all rows, and the second model predicts every row that the first does; else
        ``inconclusive``. Segments too small to tell neither allow nor block. Without margins ``inconclusive``.
    rows : list of ModelDifference
        All rows first, then segments, the largest loss over its margin first.
    a, b : str
        Names of the models.
    n_rows, n_compared, n_unlabelled, n_unpredicted : int
        Rows in all; with label and both predictions; without a label; with a label but not both
        predictions.
    n_only_first : int
        Rows that the first model predicts and the second does not: with a label and one prediction, or, of two
        tables, without a partner in the second. What the second model loses there is not in any difference.
    notes : list of str
        What was left out, and why.
    alpha : float
    """

    decision: Decision
    rows: list[ModelDifference]
    a: str
    b: str
    n_rows: int
    n_compared: int
    n_unlabelled: int
    n_unpredicted: int
    n_only_first: int
    alpha: float
    notes: list[str] = field(default_factory=list)

    def to_polars(self) -> pl.DataFrame:
        """One row a metric and segment."""
        import polars as pl

        return pl.DataFrame([asdict(row) for row in self.rows], infer_schema_length=None)

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas frame; needs the extra ``pandas``."""
        try:
            import pandas as pd
        except ImportError:
            raise UsageError("to_pandas needs pandas; install tidegauge[pandas]") from None
        return pd.DataFrame([asdict(row) for row in self.rows])

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows of :meth:`to_polars` as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; a number that is not finite is a string."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def to_markdown(self) -> str:
        """Text for a pull request, at most 64 KB: the decision, all rows, and the worst segments."""
        from tidegauge.report._models import markdown

        return markdown(self)

    def __str__(self) -> str:
        from tidegauge.report._models import text

        return text(self)

    __repr__ = __str__


def compare_models(
    data: Any,
    *,
    label: str | None = None,
    a: str | None = None,
    b: str | None = None,
    metrics: Sequence[str] | None = None,
    max_drop: Mapping[str, float] | None = None,
    by: str | Sequence[str] = (),
    block: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    other: Any = None,
    key: str | Sequence[str] | None = None,
    pos_label: Any = None,
    threshold: float = 0.5,
    alpha: float = 0.05,
) -> ModelComparison:
    """Compare two models on the same rows: paired differences, and whether the second may take over.

    Both models have predicted the same rows, so what is hard for both cancels: intervals are those of
    the difference, row by row (DeLong's test for the area under the curve), not of two samples.

    Parameters
    ----------
    data : path, glob, frame, Arrow table or dictionary of arrays
        Rows with the label and the predictions of the first model, or of both; or the ``report.json`` of a
        run, whose current data are these rows if the files still hold the bytes that the run read. Columns
        that are not given are then those of the report's roles (label, score, id).
    label : str
        Column of the label: two classes, or numbers for a regression.
    a, b : str
        Columns of score (the probability of the positive class) or prediction of each model. `b` is
        looked for in `other` where that is given.
    metrics : sequence of str, optional
        accuracy, average_precision, balanced_accuracy, brier, f1, log_loss, mae, mcc, mse, precision, r2, recall, rmse,
        roc_auc, specificity. By default roc_auc, log_loss, brier and accuracy for two classes, and rmse,
        mae and r2 for numbers; those with a margin are added.
    max_drop : mapping of metric to float, optional
        Non-inferiority margins, not negative: the loss of the metric that is still accepted.
    by : str or sequence of str
        Columns whose values are segments, compared one by one.
    block : str, optional
        What makes rows dependent: a length of time such as ``"1d"`` (with `time`), or a column, such as
        the customer. Blocks are then the units of sampling error.
    time : str, optional
        Column of the time, for `block`.
    weight : str, optional
        Column of sampling weights.
    other : as `data`, optional
        Rows with the predictions of the second model, or its ``report.json``, joined by `key`.
    key : str or sequence of str, optional
        Columns that name a row in both tables. Rows without a partner, and keys that occur twice, are
        left out and counted in ``notes``.
    pos_label : optional
        The positive class; 1 of 0 and 1.
    threshold : float
        Least score of a predicted positive.
    alpha : float
        One minus the level of the intervals.

    Returns
    -------
    ModelComparison

    Raises
    ------
    UsageError
        If a column is missing or has no numbers, a metric or margin is not accepted, or nothing can be
        compared.
    InputError
        If a file cannot be read.
    VerificationError
        If a report's digests do not hold, or its files are not those that it judged.

    Notes
    -----
    A null or NaN label or prediction leaves its row out of both models, and is counted. Where that is the prediction
    of the second model alone, nothing is allowed: a model may be silent where it is weak.

    References
    ----------
    .. [1] DeLong, DeLong, Clarke-Pearson (1988), "Comparing the areas under two or more correlated
       receiver operating characteristic curves", Biometrics 44:837
    .. [2] Agresti, Min (2005), "Simple improved confidence intervals for comparing matched
       proportions", Statistics in Medicine 24:729

    Examples
    --------
    >>> import tidegauge as tg
    >>> log = {"y": [0, 0, 1, 1, 0, 1], "old": [.1, .4, .35, .8, .3, .6], "new": [.1, .2, .6, .9, .3, .7]}
    >>> found = tg.compare_models(log, label="y", a="old", b="new", max_drop={"roc_auc": 0.01})
    >>> row = found.rows[0]
    >>> row.metric, round(row.a, 3), row.b, row.decision
    ('roc_auc', 0.889, 1.0, 'inconclusive')
    """
    import polars as pl

    cuts = [by] if isinstance(by, str) else list(by)
    margins = dict(max_drop or {})
    known = _core.paired_metrics()
    for name in [*(metrics or ()), *margins]:
        if name not in known:
            raise UsageError(f"metric {name!r} has no paired difference; accepted are {', '.join(known)}")
    for name, margin in margins.items():
        if not (math.isfinite(margin) and margin >= 0):
            raise UsageError(f"max_drop of {name} is {margin!r}; accepted is a finite number of at least 0")
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"alpha {alpha!r}; accepted is between 0 and 1")

    notes: list[str] = []
    told = {"a": a, "b": b}
    hidden: set[str] = set()
    if is_record(data):
        log = log_of(data)
        hidden |= log.sensitive
        data, label, a, key = log.paths, label or log.label, a or log.score, key or log.key
        told["a"] = log.name
        if other is None:
            raise UsageError("one report; accepted are two, the second as other")
    if is_record(other):
        log = log_of(other)
        hidden |= log.sensitive
        other, b, key = log.paths, b or log.score, key or log.key
        told["b"] = log.name
    if refused := next((cut for cut in cuts if cut in hidden), None):
        raise UsageError(f"by {refused!r}, which is sensitive in the report: its values would be told")
    label, a, b = _given("label", label), _given("a", a), _given("b", b)
    names = [label, a, *cuts, *([time] if time else []), *([weight] if weight else [])]
    clock = time if block is not None and _length(block) else None
    if block is not None and clock is None:
        if _length(block):
            raise UsageError(f"block {block!r} is a length of time, which needs time=; or give a column")
        names.append(block)
    keys = [key] if isinstance(key, str) else list(key or ())
    if other is None:
        if keys:
            raise UsageError("key joins two tables; give the second as other")
        table, alone = _read(data, [*names, b]), 0
    else:
        if not keys:
            raise UsageError("other needs key, the columns that name a row in both tables")
        left = _read(data, [*names, *keys])
        table, alone = _join(left, _read(other, [*keys, b]), keys, a, b, label, notes)
    first, second = told["a"] or a, told["b"] or b
    if first == second:
        first, second = ("a", "b") if a == b else (a, b)
    right = f"{b}\x00other" if f"{b}\x00other" in table.columns else b

    target, task = _label(table[label], pos_label, metrics, margins)
    chosen = list(dict.fromkeys([*(metrics or DEFAULTS[task]), *margins]))
    columns: dict[str, pl.Series] = {
        "label": target,
        "a": _score(table[a], a),
        "b": _score(table[right], b),
    }
    if task == "binary" and any(m not in ("roc_auc", "accuracy") for m in chosen):
        _probabilities(columns, (a, b), chosen)
    if weight is not None:
        columns["weight"] = _score(table[weight], weight)
        if columns["weight"].null_count():
            raise UsageError(f"weight {weight!r} is null in row {columns['weight'].is_null().arg_max()}")
    if block is not None:
        unit = table[block] if clock is None else table[clock].dt.truncate(block)
        if unit.null_count():
            raise UsageError(f"block {block!r} is null in row {unit.is_null().arg_max()}; each row has a block")
        columns["block"] = (unit.rank("dense") - 1).cast(pl.UInt32)
    frame = pl.DataFrame([column.rename(name) for name, column in columns.items()])

    silent = pl.col("label").is_not_null() & pl.col("a").is_not_null() & pl.col("b").is_null()
    only_first = alone + int(frame.select(silent.sum()).item())
    counts, rows = _compare(frame, chosen, margins, threshold, alpha, None, None)
    for cut in cuts:
        rows += _segments(frame, table[cut], cut, chosen, margins, threshold, alpha, notes)
    return ModelComparison(
        decision=_decide(rows, only_first),
        rows=sorted(rows, key=_order),
        a=first,
        b=second,
        n_rows=counts["rows"],
        n_compared=counts["compared"],
        n_unlabelled=counts["unlabelled"],
        n_unpredicted=counts["unpredicted"],
        n_only_first=only_first,
        notes=notes,
        alpha=alpha,
    )


def _given(name: str, column: str | None) -> str:
    if column is None:
        raise UsageError(
            f"{name} is not given; accepted is the name of a column, or a report in which one has its role"
        )
    return column


def _compare(
    frame: pl.DataFrame,
    metrics: Sequence[str],
    margins: Mapping[str, float],
    threshold: float,
    alpha: float,
    by: str | None,
    value: str | None,
) -> tuple[dict[str, int], list[ModelDifference]]:
    options = {"metrics": list(metrics), "threshold": threshold, "alpha": alpha}
    answer = json.loads(_core.paired(frame, json.dumps(options)))
    rows = []
    for found in answer["metrics"]:
        told = {name: float(found[name]) if name in found else math.nan for name in _NUMBERS}
        better = found.get("higher_is_better") is not False
        margin = margins.get(found["metric"])
        gain = told["difference"] if better else -told["difference"]
        low, high = (told["ci_low"], told["ci_high"]) if better else (-told["ci_high"], -told["ci_low"])
        rows.append(
            ModelDifference(
                metric=found["metric"],
                definition=found.get("definition"),
                segment_by=by,
                segment_value=value,
                gain=gain,
                max_drop=margin,
                decision=None if margin is None else _verdict(low, high, margin),
                n=answer["compared"],
                blocks=found.get("blocks"),
                method=found.get("method"),
                message=found.get("message"),
                **told,
            )
        )
    return answer, rows


_NUMBERS = ("a", "b", "difference", "standard_error", "ci_low", "ci_high")


def _segments(
    frame: pl.DataFrame,
    cut: pl.Series,
    by: str,
    metrics: Sequence[str],
    margins: Mapping[str, float],
    threshold: float,
    alpha: float,
    notes: list[str],
) -> list[ModelDifference]:
    import polars as pl

    values = cut.cast(pl.String).rename("value")
    sizes = values.to_frame().group_by("value").len().sort(["len", "value"], descending=[True, False])
    kept = sizes.head(MOST_SEGMENTS)["value"].to_list()
    if len(sizes) > len(kept):
        left = int(sizes["len"][len(kept) :].sum())
        notes.append(f"{by}: {len(sizes) - len(kept)} smaller segments with {left} rows were not compared")
    found = []
    for number, value in enumerate(kept, 1):
        inside = values.is_null() if value is None else (values == value).fill_null(False)
        name = "(missing)" if value is None else value
        if value is not None and int(inside.sum()) < MIN_NAMED:
            # As everywhere: values of a few rows are counted and not named.
            name = f"a rare value ({number})"
        # Every segment of a metric is one more chance of a false alarm.
        found += _compare(frame.filter(inside), metrics, margins, threshold, alpha / len(kept), by, name)[1]
    return found


def _verdict(low: float, high: float, margin: float) -> Decision:
    if low >= -margin:
        return "allow"
    return "block" if high < -margin else "inconclusive"


def _decide(rows: Sequence[ModelDifference], only_first: int) -> Decision:
    if any(row.decision == "block" for row in rows):
        return "block"
    whole = [row.decision for row in rows if row.segment_by is None and row.max_drop is not None]
    # A model that is silent where it is weak is not shown to be as good there.
    holds = whole and all(one == "allow" for one in whole) and not only_first
    return "allow" if holds else "inconclusive"


def _order(row: ModelDifference) -> tuple[bool, int, float, str]:
    severity = {"block": 0, "inconclusive": 1, None: 2, "allow": 3}
    inside = row.segment_by is not None
    lost = -row.gain / row.max_drop if row.max_drop else -row.gain
    size = math.inf if math.isnan(lost) else -lost
    return (inside, severity[row.decision] if inside else 0, size if inside else 0.0, row.segment_value or "")


def _read(data: Any, names: Sequence[str]) -> pl.DataFrame:
    import os

    import polars as pl

    from tidegauge import sources
    from tidegauge._init import _lazy
    from tidegauge.frames import to_series

    wanted = list(dict.fromkeys(names))
    if isinstance(data, (str, os.PathLike)):
        lazy = _lazy(os.fspath(data))
    elif isinstance(data, list) and data and all(isinstance(path, str) for path in data):
        lazy = pl.concat([_lazy(path) for path in data], how="vertical_relaxed")
    elif isinstance(data, pl.LazyFrame):
        lazy = data
    elif isinstance(data, dict):
        lazy = pl.DataFrame([to_series(name, values) for name, values in data.items()]).lazy()
    else:
        lazy = pl.DataFrame(data).lazy()
    have = sources._guard(lambda: lazy.collect_schema().names(), [str(data)] if isinstance(data, str) else [])
    for name in wanted:
        if name not in have:
            raise UsageError(f"column {name!r} does not exist; the data has {', '.join(have)}")
    frame: pl.DataFrame = sources._guard(lambda: lazy.select(wanted).collect(), [])
    return frame


def _join(
    left: pl.DataFrame, right: pl.DataFrame, keys: list[str], a: str, b: str, label: str, notes: list[str]
) -> tuple[pl.DataFrame, int]:
    """Rows whose key occurs once on each side, and how many of the first table are predicted there alone.

    What is left out is told.
    """
    import polars as pl

    sides = []
    for side, table in (("first", left), ("second", right)):
        twice = table.select(pl.struct(keys).is_duplicated()).to_series()
        missing = table.select(pl.any_horizontal(pl.col(keys).is_null())).to_series()
        if (conflicting := int((twice & ~missing).sum())) > 0:
            notes.append(f"{conflicting} rows of the {side} table were left out: their key occurs more than once")
        if (nameless := int(missing.sum())) > 0:
            notes.append(f"{nameless} rows of the {side} table were left out: their key is missing")
        sides.append(table.filter(~twice & ~missing))
    first, second = sides
    name = f"{b}\x00other" if b in first.columns else b
    joined = first.join(second.rename({b: name}), on=keys, how="inner", maintain_order="left")
    for side, table in (("first", first), ("second", second)):
        if (alone := len(table) - len(joined)) > 0:
            notes.append(f"{alone} rows of the {side} table have no partner in the other")
    if joined.is_empty():
        raise UsageError(f"no row of the two tables has the same {', '.join(keys)}; nothing can be compared")
    said = pl.col(label).is_not_null() & pl.col(a).is_not_null()
    only_first = first.join(right, on=keys, how="anti").filter(said)
    return joined, len(only_first)


def _label(
    series: pl.Series, pos_label: Any, metrics: Sequence[str] | None, margins: Mapping[str, float]
) -> tuple[pl.Series, Task]:
    """Labels as numbers, and what they are: two classes, unless a metric of numbers is asked for."""
    import polars as pl

    from tidegauge import metrics as _metrics

    asked = [*(metrics or ()), *margins]
    of_numbers = [name for name in asked if name in NUMBERS]
    of_classes = [name for name in asked if name not in NUMBERS]
    if of_numbers and of_classes:
        raise UsageError(f"{of_numbers[0]} is a metric of numbers, {of_classes[0]} of classes; give one kind")
    values = _metrics._values("label", series)
    distinct = values.drop_nulls().n_unique()
    if of_numbers or (not of_classes and pos_label is None and distinct > 2 and series.dtype.is_numeric()):
        return _score(series, series.name), "regression"
    if distinct > 2:
        raise UsageError(f"label {series.name!r} has {distinct} classes; two, or numbers, are accepted")
    classes = _metrics._classes(values)
    positive = _metrics._positive(classes, pos_label, greater=False)
    return _metrics._two("label", values, positive).cast(pl.Float64), "binary"


def _score(series: pl.Series, name: str) -> pl.Series:
    import polars as pl

    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        raise UsageError(f"column {name!r} is {series.dtype}; numbers are accepted")
    numbers = series.cast(pl.Float64).fill_nan(None)
    if numbers.is_infinite().any():
        raise UsageError(f"column {name!r} is infinite in row {numbers.is_infinite().arg_max()}; finite is accepted")
    return numbers


def _probabilities(columns: Mapping[str, pl.Series], names: tuple[str, str], metrics: Sequence[str]) -> None:
    of = [name for name in metrics if name in ("log_loss", "brier")]
    for side, name in zip(("a", "b"), names, strict=True):
        outside = ((columns[side] < 0) | (columns[side] > 1)).fill_null(False)
        if of and outside.any():
            row = int(outside.arg_max() or 0)
            raise UsageError(
                f"column {name!r} is {columns[side][row]} in row {row}; {of[0]} takes probabilities, from 0 to 1"
            )


def _length(block: str) -> bool:
    return block[:1].isdigit() and block.lstrip("0123456789") in ("m", "h", "d", "w", "mo", "y")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
