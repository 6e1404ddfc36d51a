"""What machines read: JUnit XML, metrics text, the summary of a job, and the index of many reports."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import records
from tidegauge import _index, _outputs
from tidegauge.cli import _show
from tidegauge.errors import FormatError, InputError, UsageError
from tidegauge.report import Entry, render_index, render_junit, render_metrics
from tidegauge.report._rows import unpack_rows

CASES = ["small", "large", "calm", "alarming", "unwindowed", "every_verdict", "hostile", "empty"]


def record(case: str) -> dict[str, Any]:
    return getattr(records, case)()


# The rules of Ant's JUnit.xsd (the stricter) and of Jenkins' junit-10.xsd, as far as they bind what
# is written here: elements in order, attributes that must be there, and no others.
ORDER = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out", "system-err"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure", "system-out"],
    "property": [], "failure": [], "error": [], "skipped": [], "system-out": [], "system-err": [],
}  # fmt: skip
REQUIRED = {
    "testsuites": {"name", "tests", "failures", "errors", "disabled", "time"},
    "testsuite": {
        "id", "name", "package", "timestamp", "hostname", "tests", "failures", "errors", "skipped", "time",
    },
    "properties": set(),
    "testcase": {"name", "classname", "time"},
    "property": {"name", "value"},
    "failure": {"type", "message"}, "error": {"type", "message"}, "skipped": {"message"},
    "system-out": set(), "system-err": set(),
}  # fmt: skip


def check_junit(text: str) -> ET.Element:
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == REQUIRED[element.tag]
        places = [ORDER[element.tag].index(child.tag) for child in element]
        assert places == sorted(places)
    for suite in root:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        for name, child in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == sum(case.find(child) is not None for case in cases)
        keys = Counter((case.attrib["classname"], case.attrib["name"]) for case in cases)
        assert max(keys.values(), default=1) == 1
    for name in ("tests", "failures", "errors"):
        assert int(root.attrib[name]) == sum(int(suite.attrib[name]) for suite in root)
    return root


@pytest.mark.parametrize("case", CASES)
def test_junit_keeps_to_the_schemas(case: str) -> None:
    check_junit(render_junit(record(case)))


@pytest.mark.parametrize("case", CASES)
def test_each_verdict_against_the_deciding_baseline_is_a_case(case: str) -> None:
    held = record(case)
    rows = [row for row in unpack_rows(held["result"].get("rows") or []) if row["statistic"] == "verdict"]
    expected = Counter(row["verdict"] for row in rows if row["baseline"] == "reference")
    root = check_junit(render_junit(held))
    assert len(root.findall(".//failure")) == expected["fail"]
    assert len(root.findall(".//error")) == expected["error"]
    assert len(root.findall(".//skipped")) == expected["inconclusive"] + expected["not_evaluated"]
    assert len(root.findall(".//testcase")) == expected.total()


def test_a_failure_has_its_numbers_and_a_warning_says_so() -> None:
    rows = [
        {"feature": "x", "statistic": "ks", "decides": True, "value": 0.2, "ci_low": 0.15, "ci_high": 0.25,
         "warn_at": 0.05, "fail_at": 0.1, "verdict": "fail", "baseline": "reference", "n_reference": 900,
         "n_current": 800},
        {"feature": "x", "statistic": "verdict", "verdict": "fail", "baseline": "reference", "message": "moved <far>"},
        {"feature": "y", "statistic": "verdict", "verdict": "warn", "baseline": "reference", "message": "moved"},
        {"feature": "x", "statistic": "verdict", "verdict": "fail", "baseline": "previous", "message": "context"},
    ]  # fmt: skip
    root = check_junit(render_junit({"result": {"rows": rows}}))
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.attrib["message"] == "moved <far>"
    assert failure.text == (
        "fail: ks 0.2, interval 0.15 to 0.25, limits 0.05 and 0.1, 2 times the fail limit, "
        "900 reference and 800 current rows"
    )
    assert [case.attrib["name"] for case in root.iter("testcase")] == ["x", "y"]
    assert "warn: moved" in (root.findtext(".//system-out") or "")
    decided = {"configuration": {"decided_by": ["previous"]}, "rows": rows}
    assert len(check_junit(render_junit({"result": decided})).findall(".//testcase")) == 1


@pytest.mark.parametrize("decides", [False, True])
def test_data_not_read_whole_is_an_error_and_a_missing_schema_a_failure(decides: bool) -> None:
    """Beside other rows, and where nothing else was read either."""
    rows = [
        {"feature": "*", "statistic": "coverage", "decides": decides, "verdict": "inconclusive", "baseline": None,
         "message": "1 of 8 units could not be read"},
        {"feature": "*", "statistic": "volume", "decides": True, "verdict": "fail", "value": 3.0,
         "baseline": "reference", "message": "below the minimum"},
    ]  # fmt: skip
    root = check_junit(render_junit({"result": {"rows": rows}}))
    assert [e.attrib["message"] for e in root.iter("error")] == ["1 of 8 units could not be read"]
    assert [e.attrib["message"] for e in root.iter("failure")] == ["below the minimum"]
    assert [c.attrib["name"] for c in root.iter("testcase")] == ["all columns, coverage", "all columns, volume"]


SAMPLE = re.compile(r'(tidegauge_[a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (NaN|[+-]Inf|-?[0-9.e+-]+)')


def check_metrics(text: str) -> list[tuple[str, str, str]]:
    """Samples of a text that keeps to the exposition format: families whole, each series once."""
    assert text.endswith("\n")
    samples, typed, family = [], set(), ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in typed
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {family} gauge"
            typed.add(family)
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == family
            assert family in typed
            samples.append((match[1], match[2], match[3]))
    assert len({sample[:2] for sample in samples}) == len(samples)
    return samples


@pytest.mark.parametrize("case", CASES)
def test_metrics_keep_to_the_format(case: str) -> None:
    text = render_metrics(record(case))
    assert text.isprintable() or all(line.isprintable() for line in text.split("\n"))
    samples = check_metrics(text)
    verdicts = [value for name, _, value in samples if name == "tidegauge_verdict"]
    assert sorted(verdicts) == ["0"] * 6 + ["1"]


def test_names_that_look_alike_are_series_of_their_own() -> None:
    names = ["a\nb", "a\\nb", 'a"b', 'a\\"b', "a\x1bb", "a\\x1bb"]
    rows = [
        {"feature": name, "statistic": "ks", "decides": True, "value": 0.5, "verdict": "ok", "baseline": "reference"}
        for name in names
    ]
    samples = check_metrics(render_metrics({"result": {"rows": rows}}))
    assert len([s for s in samples if s[0] == "tidegauge_value"]) == len(names)


def test_series_do_not_grow_with_windows_or_segments() -> None:
    few = records.Builder(records.NYC, records.MONTHS[-2:]).build()
    many = records.Builder(records.NYC, records.MONTHS).build()
    assert len(check_metrics(render_metrics(few))) == len(check_metrics(render_metrics(many)))
    wide = [(f"c{i}", "numeric", "feature", 0.01) for i in range(2_100)]
    samples = check_metrics(render_metrics(records.Builder(wide, [(None, None)], baselines=("reference",)).build()))
    assert len({s[1] for s in samples if s[0] == "tidegauge_feature_severity"}) == 2_000
    assert [s[2] for s in samples if s[0] == "tidegauge_features_omitted"] == ["100"]


def test_the_last_window_speaks() -> None:
    held = records.small()
    last = held["result"]["windows"][-1]
    rows = unpack_rows(held["result"]["rows"])
    expected = {
        (row["baseline"], row["feature"], row["statistic"]): repr(row["value"])
        for row in rows
        if row["decides"] and row["window_start"] == last["start"] and row["segment_by"] is None
    }
    found = {}
    for name, labels, value in check_metrics(render_metrics(held)):
        if name == "tidegauge_value":
            of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            found[(of["baseline"], of["feature"], of["statistic"])] = value
    assert found == expected


def test_outputs_of_a_record_and_of_its_file_are_the_same(tmp_path: Path) -> None:
    held = records.sealed(records.small())
    path = tmp_path / "report.json"
    path.write_bytes(_outputs.render(held, ".json"))
    again = _outputs.read_record(path)
    for suffix in _outputs.RENDERED:
        assert _outputs.render(again, suffix) == _outputs.render(held, suffix)
    with pytest.raises(UsageError, match=r"\.tgp"):
        _outputs.render(held, ".tgp")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": "tidegauge.report/99", "result": {}}', "\xff"])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match=r"x\.json"):
        _outputs.read_record(path)


def test_a_summary_is_appended_and_never_fails_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = records.small()
    text = _outputs.render(held, ".md").decode()
    path = tmp_path / "summary.md"
    path.write_text("before, without newline")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    _show.append_summary(held)
    assert path.read_text() == f"before, without newline\n{text}"
    os.truncate(path, _show.SUMMARY_LIMIT - 10)
    _show.append_summary(held)
    assert path.stat().st_size == _show.SUMMARY_LIMIT - 10
    assert "at most 1,048,576" in capsys.readouterr().err
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    _show.append_summary(held)
    assert "is a directory" in capsys.readouterr().err
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    _show.append_summary(held)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], terminal: bool, expected: bool) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    assert _show.colored() is expected


def fill(folder: Path, days: int) -> None:
    held = records.small()
    for day in range(1, days + 1):
        held["envelope"]["finished"] = f"2026-01-{day:02d}T06:00:00.000Z"
        held["result"]["model"] = {"name": f"model {day % 2}", "version": "1"}
        place = folder / f"day={day:02d}"
        place.mkdir(parents=True)
        (place / "report.json").write_bytes(_outputs.render(records.sealed(held), ".json"))
        if day % 2:
            (place / "report.html").write_bytes(b"")


def test_an_index_reads_only_what_changed(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    (tmp_path / "other.json").write_text('{"name": "not ours"}')
    (tmp_path / "cut.json").write_text('{"schema": "tidegauge.report/1", "result": {"ver')
    page = tmp_path / "index.html"
    assert _index.write_index(tmp_path, page) == (7, 8)
    first = page.read_bytes()
    assert _index.write_index(tmp_path, page) == (7, 0)
    assert page.read_bytes() == first
    text = first.decode()
    # Newest first; the page where there is one, else the record.
    links = re.findall(r'<a href="([^"]+)"', text.partition("All reports")[2])
    assert links == [f"./day%3D{d:02d}/report.{'html' if d % 2 else 'json'}" for d in (6, 5, 4, 3, 2, 1)]
    latest = text.partition("latest of each model")[2].partition("All reports")[0]
    assert latest.count('<th scope="row">') == 2
    assert "1 JSON file passed over" in text
    assert "cannot be read: " in text
    changed = json.loads((tmp_path / "day=03" / "report.json").read_text())
    changed["result"]["verdict"] = "error"
    (tmp_path / "day=03" / "report.json").write_text(json.dumps(records.sealed(changed)))
    (tmp_path / "day=01" / "report.json").unlink()
    assert _index.write_index(tmp_path, page) == (6, 1)
    assert page.read_bytes() != first
    assert "does not hold" not in page.read_text()
    # Edited by hand: listed, and said to be.
    changed["result"]["verdict"] = "ok"
    (tmp_path / "day=03" / "report.json").write_text(json.dumps(changed))
    assert _index.write_index(tmp_path, page) == (6, 1)
    assert "not as it was written: its result_digest does not hold" in page.read_text()
    # A cache that is broken is no more than an absent one.
    (tmp_path / ".index.html.cache").write_text("{")
    second = page.read_bytes()
    assert _index.write_index(tmp_path, page) == (6, 7)
    assert page.read_bytes() == second
    with pytest.raises(InputError, match="not a folder"):
        _index.write_index(tmp_path / "absent", page)


def test_an_index_of_hostile_reports_stays_a_page() -> None:
    entries = [
        Entry(f"{i}.json", name, None, "fail", name, name, 1, name, name, 3, name, name)
        for i, name in enumerate(records.HOSTILE)
        if "\ud800" not in name  # no file has such a name
    ]
    text = render_index(entries)
    text.encode()
    assert not re.search(r"<(script|img|svg|iframe)\b", text)
    assert 'href="./%3Cscript' in text
    assert not re.search(r'href="(?!\./)', text)
    assert render_index(list(reversed(entries))) == text
