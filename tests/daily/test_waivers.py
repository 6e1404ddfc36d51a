"""Waivers: accepted, shown, and over when their day has passed."""

import datetime as dt
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import tidegauge as tg
from growing import command, daily, record_of, rows_of, write_config
from tidegauge import config as configurations

#: Rows of one day are taken as independent, so that a window of one day decides.
ROLES = 'block = "none"'


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """Days of which x fails from the second on; nothing else moves."""
    rows_of(25, 300, seed=7).write_parquet(tmp_path / "reference.parquet")
    daily(tmp_path / "log", 4, 10)
    for i, path in enumerate(sorted((tmp_path / "log").iterdir())):
        rows_of(1, 3000, start=path.stem, shift=2.0 if i else 0.0, seed=30 + i).write_parquet(path)
    return tmp_path


def waiver(match: str = "x", until: str = "2024-12-31", **more: str) -> str:
    extra = "".join(f'{name} = "{value}"\n' for name, value in more.items())
    return f'[[waivers]]\nmatch = "{match}"\nuntil = {until}\nwho = "A. Owner"\nwhy = "new sensor"\n{extra}'


def run(folder: Path, *waivers: str, store: str = "none") -> Any:
    return tg.run(write_config(folder, store=store, roles=ROLES, more="\n".join(waivers)))


def test_a_waived_failure_is_shown_and_passes(failing: Path) -> None:
    plain = run(failing)
    assert {row["feature"] for row in plain.failed} == {"x"}
    assert plain.exit_code() == 1
    report = run(failing, waiver())
    assert report.failed == []
    assert report.verdict == "waived"
    assert report.exit_code() == report.exit_code("warn") == 0
    waived = [row for row in report.verdicts if row["verdict"] == "waived"]
    assert len(waived) == len(plain.failed) == 3
    for row in waived:
        assert row["message"].startswith("fail, waived until 2024-12-31 by A. Owner: new sensor; ")
    # The numbers and the rows that decide are as they were.
    detail = [row for row in report.rows if row["statistic"] != "verdict"]
    assert detail == [row for row in plain.rows if row["statistic"] != "verdict"]
    assert any(row["verdict"] == "fail" for row in detail)
    assert report.summary()["verdicts"]["waived"] == 3
    assert any("x" in finding and "waived" in finding for finding in report.summary()["findings"])
    told = report.record["result"]["waivers"]
    assert [(len(w["waived"]), len(w["ended"])) for w in told] == [(3, 0)]
    assert {place["verdict"] for place in told[0]["waived"]} == {"fail"}
    assert any("3 verdicts accepted, shown as waived" in note for note in report.record["result"]["limitations"])
    for suffix, word in ((".txt", "WAIVED"), (".md", "Waived"), (".html", "A waived verdict was a failure")):
        text = report.render(suffix).decode()
        assert word in text
        assert "Waived, so that it fails nothing" in text
        assert "new sensor" in text
        assert "A. Owner" in text
    # What machines read: cases that pass and say why, and series of their own.
    cases = [case for case in ET.fromstring(report.render(".xml")).iter("testcase") if case.get("name") == "x"]
    told = [case.findtext("system-out") or "" for case in cases]
    assert sum("waived: fail, waived until 2024-12-31 by A. Owner: new sensor" in text for text in told) == 3
    series = report.render(".prom").decode().splitlines()
    assert 'tidegauge_verdict{model="",model_version="",verdict="waived"} 1' in series
    assert any(line.startswith("tidegauge_features{") and 'verdict="waived"} 1' in line for line in series)


def test_a_waiver_that_has_ended_fails(failing: Path) -> None:
    """By the clock of the data: the third of March is reached, the fourth is not, whenever the report is made."""
    report = run(failing, waiver(until="2024-03-03"))
    assert {row["window_start"][:10]: row["verdict"] for row in report.verdicts if row["feature"] == "x"} == {
        "2024-03-01": "ok", "2024-03-02": "waived", "2024-03-03": "waived", "2024-03-04": "fail",
    }  # fmt: skip
    assert report.exit_code() == 1
    assert report.failed[0]["message"].endswith("; the waiver by A. Owner ended 2024-03-03")
    told = report.record["result"]["waivers"][0]
    assert (len(told["waived"]), len(told["ended"])) == (2, 1)
    done = command(failing / "tidegauge.toml")
    assert done.returncode == 1
    assert record_of(failing)["result"]["verdict"] == "fail"


