"""Explanations in the main job and on the command line, against the public functions they are made of."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from sklearn.linear_model import LogisticRegression
from tidegauge import _core
from tidegauge._explain import Roles, Settings, explain
from tidegauge._explain_text import FEWEST, _table
from tidegauge.cli import invoke
from tidegauge.errors import TidegaugeError
from tidegauge.report._text import number, percent

START = dt.datetime(2024, 1, 1)
CITIES = ["Bonn", "Kiel", "Ulm"]
FEATURES = ["a", "b", "noise", "city"]


def log(seed: int, n: int = 3000, *, weight: float = 1.0, start: dt.datetime = START) -> pl.DataFrame:
    """A label of `a`, `b` (with `weight`) and the city. Rows in Ulm with a large `noise` are not understood."""
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, n))
    city = rng.choice([*CITIES, "Oslo"], n, p=[0.4, 0.3, 0.25, 0.05])
    margin = 1.5 * a + weight * b + (city == "Kiel") - 0.4
    odd = (city == "Ulm") & (noise > 0.5)
    label = np.where(odd, rng.random(n) < 0.5, rng.random(n) < 1 / (1 + np.exp(-margin)))
    return pl.DataFrame(
        {
            "ts": [start + dt.timedelta(minutes=int(m)) for m in np.sort(rng.integers(0, 28 * 1440, n))],
            "a": a, "b": b, "noise": noise, "city": city, "label": label.astype(np.int8),
        }
    )  # fmt: skip


def matrix(frame: pl.DataFrame) -> np.ndarray[Any, Any]:
    code = pl.col("city").replace_strict(CITIES, [0.0, 1.0, 2.0], default=None).cast(pl.Float64)
    return frame.select("a", "b", "noise", code.fill_null(float("nan"))).to_numpy()


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model of arrays, a reference, and two windows: the second has lost its relation to `b`."""
    folder = tmp_path_factory.mktemp("explain")
    train = log(0, 4000)
    settings = {"objective": "binary", "num_leaves": 8, "verbose": -1, "deterministic": True, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(matrix(train), train["label"].to_numpy()), 30)
    booster.save_model(folder / "model.txt")

    def scored(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(score=pl.Series(booster.predict(matrix(frame))))

    windows = [log(2), log(3, weight=-1.0, start=dt.datetime(2024, 2, 1))]
    frames = {"reference": scored(log(1)), "current": scored(pl.concat(windows))}
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    (folder / "categories.json").write_text(json.dumps({"city": CITIES}))
    configuration = {
        "model": {"name": "m", "path": str(folder / "model.txt")},
        "reference": {"path": str(folder / "reference.parquet")},
        "current": {"path": str(folder / "current.parquet"), "window": "1mo"},
        "roles": {"time": "ts", "label": "label", "score": "score", "block": "none"},
        "explain": {"features": FEATURES, "categories": {"city": CITIES}, "scoring": "neg_log_loss"},
    }
    return {"folder": folder, "configuration": configuration, "windows": [scored(w) for w in windows], **frames}


@pytest.fixture(scope="module")
def report(job: dict[str, Any]) -> tg.Report:
    return tg.run(job["configuration"])


def importances(report: tg.Report) -> list[dict[str, Any]]:
    return [row for row in report.rows if row["statistic"] == "permutation_importance"]


def by_hand(job: dict[str, Any], frame: pl.DataFrame) -> Any:
    return tg.permutation_importance(
        str(job["folder"] / "model.txt"), matrix(frame), frame["label"].to_numpy(), scoring="neg_log_loss"
    )


def test_each_side_has_the_importances_of_the_public_function(job: dict[str, Any], report: tg.Report) -> None:
    rows = importances(report)
    assert len(rows) == 12
    sides = [(None, job["reference"]), ("2024-01", job["windows"][0]), ("2024-02", job["windows"][1])]
    for start, frame in sides:
        own = [r for r in rows if (r["window_start"] or "")[:7] == (start or "") and (start or r["baseline"] == "none")]
        expected = by_hand(job, frame)
        assert len(own) == 4
        for row in own:
            i = FEATURES.index(row["feature"])
            assert row["value"] == expected.importances_mean[i]
            assert [row["ci_low"], row["ci_high"]] == list(expected.interval[i])
            assert row["qvalue"] == pytest.approx(expected.qvalue[i])
            assert (row["n_reference"] if start is None else row["n_current"]) == frame.height
            assert row["kind"] == "importance"
            assert row["exactness"] == "exact"
            assert not row["decides"]


def test_ratio_and_share_outside_stand_beside_every_importance(job: dict[str, Any], report: tg.Report) -> None:
    expected = by_hand(job, job["windows"][1])
    told = {(row["feature"], row["statistic"]): row for row in report.rows if str(row["window_start"])[:7] == "2024-02"}
    for i, name in enumerate(FEATURES):
        ratio, outside = told[name, "importance_loss_ratio"], told[name, "permuted_outside"]
        assert ratio["value"] == pytest.approx(expected.ratio[i], rel=1e-12)
        assert ratio["value"] == pytest.approx(1 + expected.importances_mean[i] / expected.baseline, rel=1e-12)
        assert outside["value"] == pytest.approx(expected.outside[i], rel=1e-12)
        # All rows were looked at: their share is no estimate.
        assert (outside["exactness"], outside["ci_low"], outside["ci_high"]) == ("exact", None, None)
        for row in (ratio, outside):
            assert row["qvalue"] is row["rank"] is row["message"] is None
            assert not row["decides"]
            assert row["n_current"] == job["windows"][1].height
    sides = {(row["window_start"], row["baseline"]) for row in report.rows if row["statistic"] == "permuted_outside"}
    assert len(sides) == 3
    # Below 0 is below 1: nothing is taken by its size.
    differences = {key[0]: row["value"] for key, row in told.items() if key[1] == "permutation_importance"}
    assert all((differences[name] < 0) == (told[name, "importance_loss_ratio"]["value"] < 1) for name in FEATURES)
    # Accuracy has a loss too, the area under a curve has none: its rows say nothing rather than something else.
    few = {**job["configuration"], "explain": {**job["configuration"]["explain"], "scoring": "roc_auc"}}
    assert not [row for row in tg.run(few).rows if row["statistic"] == "importance_loss_ratio"]


def test_no_row_depends_on_the_order_of_the_rows(job: dict[str, Any]) -> None:
    settings = Settings(
        model=str(job["folder"] / "model.txt"),
        features=tuple(FEATURES),
        categories={"city": CITIES},
        scoring="neg_log_loss",
        segments=False,
    )

    def rows(frame: pl.DataFrame) -> list[Any]:
        return explain(settings, Roles("label", "score", "ts"), None, {None: frame.lazy()}).rows()

    # More than are looked at for associations, and each of them more than once.
    frame = pl.concat([job["reference"]] * 3).with_columns(a=pl.col("a").round(1))
    frame = frame.with_columns(b=pl.col("a") + 0.2 * pl.col("b"))
    expected = rows(frame)
    assert any(str(row["message"]).startswith("moves with") for row in expected)
    assert frame.height > 4096
    for seed in (1, 2):
        assert rows(frame.sample(fraction=1.0, shuffle=True, seed=seed)) == expected


def test_the_drift_finds_the_feature_whose_relation_changed(job: dict[str, Any], report: tg.Report) -> None:
    expected = tg.importance_drift(
        by_hand(job, job["reference"]),
        {w: by_hand(job, f) for w, f in zip(("2024-01-01", "2024-02-01"), job["windows"], strict=True)},
    )
    changes = [row for row in report.rows if row["statistic"] == "importance_change"]
    assert [r["value"] for r in changes] == [r["value"] for r in expected.rows if r["statistic"] == "importance_change"]
    found = {(r["window_start"][:7], r["feature"]) for r in changes if r["qvalue"] is not None and r["qvalue"] <= 0.05}
    assert ("2024-02", "b") in found
    assert not any(start == "2024-01" for start, _ in found)
    drifted = {(r["window_start"], r["feature"]) for r in report.rows if r["statistic"] == "verdict"}
    assert {(r["window_start"], r["feature"]) for r in changes} <= drifted


def test_a_limit_on_the_change_is_judged_in_its_row_alone(job: dict[str, Any], report: tg.Report) -> None:
    failing = tg.run({**job["configuration"], "explain": {**job["configuration"]["explain"], "fail_at": 0.05}})
    rows = [row for row in failing.rows if row["statistic"] == "importance_change" and row["verdict"] == "fail"]
    assert {(str(row["window_start"])[:7], row["feature"]) for row in rows} == {("2024-02", "b")}
    assert not any(row["decides"] for row in rows)
    assert failing.verdict == report.verdict


def test_weak_segments_are_in_the_risk_register(report: tg.Report) -> None:
    register = report.record["result"]["risk_register"]
    weak = [e for e in register["entries"] if e["weak"]]
    assert any("city" in e["segment"] and "Ulm" in e["segment"] for e in weak[:3]), register["entries"]
    assert register["loss"] == "log_loss"
    assert weak[0]["ci_low"] > 0


def test_the_record_says_what_was_explained_and_how(job: dict[str, Any], report: tg.Report) -> None:
    record = report.record
    told, model = record["result"]["explanations"], record["inputs"]["model"]
    content = (job["folder"] / "model.txt").read_bytes()
    assert told["model"]["digest"] == model["digest"] == _core.blake3(content)
    assert model["checks"]["score"]["largest_difference"] < 1e-9
    assert [s["rows"] for s in told["sides"]] == [3000, 3000, 3000]
    assert told["settings"]["features"] == FEATURES
    assert told["method"] == "exact"
    assert str(job["folder"]) not in json.dumps(record["result"])
    again = tg.run(job["configuration"])
    assert again.record["result_digest"] == record["result_digest"]


def test_performance_and_explanations_are_made_again_by_verify(job: dict[str, Any], tmp_path: Path) -> None:
    made = {
        **job["configuration"],
        "checks": [{"feature": "score", "statistic": "roc_auc", "min": 0.6, "segments": True}],
        "columns": {"score": {"tolerances": {"log_loss_worsening": {"warn": 0.02, "fail": 0.3}}}},
        "output": {"files": [str(tmp_path / "report.json")]},
    }
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(made))
    report = tg.run(path)
    assert report.record["result"]["performance"]["digests"]["current"].startswith("b3:")
    found = tg.verify(tmp_path / "report.json")
    assert [level.outcome for level in found.levels if level.outcome == "different"] == [], found


