"""Rows that hang together within a block: standard errors against a pass over all pairs."""

import datetime as dt
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from tidegauge.errors import UsageError

NAMES = ["a", "b", "c"]
SQUARED = "neg_mean_squared_error"


def log(blocks: int, rows: int, seed: int, alike: float = 0.5) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Features, labels and the block of each row; `alike` of every variance is common to a block."""
    rng = np.random.default_rng(seed)
    of_block = np.repeat(rng.normal(size=(blocks, 4)), rows, axis=0)
    both = math.sqrt(alike) * of_block + math.sqrt(1 - alike) * rng.normal(size=(blocks * rows, 4))
    frame = pl.DataFrame(both[:, :3], schema=NAMES)
    return frame, both[:, :3] @ [1.5, 0.5, 0.0] + both[:, 3], np.repeat(np.arange(blocks), rows)


@cache
def trees() -> GradientBoostingRegressor:
    x, y, _ = log(100, 20, 99)
    return GradientBoostingRegressor(n_estimators=15, max_depth=3, random_state=0).fit(x, y + 0.3 * x["c"].to_numpy())


def changes(model: Any, x: pl.DataFrame, y: np.ndarray, j: int) -> np.ndarray:
    """Change of the loss of each row under each donor."""
    own = (y - model.predict(x)) ** 2
    columns = []
    for value in x.to_numpy()[:, j]:
        moved = x.with_columns(pl.lit(value).alias(NAMES[j]))
        columns.append((y - model.predict(moved)) ** 2 - own)
    return np.column_stack(columns)


def by_block(d: np.ndarray, block: np.ndarray) -> tuple[float, float]:
    """Importance, and the jackknife over blocks whose pairs within a block count as all pairs do."""
    n = len(d)
    value = d.sum() / n / (n - 1)
    parts = (d.sum(axis=0) + d.sum(axis=1)) / (n - 1)
    keys, counts = np.unique(block, return_counts=True)
    moved = [
        n * (parts[block == key].sum() - 2 * k * value) / (n - k) ** 2 for key, k in zip(keys, counts, strict=True)
    ]
    return value, math.sqrt((len(keys) - 1) / len(keys) * np.square(moved).sum())


@pytest.mark.parametrize("kind", ["trees", "linear"])
def test_equals_all_pairs(kind: str) -> None:
    x, y, block = log(12, 9, 1)
    # Blocks of unequal size, in no order.
    keep = np.random.default_rng(2).permutation(len(y))[:80]
    x, y, block = x[keep], y[keep], block[keep]
    model = trees() if kind == "trees" else LinearRegression().fit(x, y)
    found = tg.permutation_importance(model, x, y, scoring=SQUARED, block=[f"day {b}" for b in block])
    plain = tg.permutation_importance(model, x, y, scoring=SQUARED)
    for j in range(3):
        value, error = by_block(changes(model, x, y, j), block)
        assert found.importances_mean[j] == pytest.approx(value, rel=1e-9)
        assert found.standard_error[j] == pytest.approx(error, rel=1e-6)
        assert found.n_eff is not None
        expected = min(80 * (plain.standard_error[j] / error) ** 2, 80)
        assert found.n_eff[j] == pytest.approx(expected, rel=1e-6)
    assert (found.variance, found.n_blocks) == ("block", 12)
    assert (plain.variance, plain.n_blocks) == ("iid", None)
    assert plain.n_eff is not None
    assert set(plain.n_eff) == {80.0}
    # Counted by the squares of their rows, unequal blocks are fewer than 12.
    assert found.freedom is not None
    assert max(found.freedom) < 11.0


def test_permutations_say_the_same() -> None:
    x, y, block = log(40, 10, 3)
    model = LinearRegression().fit(x, y + 0.3 * x["c"].to_numpy())
    exact = tg.permutation_importance(model, x, y, scoring=SQUARED, block=block)
    found = tg.permutation_importance(model.predict, x, y, scoring=SQUARED, block=block, n_repeats=40)
    assert found.standard_error == pytest.approx(exact.standard_error, rel=0.1)
    assert found.pvalue == pytest.approx(exact.pvalue, abs=0.1)
    assert found.variance == "block"


def test_a_key_a_column_and_the_days_of_a_time_are_one(tmp_path: Path) -> None:
    x, y, block = log(15, 20, 4)
    at = [dt.datetime(2013, 1, 1) + dt.timedelta(days=int(b), minutes=i % 1440) for i, b in enumerate(block)]
    data = x.with_columns(ts=pl.Series(at), y=pl.Series(y))
    found = tg.permutation_importance(trees(), x, y, scoring=SQUARED, block=block)
    times = tg.permutation_importance(trees(), x, y, scoring=SQUARED, block=data["ts"])
    dates = tg.permutation_importance(trees(), x, y, scoring=SQUARED, block=[t.date() for t in at])
    path = tmp_path / "log.parquet"
    data.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(path)
    files = tg.permutation_importance(trees(), path, "y", scoring=SQUARED, block="ts")
    for other in (times, dates, files):
        assert list(other.standard_error) == list(found.standard_error)
        assert other.n_blocks == 15
    assert files.variance == "block:ts"
    # A column of X that the model does not use as a feature.
    column = tg.permutation_importance(trees(), data.drop("y"), y, scoring=SQUARED, block="ts", method="exact")
    assert list(column.standard_error) == list(found.standard_error)
    some = tg.permutation_importance(trees(), x, y, scoring=SQUARED, block=block, max_rows=150)
    assert some.n_rows == 150
    assert some.n_blocks is not None
    assert some.n_blocks <= 15


def test_more_keys_than_blocks_join_their_neighbours() -> None:
    x, y, block = log(3000, 2, 5, alike=0.9)
    found = tg.permutation_importance(trees(), x, y, scoring=SQUARED, block=block)
    assert found.n_blocks == 1024
    joined = tg.permutation_importance(trees(), x, y, scoring=SQUARED, block=block * 1024 // 3000)
    assert list(found.standard_error) == list(joined.standard_error)
    assert found.n_eff is not None
    assert found.n_eff[0] < 0.9 * len(y)


def test_blocks_that_cannot_be_are_refused() -> None:
    x, y, block = log(10, 5, 6)
    for bad, told in (
        (block[:-1], "49 rows, X 50"),
        ("day", "no column of X"),
        (np.where(block == 3, np.nan, block), "missing in 5 rows"),
    ):
        with pytest.raises(UsageError, match=told):
            tg.permutation_importance(trees(), x, y, scoring=SQUARED, block=bad)
    # One block has no variance between blocks, so nothing is tested.
    one = tg.permutation_importance(trees(), x, y, scoring=SQUARED, block=np.zeros(50, dtype=int))
    assert np.isnan([one.standard_error[0], one.pvalue[0], *one.interval[0]]).all()


def test_coverage_of_rows_alike_within_a_day() -> None:
    """The importance in the population, 30 days: rows taken one by one hold it far too seldom."""
    rng = np.random.default_rng(7)
    model = LinearRegression(fit_intercept=False).fit(np.eye(3), [1.5, 0.5, 0.3])
    truth = 2 * model.coef_ * np.array([1.5, 0.5, 0.0])
    runs = 600
    held, alone, rejected = np.zeros(3), np.zeros(3), 0
    for _ in range(runs):
        x, y, block = log(30, 10, int(rng.integers(1 << 40)))
        for total, options in ((held, {"block": block}), (alone, {})):
            found = tg.permutation_importance(model, x.to_numpy(), y, scoring=SQUARED, **options)
            total += (found.interval[:, 0] <= truth) & (truth <= found.interval[:, 1])
            rejected += bool(options) and found.pvalue[2] < 0.05
    noise = 4 * math.sqrt(0.05 * 0.95 / runs)
    assert np.all(np.abs(held / runs - 0.95) < 0.02 + noise), held / runs
    assert abs(rejected / runs - 0.05) < 0.02 + noise, rejected / runs
    assert np.all(alone[:2] / runs < 0.85), alone / runs
