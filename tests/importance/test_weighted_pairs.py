"""Weighted importances against all pairs by the product of their weights."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from sklearn.linear_model import LinearRegression, LogisticRegression
from tidegauge.errors import UsageError
from zoo import Case, case

ROWS = 70


def weights(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    w = rng.lognormal(sigma=1.5, size=rows)
    w[rng.random(rows) < 0.15] = 0.0
    return w


def loss(scoring: str, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    match scoring:
        case "neg_log_loss":
            p = np.column_stack([1 - p, p]) if p.ndim == 1 else p
            return -np.log(np.clip(p[np.arange(len(y)), y.astype(int)], 2.0**-52, 1 - 2.0**-52))
        case "neg_mean_absolute_error":
            return np.abs(y - p)
        case "accuracy":
            return ((p > 0.5) != y).astype(float)
    return (y - p) ** 2


def all_pairs(predict: Any, x: np.ndarray, y: np.ndarray, w: np.ndarray, scoring: str) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means over pairs and their jackknife, row by row left out."""
    n = len(x)
    value, error = [], []
    own = loss(scoring, y, predict(x))
    products = np.outer(w, w)
    np.fill_diagonal(products, 0.0)
    for j in range(x.shape[1]):
        exchanged = np.repeat(x, n, axis=0)
        exchanged[:, j] = np.tile(x[:, j], n)
        d = loss(scoring, np.repeat(y, n), predict(exchanged)).reshape(n, n) - own[:, None]
        parts = products * d
        np.fill_diagonal(parts, 0.0)
        theta = parts.sum() / products.sum()
        left = [
            (parts.sum() - parts[i].sum() - parts[:, i].sum()) / (products.sum() - 2 * products[i].sum()) - theta
            for i in np.flatnonzero(w)
        ]
        held = len(left)
        value.append(theta)
        error.append(math.sqrt((held - 1) / held * sum(m * m for m in left)))
    return np.array(value), np.array(error)


@pytest.mark.parametrize(
    ("name", "scoring"),
    [
        ("lightgbm-binary", "neg_log_loss"),
        ("lightgbm-multiclass", "neg_log_loss"),
        ("lightgbm-no-missing", "neg_mean_absolute_error"),
        ("histogram", "neg_mean_squared_error"),
    ],
)
def test_trees(name: str, scoring: str) -> None:
    known: Case = case(name)
    x, y, w = known.x[:ROWS], known.y[:ROWS], weights(ROWS)
    value, error = all_pairs(known.predict, x, y, w, scoring)
    found = tg.permutation_importance(known.model, x, y, scoring=scoring, method="exact", sample_weight=w)
    scale = np.maximum(np.abs(value), abs(found.baseline)) + 1e-12
    # The largest weight keeps 48 bits.
    np.testing.assert_array_less(np.abs(found.importances_mean - value), 1e-10 * scale)
    np.testing.assert_array_less(np.abs(found.standard_error - error), 1e-8 * scale)
    assert found.baseline == pytest.approx(np.average(loss(scoring, y, known.predict(x)), weights=w), rel=1e-12)
    assert found.weighted_rows == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-10)
    assert found.responses is None
    assert found.expected_permutation[0] == pytest.approx(value[0] * (1 - (w**2).sum() / w.sum() ** 2), rel=1e-9)


@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "neg_mean_absolute_error", "neg_log_loss", "accuracy"])
def test_linear(scoring: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 3))
    y = x @ [1.0, -0.5, 0.0] + rng.normal(size=ROWS)
    classes = scoring in ("neg_log_loss", "accuracy")
    y = (y > 0).astype(int) if classes else y
    model = LogisticRegression().fit(x, y) if classes else LinearRegression().fit(x, y)
    w = weights(ROWS, 1)
    predict = (lambda rows: model.predict_proba(rows)[:, 1]) if classes else model.predict
    value, error = all_pairs(predict, x, y, w, scoring)
    found = tg.permutation_importance(model, x, y, scoring=scoring, method="exact", sample_weight=w)
    np.testing.assert_allclose(found.importances_mean, value, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-7, atol=1e-10)
    assert found.baseline == pytest.approx(np.average(loss(scoring, y, predict(x)), weights=w), rel=1e-12)


