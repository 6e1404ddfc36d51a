"""Models that are only asked for predictions: what they are handed, and how often."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tidegauge as tg
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from test_exact import data_folder, encode
from tidegauge import _permutation
from tidegauge.errors import UsageError

pl = pytest.importorskip("polars")
RNG = np.random.default_rng(11)
N = 400
X = RNG.normal(size=(N, 4))
X[:, 2] = np.round(X[:, 2], 1)
Y = (X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + 0.5 * RNG.normal(size=N) > 0).astype(int)
NAMES = ["a", "b", "c", "unused"]
SCORERS = ["roc_auc", "average_precision", "neg_log_loss", "balanced_accuracy", "f1"]


def frame(rows: int = N) -> Any:
    return pytest.importorskip("pandas").DataFrame(X[:rows], columns=NAMES)


def fitted(name: str) -> Any:
    match name:
        case "lightgbm":
            return pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1)
        case "xgboost":
            return pytest.importorskip("xgboost").XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1)
        case "catboost":
            given = {"iterations": 8, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
            return pytest.importorskip("catboost").CatBoostClassifier(**given)
        case "forest":
            return RandomForestClassifier(8, max_depth=4, random_state=0)
        case "neighbours":
            return KNeighborsClassifier(5)
    return GradientBoostingClassifier(n_estimators=8)


@pytest.mark.parametrize("name", ["boosting", "forest", "neighbours", "lightgbm", "xgboost", "catboost"])
def test_several_scorers_are_scikit_learns(name: str) -> None:
    """One pass of predictions for five scorers, with scikit-learn's permutations: its numbers, to the last bit."""
    model = fitted(name).fit(frame(), Y)
    ours = tg.permutation_importance(
        model,
        frame(),
        Y,
        method="permutation",
        scoring=SCORERS,
        n_repeats=3,
        random_state=7,
        generator="scikit-learn",
    )
    theirs = sklearn_importance(model, frame(), Y, scoring=SCORERS, n_repeats=3, random_state=7)
    assert list(ours) == SCORERS
    for scoring in SCORERS:
        np.testing.assert_array_equal(ours[scoring].importances, theirs[scoring].importances, err_msg=scoring)
        assert ours[scoring].scoring == scoring
    # Baseline, 12 variants and the look at 32 rows, by each of the methods that some scorer asks for.
    methods = 3 if hasattr(model, "decision_function") else 2
    assert ours["f1"].provenance["predictions"] == methods * (13 * N + 32)
    assert np.isnan(ours["f1"].standard_error).all()
    assert (ours["neg_log_loss"].standard_error[:2] > 0).all()


def digest(data: Any) -> str:
    pd = pytest.importorskip("pandas")
    return hashlib.sha256(pd.util.hash_pandas_object(pd.DataFrame(data)).to_numpy().tobytes()).hexdigest()


def mixed(container: str) -> Any:
    columns = {
        "number": X[:, 0].astype(np.float32),
        "whole": np.arange(N) % 7,
        "flag": X[:, 1] > 0,
        "text": np.array(["u", "v", "w"])[np.arange(N) % 3],
    }
    if container == "dict":
        return columns
    if container == "polars":
        return pl.DataFrame(columns).with_columns(text=pl.col("text").cast(pl.Categorical))
    if container == "pyarrow":
        return pytest.importorskip("pyarrow").table(columns)
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(columns)
    frame.index = np.arange(N) * 3 + 1
    return frame.assign(text=frame["text"].astype("category"), number=frame["number"])


