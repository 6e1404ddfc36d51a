"""Weak segments: where a model's loss is higher than elsewhere."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._files import write_all
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl

    from tidegauge.results import Row

#: Losses that are computed from label and prediction or score.
LOSSES = ("log_loss", "squared", "absolute", "zero_one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What one feature of a segment is.

    Attributes
    ----------
    feature : str
    kind : {"range", "value", "rare", "missing"}
        ``low <= x < high``; one value; a value too rare to be searched by itself; null or NaN.
    low, high : object or None
        Ends of a range, None where it is open; with both open, every value that is not missing.
    value : object or None
        The value.
    """

    feature: str
    kind: str
    low: Any = None
    high: Any = None
    value: Any = None

    def __str__(self) -> str:
        return f"{self.feature} {self._accepted()}"

    def _accepted(self) -> str:
        if self.kind == "range":
            if self.low is None and self.high is None:
                # The only bin of a column is all of its values.
                return "is not missing"
            ends = [f">= {_text(self.low)}"] * (self.low is not None)
            return " and ".join([*ends, *[f"< {_text(self.high)}"] * (self.high is not None)])
        return f"= {_text(self.value)}" if self.kind == "value" else f"is {self.kind}"

    def _segment_value(self) -> str:
        """The value in `segment_value`, where special ones are in parentheses."""
        if self.kind in ("rare", "missing"):
            return f"({self.kind})"
        if self.kind == "range":
            return "(not missing)" if self.low is None and self.high is None else self._accepted()
        text = self.value if isinstance(self.value, str) else _text(self.value)
        return f"\\{text}" if text in ("(rare)", "(missing)", "(not missing)", "(other)") else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment, searched on one half of the rows and measured on the other.

    Attributes
    ----------
    conditions : tuple of Condition
        All of them hold for its rows.
    n_rows, n_rest : int
        Rows of the segment and of the rest that were held out.
    n_units, n_units_rest : int
        Independent ones among them: rows, or blocks.
    mean_loss, mean_loss_rest : float
        Means over the rows held out.
    difference : float
        The first less the second; NaN where the half held out has no row of a side.
    ci_low, ci_high : float or None
        Two-sided interval of the difference, of level ``1 - alpha``.
    pvalue, qvalue : float or None
        One-sided, against a mean of at most the rest's; Benjamini-Hochberg over the segments reported.
    score : float
        What the search ranks by: the difference less `penalty` standard errors, where it searched.
    difference_searched : float
        The difference where it was searched: too large, since the search chose it.
    n_searched : int
        Rows of the segment in that half.
    """

    conditions: tuple[Condition, ...]
    n_rows: int
    n_rest: int
    n_units: int
    n_units_rest: int
    mean_loss: float
    mean_loss_rest: float
    difference: float
    ci_low: float | None
    ci_high: float | None
    pvalue: float | None
    qvalue: float | None
    score: float
    difference_searched: float
    n_searched: int

    def __str__(self) -> str:
        where = " and ".join(map(str, self.conditions))
        if self.pvalue is None:
            return f"{where}: no test, {self.n_rows} rows held out"
        return f"{where}: mean loss {self.mean_loss:.4g}, {self.mean_loss_rest:.4g} elsewhere (q = {self.qvalue:.2g})"


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentResult:
    """What :func:`tidegauge.find_segments` found.

    Attributes
    ----------
    segments : list of Segment
        Highest score first. Each is weak beyond those before it.
    rows : list of dict
        The same in the row shape of reports: ``statistic`` is ``mean_loss_difference``.
    searched : numpy.ndarray of bool, shape (n_rows,)
        The rows that were searched, among those used.
    n_rows, n_missing : int
        Rows used, and rows left out for want of a loss, label or prediction.
    loss, definition : str
    alpha : float
    options : dict
        What else the numbers depend on.
    counted : tuple of int
        Segments of three conditions that the bound left to count, of those admitted by their pairs.
    """

    segments: list[Segment]
    rows: list[Row]
    searched: npt.NDArray[np.bool_]
    n_rows: int
    n_missing: int
    loss: str
    definition: str
    alpha: float
    options: dict[str, Any]
    counted: tuple[int, int]

    @property
    def found(self) -> list[Segment]:
        """The segments that hold up: false-discovery rate of at most `alpha`."""
        return [s for s in self.segments if s.qvalue is not None and s.qvalue <= self.alpha]

    def summary(self) -> dict[str, Any]:
        """Rows, number of segments and of those that hold up, and these in plain words, at most ten."""
        return {
            "rows": self.n_rows,
            "rows_missing": self.n_missing,
            "segments": len(self.segments),
            "found": len(self.found),
            "findings": [str(s) for s in self.found[:10]],
        }

    def to_polars(self) -> pl.DataFrame:
        """The rows as a Polars frame."""
        from tidegauge.results import rows_to_polars

        return rows_to_polars(self.rows)

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas frame; needs the extra ``pandas``."""
        from tidegauge.results import rows_to_pandas

        return rows_to_pandas(self.rows)

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write definition, loss, options and rows."""
        from tidegauge.results import plain_row

        content = {
            "definition": self.definition,
            "loss": self.loss,
            "alpha": self.alpha,
            "options": self.options,
            "n_rows": self.n_rows,
            "n_missing": self.n_missing,
            "rows": [plain_row(row) for row in self.rows],
        }
        target = Path(path)
        write_all([(target, (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode())])
        return target

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        found = len(self.found)
        lines = [f"{found} of {len(self.segments)} segments hold up, {self.n_rows:,} rows, loss {self.loss}"]
        return "\n".join([*lines, *(f"  {s}" for s in self.segments[:12])])


def find_segments(
    data: Any,
    loss: Any = "log_loss",
    *,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    label: str | None = None,
    prediction: str | None = None,
    score: str | None = None,
    pos_label: Any = None,
    block: Any = None,
    depth: int = 2,
    bins: int = 10,
    min_rows: int = 50,
    top: int = 10,
    penalty: float = 2.0,
    alpha: float = 0.05,
    random_state: int = 0,
    n_threads: int = 0,
) -> SegmentResult:
    """Where the mean loss is higher than elsewhere.

    One half of the rows, by keyed hash, is searched for conjunctions of binned features; what is found is
    measured on the other half, so that intervals and p-values do not suffer from the search.

    Parameters
    ----------
    data : frame, Arrow table, mapping of columns, array or path of a Parquet file
        One row for each prediction; all of it is held in memory.
    loss : {"log_loss", "squared", "absolute", "zero_one"}, str or array; shape (n,)
        A loss of `label` and `score` (``"log_loss"``) or `prediction` (the others); else the name of a
        column, or an array. Any finite numbers, larger is worse.
    features : sequence of str, optional
        Columns that tell segments apart; default all but the columns named otherwise here.
    exclude : sequence of str
        Columns that are not features.
    categorical : sequence of str
        Numbers that are names of things: one bin for each value.
    label, prediction, score : str, optional
        Columns; default those named ``label``, ``prediction`` and ``score``.
    pos_label : object, optional
        The class whose probability `score` is; default 1 of 0 and 1 or of -1 and 1.
    block : str or array, optional
        Column or labels of what belongs together: days, customers. A block lies in one half, and errors
        are those of whole blocks.
    depth : {1, 2, 3}
        Most conditions of a segment. All segments of one and two are counted; of three those that a
        bound cannot rule out, with the same answer.
    bins : int
        Quantile bins of a number or time; with no more values than that, a bin for each. Null and NaN are a
        bin of their own. The 250 most frequent categories that at least twice `min_rows` rows hold are
        bins, the others are one: ``rare``.
    min_rows : int
        Fewest rows of a segment in the half that is searched. A segment is at most half of the rows.
    top : int
        Most segments.
    penalty : float
        Standard errors, at the variance of all rows, taken off the difference to rank segments.
    alpha : float
        Level of intervals, and of the false-discovery rate of ``found``.
    random_state : int
        Key of the split, 0 to 2**64 - 1.
    n_threads : int
        0 for all processors; the answer does not depend on it.

    Returns
    -------
    SegmentResult
        ``segments``, ``found``, and ``rows`` in the shape of reports. Neither the order of rows nor threads
        change it.

    Raises
    ------
    UsageError
        If a column is missing or of a kind not accepted, a loss is not defined, or rows are too few.

    Notes
    -----
    A conjunction is a candidate if it scores more than 0 and more than every shorter one around it, and if
    what it leaves of that one is less than half as weak. From the best on, a candidate is taken if its rows
    outside those taken before still score more than 0. The
    p-value is Student's with the larger of Welch's and the pooled variance, or a linearised variance of
    blocks, whose degrees of freedom are those of the side with fewer. Intervals are not adjusted for the
    number of segments. Rows that were searched are not rows of a test: the split costs power.

    References
    ----------
    .. [1] Sagadeeva, S. and Boehm, M. (2021). "SliceLine: Fast, Linear-Algebra-based Slice Finding for ML Model
       Debugging". SIGMOD.

    Examples
    --------
    >>> import numpy as np
    >>> import tidegauge as tg
    >>> rng = np.random.default_rng(0)
    >>> data = {"age": rng.uniform(20, 60, 4000), "city": rng.choice(["Bonn", "Kiel"], 4000)}
    >>> weak = (data["age"] >= 50) & (data["city"] == "Kiel")
    >>> found = tg.find_segments(data, loss=rng.exponential(np.where(weak, 2.0, 1.0)), bins=4).found
    >>> [(c.feature, c.kind) for c in found[0].conditions], found[0].pvalue < 1e-6
    ([('age', 'range'), ('city', 'value')], True)
    """
    import numpy as np
    import polars as pl

    from tidegauge._joint import _codes, _frame
    from tidegauge.importance import benjamini_hochberg

    depth, bins, top = _whole("depth", depth, 1), _whole("bins", bins, 2), _whole("top", top, 1)
    min_rows, n_threads = _whole("min_rows", min_rows, 2), _whole("n_threads", n_threads, 0)
    random_state = _whole("random_state", random_state, 0)
    frame = _frame(data, "data")
    told, targets, used = _loss(frame, loss, label, prediction, score, pos_label)
    blocks: pl.Series | None = None
    if block is not None:
        blocks = _given(frame, "block", block)
        used += [block] if isinstance(block, str) else []
        if blocks.null_count():
            raise UsageError(f"block is missing in {blocks.null_count()} rows; every row needs one")
    names = _features(frame, features, [*exclude, *used], features is None)
    for name in categorical:
        if name not in frame.columns:
            raise UsageError(f"categorical {name!r} is no column of data; accepted are {frame.columns}")
    held = pl.DataFrame([t.fill_nan(None).alias(str(i)) for i, t in enumerate(targets)])
    keep = held.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    n = int(keep.sum())
    if n == 0:
        raise UsageError(f"no row of {frame.height} has what loss {told!r} needs; rows with it would be accepted")
    columns, values = [], []
    for name in names:
        column, distinct = _column(frame[name].filter(keep), name, name in categorical)
        columns.append(column)
        values.append(distinct)
    columns += [t.filter(keep) for t in targets]
    if blocks is not None:
        columns.append(_codes(blocks.filter(keep)))
    options: dict[str, Any] = {
        "depth": depth, "bins": bins, "min_rows": min_rows, "top": top,
        "penalty": float(penalty), "alpha": float(alpha), "seed": random_state,
    }  # fmt: skip
    given = {
        **options, "names": names, "block": blocks is not None, "threads": n_threads,
        "loss": told if len(targets) == 2 else None,
    }  # fmt: skip
    # Features may have any names; columns of the core have positions.
    table = pl.DataFrame([c.rechunk().alias(str(i)) for i, c in enumerate(columns)])
    text, searched = _core.segments(table, json.dumps(given))
    answer = json.loads(text)
    pvalue = np.array([math.nan if s["pvalue"] is None else s["pvalue"] for s in answer["segments"]], dtype=float)
    segments = []
    for s, q in zip(answer["segments"], benjamini_hochberg(pvalue), strict=True):
        tested = s["pvalue"] is not None
        ci = s["ci"] or (None, None)
        segments.append(
            Segment(
                conditions=tuple(_condition(names[f], frame[names[f]].dtype, b, values[f]) for f, b in s["conditions"]),
                n_rows=s["rows"][0],
                n_rest=s["rows"][1],
                n_units=s["units"][0],
                n_units_rest=s["units"][1],
                mean_loss=_float(s["means"][0]),
                mean_loss_rest=_float(s["means"][1]),
                difference=_float(s["value"]),
                ci_low=ci[0],
                ci_high=ci[1],
                pvalue=s["pvalue"],
                qvalue=float(q) if tested else None,
                score=_float(s["score"]),
                difference_searched=_float(s["searched_difference"]),
                n_searched=s["searched_rows"],
            )
        )
    variance = "iid" if block is None else f"block:{block}" if isinstance(block, str) else "block"
    return SegmentResult(
        segments=segments,
        rows=[_row(rank, s, answer["definition"], variance) for rank, s in enumerate(segments, start=1)],
        searched=np.frombuffer(searched, dtype=np.bool_),
        n_rows=n,
        n_missing=frame.height - n,
        loss=told,
        definition=answer["definition"],
        alpha=float(alpha),
        options={**options, "features": names},
        counted=tuple(answer["counted"]),
    )


def _whole(name: str, value: Any, low: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not low <= int(value) < 1 << 64:
        raise UsageError(f"{name}: {value!r}; accepted is a whole number from {low}")
    return int(value)


def _loss(
    frame: pl.DataFrame, loss: Any, label: str | None, prediction: str | None, score: str | None, pos_label: Any
) -> tuple[str, list[pl.Series], list[str]]:
    """Name of the loss, the loss itself or label and prediction as floats, and the columns that are no features."""
    import polars as pl

    from tidegauge.metrics import _classes, _numbers, _positive, _two, _values

    roles = {"label": label, "prediction": prediction, "score": score}
    for role, name in roles.items():
        if name is not None and name not in frame.columns:
            raise UsageError(f"{role} {name!r} is no column of data; accepted are {frame.columns}")
        if name is None and role in frame.columns:
            roles[role] = role
    used = [name for name in roles.values() if name is not None]
    if not isinstance(loss, str):
        return "loss", [_numbers("loss", _given(frame, "loss", loss))], used
    if loss not in LOSSES:
        if loss not in frame.columns:
            raise UsageError(f"loss {loss!r}; accepted are {', '.join(LOSSES)}, a column of data or an array")
        return loss, [_numbers(f"loss {loss!r}", frame[loss])], [*used, loss]
    other = "score" if loss == "log_loss" else "prediction"
    for role in ("label", other):
        if roles[role] is None:
            raise UsageError(f"loss {loss!r} needs {role}=, a column of data; accepted are {frame.columns}")
    y, f = frame[roles["label"]], frame[roles[other]]  # type: ignore[index]
    if loss == "log_loss":
        y = _values("label", y)
        return loss, [_two("label", y, _positive(_classes(y), pos_label, False)).cast(pl.Float64),
                      _numbers("score", f)], used  # fmt: skip
    if loss == "zero_one":
        y, f = _values("label", y), _values("prediction", f)
        _classes(y, f)
        return loss, [pl.select((y != f).cast(pl.Float64)).to_series()], used
    return loss, [_numbers("label", y), _numbers("prediction", f)], used


def _given(frame: pl.DataFrame, what: str, values: Any) -> pl.Series:
    """A column by name, or an array of one value for each row."""
    from tidegauge.frames import to_series

    if isinstance(values, str):
        if values not in frame.columns:
            raise UsageError(f"{what} {values!r} is no column of data; accepted are {frame.columns}")
        return frame[values]
    series = to_series(what, values)
    if series.len() != frame.height:
        raise UsageError(f"{series.len()} values of {what} for the {frame.height} rows of data")
    return series


def _features(frame: pl.DataFrame, features: Sequence[str] | None, others: list[str], checked: bool) -> list[str]:
    names = list(frame.columns) if features is None else list(features)
    for name in [*names, *(others if checked else [])]:
        if name not in frame.columns:
            raise UsageError(f"column {name!r} is not in data; accepted are {frame.columns}")
    if len(set(names)) < len(names):
        raise UsageError("a feature is named twice; each once would be accepted")
    left = [name for name in names if name not in set(others)]
    if not left:
        raise UsageError(
            "no feature is left; a column beside loss, label, prediction, score and block would be accepted"
        )
    return left


def _column(values: pl.Series, name: str, categorical: bool) -> tuple[pl.Series, pl.Series | None]:
    """Numbers as floats, or codes and the values they stand for."""
    import polars as pl

    from tidegauge._joint import _codes

    dtype = values.dtype
    if categorical or dtype in (pl.String, pl.Boolean, pl.Binary, pl.Null, pl.Categorical, pl.Enum):
        if dtype in (pl.Categorical, pl.Enum):
            values = values.cast(pl.String)
        if dtype.is_float():
            values = values.fill_nan(None)
        return _codes(values), values.drop_nulls().unique().sort()
    if dtype.is_temporal():
        return values.to_physical().cast(pl.Float64), None
    if dtype.is_numeric():
        return values.cast(pl.Float64), None
    raise UsageError(f"column {name!r} is {dtype}; accepted are numbers, times, booleans, text and bytes")


def _condition(name: str, dtype: pl.DataType, found: dict[str, Any], distinct: pl.Series | None) -> Condition:
    if "missing" in found or "rare" in found:
        return Condition(feature=name, kind=next(iter(found)))
    if "code" in found:
        assert distinct is not None
        return Condition(feature=name, kind="value", value=distinct[found["code"]])
    if "value" in found:
        return Condition(feature=name, kind="value", value=_back(found["value"], dtype))
    low, high = (None if end is None else _back(end, dtype) for end in (found["low"], found["high"]))
    return Condition(feature=name, kind="range", low=low, high=high)


def _back(x: float | str, dtype: pl.DataType) -> Any:
    """A number of the core as a value of the column."""
    import polars as pl

    x = float(x)
    if dtype.is_temporal():
        return pl.Series([round(x)]).cast(dtype)[0]
    return round(x) if dtype.is_integer() else x


def _text(value: Any) -> str:
    """A value in words: text in quotes, as JSON writes it."""
    import datetime as dt

    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else str(value)


def _joined(parts: list[str]) -> str:
    """Names or values of a crossed segment, as profiles join them."""
    if len(parts) == 1:
        return parts[0]
    return ", ".join(part.replace("\\", "\\\\").replace(",", "\\,") for part in parts)


def _row(rank: int, s: Segment, definition: str, variance: str) -> Row:
    from tidegauge.results import ROW_FIELDS

    row: Row = dict.fromkeys(ROW_FIELDS)
    row.update(
        baseline="rest",
        segment_by=_joined([c.feature for c in s.conditions]),
        segment_value=_joined([c._segment_value() for c in s.conditions]),
        feature="*",
        statistic="mean_loss_difference",
        definition=definition,
        decides=False,
        value=s.difference,
        unit="loss",
        exactness="exact",
        ci_low=s.ci_low,
        ci_high=s.ci_high,
        variance=variance,
        value_if_no_change=0.0,
        null="mean loss of the segment at most that of the rest; one-sided, Student's t on rows held out",
        pvalue=s.pvalue,
        qvalue=s.qvalue,
        n_reference=s.n_rest,
        n_current=s.n_rows,
        n_eff_reference=float(s.n_units_rest),
        n_eff_current=float(s.n_units),
        rank=rank,
        message=str(s),
    )
    return row


def _float(x: float | None) -> float:
    return math.nan if x is None else float(x)
