"""Parquet files: against a bare decode, against tools that scan, and the shapes a log can have."""

import math
from typing import Any

import pytest
from conftest import Versus
from measure import Goal, Side
from shapes import Data

COLUMNS = 21


def same_rows(ours: Any, others: dict[str, Any]) -> None:
    assert ours["compared"] is None or ours["compared"] > 0
    for theirs in others.values():
        assert ours["rows"] == theirs["rows"]


def decode(data: Data, codec: str, block: str | None, threads: int | None) -> tuple[Side, Side]:
    files = [str(data.log("cur", codec))]
    options: dict[str, Any] = {} if threads is None else {"threads": threads}
    ours = Side("profile_files", {"files": files, "reference": str(data.grid(codec, block)), "options": options})
    return ours, Side("pyarrow_decode", {"files": files, "threads": threads})


@pytest.mark.parametrize("threads", [2, 1])
@pytest.mark.parametrize("codec", ["zstd", "snappy"])
def test_profile_over_decode(versus: Versus, data: Data, codec: str, threads: int) -> None:
    """All columns against a saved grid, and compared; blocks of a day, which a log with a time gets by default."""
    ours, theirs = decode(data, codec, None, threads)
    goal = {"zstd": 1.3, "snappy": 1.6}[codec]
    versus(
        f"profile against a grid and compare, 21 columns, blocks of a day, {codec}, {threads} thread(s)",
        ours,
        [Goal("over", goal, "pyarrow", stretch=1.0), Goal("peak_mb")],
        against={"pyarrow": theirs},
        check=same_rows,
        rounds=7 if threads == 2 else 5,
        peer_rounds=7 if threads == 2 else 5,
        values=data.scale.rows * COLUMNS,
    )


@pytest.mark.parametrize("codec", ["zstd", "snappy"])
def test_profile_over_decode_without_blocks(versus: Versus, data: Data, codec: str) -> None:
    """The states that the goal names: counts, sums, grid, key histogram, categories."""
    ours, theirs = decode(data, codec, "none", 2)
    goal = {"zstd": 1.3, "snappy": 1.6}[codec]
    versus(
        f"profile against a grid and compare, 21 columns, no blocks, {codec}, 2 threads",
        ours,
        [Goal("over", goal, "pyarrow", stretch=1.0), Goal("peak_mb")],
        against={"pyarrow": theirs},
        check=same_rows,
        rounds=7,
        peer_rounds=7,
        values=data.scale.rows * COLUMNS,
    )


def details(data: Data) -> Any:
    """Our numbers, for the answers; not timed."""
    return Side("profile_details", profile_options(data)).run()["answer"]


def profile_options(data: Data) -> dict[str, Any]:
    return {"files": [str(data.log("cur"))], "reference": str(data.grid())}


def test_against_polars_psi(versus: Versus, data: Data) -> None:
    known = details(data)

    def check(ours: Any, others: dict[str, Any]) -> None:
        theirs = others["Polars"]
        assert ours["rows"] == theirs["rows"]
        for name, value in theirs["psi"].items():
            if name in ("c5k", "c200k", "f_zeromix"):
                # Rare values share cells here and have one each there; zero has a cell of its own here.
                continue
            # Ten cells of nearly equal mass on both sides, cut at other values; sampling moves PSI by 10 / n.
            assert abs(known["psi"][name] - value) <= 0.1 * value + 2e-4 + 20 / theirs["rows"], name

    versus(
        "profile of 21 columns, beside Polars expressions for PSI alone of 19, zstd",
        Side("profile_files", profile_options(data)),
        [Goal("faster", 1.3, "Polars", stretch=1.6)],
        against={"Polars": Side("polars_psi", {"files": [str(data.log("cur"))], "reference": str(data.log("ref"))})},
        check=check,
        values=data.scale.rows * COLUMNS,
    )


def test_against_duckdb_summarize(versus: Versus, data: Data) -> None:
    known = details(data)["columns"]

    def check(ours: Any, others: dict[str, Any]) -> None:
        assert len(others["DuckDB"]) == 13
        for name, theirs in others["DuckDB"].items():
            assert theirs["rows"] == ours["rows"]
            assert math.isclose(theirs["mean"], known[name]["mean"], rel_tol=1e-9, abs_tol=1e-9)
            # Extremes of float32 columns print their own shortest digits.
            assert math.isclose(float(theirs["min"]), known[name]["min"], rel_tol=1e-6)
            assert math.isclose(float(theirs["max"]), known[name]["max"], rel_tol=1e-6)

    versus(
        "profile of 21 columns, beside DuckDB SUMMARIZE, zstd",
        Side("profile_files", profile_options(data)),
        [Goal("faster", 12, "DuckDB")],
        against={"DuckDB": Side("duckdb_summarize", {"files": [str(data.log("cur"))]})},
        check=check,
        rounds=3,
        peer_rounds=2,
        values=data.scale.rows * COLUMNS,
    )


def test_against_polars_describe(versus: Versus, data: Data) -> None:
    known = details(data)["columns"]

    def check(ours: Any, others: dict[str, Any]) -> None:
        assert len(others["Polars"]) == 13
        for name, theirs in others["Polars"].items():
            assert theirs["count"] == ours["rows"] - known[name]["nulls"]
            # float32 sums lose digits in describe
            tolerance = 1e-3 if name == "f_f32" else 1e-9
            assert math.isclose(theirs["mean"], known[name]["mean"], rel_tol=tolerance, abs_tol=tolerance)
            assert math.isclose(theirs["min"], known[name]["min"], rel_tol=1e-6)
            assert math.isclose(theirs["max"], known[name]["max"], rel_tol=1e-6)

    versus(
        "profile of 21 columns, beside Polars describe, zstd",
        Side("profile_files", profile_options(data)),
        [Goal("faster", 6, "Polars")],
        against={"Polars": Side("polars_describe", {"files": [str(data.log("cur"))]})},
        check=check,
        rounds=3,
        peer_rounds=2,
        values=data.scale.rows * COLUMNS,
    )


