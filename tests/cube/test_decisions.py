"""Rules beside tolerances: least rows, windows in a row, thresholds by policy, errors over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.errors import UsageError

DAY = 86_400_000_000
CUT: dict[str, Any] = {"time": "ts", "window": "1d", "block": "none"}


def days(shifts: list[float], rows: int, columns: int = 1, seed: int = 0, first: int = 0) -> pl.DataFrame:
    """Uniform columns over days; on a day, that share of the rows of every column moved from below to above."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(len(shifts)), rows)
    ts = (19_700 + first + day) * DAY + rng.integers(0, DAY, len(day))
    frame = {"ts": pl.Series(ts).cast(pl.Datetime("us"))}
    for i in range(columns):
        x = rng.random(len(day))
        moved = (x < 0.5) & (rng.random(len(day)) < 2 * np.asarray(shifts)[day])
        # A thousand values, so that profiles hold each exactly.
        frame[f"x{i}"] = pl.Series(np.floor(1000 * np.where(moved, x + 0.5, x)))
    return pl.DataFrame(frame)


def verdicts(report: tg.Report, statistic: str = "verdict", feature: str = "x0") -> list[str]:
    found = [row for row in report.rows if row["statistic"] == statistic and row["feature"] == feature]
    return [row["verdict"] for row in sorted(found, key=lambda row: row["window_start"])]


def test_fewest_rows() -> None:
    reference = tg.profile(days([0], 5000), time="ts")
    current = tg.profile(pl.concat([days([0.4], 90), days([0.4], 110, first=1)]), like=reference, **CUT)
    report = tg.compare(reference, current, decisions={"minimum_n": {"current": 100}})
    assert verdicts(report) == ["not_evaluated", "fail"]
    said = next(row for row in report.rows if row["statistic"] == "ks" and row["verdict"] == "not_evaluated")
    assert said["message"] == "90 current rows, at least 100 are asked for"
    assert said["decides"]
    assert said["value"] is not None
    report = tg.compare(reference, current, decisions={"minimum_n": {"reference": 5001}})
    assert set(verdicts(report)) == {"not_evaluated"}
    assert report.exit_code() == 5


def test_windows_in_a_row() -> None:
    reference = tg.profile(days([0], 5000), time="ts")
    current = tg.profile(days([0.4, 0, 0.4, 0.4, 0.4, 0], 1000), like=reference, **CUT)
    alone = tg.compare(reference, current)
    assert verdicts(alone) == ["fail", "ok", "fail", "fail", "fail", "ok"]
    report = tg.compare(reference, current, decisions={"consecutive": 3})
    assert verdicts(report) == ["warn", "ok", "warn", "warn", "fail", "ok"]
    # The deciding row keeps its own verdict; the verdict of the feature, which gates, says why it differs.
    assert verdicts(report, "ks") == ["fail", "ok", "fail", "fail", "fail", "ok"]
    held = [row["message"] for row in report.verdicts if row["verdict"] == "warn"]
    assert sorted(text.rpartition("; ")[2] for text in held) == [
        "raised in 1 of the 3 windows in a row that fail",
        "raised in 1 of the 3 windows in a row that fail",
        "raised in 2 of the 3 windows in a row that fail",
    ]
    assert tg.compare(reference, current, decisions={"consecutive": 4}).exit_code() == 0
    assert report.exit_code() == 1


def test_a_missing_column_fails_at_once() -> None:
    reference = tg.profile(days([0], 5000, columns=2), time="ts")
    current = tg.profile(days([0, 0], 1000), like=reference, **CUT)
    report = tg.compare(reference, current, decisions={"consecutive": 3})
    assert verdicts(report, feature="x1") == ["fail", "fail"]


