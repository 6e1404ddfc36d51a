"""Weak segments against brute force, planted weaknesses, and data without any."""

import datetime as dt
import json
import math
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tidegauge as tg
from scipy import stats
from tidegauge.errors import UsageError
from tidegauge.results import ROW_FIELDS

ADULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "adult" / "current.parquet"


def coded(rng: np.random.Generator, n: int, features: int = 6) -> dict[str, np.ndarray]:
    return {f"x{i}": rng.integers(0, 4, n) for i in range(features)}


def inside(data: dict[str, np.ndarray], segment: object) -> np.ndarray:
    rows = np.ones(len(next(iter(data.values()))), dtype=bool)
    for c in segment.conditions:
        rows &= data[c.feature] == c.value
    return rows


def names(segment: object) -> list[tuple[str, object]]:
    return [(c.feature, c.value) for c in segment.conditions]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_search_is_exhaustive_and_measures_the_other_half(depth: int) -> None:
    rng = np.random.default_rng(depth)
    data = coded(rng, 1500)
    loss = rng.exponential(np.where((data["x1"] == 2) & (data["x4"] == 0), 2.0, 1.0))
    result = tg.find_segments(data, loss=loss, depth=depth, min_rows=8, penalty=1.5)
    half = result.searched
    assert 600 < half.sum() < 900

    # Highest score of all conjunctions, in floats, rows taken one by one.
    sample, spread = loss[half], loss[half].std()
    n, best, held = half.sum(), (-math.inf, ()), {name: data[name][half] for name in data}

    def weak(rows: np.ndarray) -> float:
        return sample[rows].mean() - sample[~rows].mean()

    for k in range(1, depth + 1):
        for some in combinations(data, k):
            for key in product(range(4), repeat=k):
                each = [held[name] == value for name, value in zip(some, key, strict=True)]
                rows = np.logical_and.reduce(each)
                around = [np.logical_and.reduce(part) for j in range(1, k) for part in combinations(each, j)]
                dropped = [shorter & ~rows for shorter in around]
                if any(d.any() and 2 * weak(d) >= weak(rows) for d in dropped if rows.any()):
                    continue
                if 8 <= rows.sum() <= n // 2:
                    error = spread * math.sqrt(n / rows.sum() / (n - rows.sum()))
                    score = weak(rows) - 1.5 * error
                    best = max(best, (score, tuple(zip(some, key, strict=True))))
    first = result.segments[0]
    assert tuple(names(first)) == best[1]
    assert first.score == pytest.approx(best[0], rel=1e-6)  # losses are integers of 31 bits in the search

    scores = [s.score for s in result.segments]
    assert scores == sorted(scores, reverse=True)
    for s in result.segments:
        rows = inside(data, s)
        a, b = loss[~half & rows], loss[~half & ~rows]
        assert (s.n_rows, s.n_rest, s.n_searched) == (len(a), len(b), (half & rows).sum())
        assert s.difference == pytest.approx(a.mean() - b.mean(), rel=1e-12)
        welch = a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
        pooled = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(a) + len(b) - 2)
        equal = pooled * (1 / len(a) + 1 / len(b)) > welch
        test = stats.ttest_ind(a, b, equal_var=bool(equal), alternative="greater")
        assert s.pvalue == pytest.approx(test.pvalue, rel=1e-9)
        both = stats.ttest_ind(a, b, equal_var=bool(equal)).confidence_interval(0.95)
        assert (s.ci_low, s.ci_high) == pytest.approx((both.low, both.high), rel=1e-9)
    tested = [s.pvalue for s in result.segments]
    assert [s.qvalue for s in result.segments] == pytest.approx(stats.false_discovery_control(tested), rel=1e-12)


