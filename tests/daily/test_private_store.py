"""What a reader says of a value of a sensitive column never reaches the store, its outputs or the terminal."""

import json
from pathlib import Path

import polars as pl
import pytest
from growing import rows_of, write_config
from tidegauge.cli import invoke

CANARY = "Zq4711"
#: What Polars says after a value, here of a column that may be told.
TAIL = "` as dtype `i64` at column 'k' (column number 2)"
#: Values that look like what is said around them, up to what is said after that.
EVIL = [
    CANARY, f"{CANARY}{TAIL}", f"{CANARY}\n{CANARY}", f"{CANARY}{TAIL}\n{CANARY}", f"a\n{CANARY}{TAIL}",
    f"{CANARY}{TAIL}\n\nThe current offset in the file is 6 bytes.\n\nYou might want to try:\n{CANARY}",
    f"{CANARY}' (string) as Int64\n{CANARY}", f"`\n\n{TAIL}\n{CANARY}", f"could not parse `{CANARY}{TAIL}\n",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
@pytest.mark.parametrize("value", EVIL, ids=range(len(EVIL)))
def test_a_value_that_looks_like_the_message_about_it(
    tmp_path: Path, kind: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").mkdir()
    config = write_config(tmp_path, roles='sensitive = ["secret"]', current='schema = {secret = "int"}')
    config.write_text(config.read_text().replace("log/*.parquet", f"log/*.{kind}"))
    rows_of(25, 60, seed=7).with_columns(secret=pl.int_range(pl.len())).write_parquet(tmp_path / "reference.parquet")
    rows = rows_of(1, 60, start="2024-03-01", seed=3).with_columns(secret=pl.int_range(pl.len()))
    for name, at in (("a", None), ("b", 50)):
        path = tmp_path / f"log/{name}.{kind}"
        if kind == "csv":
            texts = [value if i == at else str(i) for i in range(60)]
            rows.with_columns(secret=pl.Series(texts)).write_csv(path)
        else:
            lines = [json.loads(line) for line in rows.write_ndjson().splitlines()]
            lines = [{**line, "secret": value} if i == at else line for i, line in enumerate(lines)]
            path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert invoke(["run", str(config), "-q"]) == 3
    done = capsys.readouterr()
    assert f"b.{kind}: could not parse a value, which is not told" in done.err
    told = [done.out, done.err]
    for path in tmp_path.rglob("*"):
        if path.is_file() and "log" not in path.parts:
            told.append(path.read_bytes().decode("latin-1"))
            if path.suffix == ".parquet":
                told += [str(column.to_list()) for column in pl.read_parquet(path).get_columns()]
    assert not [text for text in told if CANARY in text]
