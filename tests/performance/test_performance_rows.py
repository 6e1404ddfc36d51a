"""Performance rows of drift and run: scikit-learn by window and group, laws, and bad data."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from sklearn import metrics as sk
from tidegauge.errors import ConfigError, UsageError

EXAMPLES = Path(__file__).parents[2] / "examples"
FLIGHTS = EXAMPLES / "nycflights13"
START = dt.datetime(2024, 1, 1)


def rows_of(report: tg.Report, statistic: str, **where: Any) -> list[dict[str, Any]]:
    where = {"segment_by": None, **where}
    found = [r for r in report.rows if r["statistic"] == statistic and r["kind"] in ("performance", "fairness")]
    return [r for r in found if all(r[name] == value for name, value in where.items())]


def one(report: tg.Report, statistic: str, **where: Any) -> dict[str, Any]:
    (row,) = rows_of(report, statistic, **where)
    return row


def log(seed: int, n: int = 4000, *, days: int = 40, noise: float = 1.0) -> pl.DataFrame:
    """Scores that are calibrated where `noise` is 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    p = 1 / (1 + np.exp(-x))
    return pl.DataFrame(
        {
            "ts": [START + dt.timedelta(minutes=int(m)) for m in np.sort(rng.integers(0, days * 1440, n))],
            "country": rng.choice(["DE", "FR", "IT"], n, p=[0.6, 0.3, 0.1]),
            "sex": rng.choice(["f", "m"], n),
            "x": x,
            "score": np.clip(p if noise == 1.0 else 1 / (1 + np.exp(-x + noise * rng.normal(size=n))), 0, 1),
            "label": (rng.random(n) < p).astype(np.int8),
        }
    )


@pytest.fixture(scope="module")
def flights() -> tg.Report:
    columns = ["ts", "carrier", "label", "score"]
    return tg.drift(
        str(FLIGHTS / "reference.parquet"),
        str(FLIGHTS / "current.parquet"),
        columns=columns,
        time="ts",
        label="label",
        score="score",
        window="1mo",
        time_zone="America/New_York",
        by="carrier",
        block="1d",
    )


def month(frame: pl.DataFrame, start: str, carrier: str | None) -> pl.DataFrame:
    begin = dt.datetime.fromisoformat(start)
    local = begin.astimezone(ZoneInfo("America/New_York"))
    end = local.replace(year=local.year + local.month // 12, month=local.month % 12 + 1)
    inside = (pl.col("ts") >= begin.astimezone(dt.UTC)) & (pl.col("ts") < end.astimezone(dt.UTC))
    return frame.filter(inside if carrier is None else inside & (pl.col("carrier") == carrier))


ORACLES = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
}
LABELS: dict[str, Any] = {"log_loss": {"labels": [0, 1]}}


@pytest.mark.parametrize("carrier", [None, "UA", "HA", "AS"])
def test_every_window_and_segment_has_the_numbers_of_scikit_learn(flights: tg.Report, carrier: str | None) -> None:
    current = pl.read_parquet(FLIGHTS / "current.parquet", columns=["ts", "carrier", "label", "score"])
    current = current.with_columns(pl.col("carrier").cast(pl.String))
    where = {"segment_by": None} if carrier is None else {"segment_by": "carrier", "segment_value": carrier}
    checked = 0
    for statistic, oracle in ORACLES.items():
        found = rows_of(flights, statistic, **where)
        assert len(found) == 7
        for row in found:
            part = month(current, row["window_start"], carrier)
            used = part.drop_nulls("label")
            if row["value"] is None:
                assert used["label"].n_unique() < 2
                assert "class" in row["message"] or "positive" in row["message"]
                continue
            assert row["n_current"] == used.height
            value = oracle(used["label"].to_numpy(), used["score"].to_numpy(), **LABELS.get(statistic, {}))
            # Sums are exact and scikit-learn's are not: 1e-12 of the value. Rankings beyond the cells that are
            # kept lie within their bounds.
            assert row["bound_low"] - 1e-12 <= value <= row["bound_high"] + 1e-12
            if row["exactness"] == "exact":
                assert row["value"] == pytest.approx(value, rel=1e-12)
            assert row["ci_low"] < row["value"] < row["ci_high"]
            assert row["variance"] == "block:1d"
            checked += 1
            coverage = one(flights, "label_coverage", window_start=row["window_start"], **where)
            assert coverage["value"] == pytest.approx(used.height / part.height, rel=1e-15)
            assert coverage["n_current"] == part.height
    assert checked >= 26


