"""Paired differences against scikit-learn, brute force, the jackknife and the bootstrap; decisions and joins."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from sklearn import metrics as sk
from tidegauge import _core
from tidegauge.cli import invoke
from tidegauge.errors import UsageError

CURRENT = Path(__file__).resolve().parents[2] / "examples" / "nycflights13" / "current.parquet"

BINARY: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda y, s: sk.accuracy_score(y, s >= 0.5),
    "average_precision": sk.average_precision_score,
    "balanced_accuracy": lambda y, s: sk.balanced_accuracy_score(y, s >= 0.5),
    "brier": sk.brier_score_loss,
    "f1": lambda y, s: sk.f1_score(y, s >= 0.5),
    "log_loss": sk.log_loss,
    "mcc": lambda y, s: sk.matthews_corrcoef(y, s >= 0.5),
    "precision": lambda y, s: sk.precision_score(y, s >= 0.5),
    "recall": lambda y, s: sk.recall_score(y, s >= 0.5),
    "roc_auc": sk.roc_auc_score,
    "specificity": lambda y, s: sk.recall_score(1 - y, s < 0.5),
}
NUMBERS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mae": sk.mean_absolute_error,
    "mse": sk.mean_squared_error,
    "r2": sk.r2_score,
    "rmse": sk.root_mean_squared_error,
}
ALL = {**BINARY, **NUMBERS}


def two_models(seed: int, n: int, better: float = 0.3, ties: bool = False) -> dict[str, np.ndarray]:
    """One latent signal that both models see with noise of their own."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    y = (signal + rng.normal(size=n) > 0.3).astype(int)
    shared = rng.normal(size=n)

    def score(noise: float) -> np.ndarray:
        x = 1 / (1 + np.exp(-(signal + 0.5 * shared + noise * rng.normal(size=n))))
        return np.round(x, 1) if ties else x

    return {"y": y, "a": score(1.0), "b": score(1.0 - better)}


def found(data: dict[str, np.ndarray], metric: str, **options: object) -> tg.ModelComparison:
    y = "x" if metric in NUMBERS else "y"
    data = data | {"x": np.asarray(data["y"]) + 0.25 * np.asarray(data["a"])}
    return tg.compare_models(data, label=y, a="a", b="b", metrics=[metric], **options)


def test_every_paired_metric_has_an_oracle() -> None:
    assert _core.paired_metrics() == sorted(ALL)


@pytest.mark.parametrize(("metric", "ties"), [
    *((name, False) for name in ALL), ("roc_auc", True), ("average_precision", True),
])  # fmt: skip
def test_values_are_scikit_learns_and_errors_the_jackknifes(metric: str, ties: bool) -> None:
    data = two_models(3, 120, ties=ties)
    row = found(data, metric).rows[0]
    y = data["y"] + 0.25 * data["a"] if metric in NUMBERS else data["y"]
    a, b = ALL[metric](y, data["a"]), ALL[metric](y, data["b"])
    assert (row.a, row.b) == pytest.approx((a, b), rel=1e-12)
    assert row.difference == pytest.approx(b - a, abs=1e-13)

    def difference(keep: np.ndarray) -> float:
        return ALL[metric](y[keep], data["b"][keep]) - ALL[metric](y[keep], data["a"][keep])

    rows = np.arange(120)
    without = np.array([difference(rows != i) for i in rows])
    jackknife = np.sqrt(119 / 120 * np.sum((without - without.mean()) ** 2))
    # Both are right to first order in 1/n; smooth means agree to rounding, ratios to about 1/n, and precision at the
    # highest scores, which few rows make, to about 10/n: 7 % at 120 rows, 1 % at 1,200.
    assert row.standard_error == pytest.approx(jackknife, rel=0.1 if metric == "average_precision" else 0.03)
    assert row.ci_low < row.difference < row.ci_high


def test_area_is_delongs_paired_test() -> None:
    data = two_models(7, 500, ties=True)
    pos, neg = data["y"] == 1, data["y"] == 0
    placements = []
    for model in ("a", "b"):
        s = data[model]
        wins = (s[pos][:, None] > s[neg][None]) + 0.5 * (s[pos][:, None] == s[neg][None])
        placements.append((wins.mean(1), wins.mean(0)))
    (pa, na), (pb, nb) = placements
    delong = np.sqrt(np.var(pb - pa, ddof=1) / pos.sum() + np.var(nb - na, ddof=1) / neg.sum())
    row = found(data, "roc_auc").rows[0]
    assert row.difference == pytest.approx(pb.mean() - pa.mean(), abs=1e-14)
    # DeLong divides by one less in each class, we over all rows.
    assert row.standard_error == pytest.approx(delong, rel=2 / min(pos.sum(), neg.sum()))


