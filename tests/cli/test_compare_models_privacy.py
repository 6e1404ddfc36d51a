"""Comparing two models tells no sensitive value, and none that a few rows hold; its Markdown keeps names whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge.errors import UsageError


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 500)
    return pl.DataFrame(
        {
            "id": range(500),
            "y": y,
            "old": np.clip(0.3 + 0.3 * y + rng.normal(0, 0.2, 500), 0, 1),
            "new": np.clip(0.3 + 0.4 * y + rng.normal(0, 0.2, 500), 0, 1),
            "where": ["north"] * 300 + ["south"] * 193 + ["TINYPLACE"] * 7,
            "ill": ["SECRETILL", "well"] * 250,
        }
    )


def test_values_of_a_few_rows_are_not_named(log: pl.DataFrame) -> None:
    found = tg.compare_models(log, label="y", a="old", b="new", by="where", metrics=["roc_auc"])
    named = {row.segment_value: row.n for row in found.rows if row.segment_by == "where"}
    assert named == {"north": 300, "south": 193, "a rare value (3)": 7}
    assert not any("TINYPLACE" in text for text in (found.to_json(), found.to_markdown(), str(found)))


def test_a_sensitive_column_of_a_report_cuts_nothing(
    log: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log.write_parquet("log.parquet")
    roles = {"id": "id", "label": "y", "score": "old", "sensitive": ["ill"], "ignore": ["new"]}
    sides = {"reference": {"path": "log.parquet"}, "current": {"path": "log.parquet"}}
    tg.run({**sides, "roles": roles, "output": {"files": ["report.json"]}})
    with pytest.raises(UsageError, match="'ill', which is sensitive"):
        tg.compare_models("report.json", other="report.json", by="ill", key="id")
    assert tg.compare_models("report.json", other="report.json", by="where", key="id").rows


def test_names_with_an_underscore_read_as_they_are(log: pl.DataFrame) -> None:
    text = tg.compare_models(log, label="y", a="old", b="new", metrics=["roc_auc"]).to_markdown()
    assert "roc&#95;auc" in text
    assert "&#35;" not in text
    assert "&&" not in text


def test_without_a_margin_nothing_is_judged(log: pl.DataFrame) -> None:
    found = tg.compare_models(log, label="y", a="old", b="new", metrics=["roc_auc"])
    assert str(found).startswith("COMPARED  no margin was given")
    judged = tg.compare_models(log, label="y", a="old", b="new", max_drop={"roc_auc": 0.1})
    assert str(judged).startswith("ALLOW")