def test_a_change_is_the_difference_of_both_sides_with_both_errors(flights: tg.Report) -> None:
    reference = pl.read_parquet(FLIGHTS / "reference.parquet", columns=["label", "score"]).drop_nulls("label")
    value = sk.log_loss(reference["label"].to_numpy(), reference["score"].to_numpy())
    told = flights.performance["reference"]
    before = next(r for r in told if r["statistic"] == "log_loss" and r["segment_by"] is None)
    assert before["value"] == pytest.approx(value, rel=1e-12)
    now = {r["window_start"]: r for r in rows_of(flights, "log_loss")}
    for row in rows_of(flights, "log_loss_change"):
        window = now[row["window_start"]]
        assert row["value"] == pytest.approx(window["value"] - before["value"], abs=1e-14)
        assert row["n_reference"] == reference.height
        assert row["n_current"] == window["n_current"]
        own = window["ci_high"] - window["ci_low"]
        assert row["ci_high"] - row["ci_low"] > own
        assert row["ci_low"] < row["value"] < row["ci_high"]


def test_days_are_the_draws_of_a_log_whose_rows_hang_together(flights: tg.Report) -> None:
    independent = tg.drift(
        str(FLIGHTS / "reference.parquet"), str(FLIGHTS / "current.parquet"), columns=["ts", "label", "score"],
        time="ts", label="label", score="score", window="1mo", time_zone="America/New_York", block="none",
    )  # fmt: skip
    for blocked, row in zip(rows_of(flights, "log_loss"), rows_of(independent, "log_loss"), strict=True):
        assert row["variance"] == "iid"
        assert blocked["value"] == row["value"]
        assert blocked["ci_high"] - blocked["ci_low"] > 1.5 * (row["ci_high"] - row["ci_low"])


def test_files_order_threads_and_sources_leave_one_digest(tmp_path: Path) -> None:
    reference, current = log(1), log(2)
    shuffled = current.sample(fraction=1.0, shuffle=True, seed=3)
    current.write_parquet(tmp_path / "one.parquet", row_group_size=700)
    current.write_csv(tmp_path / "one.csv")
    (tmp_path / "many").mkdir()
    for i in range(7):
        shuffled[i::7].write_parquet(tmp_path / "many" / f"{i}.parquet", row_group_size=97)
    options: dict[str, Any] = {
        "time": "ts", "label": "label", "score": "score", "window": "1w", "by": ["country"], "block": "1d",
    }  # fmt: skip
    found = []
    for data in (current, shuffled, str(tmp_path / "one.parquet"), str(tmp_path / "many" / "*.parquet"),
                 str(tmp_path / "one.csv"), current.lazy(), current.to_arrow(), current.to_pandas()):  # fmt: skip
        for threads in (1, 3):
            report = tg.drift(reference, data, threads=threads, **options)
            rows = [{**r, "run_id": None} for r in report.rows if r["kind"] == "performance"]
            found.append((report.performance["digests"], json.dumps(rows, sort_keys=True)))
    assert len({json.dumps(digests, sort_keys=True) for digests, _ in found}) == 1
    assert len({rows for _, rows in found}) == 1


def test_weights_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    reference, current = (log(s).with_columns(w=pl.Series(rng.exponential(size=4000))) for s in (1, 2))
    report = tg.drift(reference, current, label="label", score="score", weight="w", block="none")
    y, s, w = (current[name].to_numpy() for name in ("label", "score", "w"))
    for statistic, oracle in ORACLES.items():
        row = one(report, statistic)
        assert row["value"] == pytest.approx(oracle(y, s, sample_weight=w), rel=1e-9)
        kish = w.sum() ** 2 / (w**2).sum()
        if statistic in ("log_loss", "brier"):
            # Squares of weights, which variances alone take, keep 44 bits below the largest that is accepted.
            assert row["n_eff_current"] == pytest.approx(kish, rel=1e-5)