@pytest.mark.parametrize("metric", ["accuracy", "recall", "specificity"])
def test_paired_shares_have_the_limits_of_agresti_and_min(metric: str) -> None:
    data = two_models(11, 120, better=0.1)
    y = data["y"]
    counts = {"accuracy": y >= 0, "recall": y == 1, "specificity": y == 0}[metric]
    right = [((data[m] >= 0.5) == (y == 1))[counts] for m in ("a", "b")]
    n, c, b = counts.sum() + 2, np.sum(right[1] & ~right[0]) + 1, np.sum(right[0] & ~right[1]) + 1
    from scipy import stats

    half = stats.t.isf(0.025, 119) * np.sqrt(((c + b) / n - ((c - b) / n) ** 2) / n)
    row = found(data, metric).rows[0]
    assert (row.ci_low, row.ci_high) == pytest.approx(((c - b) / n - half, (c - b) / n + half), rel=1e-9)


def test_equal_models_differ_by_nothing() -> None:
    data = two_models(1, 300)
    data["b"] = data["a"]
    for metric in ALL:
        row = found(data, metric, max_drop={metric: 0.05}).rows[0]
        assert row.difference == 0.0
        assert row.ci_low <= 0.0 <= row.ci_high
        assert row.decision == "allow"


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_intervals_hold_as_often_as_they_say(metric: str) -> None:
    truth = two_models(99, 400_000, better=0.4)
    value = ALL[metric](truth["y"], truth["b"]) - ALL[metric](truth["y"], truth["a"])
    runs, held = 200, 0
    for seed in range(runs):
        row = found(two_models(seed, 300, better=0.4), metric).rows[0]
        held += row.ci_low <= value <= row.ci_high
    # Binomial(200, .95): 99.9 % of the counts lie between 89 % and 99.5 %.
    assert 0.89 <= held / runs <= 0.995


def test_blocks_are_the_units() -> None:
    rng = np.random.default_rng(5)
    data = two_models(5, 60)
    block = rng.integers(0, 12, 60)
    # Each row ten times: rows alone would be far too sure, blocks know better.
    many = {name: np.repeat(values, 10) for name, values in {**data, "who": block}.items()}
    once = tg.compare_models(data | {"who": block}, label="y", a="a", b="b", metrics=["log_loss"], block="who").rows[0]
    ten = tg.compare_models(many, label="y", a="a", b="b", metrics=["log_loss"], block="who").rows[0]
    rows = tg.compare_models(many, label="y", a="a", b="b", metrics=["log_loss"]).rows[0]
    assert (once.blocks, ten.blocks, rows.blocks) == (12, 12, None)
    assert once.standard_error == pytest.approx(ten.standard_error, rel=1e-12)
    loss = np.log(np.where(data["y"], data["a"], 1 - data["a"])) - np.log(np.where(data["y"], data["b"], 1 - data["b"]))
    sums = np.array([np.sum((loss - loss.mean())[block == k]) for k in range(12)]) / 60
    assert once.standard_error == pytest.approx(np.sqrt(12 / 11 * np.sum(sums**2)), rel=1e-12)
    assert rows.standard_error < ten.standard_error


def test_days_are_blocks_of_a_real_log() -> None:
    log = pl.scan_parquet(CURRENT).filter(pl.col("ts").dt.month() == 7).collect()
    options = {"label": "label", "a": "score", "b": "score_lgb", "metrics": ["roc_auc", "brier"]}
    days = tg.compare_models(log, block="1d", time="ts", **options)
    rows = tg.compare_models(log, **options)
    labelled = log.filter(pl.col("label").is_not_null())
    assert days.n_unlabelled == log["label"].null_count() > 0
    for day, row, oracle in zip(days.rows, rows.rows, (sk.roc_auc_score, sk.brier_score_loss), strict=True):
        y = labelled["label"].to_numpy()
        # In single precision scikit-learn would add up rounded squares.
        want = oracle(y, labelled["score_lgb"].cast(pl.Float64).to_numpy()) - oracle(y, labelled["score"].to_numpy())
        assert day.difference == row.difference == pytest.approx(want, abs=1e-12)
        assert day.blocks == labelled["ts"].dt.date().n_unique()


