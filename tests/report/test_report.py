"""The renderings: escaping, determinism, size, words, contrast; a hostile record beside calm ones."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hashlib
import importlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import records
import tidegauge.report
from records import HOSTILE, VERDICTS
from tidegauge.report import charts, render_html, render_markdown, render_text
from tidegauge.report._text import number, percent, shorten, visible, window_label
from tidegauge.report.sections import SECTIONS

CASES = ["small", "large", "calm", "alarming", "unwindowed", "every_verdict", "hostile", "empty"]
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Names of the template's own elements; a name from a record must add none.
ELEMENTS = re.compile(
    "html|head|meta|title|style|body|header|nav|a|main|section|footer|p|span|h[123]|[uod]l|li|d[td]|b|br|bdi|div|small|table|"
    "caption|thead|tbody|t[rhd]|figure|figcaption|svg|path|text|desc|details|summary|code|pre"
)
ATTRIBUTES = re.compile(
    "lang|charset|http-equiv|content|href|name|class|id|scope|tabindex|role|aria-(label|labelledby|hidden)|viewbox|[dxy]|"
    "text-anchor"
)


def record(case: str) -> dict[str, Any]:
    return getattr(records, case)()


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.style = ""
        self.meta: dict[str, str] = {}
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        held = dict(attrs)
        if held.get("id"):
            self.ids.append(str(held["id"]))
        if "href" in held:
            self.links.append(str(held["href"]))
        if tag == "meta" and "http-equiv" in held:
            self.meta[str(held["http-equiv"])] = str(held["content"])

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.style += data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


@pytest.mark.parametrize("case", CASES)
def test_page_has_our_elements_and_no_others(case: str) -> None:
    page = Page(render_html(record(case)))
    assert [name for name in page.elements if not ELEMENTS.fullmatch(name)] == []
    assert [name for name in page.attributes if not ATTRIBUTES.fullmatch(name)] == []
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("case", CASES)
def test_page_loads_nothing(case: str) -> None:
    html = render_html(record(case))
    page = Page(html)
    # The list of contents leads within the page, and to every section below the findings, which stand above it.
    first, *others = re.findall(r'<h2 id="([a-z-]+)">', html)
    assert first == "findings"
    assert page.links == [f"#{ident}" for ident in others]
    assert not page.attributes & {"src", "srcset", "style", "action", "xlink:href"}
    assert "url(" not in page.style
    assert "@import" not in page.style
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert page.meta["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("case", CASES)
def test_every_rendering_is_printable_utf8(case: str) -> None:
    for rendered in (render_html(record(case)), render_markdown(record(case)), render_text(record(case), 100)):
        rendered.encode()
        assert not CONTROL.search(rendered)
        assert rendered.endswith("\n") or rendered.endswith("</html>")


def test_hostile_names_are_shown_as_text() -> None:
    words = Page(render_html(records.hostile())).words
    for name in HOSTILE:
        assert " ".join(shorten(name, 30).split()) in words


def test_hostile_record_as_markdown_stays_inside_code_spans() -> None:
    text = render_markdown(records.hostile())
    # GitHub splits table cells before it reads code spans, so an escaped bar is put aside first.
    rest = re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", text.replace(r"\|", ""))
    for mark in ("<", "](", "@team", "https", "alert", "{{"):
        assert mark not in rest


def test_strings_of_hostile_record_cannot_end_a_table_row() -> None:
    bars = {
        len(re.findall(r"(?<!\\)\|", line))
        for line in render_markdown(records.hostile()).splitlines()
        if line.startswith("|")
    }
    assert len(bars) == 1


@pytest.mark.parametrize("case", CASES)
def test_equal_records_give_equal_bytes_and_stay_as_they_were(case: str) -> None:
    held = record(case)
    before = copy.deepcopy(held)
    # As read back from a file, keys in another order.
    again = json.loads(json.dumps(dict(reversed(held.items()))))
    for render in (render_html, render_markdown, lambda r: render_text(r, 90)):
        assert render(held) == render(again)
    assert held == before


def test_bytes_do_not_depend_on_the_process() -> None:
    program = (
        "import sys, hashlib; sys.path[:0] = sys.argv[1:]; import records; from tidegauge.report import render_html;"
        "print(hashlib.sha256(render_html(records.small()).encode()).hexdigest())"
    )
    folders = [str(Path(__file__).parent), *sys.path]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, *folders],
            env={"PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"))
    }
    assert len(digests) == 1


def test_size_of_fifty_columns() -> None:
    assert len(render_html(records.large()).encode()) <= 300_000
    assert len(render_markdown(records.large()).encode()) <= 64_000


def test_size_of_a_thousand_columns() -> None:
    features = [(f"feature_{i:04d}", "numeric", "feature", 0.2) for i in range(1000)]
    held = records.Builder(features, records.MONTHS).build()
    assert len(render_html(held).encode()) <= 2_500_000
    markdown = render_markdown(held)
    assert len(markdown.encode()) <= 64_000
    assert "more in `report.json`" in markdown


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_a_word(verdict: str) -> None:
    word = tidegauge.report._words.WORD[verdict]
    held = records.every_verdict()
    assert word in Page(render_html(held)).words
    assert word in render_text(held, 120)
    held["result"]["verdict"] = verdict
    assert Page(render_html(held)).words.startswith(f"{word}: ")
    assert render_markdown(held).splitlines()[0].split(":")[0].endswith(word)
    assert render_text(held, 100).startswith(word.upper())


def test_a_season_is_told_from_a_new_alarm() -> None:
    held = records.small()
    said = "differs from the reference in 7 of 7 windows, but from the previous window in 3 of 6"
    for rendered in (Page(render_html(held)).words, render_markdown(held), " ".join(render_text(held, 80).split())):
        assert said in rendered.replace("`", "")


def test_counts_of_the_summary_follow_from_the_rows() -> None:
    assert "5 columns were judged in 7 windows against the reference" in render_text(records.small(), 200)
    assert "5 ok." in render_text(records.calm(), 200)
    assert "No column failed, warned or stayed open." in Page(render_html(records.calm())).words
    assert "5 fail." in render_text(records.alarming(), 200)


def test_columns_without_a_verdict_do_not_count_as_judged() -> None:
    assert (
        "4 columns were judged against the reference: 1 fail, 1 warn, 1 inconclusive, 1 ok; 1 could not be computed; "
        "1 had nothing to compare."
    ) in render_text(records.every_verdict(), 300)


def test_an_inconclusive_row_claims_nothing() -> None:
    line = next(s for s in render_text(records.every_verdict(), 300).splitlines() if "Inconclusive is_incon" in s)
    assert "too few effective rows to tell" in line
    assert "moved" not in line


def test_many_inconclusive_columns_are_told_together() -> None:
    names = [(f"c{i}", "numeric", "feature", 0.02 + i / 1000) for i in range(6)]
    forced = {(i, 0): "inconclusive" for i in range(5)}
    held = records.Builder(names, [(None, None)], baselines=("reference",), forced=forced).build()
    for rendered in (Page(render_html(held)).words, render_markdown(held), " ".join(render_text(held, 100).split())):
        said = rendered.replace("`", "")
        assert "5 columns stay inconclusive: too few effective rows to rule a failing shift out" in said
        assert said.count("; 0.031 could be seen") == 5
        assert "No column failed, warned or stayed open" not in said


def test_every_value_of_the_heatmap_is_text() -> None:
    held = records.small()
    words = Page(render_html(held)).words
    for row in held["result"]["rows"]:
        if row["statistic"] in ("ks", "total_variation") and row["segment_by"] is None:
            assert f"{row['value']:.3f}".removeprefix("0") in words


def test_segments_are_shown_with_missing_values_named() -> None:
    words = Page(render_html(records.small())).words
    assert "carrier = UA" in words
    assert "carrier = (missing)" in words


def test_messages_of_errors_are_shown() -> None:
    held = records.every_verdict()
    assert "first value 'x' is not a number" in Page(render_html(held)).words
    assert "first value 'x' is not a number" in render_text(held, 200)


def test_non_finite_values_arrive_as_strings() -> None:
    held = records.unwindowed()
    for row in held["result"]["rows"]:
        for key in ("value", "ci_low", "ci_high", "bound_low", "bound_high"):
            if row.get(key) is not None:
                row[key] = {"value": "Infinity", "ci_low": "-Infinity"}.get(key, "NaN")
    assert "∞" in render_html(held)
    assert "∞" in render_text(held, 120)
    assert "∞" in render_markdown(held)


def test_sections_that_a_record_lacks_are_left_out() -> None:
    full = records.small()
    for key in full["result"]:
        held = copy.deepcopy(full)
        del held["result"][key]
        assert render_html(held)
        assert render_markdown(held)
        assert render_text(held, 80)
    for row in full["result"]["rows"]:
        for key in ("unit", "message", "rank", "ci_low", "bound_low", "minimum_detectable", "variance"):
            row.pop(key, None)
    assert render_html(full)
    assert render_html({})


def test_text_has_colour_on_demand_and_keeps_to_the_width() -> None:
    held = records.small()
    assert "\x1b[" not in render_text(held, 80)
    assert "\x1b[1;31mFAIL\x1b[0m" in render_text(held, 80, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", render_text(held, 80, color=True)) == render_text(held, 80)
    for width in (40, 60, 80, 120):
        assert max(map(len, render_text(held, width).splitlines())) <= width


def test_window_without_counts_has_no_chart() -> None:
    entry = records.small()["result"]["histograms"]["features"][0]
    assert charts.histogram(entry, ("1999-01-01T00:00:00Z", None)) is None
    assert charts.histogram(entry | {"reference": [1]}, records.MONTHS[0]) is None
    assert charts.histogram(entry, records.MONTHS[0]) is not None


def test_chart_of_empty_sides_is_drawn() -> None:
    entry = copy.deepcopy(records.small()["result"]["histograms"]["features"][0])
    entry["reference"] = [0] * len(entry["cells"])
    entry["windows"][0]["counts"] = [0] * len(entry["cells"])
    drawn = charts.histogram(entry, records.MONTHS[0])
    assert drawn is not None
    assert "NaN" not in charts.svg(drawn, ident="h", title="empty").split("<text")[0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), (0, "0"), (0.0, "0"), (57126, "57,126"), (57126.4, "57,126"), (0.123456, "0.1235"),
        (1e-7, "1e-07"), ("NaN", "NaN"), ("Infinity", "∞"), ("-Infinity", "-∞"), (12.34567, "12.35"), (10**400, "∞"),
    ],
)  # fmt: skip
def test_numbers(value: object, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.459, "45.9 %"), (0.067, "6.7 %"), (0.0, "0 %"), (1e-6, "under 0.01 %"), (1.0, "100.0 %")]
)
def test_percentages(value: float, shown: str) -> None:
    assert percent(value) == shown


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (None, None, "all rows"),
        ("2013-06-01T00:00:00Z", "2013-07-01T00:00:00Z", "2013-06"),
        ("2013-12-01T00:00:00-05:00", "2014-01-01T00:00:00-05:00", "2013-12"),
        ("2013-06-03T00:00:00Z", "2013-06-10T00:00:00Z", "2013-06-03 week"),
        ("2013-06-03T00:00:00", "2013-06-04T00:00:00", "2013-06-03"),
        ("2013-06-03T05:00:00Z", "2013-06-03T06:00:00Z", "2013-06-03 05:00"),
        ("2013-06-03T05:00:00Z", "2013-06-03T09:00:00Z", "2013-06-03 05:00 to 2013-06-03 09:00"),
        ("2013-06-03T05:00:00Z", "2013-06-03T09:00:00", "2013-06-03T05:00:00Z to 2013-06-03T09:00:00"),
        ("<b>", None, "<b> to None"),
    ],
)
def test_windows_have_short_names(start: str | None, end: str | None, shown: str) -> None:
    assert window_label(start, end) == shown


def test_names_are_never_invisible() -> None:
    assert shorten("") == "(empty name)"
    assert shorten("   ") == "(3 spaces)"
    assert visible("a\u202eb\x1b") == "a\\u202eb\\x1b"
    assert len(shorten("n" * 5000, 48)) == 48


def _luminance(color: str) -> float:
    color = color.removeprefix("#")
    color = "".join(c * 2 for c in color) if len(color) == 3 else color
    parts = [int(color[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast_is_aa(scheme: int) -> None:
    style = Page(render_html(records.empty())).style
    colors = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{3,6})", re.findall(r":root\{[^}]*\}", style)[scheme]))
    pairs = [("fg", "bg"), ("soft", "bg"), ("accent", "bg"), ("fg", "panel")]
    pairs += [(f"{v}-fg", v) for v in ("fail", "strong", "warn", "ok", "unsure", "error")]
    for front, back in pairs:
        a, b = sorted((_luminance(colors[front]), _luminance(colors[back])))
        assert (b + 0.05) / (a + 0.05) >= 4.5, (front, back)


def test_renderings_need_no_compiled_module() -> None:
    source = Path(tidegauge.report.__file__).parent
    for path in source.rglob("*.py"):
        assert not re.search(r"from \.\.|import _core|from tidegauge(?!\.report)", path.read_text()), path.name
    assert importlib.import_module("tidegauge.report") is tidegauge.report


def test_each_section_has_its_module_and_template() -> None:
    source = Path(tidegauge.report.__file__).parent
    listed = [module.__name__.rpartition(".")[2] for module in SECTIONS]
    assert sorted(listed) == sorted(p.stem for p in (source / "sections").glob("*.py") if p.stem != "__init__")
    assert sorted(listed) == sorted(p.name[:-8] for p in (source / "templates" / "sections").glob("*.html.j2"))
    # Headings stand in the order of the list, each under its own id.
    headings = re.findall(r'<section aria-labelledby="(\w+)">\s*<h2 id="(\w+)">', render_html(records.large()))
    assert headings
    assert all(a == b for a, b in headings)


@pytest.mark.parametrize("windows", [1, 12, 30, 60])
def test_a_page_keeps_its_size_whatever_the_windows_and_segments(windows: int) -> None:
    """Fewer windows, charts and rows are shown, and the page says so; every column stays in the heatmap."""
    start = dt.date(2023, 1, 2)
    weeks = [tuple(f"{start + dt.timedelta(7 * (i + j))}T00:00:00Z" for j in (0, 1)) for i in range(windows)]
    features = [(f"customer_feature_{i:02d}", "numeric", "feature", 0.4) for i in range(50)]
    record = records.Builder(features, weeks, segments=tuple(("region", f"r{i}") for i in range(3))).build()
    record["result"]["contributions"] = [
        {
            "feature": name, "verdict": "fail", "window_start": weeks[0][0], "window_end": weeks[0][1],
            "statistic": "ks", "value": 0.4, "more": 3,
            "cells": [
                {"label": f"{i}.25 to {i + 1}.25", "share_reference": 0.1, "share_current": 0.2, "contribution": 0.08}
                for i in range(5)
            ],
        }
        for name, *_ in features
    ]  # fmt: skip
    text = render_html(record)
    assert len(text.encode()) <= 300_000
    assert render_html(record) == text
    words = Page(text).words
    assert all(name in words for name, *_ in features)
    if windows == 60:
        assert re.search(r"The last \d+ of 60 windows; report.json has all.", words)
        assert re.search(r"\d+ more findings in report.json.", words)
