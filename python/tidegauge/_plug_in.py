"""Importances under scores that are no means over rows, of trees: the score of expected counts.

Every row is counted by its weight with the value of every other row, by the share of that row's weight: a
table of predicted classes, or the weights of both classes by score. What the score of these is, less the
score as it is, is the importance. It is not the mean of the score over permutations, in which no two rows have
the same donor: an area differs from that by less than 2 / n, other scores in the order of 1 / n.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from tidegauge._importance_weights import Weights
    from tidegauge._models import Trees

    Floats = npt.NDArray[np.float64]

#: Scorers of scikit-learn of two classes that are read off expected counts.
SCORES = ("average_precision", "balanced_accuracy", "f1", "matthews_corrcoef", "precision", "recall", "roc_auc")

DEFINITION = "permutation_importance/plug-in/v1"
NOTE = "score of expected counts over all pairs of rows; it is no mean over rows, so there is no standard error"


def of_trees(
    read: Trees,
    trees: _core.TreeModel,
    scoring: str,
    columns: list[Floats],
    labels: Floats,
    n_threads: int,
    notes: list[str],
    weights: Weights | None = None,
) -> dict[str, Any]:
    """The score as it is, and what each feature of the trees adds to it.

    Raises
    ------
    UsageError
        If the model does not predict the probability of the second of two classes, or a class has no row.
    """
    import numpy as np

    if not trees.classifies or trees.outputs != 1:
        raise UsageError(f"scoring {scoring!r} has an exact form for two classes only")
    given = None if weights is None else weights.values
    if len(np.unique(labels if given is None else labels[given > 0.0])) < 2:
        raise UsageError(f"scoring {scoring!r} of labels that are all of one class")
    donors = _core.Donors(trees, "zero_one", 0.5, None if weights is None else weights.unit)
    donors.update(columns, labels, given)
    found = json.loads(_core.RankedScores(donors, columns, labels, n_threads, given).score(scoring))
    own, low, high = found["baseline"]
    importance, error = [], (high - low) / 2.0
    for feature in found["features"]:
        importance.append(0.0 if feature is None else own - feature[0])
        error = max(error, 0.0 if feature is None else (feature[2] - feature[1]) / 2.0)
    if error > 0.0:
        text = f"{scoring} is known to {error:.1g}: scores between neighbouring cuts count as tied"
        if text not in notes:
            notes.append(text)
    nothing = [float("nan")] * len(importance)
    return {
        "importance": importance,
        **dict.fromkeys(("standard_error", "standard_error_iid", "low", "high", "pvalue"), nothing),
        **dict.fromkeys(("freedom", "most_freedom"), nothing),
        "baseline": own,
        "weighted_rows": None if given is None else float(given.sum() ** 2 / (given**2).sum()),
        "provenance": {"numerical_error": error, "trees": read.trees.size, "model": read.trees.digest},
    }


def root(found: dict[str, Any]) -> dict[str, Any]:
    """Importances of the root of a mean, from those of the mean."""
    import math

    nothing = [float("nan")] * len(found["importance"])
    loss = found["baseline"]
    return found | {
        "importance": [math.sqrt(max(loss + x, 0.0)) - math.sqrt(loss) for x in found["importance"]],
        **dict.fromkeys(("standard_error", "standard_error_iid", "low", "high", "pvalue"), nothing),
        "baseline": -math.sqrt(loss),
        "responses": None,
    }


#: Scorers that are a function of the mean of a loss.
ROOTS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "neg_root_mean_squared_error": ("squared", root)
}
