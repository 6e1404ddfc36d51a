"""No command writes over what it reads, or where its next run would read it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tidegauge.cli import invoke

BIKES = Path(__file__).resolve().parents[2] / "examples/bike_2011"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("reference.parquet", "current.parquet", "model.lgb.txt"):
        shutil.copy(BIKES / name, tmp_path)
    (tmp_path / "day").mkdir()
    shutil.copy(BIKES / "current.parquet", tmp_path / "day")
    monkeypatch.chdir(tmp_path)
    return tmp_path


LINES = [
    "drift reference.parquet current.parquet -o current.parquet",
    "drift reference.parquet current.parquet -o ./day/../reference.parquet",
    "drift reference.parquet day -o day/rows.parquet",
    "drift reference.parquet day/*.parquet -o day/rows.parquet",
    "compare-models current.parquet --label label --a predicted --b predicted --metric rmse -o current.parquet",
    "run over.toml",
]


@pytest.mark.parametrize("line", LINES)
def test_an_output_is_no_input(folder: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "over.toml").write_text("""
[reference]
path = "reference.parquet"
[current]
path = "current.parquet"
[output]
files = ["report.json", "reference.parquet"]
""")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert invoke(line.split()) == 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert "give another name" in capsys.readouterr().err or "accepted are names" in line


def test_other_names_beside_the_data_are_written(folder: Path) -> None:
    assert (
        invoke(
            [
                "drift",
                "reference.parquet",
                "day",
                "-q",
                "-o",
                "day/rows.json",
                "-o",
                "rows.parquet",
                "--fail-on",
                "never",
            ]
        )
        == 0
    )
    assert (folder / "rows.parquet").exists()
