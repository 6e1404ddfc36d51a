"""What inspect tells of a report, and the files that came since it was made."""

import json
import shutil
from pathlib import Path

import pytest
import tidegauge as tg
from tidegauge.cli import invoke
from tidegauge.record import unpack_rows


def test_a_report_in_a_few_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "out/report.json"
    record = json.loads(path.read_text())
    assert invoke(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    for name in ("verdict", "result_digest", "record_digest"):
        value = record["result"]["verdict"] if name == "verdict" else record[name]
        assert f"{name + ':':<14} {value}" in text
    assert "digests:       hold" in text
    assert invoke(["inspect", str(path), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    files = [file for file in record["inputs"]["current"]["files"] if "path" in file]
    assert [file["path"] for file in told["current"]["files"]] == [file["path"] for file in files]
    assert told["current"]["bytes"] == sum(file["bytes"] for file in files)
    assert told["windows"] == record["result"]["windows"]
    rows = unpack_rows(record["result"]["rows"])
    counted = sum(entry["features"] for entry in told["result_rows"]["verdicts"])
    assert counted == sum(row["statistic"] == "verdict" for row in rows)


def test_a_changed_report_is_told_and_what_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    from tidegauge._inspect import inspect_report

    record = json.loads((folder / "out/report.json").read_text())
    record["result"]["title"] = "another"
    changed = tmp_path / "report.json"
    changed.write_text(json.dumps(record))
    assert inspect_report(changed)["digests"] == "result.title: its digest does not hold"
    changed.write_text("{}")
    assert invoke(["inspect", str(changed)]) == 3
    assert invoke(["inspect", str(tmp_path / "none.json")]) == 3


def test_files_that_came_since_are_named(folder: Path, tmp_path: Path) -> None:
    """By the level of inputs, which holds what was read against its digests; the rescan reads them, and differs."""
    place = tmp_path / "copy"
    shutil.copytree(folder, place)
    report = place / "out/report.json"
    record = json.loads(report.read_text())
    pattern = next(path for path in record["inputs"]["current"]["paths"] if "*" in path)
    assert "came since" not in str(tg.verify(report, level="inputs", root=place))
    first = sorted(place.glob(pattern))[0]
    shutil.copy(first, first.with_name("zz_new.parquet"))
    new = str(first.with_name("zz_new.parquet").relative_to(place))
    found = tg.verify(report, level="inputs", root=place)
    assert found.same
    assert f"; 1 came since and match what was read: {new}" in found.levels[1].told
    again = tg.verify(report, root=place)
    assert again.levels[-1].differences[0] == f"{new}: came since, and matches what was read"