def test_two_threads(versus: Versus, data: Data) -> None:
    """Elapsed seconds of one thread over those of two, of the same files in the page cache."""
    one, two = (Side("profile_files", profile_options(data) | {"options": {"threads": threads}}) for threads in (1, 2))
    versus(
        "from one thread to two, profile of 21 columns, zstd",
        two,
        [Goal("speedup", 1.8, "one thread"), Goal("over", None, "one thread")],
        against={"one thread": one},
        check=same_rows,
        values=data.scale.rows * COLUMNS,
    )


@pytest.mark.parametrize("part", [10, 1])
def test_flat_in_rows(versus: Versus, data: Data, part: int) -> None:
    """CPU of ten links of a file over ten times that of one, less what the first row costs."""
    path = data.log("cur", rows=data.scale.rows // part)
    options = {"reference": str(data.grid())}
    versus(
        f"ten times the rows, from {data.scale.rows // part:,}: CPU and peak of memory",
        Side("profile_files", options | {"files": [str(p) for p in data.links(path, 10)]}),
        [Goal("over", None, "a tenth of the rows"), Goal("memory", None, "a tenth of the rows")],
        against={"a tenth of the rows": Side("profile_files", options | {"files": [str(path)]})},
        check=lambda ours, others: _ten_times(ours, others["a tenth of the rows"]),
        rounds=3,
        values=10 * data.scale.rows // part * COLUMNS,
    )


def _ten_times(ours: Any, theirs: Any) -> None:
    assert ours["rows"] == 10 * theirs["rows"]


def wide(data: Data, columns: int, rows: int) -> dict[str, Any]:
    reference = data.wide(columns, data.scale.wide[1] // 100, seed=2)
    return {"files": [str(data.wide(columns, rows))], "reference": str(data.grid(path=reference))}


def test_thousand_columns(versus: Versus, data: Data) -> None:
    columns, rows = data.scale.wide
    known = wide(data, columns, rows // 5)
    # Five links of a file of 1.6 GB at full scale.
    known["files"] = [str(path) for path in data.links(data.wide(columns, rows // 5), 5)]
    versus(
        f"{columns:,} columns x {rows:,} rows in 5 files, snappy",
        Side("profile_files", known),
        [Goal("over", None, "pyarrow"), Goal("above_mb")],
        against={"pyarrow": Side("pyarrow_decode", {"files": known["files"], "dictionaries": []})},
        check=same_rows,
        rounds=3,
        values=columns * rows,
    )


def test_flat_in_columns(versus: Versus, data: Data) -> None:
    """CPU of all columns over that of a tenth of them; 10 where a column costs the same in both.

    Row groups hold 64 MB in both, so those of the wide table are a tenth as long, as writers make them.
    """
    columns, rows = data.scale.wide[0], data.scale.wide[1] // 5
    versus(
        f"ten times the columns, from {columns // 10} x {rows:,} rows, row groups of 64 MB: CPU",
        Side("profile_files", wide(data, columns, rows)),
        [Goal("over", None, "a tenth of the columns")],
        against={"a tenth of the columns": Side("profile_files", wide(data, columns // 10, rows))},
        check=same_rows,
        rounds=3,
        values=columns * rows,
    )


def test_one_long_column(versus: Versus, data: Data) -> None:
    files = [str(path) for path in data.long(data.scale.long)]
    reference = data.wide(1, data.scale.reference, seed=2)
    known = {"files": files, "reference": str(data.grid(path=reference))}
    versus(
        f"1 column x {data.scale.long:,} rows, snappy",
        Side("profile_files", known),
        [Goal("over", None, "pyarrow"), Goal("above_mb")],
        against={"pyarrow": Side("pyarrow_decode", {"files": files, "dictionaries": []})},
        check=same_rows,
        rounds=3,
        values=data.scale.long,
    )


def test_many_categories(versus: Versus, data: Data) -> None:
    files = [str(data.log("cur"))]
    options = {"files": files, "reference": str(data.grid())}
    versus(
        f"200,000 categories: 1 column x {data.scale.rows:,} rows, zstd",
        Side("profile_files", options | {"options": {"columns": ["c200k"]}, "compared": False}),
        [Goal("above_mb")],
        check=lambda ours, _: _rows(ours, data.scale.rows),
        values=data.scale.rows,
    )


def _rows(ours: Any, rows: int) -> None:
    assert ours["rows"] == rows


def test_windows_and_segments(versus: Versus, data: Data) -> None:
    versus(
        f"30 days x 50 countries x 21 columns, {data.scale.rows:,} rows, zstd: profile",
        Side("profile_files", profile_options(data) | {
            "options": {"window": "1d", "by": ["country"]}, "compared": False
        }),
        [Goal("peak_mb", 1000)],
        check=lambda ours, _: _rows(ours, data.scale.rows),
        rounds=3,
        values=data.scale.rows * COLUMNS,
    )  # fmt: skip


def test_small_files(versus: Versus, data: Data) -> None:
    rows = 1000
    files = [str(path) for path in data.links(data.log("cur", rows=rows), data.scale.files)]
    versus(
        f"{data.scale.files:,} files of {rows:,} rows x 21 columns, zstd",
        Side("profile_files", {"files": files, "reference": str(data.grid())}),
        [Goal("over", None, "pyarrow"), Goal("above_mb")],
        against={"pyarrow": Side("pyarrow_decode", {"files": files})},
        check=same_rows,
        rounds=3,
        values=data.scale.files * rows * COLUMNS,
    )
