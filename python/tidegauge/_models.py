"""Models of other libraries in their exact form, and tables as their columns.

What a library holds in memory becomes plain arrays here; everything is checked again in the core,
and the result is compared with the library's own predictions before it is used.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge.errors import FormatError, InputError, TidegaugeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    import polars as pl

    Floats = npt.NDArray[np.float64]
    Arrays = dict[str, Any]

#: Rows on which a model as read is compared with its library.
CHECKED = 4096


#: Libraries whose errors about rows are told as ours; those of a function are its author's.
LIBRARIES = ("sklearn", "lightgbm", "xgboost", "catboost", "onnxruntime")


@contextlib.contextmanager
def predicting(name: str) -> Iterator[None]:
    """Errors of a library about the rows it is given, as ours, with its own as their cause.

    Raises
    ------
    UsageError
        If there is one.
    """
    try:
        yield
    except TidegaugeError:
        raise
    except Exception as error:
        # Each library has its own types.
        lines = str(error).strip().splitlines()
        raise UsageError(f"{name} refuses the rows of X: {lines[0] if lines else type(error).__name__}") from error


class MismatchError(UsageError):
    """A model as read does not predict what its library does."""


class Table:
    """Rows in the caller's own container, which is never written to."""

    def __init__(self, data: Any) -> None:
        import numpy as np

        self.data = data
        self.module = type(data).__module__.partition(".")[0]
        if isinstance(data, dict):
            self.data = {str(k): np.asarray(v) for k, v in data.items()}
            self.names: list[Any] = list(self.data)
            lengths = {len(v) for v in self.data.values()}
            if len(lengths) > 1:
                raise UsageError(f"columns of {' and '.join(map(str, sorted(lengths)))} rows")
            self.rows = lengths.pop() if lengths else 0
            return
        if self.module == "pyarrow":
            self.names, self.rows = list(data.column_names), int(data.num_rows)
        elif self.module in ("pandas", "polars"):
            if not hasattr(data, "columns") or (self.module == "polars" and not hasattr(data, "height")):
                raise UsageError(f"X is a {type(data).__qualname__}; accepted are frames (collect lazy ones)")
            self.names, self.rows = list(data.columns), len(data)
        else:
            self.data = np.asarray(data)
            if self.data.ndim != 2:
                raise UsageError(f"X has shape {self.data.shape}; accepted is (rows, features)")
            self.rows = self.data.shape[0]
            self.names = [f"column_{j}" for j in range(self.data.shape[1])]

    @property
    def named(self) -> bool:
        """Whether the columns carry names of their own."""
        return isinstance(self.data, dict) or self.module in ("pandas", "polars", "pyarrow")

    def column(self, j: int) -> Any:
        """Column `j` as the container holds it."""
        if isinstance(self.data, dict):
            return self.data[self.names[j]]
        match self.module:
            case "pandas":
                return self.data.iloc[:, j]
            case "polars":
                return self.data.to_series(j)
            case "pyarrow":
                return self.data.column(j)
        return self.data[:, j]

    def take(self, rows: npt.NDArray[np.intp]) -> Table:
        """The table of these rows."""
        if isinstance(self.data, dict):
            return Table({k: v[rows] for k, v in self.data.items()})
        match self.module:
            case "pandas":
                return Table(self.data.iloc[rows])
            case "pyarrow":
                return Table(self.data.take(rows))
        return Table(self.data[rows])

    def slice(self, start: int, stop: int) -> Table:
        """Rows `start` to `stop`, without copying them."""
        if (start, stop) == (0, self.rows):
            return self
        if isinstance(self.data, dict):
            return Table({k: v[start:stop] for k, v in self.data.items()})
        match self.module:
            case "pandas":
                return Table(self.data.iloc[start:stop])
            case "pyarrow" | "polars":
                return Table(self.data.slice(start, stop - start))
        return Table(self.data[start:stop])

    def select(self, columns: list[int]) -> Table:
        """The table of these columns, in this order."""
        if isinstance(self.data, dict):
            return Table({self.names[j]: self.data[self.names[j]] for j in columns})
        match self.module:
            case "pandas":
                return Table(self.data.iloc[:, columns])
            case "pyarrow" | "polars":
                return Table(self.data.select([self.names[j] for j in columns]))
        return Table(self.data[:, columns])

    def repeat(self, times: int) -> Table:
        """The rows this many times, one copy after another; Polars and Arrow share their buffers."""
        import numpy as np

        if times == 1:
            return self
        if isinstance(self.data, dict):
            return Table({k: np.tile(v, times) for k, v in self.data.items()})
        match self.module:
            case "pandas":
                return Table(self.data.iloc[np.tile(np.arange(self.rows), times)])
            case "polars":
                import polars as pl

                return Table(pl.concat([self.data] * times, rechunk=False))
            case "pyarrow":
                import pyarrow as pa  # type: ignore[import-untyped]

                return Table(pa.concat_tables([self.data] * times))
        return Table(np.tile(self.data, (times, 1)))

    def gather(self, j: int, rows: npt.NDArray[np.intp]) -> Any:
        """Entries of column `j`, in its type."""
        column = self.column(j)
        match self.module:
            case "pandas":
                return column.iloc[rows]
            case "pyarrow":
                return column.take(rows)
        return column[rows]

    def replace(self, columns: dict[int, Any]) -> Table:
        """The table with other columns, which it shares; the others stay where they are."""
        if isinstance(self.data, dict):
            return Table(self.data | {self.names[j]: column for j, column in columns.items()})
        match self.module:
            case "pandas":
                frame = self.data.copy(deep=False)
                for j, column in columns.items():
                    column.index = frame.index
                    frame.isetitem(j, column)
                return Table(frame)
            case "polars":
                return Table(self.data.with_columns(columns.values()))
            case "pyarrow":
                data = self.data
                for j, column in columns.items():
                    data = data.set_column(j, data.schema.field(j), column)
                return Table(data)
        raise UsageError("columns of an array are exchanged in place")

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, about."""
        if isinstance(self.data, dict):
            total = sum(v.nbytes for v in self.data.values())
        else:
            match self.module:
                case "pandas":
                    total = int(self.data.memory_usage(index=False).sum())
                case "polars":
                    total = int(self.data.estimated_size())
                case _:
                    total = int(self.data.nbytes)
        each: int = total // max(1, self.rows)
        return max(1, each, 4 * len(self.names))

    def floats(self, j: int, categories: list[Any] | None) -> Floats:
        """Column `j` as contiguous float64; categories as their positions, missing values as NaN.

        Raises
        ------
        UsageError
            If the column holds no numbers, or integers that float64 does not hold.
        """
        import numpy as np

        column, name = self.column(j), self.names[j]
        if self.module == "pandas":
            import pandas as pd

            if isinstance(column.dtype, pd.CategoricalDtype):
                if categories is not None:
                    column = column.cat.set_categories(categories)
                codes = column.cat.codes.to_numpy()
                return np.where(codes < 0, np.nan, codes).astype(np.float64)
            if column.dtype.kind not in "biuf":
                raise UsageError(f"column {name!r} is {column.dtype}; the model takes numbers")
            return np.ascontiguousarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
        if self.module == "polars":
            if not (column.dtype.is_numeric() or str(column.dtype) == "Boolean"):
                raise UsageError(f"column {name!r} is {column.dtype}; the model takes numbers")
            import polars as pl

            return np.ascontiguousarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())
        values = np.asarray(column.to_pandas() if self.module == "pyarrow" else column)
        if values.dtype.kind not in "biuf":
            raise UsageError(f"column {name!r} is {values.dtype}; the model takes numbers")
        return np.ascontiguousarray(values, dtype=np.float64)


def class_places(labels: npt.NDArray[Any], classes: Any) -> npt.NDArray[np.intp]:
    """Which of the classes each label is, -1 where it is none."""
    import numpy as np

    known = np.asarray(classes)
    texts = [a.dtype.kind in "US" for a in (labels, known)]
    if "O" in (labels.dtype.kind, known.dtype.kind) or texts[0] != texts[1]:
        # Numbers and text have no order in common.
        place = {value: k for k, value in enumerate(known.tolist())}
        return np.array([place.get(value, -1) for value in labels.tolist()], dtype=np.intp)
    order = np.argsort(known)
    found = order[np.minimum(np.searchsorted(known[order], labels), len(known) - 1)]
    return np.where(known[found] == labels, found, -1)


def unknown_class(labels: npt.NDArray[Any], row: int, classes: Any) -> UsageError:
    """That the label of a row is no class of the model."""
    import numpy as np

    return UsageError(f"label {labels.tolist()[row]!r} in row {row}; classes are {np.asarray(classes).tolist()}")


def not_numbers(labels: npt.NDArray[Any], accepted: str) -> UsageError:
    """That labels are no numbers, with the first that is none."""
    numbers = (bool, int, float)
    values = labels.tolist()
    row = next((i for i, value in enumerate(values) if not isinstance(value, numbers)), 0)
    shown = f"{values[row]!r} in row {row}" if values else f"nothing, as {labels.dtype}"
    return UsageError(f"y holds {shown}; accepted are {accepted}")


def take(values: Any, rows: npt.NDArray[np.intp]) -> Any:
    """These entries of a one-dimensional array or Series."""
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    if hasattr(values, "to_numpy"):
        return values.to_numpy()[rows]
    import numpy as np

    return np.asarray(values)[rows]


def lazy_frame(data: Any) -> pl.LazyFrame | None:
    """Paths and globs of Parquet files as a LazyFrame; None for anything that holds its rows.

    Raises
    ------
    UsageError
        If a path is no Parquet file.
    InputError
        If there is no such file, or it cannot be read.
    """
    if type(data).__module__.partition(".")[0] == "polars" and type(data).__name__ == "LazyFrame":
        lazy: pl.LazyFrame = data
        return lazy
    paths = data if isinstance(data, list) else [data]
    if not paths or not all(isinstance(path, (str, Path)) for path in paths):
        return None
    if wrong := [path for path in paths if Path(path).suffix.lower() != ".parquet"]:
        raise UsageError(f"file {str(wrong[0])!r}; accepted are Parquet files, or pl.scan_... of others")
    from glob import iglob

    import polars as pl

    from tidegauge import sources

    names = [str(path) for path in paths]
    for name in names:
        if sources.is_remote(name) or Path(name).exists():
            continue
        if not any(c in name for c in "*?["):
            raise InputError(f"{name}: no such file; accepted are paths and globs of Parquet files")
        if next(iglob(name, recursive=True), None) is None:  # noqa: PTH207 - a pattern may be absolute
            raise InputError(f"{name}: no file matches; accepted are paths and globs of Parquet files")
    scanned: pl.LazyFrame = sources._guard(lambda: pl.scan_parquet(names), names)
    sources._guard(scanned.collect_schema, names)
    return scanned


@dataclass(kw_only=True)
class ReadModel(ABC):
    """A model with an exact form, and how its library would predict."""

    #: Names of the features, in the order of the model's columns.
    features: list[str]
    #: Whether predictions are probabilities of classes.
    classifies: bool
    #: Predictions of a table and of its columns: shape (n,) or (n, n_classes).
    predict: Callable[[Table, list[Floats]], Any] | None
    source: str
    #: Largest difference of predictions, relative to the largest prediction.
    tolerance: float = 1e-12
    #: Labels of the classes, in the order of the outputs; None for numbers from 0.
    classes: Any = None
    #: Whether the model's own feature names say which column is which.
    named: bool = True
    #: Levels of the categorical columns, in the order of the columns.
    categories: list[list[Any]] = field(default_factory=list)
    #: Turns a table into the columns of the trees where that is more than a choice of columns.
    encode: Callable[[Table], list[Floats]] | None = None
    #: For each feature of the trees, which column of the table it is; set by `columns`.
    positions: list[int] = field(default_factory=list)
    #: Raw columns and the features that steps before the model made of each; None where features are columns.
    raw: list[tuple[str, list[int]]] | None = None
    #: Why there is no library to compare with.
    unchecked: str = "the library of the model is not installed"
    #: Turns a Polars frame into the container that the model takes.
    shape: Callable[[Any], Any] = lambda frame: frame

    def units(self, table: Table) -> list[tuple[str, list[int]]]:
        """Columns of the table that the model takes, in its order, and the features of each."""
        if self.raw is not None:
            return self.raw
        order = sorted(range(len(self.positions)), key=self.positions.__getitem__)
        return [(str(table.names[self.positions[k]]), [k]) for k in order]

    def columns(self, table: Table) -> list[Floats]:
        """The columns that the trees split, in their order; sets `positions`.

        Raises
        ------
        UsageError
            If a feature of the model is no column of the table.
        """
        wanted = self.features
        positions = list(range(len(table.names)))
        if self.encode is not None:
            self.positions = positions
            return self.encode(table)
        if table.named and self.named:
            have = {str(n).replace(" ", "_"): j for j, n in enumerate(table.names)}
            missing = [n for n in wanted if n.replace(" ", "_") not in have]
            if missing:
                raise UsageError(f"X has no column {missing[0]!r}, which the model was trained on")
            positions = [have[n.replace(" ", "_")] for n in wanted]
        elif len(positions) != len(wanted):
            raise UsageError(f"X has {len(positions)} columns; the model takes {len(wanted)}")
        self.positions = positions
        levels = iter(self.categories)
        return [table.floats(j, next(levels, None) if _is_categorical(table, j) else None) for j in positions]

    def labels(self, y: Any, *, classes: bool) -> Floats:
        """Labels as float64: class indices where `classes`.

        Raises
        ------
        UsageError
            If a label is no class of the model, or no finite number.
        """
        import numpy as np

        values = np.asarray(y)
        if values.ndim != 1:
            raise UsageError(f"y has shape {values.shape}; accepted is one dimension")
        if classes and self.classes is not None:
            found = class_places(values, self.classes)
            if len(wrong := np.flatnonzero(found < 0)):
                raise unknown_class(values, int(wrong[0]), self.classes)
            return found.astype(np.float64)
        if values.dtype.kind not in "biuf":
            raise not_numbers(values, "numbers, or classes the model knows" if classes else "numbers")
        return np.ascontiguousarray(values, dtype=np.float64)

    def check(self, table: Table, columns: list[Floats]) -> dict[str, Any]:
        """Compare predictions with the library's on at most 4,096 rows.

        Raises
        ------
        MismatchError
            If one differs by more than the tolerance; it names the row.
        """
        import numpy as np

        if self.predict is None:
            return {"rows": 0, "reason": self.unchecked}
        rows = np.unique(np.linspace(0, max(table.rows - 1, 0), min(CHECKED, table.rows)).astype(np.intp))
        part = [np.ascontiguousarray(c[rows]) for c in columns]
        ours = self.compute(part)
        asked = table.take(rows)
        if self.encode is None and self.positions != list(range(len(table.names))):
            # Libraries go by place, or refuse another order: they are asked in that of the model.
            asked = asked.select(self.positions)
        with predicting(self.source):
            theirs = np.asarray(self.predict(asked, part), dtype=np.float64)
        ours = ours.reshape(theirs.shape)
        scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
        gap = np.abs(ours - theirs).reshape(len(rows), -1).max(axis=1, initial=0.0)
        if len(wrong := np.flatnonzero(~(gap <= self.tolerance * scale))):
            i = wrong[0]
            raise MismatchError(
                f"{self.source} as read predicts {ours[i]} for row {rows[i]}, its library {theirs[i]}; "
                f"{len(wrong)} of {len(rows)} rows differ; use method='permutation'"
            )
        return {
            "rows": len(rows),
            "largest_difference": float(gap.max(initial=0.0)),
            "tolerance": self.tolerance * scale,
        }

    @abstractmethod
    def compute(self, columns: list[Floats]) -> Floats:
        """Predictions from the exact form."""


@dataclass(kw_only=True)
class Trees(ReadModel):
    """A tree ensemble."""

    trees: _core.TreeModel

    def compute(self, columns: list[Floats]) -> Floats:
        """Predictions of the trees, row by row."""
        import numpy as np

        return np.frombuffer(self.trees.predict(columns, link=True), dtype=np.float64)


@dataclass(kw_only=True)
class Linear(ReadModel):
    """A linear predictor behind a link: identity, logistic or log.

    Attributes
    ----------
    probabilities : bool
        Whether a classifier has any; of others only the class is known, the second where the predictor is above 0.
    own_score : str or None
        What the estimator's own score is, where it is neither R² nor the accuracy.
    """

    coefficients: Floats
    intercept: float
    link: str = "identity"
    probabilities: bool = True
    own_score: str | None = None

    def margins(self, columns: list[Floats]) -> Floats:
        """The linear predictor."""
        import numpy as np

        found = np.full(len(columns[0]), self.intercept)
        for coefficient, column in zip(self.coefficients, columns, strict=True):
            found += coefficient * column
        return found

    def compute(self, columns: list[Floats]) -> Floats:
        """The linear predictor, or what is behind its link: without probabilities the linear predictor too."""
        import numpy as np

        margins = self.margins(columns)
        if self.link == "log":
            return np.exp(margins)
        if self.link == "identity" or not self.probabilities:
            return margins
        small: Floats = np.exp(-np.abs(margins))
        return np.where(margins >= 0, 1.0, small) / (1.0 + small)


@dataclass(kw_only=True)
class Multinomial(ReadModel):
    """Linear predictors of several classes behind a softmax: coefficients of shape (n_classes, n_features)."""

    coefficients: Floats
    intercepts: Floats

    def margins(self, columns: list[Floats]) -> Floats:
        """The linear predictors, shape (n, n_classes)."""
        import numpy as np

        found = np.tile(self.intercepts, (len(columns[0]), 1))
        for coefficients, column in zip(self.coefficients.T, columns, strict=True):
            found += np.outer(column, coefficients)
        return found

    def compute(self, columns: list[Floats]) -> Floats:
        """The probability of each class."""
        import numpy as np

        margins = self.margins(columns)
        shifted: Floats = np.exp(margins - margins.max(axis=1, keepdims=True))
        found: Floats = shifted / shifted.sum(axis=1, keepdims=True)
        return found


def _of_trees(trees: _core.TreeModel, **given: Any) -> Trees:
    return Trees(trees=trees, features=trees.features, classifies=trees.classifies, **given)


def _is_categorical(table: Table, j: int) -> bool:
    return table.module == "pandas" and type(table.column(j).dtype).__name__ == "CategoricalDtype"


def load(model: Any, *, allow_pickle: bool) -> Any:
    """The model in a file; any other model is returned as it is.

    Pickles and CatBoost's own format are known by their extension, all else by what the file holds.

    Raises
    ------
    InputError
        If the file cannot be read.
    FormatError
        If it holds no model that is read.
    UsageError
        If unpickling was not allowed, the library of the file is not installed, or the model is none or was not
        fitted.
    """
    if not isinstance(model, (str, Path)):
        return accepted(model)
    return accepted(_loaded(Path(model), allow_pickle))


def accepted(model: Any) -> Any:
    """The model, which can be asked for predictions.

    Raises
    ------
    UsageError
        If it is none, or was not fitted.
    """
    kind = type(model).__name__
    if isinstance(model, type):
        raise UsageError(f"model is the class {model.__name__}; accepted is an object of it that was fitted")
    session = kind == "InferenceSession" and hasattr(model, "get_inputs")
    if not (hasattr(model, "predict") or callable(model) or session or isinstance(model, ModelFile)):
        plain = model is None or isinstance(model, (bool, int, float, bytes))
        raise UsageError(
            f"model {model!r:.80} has no predict and is no function; accepted are estimators, Boosters, sessions, "
            "functions and paths of models"
            if plain
            else f"model of type {kind} has no predict and is no function; accepted are estimators, Boosters, "
            "sessions, functions and paths of models"
        )
    if not _fitted(model):
        raise UsageError(f"model {kind} is not fitted; accepted is one that was")
    return model


def _fitted(model: Any) -> bool:
    """Whether an estimator was fitted; of those of libraries alone, others may keep what they learn as they like."""
    module = type(model).__module__.partition(".")[0]
    if module == "catboost":
        return bool(model.is_fitted())
    if hasattr(model, "__sklearn_is_fitted__"):
        return bool(model.__sklearn_is_fitted__())
    if module != "sklearn" or not hasattr(model, "fit"):
        return True
    from sklearn.exceptions import NotFittedError  # type: ignore[import-untyped]
    from sklearn.utils.validation import check_is_fitted  # type: ignore[import-untyped]

    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def is_pickle(path: str | Path) -> bool:
    """Whether a file is read by unpickling, which runs what it says: by its extension alone."""
    return Path(path).suffix.lower() in (".joblib", ".pkl", ".pickle")


def _loaded(path: Path, allow_pickle: bool) -> Any:
    """The model in a file; see :func:`load`."""
    match path.suffix.lower():
        case ".cbm":
            try:
                import catboost  # type: ignore[import-untyped]
            except ImportError:
                raise UsageError(f"{path.name} needs catboost") from None
            return catboost.CatBoost().load_model(str(path))
        case _ if is_pickle(path):
            if not allow_pickle:
                raise UsageError(
                    f"{path.name} is a pickle, which runs what it says; pass allow_pickle=True to trust it"
                )
            if path.suffix.lower() == ".joblib":
                import joblib  # type: ignore[import-untyped]

                return joblib.load(path)
            import pickle

            with path.open("rb") as file:
                return pickle.load(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}; accepted is a model file") from None
    kind = _core.model_kind(content)
    if kind == "linear":
        return _coefficients(content)
    return ModelFile(path, kind, content)


@dataclass(frozen=True)
class ModelFile:
    """A model file that the core reads itself."""

    path: Path
    #: lightgbm, xgboost, catboost or onnx.
    kind: str
    content: bytes = field(repr=False)

    def opened(self) -> Any:
        """The model as its library holds it.

        Raises
        ------
        UsageError
            If the library is not installed.
        FormatError
            If the file is damaged.
        """
        try:
            return self._opened()
        except ImportError as error:
            raise UsageError(f"{self.path.name} needs {error.name}") from None
        except FormatError as error:
            raise FormatError(f"{self.path.name}: {error}") from None
        except Exception as error:
            # Each library has its own; what they all say is that it cannot read these bytes.
            told = str(error).strip().splitlines()
            raise FormatError(f"{self.path.name}: {told[0] if told else type(error).__name__}") from None

    def _opened(self) -> Any:
        match self.kind:
            case "lightgbm":
                text = self.content.decode()
                _check_lightgbm(text)
                import lightgbm

                return lightgbm.Booster(model_str=text)
            case "xgboost":
                import xgboost

                return xgboost.Booster(model_file=bytearray(self.content))
            case "catboost":
                import catboost

                return catboost.CatBoost().load_model(str(self.path), format="json")
        import onnxruntime  # type: ignore[import-untyped]

        return onnxruntime.InferenceSession(self.content, providers=["CPUExecutionProvider"])


#: Lists of a tree in LightGBM's text: how many fewer values than leaves they have.
_LIGHTGBM_LISTS = {
    **dict.fromkeys(("leaf_value", "leaf_weight", "leaf_count"), 0),
    **dict.fromkeys(("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child"), 1),
    **dict.fromkeys(("internal_value", "internal_weight", "internal_count"), 1),
}
_LIGHTGBM_INTEGERS = frozenset(
    ("num_leaves", "num_cat", "split_feature", "decision_type", "left_child", "right_child", "leaf_count",
     "internal_count", "cat_boundaries", "cat_threshold", "is_linear")
)  # fmt: skip


def _check_lightgbm(text: str) -> None:
    """Refuse what ends the process inside LightGBM: a file that is cut, and trees of anything but numbers.

    Raises
    ------
    FormatError
        If the model is damaged.
    """
    trees, end, _ = text.partition("\nend of trees")
    if not end:
        raise FormatError('"end of trees" is missing; is the file truncated?')
    tree, leaves = None, 0
    for line in trees.splitlines():
        field, _, told = line.partition("=")
        if field == "Tree":
            tree, leaves = told, 0
        if tree is None or not line:
            continue
        values = told.split()
        for value in values:
            try:
                _ = int(value) if field in _LIGHTGBM_INTEGERS else float(value)
            except ValueError:
                raise FormatError(f"tree {tree}: {field} holds {value[:40]!r}, which is no number") from None
        if field == "num_leaves" and values:
            leaves = int(values[0])
        wanted = leaves - _LIGHTGBM_LISTS[field] if field in _LIGHTGBM_LISTS else len(values)
        if leaves > 1 and len(values) != wanted:
            raise FormatError(f"tree {tree}: {field} has {len(values)} values for {leaves} leaves")
    head, _, _ = trees.partition("\nTree=")
    sizes = next((line for line in head.splitlines() if line.startswith("tree_sizes=")), None)
    if sizes is not None:
        numbers = sizes.removeprefix("tree_sizes=").split()
        held = trees.count("\nTree=")
        if not all(size.isdigit() for size in numbers) or len(numbers) != held:
            raise FormatError(f"sizes of {len(numbers)} trees beside {held} trees")
        if sum(map(int, numbers)) != len(trees.encode()) - len(head.encode()):
            raise FormatError("the sizes of the trees are not those that the file tells")
    # Children and features out of range; LightGBM follows them.
    with contextlib.suppress(UsageError):
        _core.TreeModel.from_lightgbm(text)


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """A linear model from a file: coefficients by name of the feature."""

    features: list[str]
    coefficients: list[float]
    intercept: float
    #: identity, logistic, or log: the prediction is then the exponential of the sum.
    link: str
    #: Labels of two classes, of which the second's probability is the logistic function of the sum.
    classes: list[Any] | None

    def linear(self) -> Linear:
        """The model in its exact form."""
        import numpy as np

        return Linear(
            features=self.features,
            classifies=self.classes is not None,
            coefficients=np.array(self.coefficients, dtype=np.float64),
            intercept=self.intercept,
            link=self.link,
            predict=None,
            unchecked="a file of coefficients has no library",
            source="coefficients",
            classes=self.classes,
        )

    def predict(self, X: Any) -> Any:
        """What is behind the link of the sum of products: of logistic the probability of the second class."""
        linear = self.linear()
        return linear.compute(linear.columns(Table(X)))


#: Keys of a file of coefficients.
LINKS = ("identity", "logistic", "log")
LINEAR_KEYS = ("features", "coefficients", "intercept", "link", "classes")


def _coefficients(content: bytes) -> Coefficients:
    """A linear model in JSON: ``features``, ``coefficients``, and what else is wanted of `LINEAR_KEYS`.

    Raises
    ------
    FormatError
        If a key is unknown or missing, or its value does not fit.
    """
    import json
    import math

    def refuse(what: str) -> FormatError:
        return FormatError(f"file of coefficients: {what}")

    def number(value: Any, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise refuse(f"{key} has the value {value!r}; accepted are finite numbers")
        return float(value)

    found = json.loads(content)
    if unknown := [key for key in found if key not in LINEAR_KEYS]:
        raise refuse(f"key {unknown[0]!r}; accepted are {', '.join(LINEAR_KEYS)}")
    names, values = found.get("features"), found["coefficients"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise refuse(f"features is {names!r}; accepted is a list of column names")
    if len(set(names)) < len(names):
        raise refuse("features names a column twice")
    if not isinstance(values, list) or len(values) != len(names):
        count = len(values) if isinstance(values, list) else "no list of"
        raise refuse(f"{count} coefficients for {len(names)} features")
    link, classes = found.get("link", "identity"), found.get("classes")
    if link not in LINKS:
        raise refuse(f"link {link!r}; accepted are {', '.join(LINKS)}")
    if classes is not None and (link != "logistic" or not isinstance(classes, list) or len(classes) != 2):
        raise refuse(f"classes {classes!r} with link {link!r}; accepted are two labels with logistic")
    return Coefficients(
        features=names,
        coefficients=[number(value, "coefficients") for value in values],
        intercept=number(found.get("intercept", 0.0), "intercept"),
        link=link,
        classes=classes or [0, 1] if link == "logistic" else None,
    )


def read(model: Any) -> ReadModel:
    """A model in its exact form.

    Raises
    ------
    UsageError
        If the model has none here; FormatError if a file is damaged.
    """
    if isinstance(model, Coefficients):
        return model.linear()
    if isinstance(model, ModelFile):
        try:
            library = model.opened()
        except UsageError:
            library = None
        match model.kind:
            case "lightgbm":
                return _lightgbm(model.content.decode(), library, None)
            case "xgboost":
                return _xgboost(model.content, library, None)
            case "catboost":
                return _catboost_trees(_core.TreeModel.from_catboost(model.content), library)
        return _onnx(model.content, library)
    kinds = [f"{c.__module__.partition('.')[0]}.{c.__name__}" for c in type(model).__mro__]
    for kind in kinds:
        match kind:
            case "lightgbm.Booster":
                return _lightgbm(model.model_to_string(), model, None)
            case "lightgbm.LGBMModel":
                return _lightgbm(model.booster_.model_to_string(), model.booster_, getattr(model, "classes_", None))
            case "xgboost.Booster":
                return _xgboost(bytes(model.save_raw("ubj")), model, None)
            case "xgboost.XGBModel":
                booster = model.get_booster()
                best = getattr(model, "best_iteration", None) if _stopped_early(booster) else None
                booster = booster if best is None else booster[: best + 1]
                classes = getattr(model, "classes_", None)
                return _xgboost(bytes(booster.save_raw("ubj")), booster, classes, missing=model.missing)
            case "catboost.CatBoost":
                return _catboost(model)
            case "onnxruntime.InferenceSession":
                return _onnx(_content(model), model)
            case "sklearn.BaseHistGradientBoosting":
                return _hist_gradient_boosting(model)
            case "sklearn.BaseGradientBoosting":
                return _gradient_boosting(model)
            case "sklearn.BaseForest":
                return _forest(model, model.estimators_, model)
            case "sklearn.BaseDecisionTree":
                return _forest(model, [model], model)
            case "sklearn.LinearClassifierMixin":
                return _linear_classifier(model)
            case "sklearn.LinearModel" | "sklearn.BaseSGDRegressor" | "sklearn._GeneralizedLinearRegressor":
                return _linear(model)
            case "sklearn.Pipeline":
                from tidegauge._pipelines import unwrap

                return unwrap(model)
    raise UsageError(
        f"{type(model).__name__} is no model with an exact form here; those are LightGBM, XGBoost, CatBoost, tree "
        "ensembles in ONNX, scikit-learn's trees, forests, gradient boosting and linear models, and files of "
        "coefficients"
    )


def _stopped_early(booster: Any) -> bool:
    return booster.attr("best_iteration") is not None


def _lightgbm(text: str, booster: Any, classes: Any) -> ReadModel:
    trees = _core.TreeModel.from_lightgbm(text)

    def predict(table: Table, columns: list[Floats]) -> Any:
        import numpy as np

        data = table.data if table.module == "pandas" else np.column_stack(columns)
        return booster.predict(data, num_threads=1)

    invented = all(name == f"Column_{j}" for j, name in enumerate(trees.features))
    categories = getattr(booster, "pandas_categorical", None) or []
    return _of_trees(
        trees,
        predict=None if booster is None else predict,
        source="LightGBM model",
        classes=classes,
        named=not invented,
        categories=categories,
    )


def _xgboost(data: bytes, booster: Any, classes: Any, missing: float = float("nan")) -> ReadModel:
    import math

    if not math.isnan(missing):
        raise UsageError(f"XGBoost with missing={missing}; encode missing values as NaN for the exact form")
    trees = _core.TreeModel.from_xgboost(data)
    names = None if booster is None else booster.feature_names

    def predict(table: Table, columns: list[Floats]) -> Any:
        import numpy as np
        import xgboost

        matrix = xgboost.DMatrix(
            np.column_stack(columns), feature_names=names, feature_types=booster.feature_types, nthread=1
        )
        # `multi:softmax` predicts classes; margins are compared there.
        if '"multi:softmax"' in booster.save_config():
            margins = booster.predict(matrix, output_margin=True)
            shifted = np.exp(margins - margins.max(axis=1, keepdims=True))
            return shifted / shifted.sum(axis=1, keepdims=True)
        return booster.predict(matrix)

    return _of_trees(
        trees,
        predict=None if booster is None else predict,
        source="XGBoost model",
        # Leaves are added up in single precision there.
        tolerance=2e-5,
        classes=classes,
        named=names is not None,
    )


def _catboost(model: Any) -> ReadModel:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        try:
            model.save_model(str(path), format="json")
        except Exception as error:  # the library's own, which no type of ours names
            raise UsageError(f"{type(model).__name__} cannot be written as JSON: {error}") from None
        trees = _core.TreeModel.from_catboost(path.read_bytes())
    return _catboost_trees(trees, model)


def _catboost_trees(trees: _core.TreeModel, model: Any) -> ReadModel:
    import numpy as np

    def predict(_: Table, columns: list[Floats]) -> Any:
        data = np.column_stack(columns)
        found = model.predict(data, prediction_type="Probability") if trees.classifies else model.predict(data)
        return found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found

    classes = getattr(model, "classes_", None)
    return _of_trees(
        trees,
        predict=None if model is None else predict,
        source="CatBoost model",
        classes=None if classes is None or not len(classes) else classes,
        named=trees.features != [str(j) for j in range(len(trees.features))],
    )


def _content(session: Any) -> bytes:
    """The file that a session of ONNX Runtime was made from.

    Raises
    ------
    UsageError
        If it is not there any more.
    """
    held, path = getattr(session, "_model_bytes", None), getattr(session, "_model_path", None)
    try:
        return bytes(held) if held else Path(path or "").read_bytes()
    except OSError:
        raise UsageError("the session does not tell the file it was made from; give its path for the exact form") from (
            None
        )


def _onnx(content: bytes, session: Any) -> ReadModel:
    trees, classes = _core.TreeModel.from_onnx(content)

    def predict(_: Table, columns: list[Floats]) -> Any:
        import numpy as np

        from tidegauge._predictors import PREDICTIONS, predictor_of

        found = predictor_of(session).call(PREDICTIONS, np.column_stack(columns))
        return found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found

    return _of_trees(
        trees,
        predict=None if session is None else predict,
        source="ONNX model",
        # Leaves are added up in single precision there.
        tolerance=2e-5,
        classes=classes,
        named=False,
    )


def _names(model: Any) -> tuple[list[str], bool]:
    """Names of the features and whether the estimator has seen them."""
    found = getattr(model, "feature_names_in_", None)
    if found is not None:
        return [str(n) for n in found], True
    return [f"column_{j}" for j in range(model.n_features_in_)], False


def _arrays(*, output: int, scale: float, left: Any, value: Any, **given: Any) -> Arrays:
    """Node arrays in the types of the core."""
    import numpy as np

    n = len(left)
    none = np.empty(0, dtype=np.int64)
    kinds = {"threshold": np.float64, "nan_left": np.uint8}
    arrays = {k: np.ascontiguousarray(v, dtype=kinds.get(k, np.int64)) for k, v in given.items()}
    return {
        "output": output,
        "scale": scale,
        "left": np.ascontiguousarray(left, dtype=np.int64),
        "value": np.ascontiguousarray(value, dtype=np.float64),
        "nan_left": np.zeros(n, dtype=np.uint8),
        "category": none,
        "left_sets": none,
        "known_sets": none,
    } | arrays


def _tree(tree: Any, output: int, scale: float, value: Any) -> Arrays:
    """Arrays of a fitted `Tree` of scikit-learn."""
    nan_left = getattr(tree, "missing_go_to_left", None)
    return _arrays(
        output=output,
        scale=scale,
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        value=value,
        **({} if nan_left is None else {"nan_left": nan_left}),
    )


def _proba(model: Any) -> Callable[[Table, list[Floats]], Any]:
    """Predictions of an estimator: of the second of two classes, of each of more, or numbers."""

    def predict(table: Table, columns: list[Floats]) -> Any:
        data = table.data
        if isinstance(data, dict):
            from tidegauge._predictors import _pandas

            data = _pandas(data)
        if not hasattr(model, "classes_"):
            return model.predict(data)
        found = model.predict_proba(data)
        return found[:, 1] if found.shape[1] == 2 else found

    return predict


def _forest(model: Any, estimators: Sequence[Any], owner: Any) -> ReadModel:
    import numpy as np

    if getattr(model, "n_outputs_", 1) != 1:
        raise UsageError(f"{type(model).__name__} with {model.n_outputs_} outputs has no exact form here")
    names, named = _names(model)
    classes = getattr(model, "classes_", None)
    scale = 1.0 / len(estimators)
    if classes is not None and len(classes) < 2:
        raise UsageError("a classifier of one class")
    # One output for two classes, the second; else one for each class.
    wanted = [0] if classes is None else [1] if len(classes) == 2 else list(range(len(classes)))
    trees = []
    for estimator in estimators:
        values = estimator.tree_.value[:, 0, :]
        if classes is not None:
            # Fractions since scikit-learn 1.3, counts before.
            values = values / np.sum(values, axis=1, keepdims=True)
        trees += [_tree(estimator.tree_, k, scale, values[:, c]) for k, c in enumerate(wanted)]
    link = "identity" if classes is None else "probability"
    return _of_trees(
        _core.TreeModel.from_arrays(names, [0.0] * len(wanted), link, True, trees),
        predict=_proba(owner),
        source=f"scikit-learn {type(model).__name__}",
        classes=classes,
        named=named,
    )


#: Classifiers of scikit-learn with the logistic function, or a softmax, of their linear predictors.
_LOGISTIC = ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis")


def _linear_classifier(model: Any) -> ReadModel:
    """Of two classes a linear predictor, of more one each behind a softmax."""
    import numpy as np

    names, named = _names(model)
    kind = type(model).__name__
    coefficients: Floats = np.asarray(model.coef_, dtype=np.float64)
    logistic = kind in _LOGISTIC or (kind == "SGDClassifier" and model.loss == "log_loss")
    shared: dict[str, Any] = {
        "features": names, "classifies": True, "source": f"scikit-learn {kind}", "classes": model.classes_,
        # Products are added in another order.
        "named": named, "tolerance": 1e-9,
    }  # fmt: skip
    if coefficients.size == len(names):

        def decide(table: Table, _: list[Floats]) -> Any:
            return model.decision_function(table.data)

        return Linear(
            coefficients=np.ravel(coefficients),
            intercept=float(np.ravel(model.intercept_)[0]),
            predict=_proba(model) if logistic else decide,
            link="logistic",
            probabilities=logistic,
            **shared,
        )
    # One class against the others has probabilities that are divided by their sum.
    alone = getattr(model, "solver", None) == "liblinear" or getattr(model, "multi_class", None) == "ovr"
    if kind in _LOGISTIC and not alone and len(coefficients) == len(model.classes_):
        intercepts: Floats = np.zeros(len(coefficients)) + np.asarray(model.intercept_, dtype=np.float64)
        return Multinomial(coefficients=coefficients, intercepts=intercepts, predict=_proba(model), **shared)
    raise UsageError(f"{kind} with coefficients of shape {coefficients.shape} has no exact form here")


def _linear(model: Any) -> Linear:
    import numpy as np

    names, named = _names(model)
    kind = type(model).__name__
    coefficients: Floats = np.asarray(model.coef_, dtype=np.float64)
    if coefficients.size != len(names):
        raise UsageError(f"{kind} with coefficients of shape {coefficients.shape} has no exact form here")
    # Generalised linear models have a link of their own.
    link = type(getattr(getattr(model, "_base_loss", None), "link", None)).__name__
    if link not in ("NoneType", "IdentityLink", "LogLink"):
        raise UsageError(f"{kind} behind a {link} has no exact form here")
    return Linear(
        features=names,
        classifies=False,
        coefficients=np.ravel(coefficients),
        intercept=float(np.ravel(model.intercept_)[0]),
        link="log" if link == "LogLink" else "identity",
        own_score=None if link == "NoneType" else "D²",
        predict=_proba(model),
        source=f"scikit-learn {kind}",
        tolerance=1e-9,
        named=named,
    )


def _gradient_boosting(model: Any) -> ReadModel:
    import numpy as np

    names, named = _names(model)
    classes = getattr(model, "classes_", None)
    if type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor") and model.init != "zero":
        raise UsageError(f"{type(model).__name__} that starts from {type(model.init_).__name__} has no exact form here")
    outputs = model.estimators_.shape[1]
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))
    trees = [
        _tree(estimator.tree_, k, model.learning_rate, estimator.tree_.value[:, 0, 0])
        for stage in model.estimators_
        for k, estimator in enumerate(stage)
    ]
    link = "identity"
    if classes is not None:
        link = "softmax" if outputs > 1 else "logistic2" if model.loss == "exponential" else "logistic"
    return _of_trees(
        _core.TreeModel.from_arrays(names, [float(b) for b in np.ravel(start)], link, True, trees),
        predict=_proba(model),
        source=f"scikit-learn {type(model).__name__}",
        classes=classes,
        named=named,
    )


def _hist_gradient_boosting(model: Any) -> ReadModel:
    import numpy as np

    names, named = _names(model)
    classes = getattr(model, "classes_", None)
    known, row_of = model._bin_mapper.make_known_categories_bitsets()
    categorical = np.asarray(model._bin_mapper.is_categorical_, dtype=bool)
    # The estimator's encoder puts categorical features first; the trees number features as it does.
    order = np.arange(len(names))
    preprocessed = getattr(model, "_preprocessor", None) is not None
    if preprocessed:
        given = np.asarray(model.is_categorical_, dtype=bool)
        order = np.concatenate([np.flatnonzero(given), np.flatnonzero(~given)])
    # The core has a row of known categories for each feature.
    known_sets = np.zeros((len(names), 8), dtype=np.int64)
    for j in np.flatnonzero(categorical):
        known_sets[order[j]] = known[row_of[j]]
    trees = []
    for stage in model._predictors:
        for k, predictor in enumerate(stage):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            is_category = nodes["is_categorical"].astype(bool) & ~leaf
            trees.append(
                _arrays(
                    output=k,
                    scale=1.0,
                    feature=order[np.where(leaf, 0, nodes["feature_idx"])],
                    threshold=np.where(leaf, 0.0, nodes["num_threshold"]),
                    left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
                    right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
                    value=np.where(leaf, nodes["value"], 0.0),
                    nan_left=nodes["missing_go_to_left"],
                    category=np.where(is_category, nodes["bitset_idx"].astype(np.int64), -1),
                    left_sets=np.ravel(predictor.raw_left_cat_bitsets),
                    known_sets=np.ravel(known_sets),
                )
            )
    link = "identity"
    if classes is not None:
        link = "softmax" if model.n_trees_per_iteration_ > 1 else "logistic"
    elif model.loss in ("poisson", "gamma"):
        link = "exp"
    base = [float(b) for b in np.ravel(model._baseline_prediction)]

    def encode(table: Table) -> list[Floats]:
        with predicting(type(model).__name__):
            encoded = np.asarray(model._preprocess_X(table.data, reset=False), dtype=np.float64)
        return [np.ascontiguousarray(encoded[:, j]) for j in np.argsort(order)]

    return _of_trees(
        _core.TreeModel.from_arrays(names, base, link, False, trees),
        predict=_proba(model),
        source=f"scikit-learn {type(model).__name__}",
        classes=classes,
        named=named,
        encode=encode if preprocessed else None,
    )
