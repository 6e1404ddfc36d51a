"""The store: every file once, windows that close, verdicts that stay."""

import datetime as dt
import fcntl
import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import tidegauge as tg
from growing import ROOT, command, damage, record_of, rows_of, tree, without_times, write_config
from tidegauge import _store, _store_index
from tidegauge._store import read_tables
from tidegauge.record import unpack_rows

KEY = ("model_version", "window_start", "window_end", "baseline", "segment_by", "segment_value", "feature", "statistic")
#: Told by the run, not by the rows of a window.
OF_THE_RUN = ("run_id", "as_of")


def by_key(rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    found = {tuple(row[name] for name in KEY): {k: v for k, v in row.items() if k not in OF_THE_RUN} for row in rows}
    assert len(found) == len(rows)
    return found


def windows_of(report: Any) -> dict[str, dict[str, Any]]:
    return {window["start"][:10]: window for window in report.record["result"]["monitoring"]["windows"]}


def add(log: Path, name: str, frame: pl.DataFrame) -> None:
    frame.write_parquet(log / "log" / name, use_pyarrow=False)


def day(date: str, *, rows: int = 120, shift: float = 0.0, seed: int = 99) -> pl.DataFrame:
    return rows_of(1, rows, start=date, shift=shift, seed=seed)


@pytest.mark.parametrize("more", [
    {"current": 'baselines = ["reference", "previous"]'},
    {"current": 'by = ["city"]\nbaselines = ["reference", "rolling:2", "expanding"]'},
    {"current": 'baselines = ["reference", "rolling:3d", "seasonal:2d"]'},
    {"more": "[decisions]\nconsecutive = 2"},
    {"more": '[decisions]\nover_time = "sequential"'},
    {"more": '[[checks]]\nfeature = "x"\nstatistic = "null_rate"\nmax = 0.5'},
], ids=str)  # fmt: skip
def test_day_by_day_is_what_one_run_over_all_files_says(log: Path, tmp_path: Path, more: dict[str, str]) -> None:
    """Each day's run decides its windows; the rows are those of a run that reads everything at once."""
    away = tmp_path / "away"
    (log / "log").rename(away)
    (log / "log").mkdir()
    config = write_config(log, **more)
    for path in sorted(away.iterdir()):
        shutil.copy(path, log / "log")
        report = tg.run(config)
    plain = tg.run(write_config(log, store="none", **more))
    assert by_key(report.rows) == by_key(plain.rows)
    assert report.current.digest == plain.current.digest
    assert [w["state"] for w in windows_of(report).values()] == ["closed"] * 5 + ["open"]
    assert report.verdict == plain.verdict


def test_twice_changes_nothing(log: Path) -> None:
    config = write_config(log)
    first = tg.run(config)
    before = tree(log / "store")
    read: list[int] = []
    second = tg.run(config, progress=lambda done, total: read.append(total))
    assert tree(log / "store") == before
    assert read == []
    assert second.record["result_digest"] == first.record["result_digest"]
    assert without_times(second.record) == without_times(first.record)


def test_only_new_files_are_read(log: Path) -> None:
    config = write_config(log)
    tg.run(config)
    add(log, "next.parquet", day("2024-03-07"))
    read: list[int] = []
    tg.run(config, progress=lambda done, total: read.append(total))
    assert max(read) <= (log / "log" / "next.parquet").stat().st_size
    covered = pl.read_parquet(log / "store/parts/*/coverage.parquet")
    assert covered.height == covered.unique(["file", "row_group"]).height == 13
    assert covered["rows"].sum() == 7 * 120


def test_late_rows_reopen_a_window_and_both_verdicts_stay(log: Path) -> None:
    config = write_config(log, store='late = "reopen"')
    first = tg.run(config)
    assert windows_of(first)["2024-03-02"]["revision"] == 0
    add(log, "late.parquet", day("2024-03-02", shift=5))
    second = tg.run(config)
    window = windows_of(second)["2024-03-02"]
    assert (window["state"], window["revision"], window["rows"], window["rows_reopened"]) == ("closed", 1, 240, 120)
    assert [entry["revision"] for entry in window["superseded"]] == [0]
    assert [entry["rows"] for entry in window["superseded"]] == [120]
    assert {name: w["revision"] for name, w in windows_of(second).items() if name != "2024-03-02"} == {
        "2024-03-01": 0, "2024-03-03": 0, "2024-03-04": 0, "2024-03-05": 0, "2024-03-06": None,
    }  # fmt: skip
    plain = tg.run(write_config(log, store="none"))
    assert by_key(second.rows) == by_key(plain.rows)
    verdicts = pl.read_parquet(log / "store/verdicts/*/windows.parquet")
    assert verdicts.filter(pl.col("window_start").dt.day() == 2)["revision"].to_list() == [0, 1]
    rows = pl.read_parquet(log / "store/verdicts/*/rows.parquet")
    old = rows.filter((pl.col("window_start").dt.day() == 2) & (pl.col("revision") == 0))
    was = {(r["feature"], r["statistic"]): r["value"] for r in first.rows if r["window_start"].startswith("2024-03-02")}
    assert {(r["feature"], r["statistic"]): r["value"] for r in old.iter_rows(named=True)} == was
    again = tg.run(write_config(log, store='late = "reopen"'))
    assert again.record["result_digest"] == second.record["result_digest"]


def test_the_index_is_what_the_tables_say(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with an index, without one and with a damaged one says the same, and reads what is not in it."""
    config = write_config(log)
    first = tg.run(config)
    assert not list((log / "store").rglob("index-*"))
    monkeypatch.setattr(_store_index, "_BEHIND", 1)
    again = tg.run(config)
    (path,) = (log / "store").rglob("index-*.json")
    kept = path.read_bytes()
    assert json.loads(kept)["known"].keys() == {
        str(place.relative_to(log / "store")) for what in ("parts", "verdicts") for place in log.glob(f"store/{what}/*")
    }

    def refuse(paths: list[Path], columns: list[str] | None) -> pl.DataFrame:
        assert paths[0].name not in ("windows.parquet", "profile.parquet") or "profile" in (columns or ())
        return read_tables(paths, columns)

    with monkeypatch.context() as patched:
        patched.setattr(_store, "read_tables", refuse)
        indexed = tg.run(config)
        path.write_bytes(kept.replace(b"2024", b"2025"))
        with pytest.raises(AssertionError):
            tg.run(config)
    damaged = tg.run(config)
    assert [made.name for made in (log / "store").rglob("index-*")] == [path.name]
    assert path.read_bytes() == kept
    for report in (again, indexed, damaged):
        assert report.record["result_digest"] == first.record["result_digest"]
    add(log, "2024-03-07.parquet", day("2024-03-07"))
    assert windows_of(tg.run(config))["2024-03-06"]["state"] == "closed"
    assert len(json.loads(next((log / "store").rglob("index-*")).read_bytes())["known"]) == 4


def test_a_later_window_decided_on_earlier_rows_stays(log: Path) -> None:
    """What was said of the third, against the second as it was, is not said again when the second reopens."""
    given = {"current": 'baselines = ["previous"]'}
    first = tg.run(write_config(log, **given))
    add(log, "late.parquet", day("2024-03-02", shift=5))
    second = tg.run(write_config(log, **given))
    third = [row for row in by_key(first.rows).values() if row["window_start"].startswith("2024-03-03")]
    assert [row for row in by_key(second.rows).values() if row["window_start"].startswith("2024-03-03")] == third
    assert windows_of(second)["2024-03-03"]["revision"] == 0


def test_late_rows_are_counted(log: Path) -> None:
    config = write_config(log, store='late = "count"')
    first = tg.run(config)
    add(log, "late.parquet", pl.concat([day("2024-03-02", shift=5), day("2024-03-06", shift=1)]))
    second = tg.run(config)
    window = windows_of(second)["2024-03-02"]
    assert (window["revision"], window["rows"], window["rows_late"]) == (0, 120, 120)
    # The last window is open: its rows are not late.
    assert windows_of(second)["2024-03-06"]["rows"] == 240
    closed = {k: v for k, v in by_key(first.rows).items() if not str(k[1]).startswith("2024-03-06")}
    assert {k: v for k, v in by_key(second.rows).items() if not str(k[1]).startswith("2024-03-06")} == closed
    assert second.current.rows == 6 * 120 + 120
    assert any("counted and not evaluated: 120 in 1" in note for note in second.record["result"]["limitations"])
    reopened = tg.run(write_config(log, store='late = "reopen"'))
    assert windows_of(reopened)["2024-03-02"]["revision"] == 1
    assert windows_of(reopened)["2024-03-02"]["rows"] == 240


def test_lateness_keeps_windows_open(log: Path) -> None:
    report = tg.run(write_config(log, store='lateness = "2d"'))
    assert [w["state"] for w in windows_of(report).values()] == ["closed"] * 3 + ["open"] * 3
    assert report.record["result"]["monitoring"]["as_of"].startswith("2024-03-06")
    for row in report.rows:
        assert row["as_of"].startswith("2024-03-06")


def test_the_last_windows_are_shown(log: Path) -> None:
    """The rest stays in the store, and a window that reopens is shown however old."""
    config = write_config(log, store="render = 2", current='baselines = ["reference", "rolling:3"]')
    report = tg.run(config)
    assert list(windows_of(report)) == ["2024-03-05", "2024-03-06"]
    assert report.current.rows == 240
    plain = by_key(tg.run(write_config(log, store="none", current='baselines = ["reference", "rolling:3"]')).rows)
    shown = by_key(report.rows)
    assert shown == {k: v for k, v in plain.items() if k[1] >= "2024-03-05"}
    again = tg.run(write_config(log, store="render = 2", current='baselines = ["reference", "rolling:3"]'))
    assert again.record["result_digest"] == report.record["result_digest"]
    add(log, "late.parquet", day("2024-03-01", shift=2))
    config = write_config(log, store="render = 2", current='baselines = ["reference", "rolling:3"]')
    reopened = tg.run(config)
    assert list(windows_of(reopened)) == ["2024-03-01", "2024-03-05", "2024-03-06"]
    assert tg.run(config).record["result_digest"] == reopened.record["result_digest"]


def test_rows_without_a_time_and_tables_without_windows(log: Path) -> None:
    add(log, "untimed.parquet", day("2024-03-06").with_columns(ts=pl.lit(None, dtype=pl.Datetime("us"))))
    report = tg.run(write_config(log))
    plain = tg.run(write_config(log, store="none"))
    assert by_key(report.rows) == by_key(plain.rows)
    text = write_config(log).read_text().replace('window = "1d"\n', "").replace('"store"', '"other"')
    (log / "tidegauge.toml").write_text(text)
    one = tg.run(log / "tidegauge.toml")
    assert [w["state"] for w in one.record["result"]["monitoring"]["windows"]] == ["open"]
    assert one.current.rows == 7 * 120


def test_a_gap_between_windows(log: Path) -> None:
    """Days without a row are told once, by the window after them."""
    (log / "log" / "2024-03-03.parquet").unlink()
    (log / "log" / "2024-03-04.parquet").unlink()
    report = tg.run(write_config(log))
    plain = tg.run(write_config(log, store="none"))
    assert by_key(report.rows) == by_key(plain.rows)
    assert any(row["statistic"] == "volume" and row["n_current"] == 0 for row in report.rows)


def test_another_run_is_at_work(log: Path) -> None:
    config = write_config(log)
    (log / "store").mkdir()
    with (log / "store" / "lock").open("w") as held:
        held.write("4711\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(tg.errors.StoreError, match=r"another run is at work in it \(process 4711\)"):
            tg.run(config)
        done = command(config)
    assert done.returncode == 2
    assert "one run at a time is accepted" in done.stderr
    assert not (log / "out").exists()
    tg.run(config)


@pytest.mark.parametrize(("change", "message"), [
    ({"current": 'by = ["city"]'}, r"other options \(by was None and is \['city'\]\)"),
    ({"top": '[model]\nname = "a"', "current": 'where = "x > 0"'}, "where was None and is 'x > 0'"),
])  # fmt: skip
def test_other_options_need_another_store(log: Path, change: dict[str, str], message: str) -> None:
    tg.run(write_config(log))
    before = tree(log / "store")
    with pytest.raises(tg.errors.StoreError, match=message):
        tg.run(write_config(log, **change))
    assert {k: v for k, v in tree(log / "store").items() if k != "lock"} == {
        k: v for k, v in before.items() if k != "lock"
    }


def test_another_reference_needs_another_store(log: Path) -> None:
    tg.run(write_config(log))
    rows_of(25, 120, seed=8).write_parquet(log / "reference.parquet")
    with pytest.raises(tg.errors.StoreError, match="made against the reference"):
        tg.run(write_config(log))


def test_a_touched_reference_is_read_again_and_is_the_same(log: Path) -> None:
    config = write_config(log)
    first = tg.run(config)
    (log / "reference.parquet").touch()
    assert tg.run(config).record["result_digest"] == first.record["result_digest"]
    read: list[int] = []
    tg.run(config, progress=lambda done, total: read.append(total))
    assert read == []


def test_a_file_that_changed_after_it_was_counted(log: Path) -> None:
    config = write_config(log)
    tg.run(config)
    before = tree(log / "store")
    add(log, "2024-03-02.parquet", day("2024-03-02", rows=121))
    with pytest.raises(tg.errors.InputError, match=r"2024-03-02.parquet: not the file that was counted"):
        tg.run(config)
    assert tree(log / "store").keys() == before.keys()
    # One that is gone was counted, and stays.
    (log / "log" / "2024-03-02.parquet").unlink()
    assert tg.run(config).current.rows == 6 * 120


def test_folder_and_configuration_move_together(log: Path, tmp_path: Path) -> None:
    first = tg.run(write_config(log))
    place = tmp_path / "moved"
    place.mkdir()
    for name in ("log", "store", "reference.parquet", "tidegauge.toml"):
        shutil.move(log / name, place / name)
    second = tg.run(place / "tidegauge.toml")
    assert second.record["result_digest"] == first.record["result_digest"]
    assert len(list((place / "store/parts").iterdir())) == 1


def test_a_part_that_cannot_be_read_is_tried_again(log: Path) -> None:
    path = log / "log" / "2024-03-04.parquet"
    whole = path.read_bytes()
    damage(path)
    with pytest.raises(tg.errors.InputError, match="row group 0"):
        tg.run(write_config(log))
    allowed = {"more": "[scan]\nmax_bad_units = 1"}
    report = tg.run(write_config(log, **allowed))
    assert report.exit_code("fail") == 1
    assert [row["statistic"] for row in report.incomplete] == ["coverage"]
    assert report.current.rows == 6 * 120 - 60
    again = tg.run(write_config(log, **allowed))
    assert again.record["result_digest"] == report.record["result_digest"]
    truncated = whole[:-100]
    (log / "log" / "2024-03-07.parquet").write_bytes(truncated)
    with pytest.raises(tg.errors.InputError):
        tg.run(write_config(log, **allowed))
    both = tg.run(write_config(log, more="[scan]\nmax_bad_units = 2"))
    assert "2 units" in str(both.incomplete[0]["message"])
    (log / "log" / "2024-03-07.parquet").unlink()
    path.write_bytes(whole)
    # The footer is the same: the row group that could not be read comes now, late.
    mended = tg.run(write_config(log, **allowed))
    assert mended.incomplete == []
    assert mended.current.rows == 6 * 120
    assert windows_of(mended)["2024-03-04"]["revision"] == 1


def test_a_column_that_goes_missing_is_a_finding(log: Path) -> None:
    config = write_config(log)
    tg.run(config)
    add(log, "2024-03-07.parquet", day("2024-03-07").drop("k"))
    add(log, "2024-03-08.parquet", day("2024-03-08").with_columns(extra=pl.lit(1)))
    report = tg.run(config)
    assert report.exit_code("fail") == 1
    failed = {(row["feature"], row["window_start"][:10]) for row in report.failed if row["feature"] == "k"}
    assert ("k", "2024-03-07") in failed
    assert not any(start < "2024-03-06" for _, start in failed)  # decided before


def test_text_files_and_row_filters(log: Path) -> None:
    """What goes through Polars is one unit a file."""
    for path in sorted((log / "log").iterdir()):
        pl.read_parquet(path).write_csv(path.with_suffix(".csv"))
    text = write_config(log).read_text().replace("log/*.parquet", "log/*.csv")
    (log / "csv.toml").write_text(text.replace('"store"', '"csv-store"'))
    report = tg.run(log / "csv.toml")
    again = tg.run(log / "csv.toml")
    assert again.record["result_digest"] == report.record["result_digest"]
    plain = tg.run(write_config(log, store="none"))
    assert report.current.digest == plain.current.digest
    filtered = tg.run(write_config(log, current='where = "k > 3"'))
    assert filtered.current.rows == sum(
        pl.read_parquet(path).filter(pl.col("k") > 3).height for path in (log / "log").glob("*.parquet")
    )
    (log / "remote.toml").write_text(text.replace("log/*.csv", "s3://b/a.parquet").replace('"store"', '"remote-store"'))
    with pytest.raises(tg.errors.InputError, match="local paths"):
        tg.run(log / "remote.toml")


def psi(store: Path) -> dict[tuple[str, Any], float]:
    """PSI of every column and window from the plain tables alone, as docs/daily-operation.md tells it."""
    page = (ROOT / "docs" / "daily-operation.md").read_text()
    query = page.split("```sql\n")[1].split("```")[0]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(query.replace("profiles/", f"{store}/")).fetchall()
    return {(feature, start): value for feature, start, value in found}


def test_psi_in_sql_is_ours(log: Path) -> None:
    """DuckDB reads the store alone, and comes to the number of the rows: cells, categories, missing, infinite."""
    odd = day("2024-03-07").with_columns(
        x=pl.when(pl.int_range(pl.len()) % 50 == 0).then(float("inf")).when(pl.int_range(pl.len()) % 70 == 0)
        .then(float("nan")).otherwise("x"),
        city=pl.when(pl.int_range(pl.len()) % 30 == 0).then(pl.lit("Atlantis")).otherwise("city"),
    )  # fmt: skip
    add(log, "odd.parquet", odd)
    add(log, "late.parquet", day("2024-03-02", shift=3))
    report = tg.run(write_config(log))
    ours = {
        (row["feature"], dt.datetime.fromisoformat(row["window_start"])): row["value"]
        for row in report.rows if row["statistic"] == "psi"
    }  # fmt: skip
    theirs = psi(log / "store")
    assert len(ours) == 3 * 7
    for key, value in ours.items():
        # The same sums in another order.
        assert theirs[key] == pytest.approx(value, rel=1e-12, abs=1e-15), key


def test_polars_reads_the_tables_alone(log: Path) -> None:
    report = tg.run(write_config(log, current='by = ["city"]'))
    columns = pl.read_parquet(log / "store/parts/*/columns.parquet")
    whole = columns.filter(pl.col("segment_by").is_null(), pl.col("feature") == "x")
    rows = pl.concat([pl.read_parquet(path) for path in (log / "log").iterdir()])
    assert whole["rows"].sum() == rows.height == report.current.rows
    assert whole["nulls"].sum() == rows["x"].null_count()
    mean = (whole["mean"] * whole["finite"]).sum() / whole["finite"].sum()
    assert mean == pytest.approx(rows["x"].mean(), rel=1e-12)
    cells = pl.read_parquet(log / "store/parts/*/cells.parquet").filter(feature="x")
    of = cells.filter(pl.col("segment_by").is_null())
    assert of["count"].sum() == rows["x"].count()
    assert cells.filter(segment_value="Oslo")["count"].sum() == rows.filter(city="Oslo")["x"].count()
    # Bounds hold what they say: rows between two edges are the counts between them.
    for edge in of["low"].drop_nulls().unique().sort()[::37]:
        below = of.filter((pl.col("high") <= edge) & ~((pl.col("low") == edge) & (pl.col("high") == edge)))
        assert below["count"].sum() == rows.filter(pl.col("x") < edge).height
    cities = pl.read_parquet(log / "store/parts/*/categories.parquet").filter(feature="city")
    found = cities.filter(pl.col("segment_by").is_null()).group_by("value").agg(pl.col("count").sum())
    assert dict(found.iter_rows()) == dict(rows["city"].value_counts().iter_rows())


def test_nycflights_month_by_month(tmp_path: Path) -> None:
    """Real rows: seven runs, one a month, are one run over all of them."""
    current = pl.read_parquet(ROOT / "examples/nycflights13/current.parquet")
    shutil.copy(ROOT / "examples/nycflights13/reference.parquet", tmp_path / "reference.parquet")
    text = (ROOT / "examples/nycflights13/tidegauge.toml").read_text()
    text = text.replace("../../out/nycflights13", "out").replace("current.parquet", "log/*.parquet")
    # Importances are measured on rows, which a store does not keep.
    explain, output = (text.index(head) for head in ("[explain]", "[output]"))
    plain = text[:explain].replace('path = "model.lgb.txt"', "") + text[output:]
    (tmp_path / "plain.toml").write_text(plain)
    stored = text + '[store]\npath = "store"\n'
    (tmp_path / "store.toml").write_text(stored)
    shutil.copy(ROOT / "examples/nycflights13/model.lgb.txt", tmp_path)
    (tmp_path / "log").mkdir()
    for month in range(6, 13):
        rows = current.filter(pl.col("month") == month)
        rows.write_parquet(tmp_path / "log" / f"{month:02}.parquet")
        if month in (6, 9, 12):
            report = tg.run(tmp_path / "store.toml")
    plain = tg.run(tmp_path / "plain.toml")
    assert by_key(report.rows) == by_key(plain.rows)
    record = record_of(tmp_path)
    assert len(unpack_rows(record["result"]["rows"])) == len(report.rows)
    assert report.record["result"]["performance"] == plain.record["result"]["performance"]
    told = [text for text in report.record["result"]["limitations"] if "run with a store" in text]
    assert told == ["Importances are not measured by a run with a store; one without a store measures them."]


def test_a_store_of_another_format_is_refused(log: Path) -> None:
    config = write_config(log)
    tg.run(config)
    path = log / "store" / "store.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": "tidegauge.store/2"}))
    with pytest.raises(tg.errors.FormatError, match=r"accepted is 'tidegauge.store/1'"):
        tg.run(config)
    path.write_text("{")
    with pytest.raises(tg.errors.FormatError, match=r"store.json"):
        tg.run(config)


@pytest.mark.parametrize("change", ["gone", "text"])
def test_a_day_without_a_column_that_failed_before(log: Path, change: str) -> None:
    """The windows shown have the column no longer together; those that failed still tell what adds most to it."""
    config = write_config(log, more='[columns.x]\nstatistic = "psi"\ntolerance = { warn = 0.01, fail = 0.02 }')
    before = tg.run(config)
    assert {row["verdict"] for row in before.rows if row["feature"] == "x" and row["statistic"] == "psi"} >= {"fail"}
    frame = day("2024-03-07")
    frame = frame.drop("x") if change == "gone" else frame.with_columns(pl.col("x").cast(pl.String))
    add(log, "2024-03-07.parquet", frame)
    report = tg.run(config)
    assert report.exit_code("fail") == 1
    assert any(row["feature"] == "x" and row["window_start"].startswith("2024-03-07") for row in report.failed)
    told = {entry["feature"]: entry for entry in report.record["result"]["contributions"]}
    assert told["x"]["cells"] == {e["feature"]: e for e in before.record["result"]["contributions"]}["x"]["cells"]
    add(log, "2024-03-08.parquet", day("2024-03-08"))
    tg.run(config)
    assert tg.verify(log / "out" / "report.json").exit_code() == 0


def test_a_store_that_moves_with_its_files(log: Path, tmp_path: Path) -> None:
    """Every run after the move says the same, and its report follows from the files."""
    tg.run(write_config(log))
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("log", "store", "out", "reference.parquet", "tidegauge.toml"):
        (log / name).rename(moved / name)
    seen = set()
    for _ in range(3):
        seen.add(tg.run(moved / "tidegauge.toml").record["record_digest"])
        assert tg.verify(moved / "out" / "report.json").exit_code() == 0
    assert len(seen) == 1
    assert len(list((moved / "store" / "reference").iterdir())) == 1