def test_neither_order_nor_sign_of_zero_changes_a_bit() -> None:
    data = two_models(2, 500, ties=True)
    weight = np.random.default_rng(1).uniform(0, 3, 500)
    frame = pl.DataFrame({**data, "w": weight, "k": np.arange(500) % 7})
    for shuffled in (frame.sample(fraction=1, shuffle=True, seed=k) for k in range(3)):
        options = {"label": "y", "a": "a", "b": "b", "metrics": sorted(BINARY), "weight": "w", "block": "k", "by": "k"}
        assert tg.compare_models(shuffled, **options).to_json() == tg.compare_models(frame, **options).to_json()


def test_weights_of_whole_numbers_are_repeated_rows() -> None:
    data = two_models(4, 200)
    weight = np.random.default_rng(3).integers(0, 4, 200)
    many = {name: np.repeat(values, weight) for name, values in data.items()}
    for metric in BINARY:
        weighted = found(data | {"w": weight}, metric, weight="w").rows[0]
        repeated = found(many, metric).rows[0]
        assert (weighted.a, weighted.b) == pytest.approx((repeated.a, repeated.b), rel=1e-12)


def sliced(seed: int = 0) -> pl.DataFrame:
    """The second model is better overall, and worse in one region."""
    rng = np.random.default_rng(seed)
    n = 12_000
    region = rng.choice(["north", "south", "east", "west"], n, p=[0.4, 0.3, 0.2, 0.1])
    signal = rng.normal(size=n)
    y = (signal + rng.normal(size=n) > 0).astype(int)
    noise = np.where(region == "west", 3.0, 0.3)

    def logistic(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    old = logistic(signal + 1.0 * rng.normal(size=n))
    new = logistic(signal + noise * rng.normal(size=n))
    return pl.DataFrame({"id": np.arange(n), "region": region, "y": y, "old": old, "new": new})


def test_one_slice_that_gets_worse_blocks_while_the_total_improves() -> None:
    data = sliced()
    options = {"label": "y", "a": "old", "b": "new", "max_drop": {"roc_auc": 0.01}, "metrics": ["roc_auc"]}
    assert tg.compare_models(data, **options).decision == "allow"
    cut = tg.compare_models(data, by="region", **options)
    assert cut.decision == "block"
    whole, worst = cut.rows[:2]
    assert whole.segment_by is None
    assert whole.gain > 0
    assert (worst.segment_value, worst.decision) == ("west", "block")
    assert [row.decision for row in cut.rows[2:]] == ["allow"] * 3
    # Adjusted for four segments.
    alone = tg.compare_models(data.filter(pl.col("region") == "west"), alpha=0.05 / 4, **options).rows[0]
    assert (alone.ci_low, alone.ci_high) == (worst.ci_low, worst.ci_high)


def test_losses_have_their_margin_the_other_way_round() -> None:
    data = two_models(8, 3000, better=0.6)
    options = {"label": "y", "max_drop": {"brier": 0.001}, "metrics": ["brier"]}
    assert tg.compare_models(data, a="a", b="b", **options).decision == "allow"
    assert tg.compare_models(data, a="b", b="a", **options).decision == "block"
    few = two_models(8, 20, better=0.1)
    assert tg.compare_models(few, a="a", b="b", **options).decision == "inconclusive"


def test_tables_are_joined_by_key_and_what_is_left_out_is_counted() -> None:
    data = sliced(1).head(500)
    first = pl.concat([data.select("id", "y", "old"), data.select("id", "y", "old").head(3)])
    second = data.select("id", pl.col("new").alias("old")).slice(10).sample(fraction=1, shuffle=True, seed=1)
    extra = pl.DataFrame({"id": [9_000, None, None], "old": [0.5, 0.1, 0.2]})
    found = tg.compare_models(first, label="y", a="old", b="old", other=pl.concat([second, extra]), key="id")
    assert found.n_compared == 490
    assert sorted(found.notes) == [
        "1 rows of the second table have no partner in the other",
        "2 rows of the second table were left out: their key is missing",
        "6 rows of the first table were left out: their key occurs more than once",
        "7 rows of the first table have no partner in the other",
    ]
    whole = tg.compare_models(data.slice(10), label="y", a="old", b="new")
    assert [row.difference for row in found.rows] == [row.difference for row in whole.rows]
    with pytest.raises(UsageError, match="nothing can be compared"):
        tg.compare_models(
            first, label="y", a="old", b="old", other=second.with_columns(pl.col("id") + 10_000), key="id"
        )


def test_missing_labels_and_predictions_are_counted() -> None:
    data = {
        "y": [0, 1, None, 1, 0, 1],
        "a": [0.1, 0.9, 0.5, None, 0.2, 0.6],
        "b": [0.2, 0.8, 0.5, 0.5, float("nan"), 0.7],
    }
    found = tg.compare_models(data, label="y", a="a", b="b", metrics=["brier"])
    assert (found.n_rows, found.n_compared, found.n_unlabelled, found.n_unpredicted) == (6, 3, 1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ["auc"]}, "metric 'auc' has no paired difference; accepted are accuracy"),
        ({"max_drop": {"roc_auc": -0.1}}, "max_drop of roc_auc is -0.1"),
        ({"a": "old"}, "column 'old' does not exist; the data has y, a, b"),
        ({"metrics": ["rmse", "f1"]}, "rmse is a metric of numbers, f1 of classes"),
        ({"block": "1d"}, "which needs time="),
        ({"key": "y"}, "key joins two tables"),
        ({"other": {"b": [1.0]}}, "other needs key"),
        ({"alpha": 1.0}, "alpha 1.0"),
    ],
)
def test_what_is_not_accepted_is_named(change: dict[str, object], message: str) -> None:
    options = {"label": "y", "a": "a", "b": "b"} | change
    with pytest.raises(UsageError, match=re.escape(message)):
        tg.compare_models(two_models(1, 50), **options)