def test_rows_without_a_window_go_by_the_day_of_the_run(failing: Path) -> None:
    text = write_config(failing, store="none", roles=ROLES, more=waiver(until="2024-03-03")).read_text()
    (failing / "tidegauge.toml").write_text(text.replace('window = "1d"\n', ""))
    assert tg.run(failing / "tidegauge.toml").exit_code() == 1
    today = dt.datetime.now(dt.UTC).date()
    for until, code in ((today, 0), (today - dt.timedelta(days=1), 1)):
        report = tg.run(
            failing / "tidegauge.toml", overrides=[f"waivers=[{{match='x', until={until}, who='a', why='b'}}]"]
        )
        assert report.exit_code() == code


def test_one_window_and_patterns(failing: Path) -> None:
    report = run(failing, waiver(window="2024-03-03"))
    assert [row["window_start"][:10] for row in report.failed] == ["2024-03-02", "2024-03-04"]
    assert run(failing, waiver(match="[wx]")).exit_code() == 0
    nothing = run(failing, waiver(match="y*"))
    assert nothing.exit_code() == 1
    assert any("accepted nothing" in note for note in nothing.record["result"]["limitations"])
    two = run(failing, waiver(until="2024-03-02"), waiver(until="2024-12-31"))
    assert [len(w["waived"]) for w in two.record["result"]["waivers"]] == [1, 2]
    assert two.exit_code() == 0


def test_errors_and_few_rows_cannot_be_waived(failing: Path) -> None:
    rows_of(1, 8, start="2024-03-05", seed=5).write_parquet(failing / "log" / "2024-03-05.parquet")
    report = run(failing, waiver(match="*"))
    few = {row["verdict"] for row in report.verdicts if row["window_start"].startswith("2024-03-05")}
    assert "inconclusive" in few
    assert report.exit_code("inconclusive") == 1


def test_in_a_store_the_frozen_verdict_stays_a_failure(failing: Path) -> None:
    """Accepting and ending are told when a report is made; what was decided is not rewritten."""
    import polars as pl

    accepted = run(failing, waiver(), store="")
    assert accepted.exit_code() == 0
    frozen = pl.read_parquet(failing / "store/verdicts/*/rows.parquet").filter(feature="x", statistic="verdict")
    assert frozen["verdict"].to_list() == ["ok", "fail", "fail"]
    assert run(failing, store="").exit_code() == 1


@pytest.mark.parametrize(("text", "message"), [
    (waiver().replace("who", "whom"), "whom"),
    (waiver().replace('why = "new sensor"\n', ""), "why"),
    (waiver(until='"soon"'), "until"),
    (waiver().replace("A. Owner", ""), r"waivers\[0\].who: '' is blank"),
    (waiver().replace("new sensor", " "), r"waivers\[0\].why: ' ' is blank"),
])  # fmt: skip
def test_a_waiver_needs_who_why_and_until(failing: Path, text: str, message: str) -> None:
    with pytest.raises(tg.errors.ConfigError, match=message):
        configurations.load(write_config(failing, store="none", roles=ROLES, more=text))


def test_a_day_may_be_text_in_json_and_yaml(failing: Path) -> None:
    given = configurations.load({
        "reference": {"path": "a.parquet"}, "current": {"path": "b.parquet"},
        "waivers": [{"match": "x", "until": dt.date(2024, 1, 31), "who": "a", "why": "b"}],
    })  # fmt: skip
    assert given.waivers[0].until == dt.date(2024, 1, 31)


