"""Exact importance against all pairs, with the predictions of the library that grew the trees."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import tidegauge as tg
from engine import DATA
from sklearn.inspection import permutation_importance as sklearn_importance
from tidegauge import _core
from tidegauge.errors import UsageError
from zoo import ZOO, Case, case, table

ROWS = 80
CLASSES = ["accuracy", "neg_brier_score", "neg_log_loss"]
NUMBERS = ["neg_mean_absolute_error", "neg_mean_pinball_loss", "neg_mean_squared_error", "r2"]
POSITIVE = [*NUMBERS, "neg_mean_gamma_deviance", "neg_mean_poisson_deviance"]


def losses(scoring: str, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Loss of each row from its definition."""
    if scoring in CLASSES:
        p = np.column_stack([1 - p, p]) if p.ndim == 1 else p
        match scoring:
            case "accuracy":
                return (p.argmax(axis=1) != y).astype(float)
            case "neg_log_loss":
                # One-versus-all predictions are not normalised, by the library or here.
                return -np.log(np.clip(p[np.arange(len(y)), y], 2.0**-52, 1 - 2.0**-52))
        return ((p[:, 1] - y) ** 2) if p.shape[1] == 2 else ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)
    match scoring:
        case "neg_mean_absolute_error":
            return np.abs(y - p)
        case "neg_mean_pinball_loss":
            return np.abs(y - p) / 2
        case "neg_mean_poisson_deviance":
            return 2 * (y * np.log(y / p) - y + p)
        case "neg_mean_gamma_deviance":
            return 2 * (np.log(p / y) + y / p - 1)
        case "r2":
            return (y - p) ** 2 / np.var(y)
    return (y - p) ** 2


def all_pairs(known: Case, x: np.ndarray, y: np.ndarray, scoring: str) -> tuple[np.ndarray, np.ndarray]:
    """Importances and jackknife standard errors, by n predictions for each row and feature."""
    n = len(x)
    value, error = [], []
    own = losses(scoring, y, known.predict(x))
    for j in range(x.shape[1]):
        exchanged = np.repeat(x, n, axis=0)
        exchanged[:, j] = np.tile(x[:, j], n)
        d = losses(scoring, np.repeat(y, n), known.predict(exchanged)).reshape(n, n) - own[:, None]
        np.fill_diagonal(d, 0.0)
        value.append(d.sum() / n / (n - 1))
        left_out = (d.sum() - d.sum(axis=0) - d.sum(axis=1)) / (n - 1) / (n - 2)
        error.append(math.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))
    return np.array(value), np.array(error)


@pytest.mark.parametrize("name", ZOO)
def test_every_pair_is_counted(name: str) -> None:
    known = case(name)
    if name == "xgboost-softmax":
        pytest.skip("its library predicts classes; probabilities are those of xgboost-multiclass")
    x, y = known.x[:ROWS], known.y[:ROWS]
    kind = {"binary": CLASSES, "classes": CLASSES, "positive": POSITIVE}.get(known.kind, NUMBERS)
    for scoring in kind:
        found = tg.permutation_importance(known.model, x, y, method="exact", scoring=scoring)
        value, error = all_pairs(known, x, y, scoring)
        scale = np.maximum(np.abs(value), found.baseline) + 1e-12
        # Libraries in single precision are themselves that far from the sum of their leaves.
        tolerance = max(1e-10, 20 * known.precision)
        if scoring == "accuracy" and known.precision > 1e-12:
            tolerance = 1e-3
        np.testing.assert_array_less(np.abs(found.importances_mean - value), tolerance * scale, err_msg=scoring)
        np.testing.assert_array_less(np.abs(found.standard_error - error), 50 * tolerance * scale, err_msg=scoring)
        assert found.importances_mean[4] == 0.0
        assert found.standard_error[4] == 0.0
        assert math.isnan(found.pvalue[4])
        assert found.provenance["check"]["rows"] == ROWS


