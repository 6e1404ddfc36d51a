"""Explanations of a log: importances of the reference and of each window, their drift, and weak segments.

What the model takes is declared: the columns in its order (``features``), and the codes of those that are
categories (``categories``); everything else goes to the model as it is.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge.errors import ConfigError, InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import polars as pl

    from tidegauge._importance_drift import ImportanceDrift
    from tidegauge._profile import Options
    from tidegauge._segments import SegmentResult
    from tidegauge._support import AssociatedGroup
    from tidegauge.importance import ImportanceResult
    from tidegauge.results import Row

LOSS_RATIO = "importance_loss_ratio/v1"
OUTSIDE = "permuted_outside/v1"

#: How far a score that was logged may be from the prediction, of 1 or of its size: they are often of single precision.
LOGGED = 1e-6

#: More rows than this are read in batches, by models with an exact form.
HELD = 1_000_000

#: Losses that segments are searched by, of each scoring.
SEGMENT_LOSS = {
    "accuracy": "zero_one",
    "neg_log_loss": "log_loss",
    "neg_brier_score": "log_loss",
    "neg_mean_absolute_error": "absolute",
    "neg_mean_squared_error": "squared",
    "r2": "squared",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ``[explain]`` says."""

    model: str
    features: tuple[str, ...] | None = None
    categories: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    scoring: str | None = None
    method: str = "auto"
    n_repeats: int = 5
    random_state: int = 0
    groups: Mapping[str, Sequence[str]] | None = None
    rows: int | None = None
    block: str | None = None
    alpha: float = 0.05
    fail_at: float | None = None
    segments: bool = True
    segment_depth: int = 2
    segment_rows: int | None = None
    sensitive: tuple[str, ...] = ()
    allow_pickle: bool = False

    def semantic(self) -> dict[str, Any]:
        """What changes the answer beside the model's bytes: no path."""
        chosen = {
            "features": None if self.features is None else list(self.features),
            "categories": {name: list(values) for name, values in self.categories.items()},
            "scoring": self.scoring,
            "method": self.method,
            "n_repeats": self.n_repeats,
            "random_state": self.random_state,
            "groups": None if self.groups is None else {name: list(g) for name, g in self.groups.items()},
            "rows": self.rows,
            "block": self.block,
            "alpha": self.alpha,
            "fail_at": self.fail_at,
            "segments": self.segments,
            "segment_depth": self.segment_depth,
            "segment_rows": self.segment_rows,
        }
        return {name: value for name, value in chosen.items() if value not in (None, {}, [])}


@dataclass(frozen=True)
class Roles:
    """Columns that an explanation needs."""

    label: str
    score: str | None = None
    time: str | None = None
    features: tuple[str, ...] = ()
    time_zone: str | None = None
    weight: str | None = None
    #: Known only to say that it is not used.
    frequency: str | None = None


