"""Predictions of permuted rows from trees as they were read, where they are what the library predicts.

Which leaves a row reaches, and would reach if one feature were another, is found once for all permutations
of all features; the library would walk every tree anew for each. Where a score is a mean of losses, these
are taken in the same pass.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegauge._models import CHECKED, Table, Trees, read
from tidegauge._predictors import PREDICTIONS, Predictor
from tidegauge.errors import FormatError, UsageError
from tidegauge.importance import CLASSES, LOSSES, disjoint, joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from tidegauge import _core
    from tidegauge._blocks import Blocks
    from tidegauge._permutation import Orders, Outputs, Tally, Variant

    Floats = npt.NDArray[np.float64]

#: What a classifier's or regressor's method gives: the margin of the trees, or what is behind their link.
MARGINS = "decision_function"
METHODS = frozenset({"predict", "predict_proba", MARGINS})


@dataclass
class Native:
    """Trees on one feature a unit.

    Attributes
    ----------
    columns : list of numpy.ndarray, shape (n,)
        The columns that the trees split.
    layers : list of (_core.TreeModel, list of numpy.ndarray)
        Trees whose features are units, and their columns; units of one layer share no feature.
    places : dict of str to (int, int)
        The layer and the feature of each unit; without those whose values take too many combinations.
    members : dict of str to list of int
        The features of the trees that belong to each unit.
    asked : int
        Rows that the library predicted for comparison.
    """

    trees: Trees
    columns: list[Floats]
    predictor: Predictor
    table: Table
    members: dict[str, list[int]]
    layers: list[tuple[_core.TreeModel, list[Floats]]] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    asked: int = 0

    def lay(self) -> None:
        """Gives every unit a feature of its own."""
        for layer, reported in disjoint(list(self.members.items()), len(self.columns)):
            try:
                trees, encode = joined(self.trees, layer, [self.columns])
            except UsageError:
                continue
            # As the trees are, features stay in their order.
            as_read = trees is self.trees.trees
            for i, (name, members) in enumerate(layer[: len(reported)]):
                self.places[name] = (len(self.layers), members[0] if as_read else i)
            self.layers.append((trees, encode(self.columns)))

    def outputs(self, method: str, flat: Floats) -> Any:
        """What a method gives, from margins or from the probabilities or numbers behind the link."""
        import numpy as np

        p = flat if self.trees.trees.outputs == 1 else flat.reshape(-1, self.trees.trees.outputs)
        if method in (MARGINS, PREDICTIONS) or not self.trees.classifies:
            return p
        p = np.column_stack([1.0 - p, p]) if p.ndim == 1 else p
        return p if method == "predict_proba" else np.asarray(self.trees.classes)[p.argmax(axis=1)]

    def agrees(self, method: str) -> bool:
        """Whether the library's method gives the same, on at most 4,096 rows."""
        import numpy as np

        if method not in METHODS if self.predictor.is_estimator else method != PREDICTIONS:
            return False
        if method == MARGINS and not self.trees.classifies:
            return False
        n = self.table.rows
        rows = np.unique(np.linspace(0, n - 1, min(CHECKED, n)).astype(np.intp))
        part = [np.ascontiguousarray(c[rows]) for c in self.columns]
        flat = np.frombuffer(self.trees.trees.predict(part, link=method != MARGINS), dtype=np.float64)
        ours = self.outputs(method, flat)
        theirs = self.predictor.call(method, self.table.take(rows).data)
        self.asked += len(rows)
        if ours.shape != theirs.shape:
            return False
        if method == "predict" and self.trees.classifies:
            return bool(np.all(ours == theirs))
        scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
        return bool(np.all(np.abs(ours - theirs) <= self.trees.tolerance * scale))

    def baseline(self, method: str) -> Any:
        """Predictions with every value in place."""
        import numpy as np

        flat = np.frombuffer(self.trees.trees.predict(self.columns, link=method != MARGINS), dtype=np.float64)
        return self.outputs(method, flat)

    def variants(self, group: Sequence[Variant], orders: Orders, methods: Sequence[str]) -> list[Outputs]:
        """Predictions of each variant, for all rows."""
        import numpy as np

        found: list[Outputs] = [{} for _ in group]
        taken = [orders.at(variant.name, variant.repeat, 0, self.table.rows) for variant in group]
        for links in (True, False):
            asked = [method for method in methods if (method != MARGINS) is links]
            if not asked:
                continue
            for at, (trees, columns) in enumerate(self.layers):
                here = [i for i, v in enumerate(group) if self.places.get(v.name, (-1, 0))[0] == at]
                given = [(self.places[group[i].name][1], taken[i].astype(np.uint64)) for i in here]
                for i, told in zip(here, trees.exchanged(columns, given, link=links), strict=True):
                    for method in asked:
                        found[i][method] = self.outputs(method, np.frombuffer(told, dtype=np.float64))
            for i, variant in enumerate(group):
                if variant.name in self.places:
                    continue
                moved = list(self.columns)
                for k in self.members[variant.name]:
                    moved[k] = moved[k][taken[i]]
                flat = np.frombuffer(self.trees.trees.predict(moved, link=links), dtype=np.float64)
                for method in asked:
                    found[i][method] = self.outputs(method, flat)
        return found

    def judge(
        self,
        tallies: Mapping[str, Tally],
        y: Any,
        *,
        seed: int,
        n_repeats: int,
        alpha: float,
        memory: int,
        blocks: Blocks | None,
    ) -> bool:
        """Importances of means of losses, without predictions; whether all scorers are such and agree."""
        import numpy as np

        from tidegauge._scorers import CHANGE, change_method

        losses: list[tuple[str, Floats | None]] = []
        spreads = []
        methods = set()
        if len(self.places) < len(self.members):
            return False
        try:
            for tally in tallies.values():
                name, spread, labels = tally.scorer.name, 1.0, None
                if name == CHANGE:
                    if self.trees.trees.outputs > 1:
                        return False
                    methods.add(change_method(self.predictor))
                elif tally.scorer.by_row is None:
                    return False
                else:
                    classes = LOSSES[name] in CLASSES
                    labels = self.trees.labels(y, classes=classes)
                    of_classes = "predict_proba" if LOSSES[name] in ("brier", "log_loss") else "predict"
                    methods.add(of_classes if self.predictor.is_estimator else PREDICTIONS)
                    if name == "r2" and (spread := float(np.var(labels))) == 0.0:
                        return False
                losses.append(("squared" if name == CHANGE else LOSSES[name], labels))
                spreads.append(spread)
            if not all(self.agrees(method) for method in sorted(methods)):
                return False
            codes = None if blocks is None else blocks.codes
            told: dict[str, list[Any]] = {}
            for at, (trees, columns) in enumerate(self.layers):
                units = [(feature, name) for name, (layer, feature) in self.places.items() if layer == at]
                found = json.loads(trees.permuted(columns, units, losses, seed, n_repeats, alpha, memory, codes))
                told |= {name: of for (_, name), of in zip(units, found["units"], strict=True)}
        except UsageError:
            # Labels or losses that scikit-learn's scorer judges otherwise, or refuses itself.
            return False
        for j, (tally, spread) in enumerate(zip(tallies.values(), spreads, strict=True)):
            offset = 1.0 if tally.scorer.name in ("accuracy", "r2") else 0.0
            tally.baseline = offset - found["own"][j] / spread
            tally.losses = np.zeros(0)
            for u, name in enumerate(self.members):
                of = told[name][j]
                tally.importances[u] = np.array(of["importances"]) / spread
                for key, values in tally.told.items():
                    value = np.nan if of[key] is None else of[key]
                    values[u] = value if key.endswith("freedom") or key == "pvalue" else value / spread
        return True


def native_of(model: Any, predictor: Predictor, table: Table, units: Mapping[str, Sequence[int]]) -> Native | None:
    """The trees of a model with a feature for each unit of columns; None where it has no exact form."""
    if not table.rows:
        return None
    try:
        trees = read(model)
        if not isinstance(trees, Trees):
            return None
        columns = trees.columns(table)
        of_column: dict[int, list[int]] = {}
        if trees.raw is None:
            for k, j in enumerate(trees.positions):
                of_column.setdefault(j, []).append(k)
        else:
            of_column = dict(enumerate(members for _, members in trees.raw))
    except (FormatError, UsageError):
        return None
    if predictor.is_estimator and trees.classifies and trees.classes is None:
        return None
    members = {name: sorted({k for j in chosen for k in of_column.get(j, [])}) for name, chosen in units.items()}
    found = Native(trees, columns, predictor, table, members)
    found.lay()
    return found
