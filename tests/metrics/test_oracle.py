"""Metrics against scikit-learn and the oracle values of real prediction logs."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from engine import data_folder
from scipy import stats as scipy_stats
from sklearn import metrics as sk
from tidegauge import metrics

# Sums of a few thousand doubles in another order than ours, which rounds once.
REL = 1e-12
ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
RNG = np.random.default_rng(20)
N = 3000

CLASSES = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "mcc": sk.matthews_corrcoef,
    "specificity": lambda *a, **k: sk.recall_score(*a, pos_label=0, **k),
}
SCORES = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
    "gini": lambda *a, **k: 2 * sk.roc_auc_score(*a, **k) - 1,
}
NUMBERS = {
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "mape": sk.mean_absolute_percentage_error,
    "r2": sk.r2_score,
    "poisson_deviance": sk.mean_poisson_deviance,
    "gamma_deviance": sk.mean_gamma_deviance,
    "pinball": lambda *a, **k: sk.mean_pinball_loss(*a, alpha=0.9, **k),
}
WEIGHTS = {
    "none": None,
    "integers": RNG.integers(0, 5, N).astype(float),
    "heavy": RNG.lognormal(0, 2, N),
    "tiny": 1e-9 * RNG.random(N),
    "huge": 1e9 * RNG.random(N),
}


def same(ours: metrics.MetricResult, theirs: float) -> None:
    assert ours.value == pytest.approx(theirs, rel=REL, abs=1e-14)
    assert (ours.bound_low, ours.bound_high, ours.exactness) == (ours.value, ours.value, "exact")
    assert ours.ci is not None
    assert ours.ci.low <= ours.value <= ours.ci.high
    assert ours.n == N


@cache
def binary(digits: int | None) -> tuple[Any, Any]:
    y = RNG.integers(0, 2, N)
    score = np.clip(RNG.normal(0.4 + 0.2 * y, 0.2), 0, 1)
    return y, score if digits is None else score.round(digits)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("digits", [None, 1])
def test_binary_labels(weights: str, digits: int | None) -> None:
    y, score = binary(digits)
    w = WEIGHTS[weights]
    guess = (score >= 0.5).astype(int)
    for name, oracle in SCORES.items():
        same(getattr(metrics, name)(y, score, sample_weight=w), oracle(y, score, sample_weight=w))
    for name, oracle in CLASSES.items():
        ours = getattr(metrics, name)
        same(ours(y, guess, sample_weight=w), oracle(y, guess, sample_weight=w))
        assert ours(y, score, threshold=0.5, sample_weight=w) == ours(y, guess, sample_weight=w)
    if w is None:
        ks = scipy_stats.ks_2samp(score[y == 1], score[y == 0]).statistic
        same(metrics.score_ks(y, score), ks)
    ours = metrics.confusion_matrix(y, guess, sample_weight=w)
    np.testing.assert_allclose(ours.to_numpy(), sk.confusion_matrix(y, guess, sample_weight=w), rtol=REL)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_several_classes(weights: str) -> None:
    w = WEIGHTS[weights]
    y = RNG.choice(["ash", "birch", "cedar", "dogwood"], N, p=[0.6, 0.25, 0.1, 0.05])
    guess = np.where(RNG.random(N) < 0.5, y, RNG.choice(["ash", "birch", "cedar", "dogwood"], N))
    p = RNG.dirichlet(np.ones(4), N)
    for average in ("macro", "micro", "weighted"):
        for name in ("precision", "recall", "f1"):
            oracle = CLASSES[name](y, guess, average=average, sample_weight=w)
            same(getattr(metrics, name)(y, guess, average=average, sample_weight=w), oracle)
    for name in ("accuracy", "balanced_accuracy", "mcc"):
        same(getattr(metrics, name)(y, guess, sample_weight=w), CLASSES[name](y, guess, sample_weight=w))
    for average in ("macro", "weighted"):
        oracle = sk.roc_auc_score(y, p, multi_class="ovr", average=average, sample_weight=w)
        same(metrics.roc_auc(y, p, average=average, sample_weight=w), oracle)
    same(metrics.log_loss(y, p, sample_weight=w), sk.log_loss(y, p, sample_weight=w))
    indicator = (np.unique(y)[None, :] == y[:, None]).astype(float)
    same(metrics.brier(y, p, sample_weight=w), np.average(((p - indicator) ** 2).sum(1), weights=w))


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_numbers(weights: str, offset: float) -> None:
    w = WEIGHTS[weights]
    y = RNG.gamma(2, 3, N) + offset
    prediction = y * RNG.lognormal(0, 0.3, N)
    for name, oracle in NUMBERS.items():
        more = {"level": 0.9} if name == "pinball" else {}
        same(getattr(metrics, name)(y, prediction, sample_weight=w, **more), oracle(y, prediction, sample_weight=w))


def test_calibration_error_by_hand() -> None:
    y, score = binary(None)
    w = WEIGHTS["heavy"]
    for weight in (None, w):
        ww = np.ones(N) if weight is None else weight
        edges = np.arange(1, 10) / 10
        cell = np.searchsorted(edges, score, side="right")
        gaps = [abs((ww * (y - score))[cell == b].sum()) for b in range(10)]
        same(metrics.calibration_error(y, score, sample_weight=weight), sum(gaps) / ww.sum())
    order = np.argsort(score)
    parts = np.array_split(order, 10)  # N is a multiple of 10, scores differ
    by_mass = sum(abs((y - score)[part].sum()) for part in parts) / N
    same(metrics.calibration_error(y, score, strategy="quantile"), by_mass)


def test_gains_by_hand() -> None:
    y, score = binary(None)
    order = np.argsort(-score)
    for share in (0.1, 0.25, 0.5):
        found = y[order[: round(share * N)]].sum() / y.sum()
        same(metrics.gains(y, score, share=share), found)
        same(metrics.lift(y, score, share=share), found / share)
    # Rows that tie at the cut are split: of 4 equal scores half are taken.
    assert metrics.gains([0, 1, 1, 0], [0.5] * 4, share=0.5).value == 0.5
    table = metrics.gains_table(y, score)
    assert [row.part for row in table][:2] == ["0.1", "0.2"]
    assert table[0].value == metrics.gains(y, score, share=0.1).value


def test_delong_by_definition() -> None:
    """Variance from all pairs, as DeLong et al. (1988) write it."""
    y, score = (a[:400] for a in binary(1))
    positive, negative = score[y == 1], score[y == 0]
    kernel = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = kernel.mean(1).var(ddof=1) / len(positive) + kernel.mean(0).var(ddof=1) / len(negative)
    area = kernel.mean()
    reach = scipy_stats.norm.isf(0.025) * np.sqrt(variance) / (area * (1 - area))
    logit = np.log(area / (1 - area))
    expected = 1 / (1 + np.exp(-(logit + np.array([-reach, reach]))))
    np.testing.assert_allclose(metrics.roc_auc(y, score).ci, expected, rtol=1e-10)
    gini = metrics.gini(y, score).ci
    np.testing.assert_allclose(gini, 2 * expected - 1, rtol=1e-9)


def test_wilson_against_statsmodels() -> None:
    from statsmodels.stats.proportion import proportion_confint

    y = np.r_[np.ones(40), np.zeros(60)].astype(int)
    guess = np.r_[np.ones(31), np.zeros(60), np.ones(9)].astype(int)
    ours = metrics.accuracy(y, guess).ci
    np.testing.assert_allclose(ours, proportion_confint((y == guess).sum(), 100, method="wilson"), rtol=1e-10)
    # Four equal weights, or a design effect, count as fewer rows.
    assert metrics.accuracy(y, guess, sample_weight=[0.25] * 100) == metrics.accuracy(y, guess)
    halved = metrics.accuracy(y, guess, design_effect=2.0)
    np.testing.assert_allclose(halved.ci, proportion_confint((y == guess).sum() / 2, 50, method="wilson"), rtol=1e-10)
    assert (halved.variance, halved.n_eff) == ("design effect 2", pytest.approx(50))


@cache
def log(name: str, side: str) -> pl.DataFrame:
    return pl.read_parquet(data_folder(name) / f"{side}.parquet")


def oracle(name: str) -> dict[str, Any]:
    path = ORACLES / name / "metrics.json"
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no oracle values for {name} beside the checkout")
        pytest.skip(f"no oracle values for {name} beside the checkout")
    return json.loads(path.read_text())["values"]


@pytest.mark.parametrize("name", ["nycflights13", "adult"])
@pytest.mark.parametrize("score", ["score", "score_lgb"])
@pytest.mark.parametrize("side", ["reference", "current"])
def test_classifier_logs(name: str, score: str, side: str) -> None:
    values = oracle(name)[side][score]["all"]
    data = log(name, side)
    y, s = data["label"], data[score]
    names = {"roc_auc": "roc_auc", "average_precision": "average_precision", "score_ks": "ks_roc", "brier": "brier"}
    for ours, theirs in names.items():
        found = getattr(metrics, ours)(y, s)
        assert found.value == pytest.approx(values[theirs], rel=1e-9), ours
        assert found.n == values["n"]
        assert found.n_unlabelled == y.null_count()
        assert found.label_coverage == 1 - y.null_count() / len(y)
    # scikit-learn clips and takes logarithms of float32 scores in float32.
    rel = 1e-9 if score == "score" else 1e-6
    assert metrics.log_loss(y, s).value == pytest.approx(values["log_loss"], rel=rel)
    assert metrics.calibration_error(y, s).value == pytest.approx(values["ece_10_equal_width"], rel=rel)
    for ours in ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc", "specificity"):
        assert getattr(metrics, ours)(y, s, threshold=0.5).value == pytest.approx(values[ours], rel=1e-9), ours
    counts = metrics.confusion_matrix(y, s, threshold=0.5).to_numpy()
    assert counts.ravel().tolist() == [values[k] for k in ("tn", "fp", "fn", "tp")]


@pytest.mark.parametrize("name", ["bike_2011", "bike_sharing"])
@pytest.mark.parametrize("side", ["reference", "current"])
def test_regression_logs(name: str, side: str) -> None:
    values = oracle(name)[side]["score"]["all"]
    data = log(name, side)
    for ours in ("mae", "mse", "rmse", "r2", "mape"):
        found = getattr(metrics, ours)(data["label"], data["score"])
        assert found.value == pytest.approx(values[ours], rel=1e-9), ours
    found = metrics.pinball(data["label"], data["score"], level=0.9)
    assert found.value == pytest.approx(values["pinball_0_9"], rel=1e-9)


def test_cells_bound_the_exact_value_of_a_real_log() -> None:
    """What a profile keeps: at most so many cells of score by label."""
    from tidegauge import _core

    data = log("nycflights13", "current").select(
        label=pl.col("label").cast(pl.UInt32), prediction=pl.col("score").cast(pl.Float64)
    )
    for name, widest in (("roc_auc", 2e-3), ("average_precision", 5e-3), ("score_ks", 5e-3)):
        exact = getattr(metrics, name)(data["label"], data["prediction"]).value
        for cells in (512, 4096):
            options = json.dumps({"task": "binary", "cells": cells, "alpha": 0.05, "design_effect": 1.0})
            [found] = json.loads(_core.metric(name, data, options))["answers"]
            assert found["exactness"] == "certified"
            assert found["bound_low"] <= exact <= found["bound_high"]
            assert found["ci_low"] <= found["bound_low"] <= found["bound_high"] <= found["ci_high"]
            width = found["bound_high"] - found["bound_low"]
            assert width < widest * 4096 / cells, (name, cells, width)


@pytest.mark.parametrize("column", ["sex", "race"])
def test_group_fairness_of_adult(column: str) -> None:
    data = log("adult", "current")
    fair = metrics.group_fairness(data["label"], data["score"], data[column], threshold=0.5)
    rates = {}
    for (group,), part in data.group_by([column]):
        chosen = part["score"].to_numpy() >= 0.5
        positive = part["label"].to_numpy() == 1
        rates[group] = (chosen.mean(), chosen[positive].mean() if positive.any() else np.nan)
    assert fair.reference == max(rates, key=lambda g: rates[g][0])
    assert [g.group for g in fair.groups] == sorted(rates)
    base = rates[fair.reference]
    for group, (selected, found) in rates.items():
        ours = fair[group]
        assert ours.selection_rate.value == pytest.approx(selected, rel=REL)
        assert ours.adverse_impact_ratio.value == pytest.approx(selected / base[0], rel=REL)
        if np.isnan(found):
            assert "no predicted row" in (ours.true_positive_rate.message or "")
            continue
        assert ours.true_positive_rate.value == pytest.approx(found, rel=REL)
        assert ours.equal_opportunity_difference.value == pytest.approx(found - base[1], rel=REL, abs=1e-15)
        for rate in (ours.adverse_impact_ratio, ours.equal_opportunity_difference):
            assert (rate.ci is None) == (group == fair.reference)
            assert rate.ci is None or rate.ci.low <= rate.value <= rate.ci.high
    assert fair.to_polars().height == 4 * len(rates)


def test_adverse_impact_ratio_against_statsmodels() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    guess = [1] * 30 + [0] * 70 + [1] * 55 + [0] * 65
    group = ["a"] * 100 + ["b"] * 120
    fair = metrics.group_fairness(guess, guess, group)
    assert fair.reference == "b"
    # The score interval (Koopman) and square-and-add of Wilson's limits agree closely.
    expected = confint_proportions_2indep(30, 100, 55, 120, method="score", compare="ratio")
    np.testing.assert_allclose(fair["a"].adverse_impact_ratio.ci, expected, rtol=0.01)
    expected = confint_proportions_2indep(30, 100, 55, 120, method="newcomb", compare="diff")
    labels = [1] * 220
    difference = metrics.group_fairness(labels, guess, group)["a"].equal_opportunity_difference
    np.testing.assert_allclose(difference.ci, expected, rtol=1e-9)
