"""Tree ensembles in ONNX: as ONNX Runtime predicts, refused where that is not known, and never a panic."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import pytest
import tidegauge as tg
from onnx_files import Forest
from tidegauge import _core, _models
from tidegauge.errors import FormatError, UsageError

ort = pytest.importorskip("onnxruntime")

ROWS = np.random.default_rng(1).integers(-5, 6, size=(400, 4)) / 2
ROWS[np.random.default_rng(2).random(ROWS.shape) < 0.15] = np.nan


def forest(seed: int, outputs: int, leaf: str, **more: Any) -> dict[str, Any]:
    return Forest(np.random.default_rng(seed), 4, outputs, **more).attributes(7, 4, leaf)


def checked(data: bytes) -> dict[str, Any]:
    """Compare the model as read with ONNX Runtime, which `check` does."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    read = _models.read(session)
    table = _models.Table(ROWS)
    return read.check(table, read.columns(table))


def cases() -> dict[str, bytes]:
    three = {"classlabels_int64s": [4, 5, 9]}
    two = {"classlabels_strings": ["no", "yes"]}
    probabilities = forest(9, 1, "class", positive=True)
    # Trees whose leaves are probabilities: weights of both classes add up to a seventh.
    both: dict[str, list[Any]] = {key: [] for key in ("class_treeids", "class_nodeids", "class_ids", "class_weights")}
    for i, weight in enumerate(probabilities["class_weights"]):
        share = (weight % 1) / 7
        for k, w in enumerate((1 / 7 - share, share)):
            both["class_treeids"].append(probabilities["class_treeids"][i])
            both["class_nodeids"].append(probabilities["class_nodeids"][i])
            both["class_ids"].append(k)
            both["class_weights"].append(float(np.float32(w)))
    one = {**probabilities, "class_weights": [(w % 1) / 7 for w in probabilities["class_weights"]]}
    double = forest(12, 1, "target", double=True)
    return {
        "sum": onnx_files.regressor(forest(1, 1, "target") | {"n_targets": 1, "base_values": [0.5]}, 4),
        "average": onnx_files.regressor(forest(2, 1, "target") | {"n_targets": 1, "aggregate_function": "AVERAGE"}, 4),
        "double": onnx_files.regressor(double | {"n_targets": 1}, 4, element=11),
        "softmax": onnx_files.classifier(
            forest(3, 3, "class") | three | {"post_transform": "SOFTMAX", "base_values": [0.1, 0.2, -0.3]}, 4, 3
        ),
        "one-versus-all": onnx_files.classifier(forest(4, 3, "class") | three | {"post_transform": "LOGISTIC"}, 4, 3),
        "logistic": onnx_files.classifier(
            forest(5, 2, "class", only=0) | two | {"post_transform": "LOGISTIC", "base_values": [0.3]}, 4, 2
        ),
        "softmax-of-two": onnx_files.classifier(forest(7, 2, "class") | two | {"post_transform": "SOFTMAX"}, 4, 2),
        "probability": onnx_files.classifier(one | two, 4, 2),
        "version 5": onnx_files.of_ensemble(onnx_files.ensemble(np.random.default_rng(3), 4, 1), 4),
        "probabilities": onnx_files.classifier(probabilities | both | two, 4, 2),
    }


@pytest.mark.parametrize("name", sorted(cases()))
def test_as_onnx_runtime_predicts(name: str) -> None:
    found = checked(cases()[name])
    assert found["rows"] == len(ROWS)
    assert found["largest_difference"] < 2e-6


@pytest.mark.parametrize("mode", onnx_files.MODES)
def test_every_comparison(mode: str) -> None:
    for seed in range(3):
        data = onnx_files.regressor(forest(seed, 1, "target", modes=[mode]) | {"n_targets": 1}, 4)
        assert checked(data)["largest_difference"] < 2e-6


