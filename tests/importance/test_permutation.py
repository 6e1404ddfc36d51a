"""Permutation of any model: scikit-learn's numbers, the caller's data untouched, honest intervals."""

import copy

import numpy as np
import pytest
import tidegauge as tg
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from tidegauge import _permutation
from tidegauge._models import Table
from tidegauge.errors import UsageError
from zoo import case, table

NAMES = ["a", "b", "c", "level", "unused"]


def frame(rows: int = 300):  # type: ignore[no-untyped-def]
    pd = pytest.importorskip("pandas")
    x, signal = table()
    return pd.DataFrame(x[:rows], columns=NAMES), (signal[:rows] > 0).astype(int)


@pytest.mark.parametrize("scoring", [None, "roc_auc", "neg_log_loss", "balanced_accuracy"])
@pytest.mark.parametrize("random_state", [0, np.random.RandomState(5)])
@pytest.mark.parametrize("container", ["numpy", "pandas"])
def test_the_numbers_of_scikit_learn(container: str, random_state, scoring: str | None) -> None:  # type: ignore[no-untyped-def]
    x, y = frame()
    x = x.to_numpy() if container == "numpy" else x
    model = DecisionTreeClassifier(max_depth=4).fit(x, y)
    ours = tg.permutation_importance(
        model, x, y, method="permutation", scoring=scoring, random_state=random_state, generator="scikit-learn"
    )
    # scikit-learn advances the caller's generator; ours had the same one before it did.
    theirs = sklearn_importance(model, x, y, scoring=scoring, random_state=copy.deepcopy(random_state), n_repeats=5)
    np.testing.assert_array_equal(ours.importances, theirs.importances)
    np.testing.assert_array_equal(ours.importances_mean, theirs.importances_mean)
    np.testing.assert_array_equal(ours.importances_std, theirs.importances_std)


def test_nothing_of_the_caller_changes() -> None:
    x, y = frame()
    model = DecisionTreeClassifier(max_depth=4).fit(x, y)
    before, values = x.copy(deep=True), x.to_numpy().copy()
    state = np.random.RandomState(3)
    told = state.get_state()[1].copy()
    for kind in ("keyed", "scikit-learn"):
        tg.permutation_importance(
            model, x, y, method="permutation", random_state=state, generator=kind, groups={"g": ["a", "level"]}
        )
    assert x.equals(before)
    np.testing.assert_array_equal(state.get_state()[1], told)
    readonly = values.copy()
    readonly.setflags(write=False)
    found = tg.permutation_importance(
        LinearRegression().fit(np.nan_to_num(values), y), np.nan_to_num(values), y, method="permutation"
    )
    assert found.importances is not None
    tg.permutation_importance(lambda x: x[:, 0], readonly, y, scoring="neg_mean_squared_error")
    np.testing.assert_array_equal(readonly, values)


def test_a_keyed_permutation_depends_on_name_and_seed_alone() -> None:
    """Adding, dropping or reordering columns does not change what the others get."""
    x, y = frame()
    x = x.drop(columns=["c", "level"])
    model = LogisticRegression().fit(x, y)
    whole = tg.permutation_importance(model, x, y, method="permutation", scoring="neg_log_loss", random_state=4)

    def reordered(rows):  # type: ignore[no-untyped-def]
        return model.predict_proba(rows[["a", "b", "unused"]])

    turned = tg.permutation_importance(
        reordered, x[["unused", "b", "a"]], y, method="permutation", scoring="neg_log_loss", random_state=4
    )
    assert turned.features == ["unused", "b", "a"]
    assert whole.importances is not None
    assert turned.importances is not None
    np.testing.assert_allclose(turned.importances[::-1], whole.importances[[0, 1, 2]], rtol=0, atol=1e-12)
    other = tg.permutation_importance(model, x, y, method="permutation", scoring="neg_log_loss", random_state=5)
    assert not np.array_equal(other.importances, whole.importances)


