"""Scores of expected counts over all pairs, against brute force, scikit-learn and all permutations."""

import itertools
import math
from typing import Any

import lightgbm
import numpy as np
import pytest
import tidegauge as tg
from sklearn import metrics
from sklearn.tree import DecisionTreeClassifier
from tidegauge._plug_in import SCORES
from tidegauge.errors import UsageError
from zoo import case

RANKING = ("roc_auc", "average_precision")


def score(name: str, y: np.ndarray, p: np.ndarray, w: np.ndarray | None = None) -> float:
    classes = (p > 0.5).astype(int)
    of_classes: dict[str, Any] = {
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "f1": metrics.f1_score,
        "matthews_corrcoef": metrics.matthews_corrcoef,
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
    }
    if name == "roc_auc":
        return float(metrics.roc_auc_score(y, p, sample_weight=w))
    if name == "average_precision":
        return float(metrics.average_precision_score(y, p, sample_weight=w))
    return float(of_classes[name](y, classes, sample_weight=w))


def expected(predict: Any, x: np.ndarray, y: np.ndarray, name: str) -> np.ndarray:
    """Every row with the value of every other, as n (n - 1) rows."""
    n = len(x)
    own = score(name, y, predict(x))
    rows, donors = np.nonzero(~np.eye(n, dtype=bool))
    found = []
    for j in range(x.shape[1]):
        exchanged = x[rows].copy()
        exchanged[:, j] = x[donors, j]
        found.append(own - score(name, y[rows], predict(exchanged)))
    return np.array(found)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("model", ["lightgbm-binary", "forest-binary"])
def test_every_pair_is_counted(name: str, model: str) -> None:
    known = case(model)
    x, y = known.x[:60], known.y[:60]
    found = tg.permutation_importance(known.model, x, y, scoring=name, method="exact")
    value = expected(known.predict, x, y, name)
    # Exact of tables; of rankings within the bounds that are told.
    error = found.provenance["numerical_error"]
    assert error < 0.05 if name in RANKING else error == 0.0
    np.testing.assert_array_less(np.abs(found.importances_mean - value), error + 1e-9)
    assert found.baseline == pytest.approx(score(name, y, known.predict(x)), abs=1e-9)
    assert found.definition == "permutation_importance/plug-in/v1"
    assert np.isnan(found.standard_error).all()


@pytest.mark.parametrize("name", SCORES)
def test_weighted_rows_and_donors(name: str) -> None:
    """A row counts by its weight, divided among the other rows by theirs."""
    known = case("lightgbm-binary")
    n = 60
    x, y = known.x[:n], known.y[:n]
    rng = np.random.default_rng(4)
    w = rng.lognormal(sigma=1.2, size=n)
    w[rng.random(n) < 0.2] = 0.0
    found = tg.permutation_importance(known.model, x, y, scoring=name, method="exact", sample_weight=w)
    rows, donors = np.nonzero(~np.eye(n, dtype=bool))
    share = w[rows] * w[donors] / (w.sum() - w[rows])
    own = score(name, y, known.predict(x), w)
    value = []
    for j in range(x.shape[1]):
        exchanged = x[rows].copy()
        exchanged[:, j] = x[donors, j]
        value.append(own - score(name, y[rows], known.predict(exchanged), share))
    error = found.provenance["numerical_error"]
    np.testing.assert_array_less(np.abs(found.importances_mean - value), error + 1e-9)
    assert found.baseline == pytest.approx(own, abs=1e-9)
    assert found.weighted_rows == pytest.approx(w.sum() ** 2 / (w**2).sum())
    # Twice the weight is the same weight, and equal weights are none.
    again = tg.permutation_importance(known.model, x, y, scoring=name, method="exact", sample_weight=2 * w)
    assert (again.importances_mean == found.importances_mean).all()
    equal = tg.permutation_importance(known.model, x, y, scoring=name, method="exact", sample_weight=np.full(n, 3.0))
    none = tg.permutation_importance(known.model, x, y, scoring=name, method="exact")
    np.testing.assert_allclose(equal.importances_mean, none.importances_mean, atol=1e-12)


@pytest.mark.parametrize("name", RANKING)
def test_bounds_shrink_with_rows(name: str) -> None:
    """Of many rows bins are narrow: the mean over permutations lies within its own noise."""
    known = case("lightgbm-binary")
    found = tg.permutation_importance(known.model, known.x, known.y, scoring=name, method="exact")
    assert found.provenance["numerical_error"] < {"roc_auc": 2e-3, "average_precision": 1e-2}[name]
    permuted = tg.permutation_importance(
        known.model, known.x, known.y, scoring=name, method="permutation", n_repeats=40
    )
    noise = permuted.importances_std / math.sqrt(40)
    # Means over permutations differ by up to 2 / n.
    np.testing.assert_array_less(
        np.abs(found.importances_mean - permuted.importances_mean),
        5 * noise + 2 / len(known.x) + found.provenance["numerical_error"],
    )
    assert found.importances_mean[4] == 0.0


