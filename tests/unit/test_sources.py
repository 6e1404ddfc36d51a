"""The same logical rows give the same profile whichever way they come in."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tidegauge as tg
from tidegauge.errors import InputError, TidegaugeError, UsageError

ROWS = 300


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(7)
    start = dt.datetime(2024, 3, 1)
    return pl.DataFrame(
        {
            "amount": rng.normal(size=ROWS).round(3),
            "count": rng.integers(0, 50, ROWS),
            "city": rng.choice(["oslo", "rome", "lima"], ROWS),
            "paid": rng.random(ROWS) < 0.5,
            "ts": [start + dt.timedelta(hours=i) for i in range(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def digest(frame: pl.DataFrame) -> str:
    return tg.profile(frame).digest


def arrays(frame: pl.DataFrame) -> dict[str, Any]:
    return {name: frame[name].to_numpy() for name in frame.columns}


def stream(frame: pl.DataFrame) -> pa.RecordBatchReader:
    table = frame.to_arrow()
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=37))


WAYS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "lazy": lambda frame: frame.lazy(),
    "arrow": lambda frame: frame.to_arrow(),
    "arrow stream": stream,
    "pandas": lambda frame: frame.to_pandas(),
    "pandas, shuffled": lambda frame: frame.to_pandas().sample(frac=1, random_state=1),
    "pandas, nullable": lambda frame: frame.to_pandas().convert_dtypes(),
    "pandas, categories": lambda frame: frame.to_pandas().astype({"city": "category"}),
    "pandas, objects": lambda frame: frame.to_pandas().astype(object),
    "arrays": arrays,
    "lists": lambda frame: {name: frame[name].to_list() for name in frame.columns},
    "structured": lambda frame: np.rec.fromarrays(list(arrays(frame).values()), names=frame.columns),
}


@pytest.mark.parametrize("way", WAYS)
def test_tables_in_memory(frame: pl.DataFrame, digest: str, way: str) -> None:
    assert tg.profile(WAYS[way](frame)).digest == digest


def write(frame: pl.DataFrame, path: Path) -> None:
    match path.suffix:
        case ".csv":
            frame.write_csv(path)
        case ".tsv":
            frame.write_csv(path, separator="\t")
        case ".ndjson" | ".jsonl":
            frame.write_ndjson(path)
        case ".parquet":
            frame.write_parquet(path)
        case _:
            frame.write_ipc(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".ndjson", ".jsonl", ".arrow", ".ipc", ".feather"])
def test_files(frame: pl.DataFrame, digest: str, tmp_path: Path, suffix: str) -> None:
    reference = tg.profile(frame)
    write(frame[:100], tmp_path / f"a{suffix}")
    write(frame[100:], tmp_path / f"b{suffix}")
    expected = tg.profile(frame, like=reference).digest
    for data in (tmp_path / f"*{suffix}", [tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"]):
        assert tg.profile(data, like=reference).digest == expected
    # NDJSON has no times: without a reference someone must say what the text is.
    schema = {"ts": "timestamp"} if suffix in {".ndjson", ".jsonl"} else None
    assert tg.profile(str(tmp_path / f"*{suffix}"), schema=schema).digest == digest


def test_text_takes_the_types_of_the_reference(tmp_path: Path) -> None:
    reference = tg.profile({"code": ["007", "008"], "n": [1.5, 2.0]})
    (tmp_path / "x.csv").write_text("code,n\n007,1\n008,2\n")
    current = tg.profile(tmp_path / "x.csv", like=reference)
    logical = {c["name"]: c["logical"] for c in current.info["columns"]}
    assert logical == {"code": "string", "n": "float"}
    assert tg.profile(tmp_path / "x.csv", schema={"code": "string"}).info["columns"][0]["logical"] == "string"
    with pytest.raises(UsageError, match=r"column 'code': type 'text'; accepted are bool, int"):
        tg.profile(tmp_path / "x.csv", schema={"code": "text"})


def test_text_that_is_not_of_its_type(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("n,m\n1.5,1\n2,2\n")
    with pytest.raises(InputError, match=r"could not parse `1.5` as dtype `i64` at column 'n'"):
        tg.profile(tmp_path / "x.csv", schema={"n": "int"})
    # Against a reference of integers it is that column's error, not the file's.
    reference = tg.profile({"n": [1, 2], "m": [1, 2]})
    current = tg.profile(tmp_path / "x.csv", like=reference)
    assert [c["name"] for c in current.info["columns"]] == ["m"]
    assert [p["name"] for p in current.info["problems"]] == ["n"]


def test_filters(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "x.parquet")
    since, until = dt.datetime(2024, 3, 2), dt.datetime(2024, 3, 5, 12)
    kept = frame.filter(pl.col("ts") >= since, pl.col("ts") < until, pl.col("city") != "rome")
    expected = tg.profile(kept).digest
    for data in (tmp_path / "x.parquet", frame, frame.lazy(), frame.to_pandas(), frame.to_arrow()):
        found = tg.profile(data, where="city <> 'rome'", since="2024-03-02", until="2024-03-05T12:00", time="ts")
        assert found.rows == kept.height
        assert tg.profile(kept, time="ts").digest == found.digest
    assert tg.profile(frame.lazy(), where="city <> 'rome'", since="2024-03-02", until="2024-03-05T12:00").digest == (
        expected
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"where": "city >"}, r"where: .*accepted is an SQL condition"),
        ({"where": "town = 'rome'"}, r"where: .*town"),
        ({"since": "March"}, r"since: 'March' is no date or time"),
        ({"since": "2024-03-01T00:00:00+01:00"}, r"has an offset, the time column has none"),
        ({"until": "2024-03-01", "time": "city"}, r"time column 'city' has type String"),
        ({"schema": {"a": "int"}}, r"schema= types csv and ndjson files"),
    ],
)
def test_bad_filters(frame: pl.DataFrame, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        tg.profile(frame, **options)


def test_zones(frame: pl.DataFrame) -> None:
    zoned = frame.with_columns(pl.col("ts").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York"))
    # Midnight of 2 March in New York is 05:00 UTC: 29 hours after the first row.
    assert tg.profile(zoned, since="2024-03-02").rows == ROWS - 29
    assert tg.profile(zoned, since="2024-03-02", time_zone="UTC").rows == ROWS - 24
    assert tg.profile(zoned, since="2024-03-02T00:00:00Z").rows == ROWS - 24


def test_columns_of_lazy_frames(frame: pl.DataFrame) -> None:
    found = tg.profile(frame.lazy(), columns=["amount", "city"], exclude=["city"])
    assert found.digest == tg.profile(frame, columns=["amount", "city"], exclude=["city"]).digest
    assert tg.profile(frame.lazy(), exclude=["ts"]).digest == tg.profile(frame, exclude=["ts"]).digest
    for data in (frame, frame.lazy()):
        with pytest.raises(TidegaugeError, match="nope"):
            tg.profile(data, columns=["nope"])
        with pytest.raises(TidegaugeError, match="nope"):
            tg.profile(data, exclude=["ts", "nope"])


# Scoreboard 41: `__index_level_0__` becomes a column, ArrowTypeError aborts, int becomes double.
def test_pandas_index_is_no_column() -> None:
    data = pd.DataFrame({"x": [1, 2, 3]}, index=pd.Index([9, 4, 7], name="old"))
    assert [c["name"] for c in tg.profile(data).info["columns"]] == ["x"]


def test_pandas_mixed_column_is_one_error_row() -> None:
    x = np.random.default_rng(2).integers(0, 100, 2000)
    reference = pd.DataFrame({"x": x, "mixed": ["a", "b"] * 1000})
    current = pd.DataFrame({"x": x, "mixed": pd.Series(["a", 3.5] * 1000, dtype=object)})
    report = tg.drift(reference, current)
    assert [row["feature"] for row in report.errors] == ["mixed"]
    assert "row 1 holds 3.5 (float) where rows before hold 'a' (str)" in report.errors[0]["message"]
    assert [row["verdict"] for row in report.verdicts if row["feature"] == "x"] == ["ok"]
    assert report.exit_code() == 4


def test_pandas_int_with_a_missing_value_stays_comparable() -> None:
    whole = np.arange(1000) % 97
    current = pd.DataFrame({"x": pd.Series([*whole[1:], None])})
    assert current["x"].dtype == np.float64
    report = tg.drift({"x": whole}, current)
    assert report.errors == []
    ks = [row["value"] for row in report.rows if row["statistic"] == "ks"]
    assert ks
    assert ks[0] < 0.002


@pytest.mark.parametrize(
    ("values", "logical"),
    [
        ([1, None, 3], "int"),
        ([1, 2.5], "float"),
        ([2**63, 1], "uint"),
        ([True, None], "bool"),
        (["a", None], "string"),
        ([b"a", b"b"], "binary"),
        ([dt.date(2024, 1, 1)], "date"),
        ([None, None], None),
    ],
)
def test_object_columns(values: list[Any], logical: str | None) -> None:
    data = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    found = {c["name"]: c["logical"] for c in tg.profile(data).info["columns"]}
    assert found.get("x") == logical if logical else True


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, "a"], r"row 1 holds 'a' \(str\) where rows before hold 1 \(int\)"),
        ([2**53 + 1, 0.5], r"integer 9007199254740993 among floats is not exact"),
        ([2**70], r"not one integer type"),
        ([{"a": 1}], r"is dict; accepted are boolean, integer"),
    ],
)
def test_unconvertible_object_columns(values: list[Any], told: str) -> None:
    data = pd.DataFrame({"ok": np.arange(len(values)), "x": pd.Series(values, dtype=object)})
    profile = tg.profile(data)
    assert [c["name"] for c in profile.info["columns"]] == ["ok"]
    problems = [p for p in profile.info["problems"] if p["name"] == "x"]
    assert len(problems) == 1
    assert re.search(told, problems[0]["message"])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (3, r"cannot read rows from int; accepted are paths"),
        ([], r"an empty list of paths"),
        ([1, 2], r"a list of int; accepted are lists of paths"),
        (["a.csv", "b.parquet"], r"paths of csv and parquet in one call"),
        (np.zeros((2, 2, 2)), r"array of shape \(2, 2, 2\)"),
        ({"a": [1], "b": [1, 2]}, r"columns differ in length: 'a' has 1 rows and 'b' has 2 rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"column 'a' occurs twice"),
    ],
)
def test_refusals(data: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        tg.profile(data)


@pytest.mark.parametrize("name", ["none.parquet", "none.csv", "none*.ndjson", "none.arrow"])
def test_missing_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"none"):
        tg.profile(tmp_path / name)


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.ndjson"])
def test_foreign_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00hello\xff" * 40)
    with pytest.raises(InputError, match=rf"{name}"):
        tg.profile(tmp_path / name)


def test_coverage_of_files_read_through_polars(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n2\n")
    once = tg.profile(tmp_path / "x.csv")
    with pytest.raises(TidegaugeError, match=r"x\.csv"):
        once.merge(tg.profile(tmp_path / "x.csv", like=once))


@pytest.mark.parametrize("way", ["polars", "lazy", "pandas", "dict", "pyarrow", "where", "csv"])
def test_a_name_with_a_nul_is_reported_in_its_place(way: str, tmp_path: Path) -> None:
    """Arrow's C interface ends names there: Polars ended the process, pyarrow cut the name."""

    data = {"a\0b": [1.0, 2.0, 3.0], "y": [1, 2, 3]}
    pq.write_table(pa.table(data), tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("a\0b,y\n1,1\n2,2\n3,3\n")
    given: Any = {
        "polars": lambda: pl.DataFrame(data),
        "lazy": lambda: pl.DataFrame(data).lazy(),
        "pandas": lambda: pd.DataFrame(data),
        "dict": lambda: data,
        "pyarrow": lambda: pa.table(data),
        "where": lambda: tmp_path / "t.parquet",
        "csv": lambda: tmp_path / "t.csv",
    }[way]()
    profile = tg.profile(given, where="y > 0" if way == "where" else None)
    assert [column["name"] for column in profile.info["columns"]] == ["y"]
    assert profile.rows == 3
    # A file that is read by the core itself has the column whole.
    assert len(tg.profile(tmp_path / "t.parquet").info["columns"]) == 2
    report = tg.drift(profile, profile)
    told = "Column 'a\\x00b' is not compared: in the reference: a name with a NUL"
    assert any(note.startswith(told) for note in report.record["result"]["limitations"])


def test_a_series_is_a_table_of_one_column() -> None:
    values = [1.0, 2.0, 4.0]
    for data, name in (
        (pd.Series(values, name="x"), "x"),
        (pd.Series(values), "column_0"),
        (pl.Series("x", values), "x"),
        (pl.Series(values), "column_0"),
        (pa.chunked_array([values]), "column_0"),
    ):
        profile = tg.profile(data)
        assert [c["name"] for c in profile.info["columns"]] == [name]
        assert profile.digest == tg.profile({name: values}).digest
        assert tg.drift(data, data).verdict != "fail"


@pytest.mark.parametrize("partition", ["", "day=1"])
@pytest.mark.parametrize("kind", ["Delta", "Iceberg"])
def test_folders_of_tables_with_versions_are_refused(kind: str, partition: str, tmp_path: Path) -> None:
    """Such a folder keeps rows that were deleted from the table; they were counted."""
    table = tmp_path / "t"
    files = table / ("data" if kind == "Iceberg" else "") / partition
    files.mkdir(parents=True)
    pq.write_table(pa.table({"x": [1, 2, 3]}), files / "a.parquet")
    ways = [files, files / "*.parquet", files.parent if partition else files, files.parent / "**" / "*.parquet"]
    for way in ways:
        assert tg.profile(way).rows == 3
    if kind == "Delta":
        (table / "_delta_log").mkdir()
    else:
        (table / "metadata").mkdir()
        (table / "metadata" / "v1.metadata.json").write_text("{}")
    told = f"an? {kind} table, whose folder keeps files that are no longer of it; accepted are polars.scan_"
    for way in ways[:3] + ways[3:] * bool(partition):
        with pytest.raises(InputError, match=told):
            tg.profile(way)
        config = {"reference": {"path": str(files / "a.parquet")}, "current": {"path": str(way)}, "output": {}}
        with pytest.raises(InputError, match=told):
            tg.run({**config, "store": {"path": str(tmp_path / "store")}})
    assert tg.profile([files / "a.parquet"]).rows == 3


def test_the_version_of_a_table_is_told_in_the_record(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1, 2, 3]}), tmp_path / "a.parquet")
    side = {"path": [str(tmp_path / "a.parquet")]}
    config = {"reference": {**side, "snapshot": "11"}, "current": {**side, "snapshot": "12"}}
    inputs = tg.run(config).record["inputs"]
    assert inputs["snapshots"] == {"reference": "11", "current": "12"}
    assert "snapshots" not in tg.run({"reference": side, "current": side}).record["inputs"]
