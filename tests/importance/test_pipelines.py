"""Pipelines and groups in exact form: importances of raw columns, against all pairs of raw rows."""

from typing import Any

import numpy as np
import pytest
import tidegauge as tg
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from tidegauge.errors import UsageError

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
TRAINED, N = 600, 90


def raw(rows: int = TRAINED, seed: int = 0) -> tuple[Any, np.ndarray]:
    """Numbers with missing values, text, a column no step takes, and a signal."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(40, 10, rows)),
            "city": rng.choice(["ulm", "bonn", "kiel", "jena", "hof"], rows, p=[0.4, 0.3, 0.2, 0.08, 0.02]),
            "income": rng.exponential(3.0, rows),
            "plan": rng.choice(["a", "b"], rows),
            "dropped": rng.normal(size=rows),
        }
    )
    effect = frame["city"].map({"ulm": 1.0, "bonn": -1.0, "kiel": 2.0, "jena": 0.0, "hof": 4.0}).to_numpy()
    signal = effect + (frame["plan"] == "a") * frame["income"] / 3 + (frame["age"].fillna(60) - 40) / 10
    return frame, (signal + rng.normal(size=rows)).to_numpy()


def columns(*, one_hot: Any = None, number: Any = None) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("number", number or make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["age", "income"]),
            ("text", one_hot or OneHotEncoder(handle_unknown="ignore"), ["city", "plan"]),
        ]
    )


PIPELINES: dict[str, Any] = {
    "one-hot, forest": lambda: make_pipeline(columns(), RandomForestClassifier(6, max_depth=6, random_state=0)),
    "one-hot, boosting": lambda: make_pipeline(columns(), GradientBoostingClassifier(n_estimators=10)),
    "one-hot, dense, histogram": lambda: make_pipeline(
        columns(one_hot=OneHotEncoder(sparse_output=False, drop="first", min_frequency=20, handle_unknown="ignore")),
        HistGradientBoostingClassifier(max_iter=10),
    ),
    "ordinal, histogram": lambda: make_pipeline(
        columns(
            one_hot=OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), number=MinMaxScaler()
        ).set_output(transform="pandas"),
        HistGradientBoostingClassifier(max_iter=10),
    ),
    "target, bins, splines, forest": lambda: make_pipeline(
        ColumnTransformer(
            [
                ("target", TargetEncoder(), ["city"]),
                ("bins", make_pipeline(SimpleImputer(), KBinsDiscretizer(4, encode="onehot-dense")), ["age"]),
                ("spline", SplineTransformer(n_knots=4), ["income"]),
                ("plan", OrdinalEncoder(), ["plan"]),
                # A raw column that two steps take.
                ("again", "passthrough", ["income"]),
            ]
        ),
        RandomForestClassifier(4, max_depth=5, random_state=0),
    ),
    "union, selection, forest": lambda: make_pipeline(
        columns(),
        FeatureUnion([("all", "passthrough"), ("scaled", StandardScaler(with_mean=False))]),
        SelectKBest(k=15),
        RandomForestClassifier(4, max_depth=5, random_state=0),
    ),
    "one-hot, logistic": lambda: make_pipeline(columns(), LogisticRegression(max_iter=500)),
    "nested, logistic": lambda: Pipeline(
        [("outer", Pipeline([("first", columns()), ("second", "passthrough")])), ("model", LogisticRegression())]
    ),
    "lightgbm": lambda: make_pipeline(
        columns(), pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1)
    ),
    "xgboost": lambda: make_pipeline(
        columns(), pytest.importorskip("xgboost").XGBClassifier(n_estimators=6, max_depth=4, n_jobs=1)
    ),
}
FITTED: dict[str, Any] = {}


def fitted(name: str) -> Any:
    if name not in FITTED:
        frame, signal = raw()
        FITTED[name] = PIPELINES[name]().fit(frame, (signal > 1).astype(int))
    return FITTED[name]


def all_pairs(model: Any, frame: Any, y: np.ndarray, names: list[str], loss: Any) -> float:
    """Mean change of loss over pairs of different rows; the columns are taken from the same one."""
    n = len(frame)
    pairs = frame.loc[np.repeat(np.arange(n), n)].reset_index(drop=True)
    for name in names:
        pairs[name] = np.tile(frame[name].to_numpy(), n)
    d = loss(y.repeat(n), model, pairs).reshape(n, n) - loss(y, model, frame)[:, None]
    np.fill_diagonal(d, 0.0)
    return float(d.sum() / n / (n - 1))


def of_classes(y: np.ndarray, model: Any, frame: Any) -> np.ndarray:
    return -np.log(np.clip(model.predict_proba(frame)[np.arange(len(y)), y], 2.0**-52, 1 - 2.0**-52))


@pytest.mark.parametrize("name", PIPELINES)
def test_raw_columns_are_counted_in_every_pair(name: str) -> None:
    model = fitted(name)
    frame, signal = raw(N, seed=3)
    if "dense" not in name:
        # Where a category is dropped, unknown ones are warned of.
        frame.loc[3, "city"] = "never seen"
    y = (signal > 1).astype(int)
    found = tg.permutation_importance(model, frame, y, method="exact", scoring="neg_log_loss")
    assert found.features == list(frame.columns)
    assert "behind a pipeline" in found.provenance["source"]
    # XGBoost adds in single precision; the closed form of logistic regression has an error of its own.
    tolerance = {"xgboost": 1e-5}.get(name, 1e-10)
    for j, column in enumerate(frame.columns):
        value = all_pairs(model, frame, y, [column], of_classes)
        assert found.importances_mean[j] == pytest.approx(value, abs=tolerance * max(abs(value), found.baseline)), (
            column
        )
    assert found.importances_mean[4] == 0.0
    assert (found.importances_mean[:2] != 0.0).all()
    # A group of raw columns is one donor.
    groups = {"who": ["age", "city"], "money": ["income", "plan"], "both": ["city", "income"], "none": ["dropped"]}
    joint = tg.permutation_importance(model, frame, y, method="exact", scoring="neg_log_loss", groups=groups)
    assert joint.features == list(groups)
    for j, members in enumerate(groups.values()):
        value = all_pairs(model, frame, y, members, of_classes)
        assert joint.importances_mean[j] == pytest.approx(value, abs=tolerance * max(abs(value), joint.baseline)), j


def test_numbers_behind_a_pipeline() -> None:
    frame, signal = raw()
    for final in (HistGradientBoostingRegressor(max_iter=10), LinearRegression()):
        model = make_pipeline(columns(one_hot=OneHotEncoder(sparse_output=False)), final).fit(frame, signal)
        part, y = raw(N, seed=5)
        for scoring, loss in (
            ("neg_mean_squared_error", lambda y, m, x: (y - m.predict(x)) ** 2),
            ("neg_mean_absolute_error", lambda y, m, x: np.abs(y - m.predict(x))),
        ):
            found = tg.permutation_importance(model, part, y, method="exact", scoring=scoring)
            for j, column in enumerate(part.columns):
                value = all_pairs(model, part, y, [column], loss)
                assert found.importances_mean[j] == pytest.approx(value, abs=1e-10 * max(abs(value), found.baseline))


def test_permutation_agrees_and_gets_the_raw_frame() -> None:
    model = fitted("one-hot, boosting")
    frame, signal = raw(300, seed=4)
    y = (signal > 1).astype(int)
    exact = tg.permutation_importance(model, frame, y, scoring="neg_log_loss")
    assert exact.method == "exact"
    sampled = tg.permutation_importance(model, frame, y, method="permutation", scoring="neg_log_loss", n_repeats=30)
    error = sampled.importances_std / np.sqrt(30)
    assert np.all(np.abs(sampled.importances_mean - exact.expected_permutation) <= 4.5 * error + 1e-15)
    np.testing.assert_allclose(sampled.standard_error[:4], exact.standard_error[:4], rtol=0.3)
    # The columns by name, whatever their order and whatever else is there.
    turned = frame[frame.columns[::-1]].assign(more=1)
    again = tg.permutation_importance(model, turned, y, scoring="neg_log_loss")
    assert again.features == exact.features
    np.testing.assert_array_equal(again.importances_mean, exact.importances_mean)


@pytest.mark.parametrize("files", [1, 5])
def test_files_behind_a_pipeline(tmp_path: Any, files: int) -> None:
    model = fitted("one-hot, forest")
    frame, signal = raw(400, seed=6)
    y = (signal > 1).astype(int)
    held = tg.permutation_importance(model, frame, y, scoring="neg_log_loss")
    rows = (
        pl.DataFrame({c: frame[c].to_numpy() for c in frame})
        .with_columns(y=y)
        .with_columns(pl.col("age").fill_nan(None))
    )
    for i, part in enumerate(rows.sample(fraction=1.0, shuffle=True, seed=2).iter_slices(-(-400 // files))):
        part.write_parquet(tmp_path / f"{i}.parquet")
    found = tg.permutation_importance(model, tmp_path / "*.parquet", "y", scoring="neg_log_loss")
    assert found.method == "exact"
    assert found.provenance["sums"] == held.provenance["sums"]
    np.testing.assert_array_equal(found.importances_mean, held.importances_mean)
    groups = {"g": ["age", "plan"]}
    a = tg.permutation_importance(model, tmp_path / "*.parquet", "y", scoring="neg_log_loss", groups=groups)
    b = tg.permutation_importance(model, frame, y, scoring="neg_log_loss", groups=groups)
    np.testing.assert_array_equal(a.importances_mean, b.importances_mean)


def test_what_mixes_columns_is_permuted_and_named() -> None:
    frame, signal = raw()
    y = (signal > 1).astype(int)
    one_hot = columns(one_hot=OneHotEncoder(sparse_output=False))
    for steps, told in (
        ([one_hot, PCA(3), LogisticRegression()], "step 'pca' is a PCA, which may mix columns"),
        ([one_hot, FunctionTransformer(np.cumsum, kw_args={"axis": 1}), LogisticRegression()], "FunctionTransformer"),
        (
            [
                one_hot,
                RandomForestClassifier(2, max_depth=2, random_state=0),
            ],
            None,
        ),
    ):
        model = make_pipeline(*steps).fit(frame, y)
        found = tg.permutation_importance(model, frame, y, scoring="neg_log_loss", n_repeats=2)
        assert found.features == list(frame.columns)
        if told is None:
            assert found.method == "exact"
            continue
        assert found.method == "permutation"
        assert told in found.notes[0]
        with pytest.raises(UsageError, match="exact form"):
            tg.permutation_importance(model, frame, y, method="exact", scoring="neg_log_loss")


class Neighbour(StandardScaler):
    """Says it is a StandardScaler of scikit-learn, and mixes its columns all the same."""

    def transform(self, x: Any, copy: Any = None) -> Any:
        found = super().transform(x, copy)
        return found + 1e-9 * found[:, ::-1]


Neighbour.__name__ = "StandardScaler"
Neighbour.__module__ = "sklearn.preprocessing"


def test_columns_are_seen_to_stay_apart() -> None:
    x = np.random.default_rng(0).normal(size=(300, 3))
    y = (x[:, 0] + x[:, 2] > 0).astype(int)
    model = make_pipeline(Neighbour(), LogisticRegression()).fit(x, y)
    found = tg.permutation_importance(model, x, y, scoring="neg_log_loss")
    assert found.method == "permutation"
    assert "changes with other columns than 'column_0'" in found.notes[0]


def test_groups_of_plain_trees() -> None:
    """Numbers too: every combination of cells that occurs is a donor."""
    frame, signal = raw()
    x = np.column_stack([frame["age"], frame["income"], frame["dropped"]])
    model = HistGradientBoostingRegressor(max_iter=15).fit(x, signal)
    part, y = x[:N], signal[:N]
    found = tg.permutation_importance(
        model, part, y, scoring="neg_mean_squared_error", groups={"two": [0, 1], "all": [0, 1, 2], "one": [2]}
    )
    assert found.method == "exact"
    own = (y - model.predict(part)) ** 2
    for j, members in enumerate(([0, 1], [0, 1, 2], [2])):
        pairs = part.repeat(N, axis=0)
        pairs[:, members] = np.tile(part[:, members], (N, 1))
        value = ((y.repeat(N) - model.predict(pairs)) ** 2 - own.repeat(N)).sum() / N / (N - 1)
        assert found.importances_mean[j] == pytest.approx(value, rel=1e-10)
    single = tg.permutation_importance(model, part, y, scoring="neg_mean_squared_error")
    assert found.importances_mean[2] == pytest.approx(single.importances_mean[2], rel=1e-14)


def test_a_group_with_too_many_combinations_is_permuted() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1 << 17, 2))
    y = np.floor(300 * x[:, 0]) + np.floor(300 * x[:, 1])
    from sklearn.tree import DecisionTreeRegressor

    model = DecisionTreeRegressor(max_leaf_nodes=3000, random_state=0).fit(x, y)
    found = tg.permutation_importance(
        model, x, y, scoring="neg_mean_squared_error", n_repeats=1, groups={"all": [0, 1]}
    )
    assert found.method == "permutation"
    assert "too many for the exact form" in found.notes[0]