@pytest.mark.parametrize("value", [float("inf"), 1.5])
def test_scores_that_are_no_probabilities_are_named(value: float) -> None:
    data = two_models(1, 50)
    data["b"][7] = value
    with pytest.raises(UsageError, match="row 7"):
        tg.compare_models(data, label="y", a="a", b="b")
    if value == 1.5:
        assert tg.compare_models(data, label="y", a="a", b="b", metrics=["roc_auc"]).rows[0].n == 50


def test_what_has_no_value_says_why() -> None:
    data = {"y": [1, 1, 1], "a": [0.1, 0.2, 0.3], "b": [0.3, 0.2, 0.1]}
    found = tg.compare_models(
        data, label="y", a="a", b="b", metrics=["roc_auc"], max_drop={"roc_auc": 0.1}, pos_label=1
    )
    row = found.rows[0]
    assert (row.message, row.decision, found.decision) == (
        "roc_auc needs rows of both classes",
        "inconclusive",
        "inconclusive",
    )
    assert json.loads(found.to_json())["rows"][0]["difference"] == "NaN"


def test_command_decides_by_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sliced()
    data.write_parquet(tmp_path / "log.parquet")
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    base = ["compare-models", str(tmp_path / "log.parquet"), "--label", "y", "--a", "old", "--b", "new", "-q"]
    assert invoke([*base, "--max-drop", "roc_auc=0.01"]) == 0
    assert capsys.readouterr().out.startswith("ALLOW")
    outputs = ["-o", str(tmp_path / "m.md"), "-o", str(tmp_path / "m.json"), "-o", str(tmp_path / "m.parquet")]
    assert invoke([*base, "--max-drop", "roc_auc=0.01", "--by", "region", *outputs]) == 1
    told = capsys.readouterr().out
    assert told.startswith("BLOCK")
    assert "region = west" in told
    assert "### BLOCK" in (tmp_path / "m.md").read_text()
    assert summary.read_text().endswith((tmp_path / "m.md").read_text())
    assert json.loads((tmp_path / "m.json").read_text())["decision"] == "block"
    assert pl.read_parquet(tmp_path / "m.parquet")["decision"].to_list().count("block") == 1
    assert invoke(base) == 0
    small = data.head(40)
    small.write_parquet(tmp_path / "small.parquet")
    unsure = ["compare-models", str(tmp_path / "small.parquet"), *base[2:], "--max-drop", "roc_auc=0.001"]
    assert invoke(unsure) == 1
    assert invoke([*unsure, "--allow-inconclusive"]) == 0
    assert invoke([*base, "--max-drop", "roc_auc"]) == 2
    assert invoke(["compare-models", str(tmp_path / "no.parquet"), *base[2:]]) == 3


