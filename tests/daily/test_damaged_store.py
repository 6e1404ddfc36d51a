"""Every file of a store: one byte of it is found and named, and tables that were made up are."""

import json
import random
import shutil
from pathlib import Path

import polars as pl
import pytest
import tidegauge as tg
from growing import daily, record_of, rows_of, write_config
from tidegauge import _core
from tidegauge.errors import FormatError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with a store; nobody writes to it."""
    folder = tmp_path_factory.mktemp("damaged")
    rows_of(25, 60, seed=7).write_parquet(folder / "reference.parquet")
    daily(folder / "log", 4, 60)
    tg.run(write_config(folder, current='by = ["city"]'))
    daily(folder / "log", 5, 60, skip=4)
    tg.run(folder / "tidegauge.toml")
    return folder


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "copy")


def files(folder: Path) -> list[Path]:
    """Every file that digests cover."""
    found = [path for path in sorted((folder / "store").rglob("*")) if path.is_file()]
    return [path for path in found if path.name not in ("lock", "identity.json") and "work" not in path.parts]


def test_one_byte_anywhere_is_found_and_named(folder: Path) -> None:
    generator = random.Random(5)
    report = folder / "out/report.json"
    assert tg.verify(report, root=folder).same
    assert len(files(folder)) == 1 + 2 * 7 + 2 * 3 + 5
    for path in files(folder):
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        for at in (0, len(content) - 1, *(generator.randrange(len(content)) for _ in range(2))):
            damaged = bytearray(content)
            damaged[at] ^= 1 << generator.randrange(8)
            path.write_bytes(damaged)
            found = tg.verify(report, root=folder, level="inputs")
            assert found.exit_code() == 6, (name, at)
            assert str(found.first).startswith(f"{name}: "), found.first
        # Whether it still decodes or not, the levels behind say what they find, and never anything but that.
        if path.parent.name.startswith(("000001", "store")):
            assert tg.verify(report, root=folder).exit_code() == 6
        path.unlink()
        first = str(tg.verify(report, root=folder, level="inputs").first)
        assert first.startswith((f"{name}: no such file", name.rpartition("/")[0])), first
        path.write_bytes(content)
    (folder / "store/reference").rename(folder / "store/was")
    assert "no reference in it" in repr(tg.verify(report, root=folder))


def renew(folder: Path) -> None:
    """Digests of the files of a folder that hold."""
    (manifest,) = folder.glob("digests-*.json")
    text = json.dumps(
        {path.name: _core.blake3(path.read_bytes()) for path in sorted(folder.glob("*.parquet"))}, indent=1
    ).encode()
    manifest.unlink()
    (folder / f"digests-{_core.blake3(text)[3:19]}.json").write_bytes(text)


@pytest.mark.parametrize(("table", "column"), [
    ("columns", "mean"), ("columns", "rows"), ("cells", "count"), ("cells", "low"), ("categories", "count"),
    ("categories", "value"), ("profile", "rows"), ("coverage", "rows"), ("coverage", "footer"), ("files", "digest"),
    ("files", "parts"), ("files", "row_digests"),
])  # fmt: skip
def test_a_table_that_was_made_up_does_not_follow(folder: Path, table: str, column: str) -> None:
    """Who renews the digests of the store is found by what its tables are made of."""
    path = sorted(folder.glob(f"store/parts/*/{table}.parquet"))[0]
    frame = pl.read_parquet(path)
    values = frame[column].to_list()
    at = next(i for i, value in enumerate(values) if value is not None)
    old = values[at]
    if isinstance(old, list):
        values[at] = [old[0][:-1] + "0f"[old[0][-1] == "0"], *old[1:]]
    elif isinstance(old, str):
        last = old.rstrip("]}")[-2]
        values[at] = old[::-1].replace(last, "x" if column == "value" else "0f"[last == "0"], 1)[::-1]
    else:
        values[at] = old + 1
    frame.with_columns(pl.Series(column, values, dtype=frame[column].dtype)).write_parquet(path)
    renew(path.parent)
    found = tg.verify(folder / "out/report.json", root=folder)
    assert found.levels[1].outcome == "same", found
    told = [text for level in found.levels for text in level.differences]
    place = f"parts/{path.parent.name}/{table}.parquet"
    assert any(text.startswith((place, f"store/{place}")) for text in told), told[:3]
    if table in ("columns", "cells", "categories"):
        assert any(f"{place}: column {column!r}, row {at}: " in text for text in told), told


def test_a_window_decided_otherwise_does_not_follow(folder: Path) -> None:
    path = sorted(folder.glob("store/verdicts/*/windows.parquet"))[0]
    pl.read_parquet(path).with_columns(verdict=pl.lit("ok"), rows=pl.col("rows") + 1).write_parquet(path)
    renew(path.parent)
    found = tg.verify(folder / "out/report.json", root=folder)
    assert any(text.startswith(f"verdicts/{path.parent.name}/windows.parquet") for text in found.levels[3].differences)


def test_a_part_that_was_taken_away_or_put_twice(folder: Path) -> None:
    first, second = sorted((folder / "store/parts").iterdir())
    shutil.copytree(first, first.with_name("000002-0123456789abcdef"))
    assert tg.verify(folder / "out/report.json", root=folder).first == "store/parts: 2 of number 2"
    shutil.rmtree(first.with_name("000002-0123456789abcdef"))
    shutil.rmtree(second)
    assert tg.verify(folder / "out/report.json", root=folder).first == "store/parts: 0 of number 2"


def test_a_run_names_the_damaged_file(folder: Path) -> None:
    daily(folder / "log", 6, 60, skip=5)
    path = sorted(folder.glob("store/parts/*/profile.parquet"))[1]
    content = path.read_bytes()
    frame = pl.read_parquet(path)
    state = bytearray(frame["profile"][0])
    state[len(state) // 2] ^= 1
    frame.with_columns(profile=pl.Series([bytes(state)], dtype=pl.Binary)).write_parquet(path)
    place = f"store {folder / 'store'}: {path.relative_to(folder / 'store')}: "
    with pytest.raises(FormatError) as caught:
        tg.run(folder / "tidegauge.toml")
    assert str(caught.value).startswith(place)
    path.write_bytes(b"no Parquet")
    with pytest.raises(FormatError) as caught:
        tg.run(folder / "tidegauge.toml")
    assert str(caught.value).startswith(place)
    path.write_bytes(content)
    # A table that still decodes, to another verdict on a window that is closed.
    path = sorted(folder.glob("store/verdicts/*/rows.parquet"))[0]
    content = path.read_bytes()
    pl.read_parquet(path).with_columns(verdict=pl.lit("ok")).write_parquet(path)
    with pytest.raises(FormatError, match=f"{path.relative_to(folder / 'store')}: content changed"):
        tg.run(folder / "tidegauge.toml")
    path.write_bytes(content)
    # What tells when to scan the reference again is no more than absent where it is damaged.
    (identity,) = folder.glob("store/reference/*/identity.json")
    identity.write_text("{")
    tg.run(folder / "tidegauge.toml")
    assert json.loads(identity.read_text())["files"]


def test_the_record_tells_rows_and_times_of_its_files(folder: Path) -> None:
    current = record_of(folder)["inputs"]["current"]
    assert current["rows"] == {"expected": 300, "scanned": 300, "rejected": []}
    log = pl.concat([pl.read_parquet(path) for path in sorted((folder / "log").iterdir())])["ts"]
    first, last = (f"{moment.replace(microsecond=0).isoformat()}Z" for moment in (log.min(), log.max()))  # type: ignore[union-attr, operator]
    assert current["time_range"] == {"column": "ts", "first": first, "last": last}


def test_rows_of_tables_of_text_and_units_that_cannot_be_read(tmp_path: Path) -> None:
    rows_of(25, 60, seed=7).write_parquet(tmp_path / "reference.parquet")
    for path in daily(tmp_path / "log", 3, 60):
        pl.read_parquet(path).write_csv(path.with_suffix(".csv"))
    (tmp_path / "log/2024-03-03.csv").write_text("\n".join((tmp_path / "log/2024-03-03.csv").read_text().split()[:11]))
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace("log/*.parquet", "log/*.csv"))
    tg.run(config)
    # Each file with its own rows, not those of all.
    current = record_of(tmp_path)["inputs"]["current"]
    assert [file["rows"] for file in current["files"]] == [60, 60, 10]
    assert current["rows"] == {"expected": 130, "scanned": 130, "rejected": []}
    assert tg.verify(tmp_path / "out/report.json").same

    last = tmp_path / "log/2024-03-03.parquet"
    content = bytearray(last.read_bytes())
    content[4:40] = b"\xff" * 36
    last.write_bytes(content)
    gone = tmp_path / "log/2024-03-02.parquet"
    gone.write_bytes(gone.read_bytes()[:-4] + b"XXXX")
    config = write_config(tmp_path, store="late = 'count'", more="[scan]\nmax_bad_units = 4")
    config.write_text(config.read_text().replace('path = "store"', 'path = "other"'))
    tg.run(config)
    current = record_of(tmp_path)["inputs"]["current"]
    assert current["rows"]["expected"] is None, "a file whose footer is gone tells no rows"
    assert current["rows"]["scanned"] == 90
    units = [(unit["path"], unit["row_group"], unit["rows"]) for unit in current["rows"]["rejected"]]
    assert units == [("log/2024-03-02.parquet", None, None), ("log/2024-03-03.parquet", 0, 30)]
    assert tg.verify(tmp_path / "out/report.json").same, tg.verify(tmp_path / "out/report.json")
    # A unit that the record does not name was read, or must be named.
    record = record_of(tmp_path)
    forged = json.loads(json.dumps(record))
    forged["inputs"]["current"]["problems"] = forged["inputs"]["current"]["problems"][:1]
    forged["inputs"]["current"]["rows"]["rejected"] = forged["inputs"]["current"]["rows"]["rejected"][:1]
    from tidegauge.record import seal

    (tmp_path / "out/report.json").write_text(json.dumps(record | seal(forged)))
    told = tg.verify(tmp_path / "out/report.json").levels[-1].differences
    assert any(text.startswith("inputs.current.problems.log/2024-03-03.parquet#0: nothing recorded") for text in told)
