"""`tg.metrics`: inputs of any kind, missing rows, classes, weights, and what is refused."""

import doctest
import inspect
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tidegauge import _core, metrics
from tidegauge.errors import UsageError

ROOT = Path(__file__).parents[2]
REGISTRY = {entry["name"]: entry for entry in json.loads(_core.metric_registry())}
TYPES = {"ConfusionMatrix", "GroupFairness", "GroupMetrics", "MetricResult", "MetricTable"}
FUNCTIONS = set(metrics.__all__) - TYPES
# Several metrics or parts of one.
OWN = {"gains_table", "group_fairness", "selection_rate"}


def test_one_file_one_metric_one_function() -> None:
    folder = ROOT / "rust" / "core" / "src" / "metrics"
    files = {path.stem for path in folder.glob("*.rs") if "pub const METRIC" in path.read_text()}
    assert files == set(REGISTRY)
    assert set(REGISTRY) == FUNCTIONS - OWN


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_docstrings_follow_the_registry(name: str) -> None:
    flat = " ".join((inspect.getdoc(getattr(metrics, name)) or "").split())
    entry = REGISTRY[name]
    assert flat.lower().startswith(entry["summary"].lower())
    assert f"Definition ``{entry['definition']}``" in flat
    assert " ".join(entry["reference"].split()) in flat
    assert " ".join(entry["interval"].split()) in flat


def test_examples_run() -> None:
    found = doctest.testmod(metrics)
    assert found.failed == 0
    assert found.attempted >= 2 * len(FUNCTIONS)


Y = [0, 1, 0, 1, 1, 0]
S = [0.1, 0.9, 0.3, 0.4, 0.8, 0.5]


@pytest.mark.parametrize(
    "make",
    [list, np.asarray, pl.Series, pd.Series, pa.array, lambda v: pa.chunked_array([v[:2], v[2:]])],
    ids=["list", "numpy", "polars", "pandas", "arrow", "chunked"],
)
def test_columns_of_any_kind(make: Any) -> None:
    expected = metrics.roc_auc(Y, S, sample_weight=[1.0, 2.0, 1.0, 1.0, 1.0, 3.0])
    assert metrics.roc_auc(make(Y), make(S), sample_weight=make([1.0, 2.0, 1.0, 1.0, 1.0, 3.0])) == expected
    assert float(expected) == expected.value
    assert metrics.roc_auc(np.array(Y, bool), np.array(S)) == metrics.roc_auc(Y, S)
    text = ["late" if y else "on time" for y in Y]
    assert metrics.brier(pd.Series(text, dtype="category"), S, pos_label="late") == metrics.brier(Y, S)
    assert metrics.f1(text, ["late"] * 6, pos_label="late") == metrics.f1(Y, [1] * 6)


def test_missing_rows_are_counted() -> None:
    y = pl.Series([0, 1, None, 1, 1, 0, 1])
    score = [*S, math.nan]
    found = metrics.roc_auc(y, score)
    assert (found.n, found.n_rows, found.n_unlabelled, found.n_unpredicted) == (5, 7, 1, 1)
    assert found.label_coverage == 6 / 7
    keep = [0, 1, 3, 4, 5]
    assert found.value == metrics.roc_auc([Y[i] for i in keep], [S[i] for i in keep]).value
    nan = metrics.roc_auc([0.0, 1.0, math.nan, 1.0, 1.0, 0.0, 1.0], score)
    assert nan == found
    guess = pl.Series([0, 1, 0, None, 1, 0, 1])
    assert metrics.accuracy(y, guess).n_unpredicted == 1
    assert metrics.mse([1.0, None, 3.0], [1.0, 2.0, math.nan]).n == 1
    fair = metrics.group_fairness(y, guess, ["a", "a", "b", None, "b", "b", "a"])
    assert fair.n_ungrouped == 1
    assert fair["b"].n_unlabelled == 1
    assert fair["b"].selection_rate.n == 3


