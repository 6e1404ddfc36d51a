"""Reports and records: verdicts, exits, digests, ways out."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import tidegauge as tg
from tidegauge import record
from tidegauge.errors import GateError, OverlapError, UsageError
from tidegauge.results import ROW_FIELDS, Report

EXAMPLES = Path(__file__).parents[2] / "examples"


def table(shift: float, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"x": rng.normal(shift, 1, 4000), "city": rng.choice(["oslo", "rome"], 4000)})


@pytest.fixture(scope="module")
def failed() -> Report:
    return tg.drift(table(0, 1), table(1, 2), model="m")


@pytest.fixture(scope="module")
def passed() -> Report:
    return tg.drift(table(0, 1), table(0, 2))


def test_verdicts(failed: Report, passed: Report) -> None:
    assert (failed.verdict, passed.verdict) == ("fail", "ok")
    assert [row["feature"] for row in failed.failed] == ["x"]
    assert [row["feature"] for row in failed.verdicts][0] == "x"  # noqa: RUF015
    assert failed.summary()["verdicts"] == {
        "fail": 1, "error": 0, "warn": 0, "inconclusive": 0, "ok": 1, "not_evaluated": 0,
    }  # fmt: skip
    assert failed.summary()["findings"] == [f"x: {failed.failed[0]['message']}"]
    assert {row["model"] for row in failed.rows} == {"m"}


def test_gates(failed: Report, passed: Report) -> None:
    passed.raise_if_failed()
    with pytest.raises(GateError, match=r"fail: .*x") as caught:
        failed.raise_if_failed()
    assert caught.value.exit_code == failed.exit_code() == 1
    assert failed.exit_code("never") == 0
    with pytest.raises(UsageError, match="fail_on: 'always'; accepted are fail, warn"):
        failed.exit_code("always")  # type: ignore[arg-type]


def test_an_inconclusive_report_passes_only_where_allowed() -> None:
    rng = np.random.default_rng(4)
    small = tg.drift({"x": rng.normal(size=30)}, {"x": rng.normal(size=30)})
    assert small.verdict == "inconclusive"
    assert (small.exit_code("fail"), small.exit_code("inconclusive")) == (0, 1)


def test_frames(failed: Report) -> None:
    frame = failed.to_polars()
    assert tuple(frame.columns) == ROW_FIELDS
    assert frame.height == len(failed.rows)
    assert pa.table(failed).num_rows == frame.height
    assert list(failed.to_pandas().columns) == list(ROW_FIELDS)
    assert {row["exactness"] for row in failed.rows} <= {"exact", "certified", "estimated", None}


def test_windows_are_instants() -> None:
    current = EXAMPLES / "bike_2011" / "current.parquet"
    report = tg.drift(EXAMPLES / "bike_2011" / "reference.parquet", current, time="ts", window="1mo")
    starts = report.to_polars()["window_start"].drop_nulls()
    assert starts.dtype == pl.Datetime("us", "UTC")
    assert starts.dt.month().unique().sort().to_list() == [7, 8, 9, 10, 11, 12]


def test_record_digests(failed: Report) -> None:
    made = json.loads(failed.render(".json"))
    assert record.digest(made["result"]) == made["result_digest"]
    assert record.digest(made["inputs"]) == made["inputs_digest"]
    both = {"inputs_digest": made["inputs_digest"], "result_digest": made["result_digest"]}
    assert record.digest(both) == made["record_digest"]


def test_extremes_stay_out_of_the_record(tmp_path: Path) -> None:
    salary = np.append(np.random.default_rng(8).normal(50, 5, 999), 987654.25)
    report = tg.drift({"salary": salary}, {"salary": salary})
    assert "987654.25" not in report.render(".json").decode()
    assert "987654.25" not in report.render(".html").decode()


def test_result_does_not_depend_on_files_or_threads(tmp_path: Path) -> None:
    frame = pl.read_parquet(EXAMPLES / "bike_2011" / "current.parquet").sample(fraction=1, shuffle=True, seed=1)
    parts = tmp_path / "parts"
    parts.mkdir()
    for i in range(40):
        frame[i::40].write_parquet(parts / f"{i}.parquet")
    reference = EXAMPLES / "bike_2011" / "reference.parquet"
    sources = [EXAMPLES / "bike_2011" / "current.parquet", parts, str(parts / "*.parquet"), frame]
    reports = [
        tg.drift(reference, source, time="ts", window="1mo", threads=threads)
        for source in sources
        for threads in (1, 2)
    ]
    assert len({report.record["result_digest"] for report in reports}) == 1
    assert len({report.record["record_digest"] for report in reports}) > 1


def test_nothing_is_half_written(failed: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"."):
        failed.write(tmp_path / "a.json", tmp_path / "file" / "b.json")
    with pytest.raises(UsageError, match=r"accepted extensions are \.json"):
        failed.write(tmp_path / "a.json", tmp_path / "b.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_profiles_round_trip(tmp_path: Path) -> None:
    reference = tg.profile(table(0, 1))
    loaded = tg.load(reference.save(tmp_path / "r.tgp"))
    assert loaded.digest == reference.digest
    assert loaded.info["columns"] == reference.info["columns"]
    assert pa.table(loaded).column("name").to_pylist() == ["city", "x"]
    parts = [tg.profile(table(0, seed), like=loaded) for seed in (2, 3)]
    assert tg.merge(parts).digest == parts[1].merge(parts[0]).digest
    named = tg.profile(table(0, 2), like=loaded, source_id="monday")
    with pytest.raises(OverlapError, match="monday"):
        named.merge(tg.profile(table(0, 3), like=loaded, source_id="monday"))


def test_repr_is_short_and_escaped() -> None:
    name = "<script>alert(1)</script>"
    rng = np.random.default_rng(6)
    report = tg.drift({name: rng.normal(size=2000)}, {name: rng.normal(3, 1, 2000)})
    assert repr(report).startswith("fail: 2,000 rows against 2,000")
    assert name not in report._repr_html_()
    assert "&lt;script&gt;" in report._repr_html_()
    assert len(report._repr_html_().encode()) < 30_000
