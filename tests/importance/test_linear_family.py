"""Closed forms of scikit-learn's linear models, against all pairs of rows through the estimator itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tidegauge as tg
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    GammaRegressor,
    HuberRegressor,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    RidgeClassifier,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from tidegauge import _models
from tidegauge.errors import UsageError

ROWS = 150
RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(size=ROWS), RNG.integers(0, 4, ROWS), RNG.normal(size=ROWS)])
COUNTS = RNG.poisson(np.exp(0.5 + 0.7 * X[:, 0] - 0.2 * X[:, 1])).astype(float)
AMOUNTS = RNG.gamma(2.0, np.exp(0.6 * X[:, 0] + 0.1 * X[:, 1]))
CLASSES = np.array(["a", "b", "c"])[np.argmax(X @ RNG.normal(size=(3, 3)) + RNG.gumbel(size=(ROWS, 3)), axis=1)]
TWO = np.where(CLASSES == "a", "no", "yes")
#: One rounding more or less of sums over pairs.
TIGHT = 1e-11


def pairs(model: Any, y: Any, loss: Any, j: list[int]) -> float:
    """The mean over all pairs of different rows, one prediction each."""
    before = loss(model, X, y)
    total = 0.0
    for shift in range(1, ROWS):
        x = X.copy()
        x[:, j] = np.roll(X[:, j], shift, axis=0)
        total += float(np.sum(loss(model, x, y) - before))
    return total / (ROWS * (ROWS - 1))


def of_numbers(name: str) -> Any:
    def loss(model: Any, x: Any, y: Any) -> Any:
        p = model.predict(x)
        match name:
            case "neg_mean_squared_error":
                return (y - p) ** 2
            case "neg_mean_absolute_error":
                return np.abs(y - p)
            case "neg_mean_pinball_loss":
                return np.abs(y - p) / 2
            case "neg_mean_poisson_deviance":
                log = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / p), 0.0)
                return 2 * (log - y + p)
        return 2 * (np.log(p / y) + y / p - 1)

    return loss


def of_classes(name: str) -> Any:
    def loss(model: Any, x: Any, y: Any) -> Any:
        if name == "accuracy":
            return (model.predict(x) != y).astype(float)
        k = np.searchsorted(model.classes_, y)
        if name == "neg_log_loss" and len(model.classes_) == 2:
            # One less a probability near 1 has few digits.
            return np.logaddexp(0.0, np.where(k == 1, -1.0, 1.0) * model.decision_function(x))
        p = model.predict_proba(x)
        if name == "neg_log_loss":
            return -np.log(p[np.arange(len(y)), k])
        errors = (p - np.eye(p.shape[1])[k]) ** 2
        return errors[:, 1] if p.shape[1] == 2 else errors.sum(axis=1)

    return loss


NUMBERS = ("neg_mean_squared_error", "neg_mean_absolute_error", "neg_mean_pinball_loss")
DEVIANCES = ("neg_mean_poisson_deviance", "neg_mean_gamma_deviance")


@pytest.mark.parametrize("scoring", [*NUMBERS, *DEVIANCES])
@pytest.mark.parametrize(
    "model",
    [PoissonRegressor(alpha=0.1), GammaRegressor(alpha=0.1), TweedieRegressor(power=1.5, alpha=0.1)],
    ids=lambda model: type(model).__name__,
)
def test_log_link(model: Any, scoring: str) -> None:
    y = AMOUNTS if scoring == "neg_mean_gamma_deviance" or isinstance(model, GammaRegressor) else COUNTS
    model.fit(X, y)
    found = tg.permutation_importance(model, X, y, scoring=scoring, method="exact")
    loss = of_numbers(scoring)
    for j in range(3):
        assert found.importances_mean[j] == pytest.approx(pairs(model, y, loss, [j]), rel=TIGHT, abs=TIGHT)
    assert found.baseline == pytest.approx(float(np.mean(loss(model, X, y))), rel=TIGHT)
    together = tg.permutation_importance(model, X, y, scoring=scoring, method="exact", groups={"both": [0, 1]})
    assert together.importances_mean[0] == pytest.approx(pairs(model, y, loss, [0, 1]), rel=TIGHT, abs=TIGHT)


def test_links_that_are_not_logs() -> None:
    plain = TweedieRegressor(power=0, alpha=0.1).fit(X, COUNTS)
    found = tg.permutation_importance(plain, X, COUNTS, scoring="neg_mean_squared_error", method="exact")
    loss = of_numbers("neg_mean_squared_error")
    assert found.importances_mean[0] == pytest.approx(pairs(plain, COUNTS, loss, [0]), rel=TIGHT)
    robust = HuberRegressor().fit(X, COUNTS)
    assert tg.permutation_importance(robust, X, COUNTS, scoring="r2").method == "exact"
    # Their own score is another than R², and is not passed over.
    own = tg.permutation_importance(plain, X, COUNTS)
    assert own.method == "permutation"
    assert own.scoring == "score"
    assert own.notes[0].endswith("is D², which has no exact form; name a scoring")
    assert own.baseline == pytest.approx(plain.score(X, COUNTS))


@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score", "accuracy"])
@pytest.mark.parametrize(
    "model", [LogisticRegression(C=3.0), LinearDiscriminantAnalysis()], ids=lambda model: type(model).__name__
)
def test_several_classes(model: Any, scoring: str) -> None:
    model.fit(X, CLASSES)
    found = tg.permutation_importance(model, X, CLASSES, scoring=scoring, method="exact")
    loss = of_classes(scoring)
    for j in range(3):
        assert found.importances_mean[j] == pytest.approx(pairs(model, CLASSES, loss, [j]), rel=TIGHT, abs=TIGHT)
    assert found.baseline == pytest.approx(float(np.mean(loss(model, X, CLASSES))), rel=TIGHT)
    assert found.provenance["numerical_error"] < 1e-11
    # Features together have their different donors, here one for each row.
    both = tg.permutation_importance(model, X, CLASSES, scoring=scoring, method="exact", groups={"both": [0, 2]})
    assert both.importances_mean[0] == pytest.approx(pairs(model, CLASSES, loss, [0, 2]), rel=TIGHT, abs=TIGHT)


def test_several_classes_behind_a_pipeline_and_in_blocks() -> None:
    frame = pd.DataFrame({"town": np.array(list("wxyz"))[X[:, 1].astype(int)], "size": X[:, 0]})
    steps = make_column_transformer((OneHotEncoder(), ["town"]), (StandardScaler(), ["size"]))
    model = make_pipeline(steps, LogisticRegression()).fit(frame, CLASSES)
    found = tg.permutation_importance(model, frame, CLASSES, scoring="neg_log_loss")
    assert (found.method, found.features) == ("exact", ["town", "size"])
    plain = tg.permutation_importance(
        model, frame, CLASSES, scoring="neg_log_loss", method="permutation", n_repeats=400
    )
    # Of 400 permutations.
    np.testing.assert_allclose(found.expected_permutation, plain.importances_mean, rtol=0.02)
    np.testing.assert_allclose(found.standard_error, plain.standard_error, rtol=0.1)
    blocks = tg.permutation_importance(
        model, frame, CLASSES, scoring="neg_log_loss", block=np.repeat(np.arange(30), 5), sample_weight=np.ones(ROWS)
    )
    np.testing.assert_allclose(blocks.importances_mean, found.importances_mean, rtol=1e-10)
    assert blocks.n_blocks == 30


@pytest.mark.parametrize(
    ("model", "probabilities"),
    [
        (RidgeClassifier(), False),
        (LinearSVC(), False),
        (Perceptron(), False),
        (SGDClassifier(random_state=0), False),
        (SGDClassifier(loss="log_loss", random_state=0), True),
        (LinearDiscriminantAnalysis(), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_two_classes(model: Any, probabilities: bool) -> None:
    model.fit(X, TWO)
    for scoring in ("accuracy", "neg_log_loss", "neg_brier_score") if probabilities else ("accuracy",):
        found = tg.permutation_importance(model, X, TWO, scoring=scoring, method="exact")
        loss = of_classes(scoring)
        for j in range(3):
            assert found.importances_mean[j] == pytest.approx(pairs(model, TWO, loss, [j]), rel=TIGHT, abs=TIGHT)
        assert found.baseline == pytest.approx(float(np.mean(loss(model, X, TWO))), rel=TIGHT)
    if not probabilities:
        with pytest.raises(UsageError, match="has no probabilities, so that accuracy alone has an exact form"):
            tg.permutation_importance(model, X, TWO, scoring="neg_log_loss", method="exact")
        assert tg.permutation_importance(model, X, TWO).method == "exact"


def test_what_has_no_form_says_so() -> None:
    ridge = RidgeClassifier().fit(X, CLASSES)
    found = tg.permutation_importance(ridge, X, CLASSES)
    assert found.method == "permutation"
    assert found.notes[0] == (
        "by permutation: RidgeClassifier with coefficients of shape (3, 3) has no exact form here"
    )
    with pytest.raises(UsageError, match="of 3 classes has no Shapley values here; accepted are two"):
        tg.shap_importance(LogisticRegression().fit(X, CLASSES), X)


def test_log_link_of_a_file(tmp_path: Path) -> None:
    model = PoissonRegressor(alpha=0.1).fit(X, COUNTS)
    told = {
        "features": ["u", "v", "w"], "coefficients": model.coef_.tolist(), "intercept": float(model.intercept_),
        "link": "log",
    }  # fmt: skip
    path = tmp_path / "rate.json"
    path.write_text(json.dumps(told))
    rows = dict(zip("uvw", X.T, strict=True))
    ours = tg.permutation_importance(path, rows, COUNTS, scoring="neg_mean_poisson_deviance")
    theirs = tg.permutation_importance(model, X, COUNTS, scoring="neg_mean_poisson_deviance")
    np.testing.assert_allclose(ours.importances_mean, theirs.importances_mean, rtol=1e-12)
    np.testing.assert_allclose(_models.load(path, allow_pickle=False).predict(rows), model.predict(X), rtol=1e-12)
    path.write_text(json.dumps(told | {"link": "probit"}))
    with pytest.raises(Exception, match="link 'probit'; accepted are identity, logistic, log"):
        _models.load(path, allow_pickle=False)