@pytest.mark.parametrize("name", ["xgboost-binary", "xgboost-categorical", "xgboost-multiclass"])
def test_single_precision_models_from_their_leaves(name: str) -> None:
    """Routing by the library, leaves added in double precision: no single-precision sum in between."""
    xgb = pytest.importorskip("xgboost")
    known = case(name)
    x, y = known.x[:ROWS], known.y[:ROWS]
    document = json.loads(known.model.save_raw("json"))
    trees = document["learner"]["gradient_booster"]["model"]["trees"]
    outputs = document["learner"]["gradient_booster"]["model"]["tree_info"]
    parameter = document["learner"]["learner_model_param"]
    base = [float(np.float32(v)) for v in parameter["base_score"].strip("[]").split(",")]
    values = [np.float32(t["split_conditions"]).astype(np.float64) for t in trees]
    kinds = known.model.feature_types

    def predict(rows: np.ndarray) -> np.ndarray:
        leaves = known.model.predict(xgb.DMatrix(rows, feature_types=kinds, enable_categorical=True), pred_leaf=True)
        k = max(outputs) + 1
        margin = np.zeros((len(rows), k)) + [math.log(b / (1 - b)) if "binary" in name else b for b in base]
        for t, output in enumerate(outputs):
            margin[:, output] += values[t][leaves[:, t].astype(int)]
        if k > 1:
            p = np.exp(margin - margin.max(axis=1, keepdims=True))
            return p / p.sum(axis=1, keepdims=True)
        return 1 / (1 + np.exp(-margin[:, 0])) if "binary" in name else margin[:, 0]

    precise = Case(known.model, known.x, known.y, predict, known.kind)
    for scoring in CLASSES[1:] if known.kind != "number" else NUMBERS:
        found = tg.permutation_importance(known.model, x, y, method="exact", scoring=scoring)
        value, _ = all_pairs(precise, x, y, scoring)
        scale = np.maximum(np.abs(value), found.baseline)
        np.testing.assert_array_less(np.abs(found.importances_mean - value), 1e-10 * scale)


@pytest.mark.parametrize("name", ["lightgbm-categorical", "histogram-classes", "forest-binary", "xgboost-gamma"])
def test_parts_and_threads_give_the_same_digest(name: str) -> None:
    known = case(name)
    from tidegauge import _models

    read = _models.read(known.model)
    columns = read.columns(_models.Table(known.x))
    y = known.y.astype(np.float64)
    loss = "gamma_deviance" if known.kind == "positive" else "log_loss"

    def digest(parts: int, threads: int, reverse: bool) -> tuple[str, str]:
        pieces = np.array_split(np.arange(len(y)), parts)[:: -1 if reverse else 1]
        donors = _core.Donors(read.trees, loss, 0.5)
        for rows in pieces:
            part = _core.Donors(read.trees, loss, 0.5)
            part.update([np.ascontiguousarray(c[rows]) for c in columns], y[rows])
            donors.merge(part)
        sums = _core.ImportanceSums(donors)
        for rows in pieces:
            part = sums.empty()
            part.update([np.ascontiguousarray(c[rows]) for c in columns], y[rows], threads)
            sums.merge(part)
        return sums.digest, sums.finish(0.05)

    whole = digest(1, 1, False)
    shuffled = np.random.default_rng(0).permutation(len(y))
    columns, y = [c[shuffled] for c in columns], y[shuffled]
    assert digest(7, 2, True) == whole
    assert digest(64, 1, False) == whole
    assert digest(1, 5, False) == whole


def data_folder(name: str) -> Path:
    """A data set with its models, which lie beside the checkout."""
    folder = DATA / name
    if not folder.is_dir():
        message = f"data set {name} is not beside the checkout"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder


def oracle(name: str) -> dict:
    return json.loads((DATA.parent / "oracles" / name / "importance.json").read_text())["values"]


def evenly(rows: int, wanted: int) -> np.ndarray:
    return np.arange(wanted) * rows // wanted


