"""The command line as a person uses it: a process, its streams and its exit code."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tidegauge.record import unpack_rows

EXAMPLES = Path(__file__).parents[2] / "examples"
BIKE = EXAMPLES / "bike_2011"
FLIGHTS = EXAMPLES / "nycflights13"
COMMANDS = ("compare", "demo", "drift", "inspect", "merge", "plan", "profile", "report", "run", "schema")


def tidegauge(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from tidegauge.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reference, no-drift control and shifted data."""
    path = tmp_path_factory.mktemp("logs")
    rng = np.random.default_rng(3)
    for name, shift in (("reference", 0), ("same", 0), ("shifted", 1)):
        frame = pl.DataFrame({"x": rng.normal(shift, 1, 4000), "city": rng.choice(["a", "b"], 4000)})
        frame.write_parquet(path / f"{name}.parquet")
    return path


def test_help() -> None:
    done = tidegauge("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    listed = done.stdout.partition("Commands:")[2]
    for name in COMMANDS:
        assert f"\n  {name} " in listed
        assert tidegauge(name, "--help").returncode == 0


def test_schema_is_json() -> None:
    done = tidegauge("schema")
    assert done.returncode == 0
    assert json.loads(done.stdout)["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize(("current", "options", "code"), [
    ("same", [], 0),
    ("shifted", [], 1),
    ("shifted", ["--fail-on", "never"], 0),
    ("shifted", ["--exclude", "x"], 0),
    ("shifted", ["--columns", "city"], 0),
])  # fmt: skip
def test_gate(folder: Path, current: str, options: list[str], code: int) -> None:
    done = tidegauge("drift", folder / "reference.parquet", folder / f"{current}.parquet", *options)
    assert done.returncode == code, done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["drfit"], 2, "drfit"),
        (["drift", "a.parquet"], 2, "Missing argument"),
        (["drift", "a.parquet", "b.parquet", "-o", "x.pdf"], 2, "x.pdf"),
        (["drift", "none.parquet", "none.parquet"], 3, "none.parquet"),
        (["drift", "reference.parquet", "same.parquet", "--columns", "nope"], 2, "nope"),
        (["drift", "reference.parquet", "same.parquet", "--where", "x >"], 2, "where"),
        (["drift", "reference.parquet", "same.parquet", "--window", "2d"], 2, "2d"),
        (["profile", "text.parquet"], 3, "text.parquet"),
        (["profile", "reference.parquet", "-o", "x.json"], 2, ".tgp"),
        (["merge", "text.tgp", "-o", "m.tgp"], 3, "text.tgp"),
        (["compare", "none.tgp", "none.tgp"], 3, "none.tgp"),
        (["run", "none.toml"], 3, "none.toml"),
        (["run", "bad.toml"], 2, "did you mean 'reference'?"),
        (["demo", "--dir", "."], 3, "--dir"),
    ],
)
def test_errors(folder: Path, arguments: list[str], code: int, told: str) -> None:
    (folder / "text.parquet").write_text("not a parquet file")
    (folder / "text.tgp").write_text("not a profile")
    (folder / "bad.toml").write_text('[refrence]\npath = "a"\n')
    before = set(folder.iterdir())
    done = tidegauge(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert set(folder.iterdir()) == before


def test_nothing_evaluated(tmp_path: Path) -> None:
    pl.DataFrame({"a": ["u1", "u2", "u3"]}).write_parquet(tmp_path / "ids.parquet")
    done = tidegauge("drift", "ids.parquet", "ids.parquet", "--id", "a", cwd=tmp_path)
    assert done.returncode == 5, done.stderr


def test_outputs(folder: Path, tmp_path: Path) -> None:
    names = ["r.json", "r.html", "r.md", "r.txt", "r.ndjson", "r.parquet", "r.tgp"]
    outputs = [part for name in names for part in ("-o", tmp_path / name)]
    done = tidegauge("drift", folder / "reference.parquet", folder / "shifted.parquet", *outputs, "--format", "json")
    assert done.returncode == 1, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    record = json.loads(done.stdout)
    assert record == json.loads((tmp_path / "r.json").read_text())
    assert record["schema"] == "tidegauge.report/1"
    assert record["result"]["verdict"] == "fail"
    rows = [json.loads(line) for line in (tmp_path / "r.ndjson").read_text().splitlines()]
    assert rows == unpack_rows(record["result"]["rows"])
    assert pl.read_parquet(tmp_path / "r.parquet").height == len(rows)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~current_umask()}
    worst = min((r for r in rows if r["statistic"] == "verdict"), key=lambda r: r["rank"])
    assert (worst["feature"], worst["verdict"]) == ("x", "fail")


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_profiles_give_the_numbers_of_the_data(folder: Path, tmp_path: Path) -> None:
    for name, like in (("reference", []), ("same", ["--like", tmp_path / "reference.tgp"])):
        done = tidegauge("profile", folder / f"{name}.parquet", *like, "-o", tmp_path / f"{name}.tgp")
        assert done.returncode == 0, done.stderr
        assert "4,000 rows, 2 columns" in done.stdout
    data = tidegauge("drift", folder / "reference.parquet", folder / "same.parquet", "--format", "json")
    kept = tidegauge("compare", tmp_path / "reference.tgp", tmp_path / "same.tgp", "--format", "json")
    values = [[row["value"] for row in unpack_rows(json.loads(done.stdout)["result"]["rows"])] for done in (data, kept)]
    assert values[0] == values[1]
    shown = json.loads(tidegauge("inspect", tmp_path / "same.tgp", "--format", "json").stdout)
    assert shown["rows"] == 4000
    assert "float" in tidegauge("inspect", folder / "same.parquet").stdout


