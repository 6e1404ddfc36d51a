"""Baselines are merges of states: they equal a profile of exactly their rows, read again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg
from tidegauge.errors import UsageError
from tidegauge.results import ROW_FIELDS

LOG = Path(__file__).parents[2] / "examples" / "nycflights13"
COLUMNS = ["ts", "score", "label", "temp", "wind_speed", "carrier", "origin"]
ZONE = "America/New_York"
CUTS: dict[str, Any] = {
    "time": "ts", "label": "label", "score": "score", "by": ["carrier"], "window": "1mo", "time_zone": ZONE,
    "model_version": "version", "block": "1d",
}  # fmt: skip
# What is said of a window once, whatever it is compared with.
OF_THE_WINDOW = ("coverage", "schema", "freshness", "longest_gap", "empty_blocks")
SAME = [name for name in ROW_FIELDS if name not in ("run_id", "baseline")]


def log(name: str) -> pl.DataFrame:
    frame = pl.read_parquet(LOG / name, columns=COLUMNS).sort("ts")
    frame = frame.filter(pl.col("carrier").is_in(["AA", "HA", "UA"]))
    # A version that comes in August, and one in four rows of it from then on.
    frame = frame.with_columns(month=pl.col("ts").dt.convert_time_zone(ZONE).dt.month())
    new = (pl.col("month") >= 8) & (pl.int_range(pl.len()) % 4 == 0)
    return frame.with_columns(version=pl.when(new).then(pl.lit("1.4")).otherwise(pl.lit("1.3")))


@pytest.fixture(scope="module")
def current() -> pl.DataFrame:
    return log("current.parquet")


@pytest.fixture(scope="module")
def reference() -> tg.Profile:
    options = {name: value for name, value in CUTS.items() if name not in ("window", "time_zone", "model_version")}
    return tg.profile(log("reference.parquet").drop("month", "version"), **options)


def scan(rows: Any, reference: tg.Profile) -> tg.Profile:
    if isinstance(rows, pl.DataFrame):
        rows = rows.drop("month")
    return tg.profile(rows, like=reference, exclude=["month"] if isinstance(rows, str) else (), **CUTS)


@pytest.fixture(scope="module", params=["frame", "parquet"])
def cube(
    request: pytest.FixtureRequest, current: pl.DataFrame, reference: tg.Profile, tmp_path_factory: Any
) -> tg.Profile:
    if request.param == "frame":
        return scan(current, reference)
    folder = tmp_path_factory.mktemp("log")
    for i, part in enumerate(current.iter_slices(20_000)):
        part.write_parquet(folder / f"{i}.parquet", row_group_size=3000)
    return scan(str(folder / "*.parquet"), reference)


@pytest.fixture(scope="module")
def everything(cube: tg.Profile, reference: tg.Profile) -> tg.Report:
    """All baselines at once; each is a family of its own beside the reference."""
    names = ["previous", "rolling:2", "rolling:3", "rolling:2mo", "rolling:62d", "rolling:1y", "expanding"]
    more = ["seasonal:1mo", "seasonal:3mo", "seasonal:91d", "version:1.3", "version:1.4", "rest", "segment:carrier=AA"]
    return tg.compare(reference, cube, baselines=["reference", *names, *more], segment_baselines=[*names, *more])


def rows_of(report: tg.Report, **wanted: Any) -> list[dict[str, Any]]:
    found = [row for row in report.rows if all(row[name] == value for name, value in wanted.items())]
    return [{name: row[name] for name in SAME} for row in found if row["statistic"] not in OF_THE_WINDOW]


@pytest.mark.parametrize(
    ("baseline", "version", "at", "before"),
    [
        ("previous", "1.3", 9, [8]),
        ("previous", "1.4", 9, [8]),
        ("rolling:3", "1.3", 10, [7, 8, 9]),
        ("rolling:3", "1.4", 10, [8, 9]),
        ("rolling:2mo", "1.3", 10, [8, 9]),
        ("rolling:62d", "1.3", 9, [7, 8]),
        ("rolling:1y", "1.3", 9, [6, 7, 8]),
        ("expanding", "1.3", 9, [6, 7, 8]),
        ("expanding", "1.4", 10, [8, 9]),
        ("seasonal:3mo", "1.3", 9, [6]),
        ("seasonal:91d", "1.3", 9, [6]),
    ],
)
def test_windows_before_equal_their_rows_read_again(
    everything: tg.Report, current: pl.DataFrame, reference: tg.Profile, baseline: str, version: str, at: int,
    before: list[int],
) -> None:  # fmt: skip
    mine = pl.col("version") == version
    again = scan(current.filter(mine & pl.col("month").is_in(before)), reference)
    window = scan(current.filter(mine & (pl.col("month") == at)), reference)
    expected = tg.compare(again, window)
    start = {row["window_start"] for row in expected.rows}.pop()
    found = rows_of(everything, baseline=baseline, model_version=version, window_start=start)
    assert found == rows_of(expected)
    assert {row["segment_value"] for row in expected.rows} >= {None, "AA", "UA"}
    assert {row["variance"] for row in expected.rows} >= {"block:1d"}


def test_segments_meet_context_only_where_it_is_asked_for(
    everything: tg.Report, cube: tg.Profile, reference: tg.Profile
) -> None:
    names = ["reference", "previous", "rest", "rolling:2"]
    report = tg.compare(reference, cube, baselines=names)
    assert {row["baseline"] for row in report.rows if row["segment_by"] is not None} == {"reference", "rest"}
    assert {row["baseline"] for row in report.rows if row["segment_by"] is None} == {
        "reference",
        "previous",
        "rolling:2",
    }
    # A family of its own each: nothing changes for what decides.
    for segment in (None, "AA", "UA"):
        mine = {"baseline": "reference", "segment_value": segment}
        assert rows_of(report, **mine) == rows_of(everything, **mine)
        mine["baseline"] = "rest"
        assert rows_of(report, **mine) == rows_of(everything, **mine)
    # Of the context the family is smaller: effects are the same, adjusted limits are not.
    values = ("feature", "statistic", "window_start", "model_version", "value", "pvalue", "n_reference", "n_current")
    whole = {"baseline": "previous", "segment_by": None}
    first, second = (
        [[row[name] for name in values] for row in rows_of(one, **whole)] for one in (report, everything)
    )  # fmt: skip
    assert [row for row in first if row[1] not in ("verdict", "share_drifted")] == [
        row for row in second if row[1] not in ("verdict", "share_drifted")
    ]
    some = tg.compare(reference, cube, baselines=names, segment_baselines=["previous"])
    assert {r["baseline"] for r in some.rows if r["segment_by"] is not None} == {"reference", "previous", "rest"}
    decided = tg.compare(reference, cube, baselines=names, decided_by=["previous"])
    assert {r["baseline"] for r in decided.rows if r["segment_by"] is not None} == {"previous", "rest"}
    with pytest.raises(UsageError, match="segment_baselines: 'expanding' is not among the baselines"):
        tg.compare(reference, cube, baselines=names, segment_baselines=["expanding"])


def test_another_version_of_the_window(everything: tg.Report, current: pl.DataFrame, reference: tg.Profile) -> None:
    august = current.filter(pl.col("month") == 8)
    old, new = (scan(august.filter(pl.col("version") == version), reference) for version in ("1.3", "1.4"))
    expected = tg.compare(old, new)
    start = expected.rows[0]["window_start"]
    mine = {"baseline": "version:1.3", "window_start": start}
    assert rows_of(everything, model_version="1.4", **mine) == rows_of(expected)
    assert not rows_of(everything, model_version="1.3", **mine)


@pytest.mark.parametrize("baseline", ["segment:carrier=AA", "rest"])
def test_other_segments_of_the_window(
    everything: tg.Report, current: pl.DataFrame, reference: tg.Profile, baseline: str
) -> None:
    july = current.filter(pl.col("month") == 7)
    theirs = pl.col("carrier") == "AA" if baseline != "rest" else pl.col("carrier") != "UA"
    # Told apart by the name of the segment, which has to be the same on both sides of a comparison.
    renamed = [
        scan(july.filter(mine).with_columns(carrier=pl.lit("UA")), reference)
        for mine in (theirs, pl.col("carrier") == "UA")
    ]
    expected = tg.compare(*renamed)
    start = expected.rows[0]["window_start"]
    cell = {"segment_value": "UA", "window_start": start, "model_version": "1.3"}
    values = ("feature", "statistic", "value", "pvalue", "n_reference", "n_current", "n_eff_reference", "variance")

    def numbers(report: tg.Report, **wanted: str) -> list[tuple[Any, ...]]:
        found = (row for row in rows_of(report, **cell, **wanted) if row["feature"] not in ("carrier", "*"))
        return [tuple(row[name] for name in values) for row in found if row["statistic"] != "verdict"]

    assert numbers(everything, baseline=baseline) == numbers(expected)
    assert numbers(expected)
    assert not rows_of(everything, baseline=baseline, segment_by=None)


def test_rows_without_a_baseline_say_why(everything: tg.Report, cube: tg.Profile, reference: tg.Profile) -> None:
    report = everything
    said = {
        (row["baseline"], row["window_start"][5:7], row["model_version"], row["segment_value"]): row["message"]
        for row in report.rows
        if row["statistic"] == "coverage" and row["verdict"] == "not_evaluated"
    }
    assert said["previous", "06", "1.3", None] == "there is no window before this one"
    assert said["rolling:2", "06", "1.3", None] == "0 of the 2 windows before this one are there"
    assert said["rolling:2", "07", "1.3", None] == "1 of the 2 windows before this one are there"
    assert said["seasonal:1mo", "06", "1.3", None] == "there is no window of the season before"
    assert said["previous", "08", "1.4", None] == "this version is not in the window before"
    assert said["version:1.4", "07", "1.3", None] == "version 1.4 is not in this window"
    assert ("previous", "06", "1.3", "AA") not in said
    # Context changes no verdict of the baseline that decides.
    alone = tg.compare(reference, cube)
    assert rows_of(report, baseline="reference") == rows_of(alone)
    assert report.verdict == alone.verdict


def test_the_deciding_baseline(cube: tg.Profile, reference: tg.Profile) -> None:
    report = tg.compare(reference, cube, baselines=["reference", "previous"], decided_by=["previous"])
    verdicts = {row["verdict"] for row in report.verdicts if row["baseline"] == "previous"}
    assert report.verdict in verdicts
    assert report.record["result"]["configuration"]["decided_by"] == ["previous"]
    assert "Against the previous window" in report.render(".html").decode()
    assert report.exit_code() == int("fail" in verdicts)


def test_a_page_with_every_baseline(everything: tg.Report) -> None:
    page = everything.render(".html").decode()
    for caption in ("the reference", "the previous window", "the 2 windows before", "all windows before"):
        assert f"Against {caption}" in page
    assert "Against the window 1mo earlier" in page
    assert "Against the other segments" not in page
    assert len(page) < 300_000


def test_seasons_follow_the_clock_of_the_zone() -> None:
    start = dt.datetime(2013, 3, 8, 5, tzinfo=dt.UTC)
    hours = [start + dt.timedelta(hours=i) for i in range(24 * 5)]
    rows = pl.DataFrame({"ts": hours, "x": [i / 2 for i in range(len(hours))]})
    reference = tg.profile(rows, time="ts", columns=["ts", "x"])
    cut = {"time": "ts", "window": "1h", "time_zone": ZONE}
    current = tg.profile(rows, like=reference, **cut)
    report = tg.compare(reference, current, baselines=["seasonal:1d"], statistics={"x": "mean_shift"})
    shift = {
        row["window_start"]: row["value"]
        for row in report.rows
        if row["statistic"] == "mean_shift" and row["n_current"]
    }
    # Clocks went forward at two in the morning of 10 March: an hour less lies between equal hours.
    assert shift["2013-03-09T12:00:00-05:00"] == 12
    assert shift["2013-03-10T12:00:00-04:00"] == 11.5
    assert shift["2013-03-11T12:00:00-04:00"] == 12
    absent = [row["window_start"] for row in report.rows if row["statistic"] == "coverage"]
    assert "2013-03-11T02:00:00-04:00" in absent


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("previos", r"did you mean 'previous'\?"),
        ("rollling:4", r"did you mean 'rolling:4'\?"),
        ("rolling", r"did you mean 'rolling:4'\?"),
        ("seasonal:1m", r"did you mean 'seasonal:1y'\?; accepted are reference"),
        ("rolling:0", "accepted are reference"),
        ("segment:carrier=ZZ", "accepted are segment:carrier=AA"),
        ("version:9", "accepted are version:1.3, version:1.4"),
        ("seasonal:1w", "accepted is a season of at least one window"),
    ],
)
def test_refusals(cube: tg.Profile, reference: tg.Profile, name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        tg.compare(reference, cube, baselines=[name])


def test_deciding_baselines_are_baselines(cube: tg.Profile, reference: tg.Profile) -> None:
    with pytest.raises(UsageError, match="decided_by: 'previous' is not among the baselines"):
        tg.compare(reference, cube, decided_by=["previous"])