@pytest.mark.parametrize("more", [{}, {"aggregate_function": 0}])
@pytest.mark.parametrize("double", [False, True])
def test_the_operator_of_version_5(more: dict[str, int], double: bool) -> None:
    """All comparisons and membership in sets, either side of NaN."""
    for seed in range(4):
        given = onnx_files.ensemble(np.random.default_rng(seed), 4, 1, double=double) | more
        found = checked(onnx_files.of_ensemble(given, 4, element=11 if double else 1))
        assert found["rows"] == len(ROWS)
        assert found["largest_difference"] < (1e-12 if double else 2e-6)


def test_an_importance_of_the_operator_of_version_5() -> None:
    given = onnx_files.ensemble(np.random.default_rng(8), 4, 1, modes=(6, 0))
    session = ort.InferenceSession(onnx_files.of_ensemble(given, 4), providers=["CPUExecutionProvider"])
    y = np.nan_to_num(ROWS[:, 0]) + np.random.default_rng(0).normal(size=len(ROWS))
    ask: dict[str, Any] = {"scoring": "neg_mean_squared_error"}
    exact = tg.permutation_importance(session, ROWS, y, method="exact", **ask)
    sampled = tg.permutation_importance(
        session, ROWS, y, method="permutation", n_repeats=60, predictions="library", **ask
    )
    assert sampled.provenance["predicted_by"] == "library"
    noise = sampled.importances_std / math.sqrt(60)
    assert (np.abs(sampled.importances_mean - exact.expected_permutation) <= 4.5 * noise + 1e-6).all()


def test_what_the_operator_of_version_5_may_not_hold() -> None:
    def told(**wrong: Any) -> str:
        given = onnx_files.ensemble(np.random.default_rng(1), 4, 1) | wrong
        return refused(onnx_files.of_ensemble({k: v for k, v in given.items() if v is not None}, 4))

    good = onnx_files.ensemble(np.random.default_rng(1), 4, 1)
    n = len(good["nodes_featureids"])
    assert "trees joined by function 2" in told(aggregate_function=2)
    # The specification calls 1 softmax and 2 logistic, ONNX Runtime the reverse.
    for transform in range(1, 5):
        assert f"scores behind transform {transform}" in told(post_transform=transform)
    assert "several targets" in told(n_targets=3)
    assert "no tree" in told(tree_roots=None)
    assert "which no tree leads to" in told(tree_roots=good["tree_roots"][1:])
    assert "is reached twice" in told(tree_roots=[*good["tree_roots"], 0])
    assert "has no set of values" in told(membership_values=None)
    more = np.append(good["membership_values"], np.float32(1.0))
    assert "of no node's set" in told(membership_values=more)
    assert "feature 9" in told(nodes_featureids=[9] * n)
    assert "of mode 7" in told(nodes_modes=np.full(n, 7, dtype=np.uint8), membership_values=None)
    assert f"{n - 1} values of nodes_splits, {n} expected" in told(nodes_splits=good["nodes_splits"][1:])
    assert "leaf 99999" in told(nodes_truenodeids=[99999] * n, nodes_trueleafs=[1] * n)
    assert "node 99999" in told(nodes_truenodeids=[99999] * n, nodes_trueleafs=[0] * n)