def test_merge(folder: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(folder / "same.parquet")
    frame[:1000].write_parquet(tmp_path / "a.parquet")
    frame[1000:].write_parquet(tmp_path / "b.parquet")
    run = [tidegauge("profile", folder / "reference.parquet", "-o", tmp_path / "ref.tgp")]
    for name in ("a", "b"):
        options = ("--like", tmp_path / "ref.tgp", "-o", tmp_path / f"{name}.tgp")
        run.append(tidegauge("profile", tmp_path / f"{name}.parquet", *options))
    assert [done.returncode for done in run] == [0, 0, 0]
    merged = tidegauge("merge", tmp_path / "b.tgp", tmp_path / "a.tgp", "-o", tmp_path / "m.tgp")
    assert merged.returncode == 0, merged.stderr
    whole = tidegauge("profile", folder / "same.parquet", "--like", tmp_path / "ref.tgp", "--format", "json")
    assert json.loads(whole.stdout)["digest"] in merged.stdout
    twice = tidegauge("merge", tmp_path / "a.tgp", tmp_path / "a.tgp", "-o", tmp_path / "n.tgp")
    assert twice.returncode == 2
    assert not (tmp_path / "n.tgp").exists()


def test_run(tmp_path: Path) -> None:
    digests = set()
    for threads in (1, 2):
        out = tmp_path / str(threads)
        files = json.dumps([str(out / name) for name in ("report.json", "report.html", "rows.parquet")])
        settings = ("--set", f"output.files={files}", "--set", f"scan.threads={threads}")
        done = tidegauge("run", BIKE / "tidegauge.toml", *settings, "--set", f"output.profiles={out}")
        assert done.returncode in (0, 1), done.stderr
        assert len(list(out.iterdir())) == 5
        record = json.loads((out / "report.json").read_text())
        assert record["inputs"]["configuration_as_written"].startswith("# Hourly bicycle rentals")
        rows = unpack_rows(record["result"]["rows"])
        assert {row["feature"] for row in rows if row["decides"]}.isdisjoint({"row_id", "ts", "casual"})
        assert {row["statistic"] for row in rows if row["feature"] == "ts"} == {"freshness", "longest_gap"}
        assert len(record["result"]["windows"]) > 20
        digests.add(record["result_digest"])
    assert len(digests) == 1


def test_plan(folder: Path) -> None:
    done = tidegauge("plan", FLIGHTS / "tidegauge.toml", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["current"]["rows"] == 198_861
    assert "4,000 rows" in tidegauge("plan", folder / "same.parquet").stdout


def test_demo(tmp_path: Path) -> None:
    done = tidegauge("demo", "bike_2011", "--dir", EXAMPLES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    left = {path.name for path in (tmp_path / "out" / "bike_2011").iterdir()}
    assert left == {"report.json", "report.html", "rows.parquet", "reference.tgp", "current.tgp"}


def test_a_reader_that_leaves_changes_no_exit_code(folder: Path) -> None:
    command = [sys.executable, "-c", "from tidegauge.cli import main; main()", "drift"]
    files = [folder / "reference.parquet", folder / "shifted.parquet"]
    with subprocess.Popen(
        [*command, *files, "--format", "ndjson"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode == 1, told
    assert told == b""


def wait_until_open(process: "subprocess.Popen[str]", name: str) -> None:
    """Until the process has the file open: its handlers are in place and the scan has begun."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if link.readlink().name == name:
                    return
        time.sleep(0.01)
    pytest.fail(f"{name} was never opened")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see open files")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    rng = np.random.default_rng(5)
    frame = pl.DataFrame({f"x{i}": rng.normal(size=400_000) for i in range(20)})
    frame.write_parquet(tmp_path / "big.parquet", row_group_size=50_000)
    command = [sys.executable, "-u", "-c", "from tidegauge.cli import main; main()", "drift"]
    with subprocess.Popen(
        [*command, "big.parquet", "big.parquet", "-o", "r.json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        wait_until_open(process, "big.parquet")
        process.send_signal(sent)
        out, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert "terminated" in told or "interrupted" in told
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["big.parquet"]


def test_baselines_and_rules(folder: Path) -> None:
    files = folder / "reference.parquet", folder / "shifted.parquet"
    assert tidegauge("drift", *files, "-q").returncode == 1
    # Nothing is evaluated with too few rows.
    assert tidegauge("drift", *files, "-q", "--rule", "minimum_n.current=5000").returncode == 5
    done = tidegauge("drift", *files, "-q", "--rule", "consecutiv=2")
    assert done.returncode == 2
    assert "did you mean 'consecutive'?" in done.stderr
    done = tidegauge("drift", *files, "-q", "--baseline", "previos")
    assert done.returncode == 2
    assert "did you mean 'previous'?" in done.stderr
    done = tidegauge("drift", *files, "-q", "--baseline", "reference", "--baseline", "rest", "--by", "city")
    assert done.returncode == 1
