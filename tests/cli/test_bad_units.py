"""Unreadable units: set aside and named when allowed, fatal otherwise."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import tidegauge as tg
from tidegauge.errors import InputError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/bike_2011/reference.parquet"


@pytest.fixture
def damaged(tmp_path: Path) -> list[str]:
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    shutil.copy(EXAMPLE, good)
    data = bytearray(EXAMPLE.read_bytes())
    data[2000:2005] = b"\xff" * 5
    bad.write_bytes(data)
    return [str(good), str(bad)]


@pytest.mark.parametrize("cut", [{}, {"by": ["season"]}, {"window": "1w", "time": "ts"}])
def test_a_bad_row_group_is_set_aside(damaged: list[str], cut: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"bad\.parquet: row group 0"):
        tg.profile(damaged, **cut)  # type: ignore[arg-type]
    kept = tg.profile(damaged, max_bad_units=1, **cut)  # type: ignore[arg-type]
    assert kept.digest == tg.profile(damaged[0], **cut).digest  # type: ignore[arg-type]
    problem = next(p for p in kept.info["problems"] if p["kind"] == "unit")
    assert problem["rows"] == 1464
    assert "row group 0" in problem["message"]


def test_untyped_nulls_of_polars() -> None:
    frame = pl.DataFrame({"x": [None] * 60, "y": [float(i) for i in range(60)]})
    assert tg.drift(frame, frame).summary()["verdicts"]["error"] == 0
