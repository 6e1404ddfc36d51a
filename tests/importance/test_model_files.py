"""Files of models are known by what they hold, whatever they are called; coefficients of linear models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tidegauge as tg
from sklearn.linear_model import LinearRegression, LogisticRegression
from tidegauge import _core, _models
from tidegauge.cli import invoke
from tidegauge.errors import FormatError, InputError
from zoo import case

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3))
Y = X @ [1.0, -2.0, 0.0] + 0.3 + RNG.normal(size=300)


@pytest.mark.parametrize("name", ["lightgbm-binary", "xgboost-binary", "catboost-binary"])
@pytest.mark.parametrize("suffix", [".json", ".ubj", ".txt", ".model"])
def test_by_content(name: str, suffix: str, tmp_path: Path) -> None:
    known = case(name)
    path = tmp_path / f"model{suffix}"
    match name.partition("-")[0]:
        case "lightgbm":
            path.write_text(known.model.model_to_string())
        case "xgboost":
            path.write_bytes(bytes(known.model.save_raw("ubj" if suffix == ".ubj" else "json")))
        case _:
            known.model.save_model(str(path), format="json")
    x, y = known.x[:80], known.y[:80]
    from_file = tg.permutation_importance(path, x, y, scoring="neg_log_loss", method="exact")
    np.testing.assert_array_equal(
        from_file.importances_mean,
        tg.permutation_importance(known.model, x, y, scoring="neg_log_loss", method="exact").importances_mean,
    )
    assert from_file.provenance["check"]["rows"] == 80
    by_permutation = tg.permutation_importance(path, x, y, scoring="neg_log_loss", method="permutation", n_repeats=1)
    assert by_permutation.method == "permutation"


def test_other_content_is_named(tmp_path: Path) -> None:
    for content, told in {
        b"": "no content",
        b"a,b\n1,2\n": "none of these forms",
        b'{"weights": [1], "bias": 0}': "keys weights, bias",
        b'{"coefficients": [1': "model file of JSON",
    }.items():
        path = tmp_path / "model.json"
        path.write_bytes(content)
        with pytest.raises(FormatError, match=told):
            tg.permutation_importance(path, X, Y)
    with pytest.raises(InputError, match=r"nowhere\.json: no such file"):
        tg.permutation_importance("nowhere.json", X, Y)


def write(path: Path, **given: Any) -> Path:
    path.write_text(json.dumps(given))
    return path


def test_coefficients(tmp_path: Path) -> None:
    """The closed form of a file is that of the estimator it was written from, in whatever order of columns."""
    frame = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
    labels = (Y > 0).astype(int)
    linear = LinearRegression().fit(X, Y)
    logistic = LogisticRegression().fit(X, labels)
    of_numbers = write(
        tmp_path / "linear.json", features=["a", "b", "c"], coefficients=linear.coef_.tolist(),
        intercept=float(linear.intercept_),
    )  # fmt: skip
    of_classes = write(
        tmp_path / "logistic.json", features=["c", "a", "b"], coefficients=np.roll(logistic.coef_[0], 1).tolist(),
        intercept=float(logistic.intercept_[0]), link="logistic", classes=["no", "yes"],
    )  # fmt: skip
    for path, model, y, asked, scoring in (
        (of_numbers, linear, Y, Y, "neg_mean_squared_error"),
        (of_classes, logistic, labels, np.array(["no", "yes"])[labels], "neg_log_loss"),
    ):
        known = tg.permutation_importance(model, X, y, scoring=scoring, method="exact")
        found = tg.permutation_importance(path, frame, asked, scoring=scoring, method="exact")
        np.testing.assert_allclose(found.importances_mean, known.importances_mean, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(found.standard_error, known.standard_error, rtol=1e-8)
        assert found.provenance["check"]["reason"] == "a file of coefficients has no library"
    ask: dict[str, Any] = {"scoring": "neg_mean_squared_error", "method": "permutation", "n_repeats": 2}
    by_permutation = tg.permutation_importance(of_numbers, frame, Y, **ask)
    again = tg.permutation_importance(
        lambda rows: linear.predict(np.column_stack([rows["a"], rows["b"], rows["c"]])), frame, Y, **ask
    )
    np.testing.assert_allclose(by_permutation.importances, again.importances, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"coefficients": [1.0]}, "features is None"),
        ({"features": ["a", "a"], "coefficients": [1, 2]}, "names a column twice"),
        ({"features": ["a"], "coefficients": [1, 2]}, "2 coefficients for 1 features"),
        ({"features": ["a"], "coefficients": ["x"]}, "coefficients has the value 'x'"),
        ({"features": ["a"], "coefficients": [float("nan")]}, "coefficients has the value nan|JSON"),
        ({"features": ["a"], "coefficients": [1], "intercept": True}, "intercept has the value True"),
        (
            {"features": ["a"], "coefficients": [1], "link": "probit"},
            "link 'probit'; accepted are identity, logistic, log",
        ),
        ({"features": ["a"], "coefficients": [1], "classes": [0, 1]}, "two labels with logistic"),
        ({"features": ["a"], "coefficients": [1], "scale": 2}, "key 'scale'; accepted are features"),
    ],
)
def test_damaged_coefficients(given: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=told):
        _models.load(write(tmp_path / "m.json", **given), allow_pickle=False)


def test_command_line_takes_coefficients(tmp_path: Path) -> None:
    import polars as pl

    pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": Y}).write_parquet(tmp_path / "rows.parquet")
    path = write(tmp_path / "m.json", features=["a", "b"], coefficients=[1.0, -2.0], intercept=0.3)
    output = tmp_path / "found.json"
    done = invoke(
        ["explain", str(path), str(tmp_path / "rows.parquet"), "--label", "y", "--scoring", "r2", "-q",
         "-o", str(output)]
    )  # fmt: skip
    assert done == 0
    found = json.loads(output.read_text())
    known = tg.permutation_importance(path, {"a": X[:, 0], "b": X[:, 1]}, Y, scoring="r2")
    assert known.method == "exact"
    values = {r["feature"]: r["value"] for r in found["rows"] if r["statistic"] == "permutation_importance"}
    assert values == {"a": pytest.approx(known.importances_mean[0]), "b": pytest.approx(known.importances_mean[1])}


def test_kinds() -> None:
    assert _core.model_kind(b"\x08\x08:\x00") == "onnx"
    assert _core.model_kind(b"tree\nversion=v4\n") == "lightgbm"
    assert _core.model_kind(b'{"learner": {}}') == "xgboost"
    assert _core.model_kind(b'  {"features_info": {}}') == "catboost"
    assert _core.model_kind(b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner") == "xgboost"