def test_a_regression_by_week() -> None:
    report = tg.run(
        {
            "reference": {"path": str(EXAMPLES / "bike_2011" / "reference.parquet")},
            "current": {"path": str(EXAMPLES / "bike_2011" / "current.parquet"), "window": "1w"},
            "roles": {"time": "ts", "label": "label", "score": "score", "columns": ["ts", "label", "score"]},
        }
    )
    current = pl.read_parquet(EXAMPLES / "bike_2011" / "current.parquet")
    oracles = {
        "rmse": sk.root_mean_squared_error,
        "mae": sk.mean_absolute_error,
        "r2": sk.r2_score,
        "observed_over_expected": lambda y, f: y.sum() / f.sum(),
    }
    for statistic, oracle in oracles.items():
        found = rows_of(report, statistic)
        assert len(found) > 20
        for row in found:
            begin = dt.datetime.fromisoformat(row["window_start"]).replace(tzinfo=None)
            part = current.filter((pl.col("ts") >= begin) & (pl.col("ts") < begin + dt.timedelta(days=7)))
            value = oracle(part["label"].to_numpy(), part["score"].to_numpy())
            assert row["value"] == pytest.approx(value, rel=1e-10)


def test_predicted_classes_alone(tmp_path: Path) -> None:
    def classes(seed: int) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        label = rng.choice(["cat", "dog", "eel"], 900)
        guess = np.where(rng.random(900) < 0.7, label, rng.choice(["cat", "dog", "eel"], 900))
        return pl.DataFrame({"label": label, "predicted": guess})

    for side, data in (("reference", classes(1)), ("current", classes(2))):
        data.write_parquet(tmp_path / f"{side}.parquet")
    report = tg.run(
        {
            "reference": {"path": str(tmp_path / "reference.parquet")},
            "current": {"path": str(tmp_path / "current.parquet")},
            "roles": {"label": "label", "prediction": "predicted"},
            "performance": {"classes": ["cat", "dog", "eel"]},
        }
    )
    y, f = classes(2)["label"].to_numpy(), classes(2)["predicted"].to_numpy()
    assert one(report, "accuracy")["value"] == pytest.approx(sk.accuracy_score(y, f), rel=1e-12)
    assert one(report, "f1")["value"] == pytest.approx(sk.f1_score(y, f, average="macro"), rel=1e-12)
    assert one(report, "balanced_accuracy")["value"] == pytest.approx(sk.balanced_accuracy_score(y, f), rel=1e-12)


def test_groups_of_protected_columns_are_those_of_a_count() -> None:
    reference, current = log(1), log(2)
    current = current.with_columns(
        score=pl.when(pl.col("sex") == "f").then(pl.col("score") * 0.8).otherwise(pl.col("score"))
    )
    report = run(reference, current, performance={"protected": ["sex"]}, roles={"block": "none"})
    chosen = current.with_columns(picked=pl.col("score") >= 0.5)
    rates = {k[0]: g["picked"].mean() for k, g in chosen.group_by("sex")}
    found = {k[0]: g.filter(pl.col("label") == 1)["picked"].mean() for k, g in chosen.group_by("sex")}
    for sex in ("f", "m"):
        where = {"segment_by": "sex", "segment_value": sex}
        assert one(report, "selection_rate", **where)["value"] == pytest.approx(rates[sex], rel=1e-12)
        assert one(report, "true_positive_rate", **where)["value"] == pytest.approx(found[sex], rel=1e-12)
        ratio = one(report, "adverse_impact_ratio", **where)
        assert ratio["value"] == pytest.approx(rates[sex] / rates["m"], rel=1e-12)
    assert one(report, "adverse_impact_ratio", segment_by="sex", segment_value="f")["ci_high"] < 0.9
    checked = run(
        reference, current, performance={"protected": ["sex"]}, roles={"block": "none"},
        checks=[{"feature": "score", "statistic": "adverse_impact_ratio", "min": 0.8}],
    )  # fmt: skip
    verdicts = {r["segment_value"]: r["verdict"] for r in checked.rows if r["statistic"] == "check"}
    assert verdicts == {"f": "fail", "m": "ok"}


