"""A real log whose every name and every value is an attack, through the command line, as each rendering shows it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from test_browser import open_page, quiet_page
from tidegauge.record import unpack_rows
from tidegauge.report import render_html, render_markdown, render_text
from tidegauge.report._text import visible

ATTACKS = [
    "<script>alert(1)</script>",
    "</script><script>document.title='taken'</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "</title></style><script src=https://evil.example/x.js></script>",
    "]]></desc></svg><svg onload=alert(1)>",
    "javascript:alert(document.domain)",
    "data:text/html,<script>alert(1)</script>",
    "<a href=javascript:alert(1)>click</a>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<meta http-equiv=refresh content=0;url=https://evil.example/>",
    "<base href=https://evil.example/>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "}</style><style>body{background:url(https://evil.example/x.png)}",
    "url(https://evil.example/) expression(alert(1))",
    "{{ 7 * 7 }}{% raw %}{% include '/etc/passwd' %}",
    "${7*7}#{7*7}<%= 7*7 %>",
    "-->\n<!-- <b>bold</b>",
    "\u202egnp.exe\u2066 bidi \u200f",
    "\u2028line\u2029 separators \ufeff",
    "\x1b[2J\x1b]0;taken\x07\x1b[31mred",
    "\x9b31m eight-bit escape \x85",
    "back\bspace\rreturn\ttab\nline",
    "a|b `c` ``` [x](https://evil.example) ![y](https://evil.example/y.png) @team #1",
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
    '=HYPERLINK("https://evil.example")',
    "<b>" + "long" * 700,
]
ROWS = 400
# What moves a terminal: C0 but for the end of a line, DEL, C1.
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]")


def log(shift: int) -> pl.DataFrame:
    """Text columns that hold attacks; in the current log they hold others, so that each is a finding."""
    columns: dict[str, Any] = {}
    for i, name in enumerate(ATTACKS):
        if i % 3 == 2:
            columns[name] = [float(row % 40 + 30 * shift) for row in range(ROWS)]
        else:
            columns[name] = [ATTACKS[(row * row + i + shift * (row % 5)) % (9 + 9 * shift)] for row in range(ROWS)]
    return pl.DataFrame(columns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of `tidegauge drift` on the two logs, cut into segments by an attack as well."""
    at = tmp_path_factory.mktemp("hostile <b>&'")
    for shift, name in enumerate(["reference", "current"]):
        log(shift).write_parquet(at / f"{name}.parquet")
    outputs = ("report.html", "report.md", "report.json")
    command = [str(Path(sys.executable).with_name("tidegauge")), "drift", "reference.parquet", "current.parquet"]
    command += ["--by", ATTACKS[0], *(part for name in outputs for part in ("-o", name))]
    done = subprocess.run(command, cwd=at, capture_output=True, timeout=120)
    assert done.returncode == 1, done.stderr.decode()  # drift was found: a gate failed
    (at / "stdout").write_bytes(done.stdout)
    (at / "stderr").write_bytes(done.stderr)
    return at


def record(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return loaded


def test_every_attack_is_judged(folder: Path) -> None:
    held = {r["feature"] for r in unpack_rows(record(folder)["result"]["rows"]) if r["statistic"] == "verdict"}
    assert held >= set(ATTACKS)


class Page(HTMLParser):
    """Text and attributes of a page, as a browser takes it apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.attributes = "", list[tuple[str, str, str]]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.browser
def test_the_page_shows_names_and_does_nothing(browser: str, folder: Path, tmp_path: Path) -> None:
    page = Page(quiet_page(browser, folder / "report.html", tmp_path))
    for name in ATTACKS:
        # A long name is cut in its middle.
        assert visible(name)[:30] in page.text, name
    assert not BIDI.search(page.text)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name, value)
        assert name != "href" or value.startswith("#"), (tag, name, value)
        assert name not in ("src", "srcdoc", "action", "formaction", "background", "xlink:href"), (tag, name, value)


# Without the page's own policy, each dialog a line of the console.
UNGUARDED = "<script>alert = confirm = prompt = () => console.error('dialog')</script>"


@pytest.mark.browser
def test_escaping_holds_without_the_policy(browser: str, folder: Path, tmp_path: Path) -> None:
    guarded = (folder / "report.html").read_text(encoding="utf-8")
    unguarded, n = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', UNGUARDED, guarded)
    assert n == 1
    for name, text, dialogs in (
        ("page", unguarded, 0),
        ("control", unguarded.replace("</h1>", "</h1><img src=data:, onerror=alert(1)>", 1), 1),
    ):
        path = tmp_path / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        _, console, requests = open_page(browser, path, tmp_path)
        assert len(console) == dialogs, console
        assert requests == []


def test_source_of_the_page(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not CONTROLS.search(page)
    assert not BIDI.search(page)
    assert len(re.findall("<script", page)) <= len(re.findall("<script", render_html({"result": {"verdict": "ok"}})))


def test_terminal_is_left_alone(folder: Path) -> None:
    for name in ("stdout", "stderr", "report.md"):
        text = (folder / name).read_text(encoding="utf-8")
        assert not CONTROLS.search(text), name
        assert not BIDI.search(text), name
    assert r"\x1b[2J" in (folder / "stdout").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_text_of_any_width(folder: Path, width: int) -> None:
    text = render_text(record(folder), width=width)
    assert not CONTROLS.search(text)
    assert not BIDI.search(text)
    colored = render_text(record(folder), width=width, color=True)
    assert re.sub(r"\x1b\[(?:1;3\d|0)m", "", colored) == text


def test_markdown_has_no_markup_of_the_log(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert text == render_markdown(record(folder))
    # Code spans, longest fences first; what is outside of them is ours.
    outside = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    for piece in ("<", "evil.example", "javascript:", "@team", "]("):
        assert piece not in outside, piece
    assert "<script>alert(1)</script>" in text
