"""Permutation importance of anything that predicts: one column exchanged at a time.

The caller's table is never written to. All other columns are shared; of a numpy array there is one batch
as scratch. Rows that are predicted at a time, and what is held beside the data, are bounded by `memory`.
"""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._models import Table
from tidegauge._native import Native, native_of
from tidegauge._predictors import Predictor, predictor_of, refuse_nan
from tidegauge._scorers import CHANGE, MissingError, Scorer, change_method, change_of, row_loss, scorer_of
from tidegauge.errors import UsageError
from tidegauge.importance import KEYS, PERMUTATION, ImportanceResult, benjamini_hochberg, sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from tidegauge._blocks import Blocks

    Floats = npt.NDArray[np.float64]
    Order = npt.NDArray[np.intp]
    Outputs = dict[str, Any]

__all__ = ["keyed", "row_loss", "run", "sample", "seed_of"]

#: The part of `memory` that the rows of one call to the model may take.
BATCH_SHARE = 64
#: Rows whose predictions are made alone and among others, to see whether they differ.
ALONE = 32


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


def keyed(rows: int, seed: int, name: str, repeat: int, start: int = 0, stop: int | None = None) -> Order:
    """Places `start` to `stop` of the permutation that belongs to seed, name and repeat."""
    import numpy as np

    found = _core.permutation(rows, seed % 2**64, name, repeat, start, rows if stop is None else stop)
    return np.frombuffer(found, dtype=np.uint64).astype(np.intp)


def alike(alone: Any, among: Any) -> bool:
    """Whether predictions of rows by themselves are those among others, but for sums in another order."""
    import numpy as np

    if among.dtype.kind in "biufc":
        # In single precision too.
        return bool(np.allclose(alone, among, rtol=1e-4, atol=1e-6, equal_nan=True))
    return bool(np.all(alone == among))


def sample(rows: int, wanted: int, seed: int) -> Order:
    """As many rows as wanted, ascending."""
    import numpy as np

    return np.sort(keyed(rows, seed, "max_rows", 0)[:wanted])


