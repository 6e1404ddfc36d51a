"""Files that are delivered twice or moved are not counted twice."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import tidegauge as tg
from growing import rows_of, tree, write_config


def counted(report: tg.Report) -> dict[str, int]:
    return {w["start"][:10]: w["rows"] for w in report.record["result"]["monitoring"]["windows"]}


@pytest.mark.parametrize("digests", ["true", "false"])
@pytest.mark.parametrize("how", ["copied", "moved", "both at once"])
def test_a_file_under_another_name(log: Path, how: str, digests: str) -> None:
    config = write_config(log, store='late = "reopen"', more=f"[scan]\ndigests = {digests}")
    config.write_text(config.read_text().replace("log/*.parquet", "log/**/*.parquet"))
    first, other = log / "log" / "2024-03-02.parquet", log / "log" / "2013" / "again.parquet"
    other.parent.mkdir()
    if how != "both at once":
        tg.run(config)
    if how == "moved":
        first.rename(other)
    else:
        shutil.copy(first, other)
    before = None if how == "both at once" else tree(log / "store" / "parts")
    report = tg.run(config)
    assert counted(report) == {f"2024-03-0{i}": 120 for i in range(1, 7)}
    assert before is None or tree(log / "store" / "parts") == before
    names = ("log/2024-03-02.parquet", "log/2013/again.parquet")
    # Of two that come at once the first by name is counted.
    kept, left = names if how != "both at once" else names[::-1]
    told = f"File {left} holds the bytes of {kept}, whose rows were counted; it is not counted again."
    assert told in report.record["result"]["limitations"]
    assert [p["rows"] for p in report.record["inputs"]["current"]["problems"] if p["kind"] == "copy"] == [120]
    assert report.exit_code("never") == 0
    again = tg.run(config)
    assert again.record["result_digest"] == report.record["result_digest"]
    found = tg.verify(log / "out" / "report.json")
    # A file that moved is not where its rows were counted: inputs name it, where they have digests; numbers follow.
    outcomes = {level.name: level.outcome for level in found.levels}
    assert outcomes["numbers"] == "same"
    assert (found.exit_code() == 0) == (how != "moved" or digests == "false")


def test_text_under_another_name(log: Path) -> None:
    for path in (log / "log").glob("*.parquet"):
        pl.read_parquet(path).write_csv(path.with_suffix(".csv"))
        path.unlink()
    config = write_config(log)
    config.write_text(config.read_text().replace("*.parquet", "*.csv"))
    tg.run(config)
    shutil.copy(log / "log" / "2024-03-03.csv", log / "log" / "more.csv")
    report = tg.run(config)
    assert counted(report) == {f"2024-03-0{i}": 120 for i in range(1, 7)}
    assert any("more.csv holds the bytes of log/2024-03-03.csv" in t for t in report.record["result"]["limitations"])


def test_other_rows_of_one_size_are_counted(log: Path) -> None:
    """Sizes and footers may agree where bytes do not: without statistics a footer says nothing of values."""
    config = write_config(log)
    frame = rows_of(1, 50, start="2024-03-07").select("ts", "k")
    plain = {"compression": "uncompressed", "statistics": False, "use_pyarrow": True}
    options = {"use_dictionary": False, "store_schema": False}
    for name, rows in (("a", frame), ("b", frame.with_columns(pl.col("k") + 1))):
        rows.write_parquet(log / "log" / f"{name}.parquet", pyarrow_options=options, **plain)
    assert len({(log / "log" / f"{name}.parquet").stat().st_size for name in "ab"}) == 1
    report = tg.run(config)
    assert counted(report)["2024-03-07"] == 100


def test_a_run_without_a_store_names_files_that_are_the_same(log: Path) -> None:
    config = write_config(log, store="none")
    shutil.copy(log / "log" / "2024-03-02.parquet", log / "log" / "again.parquet")
    report = tg.run(config)
    told = [t for t in report.record["result"]["limitations"] if "same bytes" in t]
    assert told == [
        "Files of the current data hold the same bytes, and their rows are counted each time: "
        "log/2024-03-02.parquet, log/again.parquet."
    ]
    assert tg.verify(log / "out" / "report.json").exit_code() == 0
