"""Permutation importance of a LightGBM model of 200 trees of 31 leaves, beside scikit-learn with 5 repeats."""

from typing import Any

import numpy as np
import pytest
from conftest import Versus
from measure import Goal, Side
from shapes import Data

#: scikit-learn's score and LightGBM's trees get one thread, as ours.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def beside(
    versus: Versus, work: str, side: str, options: dict[str, Any], goal: Goal, check: Any, rounds: int = 3
) -> None:
    """Measure beside scikit-learn on the same model and rows."""
    versus(
        work,
        Side(side, options, environment=ONE_THREAD),
        [goal],
        against={"scikit-learn": Side("importance_sklearn", {"path": options["path"]}, environment=ONE_THREAD)},
        check=check,
        rounds=rounds,
        peer_rounds=1,
    )


@pytest.mark.parametrize(("features", "limit", "stretch"), [(20, 30, 100), (100, 100, None)], ids=["20", "100"])
def test_importance_exact(versus: Versus, data: Data, features: int, limit: float, stretch: float | None) -> None:
    rows = data.scale.importance
    options = {"path": str(data.model(features, rows))}

    def check(ours: Any, others: dict[str, Any]) -> None:
        # Five permutations scatter about the exact mean by less than its own standard error over rows.
        wide = 3 * np.array(ours["standard_error"])
        assert np.all(np.abs(np.subtract(others["scikit-learn"]["mean"], ours["mean"])) <= wide)

    goal = Goal("faster", limit, "scikit-learn", stretch=stretch)
    work = f"exact permutation importance, {features} features x {rows:,} rows"
    beside(versus, work, "importance_exact", options, goal, check)


def test_importance_permuted(versus: Versus, data: Data) -> None:
    """Own permutations, as many as scikit-learn's: means must agree within five of their standard errors."""
    rows = data.scale.importance
    options = {"path": str(data.model(20, rows))}

    def check(ours: Any, others: dict[str, Any]) -> None:
        a, b = np.asarray(ours["all"]), np.asarray(others["scikit-learn"]["all"])
        error = np.sqrt((a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / a.shape[1])
        assert np.all(np.abs(a.mean(axis=1) - b.mean(axis=1)) <= 5 * error + 1e-9)

    work = f"permutation importance, 5 repeats, 20 features x {rows:,} rows"
    beside(versus, work, "importance_permuted", options, Goal("faster", 100, "scikit-learn"), check)


def test_importance_with_the_permutations_of_scikit_learn(versus: Versus, data: Data) -> None:
    """scikit-learn's own permutations: each of its numbers must come out, so that the library predicts."""
    rows = data.scale.importance
    options = {"path": str(data.model(20, rows))}

    def check(ours: Any, others: dict[str, Any]) -> None:
        assert np.allclose(ours["all"], others["scikit-learn"]["all"], rtol=0, atol=1e-12)

    work = f"permuted importance with scikit-learn's permutations, 20 features x {rows:,} rows"
    options["generator"] = "scikit-learn"
    beside(versus, work, "importance_permuted", options, Goal("faster", None, "scikit-learn"), check, rounds=2)
