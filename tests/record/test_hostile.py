"""Verification of what somebody else wrote: nothing is written, no pickle is loaded, and no other data is taken."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg
from tidegauge._verify import Verification
from tidegauge.cli import invoke
from tidegauge.record import pack_rows, seal, unpack_rows

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

CONFIG = """
[reference]
path = "reference.parquet"
[current]
path = "current.parquet"
[roles]
columns = ["temp", "hum", "label", "score"]
label = "label"
score = "score"
{more}
[output]
files = ["out/report.json"]
profiles = "out/profiles"
fail_on = "never"
"""


def joint(samples: str) -> str:
    """A configuration with a joint statistic, whose samples of rows may be kept."""
    return CONFIG.format(more=f'[joint]\nstatistics = ["mmd"]\nrows = 50\npermutations = 19\n{samples}')


def bikes(folder: Path, text: str) -> Path:
    """A run over some bicycles; where its record is."""
    folder.mkdir()
    for side in ("reference", "current"):
        frame = pl.read_parquet(EXAMPLES / f"bike_2011/{side}.parquet").head(600)
        frame.write_parquet(folder / f"{side}.parquet")
    (folder / "tidegauge.toml").write_text(text)
    tg.run(folder / "tidegauge.toml")
    return folder / "out/report.json"


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file and folder below, with its content and the time of its last change."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
    }


def outcomes(found: Verification) -> dict[str, str]:
    return {level.name: level.outcome for level in found.levels}


def forge(report: Path, change: dict[str, str], *, sealed: bool) -> None:
    """Write other text of the configuration into a record, with digests that hold or not."""
    record = json.loads(report.read_text())
    inputs = record["inputs"]
    for old, new in change.items():
        assert old in inputs["configuration_as_written"]
        inputs["configuration_as_written"] = inputs["configuration_as_written"].replace(old, new)
    made = {**seal(record), "sign_off": record["sign_off"]} if sealed else record
    report.write_text(json.dumps(made))


def test_an_honest_record_with_samples_is_verified_without_writing(tmp_path: Path) -> None:
    folder = tmp_path / "bikes"
    report = bikes(folder, joint(samples='samples = "kept"'))
    assert {path.name for path in (folder / "kept").iterdir()} == {"reference.parquet", "current.parquet"}
    assert pl.read_parquet(folder / "kept/reference.parquet").height == 50
    shutil.rmtree(folder / "kept")
    before = tree(tmp_path)
    assert tg.verify(report).same
    assert tree(tmp_path) == before


@pytest.mark.parametrize("sealed", [True, False])
def test_a_record_that_names_every_key_that_writes_writes_nothing(tmp_path: Path, sealed: bool) -> None:
    folder, victim = tmp_path / "bikes", tmp_path / "victim"
    report = bikes(folder, joint(samples=""))
    victim.mkdir()
    for name in ("reference.parquet", "current.parquet", "report.json", "reference.tgp", "current.tgp", "a.jsonl"):
        (victim / name).write_text("of the auditor")
    forge(report, {
        "permutations = 19": f'permutations = 19\nsamples = "{victim}"\n[scan]\nwork = "{victim}"\ncheckpoint = 0',
        'files = ["out/report.json"]': f'files = ["{victim}/report.json", "{victim}/rows.parquet"]',
        'profiles = "out/profiles"': f'profiles = "{victim}"\naudit = "{victim}/a.jsonl"',
    }, sealed=sealed)  # fmt: skip
    before = tree(tmp_path)
    for level in ("numbers", "rescan"):
        found = tg.verify(report, level=level)
        assert found.exit_code() == 6
        assert tree(tmp_path) == before
    if not sealed:
        assert outcomes(found) | {"record": "different", "numbers": "not checked", "rescan": "not checked"} == outcomes(
            found
        )
    # A store that the record names is read, never made.
    forge(report, {"[scan]": f'[store]\npath = "{victim}/store"\n[scan]'}, sealed=True)
    before = tree(tmp_path)
    assert tg.verify(report).exit_code() == 6
    assert tree(tmp_path) == before


def test_samples_spare_what_is_read(tmp_path: Path) -> None:
    with pytest.raises(tg.errors.UsageError, match=r"reference\.parquet' is read as"):
        bikes(tmp_path / "bikes", joint(samples='samples = "."'))
    assert pl.read_parquet(tmp_path / "bikes/reference.parquet").height == 600


class Touches:
    """A pickle that leaves a file where it is loaded, and is a model of one feature."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return loaded, (str(self.trace),)


