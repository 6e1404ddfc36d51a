"""Interventional Shapley values against their definition, through each library's own predictions, and `shap`."""

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tidegauge as tg
from shap_golden import case as golden_case
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tidegauge.errors import UsageError
from zoo import case

ROWS, BACKGROUND = 6, 9


def by_definition(margin: Any, x: Any, z: Any, players: list[list[int]]) -> np.ndarray:
    """Shapley values (players, rows[, outputs]): all subsets of players, all rows of the background."""
    d = len(players)
    worth = {}
    for size in range(d + 1):
        for chosen in combinations(range(d), size):
            mixed = []
            for i in range(len(x)):
                rows = z.copy()
                for p in chosen:
                    for j in players[p]:
                        if isinstance(rows, pd.DataFrame):
                            rows.isetitem(j, pd.Series([x.iloc[i, j]] * len(z), index=z.index, dtype=x.dtypes.iloc[j]))
                        else:
                            rows[:, j] = x[i, j]
                mixed.append(np.asarray(margin(rows)).mean(axis=0))
            worth[frozenset(chosen)] = np.array(mixed)
    found = []
    for p in range(d):
        total = 0.0
        for chosen, value in worth.items():
            if p not in chosen:
                weight = math.factorial(len(chosen)) * math.factorial(d - len(chosen) - 1) / math.factorial(d)
                total = total + weight * (worth[chosen | {p}] - value)
        found.append(total)
    return np.array(found)


def margin_of(name: str, model: Any) -> Any:
    """Margins by the library."""
    if name.startswith("lightgbm"):
        return lambda rows: getattr(model, "booster_", model).predict(rows, raw_score=True)
    if name.startswith("forest"):
        return lambda rows: model.predict_proba(rows)[:, 1] if name.endswith("binary") else model.predict_proba(rows)
    return model.decision_function if hasattr(model, "decision_function") else model.predict


@pytest.mark.parametrize(
    "name",
    ["lightgbm-binary", "lightgbm-categorical", "lightgbm-multiclass", "histogram", "histogram-binary", "forest-binary",
     "forest-classes"],
)  # fmt: skip
def test_equals_the_definition(name: str) -> None:
    known = case(name)
    x, z = known.x[:ROWS], known.x[50 : 50 + BACKGROUND]
    found = tg.shap_importance(known.model, x, z, values=True)
    expected = by_definition(margin_of(name, known.model), x, z, [[j] for j in range(5)])
    assert found.values is not None
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(found.mean, expected.mean(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.mean_abs, np.abs(expected).mean(axis=1), rtol=0, atol=1e-12)
    error = expected.std(axis=1, ddof=1) / math.sqrt(ROWS)
    np.testing.assert_allclose(found.standard_error, error, rtol=0, atol=1e-12)
    error = np.abs(expected).std(axis=1, ddof=1) / math.sqrt(ROWS)
    np.testing.assert_allclose(found.standard_error_abs, error, rtol=0, atol=1e-12)
    # Values and what the background expects add up to the margin.
    whole = margin_of(name, known.model)(x)
    np.testing.assert_allclose(found.values.sum(axis=0) + found.expected_value, whole, rtol=0, atol=1e-10)
    assert (found.mean_abs[4] == 0.0).all()


def test_raw_columns_of_a_pipeline_and_groups() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"city": rng.choice(["bonn", "köln", "ulm"], 400), "size": rng.normal(size=400), "age": rng.integers(0, 9, 400)}
    )
    y = ((frame["city"] == "ulm") * frame["size"] + 0.1 * frame["age"] > 0.3).astype(int)
    steps = make_column_transformer((OneHotEncoder(), ["city"]), (StandardScaler(), ["size", "age"]))
    model = GradientBoostingClassifier(n_estimators=15, max_depth=3, random_state=0)
    pipeline = make_pipeline(steps, model).fit(frame, y)
    x, z = frame.iloc[:ROWS], frame.iloc[100 : 100 + BACKGROUND]
    found = tg.shap_importance(pipeline, x, z, values=True)
    assert found.features == ["city", "size", "age"]
    expected = by_definition(pipeline.decision_function, x, z, [[0], [1], [2]])
    assert found.values is not None
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-12)
    grouped = tg.shap_importance(pipeline, x, z, groups={"both": ["age", "city"]}, values=True)
    assert grouped.features == ["both", "size"]
    expected = by_definition(pipeline.decision_function, x, z, [[0, 2], [1]])
    assert grouped.values is not None
    np.testing.assert_allclose(grouped.values, expected, rtol=0, atol=1e-12)
    with pytest.raises(UsageError, match="'city' is in the groups 'one' and 'two'"):
        tg.shap_importance(pipeline, x, z, groups={"one": ["city"], "two": ["city", "size"]})


