"""A log that does not have its label yet, or lost its score."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge.errors import UsageError


def log(seed: int, rows: int = 3000) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pl.DataFrame({
        "x": x, "score": 1 / (1 + np.exp(-x)), "label": (x + rng.normal(size=rows) > 0).astype(int)
    })  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    log(1).write_parquet(tmp_path / "reference.parquet")
    return {
        "reference": {"path": str(tmp_path / "reference.parquet")},
        "current": {"path": str(tmp_path / "current.parquet")},
        "roles": {"label": "label", "score": "score"},
        "output": {"files": [str(tmp_path / "report.json")]},
    }


def test_without_a_label_all_else_is_judged(tmp_path: Path, settings: dict[str, Any]) -> None:
    log(2).drop("label").write_parquet(tmp_path / "current.parquet")
    report = tg.run(settings)
    assert report.exit_code() == 0
    verdicts = {row["feature"]: row["verdict"] for row in report.verdicts}
    assert verdicts == {"x": "ok", "score": "ok", "label": "not_evaluated"}
    schema = next(r for r in report.rows if r["statistic"] == "schema" and r["feature"] == "label")
    assert schema["message"] == 'column "label" (int) is missing from the current data: labels may come later'
    (why,) = [row for row in report.rows if row["statistic"] == "label_coverage"]
    assert why["verdict"] == "not_evaluated"
    assert 'label column "label" is not in the data' in why["message"]
    told = " ".join(report.record["result"]["limitations"])
    assert 'label column "label" is not in the data' in told
    assert tg.verify(tmp_path / "report.json").same


def test_a_lost_score_fails(tmp_path: Path, settings: dict[str, Any]) -> None:
    log(2).drop("score").write_parquet(tmp_path / "current.parquet")
    report = tg.run(settings)
    assert report.exit_code() == 1
    assert [row["feature"] for row in report.failed] == ["score"]
    assert 'prediction column "score" is not in the data' in " ".join(report.record["result"]["limitations"])


def test_a_column_that_neither_side_has_is_named_with_its_side(tmp_path: Path, settings: dict[str, Any]) -> None:
    log(2).write_parquet(tmp_path / "current.parquet")
    with pytest.raises(
        UsageError, match=r'reference data, .*reference.parquet: column "lable" does not exist; did you'
    ):
        tg.run({**settings, "roles": {"label": "lable", "score": "score"}})
    log(2).rename({"x": "z"}).write_parquet(tmp_path / "current.parquet")
    with pytest.raises(UsageError, match=r'current data, .*current.parquet: column "x" does not exist'):
        tg.run({**settings, "current": {**settings["current"], "by": ["x"]}})