class Model:
    def predict(self, x: Any) -> Any:
        import numpy as np

        return np.asarray(x, dtype=float)[:, 0]


def loaded(trace: str) -> Model:
    with Path(trace).open("a") as file:
        file.write("loaded\n")
    return Model()


PICKLED = CONFIG.format(
    more="""
[model]
path = "model.pkl"
[explain]
features = ["temp", "hum"]
allow_pickle = true
scoring = "neg_mean_squared_error"
segment_rows = 1000
"""
)


def test_no_model_is_unpickled_on_the_word_of_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, trace = tmp_path / "bikes", tmp_path / "trace"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(Touches(trace)))
    for side in ("reference", "current"):
        frame = pl.read_parquet(EXAMPLES / f"bike_2011/{side}.parquet").head(600)
        frame.write_parquet(folder / f"{side}.parquet")
    (folder / "tidegauge.toml").write_text(PICKLED)
    tg.run(folder / "tidegauge.toml")
    report = folder / "out/report.json"
    kinds = {row["kind"] for row in unpack_rows(json.loads(report.read_text())["result"]["rows"])}
    assert "importance" in kinds
    trace.unlink()
    for level in ("numbers", "rescan"):
        found = tg.verify(report, level=level)
        assert found.same, repr(found)
        assert not trace.exists()
    assert outcomes(found)["explanations"] == "not checked"
    assert repr(found).splitlines()[-2:] == [
        "explanations not checked model.pkl is a pickle, which runs what it says; --allow-pickle (allow_pickle=True) "
        "loads it",
        "same, but explanations not checked",
    ]
    assert invoke(["verify", str(report), "--allow-pickle", "-q"]) == 0
    assert capsys.readouterr().out.endswith("\nsame\n")
    assert trace.exists()
    trace.unlink()
    # Another number beside those that the model gives is still found, and another explanation where it is loaded.
    record = json.loads(report.read_text())
    honest = report.read_text()
    for kind, options in (("numeric", {}), ("importance", {"allow_pickle": True})):
        rows = unpack_rows(record["result"]["rows"])
        row = next(r for r in rows if r["kind"] == kind and isinstance(r["value"], float) and r["value"])
        row["value"] *= 2
        forged = {**record, "result": {**record["result"], "rows": pack_rows(rows)}}
        report.write_text(json.dumps({**seal(forged), "sign_off": record["sign_off"]}))
        assert outcomes(tg.verify(report, **options))["rescan"] == "different"
    report.write_text(honest)
    trace.unlink()
    # Another model is loaded by nobody's word.
    (folder / "model.pkl").write_bytes(pickle.dumps(Touches(trace)) + b" ")
    found = tg.verify(report, allow_pickle=True)
    assert found.first is not None
    assert found.first.startswith("model.pkl: ")
    assert "is not the model of the record, and is not loaded" in repr(found)
    assert not trace.exists()


def test_a_folder_that_was_moved_is_verified_by_the_printed_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = bikes(tmp_path / "bikes", joint(samples=""))
    command = json.loads(report.read_text())["inputs"]["reproduce"]["verify"].split()
    (tmp_path / "bikes").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert invoke(["verify", "moved/out/report.json", "-q"]) == 0
    assert f"in {tmp_path / 'moved'}" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path / "moved")
    assert invoke([*command[1:], "-q"]) == 0
    capsys.readouterr()
    # Only the report: what is not there is not found, and the option that helps is named.
    shutil.copy(tmp_path / "moved/out/report.json", tmp_path / "alone.json")
    monkeypatch.chdir(tmp_path)
    assert invoke(["verify", "alone.json", "-q"]) == 6
    told = capsys.readouterr().out
    assert "not found   reference.parquet: not found (reference) (and" in told
    assert "--root DIR is where relative paths start" in told
    assert told.splitlines()[-1] == "not found: reference.parquet: not found (reference)"
    assert invoke(["verify", "alone.json", "--root", "moved", "-q"]) == 0


