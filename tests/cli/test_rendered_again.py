"""``tidegauge report``: the bytes of the run's own outputs, without the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

SUFFIXES = ("html", "md", "txt", "xml", "prom", "ndjson", "parquet", "json")


def tidegauge(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-c", "from tidegauge.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=kept | environment,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two logs, and every output of their comparison."""
    path = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(11)
    for name, shift in (("reference", 0.0), ("current", 1.0)):
        frame = pl.DataFrame(
            {
                "x": rng.normal(shift, 1, 3000),
                "<b>city</b>": rng.choice(["a", "b"], 3000),
                "odd": [float("inf"), None, float("nan"), *rng.normal(0, 1, 2997)],
            }
        )
        frame.write_parquet(path / f"{name}.parquet")
    outputs = [part for suffix in SUFFIXES for part in ("-o", path / f"r.{suffix}")]
    done = tidegauge("drift", path / "reference.parquet", path / "current.parquet", "-q", *outputs, "--window", "1d")
    assert done.returncode == 2, "a window needs a time"
    done = tidegauge(
        "drift", path / "reference.parquet", path / "current.parquet", "-q", *outputs,
        GITHUB_STEP_SUMMARY=str(path / "summary.md"),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "\x1b" not in done.stdout
    return path


def test_every_output_again_has_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    outputs = [part for suffix in SUFFIXES for part in ("-o", tmp_path / f"r.{suffix}")]
    done = tidegauge("report", folder / "r.json", *outputs)
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.count("wrote ") == len(SUFFIXES)
    for suffix in SUFFIXES:
        assert (tmp_path / f"r.{suffix}").read_bytes() == (folder / f"r.{suffix}").read_bytes(), suffix


def test_a_job_has_its_summary(folder: Path) -> None:
    assert (folder / "summary.md").read_bytes() == (folder / "r.md").read_bytes()
    before = (folder / "summary.md").stat().st_size
    # A report rendered again is no run: nothing is appended.
    assert tidegauge("report", folder / "r.json", GITHUB_STEP_SUMMARY=str(folder / "summary.md")).returncode == 0
    assert (folder / "summary.md").stat().st_size == before


@pytest.mark.parametrize(
    ("form", "suffix"), [("json", "json"), ("ndjson", "ndjson"), ("markdown", "md"), ("junit", "xml"), ("prom", "prom")]
)
def test_standard_output_has_the_bytes_of_the_file(folder: Path, form: str, suffix: str) -> None:
    assert tidegauge("report", folder / "r.json", "--format", form).stdout == (folder / f"r.{suffix}").read_text()


def test_text_is_as_wide_as_the_terminal_and_coloured_on_demand(folder: Path) -> None:
    wide, narrow = (tidegauge("report", folder / "r.json", COLUMNS=str(n)).stdout for n in (140, 50))
    assert max(map(len, wide.splitlines())) > 50
    assert max(map(len, narrow.splitlines())) <= 50
    assert "\x1b[1;31m" in tidegauge("report", folder / "r.json", FORCE_COLOR="1").stdout
    assert "\x1b" not in tidegauge("report", folder / "r.json", FORCE_COLOR="1", NO_COLOR="1").stdout


def test_what_cannot_be_rendered_is_said(folder: Path, tmp_path: Path) -> None:
    done = tidegauge("report", folder / "r.json", "-o", tmp_path / "x.tgp")
    assert done.returncode == 2
    assert "accepted extensions are .json .html" in done.stderr
    done = tidegauge("report", folder / "reference.parquet")
    assert done.returncode == 3
    assert "not JSON" in done.stderr
    assert tidegauge("report", folder / "absent.json").returncode == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["result", "inputs", "envelope"])
def test_a_report_that_was_changed_is_refused(folder: Path, tmp_path: Path, part: str) -> None:
    held = json.loads((folder / "r.json").read_text())
    if part == "result":
        held["result"]["verdict"] = "ok"
    else:
        held[part]["note"] = "forged"
    (tmp_path / "r.json").write_text(json.dumps(held))
    done = tidegauge("report", tmp_path / "r.json", "-o", tmp_path / "r.html")
    assert (done.returncode, done.stdout) == (6, "")
    where = {"result": "result.verdict", "inputs": "inputs.note", "envelope": "envelope"}[part]
    assert f"r.json: {where}: its digest does not hold; accepted is a report.json as it was written" in done.stderr
    assert not (tmp_path / "r.html").exists()


def test_an_index_of_a_folder(folder: Path, tmp_path: Path) -> None:
    for day in ("01", "02"):
        place = tmp_path / day
        place.mkdir()
        held = json.loads((folder / "r.json").read_text())
        held["envelope"]["finished"] = f"2026-03-{day}T00:00:00.000Z"
        (place / "report.json").write_text(json.dumps(held))
    done = tidegauge("report", tmp_path, "-o", tmp_path / "index.html")
    assert (done.returncode, "2 reports, 2 files read" in done.stderr) == (0, True)
    assert "2 reports, 0 files read" in tidegauge("report", tmp_path, "-o", tmp_path / "index.html").stderr
    page = (tmp_path / "index.html").read_text()
    assert page.index("2026-03-02") < page.index("2026-03-01")
    for wrong in ([], ["-o", tmp_path / "x.md"], ["-o", tmp_path / "a.html", "-o", tmp_path / "b.html"]):
        done = tidegauge("report", tmp_path, *wrong)
        assert done.returncode == 2
        assert "accepted is one -o NAME.html" in done.stderr
