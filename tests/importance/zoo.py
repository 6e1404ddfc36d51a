"""Models of every kind that is read, on one table with missing values, zeros, ties and categories."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble, tree

NAMES = ["a", "b", "c", "level", "unused"]


@cache
def table(rows: int = 1500, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Features as float64 with NaN, and a signal; `level` holds codes 0..7, `unused` is constant."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=rows), np.round(rng.normal(size=rows), 1), rng.exponential(size=rows)])
    x[rng.random(rows) < 0.3, 1] = 0.0
    x[rng.random(rows) < 0.15, 2] = np.nan
    level = rng.integers(0, 8, size=rows).astype(float)
    level[rng.random(rows) < 0.05] = np.nan
    effect = np.array([0.0, 2.0, -1.0, 0.5, 0.0, 3.0, -2.0, 1.0, 0.3])[np.nan_to_num(level, nan=8).astype(int)]
    signal = 2 * x[:, 0] + np.sin(3 * x[:, 1]) + np.nan_to_num(x[:, 2], nan=-1) * (x[:, 0] > 0) + effect
    x = np.column_stack([x, level, np.ones(rows)])
    return x, signal + 0.5 * rng.normal(size=rows)


@dataclass(frozen=True)
class Case:
    """A fitted model, the labels it was fitted on, and predictions from the oracle library."""

    model: Any
    x: np.ndarray
    y: np.ndarray
    #: Class probabilities (n, k), of the second class (n,), or numbers (n,); by the library.
    predict: Callable[[np.ndarray], np.ndarray]
    kind: str
    #: Largest relative error of the library's own predictions.
    precision: float = 1e-15


def labels(kind: str, signal: np.ndarray) -> np.ndarray:
    match kind:
        case "binary":
            return (signal > 0).astype(int)
        case "classes":
            return np.digitize(signal, [-1.0, 2.0])
        case "positive":
            return np.exp(signal / 3)
    return signal


def estimator(model: Any, kind: str, *, missing: bool = True, precision: float = 1e-15) -> Case:
    x, signal = table()
    if not missing:
        x = np.nan_to_num(x, nan=-1.0)
    y = labels(kind, signal)
    model.fit(x, y)

    def predict(rows: np.ndarray) -> np.ndarray:
        if kind in ("binary", "classes"):
            p = model.predict_proba(rows)
            return p[:, 1] if p.shape[1] == 2 else p
        return model.predict(rows)

    return Case(model, x, y, predict, kind, precision)


def lightgbm(kind: str, **parameters: Any) -> Case:
    lgb = pytest.importorskip("lightgbm")
    x, signal = table()
    y = labels(kind, signal)
    given = {
        "verbose": -1,
        "num_threads": 1,
        "num_leaves": 11,
        "learning_rate": 0.3,
        "min_data_in_leaf": 10,
    } | parameters
    data = lgb.Dataset(x, y, categorical_feature=[3] if given.pop("categorical", False) else [])
    booster = lgb.train(given, data, num_boost_round=12)
    return Case(booster, x, y, lambda rows: booster.predict(rows, num_threads=1), kind)


def xgboost(kind: str, **parameters: Any) -> Case:
    xgb = pytest.importorskip("xgboost")
    x, signal = table()
    y = labels(kind, signal)
    given = {"nthread": 1, "max_depth": 4, "eta": 0.4, "seed": 0} | parameters
    kinds = ["q", "q", "q", "c" if given.pop("categorical", False) else "q", "q"]

    def matrix(rows: np.ndarray, label: np.ndarray | None = None) -> Any:
        return xgb.DMatrix(rows, label, feature_types=kinds, enable_categorical=True, nthread=1)

    booster = xgb.train(given, matrix(x, y), num_boost_round=10)
    return Case(booster, x, y, lambda rows: booster.predict(matrix(rows)), kind, 1e-6)


def catboost(kind: str, **parameters: Any) -> Case:
    cb = pytest.importorskip("catboost")
    x, signal = table()
    y = labels(kind, signal)
    given = {"iterations": 12, "depth": 4, "learning_rate": 0.3, "verbose": 0, "thread_count": 1, "random_seed": 0}
    given["allow_writing_files"] = False
    model = (cb.CatBoostClassifier if kind in ("binary", "classes") else cb.CatBoostRegressor)(**given | parameters)
    model.fit(x, y)

    def predict(rows: np.ndarray) -> np.ndarray:
        if kind in ("binary", "classes"):
            p = model.predict_proba(rows)
            return p[:, 1] if p.shape[1] == 2 else p
        return model.predict(rows)

    return Case(model, x, y, predict, kind)


ZOO: dict[str, Callable[[], Case]] = {
    "lightgbm-binary": lambda: lightgbm("binary", objective="binary", sigmoid=1.7),
    "lightgbm-categorical": lambda: lightgbm(
        "binary", objective="binary", categorical=True, min_data_per_group=5, cat_smooth=1, max_cat_to_onehot=1
    ),
    "lightgbm-zero-as-missing": lambda: lightgbm("number", objective="regression", zero_as_missing=True),
    "lightgbm-no-missing": lambda: lightgbm("number", objective="regression_l1", use_missing=False),
    "lightgbm-sqrt": lambda: lightgbm("number", objective="regression", reg_sqrt=True),
    "lightgbm-poisson": lambda: lightgbm("positive", objective="poisson"),
    "lightgbm-multiclass": lambda: lightgbm("classes", objective="multiclass", num_class=3, categorical=True),
    "lightgbm-one-versus-all": lambda: lightgbm("classes", objective="multiclassova", num_class=3),
    "lightgbm-dart": lambda: lightgbm("number", objective="regression", boosting="dart"),
    "lightgbm-forest": lambda: lightgbm(
        "number", objective="regression", boosting="rf", bagging_freq=1, bagging_fraction=0.6
    ),
    "lightgbm-binary-forest": lambda: lightgbm(
        "binary", objective="binary", boosting="rf", bagging_freq=1, bagging_fraction=0.6
    ),
    "xgboost-binary": lambda: xgboost("binary", objective="binary:logistic", base_score=0.3),
    "xgboost-number": lambda: xgboost("number", objective="reg:squarederror"),
    "xgboost-categorical": lambda: xgboost(
        "number", objective="reg:squarederror", categorical=True, max_cat_to_onehot=2
    ),
    "xgboost-multiclass": lambda: xgboost("classes", objective="multi:softprob", num_class=3),
    "xgboost-softmax": lambda: xgboost("classes", objective="multi:softmax", num_class=3),
    "xgboost-poisson": lambda: xgboost("positive", objective="count:poisson"),
    "xgboost-gamma": lambda: xgboost("positive", objective="reg:gamma"),
    "xgboost-dart": lambda: xgboost("number", objective="reg:squarederror", booster="dart", rate_drop=0.3),
    "xgboost-forest": lambda: xgboost("number", objective="reg:squarederror", num_parallel_tree=3, subsample=0.7),
    "catboost-binary": lambda: catboost("binary"),
    "catboost-number": lambda: catboost("number", nan_mode="Max"),
    "catboost-classes": lambda: catboost("classes"),
    "catboost-one-versus-all": lambda: catboost("classes", loss_function="MultiClassOneVsAll"),
    "catboost-poisson": lambda: catboost("positive", loss_function="Poisson"),
    "tree": lambda: estimator(tree.DecisionTreeRegressor(max_depth=6), "number"),
    "tree-classifier": lambda: estimator(tree.DecisionTreeClassifier(max_depth=5), "classes"),
    "forest": lambda: estimator(ensemble.RandomForestRegressor(8, max_depth=7, random_state=0), "number"),
    "forest-binary": lambda: estimator(ensemble.RandomForestClassifier(8, max_depth=6, random_state=0), "binary"),
    "forest-classes": lambda: estimator(ensemble.ExtraTreesClassifier(6, max_depth=6, random_state=0), "classes"),
    "boosting": lambda: estimator(ensemble.GradientBoostingRegressor(n_estimators=15), "number", missing=False),
    "boosting-binary": lambda: estimator(ensemble.GradientBoostingClassifier(n_estimators=12), "binary", missing=False),
    "boosting-exponential": lambda: estimator(
        ensemble.GradientBoostingClassifier(n_estimators=9, loss="exponential"), "binary", missing=False
    ),
    "boosting-classes": lambda: estimator(
        ensemble.GradientBoostingClassifier(n_estimators=7), "classes", missing=False
    ),
    "histogram": lambda: estimator(ensemble.HistGradientBoostingRegressor(max_iter=15), "number"),
    "histogram-poisson": lambda: estimator(
        ensemble.HistGradientBoostingRegressor(max_iter=12, loss="poisson"), "positive"
    ),
    "histogram-binary": lambda: estimator(
        ensemble.HistGradientBoostingClassifier(max_iter=15, categorical_features=[3]), "binary"
    ),
    "histogram-classes": lambda: estimator(
        ensemble.HistGradientBoostingClassifier(max_iter=8, categorical_features=[3]), "classes"
    ),
}


@cache
def case(name: str) -> Case:
    return ZOO[name]()