@pytest.mark.parametrize("name", ["nycflights13", "bike_2011", "bike_sharing", "adult"])
@pytest.mark.parametrize("part", ["reference", "current"])
def test_expected_permutation_of_real_logs(name: str, part: str) -> None:
    polars = pytest.importorskip("polars")
    folder = data_folder(name)
    spec = json.loads((folder / "spec.json").read_text())
    frame = polars.read_parquet(folder / f"{part}.parquet").filter(polars.col("label").is_not_null())
    frame = frame[evenly(len(frame), 3000)]
    known = oracle(name)[part]["exact_expected_n_rows"]
    frame = frame[evenly(3000, known["n"])]
    x = encode(frame, spec).fill_null(float("nan")).to_numpy()
    scorings = {
        "log_loss": "neg_log_loss",
        "brier": "neg_brier_score",
        "squared_error": "neg_mean_squared_error",
        "absolute_error": "neg_mean_absolute_error",
    }
    for loss, baseline in known["baseline_loss"].items():
        found = tg.permutation_importance(
            folder / "model.joblib", x, frame["label"], method="exact", scoring=scorings[loss], allow_pickle=True
        )
        assert [f["name"] for f in spec["features"]] == list(known["loss_increase"])
        assert found.baseline == pytest.approx(baseline, rel=1e-12)
        for j, (feature, by_loss) in enumerate(known["loss_increase"].items()):
            value = by_loss[loss]
            assert found.expected_permutation[j] == pytest.approx(value, abs=1e-9 * max(abs(value), baseline)), feature


def encode(frame, spec):  # type: ignore[no-untyped-def]
    """The model's input as the manifest of the data says: codes of categories, NaN for the rest."""
    import polars as pl

    def column(feature: dict) -> pl.Series:
        values = frame[feature["name"]]
        if feature["kind"] == "numeric":
            return values.cast(pl.Float64)
        codes = {c: float(i) for i, c in enumerate(feature["categories"])}
        return values.cast(pl.String).replace_strict(codes, default=None, return_dtype=pl.Float64)

    return pl.DataFrame([column(f).alias(f["name"]) for f in spec["features"]])


@pytest.mark.parametrize("name", ["nycflights13", "bike_2011"])
def test_model_files_predict_the_logged_scores(name: str) -> None:
    polars = pytest.importorskip("polars")
    folder = data_folder(name)
    spec = json.loads((folder / "spec.json").read_text())
    frame = polars.read_parquet(folder / "reference.parquet")[:2000]
    text = (folder / "model.lgb.txt").read_text()
    model = _core.TreeModel.from_lightgbm(text)
    x = encode(frame, spec)
    columns = [np.ascontiguousarray(x[n].fill_null(float("nan")).to_numpy()) for n in x.columns]
    found = np.frombuffer(model.predict(columns, link=True))
    # Logged in single precision.
    np.testing.assert_allclose(found, frame["score_lgb"].to_numpy(), rtol=1e-6, atol=1e-6)


def test_mean_of_scikit_learn_repeats() -> None:
    known = case("histogram")
    x, y = known.x[:400], known.y[:400]
    found = tg.permutation_importance(known.model, x, y, method="exact", scoring="neg_mean_squared_error")
    repeats = sklearn_importance(known.model, x, y, scoring="neg_mean_squared_error", n_repeats=60, random_state=0)
    error = repeats.importances_std / math.sqrt(60)
    assert np.all(np.abs(repeats.importances_mean - found.expected_permutation) <= 4.5 * error)


def test_a_model_that_predicts_otherwise_is_refused() -> None:
    known = case("histogram")

    class Altered(type(known.model)):  # type: ignore[misc]
        def predict(self, x):  # type: ignore[no-untyped-def]
            p = super().predict(x)
            p[7] += 1e-6
            return p

    altered = Altered()
    altered.__dict__.update(known.model.__dict__)
    for method in ("exact", "auto"):
        with pytest.raises(UsageError, match="row 7"):
            tg.permutation_importance(altered, known.x[:50], known.y[:50], method=method)


