"""Measured defects of tools in use today: explanations."""

import numpy as np
import pytest
import tidegauge as tg
from sklearn.linear_model import LinearRegression

WEIGHTS = np.array([2.0, 1.0, 0.5])


def importances(scale: np.ndarray, seed: int, rows: int = 2000) -> tg.ImportanceResult:
    """Of y = w x + noise by the model that knows w: twice (w s)^2."""
    rng = np.random.default_rng(seed)
    weights = WEIGHTS if len(scale) == 3 else np.ones(len(scale))
    fitted = LinearRegression(fit_intercept=False).fit(np.eye(len(scale)), weights)
    x = rng.normal(size=(rows, len(scale))) * scale
    y = x @ weights + rng.normal(size=rows)
    return tg.permutation_importance(fitted, x, y, scoring="neg_mean_squared_error")


def value(found: tg.ImportanceDrift, statistic: str, feature: str = "*") -> float:
    return next(r["value"] for r in found.rows if (r["statistic"], r["feature"]) == (statistic, feature))


def test_32_attribution_drift_has_an_error_rate() -> None:
    """All importances a tenth; then the most important of ten falls to the last place.

    NDCG below 0.9: 1.0 and .942. Right: each feature that changed, at a false-discovery rate.
    """
    found = tg.importance_drift(importances(np.ones(3), 1), importances(np.full(3, 0.1**0.5), 2))
    assert value(found, "compatibility_ndcg") == 1.0
    assert value(found, "compatibility_rank_correlation") == 1.0
    assert len(found.changed) == 3
    for feature in ("column_0", "column_1", "column_2"):
        assert value(found, "importance_ratio", feature) == pytest.approx(0.1, rel=0.2)

    before = np.array([1.4**0.5, *np.ones(9)])
    after = before.copy()
    after[0] = 0.3
    found = tg.importance_drift(importances(before, 3, 20_000), importances(after, 4, 20_000))
    assert value(found, "importance_rank_change", "column_0") == 9
    assert value(found, "compatibility_ndcg") == pytest.approx(0.942, abs=0.005)
    assert [row["feature"] for row in found.changed] == ["column_0"]

    same = tg.importance_drift(importances(np.ones(3), 5), importances(np.ones(3), 6))
    assert same.verdict == "ok"