@dataclass
class Explanation:
    """Importances, drift and weak segments.

    Attributes
    ----------
    windows : dict of (start, end) or None to ImportanceResult
        In the order of time; None is the whole.
    reference : ImportanceResult or None
    drift : ImportanceDrift or None
    segments : SegmentResult or None
    model : dict
        Name of the file, bytes and digest.
    notes : list of str
        What a reader must know.
    """

    settings: Settings
    windows: dict[tuple[str, str] | None, ImportanceResult]
    reference: ImportanceResult | None
    drift: ImportanceDrift | None
    segments: SegmentResult | None
    model: dict[str, Any]
    notes: list[str]
    checks: dict[str, Any] = field(default_factory=dict)
    block: str | None = None

    def rows(self, told: Mapping[str, Any] | None = None) -> list[Row]:
        """Rows in the shape of reports: one a feature, window and side, then those of the drift and segments."""
        told = told or {}
        found: list[Row] = []
        if self.reference is not None:
            found += _importance_rows(self.reference, None, True, told)
        for window, result in self.windows.items():
            found += _importance_rows(result, window, False, told)
        names = {_utc(window[0]): window for window in self.windows if window is not None}
        if self.drift is not None:
            for row in self.drift.rows:
                window = names.get(row["window_start"]) if row["window_start"] else None
                start, end = window or (None, None)
                # A report is decided by data and predictions; a changed importance is told beside them.
                own = {"kind": "importance", "window_start": start, "window_end": end, "decides": False}
                found.append({**row, **told, **own})
        if self.segments is not None:
            # The column of the blocks is made here; what they are is told.
            variance = f"block:{self.block}" if self.block else "iid"
            found += [{**row, **told, "kind": "segment", "variance": variance} for row in self.segments.rows]
        return found

    def options(self) -> dict[str, Any]:
        """What changes the answer: the model's bytes and the settings."""
        return {"model": self.model["digest"], **self.settings.semantic()}

    def sections(self) -> dict[str, Any]:
        """Sections of a record's result."""
        register = self.risk_register()
        found: dict[str, Any] = {"explanations": self.explanations()}
        return found if register is None else found | {"risk_register": register}

    def explanations(self) -> dict[str, Any]:
        """``result.explanations`` of a record: what the rows do not say."""
        sides: list[tuple[str, tuple[str, str] | None, ImportanceResult]] = []
        if self.reference is not None:
            sides.append(("reference", None, self.reference))
        sides += [("current", window, result) for window, result in self.windows.items()]
        first = next(result for _, _, result in sides)
        return {
            "model": self.model,
            "scoring": first.scoring,
            "definition": first.definition,
            "method": first.method,
            "settings": self.settings.semantic(),
            "sides": [
                {
                    "side": side,
                    "window_start": window[0] if window else None,
                    "window_end": window[1] if window else None,
                    "rows": result.n_rows,
                    "baseline": _finite(result.baseline),
                    "provenance": _canonical_provenance(result),
                    "groups": [
                        {"name": g.name, "features": g.features, "association": _finite(g.association)}
                        for g in result.associated_groups
                    ],
                    "notes": result.notes,
                }
                for side, window, result in sides
            ],
            "drift": None if self.drift is None else {"verdict": self.drift.verdict, "notes": self.drift.notes},
            "notes": self.notes,
        }

    def risk_register(self) -> dict[str, Any] | None:
        """``result.risk_register``: segments where the loss is higher, as searched."""
        if self.segments is None:
            return None
        found = self.segments
        return {
            "loss": found.loss,
            "definition": found.definition,
            "alpha": found.alpha,
            "options": found.options,
            "rows": found.n_rows,
            "rows_left_out": found.n_missing,
            "found": len(found.found),
            "candidates": len(found.segments),
            "entries": [
                {
                    "segment": " and ".join(map(str, s.conditions)),
                    "rows": s.n_rows,
                    "mean_loss": _finite(s.mean_loss),
                    "mean_loss_elsewhere": _finite(s.mean_loss_rest),
                    "difference": _finite(s.difference),
                    "ci_low": s.ci_low,
                    "ci_high": s.ci_high,
                    "qvalue": s.qvalue,
                    "weak": bool(s.qvalue is not None and s.qvalue <= found.alpha),
                }
                for s in found.segments
            ],
        }