def test_equal_weights_are_none_and_scale_does_not_matter() -> None:
    known = case("lightgbm-binary")
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "method": "exact"}
    plain = tg.permutation_importance(known.model, known.x, known.y, **ask)
    for w in (np.ones(len(known.x)), np.full(len(known.x), 1e-200), np.full(len(known.x), 3e200)):
        found = tg.permutation_importance(known.model, known.x, known.y, sample_weight=w, **ask)
        np.testing.assert_allclose(found.importances_mean, plain.importances_mean, rtol=1e-12)
        np.testing.assert_allclose(found.standard_error, plain.standard_error, rtol=1e-9)
        np.testing.assert_allclose(found.interval, plain.interval, rtol=1e-6)
    # A row of weight 0 is no row.
    w = weights(len(known.x))
    some = w > 0
    found = tg.permutation_importance(known.model, known.x, known.y, sample_weight=w, **ask)
    without = tg.permutation_importance(known.model, known.x[some], known.y[some], sample_weight=w[some], **ask)
    np.testing.assert_allclose(found.importances_mean, without.importances_mean, rtol=1e-10)
    np.testing.assert_allclose(found.standard_error, without.standard_error, rtol=1e-9)


def test_files_blocks_and_threads(tmp_path: Path) -> None:
    """Parts in any order leave one digest, and the weights are no feature."""
    known = case("lightgbm-binary")
    names = [f"Column_{j}" for j in range(known.x.shape[1])]
    w = weights(len(known.x))
    frame = pl.DataFrame(known.x, schema=names).with_columns(
        y=known.y, w=pl.Series(w), day=pl.Series(np.arange(len(w)) // 60)
    )
    for i, part in enumerate(frame.iter_slices(400)):
        part.write_parquet(tmp_path / f"{9 - i}.parquet")
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "method": "exact"}
    files = tg.permutation_importance(
        known.model, str(tmp_path / "*.parquet"), "y", sample_weight="w", block="day", **ask
    )
    one = tg.permutation_importance(
        known.model, known.x, known.y, sample_weight=w, block=frame["day"].to_numpy(), n_threads=1, **ask
    )
    np.testing.assert_array_equal(files.importances_mean, one.importances_mean)
    np.testing.assert_allclose(files.standard_error, one.standard_error, rtol=1e-12)
    assert files.provenance["sums"] == one.provenance["sums"]
    assert files.variance == "block:day"
    r2 = tg.permutation_importance(
        known.model, frame.lazy().drop("day"), "y", sample_weight="w", scoring="neg_brier_score", method="exact"
    )
    assert r2.features == names


def test_drift_of_weighted_importances() -> None:
    known = case("lightgbm-binary")
    sides = [
        tg.permutation_importance(
            known.model, known.x[part], known.y[part], scoring="neg_log_loss", sample_weight=weights(750, 5)
        )
        for part in (slice(0, 750), slice(750, 1500))
    ]
    found = tg.importance_drift(*sides)
    assert any("weights" in note for note in found.notes)
    row = next(r for r in found.rows if r["statistic"] == "importance_change")
    assert row["n_eff_reference"] < 400
    assert not any("_from_" in r["statistic"] for r in found.rows)


@pytest.mark.parametrize(
    ("w", "told"),
    [
        (np.full(70, -1.0), "sample_weight is -1.0 in row 0"),
        (np.r_[np.ones(69), np.nan], "sample_weight is nan in row 69"),
        (np.zeros(70), "0 in every row"),
        (np.ones(69), r"shape \(69,\); accepted is \(70,\)"),
        (np.r_[1.0, np.zeros(69)], "1 rows with weight"),
    ],
)
def test_bad_weights(w: np.ndarray, told: str) -> None:
    known = case("lightgbm-binary")
    with pytest.raises(UsageError, match=told):
        tg.permutation_importance(
            known.model, known.x[:70], known.y[:70], scoring="neg_log_loss", method="exact", sample_weight=w
        )


def test_bad_weights_of_files() -> None:
    known = case("lightgbm-binary")
    names = [f"Column_{j}" for j in range(known.x.shape[1])]
    frame = pl.DataFrame(known.x, schema=names).with_columns(y=known.y, w=pl.lit(1.0)).lazy()
    ask: dict[str, Any] = {"scoring": "neg_log_loss", "method": "exact"}
    for given, told in (
        (frame.with_columns(w=pl.when(pl.col("y") == 1).then(-2.0).otherwise(1.0)), "weights such as -2.0"),
        (frame.with_columns(w=pl.lit(None, pl.Float64)), "weights such as None"),
        (frame.with_columns(w=pl.lit(0.0)), "0 in every row"),
    ):
        with pytest.raises(UsageError, match=told):
            tg.permutation_importance(known.model, given, "y", sample_weight="w", **ask)
    with pytest.raises(UsageError, match="name of a column"):
        tg.permutation_importance(known.model, frame, "y", sample_weight=np.ones(1500), **ask)