def test_files_are_read_by_the_core(tmp_path: Path) -> None:
    lightgbm, xgboost = case("lightgbm-binary"), case("xgboost-number")
    lightgbm.model.save_model(tmp_path / "m.txt")
    for suffix in ("json", "ubj"):
        xgboost.model.save_model(tmp_path / f"m.{suffix}")
    for path, known, scoring in (
        ("m.txt", lightgbm, "neg_log_loss"),
        ("m.json", xgboost, "r2"),
        ("m.ubj", xgboost, "r2"),
    ):
        a = tg.permutation_importance(tmp_path / path, known.x, known.y, method="exact", scoring=scoring)
        b = tg.permutation_importance(known.model, known.x, known.y, method="exact", scoring=scoring)
        assert a.provenance == b.provenance
        np.testing.assert_array_equal(a.importances_mean, b.importances_mean)


def test_pickles_need_trust(tmp_path: Path) -> None:
    import joblib

    known = case("tree")
    joblib.dump(known.model, tmp_path / "m.joblib")
    with pytest.raises(UsageError, match="allow_pickle"):
        tg.permutation_importance(tmp_path / "m.joblib", known.x, known.y)
    found = tg.permutation_importance(tmp_path / "m.joblib", known.x, known.y, allow_pickle=True)
    assert found.method == "exact"


def test_frames_by_name_and_categories() -> None:
    """Columns are found by name; categories of pandas are the model's own."""
    pd, lgb = pytest.importorskip("pandas"), pytest.importorskip("lightgbm")
    x, signal = table()
    frame = pd.DataFrame(x[:, :3], columns=["a", "b c", "c"])
    frame["level"] = pd.Categorical.from_codes(np.nan_to_num(x[:, 3], nan=-1).astype(int), list("stuvwxyz"))
    y = (signal > 0).astype(int)
    model = lgb.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1, min_child_samples=5).fit(frame, y)
    found = tg.permutation_importance(model, frame, y, method="exact", scoring="neg_log_loss")
    assert found.features == ["a", "b c", "c", "level"]
    assert np.all(found.importances_mean > 0)
    # Another order of the levels is the same data.
    other = frame.assign(level=frame["level"].cat.set_categories(list("zyxwvuts")))
    again = tg.permutation_importance(model, other, y, method="exact", scoring="neg_log_loss")
    np.testing.assert_array_equal(again.importances_mean, found.importances_mean)
    with pytest.raises(UsageError, match="'b_c'"):
        tg.permutation_importance(model, frame.drop(columns="b c"), y, method="exact")


def test_histogram_boosting_with_text_categories() -> None:
    pd = pytest.importorskip("pandas")
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, signal = table()
    frame = pd.DataFrame(
        {"a": x[:, 0], "level": np.array(list("stuvwxyz?"))[np.nan_to_num(x[:, 3], nan=8).astype(int)]}
    )
    frame["level"] = frame["level"].astype("category")
    frame["b"] = x[:, 1]
    y = np.where(signal > 0, "yes", "no")
    model = HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype").fit(frame, y)
    found = tg.permutation_importance(model, frame, y, method="exact", scoring="neg_log_loss")
    n = 60
    frame, y = frame[:n], y[:n]
    part = tg.permutation_importance(model, frame, y, method="exact", scoring="neg_log_loss")
    assert found.features == ["a", "level", "b"]
    for j, name in enumerate(frame.columns):
        total = 0.0
        own = -np.log(model.predict_proba(frame)[np.arange(n), (y == "yes").astype(int)])
        for k in range(n):
            moved = frame.copy()
            moved[name] = pd.Series([frame[name].iloc[k]] * n, dtype=frame[name].dtype)
            total += (-np.log(model.predict_proba(moved)[np.arange(n), (y == "yes").astype(int)]) - own).sum()
        assert part.importances_mean[j] == pytest.approx(total / n / (n - 1), rel=1e-10)


def test_what_has_no_exact_form_is_named() -> None:
    known = case("histogram-binary")
    x, y = known.x[:50], known.y[:50]
    for keywords, told in (
        ({"scoring": "jaccard"}, "scoring 'jaccard' has no exact form"),
        ({"scoring": "neg_mean_squared_error"}, None),
        ({"scoring": "roc_auc", "conditional_on": np.arange(50) % 2}, "conditional_on with scoring 'roc_auc'"),
    ):
        if told is not None:
            with pytest.raises(UsageError, match=told):
                tg.permutation_importance(known.model, x, y, method="exact", **keywords)
    found = tg.permutation_importance(known.model, x, y, scoring="jaccard")
    assert found.method == "permutation"
    assert "no exact form" in found.notes[0]
    with pytest.raises(UsageError, match="no model with an exact form"):
        tg.permutation_importance(lambda x: x[:, 0], x, y, method="exact")


