"""The interval covers the importance in the population, and the p-value keeps its level."""

import math

import numpy as np
import pytest
import tidegauge as tg
from sklearn.tree import DecisionTreeRegressor
from tidegauge import _core, _models

RUNS = 1000


def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features a (strong), b (weak), c (the model uses it, the labels do not), and labels."""
    x = rng.normal(size=(rows, 3))
    return x, 2 * x[:, 0] + 0.4 * x[:, 1] + rng.normal(size=rows)


@pytest.mark.parametrize(("loss", "rows"), [("squared", 300), ("absolute", 300), ("squared", 1000)])
def test_coverage_and_level(loss: str, rows: int) -> None:
    rng = np.random.default_rng(7)
    x, y = draw(rng, 4000)
    # The model leans on `c` as well, so its importance is estimated, and is not positive.
    model = DecisionTreeRegressor(max_leaf_nodes=24, random_state=0).fit(x, y + 0.4 * x[:, 2])
    trees = _models.read(model).trees

    def estimate(x: np.ndarray, y: np.ndarray) -> dict:
        import json

        columns = [np.ascontiguousarray(c) for c in x.T]
        donors = _core.Donors(trees, loss, 0.5)
        donors.update(columns, y)
        sums = _core.ImportanceSums(donors)
        sums.update(columns, y, 1)
        return json.loads(sums.finish(0.05))

    truth = np.array(estimate(*draw(rng, 400_000))["importance"])
    covered, rejected = np.zeros(3), 0
    for _ in range(RUNS):
        found = estimate(*draw(rng, rows))
        covered += (np.array(found["low"]) <= truth) & (truth <= np.array(found["high"]))
        # One-sided at the edge of the null: against the true value instead of 0.
        rejected += (found["importance"][2] - truth[2]) / found["standard_error"][2] > 1.6448536269514722
    noise = 4 * math.sqrt(0.05 * 0.95 / RUNS)
    assert np.all(np.abs(covered / RUNS - 0.95) < 0.015 + noise), covered / RUNS
    assert abs(rejected / RUNS - 0.05) < 0.01 + noise, rejected / RUNS


def test_deep_forests_are_permuted_and_say_why() -> None:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    x = rng.normal(size=(12_000, 8))
    y = x[:, 0] + rng.normal(size=12_000)
    model = RandomForestRegressor(1, random_state=0, max_features=2).fit(x, y)
    model.estimators_ *= 80
    found = tg.permutation_importance(model, x[:100], y[:100], n_repeats=1)
    assert found.method == "permutation"
    assert "forests of deep trees" in found.notes[0]
