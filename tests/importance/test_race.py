"""Importances under a budget: against all pairs, over many runs, and where it gains nothing."""

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tidegauge as tg
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from tidegauge.errors import UsageError

SQUARED = "neg_mean_squared_error"
WEIGHTS = np.array([1.0, 0.7, 0.4, 0.1, 0.0])


def draw(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_exponential(size=(rows, 5))
    return x, x @ WEIGHTS + 0.5 * rng.normal(size=rows)


class Line:
    """A function that counts what it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, x: Any) -> np.ndarray:
        rows = np.asarray(x)
        self.asked += len(rows)
        found: np.ndarray = rows @ WEIGHTS
        return found


def exact(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """All pairs, by the closed form of a linear model."""
    model = LinearRegression(fit_intercept=False).fit(x, x @ WEIGHTS)
    found: np.ndarray = tg.permutation_importance(model, x, y, scoring=SQUARED, method="exact").importances_mean
    return found


def test_the_largest_for_a_fraction_of_the_predictions() -> None:
    x, y = draw(20_000, 1)
    line = Line()
    found = tg.race_importance(line, x, y, scoring=SQUARED, max_predictions=1_000_000, top=2)
    assert found.decision == ["top", "top", "rest", "rest", "unchanged"]
    assert found.predictions == line.asked
    # Five permutations of every feature would be 25 predictions a row.
    assert found.predictions < 0.25 * 26 * len(x)
    known = exact(x, y)
    assert ((found.interval[:4, 0] <= known[:4]) & (known[:4] <= found.interval[:4, 1])).all()
    assert found.pairs.max() > found.pairs.min()
    assert found.to_polars()["feature"].to_list()[:2] == ["column_0", "column_1"]
    assert "top  column_0" in repr(found)


def test_decisions_are_wrong_in_no_more_runs_than_told() -> None:
    """200 runs of one table: limits at the moment of the decision, and the decisions."""
    x, y = draw(1500, 2)
    known = exact(x, y)
    failed = wrong = 0
    for seed in range(200):
        found = tg.race_importance(
            Line(), x, y, scoring=SQUARED, max_predictions=30_000, tolerance=0.3, alpha=0.1, random_state=seed
        )
        inside = (found.interval[:, 0] <= known) & (known <= found.interval[:, 1])
        failed += not inside.all()
        wrong += any(
            (of == "above" and value <= 0.3) or (of == "below" and value > 0.3)
            for of, value in zip(found.decision, known, strict=True)
        )
    # 20 are expected at most; 30 is the 99 % point of that.
    assert failed <= 30
    assert wrong <= 30
    assert found.decision[0] == "above"
    assert found.decision[3] == "below"


def test_where_it_gains_nothing() -> None:
    """Features of one importance are never told apart: the budget is spent, and the result says so."""
    x, _ = draw(3000, 3)
    line = Line()
    found = tg.race_importance(
        lambda rows: line(rows * 0 + rows.sum(axis=1, keepdims=True)), x, x.sum(axis=1), scoring=SQUARED,
        max_predictions=60_000, top=2, random_state=np.random.default_rng(5),
    )  # fmt: skip
    assert found.decision == ["open"] * 5
    assert found.predictions == line.asked
    assert 59_000 < found.predictions <= 60_000
    assert any("not decided within 60,000 predictions: column_0" in note for note in found.notes)


def test_tables_classes_groups_and_what_never_changes() -> None:
    x, signal = draw(4000, 4)
    y = np.where(signal > 2.0, "yes", "no")
    frame = pd.DataFrame(x, columns=list("abcde"))
    model = RandomForestClassifier(5, max_depth=4, random_state=0).fit(frame.assign(e=0.0), y)
    before = frame.copy()
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "max_predictions": 250_000, "tolerance": 0.001}
    found = tg.race_importance(model, frame, y, groups={"ab": ["a", "b"], "e": ["e"]}, **ask)
    assert found.decision == ["above", "unchanged"]
    assert any("unchanged: with probability 0.95 at most 0.09% of pairs" in note for note in found.notes)
    assert found.pairs[1] == pytest.approx(4096, rel=0.5)
    assert frame.equals(before)
    polars = tg.race_importance(
        lambda rows: model.predict_proba(rows.to_pandas()), pl.DataFrame(x, schema=list("abcde")), (y == "yes") * 1,
        groups={"ab": ["a", "b"], "e": ["e"]}, **ask,
    )  # fmt: skip
    assert (polars.importances_mean == found.importances_mean).all()
    again = tg.race_importance(model, frame, y, groups={"ab": ["a", "b"], "e": ["e"]}, random_state=1, **ask)
    assert again.importances_mean[0] != found.importances_mean[0]
    known = tg.permutation_importance(model, frame, y, scoring="accuracy", method="exact", groups={"a": ["a"]})
    accuracy = tg.race_importance(model, frame, y, scoring="accuracy", max_predictions=60_000, groups={"a": ["a"]})
    assert accuracy.interval[0, 0] < known.importances_mean[0] < accuracy.interval[0, 1]
    assert accuracy.baseline == pytest.approx(1 - model.score(frame, y), abs=0.03)
    change = tg.race_importance(
        model, frame, scoring="prediction_change", max_predictions=60_000, groups={"a": ["a"]}, tolerance=1.0
    )
    assert change.decision == ["below"]
    r2 = tg.race_importance(Line(), x, signal, scoring="r2", max_predictions=40_000, top=1)
    assert r2.interval[0, 0] < exact(x, signal)[0] / signal.var() < r2.interval[0, 1]


def test_what_is_refused() -> None:
    x, y = draw(300, 5)
    for told, given in (
        ("max_predictions 100; accepted is a whole number from 1,024", {"max_predictions": 100}),
        ("the 5 largest of 5 features; accepted are 1 to 4", {"top": 5}),
        ("tolerance -1", {"tolerance": -1.0}),
        ("alpha 2; accepted is between 0 and 1", {"alpha": 2.0}),
        ("scoring 'roc_auc' is no mean over rows", {"scoring": "roc_auc"}),
    ):
        ask: dict[str, Any] = {"scoring": SQUARED, "max_predictions": 5000} | given
        with pytest.raises(UsageError, match=told):
            tg.race_importance(Line(), x, y, **ask)
    with pytest.raises(UsageError, match="y has 10 rows, X 300"):
        tg.race_importance(Line(), x, y[:10], scoring=SQUARED, max_predictions=5000)
    with pytest.raises(UsageError, match="otherwise among other rows"):
        tg.race_importance(lambda rows: rows[:, 0] - rows[:, 0].mean(), x, y, scoring=SQUARED, max_predictions=5000)
    # A budget for one look at most: nothing is believed yet.
    few = tg.race_importance(Line(), x, y, scoring=SQUARED, max_predictions=1024, top=1)
    assert few.decision == ["open"] * 5
    assert math.isnan(few.importances_mean[0])
    assert (few.interval == [-math.inf, math.inf]).all()