@pytest.mark.parametrize("container", ["dict", "numpy", "pandas", "polars", "pyarrow"])
def test_containers_give_the_same_numbers(container: str) -> None:
    x, y = frame(200)
    x = x.fillna(0.0)
    weights = np.array([1.0, 2.0, -1.0, 0.5, 0.0])
    given = {
        "dict": lambda: {n: x[n].to_numpy() for n in x},
        "numpy": lambda: x.to_numpy(),
        "pandas": lambda: x,
        "polars": lambda: pytest.importorskip("polars").DataFrame({n: x[n].to_numpy() for n in x}),
        "pyarrow": lambda: pytest.importorskip("pyarrow").table({n: x[n].to_numpy() for n in x}),
    }[container]()

    def predict(rows):  # type: ignore[no-untyped-def]
        if container == "dict":
            return np.column_stack(list(rows.values())) @ weights
        if container == "pyarrow":
            return np.column_stack([c.to_numpy() for c in rows.columns]) @ weights
        return np.asarray(rows) @ weights

    found = tg.permutation_importance(
        predict, given, y, scoring="neg_mean_absolute_error", groups={n: [j] for j, n in enumerate(NAMES)}
    )
    expected = tg.permutation_importance(
        lambda rows: np.asarray(rows) @ weights, x, y, scoring="neg_mean_absolute_error"
    )
    # Rows lie in memory in another order, so products are added in another order.
    np.testing.assert_allclose(found.importances, expected.importances, rtol=1e-12, atol=1e-14)
    assert found.importances_mean[4] == 0.0


def test_the_same_rows_on_both_sides() -> None:
    """scikit-learn's max_samples compares a subsample with all rows: a coefficient of 0 is not 0 there."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3))
    y = 2 * x[:, 0] + rng.normal(size=4000)
    model = LinearRegression().fit(x, y)
    model.coef_[2] = 0.0
    found = tg.permutation_importance(model, x, y, method="permutation", scoring="r2", max_rows=300)
    assert found.importances is not None
    np.testing.assert_array_equal(found.importances[2], 0.0)
    assert found.n_rows == 300
    theirs = sklearn_importance(model, x, y, scoring="r2", max_samples=300, random_state=0)
    assert theirs.importances_mean[2] != 0.0
    # The chosen rows are the seed's, whatever the method.
    trees = case("histogram")
    a = tg.permutation_importance(trees.model, trees.x, trees.y, max_rows=100, random_state=1)
    b = tg.permutation_importance(trees.model, trees.x, trees.y, max_rows=100, random_state=1, method="permutation")
    assert (a.method, a.n_rows, b.n_rows) == ("exact", 100, 100)
    assert b.baseline == pytest.approx(1 - a.baseline / np.var(trees.y[_permutation.sample(1500, 100, 1)]))


def test_groups_move_together() -> None:
    """The group that is the whole model has all the importance, and no more than its members jointly."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 4))
    # Only the sum of two opposite columns matters: apart they count, together they are one donor.
    x[:, 1] = -x[:, 0]
    y = x[:, 2].copy()

    def predict(rows: np.ndarray) -> np.ndarray:
        return 5 * (rows[:, 0] + rows[:, 1]) + rows[:, 2]

    found = tg.permutation_importance(
        predict,
        x,
        y,
        scoring="neg_mean_squared_error",
        groups={"pair": [0, 1], "rest": [3], "signal": [2], "half": [0]},
    )
    assert found.features == ["pair", "rest", "signal", "half"]
    np.testing.assert_allclose(found.importances_mean[:2], 0.0, atol=1e-25)
    assert found.importances_mean[2] == pytest.approx(2 * np.var(y, ddof=0), rel=0.2)
    assert found.importances_mean[3] > 10
    for groups in ({"g": ["nothing"]}, {"g": [9]}, {"g": []}, {"g": "ab"}):
        with pytest.raises(UsageError, match="'g'"):
            tg.permutation_importance(predict, x, y, scoring="neg_mean_squared_error", groups=groups)


def test_donors_are_global() -> None:
    """Sorted data in blocks: permuting inside blocks would see 4 % of the importance."""
    rng = np.random.default_rng(2)
    x = np.sort(rng.normal(size=(2000, 1)), axis=0)
    found = tg.permutation_importance(lambda rows: rows[:, 0], x, x[:, 0], scoring="neg_mean_squared_error")
    assert found.importances_mean[0] == pytest.approx(2 * np.var(x), rel=0.1)


def test_standard_error_is_that_of_all_pairs() -> None:
    known = case("tree-classifier")
    exact = tg.permutation_importance(known.model, known.x, known.y, method="exact", scoring="neg_log_loss")
    sampled = tg.permutation_importance(
        known.model, known.x, known.y, method="permutation", scoring="neg_log_loss", n_repeats=20
    )
    used = exact.standard_error > 0
    # 20 permutations of 1,500 rows: the noise of the estimate is a few per cent.
    np.testing.assert_allclose(sampled.standard_error[used], exact.standard_error[used], rtol=0.15)
    assert np.all(np.abs(sampled.importances_mean - exact.expected_permutation) <= 5 * sampled.importances_std)
    assert np.all(sampled.standard_error[~used] == 0.0)
    once = tg.permutation_importance(
        known.model, known.x, known.y, method="permutation", scoring="neg_log_loss", n_repeats=1
    )
    assert np.all(once.standard_error[used] > 0.8 * exact.standard_error[used])


