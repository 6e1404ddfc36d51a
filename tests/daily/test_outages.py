"""A log that falls silent does not pass: windows with too few rows, or none, in a store and without one."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg
from growing import command, record_of, rows_of, write_config

PRESET = 'preset = "monitoring"'


def day(number: int, rows: int) -> pl.DataFrame:
    """One day of a log that does not drift."""
    date = dt.date(2024, 3, 1) + dt.timedelta(days=number)
    return rows_of(1, rows, start=f"{date}", seed=50 + number)


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    """A reference of 30 days of 2000 rows, and an empty log."""
    rows_of(30, 2000, seed=7).write_parquet(tmp_path / "reference.parquet")
    (tmp_path / "log").mkdir()
    return tmp_path


def add(folder: Path, number: int, rows: int) -> None:
    day(number, rows).write_parquet(folder / "log" / f"{number:02}.parquet")


def limitations(record: dict[str, Any]) -> str:
    return " ".join(record["result"]["limitations"])


@pytest.mark.parametrize("store", ["", "none"])
def test_an_outage_fails_day_by_day(silent: Path, store: str) -> None:
    path = write_config(silent, top=PRESET, store=store)
    for number, rows in enumerate((2000, 2000, 5, 5, 5)):
        add(silent, number, rows)
        ran = command(path)
        record = record_of(silent)
        verdict = record["result"]["verdict"]
        if rows == 2000:
            assert (ran.returncode, verdict) == (0, "ok"), ran.stdout
            assert "Windows in which nothing" not in limitations(record)
            continue
        # The check of volume fails, and says by how much.
        assert (ran.returncode, verdict) == (1, "fail"), ran.stdout
        thin = number - 1
        first = re.sub(r"\s+", " ", ran.stdout)
        assert f"Nothing was evaluated in {thin} of {number + 1} windows: 2024-03-03 (5 rows)" in first
        assert "Nothing is known of the newest window" in first
        assert f"3 columns were judged in 2 of {number + 1} windows" in first
        assert "volume_rate is 0.0025, below the minimum of 0.02" in first
        assert f"Windows in which nothing was evaluated: {thin}, 2024-03-03" in limitations(record)
        assert "(5 rows); nothing is known of the newest window" in limitations(record)


@pytest.mark.parametrize("store", ["", "none"])
def test_a_newest_window_of_too_few_rows_does_not_pass_without_any_check(silent: Path, store: str) -> None:
    """Whatever the last one said: nothing is known of now."""
    rules = "[decisions]\nminimum_n = { current = 30 }\n"
    path = write_config(silent, more=rules, store=store)
    add(silent, 0, 2000)
    add(silent, 1, 20)
    ran = command(path)
    assert ran.returncode == 5, ran.stdout
    record = record_of(silent)
    assert record["result"]["verdict"] == "inconclusive"
    assert [(w["rows"], w["verdict"]) for w in record["result"]["windows"]] == [(2000, "ok"), (20, "inconclusive")]
    found = tg.gate(silent / "out" / "report.json")
    assert found.exit_code == 5
    assert "nothing was evaluated in the newest window, from 2024-03-02" in found.findings[0]
    assert "20 current rows, at least 30 are asked for" in found.findings[0]
    assert tg.gate(silent / "out" / "report.json", fail_on="never").exit_code == 5
    assert tg.verify(silent / "out" / "report.json").same
    # The next day has rows again: the thin day is told, and does not fail the newest.
    add(silent, 2, 2000)
    ran = command(path)
    assert ran.returncode == 0, ran.stdout
    assert record_of(silent)["result"]["verdict"] == "ok"
    assert "Nothing was evaluated in 1 of 3 windows: 2024-03-02 (20 rows)." in re.sub(r"\s+", " ", ran.stdout)


@pytest.mark.parametrize("store", ["", "none"])
def test_days_without_a_row_fail_the_preset(silent: Path, store: str) -> None:
    path = write_config(silent, top=PRESET, store=store)
    for number in (0, 1, 6):
        add(silent, number, 2000)
    ran = command(path)
    first = re.sub(r"\s+", " ", ran.stdout)
    assert ran.returncode == 1, first
    assert "volume_rate is 0, below the minimum of 0.02" in first
    assert "2024-03-03 00:00 to 2024-03-07 00:00 (no row)" in first
    told = limitations(record_of(silent))
    assert "Stretches between windows without any row: 1, 2024-03-03T00:00:00Z to 2024-03-07T00:00:00Z." in told


def test_a_gap_that_the_reference_has_too_is_usual(silent: Path) -> None:
    """No row at weekends, in neither: 2024-03-02 is a Saturday."""
    reference = pl.read_parquet(silent / "reference.parquet").filter(pl.col("ts").dt.weekday() <= 5)
    reference.write_parquet(silent / "reference.parquet")
    path = write_config(silent, top=PRESET, store="none")
    for number in (0, 3, 4):
        add(silent, number, 2000)
    ran = command(path)
    assert ran.returncode == 0, ran.stdout
    rows = tg.run(path).rows
    assert [row["value"] for row in rows if row["statistic"] == "volume" and row["n_current"] == 0] == [0.0]
    # A check of the file on the same number takes the place of the preset's.
    own = '[[checks]]\nfeature = "*"\nstatistic = "volume_rate"\nmin = 2.5\n'
    assert tg.run(write_config(silent, top=PRESET, store="none", more=own)).exit_code() == 1
    path = write_config(silent, top=PRESET, store="none")
    checks = [row["verdict"] for row in tg.run(path).rows if row["statistic"] == "check"]
    assert sorted(checks) == ["not_evaluated", "ok", "ok", "ok"]
    assert "1 check of the configuration holds in all" in tg.run(path).render(".txt").decode()


def test_a_check_whose_number_is_nowhere_is_an_error_unless_it_is_optional(silent: Path) -> None:
    """Hours are shorter than the days of the reference's blocks: none has a rate."""
    add(silent, 0, 2000)
    check = '[[checks]]\nfeature = "*"\nstatistic = "volume_rate"\nmin = 0.02\n'
    hours = {"store": "none", "current": 'baselines = ["reference"]'}
    path = write_config(silent, more=check, **hours)
    hourly = ["current.window=1h"]
    assert {row["feature"] for row in tg.run(path, overrides=hourly).errors} == {"*"}
    path = write_config(silent, more=f"{check}optional = true\n", **hours)
    report = tg.run(path, overrides=hourly)
    assert report.errors == []
    assert {row["verdict"] for row in report.rows if row["statistic"] == "check"} == {"not_evaluated"}
    assert "volume_rate" not in report.render(".txt").decode()
