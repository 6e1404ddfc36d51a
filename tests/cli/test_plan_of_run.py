"""What a plan says of a run, against the run: rows, tests, memory, model calls; a store's new files."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge import _plan_text
from tidegauge._plan import look, plan_run
from tidegauge._profile import make_options
from tidegauge.cli import invoke
from tidegauge.config import load
from tidegauge.errors import InputError

#: The plan's peak is within this factor of the measured one; docs/daily-operation.md says so.
FACTOR = 2.0
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PEAK = """
import sys, tidegauge as tg
report = tg.run(sys.argv[1])
# Not ru_maxrss, which begins with that of the process that started this one.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak) * 1024, len(report.rows))
"""


def write(folder: Path, *, windows: int, rows: int, columns: int, cities: int = 0, more: str = "") -> Path:
    """A log of some windows of `rows` rows each, against a reference of thirty days."""
    rng = np.random.default_rng(0)
    for name, days in (("reference", 30), ("log", windows)):
        n = days * rows
        begin = np.datetime64("2024-01-01" if name == "reference" else "2024-03-01", "us")
        table = {"ts": begin + (np.sort(rng.random(n)) * days * 86_400e6).astype("timedelta64[us]")}
        table |= {f"x{i}": rng.normal(size=n) for i in range(columns)}
        table["c"] = rng.integers(0, 200, n).astype(str)
        if cities:
            table["city"] = rng.integers(0, cities, n).astype(str)
        pl.DataFrame(table).write_parquet(folder / f"{name}.parquet", row_group_size=max(1000, n // 8))
    config = folder / "tidegauge.toml"
    config.write_text(f"""