def test_the_page_shows_importance_performance_and_risk(report: tg.Report) -> None:
    page = report.render(".html").decode()
    for heading in ("Performance", "Importance", "Risk register", "Rank over the windows", "Calibration"):
        assert f">{heading}<" in page
    assert "What the model relies on changed beyond chance: b" in page
    assert report.record["result"]["performance"]["sentence"] in page
    told = {
        row["statistic"]: row["value"]
        for row in report.rows
        if str(row["window_start"])[:7] == "2024-02" and row["feature"] == "a"
    }
    table = page.partition("Importances by window</caption>")[2].partition("</table>")[0]
    line = next(line for line in table.split("<tr>") if re.search(r">a<[^t]*</th>", line))
    cells = [cell.partition("</td>")[0] for cell in line.split("<td>")]
    assert cells[-2] == number(told["importance_loss_ratio"])
    assert cells[-1] == percent(told["permuted_outside"])
    # No two features go together here.
    assert ">Moves with<" not in table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"explain": {"scoring": "neg_log_loss"}}, "explain.features"),
        ({"model": {"name": "m"}}, "model.path"),
        ({"explain": {"features": ["a", "b"]}}, "2 columns; the model takes 4"),
        ({"explain": {"features": ["a", "b", "noise", "town"]}}, "'town' is not in the data"),
        ({"explain": {"features": FEATURES, "categories": {"town": ["x"]}}}, "'town' is no feature"),
        ({"explain": {"features": FEATURES, "categories": {"city": ["x", "x"]}}}, "once each"),
        ({"model": {"path": "nothing.txt"}}, "no such file"),
        ({"explain": {"features": FEATURES, "rowz": 3}}, "did you mean 'rows'"),
    ],
)
def test_what_cannot_be_explained_says_why(job: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(TidegaugeError, match=message):
        tg.run({**job["configuration"], **change})


def test_a_model_of_another_score_is_told(job: dict[str, Any], tmp_path: Path) -> None:
    for name in ("reference", "current"):
        job[name].with_columns(score=pl.col("score") * 0.9).write_parquet(tmp_path / f"{name}.parquet")
    made = {
        **job["configuration"], "reference": {"path": str(tmp_path / "reference.parquet")},
        "current": {"path": str(tmp_path / "current.parquet")},
    }  # fmt: skip
    report = tg.run(made)
    assert any("differ from column 'score'" in note for note in report.explanation.notes)
    assert any("differ from column 'score'" in note for note in report.record["result"]["limitations"])


def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = invoke(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err


def of_files(job: dict[str, Any], *more: str) -> list[str]:
    folder = job["folder"]
    return [
        "explain", str(folder / "model.txt"), str(folder / "reference.parquet"), "--label", "label", "--score", "score",
        "--features", ",".join(FEATURES), "--categories", str(folder / "categories.json"), "--scoring", "neg_log_loss",
        *more,
    ]  # fmt: skip


def test_the_command_has_the_numbers_of_the_job(
    job: dict[str, Any], report: tg.Report, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outputs = [str(tmp_path / f"e{suffix}") for suffix in (".json", ".ndjson", ".parquet", ".md", ".txt")]
    code, out, err = cli(
        capsys, *of_files(job, "--current", str(job["folder"] / "current.parquet"), "--time", "ts", "--window", "1mo"),
        *[text for path in outputs for text in ("-o", path)],
    )  # fmt: skip
    assert code == 0
    assert "importance: reference ..." in err
    assert "drift:" in out
    assert "changed" in out
    assert "weak segments" in out
    assert out.count("loss ratio  outside") == 3
    assert (tmp_path / "e.md").read_text().count("| loss ratio | outside |") == 3
    content = json.loads((tmp_path / "e.json").read_text())
    expected = {(r["window_start"], r["feature"]): r["value"] for r in importances(report)}
    found = {
        (r["window_start"], r["feature"]): r["value"]
        for r in content["rows"]
        if r["statistic"] == "permutation_importance"
    }
    assert found == expected
    assert content["command"].split()[0] == "tidegauge"
    assert pl.read_parquet(tmp_path / "e.parquet").height == len((tmp_path / "e.ndjson").read_text().splitlines())
    assert (tmp_path / "e.md").read_text().startswith("## ")
    code, out, _ = cli(capsys, *of_files(job, "--format", "json", "-q"))
    assert code == 0
    assert json.loads(out)["drift"] is None


def test_tables_leave_out_what_a_terminal_has_no_room_for() -> None:
    rows = [("feature", "importance", "interval", "q", "", "loss ratio"), ("a", "1.5", "1 to 2", "0.01", "", "1.25")]
    whole = _table(rows, markdown=False, width=None)
    assert whole[1].split() == ["a", "1.5", "1", "to", "2", "0.01", "1.25"]
    assert _table(rows, markdown=False, width=len(whole[0])) == whole
    less = _table(rows, markdown=False, width=len(whole[0]) - 1)
    assert less[1].split() == ["a", "1.5", "1", "to", "2", "0.01"]
    # What an importance is stays.
    assert _table(rows, markdown=False, width=5) == less
    assert FEWEST == 4


def test_the_command_reads_a_configuration(
    job: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(job["configuration"]))
    code, out, _ = cli(capsys, "explain", str(path), "--format", "json", "-q")
    assert code == 0
    assert json.loads(out)["drift"]["verdict"] == "warn"
    code, _, _ = cli(capsys, "explain", str(path), "--set", "explain.fail_at=0.05", "-q")
    assert code == 1
    code, _, err = cli(capsys, "explain", str(path), "--label", "label")
    assert code == 2
    assert "--set" in err


def test_options_of_the_command_change_the_answer(job: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    def told(*more: str) -> dict[str, Any]:
        code, out, _ = cli(capsys, *of_files(job, "--format", "json", "-q", "--no-segments", *more))
        assert code == 0
        return json.loads(out)

    usual = told()
    assert usual["risk_register"] is None
    assert told("--method", "permutation", "--repeats", "2")["method"] == "permutation"
    assert told("--rows", "500")["sides"][0]["rows"] == 500
    assert {r["feature"] for r in told("--group", "both=a,b", "--method", "permutation")["rows"]} == {"both"}
    assert told("--where", "a > 0")["sides"][0]["rows"] == job["reference"].filter(pl.col("a") > 0).height


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--window", "1mo"), "--window needs"),
        (("-o", "importance.html"), "accepted extensions"),
        (("--group", "ab"), "NAME=A,B"),
        (("--group", "ab=a,z", "--method", "permutation"), "'z' is no feature"),
    ],
)
def test_the_command_refuses_in_words(
    job: dict[str, Any], capsys: pytest.CaptureFixture[str], more: tuple[str, ...], message: str
) -> None:
    code, _, err = cli(capsys, *of_files(job, *more))
    assert code == 2
    assert message in err


def test_a_pickle_needs_the_flag(job: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = job["reference"]
    model = LogisticRegression().fit(rows.select("a", "b").to_numpy(), rows["label"].to_numpy())
    joblib.dump(model, tmp_path / "model.joblib")
    given = [
        "explain", str(tmp_path / "model.joblib"), str(job["folder"] / "reference.parquet"), "--label", "label",
        "--features", "a,b", "--scoring", "neg_log_loss", "-q",
    ]  # fmt: skip
    code, _, err = cli(capsys, *given)
    assert code == 2
    assert "allow_pickle" in err
    code, out, _ = cli(capsys, *given, "--allow-pickle")
    assert code == 0
    assert "exact permutation importance" in out


def test_rows_without_labels_are_counted_and_a_window_without_any_is_told(job: dict[str, Any], tmp_path: Path) -> None:
    current = job["current"]
    second = pl.col("ts") >= dt.datetime(2024, 2, 1)
    first = pl.int_range(pl.len()) % 3 == 0
    current.with_columns(label=pl.when(second | first).then(None).otherwise(pl.col("label"))).write_parquet(
        tmp_path / "current.parquet"
    )
    made = {**job["configuration"], "current": {"path": str(tmp_path / "current.parquet"), "window": "1mo"}}
    notes = tg.run(made).explanation.notes
    assert any("1,000 of 3,000 rows have no label" in note for note in notes), notes
    assert any("0 of 3000 rows have a label" in note for note in notes), notes


def test_weights_of_rows_are_those_of_the_importances(job: dict[str, Any], tmp_path: Path) -> None:
    """Every third row has no weight, which the profile and the explanation leave out and tell."""

    def weighed(frame: pl.DataFrame) -> pl.DataFrame:
        i = pl.int_range(pl.len())
        return frame.with_columns(w=pl.when(i % 3 > 0).then(0.5 + i % 5))

    sides = {name: weighed(job[name]) for name in ("reference", "current")}
    for name, frame in sides.items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    configuration = {
        **job["configuration"],
        "reference": {"path": str(tmp_path / "reference.parquet")},
        "current": {"path": str(tmp_path / "current.parquet")},
        "roles": {**job["configuration"]["roles"], "weight": "w"},
    }
    report = tg.run(configuration)
    rows = importances(report)
    assert len(rows) == 8
    for side, frame in sides.items():
        kept = frame.filter(pl.col("w").is_not_null())
        expected = tg.permutation_importance(
            str(job["folder"] / "model.txt"), matrix(kept), kept["label"].to_numpy(), scoring="neg_log_loss",
            sample_weight=kept["w"].to_numpy(),
        )  # fmt: skip
        own = [row for row in rows if (row["baseline"] == "none") == (side == "reference")]
        assert {row["feature"]: row["value"] for row in own} == dict(
            zip(FEATURES, expected.importances_mean, strict=True)
        )
        assert {row["feature"]: row["ci_high"] for row in own} == dict(
            zip(FEATURES, expected.interval[:, 1], strict=True)
        )
    notes = report.record["result"]["explanations"]["notes"]
    assert any("2,000 of 6,000 rows with a label have no weight" in note for note in notes), notes
    assert any("segments are searched with every row counted once" in note for note in notes)


def test_frequencies_are_told_not_to_be_used(job: dict[str, Any], tmp_path: Path) -> None:
    for name in ("reference", "current"):
        job[name].with_columns(n=pl.lit(2)).write_parquet(tmp_path / f"{name}.parquet")
    configuration = {
        **job["configuration"],
        "reference": {"path": str(tmp_path / "reference.parquet")},
        "current": {"path": str(tmp_path / "current.parquet")},
        "roles": {**job["configuration"]["roles"], "frequency": "n"},
    }
    report = tg.run(configuration)
    notes = report.record["result"]["explanations"]["notes"]
    assert "frequencies in column 'n' are not used: every row counts once" in notes
