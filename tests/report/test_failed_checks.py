"""A check that fails is a limit that is not kept, and no difference."""

import re

import numpy as np
import polars as pl
import tidegauge as tg

CHECK = {"feature": "score", "statistic": "quantile_shift", "min": 5.0}


def same(**more: float) -> tg.Report:
    rng = np.random.default_rng(0)
    days = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 2, 23, 59), "1m", eager=True)
    table = pl.DataFrame({"ts": days, "score": rng.normal(size=len(days)), "x": rng.normal(size=len(days))})
    reference = tg.profile(table, time="ts", score="score", block="none")
    shifted = table.with_columns(pl.col("x") + more.get("x", 0.0), pl.col("score") + more.get("score", 0.0))
    current = tg.profile(shifted, like=reference, time="ts", window="1d", score="score")
    return tg.compare(reference, current, checks=[CHECK], baselines=["reference", "previous"])


def text(report: tg.Report) -> str:
    return re.sub(r"\s+", " ", report.render(".txt").decode())


def test_equal_data_with_a_failing_check_is_not_told_to_have_moved() -> None:
    report = same()
    assert {row["feature"] for row in report.failed} == {"score"}
    told = text(report)
    assert "Moved most" not in told
    assert "No column moved beyond its limits from the reference." in told
    assert "Of 1 check 1 fails: score" in told
    assert "Differs from the reference in 0 of 2 windows" in told
    assert "Differs from the reference in 0 of 2 windows" in re.sub(r"\s+", " ", report.to_markdown())


def test_what_moved_is_told_by_its_difference_and_not_by_its_check() -> None:
    told = text(same(score=1.0))
    assert re.search(r"Moved most: score \(at least [0-9.]+ % of the rows moved", told), told
    assert "Differs from the reference in 2 of 2 windows" in told
    told = text(same(x=1.0))
    assert re.search(r"Moved most: x \(at least [0-9.]+ % of the rows moved, 2024-01-0[12]\)\.", told), told


def test_messages_of_checks_are_short_and_rows_exact() -> None:
    rows = [row for row in same().rows if row["statistic"] == "check"]
    for row in rows:
        shown = re.match(r"quantile_shift is (-?[0-9.e-]+)", row["message"])
        assert shown, row["message"]
        assert len(re.sub(r"[-.]|^0\.?0*|e.*", "", shown[1])) <= 5
        assert abs(float(shown[1]) - row["value"]) <= 5e-4 * abs(row["value"])
        assert row["value"] == row["bound_low"] or row["exactness"] != "exact"
