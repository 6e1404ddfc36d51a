"""Verification of reports of a store: the same, whatever came since; another number, byte or verdict is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg
from growing import daily, record_of, rows_of, write_config
from tidegauge.record import pack_rows, seal, unpack_rows


def outcomes(report: Path, **options: Any) -> dict[str, str]:
    return {level.name: level.outcome for level in tg.verify(report, **options).levels}


SAME = dict.fromkeys(("record", "inputs", "verdicts", "numbers", "rescan"), "same")


@pytest.mark.parametrize(("store", "current"), [
    ("", ""), ('late = "count"', ""), ("render = 2", 'baselines = ["reference", "previous", "rolling:2"]'),
    ("", 'by = ["city"]'), ("", 'time_zone = "Asia/Tokyo"'),
])  # fmt: skip
def test_every_report_of_a_growing_store_is_the_same(tmp_path: Path, store: str, current: str) -> None:
    """Each day's report is kept and verified at the end, when windows were reopened and others came."""
    rows_of(25, 120, seed=7).write_parquet(tmp_path / "reference.parquet")
    config = write_config(tmp_path, store=store, current=current)
    kept = []
    for day in range(2, 6):
        daily(tmp_path / "log", day, 120, skip=0 if day == 2 else day - 1)
        if day == 4:
            rows_of(1, 50, start="2024-03-02", seed=5).write_parquet(tmp_path / "log" / "late.parquet")
        tg.run(config)
        kept.append(tmp_path / "out" / f"day{day}.json")
        (tmp_path / "out" / "report.json").rename(kept[-1])
    for report in kept:
        assert outcomes(report) == SAME, tg.verify(report)
        assert outcomes(report, sample=3) == {
            "record": "same", "sample": "same", "verdicts": "same", "numbers": "same"
        }  # fmt: skip


@pytest.mark.parametrize(
    "more",
    ["[decisions]\nconsecutive = 2", '[decisions]\nover_time = "sequential"', '[decisions]\nover_time = "online_fdr"'],
)
def test_rules_that_look_back(log: Path, more: str) -> None:
    config = write_config(log, more=more)
    tg.run(config)
    daily(log / "log", 8, 120, skip=6)
    tg.run(config)
    assert outcomes(log / "out/report.json") == SAME


def test_waivers_tables_of_text_and_no_digests(log: Path) -> None:
    for path in sorted((log / "log").iterdir()):
        pl.read_parquet(path).write_csv(path.with_suffix(".csv"))
        path.unlink()
    waiver = '[[waivers]]\nmatch = "*"\nuntil = 2024-12-31\nwho = "A"\nwhy = "season"\n'
    config = write_config(log, more=waiver)
    config.write_text(config.read_text().replace("log/*.parquet", "log/*.csv"))
    tg.run(config)
    report = log / "out/report.json"
    assert outcomes(report) == SAME
    file = log / "log/2024-03-04.csv"
    file.write_text(file.read_text().replace("Oslo", "Rome", 1))
    found = tg.verify(report)
    assert found.first == "log/2024-03-04.csv: content changed"
    assert any(level.name == "rescan" and "window 2024-03-04" in level.differences[0] for level in found.levels)
    without = write_config(log, store='path2 = "x"'.replace('path2 = "x"', ""), more="[scan]\ndigests = false")
    text = without.read_text().replace('path = "store"', 'path = "other"').replace("log/*.parquet", "log/*.csv")
    without.write_text(text)
    tg.run(without)
    assert outcomes(report) == {**SAME, "inputs": "not checked"}


@pytest.fixture
def report(log: Path) -> Path:
    tg.run(write_config(log))
    return log / "out" / "report.json"


def test_a_byte_of_the_data(log: Path, report: Path) -> None:
    path = log / "log" / "2024-03-03.parquet"
    content = bytearray(path.read_bytes())
    entry = next(f for f in record_of(log)["inputs"]["current"]["files"] if f["path"] == "log/2024-03-03.parquet")
    at, length, _ = entry["parts"]["row_groups"][1][entry["parts"]["columns"].index("x")]
    content[at + length // 2] ^= 1
    path.write_bytes(content)
    found = tg.verify(report, level="inputs")
    assert (found.exit_code(), found.first) == (6, "log/2024-03-03.parquet: row group 1, column 'x' changed")
    path.unlink()
    assert tg.verify(report).first == "log/2024-03-03.parquet: not found (current)"


def change_rows(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_parquet(path)).write_parquet(path)


def test_a_verdict_in_the_store(log: Path, report: Path) -> None:
    """Another number in a frozen row does not follow from the profiles; the report differs from the store too."""
    (rows,) = (log / "store").glob("verdicts/*/rows.parquet")
    chosen = (pl.col("feature") == "x") & (pl.col("statistic") == "ks")
    change_rows(rows, lambda f: f.with_columns(value=pl.when(chosen).then(pl.col("value") / 2).otherwise("value")))
    found = {level.name: level for level in tg.verify(report).levels}
    assert found["numbers"].outcome == "different"
    assert found["numbers"].differences[0].startswith("result.rows: feature 'x', statistic ks, window 2024-03-01")
    place = f"verdicts/{rows.parent.name}: feature 'x', statistic ks, window 2024-03-01"
    assert any(told.startswith(place) for told in found["numbers"].differences)
    assert found["rescan"].outcome == "same"


def test_a_profile_in_the_store(log: Path, report: Path) -> None:
    """The profile of one window in place of another's: verdicts and files tell of other rows."""
    (profiles,) = (log / "store").glob("parts/*/profile.parquet")
    frame = pl.read_parquet(profiles)
    mixed = frame["profile"].to_list()
    mixed[1] = mixed[2]
    change_rows(profiles, lambda f: f.with_columns(profile=pl.Series(mixed, dtype=pl.Binary)))
    found = tg.verify(report)
    assert found.exit_code() == 6
    assert next(level for level in found.levels if level.name == "numbers").outcome == "different"


def test_a_forged_report(log: Path, report: Path) -> None:
    record = json.loads(report.read_text())
    rows = unpack_rows(record["result"]["rows"])
    row = next(r for r in rows if r["feature"] == "k" and r["statistic"] == "ks" and r["window_start"] is not None)
    row["value"] = row["value"] / 2
    forged = seal({**record, "result": {**record["result"], "rows": pack_rows(rows)}})
    report.write_text(json.dumps({**forged, "sign_off": record["sign_off"]}))
    first = tg.verify(report, level="numbers").first
    assert first is not None
    assert first.startswith("result.rows: feature 'k', statistic ks, window 2024-03-01")


def test_verdicts_under_other_rules_are_counted(log: Path, report: Path) -> None:
    tolerance = "[columns.x]\ntolerance = { warn = 0.3, fail = 0.9 }"
    daily(log / "log", 8, 120, skip=6)
    tg.run(write_config(log, more=tolerance))
    found = {level.name: level for level in tg.verify(report).levels}
    assert {name: level.outcome for name, level in found.items()} == SAME
    assert "verdicts on 2 closed windows, from its profiles; 5 decided under other rules" in found["numbers"].told
