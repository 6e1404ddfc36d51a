"""Unreadable units: set aside and named when allowed, fatal otherwise."""

import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import tidegauge as tg
from tidegauge.errors import GateError, InputError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/bike_2011/reference.parquet"


@pytest.fixture
def damaged(tmp_path: Path) -> list[str]:
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    shutil.copy(EXAMPLE, good)
    data = bytearray(EXAMPLE.read_bytes())
    data[2000:2005] = b"\xff" * 5
    bad.write_bytes(data)
    return [str(good), str(bad)]


@pytest.mark.parametrize("cut", [{}, {"by": ["season"]}, {"window": "1w", "time": "ts"}])
def test_a_bad_row_group_is_set_aside(damaged: list[str], cut: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"bad\.parquet: row group 0"):
        tg.profile(damaged, **cut)  # type: ignore[arg-type]
    kept = tg.profile(damaged, max_bad_units=1, **cut)  # type: ignore[arg-type]
    assert kept.digest == tg.profile(damaged[0], **cut).digest  # type: ignore[arg-type]
    problem = next(p for p in kept.info["problems"] if p["kind"] == "unit")
    assert problem["rows"] == 1464
    assert "row group 0" in problem["message"]


def test_untyped_nulls_of_polars() -> None:
    frame = pl.DataFrame({"x": [None] * 60, "y": [float(i) for i in range(60)]})
    assert tg.drift(frame, frame).summary()["verdicts"]["error"] == 0


def test_a_report_shows_what_is_missing_and_never_passes(damaged: list[str], tmp_path: Path) -> None:
    good = damaged[0]
    # Two months of hours by day are too few to rule a shift out; here only reading is at stake.
    whole = tg.drift(good, good, block="none")
    assert (whole.verdict, whole.exit_code(), whole.incomplete) == ("ok", 0, [])

    report = tg.drift(good, damaged, max_bad_units=1, block="none")
    assert report.verdict == "inconclusive"
    assert [report.exit_code(on) for on in ("fail", "warn", "inconclusive", "never")] == [1, 1, 1, 5]
    with pytest.raises(GateError, match="1 unit of the current data could not be read: 1,464 rows are not counted"):
        report.raise_if_failed()
    (row,) = report.incomplete
    assert (row["feature"], row["statistic"], row["value"]) == ("*", "coverage", 1464 / (1464 + report.current.rows))
    assert report.summary()["findings"][0] == row["message"]
    assert sum("1,464 rows are not counted" in text for text in report.record["result"]["limitations"]) == 1
    for suffix in (".html", ".md", ".txt"):
        assert b"1,464 rows are not counted" in report.render(suffix)

    second, first = report.record["inputs"]["current"]["files"]
    assert (first["row_groups"], first["rows"]) == (1, 1464)
    assert "rejected" not in first
    (rejected,) = second["rejected"]
    assert (rejected["row_group"], rejected["rows"]) == (0, 1464)
    assert "bad.parquet: row group 0" in rejected["reason"]

    done = subprocess.run(
        [sys.executable, "-c", "from tidegauge.cli import main; main()", "drift", good, str(tmp_path / "*.parquet"),
         "--max-bad-units", "1", "-q"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "1,464 rows are not counted" in done.stdout


def test_rows_of_an_unreadable_file_are_unknown(damaged: list[str], tmp_path: Path) -> None:
    (tmp_path / "none.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    report = tg.drift(damaged[0], [*damaged, str(tmp_path / "none.parquet")], max_bad_units=2)
    (row,) = report.incomplete
    assert row["message"].startswith(
        "2 units of the current data could not be read: 1,464 rows are not counted, and those of one unit are unknown"
    )
    assert (row["value"], row["bound_high"], row["exactness"]) == (None, 1.0, "certified")
    assert 0 < row["bound_low"] <= 0.5
    lost = report.record["inputs"]["current"]["files"][2]
    assert (lost["rows"], lost["row_groups"]) == (None, None)
    assert lost["rejected"][0]["reason"]


def test_a_failure_outranks_what_is_missing(damaged: list[str], tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    pl.read_parquet(EXAMPLE).with_columns(pl.col("temp") + 1).write_parquet(other)
    report = tg.drift(damaged[0], [str(other), damaged[1]], max_bad_units=1)
    assert (report.verdict, report.exit_code()) == ("fail", 1)