def explain(
    settings: Settings,
    roles: Roles,
    reference: pl.LazyFrame | None,
    windows: Mapping[tuple[str, str] | None, pl.LazyFrame],
    *,
    block: str | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Explanation:
    """Importances of the reference and of each window, drift, and weak segments of all windows together.

    Parameters
    ----------
    settings : Settings
    roles : Roles
    reference : LazyFrame or None
        Without one there is no drift.
    windows : mapping of (start, end) or None to LazyFrame
    block : str, optional
        A length of time or a column: rows of one block belong together, and errors are those of blocks.
    told : callable
        Called with what is done next.

    Raises
    ------
    ConfigError, UsageError, InputError
        If the model cannot be read, a column is missing, or a value has no code where the model needs one.
    """
    from tidegauge import _models
    from tidegauge._importance_drift import importance_drift

    path = Path(settings.model)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}; accepted is a model file") from None
    described = {"file": path.name, "bytes": len(content), "digest": _core.blake3(content)}
    model = _models.load(path, allow_pickle=settings.allow_pickle)
    any_rows = reference if reference is not None else next(iter(windows.values()))
    inputs = Inputs.of(settings, roles, model, any_rows)
    inputs.block = inputs.block_of(block)
    notes: list[str] = []
    checks: dict[str, Any] = {}
    if roles.frequency is not None:
        notes.append(f"frequencies in column {roles.frequency!r} are not used: every row counts once")

    def importance(name: str, rows: pl.LazyFrame) -> ImportanceResult:
        told(f"importance: {name}")
        return inputs.importance(model, rows, name, notes)

    before = None if reference is None else importance("reference", reference)
    found = {}
    for window, rows in windows.items():
        name = "current" if window is None else f"window from {window[0]}"
        try:
            found[window] = importance(name, rows)
        except _NothingToMeasureError as error:
            notes.append(f"{name}: {error}")
    if not found and before is None:
        raise UsageError("no window has a row with a label; nothing can be explained")
    if (gap := inputs.gap(model, [*([] if reference is None else [reference]), *windows.values()])) is not None:
        checks["score"] = gap
        if gap["differing"]:
            notes.append(
                f"the model's predictions differ from column {roles.score!r} in {gap['differing']:,} of "
                f"{gap['rows']:,} rows, by up to {gap['largest_difference']:.3g}: the explanations are of the model "
                "in the file, not of the score that was logged"
            )
    for result in [*([before] if before else []), *found.values()]:
        notes += [note for note in result.notes if note not in notes]
    drift = None
    if before is not None and found:
        drift = importance_drift(
            before,
            {(window[0] if window else None): result for window, result in found.items()}
            if None not in found
            else found[None],
            alpha=settings.alpha,
            fail_at=settings.fail_at,
        )
    segments = None
    if settings.segments:
        told("weak segments")
        segments = inputs.weak(windows, notes)
    kept = block if inputs.block is not None else None
    return Explanation(settings, found, before, drift, segments, described, notes, checks, kept)


class _NothingToMeasureError(UsageError):
    """A window without a row that has a label."""