def test_blocks_stay_whole_and_widen() -> None:
    rng = np.random.default_rng(4)
    days = np.repeat(np.arange(60), 50)
    data = coded(rng, days.size, 3)
    loss = rng.normal(size=60)[days] + rng.normal(size=days.size) + 2 * (data["x1"] == 3)
    data["day"] = days
    result = tg.find_segments(data, loss=loss, block="day")
    assert all(len(set(result.searched[days == d])) == 1 for d in range(60))
    assert result.searched.sum() == days.size / 2
    first = result.segments[0]
    assert names(first) == [("x1", 3)]
    assert (first.n_units, first.n_units_rest) == (30, 30)
    assert result.rows[0]["variance"] == "block:day"
    # Linearised by block, in floats.
    held = ~result.searched
    rows = data["x1"] == 3
    a, b = held & rows, held & ~rows
    moves = [
        (loss[a & (days == d)] - loss[a].mean()).sum() / a.sum()
        - (loss[b & (days == d)] - loss[b].mean()).sum() / b.sum()
        for d in np.unique(days[held])
    ]
    variance = max(np.square(moves).sum() * 30 / 29, loss[a].var(ddof=1) / a.sum() + loss[b].var(ddof=1) / b.sum())
    error = math.sqrt(variance)
    assert first.pvalue == pytest.approx(stats.t.sf(first.difference / error, 29), rel=1e-9)
    # A day that is worse in one segment alone: whole blocks know it, rows do not.
    data = coded(rng, days.size, 3) | {"day": days}
    loss = rng.normal(size=(60, 4))[days, data["x0"]] + rng.normal(size=days.size)
    wide = tg.find_segments(data, loss=loss, block="day", penalty=0, depth=1).segments
    narrow = tg.find_segments(data, loss=loss, exclude=["day"], penalty=0, depth=1).segments
    width = {tuple(names(s)): s.ci_high - s.ci_low for s in narrow}
    ratios = [(s.ci_high - s.ci_low) / width[k] for s in wide if (k := tuple(names(s))) in width and k[0][0] == "x0"]
    assert ratios
    assert min(ratios) > 1.5


def test_planted_segments_of_real_data_lead() -> None:
    if not ADULT.exists():
        pytest.skip("the shared data sets are not here")
    data = pl.read_parquet(ADULT).drop("row_id", "score_lgb", "predicted", "fnlwgt")
    flip = (pl.col("occupation") == "Sales") & (pl.col("sex") == "Female")
    rng = np.random.default_rng(0)
    data = data.with_columns(u=pl.Series(rng.random(data.height)))
    data = data.with_columns(
        score=pl.when(flip & (pl.col("u") < 0.4)).then(1 - pl.col("score")).otherwise("score"), label=pl.col("label")
    ).drop("u")
    result = tg.find_segments(data, loss="log_loss", depth=2)
    leading = [sorted(c.feature for c in s.conditions) for s in result.found[:3]]
    assert ["occupation", "sex"] in leading, result


def test_planted_segments_of_made_data_lead() -> None:
    top = confirmed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        data = {f"x{i}": rng.normal(size=6000) for i in range(8)} | {"c": rng.choice(["a", "b", "c"], 6000)}
        weak = (data["x2"] > 0.85) & (data["c"] == "b")
        result = tg.find_segments(data, loss=rng.exponential(np.where(weak, 2.0, 1.0)), bins=5, random_state=seed)
        planted = [{c.feature for c in s.conditions} == {"x2", "c"} for s in result.segments]
        top += any(planted[:3])
        confirmed += any(p and s in result.found for p, s in zip(planted, result.segments, strict=True))
    assert top >= 19
    assert confirmed >= 19


@pytest.mark.parametrize("kind", ["zero_one", "exponential", "rare", "almost_all"])
def test_without_weakness_false_discoveries_are_at_most_nominal(kind: str) -> None:
    runs, alarms, reported = 300, 0, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        n = 1500
        loss = {
            "zero_one": lambda rng, n: rng.random(n) < 0.2,
            "exponential": lambda rng, n: rng.exponential(size=n),
            "rare": lambda rng, n: rng.random(n) < 0.01,
            "almost_all": lambda rng, n: rng.random(n) < 0.97,
        }[kind](rng, n)
        # Without a penalty there is always something to report.
        result = tg.find_segments(
            coded(rng, n), loss=loss.astype(float), min_rows=20, penalty=0, random_state=seed, n_threads=1
        )
        reported += len(result.segments)
        alarms += bool(result.found)
    assert reported > 3 * runs
    # With no true weakness any alarm is a false discovery: 5 %, and 4 standard errors of 300 runs.
    assert alarms / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)