class Orders:
    """Where each row takes its donor from, by name and repeat.

    Parameters
    ----------
    strata : numpy.ndarray, shape (n,), optional
        Numbers of subgroups; donors are then of the row's own.
    """

    def __init__(
        self, rows: int, generator: str, seed: int, n_repeats: int, random_state: Any, strata: Order | None, memory: int
    ) -> None:
        import numpy as np

        self.rows, self.seed = rows, seed
        self.members: list[Order] | None = None
        if strata is not None:
            by = np.argsort(strata, kind="stable")
            self.members = np.split(by, np.cumsum(np.bincount(strata))[:-1])
        self.drawn: list[Order] | None = None
        if generator == "scikit-learn":
            if strata is not None:
                raise UsageError("generator 'scikit-learn' has no subgroups; take 'keyed' with conditional_on")
            self.drawn = _of_scikit_learn(rows, n_repeats, random_state)
        self.whole = lru_cache(maxsize=max(1, memory // 8 // (8 * rows)))(self._whole)

    def _whole(self, name: str, repeat: int) -> Order:
        import numpy as np

        if self.members is None:
            return keyed(self.rows, self.seed, name, repeat)
        order = np.empty(self.rows, dtype=np.intp)
        for number, members in enumerate(self.members):
            order[members] = members[keyed(len(members), self.seed, f"{name}\x1f{number}", repeat)]
        return order

    def at(self, name: str, repeat: int, start: int, stop: int) -> Order:
        """Donors of rows `start` to `stop`."""
        if self.drawn is not None:
            return self.drawn[repeat][start:stop]
        # Up to this many rows the core shuffles a permutation as a whole.
        if self.members is None and (stop - start) * 4 < self.rows and self.rows > 1 << 20:
            return keyed(self.rows, self.seed, name, repeat, start, stop)
        return self.whole(name, repeat)[start:stop]


def _of_scikit_learn(rows: int, n_repeats: int, random_state: Any) -> list[Order]:
    """What scikit-learn draws: one seed for all columns, and each repeat shuffles what the last left."""
    import numpy as np

    state = np.random.mtrand._rand if random_state is None else random_state
    if isinstance(state, np.random.Generator):
        raise UsageError("scikit-learn takes integers and RandomState as random_state, no Generator")
    state = np.random.RandomState(state) if isinstance(state, (int, np.integer)) else copy.deepcopy(state)
    draw = np.random.RandomState(state.randint(np.iinfo(np.int32).max + 1))
    shuffled, order = np.arange(rows), np.arange(rows)
    found = []
    for _ in range(n_repeats):
        draw.shuffle(shuffled)
        order = order[shuffled]
        found.append(order)
    return found


class Resident:
    """Rows that are in memory."""

    def __init__(self, table: Table) -> None:
        self.table, self.rows, self.names = table, table.rows, table.names
        self.row_bytes = table.row_bytes
        self.scans = 0

    def batches(self, size: int) -> Iterator[tuple[int, Table]]:
        """Rows of at most this many at a time, and the number of the first."""
        self.scans += 1
        for start in range(0, self.rows, size):
            yield start, self.table.slice(start, min(start + size, self.rows))

    def columns(self, columns: list[int]) -> tuple[Table, list[int]]:
        """A table of all rows, and where these columns are in it."""
        return self.table, columns


class Streamed:
    """Rows of a LazyFrame: read again for every batch, and columns as a whole when they are donors."""

    def __init__(self, lazy: pl.LazyFrame, rows: int, shape: Callable[[Any], Any]) -> None:
        self.lazy, self.rows, self.shape = lazy, rows, shape
        self.names = lazy.collect_schema().names()
        self.row_bytes = 8 * len(self.names)
        self.scans = 0

    def batches(self, size: int) -> Iterator[tuple[int, Table]]:
        """Rows of at most this many at a time, and the number of the first."""
        self.scans += 1
        start = 0
        for frame in self.lazy.collect_batches(chunk_size=size, maintain_order=True):
            for part in frame.iter_slices(size):
                yield start, Table(self.shape(part))
                start += part.height
        if start != self.rows:
            raise UsageError(
                f"the files had {self.rows:,} rows and now have {start:,}; they change while they are read"
            )

    def columns(self, columns: list[int]) -> tuple[Table, list[int]]:
        """A table of all rows, and where these columns are in it."""
        frame = self.lazy.select([self.names[j] for j in columns]).collect(engine="streaming")
        return Table(self.shape(frame)), list(range(len(columns)))


@dataclass(frozen=True)
class Variant:
    """A unit in one of its permutations."""

    unit: int
    name: str
    columns: list[int]
    repeat: int


class Exchange:
    """Batches with some columns taken from other rows, several variants one after another."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self._key: tuple[int, int, int] | None = None
        self._repeated: Any = None

    def __call__(
        self, start: int, batch: Table, variants: Sequence[Variant], donors: Table, place: Mapping[int, int]
    ) -> Any:
        """The data of all variants of a batch; an array is written over by the next call."""
        import numpy as np

        n = batch.rows
        if not variants:
            return batch.data
        key = (start, n, len(variants))
        if self._key != key:
            repeated = batch.repeat(len(variants))
            # An array becomes the scratch that columns are exchanged in.
            shared = batch.named or repeated is not batch
            self._repeated = repeated if batch.named else repeated.data if shared else repeated.data.copy()
            self._key = key
        orders = [self.orders.at(v.name, v.repeat, start, start + n) for v in variants]
        if not batch.named:
            for v, (variant, order) in enumerate(zip(variants, orders, strict=True)):
                for j in variant.columns:
                    self._repeated[v * n : (v + 1) * n, j] = donors.data[order, place[j]]
            return self._repeated
        taken: dict[int, Order] = {}
        for v, (variant, order) in enumerate(zip(variants, orders, strict=True)):
            for j in variant.columns:
                rows = taken.get(j)
                if rows is None:
                    rows = taken[j] = np.tile(np.arange(start, start + n), len(variants))
                rows[v * n : (v + 1) * n] = order
        return self._repeated.replace({j: donors.gather(place[j], rows) for j, rows in taken.items()}).data

    def restore(self, batch: Table, variants: Sequence[Variant]) -> None:
        """Puts an array's own values back."""
        if batch.named or not variants:
            return
        n = batch.rows
        for v, variant in enumerate(variants):
            for j in variant.columns:
                self._repeated[v * n : (v + 1) * n, j] = batch.data[:, j]


class Permuted:
    """The standard error of a mean change over rows and repeats, from one repeat after another."""

    def __init__(self, rows: int, blocks: Blocks | None) -> None:
        self.sums = _core.Permuted(rows, None if blocks is None else blocks.codes)
        self.repeats = 0

    def add(self, change: Floats, order: Order) -> None:
        """One repeat: the change of each row's loss and its donor."""
        import numpy as np

        self.sums.add(np.ascontiguousarray(change, dtype=np.float64), order.astype(np.uint64))
        self.repeats += 1

    def finish(self, alpha: float) -> dict[str, Any]:
        """Standard error, limits and p-value."""
        found: dict[str, Any] = json.loads(self.sums.finish(alpha))
        return found


@dataclass
class Stratified:
    """The same with donors of the row's own subgroup.

    A row counts as a row and as a donor: the projection of the U-statistic is the sum of both parts.
    Products of different repeats estimate its variance without the noise of the permutations, which is
    added as what it is, the variance of the mean over repeats. With one repeat the squares hold both.

    Attributes
    ----------
    rows : numpy.ndarray, shape (n,)
        Row part plus donor part of each row, about twice the mean, summed over repeats.
    """

    strata: Order
    rows: Any = None
    squares: float = 0.0
    means: list[float] = field(default_factory=list)

    @property
    def repeats(self) -> int:
        """How many were added."""
        return len(self.means)

    def add(self, change: Floats, order: Order) -> None:
        """One repeat: the change of each row's loss and its donor."""
        import numpy as np

        parts = change.copy()
        parts[order] += change
        mean = float(change.mean())
        # Within a subgroup about its own mean; between them the subgroups differ.
        own = np.bincount(self.strata, change) / np.bincount(self.strata)
        parts -= own[self.strata] + mean
        self.squares += float(parts @ parts)
        self.means.append(mean)
        self.rows = parts if self.rows is None else self.rows + parts

    def finish(self, alpha: float) -> dict[str, Any]:
        """Standard error, limits and p-value for another sample of rows and other permutations."""
        import numpy as np

        means = np.array(self.means)
        mean, error = float(means.mean()), self.standard_error()
        interval, pvalue = limits(np.array([mean]), np.array([error]), alpha)
        return {
            "standard_error": error,
            "standard_error_iid": error,
            "low": float(interval[0, 0]),
            "high": float(interval[0, 1]),
            "pvalue": float(pvalue[0]),
            "freedom": math.inf,
            "most_freedom": math.inf,
        }

    def standard_error(self) -> float:
        """For another sample of rows and other permutations."""
        import numpy as np

        n, repeats = len(self.rows), len(self.means)
        squares = self.squares
        if repeats == 1:
            return math.sqrt(squares) / n
        means = np.array(self.means)
        squares += 4.0 * n * float(((means - means.mean()) ** 2).sum())
        total = float(self.rows @ self.rows)
        projection: float = max((total - squares) / (repeats * (repeats - 1)), 0.0) / n**2
        noise: float = float(means.var(ddof=1)) / repeats
        return float(math.sqrt(projection + noise))


@dataclass
class Tally:
    """What one scorer found."""

    scorer: Scorer
    importances: Floats
    told: dict[str, Floats]
    baseline: float = math.nan
    losses: Floats | None = None
    open: dict[int, Permuted | Stratified] = field(default_factory=dict)


def batch_rows(memory: int, row_bytes: int) -> int:
    """Rows that are handed to the model at a time."""
    return max(1, memory // BATCH_SHARE // row_bytes)


class DisagreementError(Exception):
    """Trees as read do not predict what their library does."""


class Engine:
    """Predictions of all variants, batch by batch, each made once for all scorers."""

    def __init__(self, predictor: Predictor, rows: Resident | Streamed, orders: Orders, memory: int) -> None:
        self.predictor, self.rows, self.orders, self.memory = predictor, rows, orders, memory
        self.batch = batch_rows(memory, rows.row_bytes)
        self.predicted = 0
        self.alone = False
        self.native: Native | None = None

    def predictions(self, methods: Sequence[str], data: Any, rows: int) -> Outputs:
        """Predictions of each method, checked to be one a row."""
        found = {}
        for method in methods:
            values = self.predictor.call(method, data)
            if not values.ndim or len(values) != rows:
                raise UsageError(f"the model gives predictions of shape {values.shape} for {rows} rows")
            found[method] = values
        self.predicted += rows * len(methods)
        return found

    def baseline(self, methods: Sequence[str]) -> Outputs:
        """Predictions with every value in place.

        Raises
        ------
        DisagreementError
            If trees as read do not predict what the library does.
        """
        if self.native is not None:
            if not all(self.native.agrees(method) for method in methods):
                raise DisagreementError
            return {method: self.native.baseline(method) for method in methods}
        parts: dict[str, list[Any]] = {m: [] for m in methods}
        for _, batch in self.rows.batches(self.rows.rows if self.alone else self.batch):
            for method, values in self.predictions(methods, batch.data, batch.rows).items():
                parts[method].append(values)
        found = {m: _joined(p) for m, p in parts.items()}
        for values in found.values():
            refuse_nan(values, "as they are")
        return found

    def see_whether_alone(self, outputs: Outputs) -> bool:
        """Whether predictions of rows depend on the rows beside them, so that none may be left out or added."""
        if self.rows.rows < 2 or not outputs:
            return False
        k = min(ALONE, max(1, self.rows.rows // 2))
        _, batch = next(iter(self.rows.batches(self.rows.rows if isinstance(self.rows, Resident) else self.batch)))
        for method, alone in self.predictions(list(outputs), batch.slice(0, k).data, k).items():
            if not alike(alone, outputs[method][:k]):
                self.alone = True
        return self.alone

    def groups(self, variants: list[Variant], outputs: Outputs) -> Iterator[list[Variant]]:
        """Variants that are predicted in one pass over the rows."""
        n = self.rows.rows
        if self.native is not None:
            # Cells and order of a variant, its predictions, and what methods make of them.
            each = n * (4 + 8 + 2 * 8 * self.native.trees.trees.outputs) + sum(v.nbytes for v in outputs.values())
            size = max(1, self.memory // each)
            for i in range(0, len(variants), size):
                yield variants[i : i + size]
            return
        if isinstance(self.rows, Resident):
            size = 1 if self.alone else max(1, self.batch // n)
            for i in range(0, len(variants), size):
                yield variants[i : i + size]
            return
        # Predictions and the order of each variant, and a column for each that is a donor.
        each = n * 8 + sum(v.nbytes for v in outputs.values())
        group: list[Variant] = []
        held: set[int] = set()
        for variant in variants:
            columns = held | set(variant.columns)
            if group and (len(group) + 1) * each + len(columns) * 8 * n > self.memory:
                yield group
                group, columns = [], set(variant.columns)
            group.append(variant)
            held = columns
        if group:
            yield group

    def variants(self, group: list[Variant], methods: Sequence[str]) -> list[Outputs]:
        """Predictions of each variant of a group, for all rows."""
        if self.native is not None:
            return self.native.variants(group, self.orders, methods)
        columns = sorted({j for variant in group for j in variant.columns})
        donors, places = self.rows.columns(columns)
        place = dict(zip(columns, places, strict=True))
        parts: list[dict[str, list[Any]]] = [{m: [] for m in methods} for _ in group]
        exchange = Exchange(self.orders)
        for start, batch in self.rows.batches(self.rows.rows if self.alone else self.batch):
            stack = 1 if self.alone else max(1, self.batch // max(1, batch.rows))
            for i in range(0, len(group), stack):
                some = group[i : i + stack]
                data = exchange(start, batch, some, donors, place)
                found = self.predictions(methods, data, batch.rows * len(some))
                exchange.restore(batch, some)
                for method, values in found.items():
                    for v in range(len(some)):
                        part = values[v * batch.rows : (v + 1) * batch.rows]
                        # A view would keep the predictions of the whole stack.
                        parts[i + v][method].append(part.copy() if len(some) > 1 else part)
        joined = [{m: _joined(p) for m, p in part.items()} for part in parts]
        for variant, outputs in zip(group, joined, strict=True):
            for values in outputs.values():
                refuse_nan(values, f"with {variant.name!r} from other rows")
        return joined

    def direct(self, variant: Variant, score: Callable[[Any], float]) -> float:
        """The score of a function that predicts itself, from all rows at once."""
        assert isinstance(self.rows, Resident)
        table = self.rows.table
        exchange = Exchange(self.orders)
        data = exchange(0, table, [variant], table, {j: j for j in variant.columns})
        return score(data)


def _joined(parts: list[Any]) -> Any:
    import numpy as np

    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def run(
    model: Any,
    table: Table | pl.LazyFrame,
    y: Any,
    *,
    scorings: Mapping[str, Any],
    n_repeats: int,
    random_state: Any,
    generator: str,
    sample_weight: Any,
    groups: Mapping[str, Sequence[str | int]] | None,
    conditional_on: Any,
    alpha: float,
    memory: int,
    notes: Mapping[str, list[str]],
    blocks: Blocks | None,
    predictions: str = "auto",
) -> dict[str, ImportanceResult]:
    """Importances by permutation; see :func:`tidegauge.permutation_importance`.

    Raises
    ------
    UsageError
        If an argument is out of range, or model and scoring do not fit.
    """
    import numpy as np

    predictor = predictor_of(model)
    rows: Resident | Streamed
    if isinstance(table, Table):
        given = table
        if y is not None and len(y) != table.rows:
            raise UsageError(f"y has {len(y)} rows, X {table.rows}")
        strata, labels = strata_of(conditional_on, lambda name: given.column(given.names.index(name)), given.names)
        table, said = predictor.choose(table)
        rows = Resident(table)
    else:
        table = table if blocks is None or blocks.name is None else table.drop(blocks.name)
        table, y, sample_weight, strata, labels, said = _streamed(table, y, sample_weight, conditional_on, predictor)
        rows = Streamed(table, len(y), shape_of(predictor))
    if strata is not None and len(strata) != rows.rows:
        raise UsageError(f"conditional_on has {len(strata)} rows, X {rows.rows}")
    units = units_of(rows.names, groups)
    scorers = {name: scorer_of(predictor, y, scoring, sample_weight) for name, scoring in scorings.items()}
    if isinstance(rows, Streamed) and any(s.direct for s in scorers.values()):
        raise UsageError("a scorer that predicts itself takes rows in memory; name a scoring of scikit-learn")
    seed = seed_of(random_state)
    orders = Orders(rows.rows, generator, seed, n_repeats, random_state, strata, memory)
    engine = Engine(predictor, rows, orders, memory)

    direct = any(s.direct for s in scorers.values())
    if isinstance(rows, Resident) and generator == "keyed" and predictions == "auto" and not direct:
        engine.native = native_of(model, predictor, rows.table, units)
    tallies = {
        name: Tally(scorer, np.empty((len(units), n_repeats)), {k: np.full(len(units), np.nan) for k in KEYS})
        for name, scorer in scorers.items()
    }
    if (
        engine.native is None
        or strata is not None
        or not engine.native.judge(
            tallies, y, seed=seed, n_repeats=n_repeats, alpha=alpha, memory=memory, blocks=blocks
        )
    ):
        said += _predicted(engine, tallies, units, n_repeats, alpha, strata, blocks)
    shared = {
        "features": list(units),
        "definition": PERMUTATION,
        "method": "permutation",
        "n_rows": rows.rows,
        "alpha": alpha,
    }
    provenance = {
        "seed": seed,
        "generator": generator,
        "n_repeats": n_repeats,
        "predictions": engine.predicted + (0 if engine.native is None else engine.native.asked),
        "predicted_by": "library" if engine.native is None else "trees as read",
        **({} if labels is None else {"conditional_on": labels}),
    }
    return {
        name: _result(tally, shared, [*notes.get(name, []), *said], provenance, y, blocks)
        for name, tally in tallies.items()
    }


def _predicted(
    engine: Engine,
    tallies: Mapping[str, Tally],
    units: Mapping[str, list[int]],
    n_repeats: int,
    alpha: float,
    strata: Order | None,
    blocks: Blocks | None,
) -> list[str]:
    """Predicts every variant and scores it; what the result has to say about it."""
    said = []
    scorers = {name: tally.scorer for name, tally in tallies.items()}
    try:
        scorers, outputs = _baseline(engine, scorers)
    except DisagreementError:
        engine.native = None
        scorers, outputs = _baseline(engine, scorers)
    for name, tally in tallies.items():
        tally.scorer = scorer = scorers[name]
        if scorer.direct is not None and isinstance(engine.rows, Resident):
            tally.baseline = scorer.direct(engine.rows.table.data)
        elif scorer.score is not None:
            tally.baseline = scorer.score(outputs)
            tally.losses = None if scorer.by_row is None else scorer.by_row(outputs)
            if tally.losses is not None:
                refuse_infinite(scorer.name, tally.losses, "as they are")
    if engine.native is None and engine.see_whether_alone(outputs):
        if isinstance(engine.rows, Streamed):
            raise UsageError("the model predicts a row otherwise among other rows; files are predicted in batches")
        said.append("the model predicts a row otherwise among other rows, so all rows are predicted at once")
    variants = [
        Variant(u, name, columns, repeat)
        for u, (name, columns) in enumerate(units.items())
        for repeat in range(n_repeats)
    ]
    methods = list(outputs)
    for group in engine.groups(variants, outputs):
        found = engine.variants(group, methods) if methods else [{} for _ in group]
        for variant, predicted in zip(group, found, strict=True):
            for tally in tallies.values():
                _count(tally, engine, variant, predicted, n_repeats, alpha, strata, blocks)
    return said


def _baseline(engine: Engine, scorers: dict[str, Scorer]) -> tuple[dict[str, Scorer], Outputs]:
    """Predictions with every value in place, by the methods that the scorers ask for."""
    outputs: Outputs = {}

    def ask(method: str) -> None:
        if method not in outputs:
            outputs.update(engine.baseline([method]))

    found = {}
    for name, scorer in scorers.items():
        if scorer.name == CHANGE:
            ask(change_method(engine.predictor))
            found[name] = change_of(engine.predictor, outputs)
            continue
        found[name] = scorer
        for method in engine.predictor.methods if not engine.predictor.is_estimator else ():
            ask(method)
        while scorer.score is not None:
            try:
                scorer.score(outputs)
                break
            except MissingError as missing:
                ask(missing.method)
            except ValueError as error:
                raise UsageError(f"scoring {scorer.name!r}: {error}") from error
    return found, outputs


def _count(
    tally: Tally,
    engine: Engine,
    variant: Variant,
    outputs: Outputs,
    n_repeats: int,
    alpha: float,
    strata: Order | None,
    blocks: Blocks | None,
) -> None:
    scorer, at = tally.scorer, (variant.unit, variant.repeat)
    if scorer.direct is not None:
        tally.importances[at] = tally.baseline - engine.direct(variant, scorer.direct)
    elif scorer.score is not None and (engine.native is None or scorer.by_row is None or tally.losses is None):
        tally.importances[at] = tally.baseline - scorer.score(outputs)
    if scorer.by_row is None or tally.losses is None:
        return
    losses = scorer.by_row(outputs)
    refuse_infinite(scorer.name, losses, f"with {variant.name!r} from other rows")
    change = losses - tally.losses
    if engine.native is not None:
        # The same as of scores, which scikit-learn would check anew for each variant.
        tally.importances[at] = change.mean()
    rows = engine.rows.rows
    projection = tally.open.get(variant.unit)
    if projection is None:
        projection = tally.open[variant.unit] = Permuted(rows, blocks) if strata is None else Stratified(strata)
    projection.add(change, engine.orders.at(variant.name, variant.repeat, 0, rows))
    if projection.repeats == n_repeats:
        for key, value in tally.open.pop(variant.unit).finish(alpha).items():
            if key in tally.told and value is not None:
                tally.told[key][variant.unit] = value


def _result(
    tally: Tally, shared: dict[str, Any], notes: list[str], provenance: dict[str, Any], y: Any, blocks: Blocks | None
) -> ImportanceResult:
    import numpy as np

    name, told = tally.scorer.name, tally.told
    means = tally.importances.mean(axis=1)
    if tally.losses is None:
        notes = [*notes, f"{name} is no mean over rows here, so there is no standard error"]
    return ImportanceResult(
        importances_mean=means,
        importances_std=tally.importances.std(axis=1),
        importances=tally.importances,
        standard_error=told["standard_error"],
        interval=np.column_stack([told["low"], told["high"]]),
        pvalue=told["pvalue"],
        qvalue=benjamini_hochberg(told["pvalue"]),
        baseline=float(tally.baseline),
        scoring=name,
        notes=notes,
        provenance=dict(provenance),
        scale=_variance(y) if name == "r2" and tally.losses is not None else 1.0,
        **sampling(blocks, shared["n_rows"], told),
        **shared,
    )


def refuse_infinite(scoring: str, losses: Floats, where: str) -> None:
    """Refuse losses that are no finite numbers, whose mean would be none either.

    Raises
    ------
    UsageError
        If there are any; it says how many, and the first row.
    """
    import numpy as np

    wrong = ~np.isfinite(losses)
    if count := int(wrong.sum()):
        raise UsageError(
            f"scoring {scoring!r} of {count:,} of {len(losses):,} rows {where} is not finite, the first of them row "
            f"{int(wrong.argmax())}; accepted are predictions and labels that it is defined for"
        )


def shape_of(predictor: Predictor) -> Callable[[Any], Any]:
    """What a batch of files becomes: a frame of pandas for estimators, else of Polars."""
    if predictor.is_estimator:

        def pandas(frame: pl.DataFrame) -> Any:
            import pandas as pd

            # Text as objects and missing values as NaN, which estimators that know names were fitted on.
            return pd.DataFrame({c.name: _series(c) for c in frame})

        return pandas
    return lambda frame: frame


def _series(column: pl.Series) -> Any:
    import numpy as np
    import polars as pl

    if column.dtype.is_numeric() and column.null_count():
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    return np.array(column.to_list(), dtype=object) if column.dtype == pl.String else column.to_numpy()


def _streamed(
    lazy: pl.LazyFrame, y: Any, sample_weight: Any, conditional_on: Any, predictor: Predictor
) -> tuple[pl.LazyFrame, Any, Any, Order | None, Any, list[str]]:
    """Rows with a label, their labels, weights and subgroups; columns the model takes."""
    from tidegauge.importance import labelled

    if not isinstance(y, str):
        raise UsageError(f"y is {type(y).__name__}; of files and LazyFrames it is the name of the label column")
    present = labelled(lazy, y)
    missing = int(lazy.select((~present).sum()).collect().item())
    notes = [f"{missing:,} rows without a label in {y!r} are left out"] if missing else []
    lazy = lazy.filter(present)
    names = lazy.collect_schema().names()

    def column(name: str) -> pl.Series:
        if name not in names:
            raise UsageError(f"X has no column {name!r}")
        return lazy.select(name).collect(engine="streaming").to_series()

    strata, labels = strata_of(conditional_on, column, names)
    own = {y}
    if isinstance(sample_weight, str):
        own.add(sample_weight)
        sample_weight = column(sample_weight).to_numpy()
    labels_of = column(y).to_numpy()
    if len(labels_of) < 2:
        raise UsageError(f"X has {len(labels_of)} rows with a label; at least 2 are needed")
    rest = [name for name in names if name not in own]
    wanted, said = predictor.places(rest, named=True)
    rest = rest if wanted is None else [rest[j] for j in wanted]
    notes += said
    return lazy.select(rest), labels_of, sample_weight, strata, labels, notes


def strata_of(conditional_on: Any, column: Callable[[str], Any], names: Sequence[Any]) -> tuple[Order | None, Any]:
    """Numbers of the subgroups, and what they were made of.

    Raises
    ------
    UsageError
        If a column is missing, or there are too many subgroups.
    """
    import numpy as np

    if conditional_on is None:
        return None, None
    if isinstance(conditional_on, str):
        conditional_on = [conditional_on]
    by_name = isinstance(conditional_on, (list, tuple)) and all(isinstance(c, str) for c in conditional_on)
    if by_name and conditional_on and all(c in names for c in conditional_on):
        given = [column(c) for c in conditional_on]
        told: Any = list(conditional_on)
    elif by_name and any(c not in names for c in conditional_on):
        lost = next(c for c in conditional_on if c not in names)
        raise UsageError(f"conditional_on names {lost!r}, which is no column of X")
    else:
        given, told = [conditional_on], "values"
    number = None
    for values in given:
        flat = np.asarray(values)
        if flat.ndim != 1:
            raise UsageError(f"conditional_on has shape {flat.shape}; accepted are column names or one value a row")
        if flat.dtype.kind == "O":
            flat = np.array([str(v) for v in flat])
        _, codes = np.unique(flat, return_inverse=True)
        number = codes if number is None else np.unique(number * (codes.max() + 1) + codes, return_inverse=True)[1]
    if number is None:
        raise UsageError("conditional_on is empty; accepted are column names or one value a row")
    if (found := int(number.max(initial=0)) + 1) > MAX_STRATA:
        raise UsageError(
            f"conditional_on makes {found:,} subgroups; at most {MAX_STRATA:,} are accepted, so cut numbers"
        )
    return number.astype(np.intp), told


#: Most subgroups of `conditional_on`.
MAX_STRATA = 1024


def _variance(y: Any) -> float:
    import numpy as np

    return float(np.var(np.asarray(y, dtype=np.float64)))


def limits(means: Floats, errors: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Normal intervals of level ``1 - alpha``, and p-values against means of at most 0."""
    from statistics import NormalDist

    import numpy as np

    reach = NormalDist().inv_cdf(1.0 - alpha / 2.0) * errors

    def tail(mean: float, error: float) -> float:
        return math.erfc(mean / error / math.sqrt(2.0)) / 2.0 if error > 0.0 else math.nan

    pvalue = np.array([tail(m, e) for m, e in zip(means, errors, strict=True)], dtype=np.float64)
    return np.column_stack([means - reach, means + reach]), pvalue


def units_of(names: Sequence[Any], groups: Mapping[str, Sequence[str | int]] | None) -> dict[str, list[int]]:
    """What is permuted together, by name."""
    if groups is None:
        units = {str(name): [j] for j, name in enumerate(names)}
        if len(units) < len(names):
            raise UsageError("column names occur twice; give them groups by position")
        return units
    positions = {str(name): j for j, name in enumerate(names)}
    found: dict[str, list[int]] = {}
    for label, members in groups.items():
        columns = []
        if isinstance(members, str):
            raise UsageError(f"group {label!r} is text; a list of features is accepted")
        for member in members:
            j = positions.get(member) if isinstance(member, str) else member
            if j is None or not 0 <= j < len(names):
                raise UsageError(f"group {label!r} names {member!r}, which is no column of X")
            if j not in columns:
                columns.append(int(j))
        if not columns:
            raise UsageError(f"group {label!r} is empty")
        found[str(label)] = columns
    return found