@dataclass
class Inputs:
    """How rows of a log become the model's input, and back to the names of the log."""

    settings: Settings
    roles: Roles
    features: list[str]
    #: The model's own name of each feature where it has names.
    names: list[str]
    schema: dict[str, Any]
    #: Whether the model knows no names and takes an array.
    array: bool = False
    #: Whether the model holds the levels of its categories.
    levels: bool = False
    #: What makes rows dependent, as an expression; none where rows are independent.
    block: pl.Expr | None = None

    @classmethod
    def of(cls, settings: Settings, roles: Roles, model: Any, rows: pl.LazyFrame) -> Inputs:
        """Check names and types before anything is computed."""
        import polars as pl

        from tidegauge import _models

        schema = dict(rows.collect_schema())
        own: list[str] | None = None
        count: int | None = None
        numbers = levels = False
        try:
            read = _models.read(model)
            count, own = len(read.features), read.features if read.named else None
            levels = bool(read.categories)
            numbers = not levels and read.encode is None
        except UsageError:
            given = getattr(model, "feature_names_in_", None)
            own = None if given is None else [str(name) for name in given]
        if settings.features is not None:
            features = list(settings.features)
            if count is not None and count != len(features):
                raise ConfigError(f"explain.features: {len(features)} columns; the model takes {count}")
        elif own is not None and all(name in schema for name in own):
            features = own
        else:
            told = "not named" if own is None else f"{', '.join(own[:3])} ..., which are no columns of the data"
            raise ConfigError(f"the model's features are {told}; list the columns in its order as explain.features")
        asked = [*features, roles.label, *([roles.weight] if roles.weight else [])]
        missing = [name for name in asked if name not in schema]
        if missing:
            raise ConfigError(f"explain: column {missing[0]!r} is not in the data; it has {', '.join(schema)}")
        for name, values in settings.categories.items():
            if name not in features:
                raise ConfigError(f"explain.categories: {name!r} is no feature; accepted are {', '.join(features)}")
            if len(set(values)) < len(values) or not values:
                raise ConfigError(f"explain.categories.{name}: values are listed once each, and at least one")
        for name in features:
            text = not (schema[name].is_numeric() or schema[name] == pl.Boolean)
            if numbers and text and name not in settings.categories:
                raise ConfigError(
                    f"column {name!r} is {schema[name]} and the model takes numbers; list its values by code as "
                    f"explain.categories.{name}"
                )
        names = own or [f"column_{j}" for j in range(len(features))]
        return cls(settings, roles, features, names, schema, own is None, levels)

    def encoded(self, rows: pl.LazyFrame, *, score: bool = False) -> pl.LazyFrame:
        """The model's input and the label, and the score where it is asked for; a value without a code is missing."""
        import polars as pl

        columns = []
        for name, own in zip(self.features, self.names, strict=True):
            column = pl.col(name)
            values = self.settings.categories.get(name)
            if values is not None:
                text = all(isinstance(value, str) for value in values)
                column = column.cast(pl.String) if text else column
                column = column.replace_strict(list(values), [float(i) for i in range(len(values))], default=None)
                column = column.cast(pl.Float64)
            columns.append(column.alias(own))
        if self.block is not None:
            columns.append(self.block.alias(_BLOCK))
        if self.roles.weight is not None:
            columns.append(pl.col(self.roles.weight).alias(_WEIGHT))
        if score and self.roles.score is not None:
            columns.append(pl.col(self.roles.score).cast(pl.Float64).alias(_SCORE))
        return rows.select(*columns, pl.col(self.roles.label).alias(_LABEL))

    def block_of(self, block: str | None) -> pl.Expr | None:
        """The block of a row: the value of a column, or the stretch of time.

        Raises
        ------
        ConfigError
            If it is neither.
        """
        import re

        import polars as pl

        if block is None or block == "none":
            return None
        if block in self.schema:
            return pl.col(block).cast(pl.String)
        time = self.roles.time
        if time is None or not re.fullmatch(r"[1-9][0-9]*(h|d|w|mo)", block):
            raise ConfigError(f"block {block!r}; accepted are a column, or a length such as 1d with a time column")
        moment = pl.col(time)
        if getattr(self.schema[time], "time_zone", None) is not None and self.roles.time_zone is not None:
            moment = moment.dt.convert_time_zone(self.roles.time_zone)
        return moment.dt.truncate(block).dt.epoch("us") if self.schema[time] != pl.Date else moment.dt.truncate(block)

    def importance(self, model: Any, rows: pl.LazyFrame, name: str, notes: list[str]) -> ImportanceResult:
        """Importances of one side under the names of the log."""
        from dataclasses import replace

        import polars as pl

        from tidegauge.importance import permutation_importance

        settings = self.settings
        lazy = self.encoded(rows)
        label = pl.col(_LABEL)
        dtype = lazy.collect_schema()[_LABEL]
        present = label.is_not_null() & label.is_not_nan() if dtype.is_float() else label.is_not_null()
        counted = lazy.select(pl.len(), present.sum().alias("n")).collect()
        total, n = counted.row(0)
        if n < 2:
            raise _NothingToMeasureError(f"{n} of {total} rows have a label; at least 2 are needed")
        if n < total:
            notes.append(f"{name}: {total - n:,} of {total:,} rows have no label and are left out")
        lazy = lazy.filter(present)
        weighed = self.roles.weight is not None
        if weighed:
            # As in the profile, a row without a weight stands for nothing.
            heavy = lazy.select(pl.col(_WEIGHT).is_not_null().sum()).collect().item()
            if heavy < n:
                notes.append(f"{name}: {n - heavy:,} of {n:,} rows with a label have no weight and are left out")
            if heavy < 2:
                raise _NothingToMeasureError(f"{heavy} of {n} rows with a label have a weight; at least 2 are needed")
            lazy, n = lazy.filter(pl.col(_WEIGHT).is_not_null()), heavy
        common: dict[str, Any] = {
            "method": settings.method,
            "scoring": settings.scoring,
            "alpha": settings.alpha,
            "allow_pickle": settings.allow_pickle,
        }
        found: ImportanceResult
        if n > HELD and settings.rows is None:
            block = None if self.block is None else _BLOCK
            weight = _WEIGHT if weighed else None
            found = permutation_importance(model, lazy, _LABEL, block=block, sample_weight=weight, **common)
        else:
            frame = lazy.collect()
            if settings.rows is not None and settings.rows < n:
                notes.append(f"{name}: {settings.rows:,} of {n:,} rows with a label, drawn by random_state")
            found = permutation_importance(
                model,
                self._table(frame.drop(_LABEL, _BLOCK, _WEIGHT, strict=False)),
                frame[_LABEL].to_numpy(),
                **common,
                block=None if self.block is None else frame[_BLOCK].to_numpy(),
                sample_weight=frame[_WEIGHT].cast(pl.Float64).to_numpy() if weighed else None,
                n_repeats=settings.n_repeats,
                random_state=settings.random_state,
                groups=self._groups(),
                max_rows=settings.rows,
            )
        back = dict(zip(self.names, self.features, strict=True))
        return replace(
            found,
            features=[back.get(name, name) for name in found.features],
            correlated=[[(back.get(other, other), r) for other, r in close] for close in found.correlated],
            associated_groups=[_renamed(group, back) for group in found.associated_groups],
        )

    def _groups(self) -> dict[str, list[str]] | None:
        if self.settings.groups is None:
            return None
        own = dict(zip(self.features, self.names, strict=True))
        for group, members in self.settings.groups.items():
            for member in members:
                if member not in own:
                    raise ConfigError(
                        f"explain.groups.{group}: {member!r} is no feature; accepted are {', '.join(self.features)}"
                    )
        return {group: [own[member] for member in members] for group, members in self.settings.groups.items()}

    def _table(self, frame: pl.DataFrame) -> Any:
        """Numbers as they are; text and categories as pandas holds them, which is what libraries read."""
        import polars as pl

        text = [n for n, t in zip(frame.columns, frame.dtypes, strict=True) if not (t.is_numeric() or t == pl.Boolean)]
        if not text:
            return frame.to_numpy().astype(float) if self.array else frame
        try:
            import pandas as pd
        except ImportError:
            raise UsageError(
                f"column {text[0]!r} is {frame[text[0]].dtype}; give its codes as explain.categories, or install "
                "tidegauge[pandas] for models that take categories"
            ) from None
        held = pd.DataFrame(frame.with_columns(pl.col(text).cast(pl.String)).to_dict(as_series=False))
        if self.levels:
            held[text] = held[text].astype("category")
        return held

    def gap(self, model: Any, sides: Iterable[pl.LazyFrame]) -> dict[str, Any] | None:
        """How many predictions of the model are not the score that was logged, and by how much at most.

        On all rows with a score where the model has an exact form; None of any other, which would have to be asked.
        """
        import numpy as np
        import polars as pl

        from tidegauge import _models
        from tidegauge.importance import BATCH

        if self.roles.score is None or self.roles.score not in self.schema:
            return None
        if not self.schema[self.roles.score].is_numeric():
            return None
        try:
            read = _models.read(model)
        except UsageError:
            return None
        rows, differing, most = 0, 0, 0.0
        for side in sides:
            lazy = self.encoded(side, score=True).filter(pl.col(_SCORE).is_not_null() & pl.col(_SCORE).is_not_nan())
            for frame in lazy.collect_batches(chunk_size=BATCH, maintain_order=False):
                if not frame.height:
                    continue
                table = _models.Table(self._table(frame.drop(_LABEL, _BLOCK, _WEIGHT, _SCORE, strict=False)))
                try:
                    predicted = np.asarray(read.compute(read.columns(table)), dtype=float)
                except UsageError:
                    return None
                if predicted.shape != (frame.height,):
                    return None
                logged = frame[_SCORE].to_numpy()
                gap = np.abs(predicted - logged)
                rows += frame.height
                differing += int((~(gap <= LOGGED * np.maximum(1.0, np.abs(logged)))).sum())
                most = max(most, float(np.max(gap[np.isfinite(gap)], initial=0.0)))
        if not rows:
            return None
        return {"rows": rows, "differing": differing, "largest_difference": most, "tolerance": LOGGED}

    def weak(self, windows: Mapping[tuple[str, str] | None, pl.LazyFrame], notes: list[str]) -> SegmentResult | None:
        """Weak segments of all windows together, by the score that was logged."""
        import polars as pl

        from tidegauge._segments import find_segments
        from tidegauge.importance import LOSSES

        roles, settings = self.roles, self.settings
        if roles.score is None:
            notes.append("weak segments are not searched: no column has the role score")
            return None
        scoring = settings.scoring or ("neg_log_loss" if self._binary(windows) else "neg_mean_squared_error")
        loss = SEGMENT_LOSS.get(scoring)
        if loss is None or (loss == "log_loss" and scoring not in LOSSES):
            notes.append(f"weak segments are not searched: {scoring} is no loss of a row")
            return None
        if roles.weight is not None:
            notes.append("weak segments are searched with every row counted once: the search knows no weights")
        # Conditions name values.
        open_to_all = [name for name in self.features if name not in settings.sensitive]
        if len(open_to_all) < len(self.features):
            notes.append("weak segments are not searched by sensitive columns, whose values they would tell")
        keep = [*open_to_all, roles.label, roles.score]
        columns: list[Any] = [pl.col(name) for name in dict.fromkeys(keep)]
        if self.block is not None:
            columns.append(self.block.alias(_BLOCK))
        frame = pl.concat([rows.select(columns) for rows in windows.values()]).collect()
        if settings.segment_rows is not None and settings.segment_rows < frame.height:
            notes.append(
                f"weak segments are searched in {settings.segment_rows:,} of {frame.height:,} rows, drawn by "
                "random_state"
            )
            frame = frame.sample(settings.segment_rows, seed=settings.random_state)
        try:
            return find_segments(
                frame,
                loss=loss,
                features=open_to_all,
                categorical=list(settings.categories),
                label=roles.label,
                score=roles.score if loss == "log_loss" else None,
                prediction=None if loss == "log_loss" else roles.score,
                block=_BLOCK if _BLOCK in frame.columns else None,
                depth=settings.segment_depth,
                alpha=settings.alpha,
                random_state=settings.random_state,
            )
        except UsageError as error:
            notes.append(f"weak segments are not searched: {error}")
            return None

    def _binary(self, windows: Mapping[tuple[str, str] | None, pl.LazyFrame]) -> bool:
        import polars as pl

        label = pl.col(self.roles.label)
        first = next(iter(windows.values()))
        seen = first.select(label.drop_nulls().unique().head(3)).collect()[self.roles.label]
        return seen.len() <= 2