def test_weights_reach_the_scorer() -> None:
    x, y = frame()
    weight = np.random.default_rng(0).random(len(y))
    model = DecisionTreeClassifier(max_depth=4).fit(x, y)
    ours = tg.permutation_importance(
        model, x, y, scoring="neg_log_loss", sample_weight=weight, random_state=0, generator="scikit-learn",
        method="permutation", predictions="library",
    )  # fmt: skip
    theirs = sklearn_importance(model, x, y, scoring="neg_log_loss", sample_weight=weight, random_state=0)
    np.testing.assert_array_equal(ours.importances, theirs.importances)
    assert "no standard error" in ours.notes[0]


def test_arguments_are_checked() -> None:
    x, y = frame(20)
    model = DecisionTreeClassifier(max_depth=2).fit(x, y)
    for keywords, told in (
        ({"method": "shap"}, "accepted are auto"),
        ({"n_repeats": 0}, "n_repeats"),
        ({"alpha": 1.0}, "alpha"),
        ({"max_rows": 1}, "max_rows"),
        ({"generator": "mt"}, "generator"),
        ({"random_state": "x"}, "random_state"),
        ({"scoring": "no_such_score"}, "no_such_score"),
    ):
        with pytest.raises(UsageError, match=told):
            tg.permutation_importance(model, x, y, **{"method": "permutation", "scoring": "accuracy"} | keywords)
    with pytest.raises(UsageError, match="y has 3 rows"):
        tg.permutation_importance(lambda x: x, x, y[:3], scoring="accuracy")
    with pytest.raises(UsageError, match="predicts NaN for 5 of 20 rows as they are"):
        tg.permutation_importance(lambda x: x, x, y, scoring="roc_auc")
    with pytest.raises(UsageError, match="scoring None of a function"):
        tg.permutation_importance(lambda x: x, x, y)
    with pytest.raises(UsageError, match="shape \\(2,\\) for 20 rows"):
        tg.permutation_importance(lambda x: np.zeros(2), x, y, scoring="accuracy")
    for keywords, told in (
        ({"memory": 5}, "memory 5"),
        ({"scoring": []}, "scoring is empty"),
        ({"scoring": ["r2", "r2"]}, "twice"),
        ({"scoring": [len]}, "a dictionary gives functions a name"),
        ({"conditional_on": "nothing"}, "'nothing'"),
        ({"conditional_on": np.zeros(3)}, "3 rows"),
        ({"conditional_on": "a", "generator": "scikit-learn"}, "subgroups"),
        ({"y": None}, "prediction_change"),
    ):
        given = {"y": y, "method": "permutation", "scoring": "neg_mean_absolute_error"} | keywords
        with pytest.raises(UsageError, match=told):
            tg.permutation_importance(lambda x: x["a"].to_numpy(), x, **given)
    with pytest.raises(UsageError, match="shape"):
        Table(np.zeros(3))


def test_results_are_tables() -> None:
    known = case("tree")
    found = tg.permutation_importance(known.model, known.x, known.y)
    polars = pytest.importorskip("polars")
    rows = polars.DataFrame(found)
    assert rows["feature"][0] == found.features[int(np.argmax(found.importances_mean))]
    assert rows.height == 5
    assert found.to_pandas().shape == rows.shape
    assert found.features[0] in repr(found)
    assert np.nanmax(found.qvalue) <= 1.0
    assert np.all(found.qvalue[~np.isnan(found.qvalue)] >= found.pvalue[~np.isnan(found.pvalue)])


def test_correlated_features_are_named() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 5))
    x[:, 1] = np.exp(x[:, 0]) + 0.1 * x[:, 1]
    x[:, 3] = np.round(-x[:, 0] + 0.5 * x[:, 3], 1)
    x[:, 4] = 1.0
    for method in ("exact", "permutation"):
        found = tg.permutation_importance(LinearRegression().fit(x, x[:, 0]), x, x[:, 0], method=method, scoring="r2")
        assert [n for n, _ in found.correlated[0]] == ["column_1", "column_3"]
        assert found.correlated[2] == found.correlated[4] == []
        for j, pairs in enumerate(found.correlated):
            for name, r in pairs:
                other = x[:, int(name[-1])]
                assert r == pytest.approx(abs(spearmanr(x[:, j], other).statistic), rel=1e-12)
        assert "column_3 0." in found.to_polars().filter(feature="column_0")["correlated"][0]


def test_the_example_of_the_docstring_runs() -> None:
    import doctest

    from tidegauge import importance

    assert doctest.testmod(importance) == (0, 4)
