"""A run over real rows, in several files and row groups, with a model, profiles and an audit trail."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tidegauge as tg

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

CONFIGURATION = """\
[model]
name = "bikes"
version = "1"
path = "model.txt"
owner = "model owner"

[reference]
path = "reference.parquet"

[current]
path = "logs/*.parquet"
window = "1mo"

[roles]
time = "ts"
label = "label"
prediction = "predicted"
exclude = ["row_id"]

[[checks]]
feature = "temp"
statistic = "ks"
max = 0.9

[output]
files = ["out/report.json", "out/rows.parquet"]
profiles = "out/profiles"
audit = "out/audit.jsonl"
fail_on = "never"
"""


def make(folder: Path, configuration: str = CONFIGURATION) -> Path:
    """A folder with everything a run needs."""
    (folder / "logs").mkdir(parents=True)
    source = EXAMPLES / "bike_2011"
    reference = pl.read_parquet(source / "reference.parquet")
    current = pl.read_parquet(source / "current.parquet").head(2400)
    # Small row groups and pages; statistics make page headers long.
    reference.write_parquet(folder / "reference.parquet", row_group_size=700, statistics="full")
    current.head(1200).write_parquet(folder / "logs/a.parquet", row_group_size=500)
    current.tail(1200).write_parquet(folder / "logs/b.parquet", row_group_size=500, compression="snappy")
    (folder / "model.txt").write_text("weights of the model\n" * 20)
    (folder / "tidegauge.toml").write_text(configuration)
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run; nobody writes to it."""
    folder = make(tmp_path_factory.mktemp("record"))
    tg.run(folder / "tidegauge.toml")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, in another place."""
    return shutil.copytree(made, tmp_path / "elsewhere")


@pytest.fixture
def flip() -> Callable[..., None]:
    """Change one bit of one byte of a file."""

    def change(path: Path, at: int, bit: int = 1) -> None:
        content = bytearray(path.read_bytes())
        content[at] ^= bit
        path.write_bytes(content)

    return change


@pytest.fixture(scope="session")
def record(made: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made / "out/report.json").read_text())
    return found