def _renamed(group: AssociatedGroup, names: Mapping[str, str]) -> AssociatedGroup:
    """A group under the names of the log."""
    from dataclasses import replace

    features = [names.get(name, name) for name in group.features]
    return replace(group, name="+".join(features), features=features)


_LABEL = "__label__"
_BLOCK = "__block__"
_WEIGHT = "__weight__"
_SCORE = "__score__"


def table_of(data: Any, options: Options, like: Mapping[str, str] | None = None) -> pl.LazyFrame:
    """The rows of a side as they are profiled: filtered, none held.

    Raises
    ------
    UsageError, InputError
        As for :func:`tidegauge.profile`.
    """
    import polars as pl

    from tidegauge import sources

    names = sources._paths(data)
    if names is None:
        if type(data).__module__.partition(".")[0] == "polars" and type(data).__name__ == "LazyFrame":
            lazy: pl.LazyFrame = data
        elif isinstance(data, pl.DataFrame):
            lazy = data.lazy()
        else:
            from tidegauge._joint import _frame

            lazy = _frame(data, "data").lazy()
    else:
        kinds = {sources._kind(name) for name in names}
        if len(kinds) > 1:
            raise UsageError(f"paths of {' and '.join(sorted(kinds))} in one call; give files of one format")
        for name in names:
            if not sources.is_remote(name) and not Path(name).exists() and not any(c in name for c in "*?["):
                raise InputError(f"{name}: no such file or folder")
        lazy = sources._guard(lambda: sources._scan(kinds.pop(), names, options.schema or {}, like or {}), names)
    schema = sources._guard(lazy.collect_schema, names or [])
    if options.where is not None:
        try:
            lazy = lazy.filter(pl.sql_expr(options.where))
        except pl.exceptions.PolarsError as error:
            raise UsageError(f"where: {sources._first_line(error)}; accepted is an SQL condition") from None
    if options.since is not None or options.until is not None:
        selection = sources.Selection(
            columns=None, exclude=(), needed=(), where=None, since=options.since, until=options.until,
            time=options.time, time_zone=options.time_zone,
        )  # fmt: skip
        lazy = lazy.filter(sources._limits(schema, selection))
    return lazy