@pytest.mark.parametrize("model", [LinearRegression(), LogisticRegression()])
def test_linear_models(model: Any) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 3)) * [1.0, 2.0, 0.5]
    y = x @ [1.0, -1.0, 2.0] + rng.normal(size=200)
    model.fit(x, y > 0 if isinstance(model, LogisticRegression) else y)
    margin = model.decision_function if isinstance(model, LogisticRegression) else model.predict
    found = tg.shap_importance(model, x[:ROWS], x[20:29], groups={"ab": [0, 1]}, values=True)
    expected = by_definition(margin, x[:ROWS], x[20:29], [[0, 1], [2]])
    assert found.values is not None
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-12)
    assert found.expected_value == pytest.approx(float(margin(x[20:29]).mean()))


def test_as_shap_says() -> None:
    """Means of `shap.TreeExplainer` with interventional perturbation, made by shap_golden.py."""
    golden = json.loads((Path(__file__).parent / "shap_golden.json").read_text())
    for name, known in golden["cases"].items():
        model, x, z = golden_case(name)
        found = tg.shap_importance(model, x, z)
        # shap adds up leaves in double precision, but stores thresholds and LightGBM's text in fewer digits.
        np.testing.assert_allclose(found.mean_abs, known["mean_abs"], rtol=0, atol=2e-6)
        np.testing.assert_allclose(found.mean, known["mean"], rtol=0, atol=2e-6)
        assert found.expected_value == pytest.approx(known["expected_value"], abs=2e-6)


def test_tables_names_and_what_is_refused() -> None:
    known = case("histogram")
    alone = tg.shap_importance(known.model, known.x[:300])
    same = tg.shap_importance(known.model, known.x[:300], known.x[:300])
    assert (alone.mean_abs == same.mean_abs).all()
    # Rows against themselves move nothing on the average.
    np.testing.assert_allclose(alone.mean, 0.0, atol=1e-12)
    table = alone.to_polars()
    assert table.columns == ["feature", "output", "mean_abs", "standard_error_abs", "mean", "standard_error"]
    assert table["mean_abs"].is_sorted(descending=True)
    assert table["feature"][0] == "column_0"
    assert "300 rows against 300" in repr(alone)
    assert "of output 2" in repr(tg.shap_importance(case("forest-classes").model, known.x[:50]))
    assert np.isnan(tg.shap_importance(known.model, known.x[:1]).standard_error).all()
    with pytest.raises(UsageError, match="background has no rows"):
        tg.shap_importance(known.model, known.x, known.x[:0])
    with pytest.raises(UsageError, match="X has 3 columns; the model takes 5"):
        tg.shap_importance(known.model, known.x, known.x[:, :3])
    with pytest.raises(UsageError, match="exact"):
        tg.shap_importance(lambda rows: rows[:, 0], known.x)
    deep = RandomForestClassifier(2, random_state=0).fit(np.random.default_rng(2).normal(size=(900, 90)), [0, 1] * 450)
    x = np.random.default_rng(3).normal(size=(40, 90))
    found = tg.shap_importance(deep, x, values=True)
    assert found.values is not None
    whole = deep.predict_proba(x)[:, 1]
    np.testing.assert_allclose(found.values.sum(axis=0) + found.expected_value, whole, rtol=0, atol=1e-12)