[reference]
path = "reference.parquet"
[current]
path = "log.parquet"
window = "1d"
{'by = ["city"]' if cities else ""}
[roles]
time = "ts"
[output]
files = ["out/report.json"]
{more}
""")
    return config


@pytest.mark.parametrize("size", [
    {"windows": 3, "rows": 500, "columns": 2},
    {"windows": 60, "rows": 4000, "columns": 8},
    {"windows": 10, "rows": 20_000, "columns": 8},
    {"windows": 10, "rows": 4000, "columns": 4, "cities": 12},
], ids=str)  # fmt: skip
def test_the_peak_is_that_of_a_run(tmp_path: Path, size: dict[str, Any]) -> None:
    config = write(tmp_path, **size)
    planned = plan_run(load(config))
    done = subprocess.run([sys.executable, "-c", PEAK, str(config)], capture_output=True, text=True, check=True)
    peak, rows = map(int, done.stdout.split())
    assert peak / FACTOR < planned["memory"]["peak_bytes"] < peak * FACTOR, (peak, planned["memory"])
    # Rows of one window differ by what it could not be asked.
    assert planned["tests"]["rows"] == pytest.approx(rows, rel=0.3)
    assert planned["tests"]["windows"] == size["windows"]
    assert planned["tests"]["segments"] == size.get("cities", 0)
    assert planned["memory"]["states"] == size["windows"] * (1 + size.get("cities", 0)) * len(
        planned["memory"]["columns"]
    )


def test_what_is_tested_is_what_a_report_tests(tmp_path: Path) -> None:
    config = write(tmp_path, windows=4, rows=2000, columns=3, cities=3)
    tests = plan_run(load(config))["tests"]
    rows = tg.run(config).rows
    deciding = [
        row for row in rows
        if row["decides"] and row["statistic"] not in ("verdict", "share_drifted") and row["feature"] != "*"
    ]  # fmt: skip
    assert tests["columns"] == len({row["feature"] for row in rows if row["statistic"] == "verdict"} - {"*"})
    whole = {(row["statistic"], row["feature"]) for row in deciding if row["segment_by"] is None}
    assert tests["deciding"] == {name: sum(s == name for s, _ in whole) for name in sorted({s for s, _ in whole})}
    last = max(row["window_start"] for row in deciding)
    assert tests["family"] == sum(row["window_start"] == last for row in deciding)


def test_states_grow_with_rows_until_they_are_full() -> None:
    """A fuller state is larger, up to a bound that does not depend on rows; segments are smaller."""
    sizes = [tg._core.state_bytes("numeric", False, n, 0) for n in (0, 100, 10_000, 10**6, 10**9)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == sizes[-2] < 400_000
    assert tg._core.state_bytes("numeric", True, 10**9, 0) < sizes[-1]
    assert tg._core.state_bytes("categorical", False, 10**6, 1000) > tg._core.state_bytes(
        "categorical", False, 10**6, 10
    )


@pytest.mark.parametrize(("method", "calls"), [("exact", 0), ("permutation", 8 * (1 + 20 * 3))])
def test_model_calls(method: str, calls: int) -> None:
    overrides = [f'explain.method="{method}"', "explain.n_repeats=3"]
    told = plan_run(load(EXAMPLES / "nycflights13/tidegauge.toml", overrides=overrides))["explain"]
    assert (told["tables"], told["features"], told["model_calls"]) == (8, 20, calls)


def test_the_text_and_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, windows=3, rows=500, columns=2, more='[store]\npath = "store"')
    assert invoke(["plan", str(config), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["current"]["row_groups_new"], told["current"]["rows_new"]) == (2, 1500)
    assert told["current"]["bytes_to_read"] > 0
    tg.run(config)
    assert invoke(["plan", str(config)]) == 0
    text = capsys.readouterr().out
    assert "store: 0 row groups are new, 0 rows" in text
    assert "tests: 3 columns x 3 windows x 1 (all rows and 0 segments)" in text
    for line in ("memory: ", "  deciding: ks of 2", "time: about "):
        assert f"\n{line}" in text


def test_a_reference_that_is_a_profile_is_not_read(tmp_path: Path) -> None:
    config = write(tmp_path, windows=3, rows=500, columns=2)
    tg.profile(tmp_path / "reference.parquet", time="ts").save(tmp_path / "reference.tgp")
    config.write_text(config.read_text().replace('"reference.parquet"', '"reference.tgp"'))
    told = plan_run(load(config))
    assert told["reference"] == {
        "profile": str(tmp_path / "reference.tgp"), "rows": 15_000, "bytes_to_read": 0, "seconds": 0.0
    }  # fmt: skip
    assert told["tests"]["columns"] == 3


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "arrow", "csv.gz"])
def test_files_without_footers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """The plan of text and other files is that of Parquet with the same rows, but for what only a footer knows."""
    config = write(tmp_path, windows=12, rows=4000, columns=3, cities=3)
    of_parquet = plan_run(load(config))
    for name in ("reference", "log"):
        frame = pl.read_parquet(tmp_path / f"{name}.parquet")
        place = tmp_path / f"{name}.{suffix}"
        match suffix:
            case "csv":
                frame.write_csv(place)
            case "ndjson":
                frame.write_ndjson(place)
            case "arrow":
                frame.write_ipc(place)
            case _:
                place.write_bytes(gzip.compress(frame.write_csv().encode()))
    text = config.read_text().replace(".parquet", f".{suffix}")
    if suffix == "ndjson":
        text = text.replace('.ndjson"\n', '.ndjson"\nschema = {ts = "timestamp(us)"}\n')
    config.write_text(text)
    monkeypatch.setattr(_plan_text, "PROBED_BYTES", 200_000)
    monkeypatch.setattr(_plan_text, "PROBED_ROWS", 4000)
    found = plan_run(load(config))
    for side in ("reference", "current"):
        told, like = found[side], of_parquet[side]
        assert told["rows"] == pytest.approx(like["rows"], rel=0.02 if told["rows_estimated"] else 0)
        assert told["rows_estimated"] == (suffix in ("csv", "ndjson"))
        assert [c["name"] for c in told["columns"]] == [c["name"] for c in like["columns"]]
        assert told["bytes_to_read"] == (1 + (side == "reference")) * sum(f["bytes"] for f in told["files"])
    # Text tells whole numbers from their looks: "c" and "city" are numbers there.
    assert found["tests"]["windows"] == 12
    assert found["tests"]["segments"] == 3
    assert found["tests"]["columns"] == of_parquet["tests"]["columns"]
    rows = len(tg.run(config).rows)
    assert found["tests"]["rows"] == pytest.approx(rows, rel=0.1)
    assert 0 < found["seconds"]["scan"] < 120


def test_small_and_broken_text(tmp_path: Path) -> None:
    """A file that is smaller than its probe, of one line without an end, empty, missing, or none at all."""
    place = tmp_path / "one.csv"
    place.write_text("a,b\n1,2\n3,4")
    found = look([str(place)], make_options())
    assert (found["rows"], found["row_groups"], found["passes"]) == (2, None, 2)
    assert [(c["name"], c["logical"], c["scanned"]) for c in found["columns"]] == [
        ("a", "int", True),
        ("b", "int", True),
    ]
    (tmp_path / "two.csv").write_text("a,b\n5,6\n")
    assert look([str(tmp_path / "*.csv")], make_options(), against=True)["rows"] == 3
    place.write_text("")
    with pytest.raises(InputError, match=f"^{place}: "):
        look([str(place)], make_options())
    with pytest.raises(InputError, match="no such file"):
        look([str(tmp_path / "none.csv")], make_options())
    with pytest.raises(InputError, match="accepted are local"):
        look(["s3://bucket/a.csv"], make_options())


def test_rows_of_a_report_with_baselines_and_performance() -> None:
    """Each window has rows of its own, and all but the first of the window before; metrics and their changes."""
    config = EXAMPLES / "nycflights13/tidegauge.toml"
    overrides = ["explain.enabled=false", "output.files=[]"]
    planned = plan_run(load(config, overrides=overrides))["tests"]["rows"]
    assert planned == pytest.approx(20_685, rel=0.05)


def test_a_plan_with_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, windows=3, rows=500, columns=2)
    given = ["plan", str(config), "--set", 'current.window="1w"']
    assert invoke(given) == 0
    assert "x 1 windows x 1 (all rows" in capsys.readouterr().out
    assert invoke(["plan", str(tmp_path / "log.parquet"), "--set", "a=1"]) == 2
    assert "--set overrides a key of a configuration" in capsys.readouterr().err


def test_one_time_far_off_is_one_window(tmp_path: Path) -> None:
    """A year 2038 in the first row made hundreds of windows, and a peak to match."""
    config = write(tmp_path, windows=8, rows=500, columns=3)
    plain = plan_run(load(config))
    log = pl.read_parquet(tmp_path / "log.parquet")
    far = pl.when(pl.int_range(pl.len()) == 0).then(pl.datetime(2038, 1, 19, time_unit="us")).otherwise("ts")
    log.with_columns(far.alias("ts")).write_parquet(tmp_path / "log.parquet", row_group_size=1000)
    found = plan_run(load(config))
    assert (plain["tests"]["windows"], found["tests"]["windows"]) == (8, 9)
    assert found["memory"]["peak_bytes"] < 1.2 * plain["memory"]["peak_bytes"]
    report = tg.run(config)
    assert sum(window["rows"] > 0 for window in report.record["result"]["windows"]) == 9
    assert 0.5 < found["tests"]["rows"] / len(report.rows) < 2
    # A row without a time has a window too; order does not matter.
    none = pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("ts")
    log.reverse().with_columns(none.alias("ts")).write_parquet(tmp_path / "log.parquet", row_group_size=1000)
    assert plan_run(load(config))["tests"]["windows"] == 9


def test_windows_that_are_not_counted_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, windows=8, rows=500, columns=3, more="")
    invoke(["plan", str(config)])
    assert "windows are those between" not in capsys.readouterr().out
    invoke(["plan", str(config), "--set", "current.where=x0 > -100"])
    told = capsys.readouterr().out
    assert "x 8 windows x" in told
    assert "windows are those between the first and the last time of the probe" in told
