"""Rows as other engines read them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg

INSTANT = pl.Datetime("us", "UTC")


@pytest.fixture(scope="module")
def report() -> tg.Report:
    rng = np.random.default_rng(3)
    n = 4000
    hours = np.datetime64("2024-03-29", "us") + np.sort(rng.integers(0, 96, n)) * np.timedelta64(1, "h")
    frame = pl.DataFrame({"ts": hours, "x": rng.normal(size=n), "k": 0.0, "c": rng.choice(["a", "b"], n)})
    reference = tg.profile(frame, time="ts", by=["c"])
    moved = frame.with_columns(pl.col("x") + 1, k=1.0)
    cut: dict[str, Any] = {"time": "ts", "by": ["c"], "window": "1d", "time_zone": "Europe/Berlin"}
    return tg.compare(reference, tg.profile(moved, like=reference, **cut), tolerances={"k": {"warn": 0, "fail": 0}})


def test_schema(report: tg.Report, tmp_path: Path) -> None:
    report.write(tmp_path / "rows.parquet")
    frame = pl.read_parquet(tmp_path / "rows.parquet")
    assert frame.equals(report.to_polars())
    assert frame.equals(pl.DataFrame(report))
    types = {name: str(dtype) for name, dtype in frame.schema.items()}
    assert all(frame.schema[name] == INSTANT for name in ("window_start", "window_end", "as_of"))
    floats = "value bound_low bound_high ci_low ci_high value_if_no_change pvalue qvalue n_eff_reference n_eff_current"
    assert {types[name] for name in (*floats.split(), "minimum_detectable", "warn_at", "fail_at")} == {"Float64"}
    assert {types[name] for name in ("n_reference", "n_current", "rank")} == {"Int64"}
    assert types["decides"] == "Boolean"
    # Days begin at midnight in Berlin, an hour earlier in UTC in winter and two in summer.
    starts = frame["window_start"].drop_nulls().unique().sort().to_list()
    assert [(at.day, at.hour) for at in starts[:4]] == [(28, 23), (29, 23), (30, 23), (31, 22)]


def test_numbers_that_are_not_finite_stay_numbers(tmp_path: Path) -> None:
    reference = tg.profile({"x": [1.0] * 60})
    report = tg.compare(reference, tg.profile({"x": [2.0] * 60}, like=reference))
    infinite = [row for row in report.rows if row["value"] is not None and math.isinf(row["value"])]
    report.write(tmp_path / "rows.parquet", tmp_path / "rows.ndjson")
    frame = pl.read_parquet(tmp_path / "rows.parquet")
    assert frame["value"].is_infinite().sum() == len(infinite) > 0
    assert '"value": "Infinity"' in (tmp_path / "rows.ndjson").read_text()


def test_polars_sql(report: tg.Report, tmp_path: Path) -> None:
    report.write(tmp_path / "rows.parquet")
    frame = pl.scan_parquet(tmp_path / "rows.parquet")
    query = "select feature, count(*) as windows from self where statistic = 'verdict' and verdict = 'fail' \
             and segment_by is null and window_start >= '2024-03-29' group by feature order by feature"
    found = dict(frame.sql(query).collect().rows())
    expected = [row["feature"] for row in report.failed if row["segment_by"] is None]
    late = [row for row in report.failed if row["segment_by"] is None and row["window_start"] >= "2024-03-29T02"]
    assert found
    assert set(found) <= set(expected)
    assert sum(found.values()) == len(late)


def test_duckdb(report: tg.Report, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "rows.parquet"
    report.write(path)
    types = dict(duckdb.sql(f"select column_name, column_type from (describe from '{path}')").fetchall())
    assert types["window_start"] == "TIMESTAMP WITH TIME ZONE"
    assert types["value"] == "DOUBLE"
    query = f"select max(value) from '{path}' where statistic = 'ks' and feature = 'x'"
    largest = max(row["value"] for row in report.rows if row["statistic"] == "ks" and row["feature"] == "x")
    assert duckdb.sql(query).fetchall() == [(largest,)]
