"""What importances refuse: with the thing, its value and what is accepted, and never the library's own error."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tidegauge as tg
from click.testing import CliRunner
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tidegauge import config
from tidegauge.cli._explain import KEYS
from tidegauge.cli._explain import explain as command
from tidegauge.errors import InputError, UsageError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
Y = (X[:, 0] > 0).astype(int)
TEXT = np.where(Y == 1, "late", "on time")
FOREST = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, Y)
METHODS = ("auto", "exact", "permutation")


def probability(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x[:, 0]))


def refused(action: Callable[[], Any], told: str, kind: type[Exception] = UsageError) -> None:
    with pytest.raises(kind, match=re.escape(told)) as found:
        action()
    assert type(found.value) is kind


def unfitted() -> list[Any]:
    catboost = pytest.importorskip("catboost")
    lightgbm = pytest.importorskip("lightgbm")
    xgboost = pytest.importorskip("xgboost")
    return [
        RandomForestClassifier(), HistGradientBoostingClassifier(), LogisticRegression(), LinearRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()), lightgbm.LGBMClassifier(), xgboost.XGBClassifier(),
        catboost.CatBoostClassifier(),
    ]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_models_that_are_not_fitted(method: str) -> None:
    for model in unfitted():
        refused(
            lambda model=model: tg.permutation_importance(model, X, Y, method=method),
            f"model {type(model).__name__} is not fitted; accepted is one that was",
        )


def test_estimators_of_others_may_keep_what_they_learn_as_they_like() -> None:
    class Own(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
        def fit(self, x: Any, y: Any) -> Own:
            self.learned = float(np.mean(y))
            return self

        def predict(self, x: Any) -> Any:
            return self.learned * x[:, 0]

    found = tg.permutation_importance(Own().fit(X, Y), X, Y.astype(float), scoring="neg_mean_squared_error")
    assert found.importances_mean[0] != 0.0 == found.importances_mean[1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", [3, None, 2.5, b"model"])
def test_models_that_are_none(model: Any, method: str) -> None:
    refused(
        lambda: tg.permutation_importance(model, X, Y, method=method),
        f"model {model!r} has no predict and is no function; accepted are estimators, Boosters, sessions, functions",
    )
    refused(lambda: tg.shap_importance(model, X), f"model {model!r}")
    refused(
        lambda: tg.race_importance(model, X, Y, scoring="accuracy", max_predictions=2000), f"model {model!r} has no"
    )


def test_data_and_classes_as_models() -> None:
    refused(lambda: tg.permutation_importance(X, FOREST, Y), "model of type ndarray has no predict")
    refused(lambda: tg.permutation_importance(RandomForestClassifier, X, Y), "model is the class RandomForest")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scoring", [None, "accuracy", "neg_log_loss", "neg_brier_score", "roc_auc"])
def test_labels_that_are_no_classes(scoring: str | None, method: str) -> None:
    refused(
        lambda: tg.permutation_importance(FOREST, X, TEXT, method=method, scoring=scoring),
        f"label {TEXT[0].item()!r} in row 0; classes are [0, 1]",
    )


def test_text_labels_are_the_classes_of_who_learned_them() -> None:
    told = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, TEXT)
    for method in ("exact", "permutation"):
        for scoring in ("accuracy", "neg_log_loss"):
            kwargs: dict[str, Any] = {"method": method, "scoring": scoring}
            ours = tg.permutation_importance(told, X, TEXT, **kwargs).importances_mean
            # "late" comes before "on time".
            theirs = tg.permutation_importance(
                RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, 1 - Y), X, 1 - Y, **kwargs
            )
            np.testing.assert_allclose(ours, theirs.importances_mean, rtol=1e-12, atol=1e-15)
    mixed = TEXT.astype(object)
    mixed[7] = None
    refused(
        lambda: tg.permutation_importance(told, X, mixed, scoring="neg_log_loss"),
        "label None in row 7; classes are ['late', 'on time']",
    )


def test_a_class_that_the_model_does_not_know_counts_as_wrong_as_in_scikit_learn() -> None:
    from sklearn.inspection import permutation_importance

    other = Y.copy()
    other[:3] = 2
    ours = tg.permutation_importance(
        FOREST, X, other, scoring="accuracy", random_state=0, generator="scikit-learn", method="permutation"
    )
    theirs = permutation_importance(FOREST, X, other, scoring="accuracy", random_state=0)
    np.testing.assert_array_equal(ours.importances, theirs.importances)
    refused(
        lambda: tg.permutation_importance(FOREST, X, other, scoring="neg_log_loss", method="permutation"),
        "label 2 in row 0; classes are [0, 1]",
    )


def test_labels_of_functions() -> None:
    def ask(y: Any, scoring: str, model: Any = probability) -> Any:
        return lambda: tg.permutation_importance(model, X, y, scoring=scoring)

    refused(ask(TEXT, "neg_log_loss"), f"y holds {TEXT[0].item()!r} in row 0; accepted are the numbers of classes")
    refused(ask(TEXT, "neg_mean_squared_error"), f"y holds {TEXT[0].item()!r} in row 0; accepted are numbers")
    # -1 would be the last column, 2 none, .5 the first.
    signs = np.where(Y == 1, 1, -1)
    refused(ask(signs, "neg_log_loss"), f"label -1 in row {int(np.argmin(signs))}; accepted are the numbers of classes")
    refused(ask(Y * 2, "neg_log_loss"), "label 2 in row 0; the model predicts 2 classes, from 0")
    refused(ask(Y / 2, "accuracy"), "label 0.5 in row 0; accepted are the numbers of classes")
    holes = Y.astype(float)
    holes[3] = np.nan
    refused(ask(holes, "neg_mean_squared_error"), "label nan in row 3; accepted are finite numbers")
    refused(ask(holes, "neg_log_loss"), "label nan in row 3; accepted are the numbers of classes")
    refused(
        ask(Y - 0.5, "neg_mean_poisson_deviance"),
        f"label -0.5 in row {int(np.argmin(Y))}; accepted are finite numbers from 0",
    )
    refused(
        ask(Y, "neg_mean_gamma_deviance"), f"label 0 in row {int(np.argmin(Y))}; accepted are finite numbers above 0"
    )
    refused(
        ask(Y, "neg_mean_poisson_deviance", lambda x: x[:, 0]),
        f"scoring 'neg_mean_poisson_deviance' of {int((X[:, 0] <= 0).sum())} of 200 rows as they are is not finite",
    )


def test_margins_are_no_probabilities() -> None:
    outside = int(((X[:, 0] < 0) | (X[:, 0] > 1)).sum())
    refused(
        lambda: tg.permutation_importance(lambda x: x[:, 0], X, Y, scoring="neg_log_loss"),
        f"and outside 0 to 1 for {outside} of 200 rows; scoring 'neg_log_loss' takes probabilities",
    )
    # Rounding in single precision is none.
    found = tg.permutation_importance(
        lambda x: probability(x).astype(np.float32) * np.float32(1 + 1e-7), X, Y, scoring="neg_log_loss"
    )
    assert found.importances_mean[0] > 0.0


@pytest.mark.parametrize("method", METHODS)
def test_rows_and_columns(method: str, tmp_path: pathlib.Path) -> None:
    def ask(x: Any, y: Any = Y, **given: Any) -> Any:
        return lambda: tg.permutation_importance(FOREST, x, y, method=method, **given)

    refused(ask(X[:0], Y[:0]), "X has 0 rows; at least 2 are needed")
    refused(ask(X[:1], Y[:1]), "X has 1 rows; at least 2 are needed")
    refused(ask(X[:, :0]), "X has no columns; at least 1 is needed")
    refused(ask(X[:, :2]), "X has 2 columns; the model takes 3")
    refused(ask(np.column_stack([X, X])), "X has 6 columns; the model takes 3")
    refused(ask(pl.DataFrame(X[:, :2])), "X has 2 columns; the model takes 3")
    refused(ask(X, "label"), "y is 'label'; of a table in memory it is one label a row")
    refused(ask(X, groups=[["a"]]), "groups is a list; accepted is a mapping of names to lists of features")
    for name, told in (("x*.parquet", "no file matches"), ("x.parquet", "no such file")):
        path = str(tmp_path / name)
        refused(ask(path, "y"), f"{path}: {told}; accepted are paths and globs of Parquet files", InputError)
        refused(ask([path], "y"), f"{path}: {told}", InputError)
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1 and nothing else PAR1")
    refused(ask(damaged, "y"), f"{damaged}: ", InputError)


def test_columns_of_files(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame(X[:, :2]).with_columns(label=pl.Series(Y)).write_parquet(path)
    refused(
        lambda: tg.permutation_importance(FOREST, path, "label", method="permutation"),
        "X has 2 columns; the model takes 3",
    )


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])
def test_columns_of_boosters(library: str) -> None:
    module = pytest.importorskip(library)
    match library:
        case "lightgbm":
            fitted: Any = module.LGBMClassifier(n_estimators=3, verbose=-1).fit(X, Y)
            models = [fitted, fitted.booster_]
        case "xgboost":
            fitted = module.XGBClassifier(n_estimators=3).fit(X, Y)
            models = [fitted, fitted.get_booster()]
        case _:
            fitted = module.CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False).fit(X, Y)
            models = [fitted]
    for model in models:
        for method in METHODS:
            refused(
                lambda model=model, method=method: tg.permutation_importance(
                    model, X[:, :2], Y, method=method, scoring="neg_log_loss"
                ),
                "X has 2 columns; the model takes 3",
            )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n_threads": -1}, "n_threads -1; accepted is a whole number from 0"),
        ({"n_threads": 1.5}, "n_threads 1.5; accepted is a whole number from 0"),
        ({"memory": "1GB"}, "memory '1GB'; accepted is a whole number from 1,048,576"),
        ({"max_rows": 1}, "max_rows 1; accepted is a whole number from 2"),
        ({"max_rows": "all"}, "max_rows 'all'; accepted is a whole number from 2"),
        ({"n_repeats": True}, "n_repeats True; accepted is a whole number from 1"),
        ({"alpha": "5%"}, "alpha '5%'; accepted is a number between 0 and 1"),
    ],
)
def test_numbers(method: str, given: dict[str, Any], told: str) -> None:
    refused(lambda: tg.permutation_importance(FOREST, X, Y, method=method, **given), told)


def test_scorings_that_nobody_knows() -> None:
    def ask(scoring: Any, model: Any = FOREST) -> str:
        with pytest.raises(UsageError) as found:
            tg.permutation_importance(model, X, Y, scoring=scoring)
        return str(found.value)

    for model in (FOREST, probability):
        told = ask("neg_logloss", model)
        assert told.startswith("scoring 'neg_logloss'; did you mean 'neg_log_loss'?; accepted are prediction_change")
        assert all(name in told for name in ("accuracy", "roc_auc", "r2", "neg_mean_poisson_deviance"))
        assert ask(3, model).startswith("scoring 3; accepted are")


def test_predictions_that_are_nan() -> None:
    def holes(x: Any) -> Any:
        found = probability(x)
        found[x[:, 1] > 1.0] = np.nan
        return found

    rows = np.flatnonzero(X[:, 1] > 1.0)
    for scoring in ("neg_log_loss", "roc_auc", "neg_mean_squared_error", "prediction_change"):
        refused(
            lambda scoring=scoring: tg.permutation_importance(holes, X, Y, scoring=scoring),
            f"the model predicts NaN for {len(rows)} of 200 rows as they are, the first of them row {rows[0]}",
        )
    with pytest.raises(UsageError, match=r"predicts NaN for \d+ of 512 rows as they are that were drawn"):
        tg.race_importance(holes, X, Y, scoring="neg_log_loss", max_predictions=5000)

    # Only where rows are not as they are: no row has both.
    x = X.copy()
    x[:, 1] = np.where(x[:, 0] > 0, -1.0, 1.0)

    def some(x: Any) -> Any:
        return np.where((x[:, 0] > 0) & (x[:, 1] > 0), np.nan, probability(x))

    with pytest.raises(
        UsageError, match=r"predicts NaN for \d+ of 200 rows with 'column_0' from other rows, the first"
    ):
        tg.permutation_importance(some, x, Y, scoring="neg_log_loss")
    with pytest.raises(
        UsageError, match=r"predicts NaN for \d+ of \d+ rows that were drawn with 'column_\d' from other"
    ):
        tg.race_importance(some, x, Y, scoring="neg_log_loss", max_predictions=5000)


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_the_library_refuses(method: str) -> None:
    holes = X.copy()
    holes[3, 1] = np.nan
    model = LogisticRegression().fit(X, Y)
    refused(
        lambda: tg.permutation_importance(model, holes, Y, method=method),
        "LogisticRegression refuses the rows of X: Input X contains NaN.",
    )
    frame = pd.DataFrame({"town": ["Bonn", "Kiel"] * 100, "size": X[:, 0]})
    steps = make_column_transformer((OneHotEncoder(), ["town"]), ("passthrough", ["size"]))
    pipeline = make_pipeline(steps, RandomForestClassifier(3, random_state=0)).fit(frame, Y)
    refused(
        lambda: tg.permutation_importance(pipeline, frame.replace("Kiel", "Ulm"), Y, method=method),
        " refuses the rows of X: Found unknown categories ['Ulm']",
    )


def test_errors_of_a_function_are_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        tg.permutation_importance(lambda x: 1 / 0, X, Y, scoring="neg_log_loss")


def test_infinite_losses() -> None:
    refused(
        lambda: tg.permutation_importance(
            lambda x: np.where(np.arange(len(x)) == 4, np.inf, x[:, 0]), X, Y, scoring="neg_mean_squared_error"
        ),
        "scoring 'neg_mean_squared_error' of 1 of 200 rows as they are is not finite, the first of them row 4",
    )


def test_several_targets_have_scikit_learns_score() -> None:
    from sklearn.inspection import permutation_importance

    y = np.column_stack([X[:, 0], X[:, 1]])
    model = RandomForestRegressor(4, max_depth=3, random_state=0).fit(X, y)
    ours = tg.permutation_importance(model, X, y, scoring="r2", generator="scikit-learn", random_state=1)
    theirs = permutation_importance(model, X, y, scoring="r2", random_state=1)
    np.testing.assert_allclose(ours.importances, theirs.importances, rtol=1e-12)
    assert np.isnan(ours.standard_error).all()


def test_races_take_tables_in_memory(tmp_path: pathlib.Path) -> None:
    for x in (str(tmp_path / "x.parquet"), tmp_path / "x.parquet", pl.LazyFrame({"a": [1.0]})):
        refused(
            lambda x=x: tg.race_importance(FOREST, x, "y", scoring="accuracy", max_predictions=2000),
            "X is a path or LazyFrame; a race draws rows from all over and takes tables in memory",
        )


def test_options_beside_a_configuration_name_their_key() -> None:
    runner = CliRunner()
    for option in command.params:
        if option.name not in KEYS:
            assert option.name in {"model", "data", "overrides", "form", "outputs", "quiet"}
            continue
        kind = option.type.name
        value = [
            option.type.choices[0] if kind == "choice" else {"integer range": "2", "float range": "0.5"}.get(kind, "x")
        ]
        for name in [*option.opts, *option.secondary_opts]:
            value = [] if getattr(option, "is_flag", False) else value
            found = runner.invoke(command, ["examples/bike_2011/tidegauge.toml", name, *value])
            assert found.exit_code == 2, (name, found.output)
            assert f"{name} beside a configuration; accepted is its key there, as --set {KEYS[option.name]}=" in (
                found.output
            )
    # Every key is one: an unknown one would be refused as such.
    for key in KEYS.values():
        with pytest.raises(UsageError) as told:
            config.load("examples/bike_2011/tidegauge.toml", overrides=[f"{key}=[[[1]]]"])
        assert "unknown key" not in str(told.value), key
