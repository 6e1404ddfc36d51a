"""A log that grows, for every test here."""

from pathlib import Path

import pytest
from growing import daily, rows_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A reference of 25 days and a log of 6 days of two row groups each."""
    rows_of(25, 120, seed=7).write_parquet(tmp_path / "reference.parquet")
    daily(tmp_path / "log", 6, 120)
    return tmp_path
