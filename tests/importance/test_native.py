"""Permutations predicted by trees as they were read, against the library's own predictions."""

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import tidegauge as tg
from sklearn.ensemble import HistGradientBoostingRegressor
from tidegauge.errors import UsageError
from zoo import case


@pytest.mark.parametrize(
    ("name", "scoring"),
    [
        ("lightgbm-binary", ["neg_log_loss", "roc_auc", "prediction_change"]),
        ("lightgbm-categorical", ["neg_log_loss"]),
        ("lightgbm-multiclass", ["neg_log_loss", "prediction_change"]),
        ("lightgbm-no-missing", ["neg_mean_squared_error", "neg_root_mean_squared_error"]),
        ("xgboost-binary", ["neg_log_loss"]),
        ("histogram-binary", ["accuracy", "neg_log_loss", "f1"]),
        ("forest-classes", ["accuracy", "neg_log_loss"]),
        ("histogram", ["r2", "neg_mean_absolute_error"]),
    ],
)
def test_as_the_library_predicts(name: str, scoring: list[str]) -> None:
    known = case(name)
    ask: dict[str, Any] = {"scoring": scoring, "method": "permutation", "n_repeats": 2, "random_state": 3}
    found = tg.permutation_importance(known.model, known.x, known.y, **ask)
    theirs = tg.permutation_importance(known.model, known.x, known.y, predictions="library", **ask)
    tolerance = 1e-11 if known.precision < 1e-12 else 1e-4
    for one in scoring:
        assert found[one].provenance["predicted_by"] == "trees as read"
        assert theirs[one].provenance["predicted_by"] == "library"
        np.testing.assert_allclose(found[one].importances, theirs[one].importances, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(found[one].standard_error, theirs[one].standard_error, rtol=1e-3, atol=tolerance)
        assert (found[one].importances[4] == 0.0).all()


def test_groups_subgroups_names_and_little_memory() -> None:
    known = case("histogram")
    frame = {name: known.x[:, j] for j, name in enumerate("abcde")}
    model = HistGradientBoostingRegressor(max_iter=10).fit(pd.DataFrame(frame), known.y)
    ask: dict[str, Any] = {
        "scoring": "neg_mean_squared_error", "method": "permutation", "n_repeats": 2,
        "groups": {"both": ["e", "a"], "b": ["b"]}, "conditional_on": np.arange(len(known.y)) % 3,
    }  # fmt: skip
    found = tg.permutation_importance(model, frame, known.y, memory=1 << 20, **ask)
    theirs = tg.permutation_importance(model, frame, known.y, predictions="library", **ask)
    assert found.provenance["predicted_by"] == "trees as read"
    np.testing.assert_allclose(found.importances, theirs.importances, rtol=1e-11)
    shuffled = known.x[:, [3, 1, 0, 2, 4]]
    booster = lightgbm.train(
        {"verbose": -1, "num_threads": 1}, lightgbm.Dataset(known.x, known.y, feature_name=list("abcde")), 10
    )
    moved = pd.DataFrame(shuffled, columns=list("dbace"))
    of_names = tg.permutation_importance(booster, moved, known.y, scoring="r2", method="permutation", n_repeats=1)
    theirs = tg.permutation_importance(
        booster, moved, known.y, scoring="r2", method="permutation", n_repeats=1, predictions="library"
    )
    np.testing.assert_allclose(of_names.importances, theirs.importances, rtol=1e-10, atol=1e-13)


def test_the_library_where_that_is_asked_for() -> None:
    known = case("lightgbm-no-missing")
    ask: dict[str, Any] = {"method": "permutation", "scoring": "r2", "n_repeats": 1}
    permuted = tg.permutation_importance(known.model, known.x, known.y, generator="scikit-learn", **ask)
    assert permuted.provenance["predicted_by"] == "library"
    function = tg.permutation_importance(known.model.predict, known.x, known.y, **ask)
    assert function.provenance["predicted_by"] == "library"
    with pytest.raises(UsageError, match="predictions 'mine'; accepted are auto and library"):
        tg.permutation_importance(known.model, known.x, known.y, predictions="mine", **ask)  # type: ignore[arg-type]