def test_scale_of_losses_does_not_matter() -> None:
    """Labels of 1/256 and 1e12 times the size give importances of the square of that."""
    from sklearn.tree import DecisionTreeRegressor

    x, signal = table()
    x = np.nan_to_num(x)
    found = {}
    for scale in (1.0, 2.0**-8, 2.0**40):
        model = DecisionTreeRegressor(max_depth=5, random_state=0).fit(x, signal * scale)
        result = tg.permutation_importance(model, x, signal * scale, method="exact", scoring="neg_mean_squared_error")
        found[scale] = result.importances_mean / scale**2
    for values in found.values():
        np.testing.assert_allclose(values, found[1.0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "number"])
def test_linear_models_in_closed_form(kind: str) -> None:
    from sklearn.linear_model import LinearRegression, LogisticRegression

    x, signal = table()
    x = np.nan_to_num(x[:300]) * np.array([1.0, 3.0, 0.1, 1.0, 1.0])
    signal = signal[:300]
    y = (signal > 0).astype(int) if kind == "binary" else signal
    model = (LogisticRegression(C=1e3) if kind == "binary" else LinearRegression()).fit(x, y)
    known = Case(model, x, y, lambda r: model.predict_proba(r)[:, 1] if kind == "binary" else model.predict(r), kind)
    for scoring in CLASSES if kind == "binary" else NUMBERS:
        found = tg.permutation_importance(model, x, y, method="exact", scoring=scoring)
        value, error = all_pairs(known, x, y, scoring)
        scale = np.maximum(np.abs(value), found.baseline)
        np.testing.assert_array_less(np.abs(found.importances_mean - value), 1e-10 * scale, err_msg=scoring)
        np.testing.assert_array_less(np.abs(found.standard_error - error), 1e-9 * scale, err_msg=scoring)
        assert found.importances_mean[4] == 0.0
        assert found.provenance["numerical_error"] < 1e-10
    assert tg.permutation_importance(model, x, y).method == "exact"


def test_files_in_any_number_give_the_same_sums(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    known = case("lightgbm-categorical")
    names = [f"Column_{j}" for j in range(5)]
    frame = polars.DataFrame(dict(zip(names, known.x.T, strict=True))).with_columns(y=polars.Series(known.y))
    whole = tg.permutation_importance(known.model, known.x, known.y, method="exact", scoring="neg_log_loss")
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=5)
    # Rows without a label are counted, whatever their values.
    lost = frame.head(40).with_columns(y=polars.lit(None, dtype=polars.Int64))
    for files in (1, 7, 64):
        folder = tmp_path / str(files)
        folder.mkdir()
        size = -(-len(frame) // files)
        for i, part in enumerate(shuffled.iter_slices(size)):
            part.write_parquet(folder / f"{i}.parquet")
        lost.write_parquet(folder / "lost.parquet")
        found = tg.permutation_importance(known.model, folder / "*.parquet", "y", scoring="neg_log_loss")
        assert found.provenance["sums"] == whole.provenance["sums"]
        assert found.features == names
        assert found.n_rows == len(frame)
        assert found.notes[0] == "40 rows without a label in 'y' are left out"
        np.testing.assert_array_equal(found.importances_mean, whole.importances_mean)
    lazy = tg.permutation_importance(known.model, frame.lazy(), "y", scoring="neg_log_loss")
    assert lazy.provenance["sums"] == whole.provenance["sums"]
    with pytest.raises(UsageError, match="no column"):
        tg.permutation_importance(known.model, frame.lazy(), "label", scoring="neg_log_loss")
    with pytest.raises(UsageError, match="Parquet"):
        tg.permutation_importance(known.model, "rows.csv", "y")