def test_order_and_threads_change_nothing() -> None:
    rng = np.random.default_rng(8)
    data = pl.DataFrame(coded(rng, 3000) | {"z": rng.normal(size=3000)})
    data = data.with_columns(loss=pl.Series(rng.exponential(size=3000)) + pl.col("x1") * (pl.col("z") > 1))
    base = tg.find_segments(data, loss="loss", depth=3, n_threads=1)
    for other in (
        tg.find_segments(data, loss="loss", depth=3, n_threads=8),
        tg.find_segments(data.sample(fraction=1, shuffle=True, seed=1), loss="loss", depth=3),
        tg.find_segments(data.to_pandas(), loss="loss", depth=3),
    ):
        assert other.rows == base.rows
        assert other.counted == base.counted
    assert tg.find_segments(data, loss="loss", depth=3, random_state=1).rows != base.rows


def test_a_weakness_is_told_once() -> None:
    rng = np.random.default_rng(9)
    data = coded(rng, 8000)
    loss = rng.exponential(np.where((data["x1"] == 2) & (data["x4"] == 0), 3.0, 1.0)) + 1.0 * (data["x5"] == 1)
    found = tg.find_segments(data, loss=loss, depth=3).found
    assert sorted(map(names, found), key=len) == [[("x5", 1)], [("x1", 2), ("x4", 0)]]


def test_values_and_names_of_any_kind() -> None:
    rng = np.random.default_rng(10)
    n = 4000
    pick = rng.integers(0, 4, n)
    data = pl.DataFrame(
        {
            "a, b\\": np.array(["(missing)", "x, y", '"', "\u2028"])[pick],
            "": np.where(pick == 1, np.nan, rng.normal(size=n)),
            "^.*$": pl.Series([None if p == 2 else dt.datetime(2024, 1, 1 + p) for p in pick]),
            "0": [None] * n,
            "many": rng.integers(0, 3000, n).astype(str),
            "flag": pick == 0,
            "inf": np.where(pick == 3, np.inf, 0.0),
        }
    )
    for value, feature, kind, shown in (
        (0, "a, b\\", "value", "\\(missing)"),
        (1, "", "missing", "(missing)"),
        (2, "^.*$", "missing", "(missing)"),
        (3, "inf", "value", "inf"),
    ):
        result = tg.find_segments(data, loss=rng.exponential(np.where(pick == value, 3.0, 1.0)), features=[feature])
        row = result.rows[0]
        assert result.segments[0].conditions[0].kind == kind
        assert (row["segment_by"], row["segment_value"]) == (feature, shown)
        assert result.found[0].n_rows + result.found[0].n_searched == (pick == value).sum()
    both = tg.find_segments(
        data, loss=rng.exponential(1.0 + 2 * ((pick == 1) & data["many"].str.starts_with("1").to_numpy()))
    )
    assert all(set(row) == set(ROW_FIELDS) for row in both.rows)
    rare = tg.find_segments({"many": ["a"] * 900 + list(map(str, range(300)))}, loss=[0.0] * 900 + [1.0] * 300)
    assert str(rare.segments[0].conditions[0]) == "many is rare"


def test_losses_of_label_and_prediction() -> None:
    rng = np.random.default_rng(11)
    n = 2000
    y, p, x = rng.integers(0, 2, n), rng.uniform(0.01, 0.99, n), rng.integers(0, 5, n)
    data = pl.DataFrame({"x": x, "y": y, "p": p})
    logs = -np.where(y == 1, np.log(p), np.log(1 - p))
    for loss, roles, values in (
        ("log_loss", {"label": "y", "score": "p"}, logs),
        ("squared", {"label": "y", "prediction": "p"}, (y - p) ** 2),
        ("absolute", {"label": "y", "prediction": "p"}, abs(y - p)),
    ):
        result = tg.find_segments(data, loss, **roles, penalty=0)
        first = result.segments[0]
        rows = ~result.searched & inside({"x": x}, first)
        assert first.mean_loss == pytest.approx(values[rows].mean(), rel=1e-12)
    text = pl.DataFrame({"x": x, "label": np.where(y == 1, "no", "yes"), "prediction": np.where(p > 0.5, "no", "yes")})
    result = tg.find_segments(text, "zero_one", penalty=0)
    first = result.segments[0]
    rows = ~result.searched & inside({"x": x}, first)
    assert first.mean_loss == pytest.approx(((y == 1) != (p > 0.5))[rows].mean(), rel=1e-12)
    # Rows without a label are left out and counted.
    gone = data.with_columns(y=pl.when(pl.col("x") != 2).then("y"))
    assert tg.find_segments(gone, label="y", score="p").n_missing == (x == 2).sum()