def test_the_trail_tells_what_was_waived_and_what_ran_out(failing: Path) -> None:
    """One line a waiver and kind, with every verdict by place; a run without a use of a waiver adds none."""
    from tidegauge import audit

    text = waiver(until="2024-03-03") + waiver(match="never_there")
    config = write_config(failing, store="none", roles=ROLES, more=text)
    config.write_text(config.read_text().replace("[output]", '[output]\naudit = "trail.jsonl"'))
    report = tg.run(config)
    lines, _ = audit.check(failing / "trail.jsonl")
    assert [line["event"] for line in lines] == ["run", "waived", "waiver_expired"]
    for line in lines[1:]:
        assert line["record"] == report.record["record_digest"]
        assert [line[name] for name in ("match", "until", "who", "why")] == [
            "x",
            "2024-03-03",
            "A. Owner",
            "new sensor",
        ]
    told = {
        line["event"]: {(at["feature"], at["window_start"][:10], at["verdict"]) for at in line["verdicts"]}
        for line in lines[1:]
    }
    assert told == {
        "waived": {("x", "2024-03-02", "fail"), ("x", "2024-03-03", "fail")},
        "waiver_expired": {("x", "2024-03-04", "fail")},
    }
    config.write_text(config.read_text().replace(text, ""))
    tg.run(config)
    lines, _ = audit.check(failing / "trail.jsonl")
    assert [line["event"] for line in lines[3:]] == ["run", "superseded"]


def with_check(folder: Path, *waivers: str) -> Any:
    check = '[[checks]]\nfeature = "x"\nstatistic = "mean_shift"\nmax = 0.5\n'
    return run(folder, check, *waivers)


def accepting(statistic: str, **more: str) -> str:
    return waiver(**more) + f"statistic = {statistic}\n"


def test_a_waiver_does_not_reach_a_check_that_it_does_not_name(failing: Path) -> None:
    report = with_check(failing, waiver())
    assert {row["verdict"] for row in report.verdicts if row["feature"] == "x"} == {"ok", "fail"}
    assert report.exit_code() == 1
    told = " ".join(report.record["result"]["limitations"])
    assert "does not reach check/mean_shift of x, which therefore stands" in told
    # Named, it is reached; alone, it leaves the drift.
    both = with_check(failing, accepting('["ks", "check/*"]'))
    assert (both.exit_code(), both.verdict) == (0, "waived")
    assert both.record["result"]["waivers"][0]["statistic"] == ["ks", "check/*"]
    assert with_check(failing, accepting('"check/mean_shift"')).exit_code() == 1
    assert with_check(failing, accepting('"missing_rate"')).exit_code() == 1


def test_two_waivers_accept_what_neither_does_alone(failing: Path) -> None:
    season, level = waiver(), accepting('"check/mean_shift"').replace("A. Owner", "B. Owner")
    report = with_check(failing, season, level)
    assert (report.exit_code(), report.verdict) == (0, "waived")
    waived = next(row for row in report.verdicts if row["verdict"] == "waived")
    assert "by A. Owner: new sensor; waived until 2024-12-31 by B. Owner" in waived["message"]
    assert [len(w["waived"]) for w in report.record["result"]["waivers"]] == [3, 3]
    assert tg.verify(failing / "out" / "report.json").same
    # One of them ends: the failure stands, and says whose ended.
    over = accepting('"check/mean_shift"', until="2024-03-02").replace("A. Owner", "B. Owner")
    report = with_check(failing, season, over)
    assert report.exit_code() == 1
    assert report.failed[0]["message"].endswith("; the waiver by B. Owner ended 2024-03-02")
    assert tg.verify(failing / "out" / "report.json").same


def test_a_waiver_does_not_reach_a_tolerance_on_performance(tmp_path: Path) -> None:
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(3)
    signal = rng.normal(size=8000)
    label = (signal + rng.normal(size=8000) > 0).astype(int)
    score = 1 / (1 + np.exp(-signal))
    score[4000:] = score[4000:] * 0.2 + 0.8 * rng.random(4000)
    log = pl.DataFrame({"label": label, "score": score})
    log[:4000].write_parquet(tmp_path / "a.parquet")
    log[4000:].write_parquet(tmp_path / "b.parquet")
    accepted = {"match": "score", "until": "2999-01-01", "who": "A", "why": "season"}

    def code(**more: Any) -> int:
        settings = configurations.load({
            "reference": {"path": str(tmp_path / "a.parquet")}, "current": {"path": str(tmp_path / "b.parquet")},
            "roles": {"label": "label", "score": "score"},
            "columns": {"score": {"tolerances": {"roc_auc_worsening": {"warn": 0.01, "fail": 0.02}}}},
            "waivers": [{**accepted, **more}], "output": {"files": [str(tmp_path / "report.json")]},
        })  # fmt: skip
        return tg.run(settings).exit_code()

    assert code() == 1
    assert code(statistic=["ks", "roc_auc_worsening"]) == 0