def test_hostile_names_stay_text_and_markdown_stays_short() -> None:
    data = two_models(1, 3000)
    evil = "|<img src=x onerror=alert(1)> @everyone [x](http://x) `#1`\n\x1b[31m"
    segments = np.array([f"{evil}{i % 150}" for i in range(3000)])
    found = tg.compare_models(data | {evil: segments}, label="y", a="a", b="b", by=evil, max_drop={"roc_auc": 0.01})
    text = found.to_markdown()
    assert len(text.encode()) < 64_000
    assert not [c for c in ("<img", "\x1b", "@everyone", "](http") if c in text]
    assert "\x1b" not in str(found)


def silent_where_weak() -> pl.DataFrame:
    """Two good models; the second predicts nothing in region b, two fifths of the rows."""
    rng = np.random.default_rng(5)
    n = 3000
    signal, region = rng.normal(size=n), rng.choice(["a", "b"], n, p=[0.6, 0.4])
    table = {"id": np.arange(n), "region": region, "y": (signal + rng.normal(size=n) > 0).astype(int)}
    for name, noise in (("old", 1.0), ("new", 0.8)):
        table[name] = 1 / (1 + np.exp(-(signal + noise * rng.normal(size=n))))
    return pl.DataFrame(table).with_columns(pl.when(pl.col("region") == "a").then(pl.col("new")).alias("new"))


def test_a_model_that_is_silent_where_it_is_weak_is_not_allowed() -> None:
    log = silent_where_weak()
    silent = int((log["region"] == "b").sum())
    found = tg.compare_models(log, label="y", a="old", b="new", max_drop={"roc_auc": 0.01})
    assert found.rows[0].decision == "allow"  # where both predict
    assert (found.decision, found.n_only_first) == ("inconclusive", silent)
    head = str(found).splitlines()[0]
    assert head.startswith("INCONCLUSIVE")
    assert f"{silent:,} of 3,000 rows" in head
    assert f"{silent / 30:.1f} %" in head
    assert head.partition("  ")[2] in found.to_markdown()
    # The other way round nothing is lost.
    back = tg.compare_models(log, label="y", a="new", b="old", max_drop={"roc_auc": 0.1})
    assert (back.decision, back.n_only_first, back.n_unpredicted) == ("allow", 0, silent)


def test_rows_that_the_second_table_leaves_out_are_not_allowed_either() -> None:
    log = silent_where_weak()
    first, second = log.drop("new"), log.select("id", "new").drop_nulls()
    found = tg.compare_models(
        first, other=second, key="id", label="y", a="old", b="new", max_drop={"roc_auc": 0.01}
    )  # fmt: skip
    assert (found.decision, found.n_only_first) == ("inconclusive", len(first) - len(second))
    # Rows that nobody has labelled yet say nothing of either model.
    open_ = first.with_columns(pl.when(pl.col("region") == "a").then(pl.col("y")).alias("y"))
    found = tg.compare_models(
        open_, other=second, key="id", label="y", a="old", b="new", max_drop={"roc_auc": 0.01}
    )  # fmt: skip
    assert (found.decision, found.n_only_first) == ("allow", 0)


def test_a_model_against_itself_loses_nothing_and_a_thin_segment_is_told() -> None:
    log = silent_where_weak().with_columns(
        pl.when(pl.col("id") < 4).then(pl.lit("c")).otherwise("region").alias("region")
    )
    same = tg.compare_models(log, label="y", a="old", b="old", max_drop={"roc_auc": 0.0})
    assert (same.rows[0].ci_low, same.rows[0].ci_high, same.decision) == (0.0, 0.0, "allow")
    log = log.with_columns(pl.col("new").fill_null(pl.col("old")))
    found = tg.compare_models(log, label="y", a="old", b="new", max_drop={"roc_auc": 0.01}, by="region")
    assert found.decision == "allow"
    assert any(row.decision == "inconclusive" for row in found.rows if row.segment_by)
    assert "every margin holds in all rows; " in str(found).splitlines()[0]