def test_importance_from_a_file(tmp_path: Path) -> None:
    """All pairs through ONNX Runtime, of a file, its bytes and its session."""
    path = tmp_path / "model.onnx"
    path.write_bytes(cases()["logistic"])
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x, y = ROWS[:60], (np.nan_to_num(ROWS[:60, 0]) > 0).astype(int)
    names = np.array(["no", "yes"])[y]
    n = len(x)

    def loss(rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        p = session.run(["scores"], {"X": rows.astype(np.float32)})[0].astype(float)
        return -np.log(p[np.arange(len(y)), y])

    exchanged = []
    for j in range(4):
        rows = np.repeat(x, n, axis=0)
        rows[:, j] = np.tile(x[:, j], n)
        change = loss(rows, np.repeat(y, n)).reshape(n, n) - loss(x, y)[:, None]
        exchanged.append((change.sum() - np.trace(change)) / n / (n - 1))
    held = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    for model in (path, session, held):
        found = tg.permutation_importance(model, x, names, method="exact", scoring="neg_log_loss")
        # Sums of leaves are of single precision there.
        np.testing.assert_allclose(found.importances_mean, exchanged, atol=3e-6)
    assert found.provenance["check"]["rows"] == n
    with pytest.raises(UsageError, match="label 'maybe'"):
        tg.permutation_importance(path, x, np.where(y, "maybe", "no"), method="exact", scoring="neg_log_loss")


def test_a_file_that_is_read_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ONNX Runtime predicts decides: a file whose trees are not those of the session is not explained."""
    session = ort.InferenceSession(cases()["sum"], providers=["CPUExecutionProvider"])
    monkeypatch.setattr(_models, "_content", lambda _: cases()["average"])
    with pytest.raises(_models.MismatchError, match=r"ONNX model as read predicts .* its library"):
        tg.permutation_importance(session, ROWS, ROWS[:, 0] * 0 + 1, scoring="neg_mean_squared_error")


def refused(data: bytes) -> str:
    with pytest.raises((FormatError, UsageError)) as caught:
        _core.TreeModel.from_onnx(data)
    return str(caught.value)


def test_what_is_no_tree_ensemble_alone_is_refused() -> None:
    given = forest(1, 1, "target") | {"n_targets": 1}
    operator = onnx_files.node("TreeEnsembleRegressor", ["Z"], ["Y"], "ai.onnx.ml", **given)
    scaler = onnx_files.node("Scaler", ["X"], ["Z"], "ai.onnx.ml", offset=[0.0] * 4, scale=[2.0] * 4)
    x, y = onnx_files.tensor("X", 1, None, 4), onnx_files.tensor("Y", 1, None, 1)
    assert "graph with Scaler" in refused(onnx_files.model([scaler, operator], [x], [y]))
    assert "not its only input" in refused(onnx_files.model([operator], [x], [y]))
    assert "graph of Scaler" in refused(onnx_files.model([scaler], [x], [y]))
    assert "several targets" in refused(onnx_files.regressor(given | {"n_targets": 2}, 4))
    assert "MIN" in refused(onnx_files.regressor(given | {"aggregate_function": "MIN"}, 4))
    assert "element type 7" in refused(onnx_files.regressor(given, 4, element=7))
    assert "no probabilities" in refused(
        onnx_files.classifier(forest(3, 2, "class") | {"classlabels_int64s": [0, 1]}, 4, 2)
    )
    other = forest(3, 2, "class", only=1) | {"classlabels_int64s": [0, 1], "post_transform": "LOGISTIC"}
    assert "a score each" in refused(onnx_files.classifier(other, 4, 2))
    probit = forest(3, 3, "class") | {"classlabels_int64s": [0, 1, 2], "post_transform": "PROBIT"}
    assert "PROBIT" in refused(onnx_files.classifier(probit, 4, 3))


def test_damaged_structure_is_named() -> None:
    given = forest(1, 1, "target") | {"n_targets": 1}

    def altered(key: str, at: int, value: Any) -> str:
        changed = list(given[key])
        changed[at] = value
        return refused(onnx_files.regressor(given | {key: changed}, 4))

    assert "node 99 is missing" in altered("nodes_truenodeids", 0, 99)
    assert "feature 4" in altered("nodes_featureids", 0, 4)
    assert "occurs twice" in altered("nodes_nodeids", 1, 0)
    assert "mode 'BRANCH_MEMBER'" in altered("nodes_modes", 0, "BRANCH_MEMBER").replace('"', "'")
    assert "NaN" in altered("nodes_values", 0, float("nan"))
    assert "leaf" in altered("target_nodeids", 0, 0)
    assert "output 3" in altered("target_ids", 0, 3)
    assert "no other leads to" in altered("nodes_truenodeids", 0, 0)
    assert "one root" in altered("nodes_truenodeids", 0, given["nodes_falsenodeids"][0])
    short = {key: value[:-1] if key == "nodes_values" else value for key, value in given.items()}
    assert "values and" in refused(onnx_files.regressor(short, 4))


@pytest.mark.parametrize("name", ["softmax", "logistic", "double", "version 5"])
def test_damaged_bytes(name: str) -> None:
    data = cases()[name]

    def attempt(data: bytes) -> None:
        try:
            model, _ = _core.TreeModel.from_onnx(data)
        except (FormatError, UsageError):
            return
        if len(model.features) < 1000:
            model.predict([np.zeros(3)] * len(model.features), link=True)

    for end in range(0, len(data), max(1, len(data) // 300)):
        attempt(data[:end])
    rng = random.Random(0)
    for _ in range(400):
        mutated = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            mutated[rng.randrange(len(data))] = rng.choice(b"\x00\x01\x08\x0a\x12\x3a\x7f\x80\xff")
        attempt(bytes(mutated))


def test_second_model_of_the_example() -> None:
    """Gradient boosting of scikit-learn in ONNX predicts the score that was logged, and has an exact form."""
    import tomllib

    import polars as pl

    folder = Path(__file__).parents[2] / "examples" / "nycflights13"
    explain = tomllib.loads((folder / "tidegauge.toml").read_text())["explain"]
    frame = pl.read_parquet(folder / "reference.parquet").filter(pl.col("label").is_not_null())[::50]
    columns = []
    for name in explain["features"]:
        column = pl.col(name)
        if levels := explain["categories"].get(name):
            codes = [float(i) for i in range(len(levels))]
            column = column.cast(pl.String).replace_strict(levels, codes, default=None, return_dtype=pl.Float64)
        columns.append(column.cast(pl.Float64))
    x = frame.select(columns).fill_null(float("nan")).to_numpy()
    read = _models.read(_models.load(folder / "model.onnx", allow_pickle=False))
    # Values and thresholds are of single precision in the file: a few rows on a threshold reach another leaf.
    gap = np.abs(read.compute(read.columns(_models.Table(x))) - frame["score"].to_numpy())
    assert np.mean(gap > 1e-6) < 5e-3
    assert np.median(gap) < 1e-7
    found = tg.permutation_importance(
        folder / "model.onnx", x, frame["label"].to_numpy(), method="exact", scoring="neg_log_loss"
    )
    assert found.provenance["check"]["largest_difference"] < 1e-6
    assert explain["features"][int(found.importances_mean.argmax())] == "sched_dep_min"


def test_what_single_precision_does_to_the_second_model() -> None:
    """The numbers of the example's README: rows on one threshold have another score than the one that was logged."""
    import polars as pl
    from tidegauge import config
    from tidegauge._explain import Inputs, Roles, Settings

    folder = Path(__file__).parents[2] / "examples" / "nycflights13"
    first, second = (config.load(folder / f"{name}.toml") for name in ("tidegauge", "second_model"))
    assert first.explain == second.explain
    assert (first.current, first.reference) == (second.current, second.reference)
    assert second.explain is not None
    assert second.explain.features is not None
    path = folder / "model.onnx"
    settings = Settings(model=str(path), features=tuple(second.explain.features), categories=second.explain.categories)
    for name, differing, rows in (("reference", 43, 57126), ("current", 104, 198861)):
        lazy = pl.scan_parquet(folder / f"{name}.parquet")
        model = _models.load(path, allow_pickle=False)
        gap = Inputs.of(settings, Roles("label", "score", "ts"), model, lazy).gap(model, [lazy])
        assert gap is not None
        assert (gap["differing"], gap["rows"]) == (differing, rows)
        assert 0.119 < gap["largest_difference"] < 0.12
        assert lazy.filter(pl.col("precip") == 0.23).select(pl.len()).collect().item() == differing