def cut(
    rows: pl.LazyFrame, time: str, windows: Sequence[tuple[str, str]]
) -> dict[tuple[str, str] | None, pl.LazyFrame]:
    """The rows of each window: ``start <= time < end``, of the windows that a profile has found."""
    import polars as pl

    dtype = rows.collect_schema()[time]
    found: dict[tuple[str, str] | None, pl.LazyFrame] = {}
    for start, end in windows:
        low, high = (_border(text, dtype) for text in (start, end))
        found[start, end] = rows.filter((pl.col(time) >= low) & (pl.col(time) < high))
    return found


def days(rows: pl.LazyFrame, time: str) -> int:
    """Days that hold a row."""
    import polars as pl

    moment = pl.col(time)
    moment = moment if rows.collect_schema()[time] == pl.Date else moment.dt.date()
    return int(rows.select(moment.n_unique()).collect().item())


def _border(text: str, dtype: Any) -> pl.Expr:
    import polars as pl

    moment = dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    if dtype == pl.Date:
        return pl.lit(moment.date())
    zone = getattr(dtype, "time_zone", None)
    if zone is None:
        return pl.lit(moment.replace(tzinfo=None))
    return pl.lit(moment).dt.convert_time_zone(zone)


def _importance_rows(
    result: ImportanceResult, window: tuple[str, str] | None, reference: bool, told: Mapping[str, Any]
) -> list[Row]:
    """Three rows a feature, and above features that go together those of their group.

    The importance as a difference, then as a ratio of losses where the scoring has a loss, then the share of permuted
    rows outside the data where it is known. Those of the reference itself are compared with nothing, baseline
    ``none``.
    """
    from statistics import NormalDist

    import numpy as np

    from tidegauge._support import ordered
    from tidegauge.results import ROW_FIELDS

    def row(name: str, statistic: str, of: Mapping[str, Any], **own: Any) -> Row:
        low, high = (_finite(x) for x in of["interval"])
        pvalue = _finite(of["pvalue"])
        made: Row = dict.fromkeys(ROW_FIELDS)
        made.update(
            told,
            window_start=window[0] if window else None,
            window_end=window[1] if window else None,
            baseline="none" if reference else "reference",
            role="feature",
            feature=name,
            kind="importance",
            statistic=statistic,
            definition=result.definition,
            decides=False,
            value=_finite(of["importance"]),
            unit="loss",
            exactness="exact" if of["method"] == "exact" else "estimated",
            ci_low=low,
            ci_high=high,
            variance=None if low is None else result.variance,
            value_if_no_change=0.0,
            null="importance of at most 0; one-sided, Student's t bent by the skewness" if pvalue is not None else None,
            pvalue=pvalue,
            qvalue=_finite(of["qvalue"]),
            n_reference=result.n_rows if reference else None,
            n_current=None if reference else result.n_rows,
            **own,
        )
        return made

    bare = ("exactness", "ci_low", "ci_high", "variance", "null", "pvalue", "qvalue", "rank", "message")
    reach = NormalDist().inv_cdf(1.0 - result.alpha / 2.0)

    def all_three(made: Row, outside: Any, error: Any) -> list[Row]:
        """The row of an importance, and what stands beside it."""
        rows = [made]
        beside = {**made, **dict.fromkeys(bare), "definition": None}
        if (ratio := _finite(result.ratio_of(made["value"]))) is not None:
            exactness = {"exactness": made["exactness"]}
            own = {"statistic": "importance_loss_ratio", "unit": "ratio", "value_if_no_change": 1.0}
            rows.append({**beside, **exactness, **own, "definition": LOSS_RATIO, "value": ratio})
        if (share := _finite(outside)) is not None:
            wide = reach * (_finite(error) or 0.0)
            own = {"statistic": "permuted_outside", "unit": "share of permuted rows", "value_if_no_change": None}
            known: dict[str, Any] = {"exactness": "exact"}
            if wide:
                limits = {"ci_low": max(share - wide, 0.0), "ci_high": min(share + wide, 1.0), "variance": "iid"}
                known = {"exactness": "estimated", **limits}
            rows.append({**beside, **known, **own, "definition": OUTSIDE, "value": share})
        return rows

    nothing = np.full(len(result.features), np.nan)
    outside = nothing if result.outside is None else result.outside
    errors = nothing if result.outside_error is None else result.outside_error
    ranks = {int(i): rank for rank, i in enumerate(np.argsort(-result.importances_mean, kind="stable"), start=1)}
    found = []
    for k, i in ordered(result):
        if i is not None:
            close = ", ".join(f"{name} {r:.2f}" for name, r in result.correlated[i]) if result.correlated else ""
            effective = None if result.n_eff is None else _finite(result.n_eff[i])
            of = {
                "importance": result.importances_mean[i],
                "interval": result.interval[i],
                "pvalue": result.pvalue[i],
                "qvalue": result.qvalue[i],
                "method": result.method,
            }
            own = {
                "n_eff_reference" if reference else "n_eff_current": effective,
                "rank": ranks[i],
                "message": f"moves with {close}" if close else None,
            }
            made = row(result.features[i], "permutation_importance", of, **own)
            found += all_three(made, outside[i], errors[i])
        elif k is not None:
            group = result.associated_groups[k]
            together = (
                f"{', '.join(group.features)} together; the association of any two is {group.association:.2f} or more"
            )
            made = row(group.name, "group_importance", vars(group), message=together)
            found += all_three(made, group.outside, group.outside_error)
    return found


def _canonical_provenance(result: ImportanceResult) -> dict[str, Any]:
    """Seed, generator and digests: nothing that depends on the libraries at hand."""
    kept = {name: value for name, value in result.provenance.items() if name not in ("check", "source")}
    return json.loads(json.dumps(kept, default=str))  # type: ignore[no-any-return]


def _utc(text: str) -> str:
    moment = dt.datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _finite(x: Any) -> float | None:
    import math

    return None if x is None or not math.isfinite(x) else float(x)
