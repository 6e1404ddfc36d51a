"""Permutation importance of a LightGBM model of 200 trees of 31 leaves, beside scikit-learn with 5 repeats."""

from typing import Any

import numpy as np
import pytest
from conftest import Versus
from measure import Goal, Side
from shapes import Data

#: scikit-learn's score and LightGBM's trees get one thread, as ours.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(("features", "limit", "stretch"), [(20, 30, 100), (100, 100, None)], ids=["20", "100"])
def test_importance_exact(versus: Versus, data: Data, features: int, limit: float, stretch: float | None) -> None:
    rows = data.scale.importance
    options = {"path": str(data.model(features, rows))}

    def check(ours: Any, others: dict[str, Any]) -> None:
        # Five permutations scatter about the exact mean by less than its own standard error over rows.
        wide = 3 * np.array(ours["standard_error"])
        assert np.all(np.abs(np.subtract(others["scikit-learn"]["mean"], ours["mean"])) <= wide)

    versus(
        f"exact permutation importance, {features} features x {rows:,} rows",
        Side("importance_exact", options, environment=ONE_THREAD),
        [Goal("faster", limit, "scikit-learn", stretch=stretch)],
        against={"scikit-learn": Side("importance_sklearn", options, environment=ONE_THREAD)},
        check=check,
        rounds=3,
        peer_rounds=1,
    )


def test_importance_permuted(versus: Versus, data: Data) -> None:
    """Own permutations, as many as scikit-learn's: means must agree within five of their standard errors."""
    rows = data.scale.importance
    options = {"path": str(data.model(20, rows))}

    def check(ours: Any, others: dict[str, Any]) -> None:
        a, b = np.asarray(ours["all"]), np.asarray(others["scikit-learn"]["all"])
        error = np.sqrt((a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / a.shape[1])
        assert np.all(np.abs(a.mean(axis=1) - b.mean(axis=1)) <= 5 * error + 1e-9)

    versus(
        f"permutation importance, 5 repeats, 20 features x {rows:,} rows",
        Side("importance_permuted", options, environment=ONE_THREAD),
        [Goal("faster", 100, "scikit-learn")],
        against={"scikit-learn": Side("importance_sklearn", options, environment=ONE_THREAD)},
        check=check,
        rounds=3,
        peer_rounds=1,
    )


def test_importance_with_the_permutations_of_scikit_learn(versus: Versus, data: Data) -> None:
    """scikit-learn's own permutations: each of its numbers must come out, so that the library predicts."""
    rows = data.scale.importance
    options = {"path": str(data.model(20, rows))}

    def check(ours: Any, others: dict[str, Any]) -> None:
        assert np.allclose(ours["all"], others["scikit-learn"]["all"], rtol=0, atol=1e-12)

    versus(
        f"permuted importance with scikit-learn's permutations, 20 features x {rows:,} rows",
        Side("importance_permuted", options | {"generator": "scikit-learn"}, environment=ONE_THREAD),
        [Goal("faster", None, "scikit-learn")],
        against={"scikit-learn": Side("importance_sklearn", options, environment=ONE_THREAD)},
        check=check,
        rounds=2,
        peer_rounds=1,
    )
