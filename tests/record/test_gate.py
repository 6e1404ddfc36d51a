"""Gates decide from a report alone, and refuse one whose digests do not hold; every exit code."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg
from tidegauge.cli import invoke
from tidegauge.errors import FormatError, UsageError, VerificationError
from tidegauge.record import seal


def written(report: tg.Report, folder: Path) -> str:
    return str(report.to_json(folder / "report.json"))


@pytest.fixture
def frames() -> dict[str, dict[str, Any]]:
    rows = [float(i % 997) for i in range(20_000)]
    return {
        "base": {"x": rows, "y": rows},
        "same": {"x": rows, "y": rows},
        "moved": {"x": [v + 400 for v in rows], "y": rows},
        "slightly": {"x": [v + 75 for v in rows], "y": rows},
        "few": {name: [25.0 + 50 * i for i in range(20)] for name in "xy"},
        "other": {"z": rows},
    }


def code(path: str, *options: str) -> int:
    return invoke(["gate", path, *options])


def test_exit_codes(frames: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = written(tg.drift(frames["base"], frames["same"]), tmp_path)
    assert code(report) == code(report, "--fail-on", "inconclusive") == 0
    assert capsys.readouterr().out.startswith("passed: verdict ok, fails on fail, b3:")
    report = written(tg.drift(frames["base"], frames["moved"]), tmp_path)
    assert code(report) == 1
    assert "fail: x: ks is " in capsys.readouterr().out
    assert code(report, "--fail-on", "never") == 0
    report = written(tg.drift(frames["base"], frames["slightly"]), tmp_path)
    assert (code(report), code(report, "--fail-on", "warn")) == (0, 1)
    report = written(tg.drift(frames["base"], frames["few"]), tmp_path)
    assert (code(report), code(report, "--fail-on", "inconclusive")) == (0, 1)
    capsys.readouterr()
    # Nothing evaluated: only columns that the other side lacks would be a finding, so they are excluded.
    report = written(tg.drift({"row_id": list(range(500))}, {"row_id": list(range(500))}), tmp_path)
    assert code(report) == code(report, "--fail-on", "never") == 5
    assert "nothing was evaluated" in capsys.readouterr().out
    assert code(report, "--fail-on", "often") == 2
    assert code(str(tmp_path / "none.json")) == 3


def test_an_incomplete_scan_never_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"x": [float(i % 997) for i in range(40_000)]})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=10_000, compression="uncompressed")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[8:40] = bytes(32)
    (tmp_path / "b.parquet").write_bytes(content)
    report = tg.drift(tmp_path / "a.parquet", tmp_path / "b.parquet", max_bad_units=1)
    path = written(report, tmp_path)
    assert report.incomplete
    assert code(path) == 1
    assert "could not be read" in capsys.readouterr().out


def test_error_rows(frames: dict[str, Any], tmp_path: Path) -> None:
    report = tg.drift(frames["base"], frames["same"])
    record = json.loads(report.render(".json"))
    columns = record["result"]["rows"]["columns"]
    columns["verdict"] = {"values": ["error"] * record["result"]["rows"]["count"]}
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**seal(record), "sign_off": record["sign_off"]}))
    assert code(str(path)) == 4


def test_a_changed_report_is_refused(
    frames: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tg.drift(frames["base"], frames["moved"])
    record = json.loads(report.render(".json"))
    record["result"]["verdict"] = "ok"
    path = tmp_path / "report.json"
    path.write_text(json.dumps(record))
    assert code(str(path)) == 6
    assert "result.verdict: its digest does not hold" in capsys.readouterr().err
    with pytest.raises(VerificationError, match=r"result\.verdict"):
        tg.gate(path)
    path.write_text("[]")
    with pytest.raises(FormatError, match="list in place of a record"):
        tg.gate(path)
    assert code(str(path)) == 3
    # Of another version: no digest makes it one of this.
    path.write_text(json.dumps({**seal({**record, "schema": "tidegauge.report/2"}), "sign_off": record["sign_off"]}))
    with pytest.raises(FormatError, match="schema"):
        tg.gate(path)


def test_what_fails_is_that_of_the_run(made: Path) -> None:
    path = made / "out/report.json"
    found = tg.gate(path)
    assert (found.fail_on, found.verdict, found.exit_code) == ("never", "fail", 0)
    found = tg.gate(path, fail_on="fail")
    assert found.exit_code == 1
    assert found.findings[0].startswith("fail: ")
    assert "\n- `fail: " in found.to_markdown()
    with pytest.raises(UsageError, match="'often'"):
        tg.gate(path, fail_on="often")


def test_other_forms(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(made / "out/report.json")
    assert code(path, "--fail-on", "fail", "--format", "json") == 1
    assert json.loads(capsys.readouterr().out)["exit_code"] == 1
    assert code(path, "--fail-on", "fail", "--format", "markdown") == 1
    assert capsys.readouterr().out.startswith("**Gate failed**")


def test_a_job_keeps_the_decision_in_its_summary(
    frames: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = written(tg.drift(frames["base"], frames["moved"]), tmp_path)
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert code(report, "--format", "markdown") == 1
    assert summary.read_text().strip() == capsys.readouterr().out.strip()
    assert "x: ks is " in summary.read_text()