def test_what_is_not_accepted_is_named() -> None:
    data = pl.DataFrame({"x": [1.0, 2.0] * 200, "label": [0, 1] * 200, "score": [0.5] * 400, "l": [[1]] * 400})
    for arguments, told in (
        ({"features": ["x"], "loss": "gini"}, "loss 'gini'; accepted are log_loss"),
        ({"features": ["x"], "loss": "squared"}, "needs prediction="),
        ({"features": ["q"]}, "column 'q' is not in data"),
        ({"features": ["l"]}, "column 'l' is List"),
        ({"exclude": ["x", "l"]}, "no feature is left"),
        ({"features": ["x"], "depth": 4}, "depth is 4; 1 to 3"),
        ({"features": ["x"], "bins": 1}, "bins: 1"),
        ({"features": ["x"], "alpha": 2}, "alpha is 2"),
        ({"features": ["x"], "min_rows": 500}, "twice min_rows"),
        ({"features": ["x"], "block": [0] * 400}, "1 blocks; 4 or more"),
        ({"features": ["x"], "block": [0]}, "1 values of block for the 400 rows"),
        ({"features": ["x"], "loss": [1.0]}, "1 values of loss for the 400 rows"),
        ({"features": ["x"], "loss": [math.inf] * 400}, "the loss of row 0 is inf"),
    ):
        with pytest.raises(UsageError, match=told.replace("(", r"\(")):
            tg.find_segments(data, **arguments)
    with pytest.raises(UsageError, match="probabilities between 0 and 1"):
        tg.find_segments(data.with_columns(score=pl.lit(1.5)), features=["x"])
    with pytest.raises(UsageError, match="no row of 0"):
        tg.find_segments(data.clear(), features=["x"], loss=pl.Series([], dtype=pl.Float64))
    with pytest.raises(UsageError, match=r"1 rows to search and 0|0 rows to search and 1"):
        tg.find_segments({"x": [1.0]}, loss=[1.0])
    nothing = tg.find_segments({"x": [1, 2] * 500}, loss=np.full(1000, 0.1))
    assert (nothing.segments, nothing.found, nothing.to_polars().height) == ([], [], 0)


def test_ways_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    x = rng.integers(0, 4, 2000)
    result = tg.find_segments(pd.DataFrame({"x": x}), loss=rng.exponential(np.where(x == 1, 2.0, 1.0)))
    assert result.to_polars().columns == list(ROW_FIELDS)
    assert pl.DataFrame(result).equals(result.to_polars())
    assert list(result.to_pandas()["statistic"]) == ["mean_loss_difference"] * len(result.segments)
    written = json.loads(result.to_json(tmp_path / "segments.json").read_text())
    assert written["rows"] == result.rows
    assert result.summary()["findings"][0].startswith("x = 1: mean loss ")
    assert "1 of 1 segments hold up, 2,000 rows" in repr(result)


def test_a_bin_open_at_both_ends_is_what_is_not_missing() -> None:
    # Nearly all values are 0, so that no quantile cuts them: the bins are "missing" and everything else.
    rng = np.random.default_rng(0)
    n = 4_000
    there = rng.random(n) < 0.3
    data = {
        "gust": [max(0.0, x - 2.0) if t else None for t, x in zip(there, rng.normal(size=n), strict=True)],
        "other": rng.normal(size=n),
        "loss": np.where(there, 2.0, 1.0) + rng.normal(0, 0.1, n),
    }
    result = tg.find_segments(data, loss="loss", features=["gust", "other"])
    assert str(result.found[0].conditions[0]) == "gust is not missing"
    row = result.rows[0]
    assert (row["segment_by"], row["segment_value"]) == ("gust", "(not missing)")
