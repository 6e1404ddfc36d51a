"""The page in every shape it takes: accessible, quiet and within its width and size, in light and dark."""

from __future__ import annotations

import datetime as dt
import importlib.resources
import itertools
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import records
import tidegauge as tg
from chromium import Tab, chromium
from tidegauge import _index
from tidegauge.record import digest
from tidegauge.report import render_html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
AXE = importlib.resources.files("axe_core_python") / "axe.min.js"
"""The accessibility engine, as its Python package ships it."""

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


def days(n: int) -> list[tuple[str | None, str | None]]:
    start = dt.date(2024, 1, 1)
    ends = [f"{start + dt.timedelta(i)}T00:00:00Z" for i in range(n + 1)]
    return list(itertools.pairwise(ends))


def thirty() -> dict[str, Any]:
    """Thirty days, one segment."""
    return records.Builder(records.NYC, days(30), segments=(("carrier", "UA"),)).build()


def thousand() -> dict[str, Any]:
    """A thousand columns in seven months."""
    features = [(f"feature_{i:04d}", "numeric", "feature", 0.2) for i in range(1000)]
    return records.Builder(features, records.MONTHS).build()


def real() -> dict[str, Any]:
    """The validation of a real model: performance, importances and risk register beside drift."""
    return tg.run(ROOT / "examples" / "bike_2011" / "validation.toml", overrides=["output.files=[]"]).record


def broken() -> dict[str, Any]:
    """A real log with a column gone, one of another type, one of nulls, one constant and one infinite."""
    import polars as pl

    log = pl.read_parquet(ROOT / "examples" / "bike_2011" / "current.parquet").drop("season")
    log = log.with_columns(
        pl.lit(None, pl.Float64).alias("hum"),
        pl.lit(0.5).alias("windspeed"),
        (pl.col("temp") / 0.0).alias("temp"),
        pl.lit("hail").alias("weather"),
        pl.col("hour").cast(pl.String),
    )
    return tg.drift(ROOT / "examples" / "bike_2011" / "reference.parquet", log, time="ts", label="label").record


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "small": records.small,
    "fifty": records.large,
    "calm": records.calm,
    "alarming": records.alarming,
    "one window": records.unwindowed,
    "every verdict": records.every_verdict,
    "hostile": records.hostile,
    "empty": records.empty,
    "thirty": thirty,
    "real": real,
    "broken": broken,
    "thousand": thousand,
}

LIMITS = {"thousand": 2_500_000}
"""Bytes; of all others 300,000."""