@pytest.mark.parametrize("memory", [1 << 30, 1 << 20])
@pytest.mark.parametrize("container", ["dict", "pandas", "polars", "pyarrow"])
def test_the_model_gets_the_callers_container(container: str, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Types and order of columns are kept, in stacks and in parts, and nothing of the caller's changes."""
    data = mixed(container)
    before = digest(data if container != "pyarrow" else data.to_pandas())
    seen: list[tuple[Any, int]] = []
    if memory == 1 << 20:
        # Parts of 100 rows.
        monkeypatch.setattr(_permutation, "batch_rows", lambda *_: 100)

    def types(rows: Any) -> Any:
        match container:
            case "dict":
                return [(k, v.dtype) for k, v in rows.items()]
            case "pandas":
                return [*rows.dtypes.items()]
            case "polars":
                return [*rows.schema.items()]
        return [(f.name, f.type) for f in rows.schema]

    def predict(rows: Any) -> np.ndarray:
        assert type(rows) is type(data)
        assert types(rows) == types(data)
        number, whole = np.asarray(rows["number"]), np.asarray(rows["whole"])
        seen.append((None, len(number)))
        text = rows["text"].to_pylist() if container == "pyarrow" else list(rows["text"])
        return number + whole * (np.array(text) == "v")

    y = X[:, 0] + np.arange(N) % 7 * (np.arange(N) % 3 == 1)
    found = tg.permutation_importance(predict, data, y, scoring="neg_mean_absolute_error", n_repeats=2)
    assert found.importances_mean[2] == 0.0
    assert (found.importances_mean[[0, 1, 3]] > 0).all()
    assert digest(data if container != "pyarrow" else data.to_pandas()) == before
    if memory == 1 << 20:
        small = tg.permutation_importance(
            predict, data, y, scoring="neg_mean_absolute_error", n_repeats=2, memory=memory
        )
        np.testing.assert_array_equal(small.importances, found.importances)
        np.testing.assert_array_equal(small.standard_error, found.standard_error)
        assert max(n for _, n in seen[-len(seen) // 3 :]) <= 120


@pytest.mark.parametrize("order", ["C", "F"])
def test_batches_do_not_change_the_numbers(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.asarray(X, order=order)
    calls: list[int] = []

    def predict(rows: np.ndarray) -> np.ndarray:
        assert rows.dtype == np.float64
        calls.append(len(rows))
        return 1 / (1 + np.exp(-rows[:, 0] - rows[:, 1] * rows[:, 2]))

    whole = tg.permutation_importance(predict, data, Y, scoring=["roc_auc", "neg_log_loss"])
    # Stacked: 20 variants of 400 rows in one call, beside the baseline and the look at 32 rows.
    assert calls == [N, 32, 20 * N]
    for rows in (7, 63, 400, 1500):
        monkeypatch.setattr(_permutation, "batch_rows", lambda *_, rows=rows: rows)
        calls.clear()
        part = tg.permutation_importance(predict, data, Y, scoring=["roc_auc", "neg_log_loss"])
        assert max(calls) <= max(rows, 32)
        for name, found in part.items():
            np.testing.assert_array_equal(found.importances, whole[name].importances)
            np.testing.assert_array_equal(found.standard_error, whole[name].standard_error)


def test_predictions_that_are_views_are_kept() -> None:
    """A model that returns a column of its input: the scratch is written over for the next variant."""
    found = tg.permutation_importance(lambda rows: rows[:, 0], X, X[:, 0], scoring="neg_mean_squared_error")
    expected = [
        np.mean((X[:, 0] - X[_permutation.keyed(N, 0, "column_0", r), 0]) ** 2)
        for r in range(5)
    ]  # fmt: skip
    np.testing.assert_allclose(found.importances[0], expected, rtol=1e-14)
    assert (found.importances[1:] == 0).all()


def test_a_model_that_looks_at_other_rows_is_not_stacked() -> None:
    calls: list[int] = []

    def centred(rows: np.ndarray) -> np.ndarray:
        calls.append(len(rows))
        return rows[:, 0] - rows[:, 0].mean() + rows[:, 1]

    found = tg.permutation_importance(centred, X, X[:, 1], scoring="neg_mean_absolute_error", memory=1 << 20)
    assert set(calls) == {N, 32}
    assert "among other rows" in found.notes[-1]
    alone = pl.DataFrame(X, schema=NAMES).with_columns(y=X[:, 1])
    with pytest.raises(UsageError, match="among other rows"):
        tg.permutation_importance(
            lambda rows: centred(rows.to_numpy()), alone.lazy(), "y", scoring="neg_mean_absolute_error"
        )


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "boosting"])
def test_columns_go_by_name(name: str) -> None:
    """LightGBM would take another order in silence."""
    model = fitted(name).fit(frame(), Y)
    ask = {"method": "permutation", "scoring": "neg_log_loss", "n_repeats": 2}
    plain = tg.permutation_importance(model, frame(), Y, **ask)
    turned = frame()[["unused", "c", "a", "b"]].assign(more=1.0)
    found = tg.permutation_importance(model, turned, Y, **ask)
    assert found.features == NAMES
    np.testing.assert_array_equal(found.importances, plain.importances)
    assert "left out: more" in found.notes[0]
    assert "in the order" in found.notes[1]
    with pytest.raises(UsageError, match="no column 'c'"):
        tg.permutation_importance(model, frame().drop(columns="c"), Y, **ask)


def test_boosters_and_files_of_every_library(tmp_path: Path) -> None:
    """Predictions of Boosters, of CatBoost and of files are the estimator's."""
    scorings = ["neg_log_loss", "roc_auc"]
    ask: dict[str, Any] = {"method": "permutation", "scoring": scorings, "n_repeats": 2}
    for name in ("lightgbm", "xgboost", "catboost"):
        model = fitted(name).fit(frame(), Y)
        plain = tg.permutation_importance(model, frame(), Y, **ask)
        match name:
            case "lightgbm":
                others = [model.booster_, tmp_path / "m.txt"]
                model.booster_.save_model(tmp_path / "m.txt")
            case "xgboost":
                others = [model.get_booster(), tmp_path / "m.ubj"]
                model.save_model(tmp_path / "m.ubj")
            case _:
                others = [tmp_path / "m.cbm"]
                model.save_model(tmp_path / "m.cbm")
        for other in others:
            for data in (frame(), pl.DataFrame(X, schema=NAMES), pl.DataFrame(X, schema=NAMES).to_arrow()):
                found = tg.permutation_importance(other, data, Y, **ask)
                for scoring in scorings:
                    np.testing.assert_allclose(
                        found[scoring].importances, plain[scoring].importances, rtol=1e-6, atol=1e-7
                    )


@pytest.mark.parametrize("name", ["nycflights13", "bike_2011"])
def test_onnx_runtime(name: str) -> None:
    """A session takes one matrix of single precision; its oracle is the estimator it was made from."""
    ort = pytest.importorskip("onnxruntime")
    joblib = pytest.importorskip("joblib")
    folder = data_folder(name)
    spec = json.loads((folder / "spec.json").read_text())
    logged = pl.read_parquet(folder / "reference.parquet").filter(pl.col("label").is_not_null())[:600]
    x = encode(logged, spec)
    y = logged["label"].to_numpy()
    scoring = "neg_log_loss" if name == "nycflights13" else "neg_mean_absolute_error"
    ask: dict[str, Any] = {"scoring": scoring, "n_repeats": 2, "method": "permutation"}
    session = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    found = [tg.permutation_importance(model, x, y, **ask) for model in (session, folder / "model.onnx")]
    np.testing.assert_array_equal(found[0].importances, found[1].importances)
    with pytest.raises(UsageError, match=rf"2 columns, input 'X' of the model {len(x.columns)}"):
        tg.permutation_importance(session, x[:, :2], y, **ask)
    estimator = joblib.load(folder / "model.joblib")
    single = x.fill_null(float("nan")).cast(pl.Float32).cast(pl.Float64)

    def predict(rows: Any) -> np.ndarray:
        rows = rows.to_numpy()
        return estimator.predict_proba(rows)[:, 1] if name == "nycflights13" else estimator.predict(rows)

    known = tg.permutation_importance(predict, single, y, **ask)
    # The two differ by single precision, of bike_2011 by more in some per cent of the rows.
    assert found[0].baseline == pytest.approx(known.baseline, rel=1e-3)
    np.testing.assert_allclose(found[0].importances, known.importances, atol=2e-3 * abs(known.baseline))


def test_functions_with_scores_of_every_kind() -> None:
    def probability(rows: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-rows[:, 0]))

    def negative(y: np.ndarray, p: np.ndarray) -> float:
        return -log_loss(y, p)

    ask: dict[str, Any] = {"n_repeats": 3, "random_state": 4}
    found = tg.permutation_importance(
        probability, X, Y, scoring={"mine": negative, "auc": "roc_auc", "ours": "neg_log_loss", "f": "f1"}, **ask
    )
    np.testing.assert_allclose(found["mine"].importances, found["ours"].importances, rtol=1e-12, atol=1e-15)
    assert "no mean over rows" in found["mine"].notes[-1]
    moved = X.copy()
    moved[:, 0] = X[_permutation.keyed(N, 4, "column_0", 1), 0]
    known = roc_auc_score(Y, probability(X)) - roc_auc_score(Y, probability(moved))
    assert found["auc"].importances[0, 1] == pytest.approx(known, rel=1e-12)
    both = tg.permutation_importance(
        lambda rows: np.column_stack([1 - probability(rows), probability(rows)]), X, Y, scoring="roc_auc", **ask
    )
    np.testing.assert_array_equal(both.importances, found["auc"].importances)

    def scorer(model: Any, rows: Any, y: Any) -> float:
        return float(model.score(rows, y))

    model = fitted("boosting").fit(X, Y)
    mine = tg.permutation_importance(model, X, Y, method="permutation", scoring={"s": scorer, "a": "accuracy"}, **ask)
    np.testing.assert_array_equal(mine["s"].importances, mine["a"].importances)


def test_change_of_predictions_needs_no_label() -> None:
    model = fitted("boosting").fit(X, Y)
    p = model.predict_proba(X)[:, 1]
    found = tg.permutation_importance(model, X, method="permutation", scoring="prediction_change", n_repeats=2)
    for j, repeat in ((0, 0), (1, 1)):
        moved = X.copy()
        moved[:, j] = X[_permutation.keyed(N, 0, f"column_{j}", repeat), j]
        known = np.mean((model.predict_proba(moved)[:, 1] - p) ** 2)
        assert found.importances[j, repeat] == pytest.approx(known, rel=1e-12)
    exact = tg.permutation_importance(model, X[:90], scoring="prediction_change")
    assert exact.method == "exact"
    for j in range(4):
        pairs = X[:90].repeat(90, axis=0)
        pairs[:, j] = np.tile(X[:90, j], 90)
        d = (model.predict_proba(pairs)[:, 1].reshape(90, 90) - p[:90, None]) ** 2
        assert exact.importances_mean[j] == pytest.approx(d.sum() / 90 / 89, rel=1e-10, abs=1e-15)
    many = fitted("forest").fit(X, np.digitize(X[:, 0], [-0.5, 0.5]))
    found = tg.permutation_importance(many, X, scoring="prediction_change", n_repeats=1)
    assert "more than two classes" in found.notes[0]
    moved = X.copy()
    moved[:, 0] = X[_permutation.keyed(N, 0, "column_0", 0), 0]
    known = ((many.predict_proba(moved) - many.predict_proba(X)) ** 2).sum(axis=1).mean()
    assert found.importances[0, 0] == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize("method", ["exact", "permutation"])
def test_donors_of_the_same_subgroup(method: str) -> None:
    """By all pairs within subgroups: the mean over subgroups by their rows, and rows alone do not change."""
    n = 61
    x, y = X[:n].copy(), X[:n, 0] + X[:n, 1]
    level = np.array(["p", "q", "r"])[np.arange(n) % 3].astype(object)
    level[17] = "alone"
    x[:, 3] = np.unique(level, return_inverse=True)[1]
    from sklearn.tree import DecisionTreeRegressor

    model = DecisionTreeRegressor(max_depth=5, random_state=0).fit(x, y)
    found = tg.permutation_importance(
        model, x, y, method=method, scoring="neg_mean_squared_error", conditional_on=level, n_repeats=4000
    )
    named = tg.permutation_importance(
        model, x, y, method=method, scoring="neg_mean_squared_error", conditional_on="column_3", n_repeats=2
    )
    own = (y - model.predict(x)) ** 2
    for j in range(4):
        value, expected = 0.0, 0.0
        for g in np.unique(level):
            members = np.flatnonzero(level == g)
            pairs = x[members].repeat(len(members), axis=0)
            pairs[:, j] = np.tile(x[members, j], len(members))
            d = (y[members].repeat(len(members)) - model.predict(pairs)) ** 2 - own[members].repeat(len(members))
            value += d.sum() / max(1, len(members) - 1) / n
            expected += d.sum() / len(members) / n
        if method == "exact":
            assert found.importances_mean[j] == pytest.approx(value, rel=1e-10, abs=1e-15)
            assert named.importances_mean[j] == pytest.approx(value, rel=1e-10, abs=1e-15)
        else:
            error = found.importances_std[j] / math.sqrt(4000)
            assert abs(found.importances_mean[j] - expected) <= 4.5 * error + 1e-15
    assert found.importances_mean[3] == 0.0
    if method == "exact":
        assert "1 rows are alone" in found.notes[0]
        assert found.provenance["subgroups"] == 3


def test_errors_of_subgroups_agree() -> None:
    from sklearn.tree import DecisionTreeRegressor

    y = X[:, 0] + X[:, 1] * X[:, 2]
    model = DecisionTreeRegressor(max_leaf_nodes=20, random_state=0).fit(X, y)
    level = (X[:, 1] > 0).astype(int) + 2 * (np.arange(N) % 2)
    ask: dict[str, Any] = {"scoring": "neg_mean_squared_error", "conditional_on": level}
    exact = tg.permutation_importance(model, X, y, **ask)
    sampled = tg.permutation_importance(model, X, y, method="permutation", n_repeats=60, **ask)
    used = exact.standard_error > 0
    # The noise of 60 permutations of 400 rows.
    np.testing.assert_allclose(sampled.standard_error[used], exact.standard_error[used], rtol=0.15)
    # Drawing rows again with their subgroups: the spread of the answer is the standard error.
    rng = np.random.default_rng(5)
    again = []
    for _ in range(150):
        x = rng.normal(size=(N, 4))
        x[:, 2] = np.round(x[:, 2], 1)
        level = (x[:, 1] > 0).astype(int) + 2 * (np.arange(N) % 2)
        fresh = tg.permutation_importance(
            model,
            x,
            x[:, 0] + x[:, 1] * x[:, 2],
            method="exact",
            scoring="neg_mean_squared_error",
            conditional_on=level,
            n_threads=1,
        )
        again.append((fresh.importances_mean, fresh.standard_error))
    values, errors = np.array(again).transpose(1, 0, 2)
    # 150 draws know a standard deviation to 6 %.
    np.testing.assert_allclose(values.std(axis=0, ddof=1)[:3], errors.mean(axis=0)[:3], rtol=0.25)


class Counting:
    """A model without an exact form."""

    def __init__(self) -> None:
        self.largest = 0

    def predict(self, rows: Any) -> np.ndarray:
        self.largest = max(self.largest, len(rows))
        a, b, c = (rows[name].to_numpy() for name in "abc")
        return 1 / (1 + np.exp(-a - b * c))


@pytest.mark.parametrize("files", [1, 7])
def test_files_give_the_numbers_of_memory(tmp_path: Path, files: int) -> None:
    """Same keys, same numbers: batches of 50 rows, three variants in a pass, null labels left out."""
    rows = pl.DataFrame(X, schema=NAMES).with_columns(
        y=pl.Series([None if i % 9 == 4 else int(v) for i, v in enumerate(Y)]), weight=np.arange(N) % 5 + 1.0
    )
    for i, part in enumerate(rows.iter_slices(-(-N // files))):
        part.write_parquet(tmp_path / f"{i}.parquet")
    kept = rows.filter(pl.col("y").is_not_null())
    ask: dict[str, Any] = {
        "scoring": ["neg_log_loss", "roc_auc"],
        "n_repeats": 3,
        "groups": {"ab": ["a", "b"], "c": ["c"]},
    }
    held = tg.permutation_importance(Counting(), kept.drop("y", "weight"), kept["y"].to_numpy(), **ask)
    model = Counting()
    found = tg.permutation_importance(model, tmp_path / "*.parquet", "y", sample_weight=None, **ask)
    for name, one in found.items():
        np.testing.assert_array_equal(one.importances, held[name].importances)
        np.testing.assert_array_equal(one.standard_error, held[name].standard_error)
        assert one.notes[1] == "44 rows without a label in 'y' are left out"
        assert one.n_rows == len(kept)
    weighted = tg.permutation_importance(model, rows.lazy(), "y", sample_weight="weight", **ask)
    known = tg.permutation_importance(
        Counting(), kept.drop("y", "weight"), kept["y"].to_numpy(), sample_weight=kept["weight"].to_numpy(), **ask
    )
    for name in known:
        np.testing.assert_array_equal(weighted[name].importances, known[name].importances)
    # The same rows are chosen on both sides.
    some = tg.permutation_importance(model, rows.lazy(), "y", max_rows=100, **ask)
    few = tg.permutation_importance(Counting(), kept.drop("y", "weight"), kept["y"].to_numpy(), max_rows=100, **ask)
    for name in some:
        assert some[name].n_rows == 100
        np.testing.assert_array_equal(some[name].importances, few[name].importances)


def test_files_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pl.DataFrame(X, schema=NAMES).with_columns(y=Y)
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "n_repeats": 3}
    held = tg.permutation_importance(Counting(), rows.drop("y"), Y, **ask)
    # Batches of 50 rows; a variant takes 400 x (8 + 8 + 8) bytes, so some in a pass.
    monkeypatch.setattr(_permutation, "batch_rows", lambda *_: 50)
    model = Counting()
    found = tg.permutation_importance(model, rows.lazy(), "y", memory=1 << 20, **ask)
    np.testing.assert_array_equal(found.importances, held.importances)
    assert model.largest == 50
    monkeypatch.setattr(_permutation.Engine, "groups", lambda self, variants, _: ([v] for v in variants))
    again = tg.permutation_importance(Counting(), rows.lazy(), "y", memory=1 << 20, **ask)
    np.testing.assert_array_equal(again.importances, held.importances)


def test_estimators_from_files(tmp_path: Path) -> None:
    """Estimators that know names get frames of pandas, others arrays."""
    rows = pl.DataFrame(X, schema=NAMES).with_columns(y=Y)
    rows.write_parquet(tmp_path / "rows.parquet")
    for data in (X, frame()):
        model = fitted("neighbours").fit(data, Y)
        found = tg.permutation_importance(model, tmp_path / "rows.parquet", "y", scoring="neg_log_loss", n_repeats=2)
        held = tg.permutation_importance(model, frame(), Y, scoring="neg_log_loss", n_repeats=2)
        assert found.features == NAMES
        np.testing.assert_array_equal(found.importances, held.importances)


def test_permutations_of_many_rows_are_walked() -> None:
    """Above 2^20 rows parts of a permutation are computed alone, and are those of the whole."""
    n = (1 << 20) + 3
    orders = _permutation.Orders(n, "keyed", 1, 1, 1, None, 1 << 20)
    whole = _permutation.keyed(n, 1, "x", 0)
    assert np.array_equal(np.sort(whole), np.arange(n))
    np.testing.assert_array_equal(orders.at("x", 0, 1000, 1700), whole[1000:1700])
    np.testing.assert_array_equal(orders.at("x", 0, 0, n), whole)


def test_permutations_of_scikit_learn_are_never_passed_over() -> None:
    """They were where the model has an exact form, without a word."""
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 3))
    y = x @ [1.0, 2.0, 0.0]
    model = LinearRegression().fit(x, y)
    ask: dict[str, Any] = {"scoring": "neg_mean_squared_error", "n_repeats": 3, "random_state": 5}
    ours = tg.permutation_importance(model, x, y, generator="scikit-learn", **ask)
    assert ours.method == "permutation"
    assert any("the permutations of scikit-learn were asked for" in note for note in ours.notes)
    np.testing.assert_array_equal(ours.importances, sklearn_importance(model, x, y, **ask).importances)
    assert tg.permutation_importance(model, x, y, **ask).method == "exact"


@pytest.mark.parametrize("method", ["auto", "exact", "permutation"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"n_repeats": 0}, "n_repeats 0; accepted is a whole number from 1"),
        ({"n_repeats": "5"}, "n_repeats '5'; accepted is a whole number from 1"),
        ({"random_state": "x"}, "random_state 'x'; accepted are integers from 0"),
        ({"generator": "sklearn"}, "generator 'sklearn'; accepted are keyed and scikit-learn"),
        ({"sample_weight": [-1.0] + [1.0] * 59}, "sample_weight is -1.0 in row 0; accepted are finite numbers from 0"),
    ],
)
def test_arguments_are_refused_whatever_the_method(method: Any, options: dict[str, Any], told: str) -> None:
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 3))
    y = x @ [1.0, 2.0, 0.0]
    with pytest.raises(UsageError, match=told):
        tg.permutation_importance(LinearRegression().fit(x, y), x, y, method=method, **options)


