"""Contributions of cells add up to the value, and are what plain counting says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from tidegauge.errors import UsageError

LOG = Path(__file__).parents[2] / "examples" / "nycflights13"
TABLE = ["chi_square", "hellinger", "jensen_shannon", "kullback_leibler", "psi", "total_variation"]
ORDERED = ["ks", "wasserstein"]


@pytest.fixture(scope="module")
def report() -> tg.Report:
    options: dict[str, Any] = {
        "time": "ts", "label": "label", "score": "score", "by": ["origin"], "block": "1d",
        "columns": ["ts", "label", "score", "temp", "visib", "carrier", "origin", "tailnum", "month"],
        "categorical": ["tailnum"],
    }  # fmt: skip
    reference = tg.profile(str(LOG / "reference.parquet"), **options)
    current = tg.profile(
        str(LOG / "current.parquet"), like=reference, window="1mo", time_zone="America/New_York", **options
    )
    return tg.compare(reference, current, baselines=["reference", "previous"], segment_baselines=["previous"])


@pytest.mark.parametrize(
    ("feature", "statistic"),
    [(f, s) for f in ("temp", "visib", "score") for s in (*ORDERED, *TABLE[1:])] + [("carrier", s) for s in TABLE],
)
def test_contributions_add_up_to_the_value(report: tg.Report, feature: str, statistic: str) -> None:
    frame = report.contributions(feature, statistic)
    key = ["baseline", "window_start", "segment_value"]
    sums = frame.group_by(key, maintain_order=True).agg(
        pl.col("contribution").sum(), pl.col("value").first(), pl.col("share_reference", "share_current").sum()
    )
    # Seven months, three airports and all, against the reference and six months against the one before.
    assert len(sums) == (7 + 6) * 4
    for row in sums.iter_rows(named=True):
        # Areas carry the rounding of the values themselves.
        rel = 1e-9 if statistic == "wasserstein" else 1e-12
        assert row["contribution"] == pytest.approx(row["value"], rel=rel, abs=1e-15)
        assert row["share_reference"] == pytest.approx(1)
        assert row["share_current"] == pytest.approx(1)
    told = {
        (row["baseline"], row["window_start"], row["segment_value"]): row["value"]
        for row in report.to_polars().iter_rows(named=True)
        if row["feature"] == feature and row["statistic"] == statistic
    }
    assert told
    found = {tuple(row[name] for name in key): row["value"] for row in sums.iter_rows(named=True)}
    assert {name: found[name] for name in told} == told


def test_against_plain_counting() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.choice(["u", "v", "w"], 500, p=[0.5, 0.3, 0.2]), rng.choice(["u", "v", "w"], 300, p=[0.3, 0.3, 0.4])
    reference = tg.profile({"x": a})
    current = tg.profile({"x": b}, like=reference)
    n, m = (np.array([np.sum(side == value) for value in "uvw"]) for side in (a, b))
    p, q = n / 500, m / 300
    smooth_p, smooth_q = (n + 0.5) / (500 + 1.5), (m + 0.5) / (300 + 1.5)
    expected = {
        "total_variation": abs(p - q) / 2,
        "psi": (smooth_q - smooth_p) * np.log(smooth_q / smooth_p),
        "chi_square": (p - q) ** 2 / ((n + m) / (500 * 300)),
        "hellinger": (np.sqrt(p) - np.sqrt(q)) ** 2 / 2 / math.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2),
    }
    for name, values in expected.items():
        frame = tg.contributions(reference, current, "x", name).sort("label")
        assert frame["contribution"].to_list() == pytest.approx(list(values), rel=1e-9), name
        assert frame["n_current"].to_list() == list(m)


def test_ks_is_signed_up_to_where_it_is_attained() -> None:
    reference = tg.profile({"x": np.arange(1000.0)})
    current = tg.profile({"x": np.r_[np.arange(200, 700), np.arange(400, 600)].astype(float)}, like=reference)
    frame = tg.contributions(reference, current, "x", "ks")
    value = frame["value"][0]
    assert frame["contribution"].sum() == pytest.approx(value, rel=1e-12)
    moved = (frame["share_reference"] - frame["share_current"]).cum_sum()
    assert moved.abs().max() <= value + 1e-12
    assert frame["low"][0] is None
    assert frame["high"][-1] is None


def test_rare_categories_are_not_named() -> None:
    values = ["a"] * 40 + ["b"] * 30 + ["secret"] * 4 + ["hidden"] * 9
    reference = tg.profile({"x": values})
    current = tg.profile({"x": values[5:]}, like=reference)
    frame = tg.contributions(reference, current, "x")
    assert frame["label"].to_list() == ["a", "b", "2 rare values"]
    assert frame["kind"].to_list() == ["value", "value", "rare"]
    assert frame["n_reference"].to_list() == [40, 30, 13]
    assert frame["contribution"].sum() == pytest.approx(frame["value"][0])
    assert "secret" in tg.contributions(reference, current, "x", min_count=1)["label"]


def test_rows_are_written_and_read(report: tg.Report, tmp_path: Path) -> None:
    frame = report.contributions("carrier", "psi")
    frame.write_parquet(tmp_path / "psi.parquet")
    assert pl.read_parquet(tmp_path / "psi.parquet").equals(frame)
    assert frame.schema["window_start"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("feature", "statistic", "told"),
    [
        ("nothing", None, 'column "nothing"; accepted are columns of both profiles'),
        ("temp", "welch_t", '"welch_t" is no sum over cells; accepted are chi_square'),
        ("carrier", "ks", 'ks of column "carrier"; accepted are statistics of categorical columns'),
    ],
)
def test_refusals(report: tg.Report, feature: str, statistic: str | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        report.contributions(feature, statistic)
