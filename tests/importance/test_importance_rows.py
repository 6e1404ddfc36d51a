"""What stands beside an importance: associated features, rows outside the data, groups, ratio."""

import math

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from scipy import stats
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression

SQUARED = "neg_mean_squared_error"


def draw(rows: int, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    """`b` goes with `a`, the category `band` is cut from `a`, `town` from nothing, and `c` is alone."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=rows)
    b = a + 0.3 * rng.normal(size=rows)
    band = np.digitize(a, [-1.0, 0.0, 1.0])
    frame = pl.DataFrame(
        {
            "a": a,
            "b": b,
            "c": rng.normal(size=rows),
            "band": np.array(["low", "fair", "good", "high"])[band],
            "town": rng.choice(["Bonn", "Kiel", "Ulm"], rows),
        }
    )
    return frame, a + b + frame["c"].to_numpy() + 0.5 * rng.normal(size=rows)


def predict(x: pl.DataFrame) -> np.ndarray:
    return (x["a"] + x["b"] + x["c"]).to_numpy()


def test_associations_are_those_of_scipy_and_their_formulas() -> None:
    x, y = draw(2000, 1)
    found = tg.permutation_importance(predict, x, y, scoring=SQUARED, n_repeats=1)
    rank = abs(stats.spearmanr(x["a"], x["b"]).statistic)
    near = dict(found.correlated[0])
    assert near["b"] == pytest.approx(rank, rel=1e-9)
    # The correlation ratio of the ranks, less what four categories explain by chance.
    ranks = stats.rankdata(x["a"])
    means = x.with_columns(r=pl.Series(ranks)).group_by("band").agg(pl.col("r").mean(), pl.len())
    between = ((means["r"] - ranks.mean()) ** 2 * means["len"]).sum() / ((ranks - ranks.mean()) ** 2).sum()
    assert near["band"] == pytest.approx(math.sqrt(1 - (1 - between) * 1999 / 1996), rel=1e-9)
    assert found.correlated[2] == found.correlated[4] == []
    # Two categories: Cramer's V as Bergsma corrects it.
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 4, 800)
    other = np.where(rng.random(800) < 0.9, codes, rng.integers(0, 4, 800))
    frame = pl.DataFrame({"x": codes.astype(str), "y": other.astype(str)})
    two = tg.permutation_importance(
        lambda f: f["x"].cast(pl.Int64).to_numpy(), frame, codes, scoring=SQUARED, n_repeats=1
    )
    table = frame.to_pandas().value_counts().unstack(fill_value=0).to_numpy()
    phi = stats.contingency.association(table, method="cramer") ** 2 * 3
    phi, size = max(0.0, phi - 9 / 799), 4 - 9 / 799
    assert dict(two.correlated[0])["y"] == pytest.approx(math.sqrt(phi / (size - 1)), rel=1e-6)


def test_rows_outside_the_data() -> None:
    x, y = draw(4000, 3)
    found = tg.permutation_importance(predict, x, y, scoring=SQUARED, n_repeats=1)
    assert found.outside is not None
    assert found.outside_error is not None
    assert found.outside[0] > 0.4
    assert found.outside[1] > 0.4
    assert found.outside[2] == found.outside[4] == 0.0
    # 4,000 rows are all looked at; of more a sample is, whose error is that of its share.
    assert set(found.outside_error) == {0.0}
    many = [
        tg.permutation_importance(predict, *draw(30_000, 100 + k), scoring=SQUARED, n_repeats=1, max_rows=29_000)
        for k in range(8)
    ]
    shares = [m.outside[0] for m in many if m.outside is not None]
    errors = [m.outside_error[0] for m in many if m.outside_error is not None]
    assert min(errors) > 0.0
    # Errors are those of the rows alone; where the edge of the data lies varies too.
    assert np.std(shares, ddof=1) < 6 * np.mean(errors)
    few = tg.permutation_importance(predict, *draw(60, 4), scoring=SQUARED, n_repeats=1)
    assert few.outside is not None
    assert np.isnan(few.outside).all()


@pytest.mark.parametrize("kind", ["trees", "linear", "black box"])
def test_a_group_has_a_row_above_its_members(kind: str) -> None:
    x, y = draw(1500, 5)
    x = x.select("c", "a", "b")
    models = {
        "trees": GradientBoostingRegressor(n_estimators=60, max_depth=3, random_state=0),
        "linear": LinearRegression(),
    }
    model = models[kind].fit(x, y) if kind in models else predict
    found = tg.permutation_importance(model, x, y, scoring=SQUARED, n_repeats=20)
    (group,) = found.associated_groups
    assert group.features == ["a", "b"]
    assert group.association == pytest.approx(found.correlated[1][0][1])
    # Both at once: twice the variance of a + b, where each alone is twice its own and the other stays.
    signal = (x["a"] + x["b"]).to_numpy()
    assert group.importance == pytest.approx(2 * signal.var(), rel=0.15)
    assert group.importance > 1.5 * (found.importances_mean[1] + found.importances_mean[2])
    assert group.interval[0] < group.importance < group.interval[1]
    assert group.pvalue < 1e-6
    assert group.outside == 0.0
    assert group.method in ("exact", "permutation")
    table = found.to_polars()
    assert table["feature"].to_list()[0] == "a + b"
    assert table["kind"].to_list() == ["group", "feature", "feature", "feature"]
    assert table["group"].to_list() == [None, "a + b", "a + b", None]
    assert set(table["feature"].to_list()[1:3]) == {"a", "b"}
    # Features keep their places, and their q-values are those of the features.
    assert found.features == ["c", "a", "b"]
    assert found.qvalue == pytest.approx(stats.false_discovery_control(found.pvalue), rel=1e-9)
    assert "outside the data" in repr(found)


def test_given_groups_have_associations_of_their_members_and_no_groups_of_their_own() -> None:
    x, y = draw(800, 6)
    groups = {"left": ["a", "c"], "right": ["b", "town"]}
    found = tg.permutation_importance(predict, x, y, scoring=SQUARED, groups=groups, n_repeats=2)
    assert found.associated_groups == []
    assert found.correlated[0][0][0] == "right"
    assert found.correlated[0][0][1] == pytest.approx(abs(stats.spearmanr(x["a"], x["b"]).statistic), rel=1e-9)
    assert found.outside is not None
    assert found.outside[0] > 0.3


@pytest.mark.parametrize("scoring", [SQUARED, "r2", "neg_mean_absolute_error"])
def test_ratio_is_the_loss_over_the_loss(scoring: str) -> None:
    x, y = draw(500, 7)
    x = x.select("a", "b", "c")
    model = LinearRegression().fit(x, y)
    exact = tg.permutation_importance(model, x, y, scoring=scoring)
    found = tg.permutation_importance(model, x, y, scoring=scoring, method="permutation", n_repeats=60)
    residuals = y - model.predict(x)
    loss = np.abs(residuals).mean() if "absolute" in scoring else np.square(residuals).mean()
    scale = np.var(y) if scoring == "r2" else 1.0
    assert exact.ratio == pytest.approx(1 + exact.importances_mean * scale / loss, rel=1e-9)
    assert found.ratio == pytest.approx(exact.ratio, rel=0.05)
    # A harmful feature is below one, and not its size.
    worse = LinearRegression(fit_intercept=False).fit(np.eye(3), [1.0, 1.0, -1.0])
    harmful = tg.permutation_importance(worse, x.to_numpy(), y, scoring=SQUARED)
    assert harmful.importances_mean[2] < 0.0
    assert harmful.ratio[2] < 1.0
    assert harmful.pvalue[2] > 0.99


def test_a_score_that_is_no_loss_has_no_ratio() -> None:
    x, y = draw(300, 8)
    found = tg.permutation_importance(predict, x, y, scoring=lambda y, f: float(np.corrcoef(y, f)[0, 1]), n_repeats=2)
    assert np.isnan(found.ratio).all()
    assert np.isnan(found.n_eff).all()
