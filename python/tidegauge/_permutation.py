"""Permutation importance of anything that predicts: one column exchanged at a time.

The caller's table is never written to: frames share all other columns, of a numpy array there is one
copy for the whole run.
"""

from __future__ import annotations

import copy
import math
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._models import ModelFile, Table, _library_of
from tidegauge.errors import UsageError
from tidegauge.importance import LOSSES, PERMUTATION, ImportanceResult, benjamini_hochberg, correlated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Order = npt.NDArray[np.intp]


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn and numpy accept; generators are copied, not advanced."""
    import numpy as np

    if random_state is None:
        return 0
    if isinstance(random_state, (int, np.integer)) and random_state >= 0:
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(copy.deepcopy(random_state).randint(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(copy.deepcopy(random_state).integers(2**63))
    raise UsageError(f"random_state {random_state!r}; accepted are integers from 0, RandomState and Generator")


def keyed(rows: int, seed: int, name: str, repeat: int) -> Order:
    """The permutation that belongs to seed, name and repeat."""
    import numpy as np

    return np.frombuffer(_core.permutation(rows, seed % 2**64, name, repeat), dtype=np.uint64).astype(np.intp)


def sample(rows: int, wanted: int, seed: int) -> Order:
    """As many rows as wanted, ascending."""
    import numpy as np

    return np.sort(keyed(rows, seed, "max_rows", 0)[:wanted])


class Exchange:
    """A table with some columns in another order of rows."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._scratch: Any = None

    @contextmanager
    def __call__(self, columns: Sequence[int], order: Order) -> Iterator[Any]:
        """The data of the table with `columns` taken from the rows `order`."""
        table = self.table
        data = table.data
        if isinstance(data, dict):
            yield data | {table.names[j]: table.column(j)[order] for j in columns}
        elif table.module == "pandas":
            frame = data.copy(deep=False)
            for j in columns:
                column = data.iloc[order, j]
                column.index = data.index
                frame.isetitem(j, column)
            yield frame
        elif table.module == "polars":
            yield data.with_columns(table.column(j)[order] for j in columns)
        elif table.module == "pyarrow":
            for j in columns:
                data = data.set_column(j, data.schema.field(j), table.column(j).take(order))
            yield data
        else:
            if self._scratch is None:
                self._scratch = data.copy()
            for j in columns:
                self._scratch[:, j] = data[order, j]
            yield self._scratch
            for j in columns:
                self._scratch[:, j] = data[:, j]