def test_tolerances_by_statistic() -> None:
    missing = days([0, 0], 2000).with_columns(x0=pl.when(pl.col("x0") < 30).then(None).otherwise("x0"))
    reference = tg.profile(days([0], 5000), time="ts")
    current = tg.profile(missing, like=reference, **CUT)
    limits = {"x0": {"warn": 0.2, "fail": 0.3, "missing_rate": {"warn": 0.001, "fail": 0.01}}}
    report = tg.compare(reference, current, tolerances=limits)
    row = next(row for row in report.rows if row["statistic"] == "missing_rate")
    assert (row["warn_at"], row["fail_at"], row["threshold_source"]) == (0.001, 0.01, "configuration")
    assert verdicts(report) == ["fail", "fail"]
    assert verdicts(tg.compare(reference, current)) == ["warn", "warn"]
    with pytest.raises(UsageError, match='tolerance of "psi" of column "x0", which does not decide; accepted are ks'):
        tg.compare(reference, current, tolerances={"x0": {"psi": {"warn": 0.1, "fail": 0.2}}})
    with pytest.raises(UsageError, match="tolerance of missing_rate of 'x0'"):
        tg.compare(reference, current, tolerances={"x0": {"missing_rate": {"warn": 0.1}}})


def test_thresholds_from_the_windows_of_the_reference() -> None:
    train = days([0] * 40, 200, seed=1)
    reference = tg.profile(train, **CUT)
    current = tg.profile(days([0, 0.3], 200, seed=2, first=40), like=reference, **CUT)
    report = tg.compare(reference, current, decisions={"calibrated": {"warn": 0.1, "fail": 0.05}})
    quiet, moved = sorted((row for row in report.rows if row["statistic"] == "ks"), key=lambda row: row["window_start"])
    # Against brute force: each day against the rows of all other days.
    day = train["ts"].dt.date()
    ks = sorted(
        tg.stats.ks(train.filter(day != one)["x0"], train.filter(day == one)["x0"]).statistic for one in day.unique()
    )
    assert (moved["warn_at"], moved["fail_at"]) == pytest.approx((ks[40 - 4], ks[40 - 2]), rel=1e-12)
    assert moved["threshold_source"] == "calibrated"
    assert moved["null"] == "left-out-windows"
    assert moved["pvalue"] == 1 / 41
    assert moved["verdict"] == "fail"
    assert moved["message"] == "more than all but 5 % of 40 reference windows left out in turn"
    assert quiet["pvalue"] == (1 + sum(value >= quiet["value"] for value in ks)) / 41
    assert verdicts(report) == [quiet["verdict"], "fail"]
    whole = tg.drift(train, days([0, 0.3], 200, seed=2, first=40), decisions={"calibrated": {}}, **CUT)
    assert [row["fail_at"] for row in whole.rows] == [row["fail_at"] for row in report.rows]


def test_too_few_windows_of_the_reference() -> None:
    reference = tg.profile(days([0] * 12, 200, seed=1), **CUT)
    current = tg.profile(days([0.4], 200, seed=2, first=40), like=reference, **CUT)
    report = tg.compare(reference, current, decisions={"calibrated": {"warn": 0.1, "fail": 0.05}})
    assert verdicts(report) == ["warn"]
    assert "a false-alarm rate of 5 % needs 19" in report.verdicts[0]["message"]
    report = tg.compare(reference, current, decisions={"calibrated": {"warn": 0.02, "fail": 0.01}})
    assert verdicts(report) == ["inconclusive"]
    bare = tg.profile(days([0], 200), time="ts")
    with pytest.raises(UsageError, match="the windows of the reference, which has none"):
        tg.compare(bare, bare, decisions={"calibrated": {}})
    weekly = tg.profile(days([0.4], 200), like=reference, **{**CUT, "window": "1w"})
    with pytest.raises(UsageError, match='window is "1d" in the reference and "1w" in the current data'):
        tg.compare(reference, weekly, decisions={"calibrated": {}})


RULES: list[dict[str, Any]] = [
    {"over_time": "online_fdr"},
    {"over_time": "sequential"},
    {"consecutive": 2},
    {"consecutive": 2, "over_time": "online_fdr", "minimum_n": {"current": 60}},
    {"calibrated": {"warn": 0.2, "fail": 0.1}},
]


