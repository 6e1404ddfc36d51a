"""Performance in a store: what parts keep, what windows are measured on, and what verify says of it."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tidegauge as tg
from growing import ROOT, tree, write_config
from tidegauge import _core
from tidegauge._store import read_tables

ROLES = 'label = "label"\nscore = "score"\nprotected = "group"'
KEY = ("window_start", "baseline", "segment_by", "segment_value", "feature", "kind", "statistic")
KINDS = ("performance", "fairness")


def labelled(date: dt.date, rows: int, seed: int, *, groups: str = "ab", noise: float = 0.0) -> pl.DataFrame:
    """A day of scores that are calibrated where `noise` is 0; a twentieth has no label yet."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    score = 1 / (1 + np.exp(-x - noise * rng.normal(size=rows)))
    label = rng.random(rows) < 1 / (1 + np.exp(-x))
    seconds = np.sort(rng.integers(0, 86_400, rows))
    return pl.DataFrame({
        "ts": [dt.datetime.combine(date, dt.time()) + dt.timedelta(seconds=int(s)) for s in seconds],
        "x": x,
        "score": score,
        "label": [None if gone else int(y) for y, gone in zip(label, rng.random(rows) < 0.05, strict=True)],
        "group": rng.choice(list(groups), rows),
    })  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A reference of 20 days, and five days of which the later have other groups and worse scores."""
    days = [labelled(dt.date(2024, 1, 1) + dt.timedelta(days=i), 200, i) for i in range(20)]
    pl.concat(days).write_parquet(tmp_path / "reference.parquet")
    (tmp_path / "log").mkdir()
    for i, groups in enumerate(("ab", "bc", "ab", "cd", "a")):
        date = dt.date(2024, 3, 1) + dt.timedelta(days=i)
        frame = labelled(date, 200, 100 + i, groups=groups, noise=0.8 * i)
        frame.write_parquet(tmp_path / "log" / f"{date}.parquet", row_group_size=90, use_pyarrow=False)
    return tmp_path


def measured(report: Any) -> dict[Any, dict[str, Any]]:
    """Rows of performance, without what they say of the run."""
    rows = [row for row in report.rows if row["kind"] in KINDS or row["feature"] == "score"]
    of_the_run = ("run_id", "as_of")
    found = {tuple(r[name] for name in KEY): {k: v for k, v in r.items() if k not in of_the_run} for r in rows}
    assert len(found) == len(rows)
    return found


def details(report: Any) -> dict[str, Any]:
    found: dict[str, Any] = dict(report.record["result"]["performance"])
    return found


MORE = [
    "",
    "[columns.score.tolerances]\nroc_auc_worsening = { warn = 0.02, fail = 0.05 }",
    '[[checks]]\nfeature = "score"\nstatistic = "roc_auc"\nmin = 0.7\n[performance]\nmetrics = ["roc_auc", "f1"]',
]  # fmt: skip


@pytest.mark.parametrize("more", MORE, ids=["default", "tolerance", "check"])
@pytest.mark.parametrize("current", ["", 'baselines = ["reference", "previous"]\nby = ["group"]'], ids=["", "cuts"])
def test_day_by_day_is_what_one_run_measures(log: Path, tmp_path: Path, more: str, current: str) -> None:
    away = tmp_path / "away"
    (log / "log").rename(away)
    (log / "log").mkdir()
    config = write_config(log, roles=ROLES, more=more, current=current)
    for path in sorted(away.iterdir()):
        shutil.copy(path, log / "log")
        report = tg.run(config)
    before = tree(log / "store")
    assert tg.run(config).record["result_digest"] == report.record["result_digest"]
    assert tree(log / "store") == before
    plain = tg.run(write_config(log, store="none", roles=ROLES, more=more, current=current))
    assert measured(report) == measured(plain)
    assert report.verdict == plain.verdict
    ours, theirs = details(report), details(plain)
    assert ours == theirs
    assert {row["n_current"] for row in report.rows if row["statistic"] == "label_coverage"} >= {200}
    # All at once is day by day.
    shutil.rmtree(log / "store")
    whole = tg.run(write_config(log, roles=ROLES, more=more, current=current))
    assert measured(whole) == measured(report)
    assert whole.record["result"]["performance"] == report.record["result"]["performance"]
    assert {level.outcome for level in tg.verify(log / "out" / "report.json").levels} <= {"same", "none", "not asked"}


def test_groups_of_a_window_do_not_depend_on_other_windows(log: Path) -> None:
    """A group of the reference that is gone has a row; one that only other windows have does not."""
    report = tg.run(write_config(log, roles=ROLES))
    rows = [row for row in report.rows if row["statistic"] == "selection_rate"]
    by_day: dict[str, set[str]] = {}
    for row in rows:
        by_day.setdefault(row["window_start"][:10], set()).add(row["segment_value"])
    assert by_day == {
        "2024-03-01": {"a", "b"},
        "2024-03-02": {"a", "b", "c"},
        "2024-03-03": {"a", "b"},
        "2024-03-04": {"a", "b", "c", "d"},
        "2024-03-05": {"a", "b"},
    }
    gone = [row for row in rows if row["value"] is None]
    assert {(row["window_start"][:10], row["segment_value"]) for row in gone} == {
        ("2024-03-02", "a"), ("2024-03-04", "a"), ("2024-03-04", "b"), ("2024-03-05", "b"),
    }  # fmt: skip


def test_late_rows_are_measured_with_their_window(log: Path) -> None:
    config = write_config(log, roles=ROLES, store='late = "reopen"')
    tg.run(config)
    late = labelled(dt.date(2024, 3, 2), 300, 7, groups="be", noise=3)
    late.write_parquet(log / "log" / "late.parquet", use_pyarrow=False)
    report = tg.run(config)
    assert measured(report) == measured(tg.run(write_config(log, store="none", roles=ROLES)))
    counts = {c["window_start"][:10]: c["rows"] for c in details(report)["coverage"] if c["side"] == "current"}
    assert counts["2024-03-02"] == 500
    shutil.rmtree(log / "store")
    (log / "log" / "late.parquet").rename(log / "late.parquet")
    config = write_config(log, roles=ROLES, store='late = "count"')
    tg.run(config)
    (log / "late.parquet").rename(log / "log" / "late.parquet")
    counts = {c["window_start"][:10]: c["rows"] for c in details(tg.run(config))["coverage"] if c["side"] == "current"}
    assert counts["2024-03-02"] == 200


def test_a_file_whose_labels_are_text_is_told_in_its_window(log: Path) -> None:
    frame = labelled(dt.date(2024, 3, 6), 200, 50).with_columns(pl.col("label").cast(pl.String))
    frame.write_parquet(log / "log" / "2024-03-06.parquet", use_pyarrow=False)
    labelled(dt.date(2024, 3, 7), 200, 51).write_parquet(log / "log" / "2024-03-07.parquet", use_pyarrow=False)
    report = tg.run(write_config(log, roles=ROLES))
    days = {row["window_start"][:10] for row in report.rows if row["statistic"] == "roc_auc"}
    assert days == {f"2024-03-0{i}" for i in (1, 2, 3, 4, 5, 7)}
    (told,) = [r for r in report.rows if "performance is not measured" in (r["message"] or "")]
    assert (told["window_start"][:10], told["verdict"], told["n_current"]) == ("2024-03-06", "not_evaluated", 200)
    assert 'label column "label" is string' in told["message"]
    assert tg.verify(log / "out" / "report.json").exit_code() == 0


def test_text_is_measured_file_by_file(log: Path) -> None:
    for path in (log / "log").glob("*.parquet"):
        pl.read_parquet(path).write_csv(path.with_suffix(".csv"))
        path.unlink()
    config = write_config(log, roles=ROLES)
    config.write_text(config.read_text().replace("*.parquet", "*.csv"))
    report = tg.run(config)
    plain = config.read_text().replace('[store]\npath = "store"', "")
    (log / "plain.toml").write_text(plain)
    assert measured(report) == measured(tg.run(log / "plain.toml"))
    assert len({row["window_start"] for row in report.rows if row["statistic"] == "roc_auc"}) == 5
    tg.run(config)
    assert tg.verify(log / "out" / "report.json").exit_code() == 0


def test_a_reference_that_is_a_profile_leaves_metrics_without_changes(log: Path) -> None:
    roles = {"time": "ts", "label": "label", "roles": {"score": "score"}}
    reference = tg.profile(log / "reference.parquet", time=roles["time"], label="label", score="score")
    reference.save(log / "reference.tgp")
    config = write_config(log, roles='label = "label"\nscore = "score"')
    config.write_text(config.read_text().replace("reference.parquet", "reference.tgp"))
    report = tg.run(config)
    names = {row["statistic"] for row in report.rows if row["kind"] == "performance"}
    assert "roc_auc" in names
    assert "roc_auc_change" not in names
    assert tg.verify(log / "out" / "report.json").exit_code() == 0


def test_other_metrics_need_another_store(log: Path) -> None:
    tg.run(write_config(log, roles=ROLES))
    other = write_config(log, roles=ROLES, more='[performance]\nmetrics = ["roc_auc"]')
    with pytest.raises(tg.errors.StoreError, match=r"performance was \{\} and is \{'metrics': \['roc_auc'\]\}"):
        tg.run(other)
    with pytest.raises(tg.errors.StoreError, match="performance was"):
        tg.run(write_config(log, roles=ROLES, more="[performance]\nenabled = false"))


def test_nothing_is_measured_where_nothing_is_asked_for(log: Path) -> None:
    report = tg.run(write_config(log, roles=ROLES, more="[performance]\nenabled = false"))
    assert not [row for row in report.rows if row["kind"] in KINDS]
    assert not list((log / "store").rglob("performance.parquet"))


def test_a_reference_without_labels_is_told_once(log: Path) -> None:
    reference = pl.read_parquet(log / "reference.parquet")
    reference.with_columns(label=pl.lit(None, dtype=pl.Int64)).write_parquet(log / "reference.parquet")
    report = tg.run(write_config(log, roles=ROLES))
    (told,) = [r for r in report.rows if "performance is not measured" in (r["message"] or "")]
    assert told["message"] == "performance is not measured: no row of the reference has a label in 'label'"
    assert told["window_start"] is None


def change(path: Path, change: Any) -> None:
    """Another table in the place of one of a store, with its digests made right."""
    change(read_tables([path], None)).write_parquet(path, use_pyarrow=False)
    (manifest,) = path.parent.glob("digests-*.json")
    digests = {name: _core.blake3((path.parent / name).read_bytes()) for name in json.loads(manifest.read_bytes())}
    text = json.dumps(digests, indent=1).encode()
    manifest.unlink()
    (path.parent / f"digests-{_core.blake3(text)[3:19]}.json").write_bytes(text)


def test_changed_states_are_found(log: Path) -> None:
    config = write_config(log, roles=ROLES)
    tg.run(config)
    report = log / "out" / "report.json"
    part = next((log / "store" / "parts").iterdir()) / "performance.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    found = tg.verify(report)
    assert found.exit_code() == 6
    assert "performance.parquet" in str(found.first)
    with pytest.raises(tg.errors.FormatError, match=r"performance.parquet"):
        tg.run(config)
    part.write_bytes(content)
    # States of another day, with digests made right: the numbers no longer follow.
    kept = {path.name: path.read_bytes() for path in part.parent.iterdir()}

    def mixed(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col("states").shift(1).fill_null(frame["states"][-1]))

    change(part, mixed)
    found = tg.verify(report)
    assert found.exit_code() == 6
    assert next(level for level in found.levels if level.name == "numbers").outcome == "different"
    for path in list(part.parent.iterdir()):
        path.unlink()
    for name, old in kept.items():
        (part.parent / name).write_bytes(old)
    assert tg.verify(report).exit_code() == 0
    # States that are whole but not those of the files: only the files say so.
    change(part, lambda f: f.with_columns(used=pl.col("used") - 1))
    told = tg.verify(report, level="rescan").levels
    assert any("performance.parquet: window 2024-03-01" in text for level in told for text in level.differences)


def test_months_of_flights(tmp_path: Path) -> None:
    """The real log month by month, beside one run over all of it."""
    flights = ROOT / "examples" / "nycflights13"
    columns = ["ts", "carrier", "temp", "label", "score"]
    pl.read_parquet(flights / "reference.parquet").select(columns).write_parquet(tmp_path / "reference.parquet")
    current = pl.read_parquet(flights / "current.parquet")
    (tmp_path / "log").mkdir()
    config = write_config(tmp_path, roles='label = "label"\nscore = "score"', current='time_zone = "America/New_York"')
    config.write_text(config.read_text().replace('"1d"', '"1mo"'))
    for month in range(6, 13):
        rows = current.filter(pl.col("month") == month).select(columns)
        rows.write_parquet(tmp_path / "log" / f"{month:02}.parquet")
        if month in (7, 12):
            report = tg.run(config)
    (tmp_path / "plain.toml").write_text(config.read_text().replace('[store]\npath = "store"', ""))
    plain = tg.run(tmp_path / "plain.toml")
    assert measured(report) == measured(plain)
    assert details(report) == details(plain)
    assert "roc_auc" in details(report)["sentence"]