def test_weights_of_zero_leave_rows_out() -> None:
    y, s = [*Y, 1, 0], [*S, 0.0, 1.0]
    for name in ("roc_auc", "average_precision", "log_loss", "brier", "score_ks"):
        ours = getattr(metrics, name)(y, s, sample_weight=[1.0] * 6 + [0.0] * 2)
        assert ours.value == pytest.approx(getattr(metrics, name)(Y, S).value, rel=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.roc_auc([], []), "no row has both a label and a prediction"),
        (lambda: metrics.roc_auc([1, 1], [0.2, 0.3]), "no row of the negative class has weight"),
        (lambda: metrics.roc_auc([0, 1], [0.2, 0.3], sample_weight=[1, 0]), "no row of the positive class has weight"),
        (lambda: metrics.brier(["no", "yes"], [0.2, 0.3]), "'no', 'yes'; name the positive one as pos_label"),
        (lambda: metrics.brier(["no", "yes"], [0.2, 0.3], pos_label="ja"), "pos_label is 'ja'; the classes are 'no'"),
        (lambda: metrics.gini([0, 1, 2], [0.2, 0.3, 0.4]), r"3 classes \(0, 1, 2\); 2 are accepted"),
        (lambda: metrics.precision([0, 1, 2], [0, 1, 1]), "3 classes"),
        (lambda: metrics.precision([0, 1], [0.2, 0.7]), "scores with threshold="),
        (lambda: metrics.precision([0, 1], [0, 0]), "no row is predicted positive"),
        (lambda: metrics.f1([0, 1], [0, 1], average="mean"), 'average "mean"; binary, macro'),
        (lambda: metrics.log_loss([0, 1], [0.5, 1.5]), "1 of 2 rows are outside the domain"),
        (lambda: metrics.log_loss([0, 1, 2], np.eye(3)[:, :2]), "one column of probabilities for each class"),
        (lambda: metrics.accuracy(["a", "b"], ["a", "c"], labels=["a", "b"]), "prediction is 'c' in row 1"),
        (lambda: metrics.accuracy(["a", "x"], ["a", "b"], labels=["a", "b"]), "label is 'x' in row 1"),
        (lambda: metrics.accuracy(["a", "b"], [0, 1]), "text and numbers"),
        (lambda: metrics.accuracy([0, 1], [0.2, 0.7]), "0.2 in row 0, and the classes are 0, 1; .* with threshold="),
        (
            lambda: metrics.mcc([0, 1], [1.0, 0.7], labels=[0, 1]),
            "0.7 in row 1, and the classes are 0, 1; .*threshold=",
        ),
        (lambda: metrics.mcc([False, True], np.float32([0.25, 0.5])), "0.25 in row 0, and the classes are 0, 1"),
        (lambda: metrics.accuracy([0, 1], [0, 1], labels=[0.5, 1]), "label is 0 in row 0; the classes are 0.5, 1"),
        (lambda: metrics.mse(["a"], [1.0]), "label is String; numbers are accepted"),
        (lambda: metrics.mse([1.0, 2.0], [1.0]), "columns differ in length: prediction has 1 rows and label has 2"),
        (lambda: metrics.mse([1.0, math.inf], [1.0, 2.0]), "1 of 2 rows are outside the domain, finite labels"),
        (lambda: metrics.r2([1.0, 1.0], [1.0, 2.0]), "the labels do not vary"),
        (lambda: metrics.r2([1.0, math.inf], [1.0, 2.0]), "1 of 2 rows hold an infinite"),
        (lambda: metrics.poisson_deviance([1.0], [0.0]), "predictions above 0"),
        (lambda: metrics.mae([1.0], [1.0], sample_weight=[-1.0]), "weight -1 in row 0"),
        (lambda: metrics.mae([1.0], [1.0], sample_weight=[None]), "sample_weight is null in row 0"),
        (lambda: metrics.mae([1.0], [1.0], sample_weight=[0.0]), "all 1 rows have weight 0"),
        (lambda: metrics.mae([1.0], [1.0], alpha=2), "alpha is 2"),
        (lambda: metrics.mae([1.0], [1.0], design_effect=0), "design effect is 0"),
        (lambda: metrics.pinball([1.0], [1.0], level=1.5), "pinball level is 1.5"),
        (lambda: metrics.gains(Y, S, share=0), "share of rows is 0"),
        (lambda: metrics.calibration_error(Y, S, bins=0), "bins is 0"),
        (lambda: metrics.cost(Y, Y, costs=[[1.0]]), "2 classes take 2 x 2 finite costs"),
        (lambda: metrics.observed_over_expected([1.0, 2.5], [1.0, 2.0], edges=[2, 1]), "edges of bands do not ascend"),
        (lambda: metrics.group_fairness(Y, Y, ["a"] * 6, reference="b"), "reference is 'b'; the groups are 'a'"),
        (lambda: metrics.group_fairness(Y, Y, [None] * 6), "no row has a group"),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_degenerate_answers_have_honest_intervals() -> None:
    perfect = metrics.roc_auc([0] * 20 + [1] * 20, np.arange(40))
    assert perfect.value == 1.0
    assert perfect.ci is not None
    assert 0.8 < perfect.ci.low < 0.95 < perfect.ci.high == 1.0
    assert metrics.average_precision([0] * 20 + [1] * 20, np.arange(40)).ci.low < 0.9
    assert metrics.mcc([0] * 20 + [1] * 20, [0] * 20 + [1] * 20).ci.low < 0.95
    exact = metrics.mse([1.0, 2.0], [1.0, 2.0])
    assert (exact.value, exact.ci, exact.message) == (0.0, None, "every row has the same loss: no interval")
    assert metrics.roc_auc([0, 1, 0], [math.inf, math.inf, -math.inf]).value == 0.75
    alone = metrics.mae([1.0], [3.0])
    assert (alone.value, alone.message) == (2.0, "no interval from one effective row")


def test_labels_of_minus_one_and_one() -> None:
    signed = [2 * y - 1 for y in Y]
    assert metrics.average_precision(signed, S) == metrics.average_precision(Y, S)
    assert metrics.precision(signed, signed).value == 1.0
    # A greater label is positive for rankings, as in scikit-learn.
    assert metrics.roc_auc([2 + y for y in Y], S) == metrics.roc_auc(Y, S)
    assert metrics.roc_auc(Y, S, pos_label=0).value == pytest.approx(1 - metrics.roc_auc(Y, S).value)