def test_a_copy_is_checked_and_not_the_original(tmp_path: Path) -> None:
    report = bikes(tmp_path / "bikes", joint(samples=""))
    shutil.copytree(tmp_path / "bikes", tmp_path / "copy")
    content = bytearray((tmp_path / "copy/current.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "copy/current.parquet").write_bytes(content)
    found = tg.verify(tmp_path / "copy/out/report.json")
    assert str(found.first).startswith("current.parquet: ")
    assert tg.verify(report).same
    # A report that went elsewhere alone is of the data of its run, which is told.
    shutil.copy(report, tmp_path / "alone.json")
    found = tg.verify(tmp_path / "alone.json", level="inputs")
    assert found.same
    assert found.levels[1].told.endswith(f"in {tmp_path / 'bikes'}")


def test_numbers_need_no_row(tmp_path: Path) -> None:
    report = bikes(tmp_path / "bikes", joint(samples=""))
    away = tmp_path / "away"
    away.mkdir()
    for path in (report, *report.parent.glob("profiles/*.tgp")):
        shutil.copy(path, away)
    shutil.rmtree(tmp_path / "bikes")
    found = tg.verify(away / "report.json", level="numbers")
    assert outcomes(found) == {
        "record": "same", "inputs": "not checked", "verdicts": "same", "numbers": "same",
    }, repr(found)  # fmt: skip
    assert found.levels[3].told == ("every number of the result but performance, joint statistics, from the profiles")
    assert "reference.parquet: not found (reference)" in found.levels[1].told
    assert found.exit_code() == 0
    whole = tg.verify(away / "report.json")
    assert (whole.exit_code(), whole.outcome) == (6, "not found")
    assert outcomes(whole)["rescan"] == "not checked"
    (away / "current.tgp").unlink()
    found = tg.verify(away / "report.json", level="numbers")
    assert outcomes(found)["numbers"] == "not found"
    assert found.exit_code() == 6


@pytest.mark.parametrize("more", [
    "",
    '[[checks]]\nfeature = "score"\nstatistic = "rmse"\nmax = 1.0\n',
    '[columns.score.tolerances]\nrmse_worsening = {warn = 0.001, fail = 0.002}\n',
    '[[waivers]]\nmatch = "*"\nuntil = 2099-01-01\nwho = "somebody"\nwhy = "season"\n',
])  # fmt: skip
def test_numbers_are_those_of_the_profiles_whatever_performance_decides(tmp_path: Path, more: str) -> None:
    report = bikes(
        tmp_path / "bikes",
        more
        + joint(samples="")
        .replace('path = "current.parquet"', 'path = "current.parquet"\nwindow = "1w"')
        .replace('"temp"', '"ts", "temp"')
        .replace("label = ", 'time = "ts"\nlabel = ', 1),
    )
    record = json.loads(report.read_text())
    assert "performance" in record["result"]
    for side in ("reference", "current"):
        (tmp_path / f"bikes/{side}.parquet").rename(tmp_path / f"{side}.parquet")
    found = tg.verify(report, level="numbers")
    assert outcomes(found)["numbers"] == "same", repr(found)
    rows = unpack_rows(record["result"]["rows"])
    row = next(r for r in rows if r["feature"] == "temp" and r["statistic"] == "ks")
    row["value"] += 0.001
    forged = {**record, "result": {**record["result"], "rows": pack_rows(rows)}}
    report.write_text(json.dumps({**seal(forged), "sign_off": record["sign_off"]}))
    assert "feature 'temp', statistic ks" in str(tg.verify(report, level="numbers").first)
