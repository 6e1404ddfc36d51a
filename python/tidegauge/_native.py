"""Predictions of permuted rows from trees as they were read, where they are what the library predicts.

Which leaves a row reaches, and would reach if one feature were another, is found once for all permutations
of all features; the library would walk every tree anew for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegauge._models import Table, Trees, read
from tidegauge._predictors import PREDICTIONS, Predictor
from tidegauge.errors import FormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from tidegauge._permutation import Orders, Outputs, Variant

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Native:
    """Trees, and the columns that they split."""

    trees: Trees
    table_columns: list[Floats]
    methods: tuple[str, ...]
    is_estimator: bool

    def outputs(self, predictions: Floats) -> Outputs:
        """What each method gives, from the probabilities or numbers of the trees."""
        import numpy as np

        found: Outputs = {}
        for method in self.methods:
            p = predictions
            if self.is_estimator and self.trees.classifies:
                p = np.column_stack([1.0 - p, p]) if p.ndim == 1 else p
                p = p if method == "predict_proba" else np.asarray(self.trees.classes)[p.argmax(axis=1)]
            found[method] = p
        return found

    def shaped(self, flat: Floats) -> Floats:
        """One prediction a row, or one a class."""
        return flat if self.trees.trees.outputs == 1 else flat.reshape(-1, self.trees.trees.outputs)

    def baseline(self) -> Outputs:
        """Predictions with every value in place."""
        return self.outputs(self.shaped(self.trees.compute(self.table_columns)))

    def variants(self, group: Sequence[Variant], orders: Orders) -> list[Outputs]:
        """Predictions of each variant, for all rows."""
        import numpy as np

        rows = len(self.table_columns[0])
        found: list[Outputs | None] = [None] * len(group)
        single: list[tuple[int, tuple[int, Any]]] = []
        for i, variant in enumerate(group):
            features = [k for k, j in enumerate(self.trees.positions) if j in variant.columns]
            order = orders.at(variant.name, variant.repeat, 0, rows)
            if len(features) == 1:
                single.append((i, (features[0], order.astype(np.uint64))))
                continue
            columns = list(self.table_columns)
            for k in features:
                columns[k] = columns[k][order]
            found[i] = self.outputs(self.shaped(self.trees.compute(columns)))
        exchanged = self.trees.trees.exchanged(self.table_columns, [variant for _, variant in single])
        for (i, _), flat in zip(single, exchanged, strict=True):
            found[i] = self.outputs(self.shaped(np.frombuffer(flat, dtype=np.float64)))
        return [outputs for outputs in found if outputs is not None]


def native_of(model: Any, predictor: Predictor, table: Table, outputs: Outputs) -> Native | None:
    """The trees of a model, if they predict of these rows what its library does."""
    import numpy as np

    known = {"predict", "predict_proba"} if predictor.is_estimator else {PREDICTIONS}
    if not outputs or not known.issuperset(outputs):
        return None
    try:
        trees = read(model)
        if not isinstance(trees, Trees) or trees.raw is not None:
            return None
        columns = trees.columns(table)
    except (FormatError, UsageError):
        return None
    if predictor.is_estimator and trees.classifies and trees.classes is None:
        return None
    found = Native(trees, columns, tuple(outputs), predictor.is_estimator)
    for method, ours in found.baseline().items():
        theirs = outputs[method]
        if ours.shape != theirs.shape:
            return None
        if method == "predict" and trees.classifies:
            same = bool(np.all(ours == theirs))
        else:
            scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
            same = bool(np.all(np.abs(ours - theirs) <= trees.tolerance * scale))
        if not same:
            return None
    return found
