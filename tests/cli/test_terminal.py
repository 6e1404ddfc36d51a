"""What reaches a terminal or a pipe: no control character of foreign text, and the exit code of what was found."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge.cli import invoke
from tidegauge.config import load
from tidegauge.errors import ConfigError, UsageError

#: Clears a screen, sets a title, overrides the direction; C1 has a CSI of its own.
HOSTILE = "x\x1b[2J\x9b31m\u202e\x07\x7f"


def tables(folder: Path, name: str = "x") -> None:
    """A reference, and current data that fail."""
    for side, shift in (("reference", 0.0), ("current", 3.0)):
        x = np.random.default_rng(1).normal(shift, size=300)
        pl.DataFrame({name: x, "g": ["a", "b", HOSTILE] * 100}).write_parquet(folder / f"{side}.parquet")


def raw(text: str) -> list[str]:
    return sorted({char for char in text if not char.isprintable() and char not in "\n\t"})


def test_control_characters_of_names_reach_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables(tmp_path, HOSTILE)
    monkeypatch.chdir(tmp_path)
    data = ["reference.parquet", "current.parquet"]
    (tmp_path / "tidegauge.toml").write_text(
        '[reference]\npath = "reference.parquet"\n[current]\npath = "current.parquet"\nby = ["g"]\n'
        '[output]\nprofiles = "."\nfiles = ["report.json"]\n'
    )
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    tried = 0
    commands: list[tuple[list[str], tuple[str, ...]]] = [
        (["run", "tidegauge.toml"], ("text", "json", "ndjson", "markdown", "junit", "prom")),
        (["drift", *data, "--by", "g"], ("text", "json", "ndjson", "markdown", "junit", "prom")),
        (["gate", "report.json"], ("text", "json", "markdown")),
        (["verify", "report.json"], ("text", "json")),
        (["report", "report.json"], ("text",)),
        (["inspect", "report.json"], ("text", "json")),
        (["inspect", "reference.tgp"], ("text", "json")),
        (["profile", "reference.parquet"], ("text", "json")),
        (["plan", "tidegauge.toml"], ("text", "json")),
        (["compare", "reference.tgp", "current.tgp"], ("text", "json")),
        (["init", *data], ()),
        # Messages: names, values and paths of the user.
        (["drift", *data, "--label", HOSTILE + "l"], ()),
        (["drift", *data, "--columns", HOSTILE + "c"], ()),
        (["drift", f"{HOSTILE}.parquet", data[1]], ()),
        (["run", f"{HOSTILE}.toml"], ()),
        (["run", "tidegauge.toml", "--set", f"current.by=['{HOSTILE}b']"], ()),
        (["run", "tidegauge.toml", "-o", f"{HOSTILE}.doc"], ()),
        (["run", "tidegauge.toml", f"--{HOSTILE}"], ()),
        (["gate", f"{HOSTILE}.json"], ()),
        (["verify", "report.json", "--level", HOSTILE], ()),
        ([HOSTILE], ()),
    ]
    for command, forms in commands:
        for more in [["--format", form] for form in forms] or [[]]:
            code = invoke([*command, *more])
            told = capsys.readouterr()
            assert code != 4, told.err
            assert not raw(told.out + told.err), (command, more, raw(told.out + told.err))
            tried += 1
            if more[1:] == ["json"]:
                # The same value, escaped.
                json.loads(told.out)
    assert tried > 30
    assert not raw((tmp_path / "summary.md").read_text())
    # The name is there, spelled out.
    invoke(["gate", "report.json"])
    assert r"x\x1b[2J\x9b31m\u202e" in capsys.readouterr().out
    invoke(["profile", "reference.parquet", "--format", "json"])
    assert HOSTILE in [column["name"] for column in json.loads(capsys.readouterr().out)["columns"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_exit_codes_where_output_cannot_be_written(tmp_path: Path) -> None:
    tables(tmp_path)
    command = Path(sys.executable).with_name("tidegauge")

    def run(arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "-c", f"'{command}' {arguments}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    failing, passing = "drift reference.parquet current.parquet -q", "drift reference.parquet reference.parquet -q"
    # A stream that is closed is one that nobody reads.
    for closed in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        assert run(f"{failing} {closed}") == (1, "")
        assert run(f"{passing} {closed}") == (0, "")
    # What could not be written is told; a failed gate stays one.
    told = "tidegauge: standard output: no space left on device\n"
    assert run(f"{failing} >/dev/full") == (1, told)
    assert run(f"{passing} >/dev/full") == (3, told)
    assert run("schema >/dev/full") == (3, told)
    assert run(f"{failing} | true")[0] == 0
    assert run(f"{failing} 2>/dev/full >/dev/null")[0] == 1
    # No file takes the number of a closed stream, to be written over by it.
    assert run(f"{failing} -o report.json >&- 2>&-")[0] == 1
    assert tg.gate(tmp_path / "report.json").exit_code == 1


@pytest.mark.parametrize(("key", "text"), [
    ("columns.x.tolerance.warn", "[columns.x]\ntolerance = {warn = inf, fail = inf}"),
    ("columns.x.tolerances.ks.fail", "[columns.x.tolerances]\nks = {warn = 0.1, fail = nan}"),
    ('columns."a b".tolerance.fail', '[columns."a b"]\ntolerance = {warn = 1.0, fail = inf}'),
    ("checks[0].max", '[[checks]]\nfeature = "x"\nstatistic = "ks"\nmax = nan'),
    ("checks[0].min", '[[checks]]\nfeature = "x"\nstatistic = "ks"\nmin = -inf'),
    ("joint.tolerances.mmd.fail", "[joint]\nstatistics = ['mmd']\ntolerances = {mmd = {warn = 0.1, fail = inf}}"),
    ("scan.checkpoint", "[scan]\ncheckpoint = inf"),
    ("performance.threshold", "[performance]\nthreshold = nan"),
    ("performance.classes[1]", "[performance]\nclasses = [0, nan]"),
    ("decisions.calibrated.fail", "[decisions]\ncalibrated = {warn = 0.1, fail = nan}"),
    ("explain.fail_at", "[explain]\nfail_at = inf"),
])  # fmt: skip
def test_limits_are_finite(tmp_path: Path, key: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    tables(tmp_path)
    path = tmp_path / "tidegauge.toml"
    path.write_text(f'[reference]\npath = "reference.parquet"\n[current]\npath = "current.parquet"\n{text}\n')
    assert invoke(["run", str(path), "-q"]) == 2
    assert f"{key}: " in (told := capsys.readouterr().err)
    assert "accepted is a finite number" in told


def test_limits_as_arguments_are_finite() -> None:
    data: dict[str, Any] = {"x": [1.0, 2.0, 3.0]}
    for limits in ({"warn": 0.1, "fail": float("inf")}, {"warn": float("nan"), "fail": 1.0}):
        with pytest.raises(UsageError, match="accepted are finite numbers"):
            tg.drift(data, data, tolerances={"x": limits})
        with pytest.raises(UsageError, match=r"joint\.tolerances\.mmd\.(warn|fail): (inf|nan); accepted is a finite"):
            tg.drift(data, data, joint={"statistics": ["mmd"], "tolerances": {"mmd": limits}})
    with pytest.raises(UsageError, match=r"decisions\.calibrated\.fail: nan; accepted is a finite number"):
        tg.drift(data, data, decisions={"calibrated": {"fail": float("nan")}})


@pytest.mark.parametrize("role", ["time", "id", "label", "prediction", "score", "weight", "frequency", "protected"])
def test_a_column_with_a_role_is_not_left_out(tmp_path: Path, role: str) -> None:
    tables(tmp_path)
    config = {
        "reference": {"path": str(tmp_path / "reference.parquet")},
        "current": {"path": str(tmp_path / "current.parquet")},
        "roles": {role: "x", "exclude": ["x"]},
    }
    with pytest.raises((ConfigError, UsageError), match=f"exclude: column 'x' is given as {role} too"):
        tg.run(load(config))
    if role != "protected":
        with pytest.raises(UsageError, match=f"exclude: column 'x' is given as {role} too; accepted is one of both"):
            tg.profile(str(tmp_path / "reference.parquet"), exclude=["x"], **{role: "x"})
