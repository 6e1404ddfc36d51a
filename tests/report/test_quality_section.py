"""The section on data quality: what it shows, what it leaves out, and how long it gets."""

import re
from typing import Any

import pytest
from records import HOSTILE, MONTHS
from tidegauge.report import render_html


def row(statistic: str, value: object, feature: str = "*", window: int = 0, **more: Any) -> dict[str, Any]:
    start, end = MONTHS[window]
    return {"baseline": "reference", "feature": feature, "statistic": statistic, "definition": f"{statistic}/v1",
            "value": value, "window_start": start, "window_end": end, "segment_by": None, **more}  # fmt: skip


def section(rows: list[dict[str, Any]]) -> str:
    page = render_html({"result": {"verdict": "ok", "rows": rows}})
    found = re.search(r'<section aria-labelledby="quality">.*?</section>', page, flags=re.DOTALL)
    return found[0] if found else ""


def cells(html: str) -> list[list[str]]:
    lines = re.findall(r"<tr>(.*?)</tr>", html, flags=re.DOTALL)
    strip = re.compile(r"<[^>]+>")
    return [[strip.sub("", c.replace("<br>", " | ")) for c in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", x)] for x in lines]


def test_rows_of_a_window_in_words() -> None:
    html = section([
        row("volume_rate", 0.5), row("freshness", 7300.0, "ts"), row("longest_gap", 172_800.0, "ts", 1),
        row("empty_blocks", 3, window=1), row("duplicate_keys", 12.0, "id", exactness="estimated"),
        row("schema", 1.0, "x"), row("schema", 2.0),
    ])  # fmt: skip
    assert cells(html) == [
        ["", "2013-06", "2013-07"],
        ["Rows over time, against the reference", "0.5 times", "–"],
        ["Days (or other blocks of time) without a row", "–", "3"],
        ["Longest gap", "–", "2 days"],
        ["Last row before the window&#39;s end", "2.03 h", "–"],
        ["Rows that repeat a key", "about 12", "–"],
        ["Columns missing, new or of another type", "2", "–"],
    ]
    assert "none became constant" in html


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (row("constant", 1.0, "x", value_if_no_change=1e-9), "constant"),
        (row("constant", 1.0, "x", value_if_no_change=0.4), None),
        (row("constant", 0.0, "x"), None),
        (row("missing_rate", 0.2, "x", ci_low=0.15), "missing 20.0 %"),
        (row("missing_rate", 0.2, "x", ci_low=0.0), None),
        (row("infinite_rate", 0.2, "x", ci_low=0.1), "infinite 20.0 %"),
        (row("range_violation", 0.2, "x", ci_low=0.1, value_if_no_change=0.001), "out of range 20.0 %"),
        (row("range_violation", 0.2, "x", ci_low=0.1, value_if_no_change=0.1), None),
        (row("new_category_mass", "NaN", "x", ci_low=0.1), None),
        (row("vanished_category_mass", 0.5, "x", ci_low=0.4, segment_by="s", segment_value="a"), None),
        (row("vanished_category_mass", 0.5, "x", ci_low=0.4, baseline="previous"), None),
        (row("vanished_category_mass", 0.5, "x", ci_low=0.4), "vanished 50.0 %"),
    ],
)
def test_a_column_is_named_for_more_than_chance(found: dict[str, Any], shown: str | None) -> None:
    html = section([row("volume_rate", 1.0), row("ks", 0.1, "x", decides=True), found])
    lines = [line for line in cells(html) if line[0] == "x"]
    assert lines == ([["x", shown]] if shown else [])


def test_hostile_names_and_many_columns() -> None:
    many = [
        row(statistic, 0.5, name, window, ci_low=0.4, value_if_no_change=0.0)
        for name in [*HOSTILE, *(f"column {i}" for i in range(500))]
        for window in range(7)
        for statistic in ("missing_rate", "range_violation", "infinite_rate")
    ]
    html = section(many)
    assert "more columns in report.json" in html
    assert len(html.encode()) < 60_000
    assert not re.search(r"<(script|img|svg)", html)
