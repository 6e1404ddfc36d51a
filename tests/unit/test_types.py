"""Values of every type give the same profile from Parquet, pyarrow, Polars and pandas."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tidegauge as tg

SECONDS = [0, 1, 86_399, None, 7_200, 59, 7_200]
NUMBERS = [0, 1, 100, None, 7, 59, 7]


def times(unit: str) -> list[int | None]:
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    return [None if n is None else n * factor for n in SECONDS]


TYPES: dict[str, pa.Array] = {
    **{f"duration[{unit}]": pa.array(times(unit), pa.duration(unit)) for unit in ("s", "ms", "us", "ns")},
    **{f"timestamp[{unit}]": pa.array(times(unit), pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")},
    **{f"timestamp[{unit}, UTC]": pa.array(times(unit), pa.timestamp(unit, "UTC")) for unit in ("s", "ms", "us", "ns")},
    **{f"time32[{unit}]": pa.array(times(unit), pa.time32(unit)) for unit in ("s", "ms")},
    **{f"time64[{unit}]": pa.array(times(unit), pa.time64(unit)) for unit in ("us", "ns")},
    "date32": pa.array(NUMBERS, pa.date32()),
    "decimal": pa.array([None if n is None else Decimal(n) / 4 for n in NUMBERS], pa.decimal128(12, 2)),
    "large_string": pa.array(["a", "", None, "b", "a", "é", "a"], pa.large_string()),
    "dictionary": pa.array(["a", "", None, "b", "a", "é", "a"]).dictionary_encode(),
    **{f"uint{bits}": pa.array(NUMBERS, getattr(pa, f"uint{bits}")()) for bits in (8, 16, 32, 64)},
    "float16": pa.array([0.5, -1, None, 2, 0.25, 1, 2], pa.float16()),
}
# Polars has times of day in nanoseconds alone; pandas has no type for them, nor for dates and decimals.
POLARS = [
    name for name in TYPES if not name.startswith("time") or name in ("time64[ns]",) or name.startswith("timestamp")
]


def digest(data: Any) -> str:
    profile = tg.profile(data)
    assert profile.info["problems"] == []
    return profile.digest


@pytest.mark.parametrize("name", TYPES)
def test_parquet_is_its_table(name: str, tmp_path: Path) -> None:
    table = pa.table({"x": TYPES[name]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert digest(tmp_path / "x.parquet") == digest(table)


@pytest.mark.parametrize("name", POLARS)
def test_polars_is_the_table(name: str, tmp_path: Path) -> None:
    table = pa.table({"x": TYPES[name]})
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame.write_parquet(tmp_path / "x.parquet")
    assert digest(frame) == digest(table)
    assert digest(tmp_path / "x.parquet") == digest(table)


@pytest.mark.parametrize("name", [name for name in TYPES if name.startswith(("duration", "timestamp"))])
def test_pandas_is_the_table(name: str) -> None:
    table = pa.table({"x": TYPES[name]})
    assert digest(table.to_pandas()) == digest(table)


@pytest.mark.parametrize("text", [b"", b"=", b"AAAA", b"////////", b"\xff" * 20, b"/////" + b"A" * 4000])
def test_a_schema_in_the_footer_that_is_none_is_ignored(text: bytes, tmp_path: Path) -> None:
    table = pa.table({"x": pa.array([1, 2, 3], pa.int64())})
    pq.write_table(table.replace_schema_metadata({"ARROW:schema": text}), tmp_path / "x.parquet", store_schema=False)
    assert digest(tmp_path / "x.parquet") == digest(table)


def test_unsigned_integers_of_the_first_format_version(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array([0, 1, None, 2**32 - 1], pa.uint32())})
    for version in ("1.0", "2.6"):
        pq.write_table(table, tmp_path / f"{version}.parquet", version=version)
        assert digest(tmp_path / f"{version}.parquet") == digest(table)
    bare = tmp_path / "bare.parquet"
    pq.write_table(table, bare, version="1.0", store_schema=False)
    assert tg.profile(bare).info["columns"][0]["logical"] == "int"


def test_folders_that_disagree_with_their_files_are_named(tmp_path: Path) -> None:
    for day, values in (("2013-01-01", [dt.date(2013, 1, 1)] * 2), ("2013-01-02", [dt.date(2013, 1, 3)] * 2)):
        folder = tmp_path / f"day={day}"
        folder.mkdir()
        pq.write_table(pa.table({"day": values, "x": [1, 2]}), folder / "x.parquet")
    problems = tg.profile(tmp_path).info["problems"]
    assert [(problem["kind"], problem["name"]) for problem in problems] == [("schema", "day")]
    assert "in 1 files" in problems[0]["message"]
    assert "2013-01-02" in problems[0]["message"]
    assert tg.profile(tmp_path / "day=2013-01-01").info["problems"] == []
