"""Rows whose time is missing are in a window of their own, are counted, and decide."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg


def log(days: int, rows: int, seed: int, start: str = "2024-01-01") -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    begin, n = dt.datetime.fromisoformat(start), days * rows
    return pl.DataFrame({
        "ts": [begin + dt.timedelta(seconds=i * 86_400 // rows) for i in range(n)],
        "x": rng.normal(size=n), "k": rng.choice(["a", "b"], n),
    })  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Any:
    log(25, 100, 1).write_parquet(tmp_path / "reference.parquet")

    def run(table: pl.DataFrame, window: str | None = "1d", **more: Any) -> Any:
        table.write_parquet(tmp_path / "current.parquet")
        side = {"path": "current.parquet", **({"window": window} if window else {})}
        settings = {
            "reference": {"path": "reference.parquet"}, "current": side,
            "roles": {"time": "ts", "block": "none"}, "output": {"files": ["report.json"]}, **more,
        }  # fmt: skip
        from tidegauge.config import load

        config = load(settings)
        config.base = str(tmp_path)
        report = tg.run(config)
        assert tg.verify(tmp_path / "report.json").same
        return report

    return run


def without_times(table: pl.DataFrame, share: float) -> pl.DataFrame:
    gone = pl.int_range(pl.len()) < round(share * len(table))
    return table.with_columns(pl.when(~gone).then(pl.col("ts")).alias("ts"))


def on_time(report: Any) -> list[Any]:
    return [row for row in report.rows if row["feature"] == "ts" and row["statistic"] == "missing_rate"]


@pytest.mark.parametrize("window", ["1d", None])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_broken_clock_fails(run: Any, share: float, window: str | None) -> None:
    current = log(6, 400, 2, "2024-03-01")
    report = run(without_times(current, share), window)
    (row,) = on_time(report)
    assert (row["value"], row["verdict"], row["decides"]) == (share, "fail", True)
    assert (row["n_reference"], row["n_current"]) == (2500, 2400)
    assert report.exit_code() == 1
    gone = round(2400 * share)
    told = f"Column 'ts': {gone} of 2400 rows have no time, and belong to no window."
    assert told in report.record["result"]["limitations"]
    windows = report.record["result"]["windows"]
    assert sum(window["rows"] for window in windows) == 2400
    if window is not None:
        assert [w["rows"] for w in windows if w["start"] is None] == [gone]
        text = re.sub(r"\s+", " ", report.render(".txt").decode())
        assert "rows without a time" in text
        assert "all rows" not in text


def test_no_row_of_it_where_all_rows_have_a_time_and_a_few_are_ok(run: Any) -> None:
    current = log(6, 400, 2, "2024-03-01")
    report = run(current)
    assert on_time(report) == []
    assert all(window["start"] is not None for window in report.record["result"]["windows"])
    (row,) = on_time(run(without_times(current, 0.005)))
    assert (row["value"], row["verdict"]) == (0.005, "ok")


def test_drift_of_rows_without_a_time_is_of_their_window(run: Any) -> None:
    good = log(6, 400, 2, "2024-03-01")
    bad = log(1, 400, 3).with_columns(pl.lit(None, pl.Datetime("us")).alias("ts"), pl.col("x") + 3)
    report = run(pl.concat([good, bad.cast(good.schema)]))
    failing = [row for row in report.failed if row["feature"] == "x"]
    assert [row["window_start"] for row in failing] == [None]
    windows = report.record["result"]["windows"]
    assert [(w["start"], w["rows"], w["verdict"]) for w in windows if w["verdict"] == "fail"] == [(None, 400, "fail")]
    assert len(windows) == 7
    for suffix in (".txt", ".html", ".md"):
        text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", report.render(suffix).decode()))
        assert "rows without a time" in text
        assert "all rows" not in text.lower()
    text = re.sub(r"\s+", " ", report.render(".txt").decode())
    assert "3 columns were judged in 7 windows" in text
    # The newest window is still that of the clock.
    assert "2024-03-06" in report.render(".html").decode()
    last = [line for line in report.render(".prom").decode().splitlines() if "window_rows{" in line]
    assert last
    assert last[0].endswith(" 400")


def test_in_a_store_the_share_is_of_all_its_rows(run: Any, tmp_path: Path) -> None:
    """Years of windows are not read again, and count."""
    folder = tmp_path / "log"
    folder.mkdir()
    store = {"current": {"path": "log/*.parquet", "window": "1d"}, "store": {"path": "store", "render": 1}}
    for number in range(4):
        table = log(1, 1000, 10 + number, f"2024-03-{number + 1:02}")
        without_times(table, 0.005).write_parquet(folder / f"{number}.parquet")
        report = run(table, **store)
    (row,) = on_time(report)
    assert (row["value"], row["n_current"], row["verdict"]) == (0.005, 4000, "ok")
    assert "20 of 4000 rows have no time" in row["message"]