def test_absent_classes_can_be_named() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    assert metrics.log_loss([0, 1], p, labels=[0, 1, 2]).value == pytest.approx(-(math.log(0.7) + math.log(0.8)) / 2)
    assert metrics.confusion_matrix(["b"], ["b"], labels=["a", "b"]).counts == ((0.0, 0.0), (0.0, 1.0))


def test_unnormalised_probabilities_are_told() -> None:
    p = np.array([[0.7, 0.7, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    assert "1 rows do not sum to 1" in (metrics.log_loss([0, 1, 2], p).message or "")


def test_tables_leave_as_arrow() -> None:
    table = metrics.observed_over_expected(Y, S)
    assert [row.part for row in table][-2:] == ["0.9 and above", "all"]
    assert pa.table(table).num_rows == len(table) == 11
    assert math.isnan(table[6].value)
    assert table[6].message == "no row falls in the band"
    assert table[10].value == pytest.approx(3 / 3.0)
    numbers = metrics.observed_over_expected([1.5, 2.0, 4.0], [1.0, 2.0, 3.0])
    assert (len(numbers), numbers[0].value) == (1, pytest.approx(7.5 / 6))


def test_parameters_are_part_of_the_definition() -> None:
    assert metrics.pinball([1.0, 2.0], [2.0, 2.0], level=0.9).definition == "pinball/0.9/v1"
    assert metrics.gains(Y, S, share=0.5).definition == "gains/top-0.5/v1"
    assert metrics.f1(Y, Y, average="macro").definition == "f1/macro/v1"
    assert metrics.calibration_error(Y, S).definition == "calibration_error/equal-width-10/v1"
    assert (
        metrics.calibration_error(Y, S, bins=4, strategy="quantile").definition == "calibration_error/equal-mass-4/v1"
    )
    for name in REGISTRY:
        assert re.fullmatch(rf"{name}(/[^/]+)*/v\d+", REGISTRY[name]["definition"])


def scores(n: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return y, rng.normal(1.2 * y, 1.0).round(2)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "gini"])
def test_rows_that_are_blocks_are_independent(name: str) -> None:
    y, s = scores(600, 1)
    metric = getattr(metrics, name)
    alone, blocks = metric(y, s), metric(y, s, block=np.arange(600))
    assert blocks.value == alone.value
    # The jackknife and the delta method agree to O(1/n).
    np.testing.assert_allclose(blocks.ci, alone.ci, rtol=0.01)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "accuracy", "f1", "brier", "log_loss"])
def test_rows_four_times_have_a_design_effect_of_four(name: str) -> None:
    y, s = scores(500, 2)
    s = 1 / (1 + np.exp(0.6 - s))
    more = {"threshold": 0.5} if name in ("accuracy", "f1") else {}
    metric = getattr(metrics, name)
    once = metric(y, s, **more)
    again = metric(np.repeat(y, 4), np.repeat(s, 4), block=np.repeat(np.arange(500), 4), **more)
    assert again.value == pytest.approx(once.value)
    np.testing.assert_allclose(again.ci, once.ci, rtol=0.02)
    effect = re.fullmatch(r"block: 500 blocks, design effect ([0-9.]+)", again.variance)
    assert effect is not None
    assert float(effect[1]) == pytest.approx(4, rel=0.1)


def test_blocks_do_not_depend_on_order_and_may_be_many() -> None:
    y, s = scores(6000, 3)
    days = np.array([f"day {i}" for i in np.arange(6000) // 100])
    order = np.random.default_rng(4).permutation(6000)
    assert metrics.roc_auc(y[order], s[order], block=days[order]) == metrics.roc_auc(y, s, block=days)
    many = metrics.roc_auc(y, s, block=np.arange(6000) // 2)
    assert many.variance.startswith("block: 9") or many.variance.startswith("block: 1"), many.variance
    table = metrics.gains_table(y, s, shares=[0.1, 0.5], block=days)
    assert table[1] == metrics.gains_table(y, s, shares=[0.5], block=days)[0]


@pytest.mark.parametrize(
    ("block", "more", "message"),
    [
        (["a"] * 6, {}, "1 blocks hold rows; their variance needs at least 2"),
        (["a", None] * 3, {}, "block is null in row 1"),
        (["a", "b"] * 3, {"design_effect": 2.0}, "design_effect is 2 beside block"),
        (["a", "b"], {}, "columns differ in length"),
    ],
)
def test_blocks_that_are_refused(block: list[Any], more: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        metrics.brier(Y, S, block=block, **more)


def test_a_block_that_alone_holds_a_class_is_told() -> None:
    found = metrics.roc_auc([0, 0, 0, 0, 1, 1], S, block=["a", "a", "b", "b", "c", "c"])
    assert found.message == "no number without one of the blocks: rows taken as independent"