@pytest.fixture(scope="module")
def tab(browser: str) -> Iterator[Tab]:
    with chromium(browser) as held:
        yield held


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Path of the page of a case, rendered once."""
    folder = tmp_path_factory.mktemp("pages")

    def page(case: str) -> Path:
        path = folder / f"{case}.html"
        if not path.exists():
            record = CASES[case]()
            html = render_html(record)
            # Rendered again, the bytes are the same.
            assert render_html(record) == html
            path.write_text(html, encoding="utf-8")
        return path

    return page


@pytest.mark.browser
@pytest.mark.parametrize("case", CASES)
def test_width_size_and_silence(tab: Tab, pages: Callable[[str], Path], case: str) -> None:
    page = pages(case)
    assert page.stat().st_size <= LIMITS.get(case, 300_000)
    # A thousand columns are laid out once: what is wide on a screen is wide on a phone.
    for width, script in ((360, False), (1280, True))[: 1 if case == "thousand" else 2]:
        # The page holds no script; the browser's own evaluation works with script off.
        tab.open(page, width=width, script=script)
        wide, view = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= view, f"{case} scrolls sideways at {width}"
        if case != "empty":
            # Verdict, sentences and the first findings are what a screen of 900 lines shows.
            bottom = tab.evaluate("document.querySelector('#findings').getBoundingClientRect().bottom")
            assert bottom <= (900 if width == 1280 else 1500)
        # Of WCAG 2.2 the engine at hand knows no rule; what it adds for such a page is the size of what is clicked.
        small = "e => { const b = e.getBoundingClientRect(); return b.height < 24 || b.width < 24 }"
        assert tab.evaluate(f"[...document.querySelectorAll('a, summary')].filter({small}).length") == 0
        assert tab.noise == []


# Rows of a table and charts beyond the sixth are more of the same, which the engine would look at for minutes.
FEWER = """
for (const body of document.querySelectorAll("tbody")) [...body.rows].slice(6).forEach(row => row.remove());
[...document.querySelectorAll("figure")].slice(6).forEach(figure => figure.remove());
"""


def violations(tab: Tab, page: Path, rules: list[str], *, dark: bool = False) -> list[str]:
    """Rules that axe-core finds broken: of these tags, or of these names."""
    # The policy of the page would keep the engine out.
    tab.open(page, dark=dark, policy=False)
    tab.evaluate(f"{AXE.read_text(encoding='utf-8')};{FEWER};0")
    found = tab.evaluate(
        f"axe.run(document, {{runOnly: {rules}, resultTypes: ['violations']}}).then(found => found.violations.map("
        "v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 120)).join(' | ')))"
    )
    assert isinstance(found, list)
    return found


# Cases whose markup is not that of another.
SEEN = ["small", "calm", "every verdict", "hostile", "empty", "real", "broken"]


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("case", SEEN)
def test_accessibility_of_every_shape(tab: Tab, pages: Callable[[str], Path], case: str, dark: bool) -> None:
    # The scheme changes colours and nothing else.
    assert violations(tab, pages(case), ["color-contrast"] if dark else RULES, dark=dark) == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("sound", "flaw", "rule"),
    [
        ('lang="en"', "", "html-has-lang"),
        ("--soft:#566069", "--soft:#b9c0c6", "color-contrast"),
        ('<h2 id="how">', '<h5 id="how">', "heading-order"),
        (' aria-labelledby="h0t h0d"', "", "svg-img-alt"),
        ('aria-label="Windows"', 'aria-label="Table of segments"', "landmark-unique"),
    ],
)
def test_the_engine_sees_planted_flaws(
    tab: Tab, pages: Callable[[str], Path], tmp_path: Path, sound: str, flaw: str, rule: str
) -> None:
    html = pages("small").read_text(encoding="utf-8")
    assert sound in html
    html = html.replace(sound, flaw)
    if rule == "svg-img-alt":  # the title would stand in for the label
        html = re.sub(r'<title id="h0t">.*?</title>', "", html)
    page = tmp_path / "flawed.html"
    page.write_text(html, encoding="utf-8")
    assert [found.partition(":")[0] for found in violations(tab, page, [rule])] == [rule]


@pytest.mark.browser
def test_the_measure_of_width_sees_a_wide_page(tab: Tab, pages: Callable[[str], Path], tmp_path: Path) -> None:
    page = tmp_path / "wide.html"
    page.write_text(pages("small").read_text(encoding="utf-8").replace('<div class="scroll', '<div class="', 99))
    tab.open(page, width=360, policy=False)
    assert tab.evaluate("document.documentElement.scrollWidth") > 360


def test_an_index_of_a_thousand_reports(tmp_path: Path) -> None:
    record = records.unwindowed()
    for i in range(1000):
        folder = tmp_path / f"{i // 100}" / f"{i:04d}"
        folder.mkdir(parents=True)
        record["result"]["title"] = f"report {i}"
        record["result_digest"] = digest(record["result"])
        record["envelope"]["finished"] = f"2024-01-01T{i // 60:02d}:{i % 60:02d}:00Z"
        (folder / "report.json").write_text(json.dumps(record))
        (folder / "report.html").touch()
    page = tmp_path / "index.html"
    seconds = []
    for read in (1000, 0):
        begun = time.process_time()
        assert _index.write_index(tmp_path, page) == (1000, read)
        seconds.append(time.process_time() - begun)
    size = page.stat().st_size
    print(f"an index of 1,000 reports: {seconds[0]:.2f} s of CPU, again {seconds[1]:.2f} s, {size:,} bytes")
    assert page.read_text(encoding="utf-8").count("report.html") >= 1000
    # Measured at 0.28 MB, 280 bytes a report.
    assert size < 400_000