class Recorder:
    """An estimator that keeps its last predictions, for scorers of scikit-learn."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.last: Any = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        if name not in ("predict", "predict_proba"):
            return found

        # scikit-learn asks a method for its name.
        @wraps(found)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            self.last = found(*args, **kwargs)
            return self.last

        return recorded


#: Score of a table's data, and the loss of each row where the score is minus its mean.
Score = tuple[float, "Floats | None"]


def run(
    model: Any,
    table: Table,
    y: Any,
    *,
    scoring: Any,
    n_repeats: int,
    random_state: Any,
    generator: str,
    sample_weight: Any,
    groups: Mapping[str, Sequence[str | int]] | None,
    alpha: float,
    notes: list[str],
) -> ImportanceResult:
    """Importances by permutation; see :func:`tidegauge.permutation_importance`.

    Raises
    ------
    UsageError
        If an argument is out of range, or model and scoring do not fit.
    """
    import numpy as np

    if n_repeats < 1:
        raise UsageError(f"n_repeats {n_repeats!r}; at least 1 is accepted")
    if generator not in ("keyed", "scikit-learn"):
        raise UsageError(f"generator {generator!r}; accepted are keyed and scikit-learn")
    if table.rows < 2:
        raise UsageError(f"X has {table.rows} rows; at least 2 are needed")
    if len(y) != table.rows:
        raise UsageError(f"y has {len(y)} rows, X {table.rows}")
    units = _units(table, groups)
    score, name = scorer_of(model, y, scoring, sample_weight)
    seed = seed_of(random_state)
    baseline, losses = score(table.data)
    exchange = Exchange(table)
    importances = np.empty((len(units), n_repeats))
    errors = np.full(len(units), np.nan)
    for unit, (label, columns) in enumerate(units.items()):
        orders = list(_orders(generator, table.rows, seed, label, n_repeats, random_state))
        changes = []
        for repeat, order in enumerate(orders):
            with exchange(columns, order) as data:
                permuted, moved = score(data)
            importances[unit, repeat] = baseline - permuted
            if losses is not None and moved is not None:
                changes.append(moved - losses)
        if changes:
            errors[unit] = standard_error(np.array(changes), np.array(orders))
    means = importances.mean(axis=1)
    if losses is None:
        notes = [*notes, f"{name} is no mean over rows here, so there is no standard error"]
    reach = _core_normal(alpha) * errors
    pvalue = _upper_tail(means, errors)
    return ImportanceResult(
        features=list(units),
        importances_mean=means,
        importances_std=importances.std(axis=1),
        importances=importances,
        standard_error=errors,
        interval=np.column_stack([means - reach, means + reach]),
        pvalue=pvalue,
        qvalue=benjamini_hochberg(pvalue),
        baseline=float(baseline),
        scoring=name,
        definition=PERMUTATION,
        method="permutation",
        n_rows=table.rows,
        alpha=alpha,
        correlated=correlated(list(units), [_numbers(table, columns) for columns in units.values()]),
        notes=notes,
        provenance={"seed": seed, "generator": generator, "n_repeats": n_repeats},
        scale=_variance(y) if name == "r2" and losses is not None else 1.0,
    )


def _variance(y: Any) -> float:
    import numpy as np

    return float(np.var(np.asarray(y, dtype=np.float64)))


def _numbers(table: Table, columns: Sequence[int]) -> Floats | None:
    """The one column of a unit, where it holds numbers."""
    if len(columns) != 1:
        return None
    try:
        return table.floats(columns[0], None)
    except UsageError:
        return None


def _core_normal(alpha: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1.0 - alpha / 2.0)


def _upper_tail(means: Floats, errors: Floats) -> Floats:
    import numpy as np

    def tail(mean: float, error: float) -> float:
        return math.erfc(mean / error / math.sqrt(2.0)) / 2.0 if error > 0.0 else math.nan

    return np.array([tail(m, e) for m, e in zip(means, errors, strict=True)], dtype=np.float64)


def _units(table: Table, groups: Mapping[str, Sequence[str | int]] | None) -> dict[str, list[int]]:
    """What is permuted together, by name."""
    if groups is None:
        units = {str(name): [j] for j, name in enumerate(table.names)}
        if len(units) < len(table.names):
            raise UsageError("column names occur twice; give them groups by position")
        return units
    positions = {str(name): j for j, name in enumerate(table.names)}
    found: dict[str, list[int]] = {}
    for label, members in groups.items():
        columns = []
        if isinstance(members, str):
            raise UsageError(f"group {label!r} is text; a list of features is accepted")
        for member in members:
            j = positions.get(member) if isinstance(member, str) else member
            if j is None or not 0 <= j < len(table.names):
                raise UsageError(f"group {label!r} names {member!r}, which is no column of X")
            if j not in columns:
                columns.append(int(j))
        if not columns:
            raise UsageError(f"group {label!r} is empty")
        found[str(label)] = columns
    return found


def _orders(generator: str, rows: int, seed: int, name: str, n_repeats: int, random_state: Any) -> Iterator[Order]:
    import numpy as np

    if generator == "keyed":
        for repeat in range(n_repeats):
            yield keyed(rows, seed, name, repeat)
        return
    # What scikit-learn draws: one seed for all columns, and each repeat shuffles what the last left.
    state = np.random.mtrand._rand if random_state is None else random_state
    if isinstance(state, np.random.Generator):
        raise UsageError("scikit-learn takes integers and RandomState as random_state, no Generator")
    state = np.random.RandomState(state) if isinstance(state, (int, np.integer)) else copy.deepcopy(state)
    draw = np.random.RandomState(state.randint(np.iinfo(np.int32).max + 1))
    shuffled, order = np.arange(rows), np.arange(rows)
    for _ in range(n_repeats):
        draw.shuffle(shuffled)
        order = order[shuffled]
        yield order


def standard_error(changes: Floats, orders: npt.NDArray[np.intp]) -> float:
    """Of the mean over rows and repeats, for another sample of rows and other permutations.

    Parameters
    ----------
    changes : numpy.ndarray, shape (n_repeats, n)
        Change of each row's loss.
    orders : numpy.ndarray, shape (n_repeats, n)
        The donor of each row.

    Notes
    -----
    A row counts as a row and as a donor: the projection of the U-statistic is the sum of both parts.
    Products of different repeats estimate its variance without the noise of the permutations, which is
    added as what it is, the variance of the mean over repeats. With one repeat the squares hold both.
    """
    repeats, n = len(changes), len(changes[0])
    parts = changes.copy()
    for part, change, order in zip(parts, changes, orders, strict=True):
        part[order] += change
    parts -= 2.0 * changes.mean()
    squares = float((parts * parts).sum())
    if repeats == 1:
        return math.sqrt(squares) / n
    rows = parts.sum(axis=0)
    total = float((rows * rows).sum())
    projection: float = max((total - squares) / (repeats * (repeats - 1)), 0.0) / n**2
    noise: float = float(changes.mean(axis=1).var(ddof=1)) / repeats
    return float(math.sqrt(projection + noise))


def scorer_of(model: Any, y: Any, scoring: Any, sample_weight: Any) -> tuple[Callable[[Any], Score], str]:
    """A function from data to score and losses by row, and the name of the scoring.

    Raises
    ------
    UsageError
        If model and scoring do not fit.
    """
    if isinstance(model, ModelFile):
        model = _library_of(model)
    module = type(model).__module__.partition(".")[0]
    booster = module in ("lightgbm", "xgboost") and type(model).__name__ == "Booster"
    if booster or not hasattr(model, "predict"):
        return _score_predictions(_predictor(model, module), y, scoring, sample_weight)
    if not hasattr(model, "fit") and not callable(scoring):
        return _score_predictions(model.predict, y, scoring, sample_weight)
    return _score_estimator(model, y, scoring, sample_weight)


def _predictor(model: Any, module: str) -> Callable[[Any], Any]:
    if module == "xgboost":
        import xgboost

        return lambda data: model.predict(xgboost.DMatrix(data))
    if hasattr(model, "predict"):
        return lambda data: model.predict(data)
    if not callable(model):
        raise UsageError(f"{type(model).__name__} has no predict and is no function")
    return lambda data: model(data)


def _score_estimator(model: Any, y: Any, scoring: Any, sample_weight: Any) -> tuple[Callable[[Any], Score], str]:
    """With scikit-learn's own scorers."""
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    if callable(scoring):
        name = getattr(scoring, "__name__", type(scoring).__name__)
        return lambda data: (float(scoring(model, data, y, **weights)), None), name
    if scoring is None:
        if not hasattr(model, "score"):
            raise UsageError(f"{type(model).__name__} has no score; name a scoring")
        return lambda data: (float(model.score(data, y, **weights)), None), "score"
    try:
        from sklearn.metrics import get_scorer  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError(f"scoring {scoring!r} of an estimator needs scikit-learn") from None
    try:
        scorer = get_scorer(scoring)
    except ValueError:
        raise UsageError(f"scoring {scoring!r} is no scorer of scikit-learn") from None
    recorder = Recorder(model)
    by_row = None if sample_weight is not None else row_loss(scoring, y, getattr(model, "classes_", None))

    def score(data: Any) -> Score:
        value = float(scorer(recorder, data, y, **weights))
        return value, None if by_row is None else by_row(recorder.last)

    return score, scoring