@pytest.mark.parametrize("form", ["pandas", "polars", "dict"])
@pytest.mark.parametrize("kind", ["lightgbm", "histogram", "forest"])
def test_columns_go_by_name_in_the_exact_form_too(kind: str, form: str) -> None:
    """In another order, with one more: libraries go by place, or refuse it, and are asked in the model's order."""
    import pandas as pd
    import polars as pl
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.normal(size=300), "b": rng.exponential(size=300), "d": rng.normal(size=300)})
    y = (x.a + 0.5 * x.d + rng.normal(size=300) > 0).astype(int)
    model = {
        "lightgbm": LGBMClassifier(n_estimators=5, verbose=-1),
        "histogram": HistGradientBoostingClassifier(max_iter=5),
        "forest": RandomForestClassifier(5, max_depth=3, random_state=0),
    }[kind].fit(x, y)
    other = x[["d", "b", "a"]].assign(more=1.0)
    table: Any = {
        "pandas": other,
        "polars": pl.from_pandas(other),
        "dict": {name: other[name].to_numpy() for name in other},
    }[form]
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "method": "exact"}
    plain = tg.permutation_importance(model, x, y, **ask)
    found = tg.permutation_importance(model, table, y, **ask)
    assert found.provenance["check"]["rows"] == 300
    by_name = dict(zip(found.features, found.importances_mean, strict=True))
    assert [by_name[name] for name in plain.features] == list(plain.importances_mean)
