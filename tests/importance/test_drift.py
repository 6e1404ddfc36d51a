"""Changes of importance: against every pair of rows, where drift was planted, and where there is none."""

import json
import math
import pickle
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from scipy import stats
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import ndcg_score
from tidegauge.errors import GateError, UsageError
from tidegauge.importance import ImportanceResult
from tidegauge.results import ROW_FIELDS

NAMES = ["a", "b", "c", "d"]
WEIGHTS = np.array([1.5, 1.0, 0.5, 0.0])
SQUARED = "neg_mean_squared_error"


def draw(rows: int, seed: int, *, scale: float = 1.0, weights: np.ndarray = WEIGHTS) -> tuple[pl.DataFrame, np.ndarray]:
    """Features, `b` of them times `scale`, and labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    x[:, 1] *= scale
    return pl.DataFrame(x, schema=NAMES), x @ weights + 0.5 * rng.normal(size=rows)


@cache
def trees() -> GradientBoostingRegressor:
    x, y = draw(2000, 99)
    # A little of `d`, so that the model uses what the labels do not depend on.
    y = y + 0.3 * x["d"].to_numpy()
    return GradientBoostingRegressor(n_estimators=30, max_depth=3, random_state=0).fit(x, y)


def importance(model: Any, x: pl.DataFrame, y: np.ndarray, **options: Any) -> ImportanceResult:
    return tg.permutation_importance(model, x, y, **({"scoring": SQUARED} | options))


def rows(found: tg.ImportanceDrift, statistic: str) -> dict[str, dict[str, Any]]:
    return {row["feature"]: row for row in found.rows if row["statistic"] == statistic}


def mean_changes(model: Any, a: tuple[pl.DataFrame, np.ndarray], b: tuple[pl.DataFrame, np.ndarray], j: int) -> Any:
    """Change of the loss of each row of `a` under each donor of `b`."""
    x, y = a[0].to_numpy(), a[1]
    own = (y - model.predict(a[0])) ** 2
    columns = []
    for value in b[0].to_numpy()[:, j]:
        moved = x.copy()
        moved[:, j] = value
        columns.append((y - model.predict(pl.DataFrame(moved, schema=NAMES))) ** 2 - own)
    return np.column_stack(columns)


def left_out(d: np.ndarray) -> tuple[float, float]:
    """Importance and its jackknife standard error, by leaving out each row in turn."""
    n = len(d)
    value = d.sum() / n / (n - 1)
    others = [np.delete(np.delete(d, i, 0), i, 1).sum() / (n - 1) / (n - 2) for i in range(n)]
    return value, math.sqrt((n - 1) / n * ((others - np.mean(others)) ** 2).sum())


def test_equals_all_pairs() -> None:
    model, reference = trees(), draw(90, 1)
    window = draw(70, 2, scale=1.6, weights=np.array([0.4, 1.0, 0.5, 0.0]))
    found = tg.importance_drift(importance(model, *reference), importance(model, *window))
    pvalues, before, after = [], [], []
    for j, name in enumerate(NAMES):
        rr, ww = mean_changes(model, reference, reference, j), mean_changes(model, window, window, j)
        rw, wr = mean_changes(model, reference, window, j), mean_changes(model, window, reference, j)
        (r, r_error), (w, w_error) = left_out(rr), left_out(ww)
        before.append(r)
        after.append(w)
        change = rows(found, "importance_change")[name]
        assert change["value"] == pytest.approx(w - r, abs=1e-10)
        sides = (w, w_error * 70**0.5, 70, r, r_error * 90**0.5, 90)
        welch, pooled = (stats.ttest_ind_from_stats(*sides, equal_var=equal) for equal in (False, True))
        error = (w - r) / min(welch.statistic, pooled.statistic, key=abs)
        u, v = w_error**2, r_error**2
        pvalue = 2 * stats.t.sf(abs(w - r) / error, (u + v) ** 2 / (u**2 / 69 + v**2 / 89))
        assert change["pvalue"] == pytest.approx(pvalue, rel=1e-6)
        pvalues.append(pvalue)
        assert rows(found, "importance_ratio")[name]["value"] == pytest.approx(w / r, rel=1e-8)
        donors = ((rw.mean() - r) + (w - wr.mean())) / 2
        moved = rows(found, "importance_change_from_donors")[name]
        assert moved["value"] == pytest.approx(donors, abs=1e-10)
        assert rows(found, "importance_change_from_rows")[name]["value"] == pytest.approx(w - r - donors, abs=1e-10)
        # Of donors of one distribution: the mean effect of each donor on both sides' rows.
        of_reference = (rr.mean(axis=0) + wr.mean(axis=0)) / 2
        of_window = (rw.mean(axis=0) + ww.mean(axis=0)) / 2
        error = math.sqrt(of_reference.var(ddof=1) / 90 + of_window.var(ddof=1) / 70)
        assert moved["pvalue"] == pytest.approx(2 * stats.norm.sf(abs(donors) / error), rel=1e-6)
    adjusted = stats.false_discovery_control(pvalues)
    changes = rows(found, "importance_change")
    assert [changes[name]["qvalue"] for name in NAMES] == pytest.approx(list(adjusted), rel=1e-6)
    for name, q in zip(NAMES, adjusted, strict=True):
        assert (changes[name]["ci_low"] > 0 or changes[name]["ci_high"] < 0) == (q <= 0.05)
    gains = np.maximum(before, 0)
    assert rows(found, "compatibility_ndcg")["*"]["value"] == pytest.approx(ndcg_score([gains], [after]), rel=1e-12)
    rho = stats.spearmanr(before, after).statistic
    assert rows(found, "compatibility_rank_correlation")["*"]["value"] == pytest.approx(rho, rel=1e-12)
    ranks = stats.rankdata(-np.array(after)) - stats.rankdata(-np.array(before))
    assert [rows(found, "importance_rank_change")[name]["value"] for name in NAMES] == list(ranks)
    share = np.maximum(after, 0) / np.maximum(after, 0).sum() - gains / gains.sum()
    assert [rows(found, "importance_share_change")[name]["value"] for name in NAMES] == pytest.approx(share, abs=1e-9)


def test_fieller_limits_are_where_the_t_test_accepts() -> None:
    model = trees()
    before, after = importance(model, *draw(400, 3)), importance(model, *draw(400, 4, scale=1.5))
    found = rows(tg.importance_drift(before, after), "importance_ratio")["b"]
    u, v = before.standard_error[1] ** 2, after.standard_error[1] ** 2
    t = stats.t.isf(0.025, (u + v) ** 2 / (u**2 / 399 + v**2 / 399))
    for ratio in (found["ci_low"], found["ci_high"]):
        gap = after.importances_mean[1] - ratio * before.importances_mean[1]
        error = math.hypot(after.standard_error[1], ratio * before.standard_error[1])
        assert abs(gap) / error == pytest.approx(t, rel=1e-6)


def test_inputs_that_moved_show_in_donors_and_rows() -> None:
    model = trees()
    found = tg.importance_drift(importance(model, *draw(3000, 5)), importance(model, *draw(3000, 6, scale=1.5)))
    assert [row["feature"] for row in found.changed] == ["b"]
    donors = rows(found, "importance_change_from_donors")
    assert donors["b"]["pvalue"] < 1e-6
    assert donors["b"]["value"] > 0 < rows(found, "importance_change_from_rows")["b"]["value"]
    assert all(donors[name]["pvalue"] > 0.01 for name in ("a", "c", "d"))


def test_another_relation_to_the_label_shows_in_rows_alone() -> None:
    model = trees()
    window = draw(3000, 8, weights=np.array([1.5, 0.2, 0.5, 0.0]))
    found = tg.importance_drift(importance(model, *draw(3000, 7)), importance(model, *window))
    assert [row["feature"] for row in found.changed] == ["b"]
    change = rows(found, "importance_change")["b"]
    donors = rows(found, "importance_change_from_donors")["b"]
    assert donors["pvalue"] > 0.01
    assert abs(donors["value"]) < 0.1 * abs(change["value"])
    assert "from its own distribution" in change["message"]
    # Squared error: twice the covariance with what is left, so .2 / 1 of it remains.
    ratio = rows(found, "importance_ratio")["b"]
    assert ratio["ci_low"] < ratio["value"] < ratio["ci_high"] < 0.8


@pytest.mark.parametrize("kind", ["trees", "linear", "black box"])
def test_no_drift_no_alarm(kind: str) -> None:
    """Any alarm among four features, some weak; reference and window of different size."""
    replays = {"trees": 600, "linear": 600, "black box": 300}[kind]
    x, y = draw(2000, 98)
    line = LinearRegression().fit(x, y + 0.3 * x["d"].to_numpy())
    model = {"trees": trees(), "linear": line, "black box": lambda x: line.predict(x)}[kind]
    alarms, moved = 0, 0
    for seed in range(replays):
        before = importance(model, *draw(400, 10_000 + seed))
        after = importance(model, *draw(200, 50_000 + seed))
        found = tg.importance_drift(before, after)
        alarms += bool(found.changed)
        moved += sum(row["pvalue"] <= 0.05 for row in rows(found, "importance_change_from_donors").values())
    # Four standard errors of the simulation above the level.
    assert alarms / replays <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / replays), alarms
    if kind == "trees":
        level = moved / (4 * replays)
        assert abs(level - 0.05) < 4 * math.sqrt(0.05 * 0.95 / replays), level


def test_nan_on_one_side_leaves_the_split_out() -> None:
    x, y = draw(1500, 11)
    holes = x.with_columns(pl.when(pl.int_range(pl.len()) % 5 == 0).then(float("nan")).otherwise("a").alias("a"))
    model = HistGradientBoostingRegressor(max_iter=20).fit(holes, y)
    whole, with_nan = importance(model, x[:700], y[:700]), importance(model, holes[700:], y[700:])
    for pair in ((whole, with_nan), (with_nan, whole)):
        found = tg.importance_drift(*pair)
        assert set(rows(found, "importance_change_from_donors")) == {"b", "c", "d"}
        assert rows(found, "importance_change")["a"]["pvalue"] is not None
    assert "a" in rows(tg.importance_drift(with_nan, with_nan), "importance_change_from_donors")


def test_r2_is_compared_as_squared_error() -> None:
    model = trees()
    sides = [draw(300, 12), draw(300, 13, scale=1.3)]
    squared = tg.importance_drift(*(importance(model, *side) for side in sides))
    for options in ({}, {"method": "permutation", "random_state": 1}):
        direct = tg.importance_drift(*(importance(model, *side, **options) for side in sides))
        found = tg.importance_drift(*(importance(model, *side, scoring="r2", **options) for side in sides))
        for a, b in zip(direct.rows, found.rows, strict=True):
            assert a["value"] == pytest.approx(b["value"], rel=1e-9)
            assert a["pvalue"] == (None if b["pvalue"] is None else pytest.approx(b["pvalue"], rel=1e-6))
        assert any("variance of the labels" in note for note in found.notes)
    assert squared.notes == []


def test_groups_are_tested_as_one() -> None:
    """Two features that go together: what one loses the other gains, and the two at once do not change."""

    def together(seed: int, weights: tuple[float, float], noise: float = 0.2) -> tuple[pl.DataFrame, np.ndarray]:
        rng = np.random.default_rng(seed)
        a = rng.normal(size=1500)
        x = pl.DataFrame({"a": a, "b": a + noise * rng.normal(size=1500), "c": rng.normal(size=1500)})
        y = weights[0] * x["a"].to_numpy() + weights[1] * x["b"].to_numpy() + x["c"].to_numpy()
        return x, y + 0.3 * rng.normal(size=1500)

    model = LinearRegression().fit(*together(1, (1.0, 1.0)))
    before = importance(model, *together(2, (1.0, 1.0)))
    same = importance(model, *together(3, (1.0, 1.0)))
    less = importance(model, *together(4, (0.4, 0.4)))
    apart = importance(model, *together(5, (1.0, 1.0), noise=3.0))
    starts = ("2013-01-01", "2013-02-01", "2013-03-01")
    found = tg.importance_drift(before, dict(zip(starts, (same, less, apart), strict=True)), fail_at=1e6)
    told = {r["window_start"][:7]: r for r in found.rows if r["statistic"] == "group_importance_change"}
    assert {r["feature"] for r in told.values()} == {"a + b"}
    assert all(r["decides"] for r in told.values())
    (group,), (other,) = before.associated_groups, less.associated_groups
    row = told["2013-02"]
    assert row["value"] == pytest.approx(other.importance - group.importance)
    # As a feature with these errors is tested.
    error = math.hypot(group.standard_error, other.standard_error)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert row["qvalue"] == row["pvalue"] < 1e-6
    assert row["verdict"] == "warn"
    assert told["2013-01"]["pvalue"] > 0.01
    assert told["2013-03"]["verdict"] == "not_evaluated"
    assert "not associated by 0.7" in told["2013-03"]["message"]
    assert told["2013-03"]["value"] is None
    assert ("a + b", "2013-02") in {(r["feature"], r["window_start"][:7]) for r in found.changed}
    # Groups are a family of their own: features are judged as without them.
    alone = tg.importance_drift(replace(before, associated_groups=[]), less)
    assert [r["qvalue"] for r in alone.rows] == [
        r["qvalue"] for r in tg.importance_drift(before, less).rows if r["statistic"] != "group_importance_change"
    ]


def test_permutations_say_that_they_are() -> None:
    line = lambda x: x["a"].to_numpy() + x["b"].to_numpy()  # noqa: E731
    before, after = importance(line, *draw(300, 14)), importance(line, *draw(300, 15, scale=2.0), n_repeats=1)
    found = tg.importance_drift(before, after)
    assert any("5 permutations in the reference and 1 in the window" in note for note in found.notes)
    assert any("was not checked" in note for note in found.notes)
    assert any("noise twice" in note for note in found.notes)
    assert not any("noise twice" in note for note in tg.importance_drift(before, before).notes)
    assert {row["exactness"] for row in found.rows} == {"estimated"}
    assert rows(found, "importance_change")["c"]["verdict"] == "not_evaluated"
    assert not rows(found, "importance_change_from_donors")


def test_what_was_measured_otherwise_is_refused() -> None:
    model = trees()
    x, y = draw(200, 16)
    reference = importance(model, x, y)
    other = GradientBoostingRegressor(n_estimators=30, max_depth=3, random_state=1, subsample=0.9)
    other.fit(x, y)
    for window, told in (
        (importance(other, x, y), "model of the window is not that of the reference"),
        (importance(model, x, y, scoring="neg_mean_absolute_error"), "scoring is neg_mean_squared_error"),
        (importance(model, x, y, method="permutation"), "definition is permutation_importance/all-pairs/v1"),
        (replace(reference, features=["e", "b", "c", "d"]), "has no 'a'"),
        ([reference], "is a list"),
        ({}, "at least one"),
        ({"soon": reference}, "'soon'"),
        ({"2013-01-01": reference, "2013-01-01T00:00Z": reference}, "a start of its own"),
        ({"2013-01-01": "later"}, "window from 2013-01-01T00:00:00Z is a str"),
    ):
        with pytest.raises(UsageError, match=told):
            tg.importance_drift(reference, window)  # type: ignore[arg-type]
    for options in ({"alpha": 0.0}, {"alpha": float("nan")}, {"fail_at": -1.0}):
        with pytest.raises(UsageError, match=next(iter(options))):
            tg.importance_drift(reference, reference, **options)
    # A linear model is known by its coefficients, columns by their names.
    lines = [LinearRegression().fit(x[:n], y[:n]) for n in (100, 200)]
    with pytest.raises(UsageError, match="model of the window"):
        tg.importance_drift(*(importance(line, x, y) for line in lines))


def test_windows_verdicts_and_ways_out(tmp_path: Path) -> None:
    model = trees()
    reference, same = importance(model, *draw(1500, 17)), importance(model, *draw(1500, 18))
    moved = importance(model, *draw(1500, 19, scale=2.0))
    found = tg.importance_drift(reference, {"2013-02-01": moved, "2013-01-01": same}, fail_at=0.5)
    # The family is one window's features: each window is judged as if it were alone.
    alone = tg.importance_drift(reference, moved, fail_at=0.5)
    later = [row | {"window_start": None} for row in found.rows if row["window_start"] == "2013-02-01T00:00:00Z"]
    assert later == alone.rows
    assert [row["feature"] for row in found.failed] == ["b"]
    assert found.verdict == "fail"
    assert found.summary()["changed"] == 1
    assert found.summary()["windows"] == 2
    assert found.summary()["tested"] == 8
    with pytest.raises(GateError, match="b, from 2013-02-01"):
        found.raise_if_failed()
    tg.importance_drift(reference, moved).raise_if_failed()
    with pytest.raises(GateError, match="b: importance changed by"):
        tg.importance_drift(reference, moved).raise_if_failed("warn")
    few = importance(model, *draw(60, 20))
    assert "inconclusive" in {row["verdict"] for row in tg.importance_drift(few, few, fail_at=0.01).rows}
    frame = found.to_polars()
    assert frame.columns == list(ROW_FIELDS)
    assert pl.DataFrame(found).equals(frame)
    assert frame["window_start"].dtype == pl.Datetime("us", "UTC")
    assert len(found.to_pandas()) == len(found.rows)
    assert len(json.loads(found.to_json(tmp_path / "drift.json").read_text())["rows"]) == len(found.rows)
    assert repr(found).startswith("fail: 1 of 8 importances changed")
    again = tg.importance_drift(pickle.loads(pickle.dumps(reference)), moved, fail_at=0.5)
    assert again.rows == alone.rows


def test_features_are_matched_by_name() -> None:
    model = trees()
    before, after = importance(model, *draw(300, 21)), importance(model, *draw(300, 22))
    assert after.responses is not None
    turned = replace(
        after,
        features=after.features[::-1],
        importances_mean=after.importances_mean[::-1],
        standard_error=after.standard_error[::-1],
        responses=after.responses[::-1],
    )
    assert tg.importance_drift(before, turned).rows == tg.importance_drift(before, after).rows