@settings(max_examples=25, deadline=None)
@given(
    shifts=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.45]), min_size=2, max_size=7),
    rules=st.sampled_from(RULES),
    seed=st.integers(0, 1000),
    later=st.integers(1, 3),
)
def test_a_later_window_changes_no_verdict(shifts: list[float], rules: dict[str, Any], seed: int, later: int) -> None:
    reference = tg.profile(days([0] * 12, 100, columns=2, seed=seed), **CUT)
    frame = days(shifts, 80, columns=2, seed=seed + 1, first=100)
    early = frame.filter(pl.col("ts").dt.epoch("d") < 19_800 + max(1, len(shifts) - later))
    baselines = ["reference", "previous", "expanding"]
    reports = [
        tg.compare(reference, tg.profile(rows, like=reference, **CUT), decisions=rules, baselines=baselines)
        for rows in (frame, early)
    ]
    closed = {row["window_start"] for row in reports[1].rows}
    found = [[{**row, "run_id": None} for row in report.rows if row["window_start"] in closed] for report in reports]
    assert found[0] == found[1]


def test_false_discoveries_over_all_windows() -> None:
    """Levels add up: windows without drift at the edge of a tolerance of zero raise no more than the level."""
    raised = {"window": 0, "online_fdr": 0}
    for seed in range(30):
        reference = tg.profile(days([0], 4000, columns=5, seed=seed), time="ts")
        current = tg.profile(days([0] * 40, 100, columns=5, seed=1000 + seed), like=reference, **CUT)
        limits = {f"x{i}": {"warn": 0.0, "fail": 0.0} for i in range(5)}
        for name in raised:
            report = tg.compare(reference, current, tolerances=limits, decisions={"over_time": name})
            raised[name] += any(row["verdict"] == "fail" for row in report.rows if row["statistic"] == "ks")
    assert raised["online_fdr"] <= 4
    assert raised["window"] > raised["online_fdr"]


def test_any_false_alarm_over_all_windows() -> None:
    """With a tolerance of zero and a small reference, its error shows in every window; it is no alarm."""
    raised = {"window": 0, "sequential": 0}
    for seed in range(12):
        reference = tg.profile(days([0], 300, columns=2, seed=seed), time="ts")
        current = tg.profile(days([0] * 100, 300, columns=2, seed=1000 + seed), like=reference, **CUT)
        limits = {f"x{i}": {"warn": 0.0, "fail": 0.0} for i in range(2)}
        for name in raised:
            report = tg.compare(reference, current, tolerances=limits, decisions={"over_time": name})
            raised[name] += any(row["verdict"] == "fail" for row in report.rows if row["statistic"] == "ks")
    assert raised["sequential"] == 0
    assert raised["window"] >= 6


def test_evidence_adds_up_and_a_late_change_is_found() -> None:
    reference = tg.profile(days([0], 20_000), time="ts")
    current = tg.profile(days([0] * 30 + [0.25] * 6, 400, seed=5), like=reference, **CUT)
    report = tg.compare(reference, current, decisions={"over_time": "sequential"})
    found = verdicts(report)
    assert set(found[:30]) <= {"ok", "inconclusive"}
    assert "fail" in found[30:33]
    said = [row["message"] for row in report.rows if row["statistic"] == "ks" and row["verdict"] == "fail"]
    assert all(text.startswith("e-values ") and " from 3" in text for text in said)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"consecutiv": 2}, r"unknown key 'decisions.consecutiv'; did you mean 'consecutive'\?"),
        ({"consecutive": 0}, "decisions.consecutive: 0: expected 'int' >= 1"),
        ({"over_time": "fdr"}, "decisions.over_time: 'fdr' is not accepted"),
        ({"calibrated": {"warn": 0.05, "fail": 0.1}}, "accepted are 0 < fail <= warn < 1"),
        ({"calibrated": {}, "over_time": "sequential"}, "calibrated thresholds hold in each window"),
    ],
)
def test_refusals(rules: dict[str, Any], told: str) -> None:
    reference = tg.profile(days([0, 0], 50), **CUT)
    with pytest.raises(UsageError, match=told):
        tg.compare(reference, reference, decisions=rules)


def test_rules_about_the_reference_need_it() -> None:
    reference = tg.profile(days([0, 0], 50), **CUT)
    with pytest.raises(UsageError, match='over_time = "sequential" is told from the reference'):
        tg.compare(reference, reference, baselines=["previous"], decisions={"over_time": "sequential"})