def _score_predictions(
    predict: Callable[[Any], Any], y: Any, scoring: Any, sample_weight: Any
) -> tuple[Callable[[Any], Score], str]:
    """With a function of labels and predictions, or a mean loss by name."""
    import numpy as np

    if callable(scoring):
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        name = getattr(scoring, "__name__", type(scoring).__name__)
        return lambda data: (float(scoring(y, predict(data), **weights)), None), name
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    by_row = row_loss(scoring, y, None, weight)
    if by_row is None:
        raise UsageError(
            f"scoring {scoring!r} of a function or Booster; accepted are {', '.join(sorted(LOSSES))}, "
            "or a function of labels and predictions"
        )
    offset = 1.0 if scoring in ("accuracy", "r2") else 0.0

    def score(data: Any) -> Score:
        losses = by_row(predict(data))
        return offset - float(np.average(losses, weights=weight)), None if weight is not None else losses

    return score, scoring


def row_loss(scoring: str, y: Any, classes: Any, weight: Floats | None = None) -> Callable[[Any], Floats] | None:
    """A function from predictions to the loss of each row, or None where the scoring is no such mean."""
    import numpy as np

    if scoring not in LOSSES:
        return None
    labels: npt.NDArray[Any] = np.asarray(y)
    if classes is not None:
        index = np.searchsorted(np.asarray(classes), labels)
    elif labels.dtype.kind in "biuf":
        index = labels.astype(np.intp, copy=False)
    else:
        raise UsageError(f"y is {labels.dtype}; accepted are numbers")
    numbers: Floats = labels.astype(np.float64) if labels.dtype.kind in "biuf" else np.zeros(0)
    spread = 1.0
    if scoring == "r2":
        spread = float(np.average((numbers - np.average(numbers, weights=weight)) ** 2, weights=weight))

    def probabilities(predicted: Any) -> Floats:
        p = np.asarray(predicted, dtype=np.float64)
        return np.column_stack([1.0 - p, p]) if p.ndim == 1 else p

    def of_classes(predicted: Any) -> Floats:
        if LOSSES[scoring] == "zero_one":
            known = classes is not None
            wrong = np.asarray(predicted) != labels if known else probabilities(predicted).argmax(axis=1) != index
            return np.asarray(wrong, dtype=np.float64)
        p = probabilities(predicted)
        if LOSSES[scoring] == "log_loss":
            eps = np.finfo(np.float64).eps
            likelihood: Floats = np.clip(p[np.arange(len(index)), index], eps, 1.0 - eps)
            return np.negative(np.log(likelihood))
        errors: Floats = (p - np.eye(p.shape[1])[index]) ** 2
        summed: Floats = errors[:, 1] if p.shape[1] == 2 else errors.sum(axis=1)
        return summed

    def of_numbers(predicted: Any) -> Floats:
        p: Floats = np.asarray(predicted, dtype=np.float64)
        match LOSSES[scoring]:
            case "absolute":
                return np.abs(numbers - p)
            case "pinball":
                return np.abs(numbers - p) / 2.0
            case "poisson_deviance":
                log = np.zeros_like(p)
                np.log(numbers / p, out=log, where=numbers > 0.0)
                return 2.0 * (numbers * log - numbers + p)
            case "gamma_deviance":
                return 2.0 * (np.log(p / numbers) + numbers / p - 1.0)
        return (numbers - p) ** 2 / spread

    return of_classes if LOSSES[scoring] in ("zero_one", "brier", "log_loss") else of_numbers