def run(before: pl.DataFrame, now: pl.DataFrame, **sections: Any) -> tg.Report:
    import tempfile

    folder = Path(tempfile.mkdtemp())
    for name, frame in (("reference", before), ("current", now)):
        frame.write_parquet(folder / f"{name}.parquet")
    roles = {"label": "label", "score": "score", "time": "ts", **sections.pop("roles", {})}
    current_section = {"path": str(folder / "current.parquet"), **sections.pop("current", {})}
    return tg.run(
        {
            "reference": {"path": str(folder / "reference.parquet")},
            "current": current_section,
            "roles": roles,
            **sections,
        }
    )


def test_a_check_judges_the_interval_and_segments_where_asked() -> None:
    reference, current = log(1), log(2)
    value = sk.roc_auc_score(current["label"], current["score"])

    def verdicts(**limits: Any) -> dict[str | None, str]:
        check = {"feature": "score", "statistic": "roc_auc", **limits}
        report = run(reference, current, current={"by": ["country"]}, checks=[check])
        assert report.verdict != "inconclusive" or "min" in limits
        return {r["segment_value"]: r["verdict"] for r in report.rows if r["statistic"] == "check"}

    assert verdicts(min=value - 0.1) == {None: "ok"}
    assert verdicts(min=value + 0.1) == {None: "fail"}
    assert verdicts(min=value - 0.001) == {None: "inconclusive"}
    assert verdicts(min=value + 0.2, segments=True) == dict.fromkeys([None, "DE", "FR", "IT"], "fail")


def test_a_tolerance_judges_the_worsening_and_not_an_improvement() -> None:
    good, bad = log(1), log(2, noise=3.0)
    columns = {"score": {"tolerances": {"roc_auc_worsening": {"warn": 0.02, "fail": 0.05}}}}
    roles = {"columns": ["ts", "label", "score"], "block": "none"}

    def row(reference: pl.DataFrame, current: pl.DataFrame) -> dict[str, Any]:
        report = run(reference, current, columns=columns, roles=roles)
        (found,) = [r for r in report.rows if r["statistic"] == "roc_auc_worsening"]
        assert found["decides"]
        assert found["warn_at"] == 0.02
        assert found["threshold_source"] == "configuration"
        return found

    worse = row(good, bad)
    expected = sk.roc_auc_score(good["label"], good["score"]) - sk.roc_auc_score(bad["label"], bad["score"])
    assert worse["verdict"] == "fail"
    assert worse["value"] == pytest.approx(expected, abs=1e-12)
    assert row(bad, good)["verdict"] == "ok"
    with pytest.raises(UsageError, match="no better side"):
        run(
            good, bad, roles=roles, performance={"metrics": ["observed_over_expected"]},
            columns={"score": {"tolerances": {"observed_over_expected_worsening": {"warn": 0.1, "fail": 0.2}}}},
        )  # fmt: skip


def test_one_day_alone_takes_the_design_effect_of_the_reference() -> None:
    report = run(log(1), log(2), current={"window": "1d"}, roles={"block": "1d"})
    found = rows_of(report, "log_loss")
    assert len(found) == 40
    assert {r["variance"] for r in found} == {"block:1d of the reference"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.with_columns(label=pl.lit(None, dtype=pl.Int8)), "no row has both a label and a prediction"),
        (lambda d: d.with_columns(label=pl.lit("yes")), "label column 'label' is string, and its classes are numbers"),
        (lambda d: d.drop("label"), 'label column "label" is not in the data'),
    ],
)
def test_labels_that_cannot_be_used_are_told(change: Any, reason: str) -> None:
    # Roles are inferred from the reference: a column that is given one must be in both tables.
    report = tg.drift(log(1), change(log(2)))
    told = [str(r["message"]) for r in report.rows if r["kind"] == "performance"]
    assert any(reason.replace("'", '"') in message for message in told), told
    assert not rows_of(report, "roc_auc") or rows_of(report, "roc_auc")[0]["value"] is None
    report.render(".html")


def test_no_label_on_either_side_is_told() -> None:
    bare = [log(s).with_columns(label=pl.lit(None, dtype=pl.Int8)) for s in (1, 2)]
    row = one(tg.drift(*bare, label="label", score="score"), "label_coverage")
    assert row["verdict"] == "not_evaluated"
    assert "no row of either side has a label" in row["message"]
    assert tg.drift(log(1).drop("label"), log(2).drop("label")).performance is None


