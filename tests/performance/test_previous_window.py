"""Changes of metrics against the previous window: the same as a comparison of the two windows alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg

START = dt.datetime(2024, 1, 1)
MONTHS = [(dt.datetime(2024, month, 1), dt.datetime(2024, month + 1, 1)) for month in (2, 3, 4)]
KEPT = ("value", "ci_low", "ci_high", "n_reference", "n_current", "minimum_detectable")


def log(seed: int, start: dt.datetime, days: int, noise: float) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    n = 60 * days
    x = rng.normal(size=n)
    return pl.DataFrame({
        "ts": [start + dt.timedelta(minutes=int(m)) for m in np.sort(rng.integers(0, days * 1440, n))],
        "country": rng.choice(["DE", "FR"], n),
        "x": x,
        "score": 1 / (1 + np.exp(-(x + noise * rng.normal(size=n)))),
        "label": (rng.random(n) < 1 / (1 + np.exp(-x))).astype(np.int8),
    })  # fmt: skip


REFERENCE = log(0, START, 31, 0.0)
# The third month is worse than the second, and the fourth as bad as the third.
PARTS = [
    log(i + 1, start, 29, noise) for i, ((start, _), noise) in enumerate(zip(MONTHS, (0.0, 2.0, 2.0), strict=True))
]
OPTIONS: dict[str, Any] = {"time": "ts", "label": "label", "score": "score", "columns": ["ts", "x", "label", "score"]}


def changes(report: tg.Report, baseline: str) -> dict[tuple[str, Any], dict[str, Any]]:
    found = [r for r in report.rows if r["kind"] == "performance" and r["statistic"].endswith("_change")]
    return {(r["statistic"], r["window_start"]): r for r in found if r["baseline"] == baseline}


@pytest.fixture(scope="module")
def report() -> tg.Report:
    return tg.drift(
        REFERENCE, pl.concat(PARTS), window="1mo", baselines=["reference", "previous"],
        **{**OPTIONS, "by": ["country"], "columns": [*OPTIONS["columns"], "country"]},
    )  # fmt: skip


def test_a_window_against_the_one_before_is_a_comparison_of_the_two(report: tg.Report) -> None:
    found = changes(report, "previous")
    # The first window has none before it; segments are told against the reference alone.
    assert {start[:7] for _, start in found} == {"2024-03", "2024-04"}
    assert all(r["segment_by"] is None for r in found.values())
    assert not any(r["decides"] for r in found.values())
    for before, now, start in zip(PARTS, PARTS[1:], ("2024-03", "2024-04"), strict=False):
        alone = changes(tg.drift(before, now, **OPTIONS), "reference")
        assert len(alone) >= 5
        for (statistic, _), expected in alone.items():
            (row,) = [r for (name, at), r in found.items() if name == statistic and at.startswith(start)]
            assert row["variance"] == expected["variance"] == "block:1d"
            for name in KEPT:
                assert row[name] == pytest.approx(expected[name], rel=1e-12), (statistic, start, name)


def test_the_page_tells_both_changes(report: tg.Report) -> None:
    page = report.render(".html").decode()
    assert "worse than before" in page
    assert "the same against the window before" in page
    # The sentence is on the reference: the second and third window are worse than it, not the third than the second.
    sentence = report.record["result"]["performance"]["sentence"]
    assert "roc_auc is worse beyond sampling error in 2 of 3 windows" in sentence


def test_without_that_baseline_there_are_none() -> None:
    alone = tg.drift(REFERENCE, pl.concat(PARTS), window="1mo", **OPTIONS)
    assert changes(alone, "previous") == {}
    assert "than before" not in alone.render(".html").decode()