@pytest.mark.parametrize("name", ["roc_auc", "balanced_accuracy", "f1"])
def test_difference_from_all_permutations(name: str) -> None:
    """Of seven rows all 5,040 permutations: an area differs by at most (2 n - 3) / (n (n - 1)), others by 2 / n."""
    rng = np.random.default_rng(4)
    x = np.round(rng.normal(size=(7, 2)), 2)
    y = np.array([0, 1, 0, 1, 1, 0, 1])
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(
        rng.normal(size=(200, 2)), rng.integers(0, 2, size=200)
    )

    def predict(rows: np.ndarray) -> np.ndarray:
        return model.predict_proba(rows)[:, 1]

    found = tg.permutation_importance(model, x, y, scoring=name, method="exact")
    n = len(x)
    limit = (2 * n - 3) / (n * (n - 1)) if name == "roc_auc" else 2 / n
    for j in range(2):
        total = 0.0
        orders = list(itertools.permutations(range(n)))
        for order in orders:
            rows = x.copy()
            rows[:, j] = x[list(order), j]
            total += score(name, y, predict(rows))
        mean = score(name, y, predict(x)) - total / len(orders)
        error = found.provenance["numerical_error"]
        assert abs(found.importances_mean[j] - mean) <= limit + error + 1e-12


def test_groups_threads_and_automatic_choice() -> None:
    known = case("lightgbm-binary")
    ask: dict[str, Any] = {"scoring": ["roc_auc", "neg_log_loss"], "groups": {"both": [0, 2], "one": [1]}}
    one = tg.permutation_importance(known.model, known.x, known.y, n_threads=1, **ask)
    two = tg.permutation_importance(known.model, known.x, known.y, n_threads=2, **ask)
    assert one["roc_auc"].method == "exact"
    np.testing.assert_array_equal(one["roc_auc"].importances_mean, two["roc_auc"].importances_mean)
    assert one["roc_auc"].features == ["both", "one"]
    single = tg.permutation_importance(known.model, known.x, known.y, scoring="roc_auc", method="exact")
    assert one["roc_auc"].importances_mean[1] == pytest.approx(single.importances_mean[1], abs=1e-9)


def test_root_of_the_expected_mean() -> None:
    known = case("lightgbm-no-missing")
    ask: dict[str, Any] = {"method": "exact"}
    mean = tg.permutation_importance(known.model, known.x, known.y, scoring="neg_mean_squared_error", **ask)
    found = tg.permutation_importance(known.model, known.x, known.y, scoring="neg_root_mean_squared_error", **ask)
    value = np.sqrt(mean.baseline + mean.importances_mean) - math.sqrt(mean.baseline)
    np.testing.assert_allclose(found.importances_mean, value, rtol=1e-12)
    np.testing.assert_allclose(found.ratio, np.sqrt(mean.ratio), rtol=1e-12)
    assert found.baseline == -math.sqrt(mean.baseline)
    assert np.isnan(found.standard_error).all()


def test_what_has_no_such_form() -> None:
    three = case("lightgbm-multiclass")
    with pytest.raises(UsageError, match="two classes only"):
        tg.permutation_importance(three.model, three.x, three.y, scoring="roc_auc", method="exact")
    known = case("lightgbm-binary")
    with pytest.raises(UsageError, match="all of one class"):
        tg.permutation_importance(known.model, known.x, known.y * 0, scoring="roc_auc", method="exact")
    with pytest.raises(UsageError, match="conditional_on with scoring 'f1' has no exact form"):
        tg.permutation_importance(known.model, known.x, known.y, scoring="f1", method="exact", conditional_on=known.y)
    with pytest.raises(UsageError, match="all of one class"):
        tg.permutation_importance(
            known.model, known.x, known.y, scoring="f1", method="exact", sample_weight=known.y * 1.0
        )
    with pytest.raises(UsageError, match="top_k_accuracy' has no exact form; exact are accuracy"):
        tg.permutation_importance(known.model, known.x, known.y, scoring="top_k_accuracy", method="exact")


def test_many_rows_are_binned() -> None:
    """More different scores than bins: the score as it is, too, is told with its bounds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 4))
    y = (x @ [1.0, 1.0, 0.5, 0.2] + rng.normal(size=len(x)) > 0).astype(int)
    model = lightgbm.LGBMClassifier(n_estimators=40, num_leaves=31, n_jobs=1, verbose=-1).fit(x, y)
    p = model.predict_proba(x)[:, 1]
    assert len(np.unique(p)) > 2**14
    for name in RANKING:
        found = tg.permutation_importance(model, x, y, scoring=name, method="exact")
        error = found.provenance["numerical_error"]
        assert error < 5e-4
        assert found.baseline == pytest.approx(score(name, y, p), abs=error)