def test_one_class_a_third_class_and_scores_beyond_one_are_told() -> None:
    current = log(2)
    first = START + dt.timedelta(days=7)
    one_class = current.with_columns(
        label=pl.when(pl.col("ts") < first).then(0).otherwise(pl.col("label")).cast(pl.Int8)
    )
    report = tg.drift(log(1), one_class, label="label", score="score", time="ts", window="1w", block="1d")
    auc = rows_of(report, "roc_auc")
    assert auc[0]["value"] is None
    assert "class" in auc[0]["message"]
    assert auc[1]["value"] is not None
    assert rows_of(report, "log_loss")[0]["value"] is not None
    third = current.with_columns(label=pl.when(pl.col("x") > 3).then(2).otherwise(pl.col("label")).cast(pl.Int8))
    row = one(tg.drift(log(1), third, label="label", score="score"), "roc_auc")
    assert row["value"] is None
    assert "none of the classes, such as 2" in row["message"]
    beyond = current.with_columns(score=pl.col("score") * 3)
    report = tg.drift(log(1), beyond, label="label", score="score")
    assert "range" in one(report, "log_loss")["message"]
    assert one(report, "log_loss")["value"] is None
    assert one(report, "roc_auc")["value"] is not None


def test_profiles_and_streams_that_come_once_are_told() -> None:
    reference, current = log(1), log(2)
    profile = tg.profile(reference, label="label", score="score")
    row = one(tg.drift(profile, tg.profile(current, like=profile)), "label_coverage")
    assert "a profile holds no labels beside scores" in row["message"]
    report = tg.drift(profile, current)
    assert one(report, "roc_auc")["value"] is not None
    assert not rows_of(report, "roc_auc_change")
    once = current.to_arrow().to_reader()
    assert "comes once" in one(tg.drift(reference, once, label="label", score="score"), "label_coverage")["message"]


def test_metrics_and_threshold_of_the_configuration_change_the_answer() -> None:
    reference, current = log(1), log(2)
    named = run(reference, current, performance={"metrics": ["precision", "recall"], "threshold": 0.7})
    y, s = current["label"].to_numpy(), current["score"].to_numpy()
    assert one(named, "precision")["value"] == pytest.approx(sk.precision_score(y, s >= 0.7), rel=1e-12)
    assert not rows_of(named, "roc_auc")
    usual = run(reference, current, performance={"threshold": 0.5})
    assert one(usual, "recall")["value"] == pytest.approx(sk.recall_score(y, s >= 0.5), rel=1e-12)
    assert run(reference, current, performance={"enabled": False}).performance is None
    with pytest.raises(ConfigError, match="roc_auk"):
        run(reference, current, performance={"metrics": ["roc_auk"]})
    with pytest.raises(UsageError, match="defined for regression"):
        run(reference, current, performance={"metrics": ["rmse"]})


def test_the_bins_of_the_score_are_those_of_a_count() -> None:
    current = log(2)
    report = tg.drift(log(1), current, label="label", score="score", block="none")
    (side,) = [s for s in report.performance["reliability"] if s["side"] == "current"]
    for i, found in enumerate(side["bins"]):
        low, high = i / 10, (i + 1) / 10
        part = current.filter((pl.col("score") >= low) & (pl.col("score") < high if i < 9 else True))
        assert found["rows"] == part.height
        assert found["mean_score"] == pytest.approx(part["score"].mean(), rel=1e-12)
        assert found["observed"] == pytest.approx(part["label"].mean(), rel=1e-12)
        assert found["ci_low"] <= found["observed"] <= found["ci_high"]


def test_the_sentence_joins_drift_and_performance() -> None:
    good, moved, bad = log(1), log(2).filter(pl.col("x") > 0), log(3, noise=3.0)
    told = [
        tg.drift(good, d, label="label", score="score", columns=["x", "label", "score"]) for d in (log(4), moved, bad)
    ]
    sentences = [report.record["result"]["performance"]["sentence"] for report in told]
    assert sentences[0].startswith("No input moved, and roc_auc did not get worse beyond sampling error: it is ")
    assert sentences[1].startswith("Inputs moved (1 of 1 columns beyond their limits)")
    assert sentences[2].startswith("No input moved; performance fell: roc_auc is worse beyond sampling error")
    page = told[2].render(".html").decode()
    assert sentences[2] in page
    assert "Calibration" in page
