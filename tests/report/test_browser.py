"""The page in a real browser: no console error, no request, everything there with script off."""

from __future__ import annotations

import json
import re
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest
import records
from chromium import QUIET
from tidegauge.report import render_html

if TYPE_CHECKING:
    from pathlib import Path


def requests_of(log: Path) -> list[str]:
    """Addresses a page asked for over the network, from Chromium's own network log.

    A request of the page has an initiator; those of the browser itself have "not an origin".
    """
    log_held = json.loads(log.read_text())
    names = {number: name for name, number in log_held["constants"]["logEventTypes"].items()}
    found = []
    for event in log_held["events"]:
        held = event.get("params", {})
        url = held.get("url", "")
        if names.get(event["type"]) != "URL_REQUEST_START_JOB" or not url or url.startswith(("file:", "data:")):
            continue
        if held.get("initiator") != "not an origin":
            found.append(url)
    return found


def open_page(browser: str, path: Path, folder: Path, *flags: str) -> tuple[str, list[str], list[str]]:
    """Load a page; give its DOM, its console lines and its requests."""
    log = folder / f"{path.stem}.netlog.json"
    # A profile of its own, so that no other browser on the machine answers.
    command = [browser, *QUIET, f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--v=0"]
    done = subprocess.run(
        [*command, f"--log-net-log={log}", "--dump-dom", *flags, path.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    errors = done.stderr.decode(errors="replace")
    console = [line for line in errors.splitlines() if re.search(r":CONSOLE[:(]", line)]
    return done.stdout.decode(), console, requests_of(log)


def quiet_page(browser: str, path: Path, folder: Path) -> str:
    """DOM of a page that asks for nothing, logs nothing and holds no active element."""
    dom, console, requests = open_page(browser, path, folder)
    assert console == []
    assert requests == []
    assert "<h1>" in dom
    assert "Sign-off" in dom
    assert not re.search(r"<(script|img|iframe|object|embed|link|base)\b", dom)
    # The style sheet is in effect only if its hash matches the policy.
    assert "Content-Security-Policy" in dom
    return dom


@pytest.mark.browser
@pytest.mark.parametrize("case", ["small", "large", "every_verdict", "hostile", "empty"])
def test_page_opens_without_error_or_request(browser: str, tmp_path: Path, case: str) -> None:
    page = tmp_path / f"{case}.html"
    page.write_text(render_html(getattr(records, case)()), encoding="utf-8")
    quiet_page(browser, page, tmp_path)


@pytest.mark.browser
def test_the_check_itself_sees_errors_and_requests(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<script>console.error('seen')</script><img src='http://127.0.0.1:9/x.png'><h1>bad</h1>")
    _, console, requests = open_page(browser, page, tmp_path)
    assert any("seen" in line for line in console)
    assert any("127.0.0.1:9" in url for url in requests)


def pdf_pages(data: bytes) -> list[tuple[tuple[float, float], str]]:
    """Size and text of the pages of a PDF as Chromium writes it: glyph by glyph, with a table to read them."""
    objects = {int(n): body for n, body in re.findall(rb"(?:^|\n)(\d+) 0 obj\n?(.*?)\nendobj", data, flags=re.DOTALL)}

    def stream(number: int) -> bytes:
        held = re.search(rb"stream\r?\n(.*)\nendstream", objects[number], flags=re.DOTALL)
        assert held
        return zlib.decompress(held[1]) if b"FlateDecode" in objects[number] else held[1]

    fonts: dict[int, dict[int, str]] = {}
    for number, body in objects.items():
        if table := re.search(rb"/ToUnicode (\d+) 0 R", body):
            text, glyphs = stream(int(table[1])), {}
            for block in re.findall(rb"beginbfchar(.*?)endbfchar", text, flags=re.DOTALL):
                for a, b in re.findall(rb"<(\w+)> <(\w+)>", block):
                    glyphs[int(a, 16)] = bytes.fromhex(b.decode()).decode("utf-16-be")
            for block in re.findall(rb"beginbfrange(.*?)endbfrange", text, flags=re.DOTALL):
                for a, z, b in re.findall(rb"<(\w+)> <(\w+)> <(\w+)>", block):
                    glyphs |= {int(a, 16) + i: chr(int(b, 16) + i) for i in range(int(z, 16) - int(a, 16) + 1)}
            fonts[number] = glyphs
    pages = []
    for body in objects.values():
        if not re.search(rb"/Type /Page\b", body):
            continue
        named = {name: fonts.get(int(n), {}) for name, n in re.findall(rb"/(F\d+) (\d+) 0 R", body)}
        box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", body)
        contents = re.search(rb"/Contents (\d+) 0 R", body)
        assert box
        assert contents
        font: dict[int, str] = {}
        shown = ""
        for name, glyphs in re.findall(rb"/(F\d+) [\d.]+ Tf|<(\w+)> Tj", stream(int(contents[1]))):
            font = named[name] if name else font
            shown += "".join(font.get(int(glyphs[i : i + 4], 16), "") for i in range(0, len(glyphs), 4))
        pages.append(((float(box[1]), float(box[2])), shown))
    return pages


@pytest.mark.browser
@pytest.mark.parametrize(("paper", "size"), [("A4", (595, 842)), ("Letter", (612, 792))])
def test_every_printed_page_names_its_run(browser: str, tmp_path: Path, paper: str, size: tuple[int, int]) -> None:
    page, out = tmp_path / "large.html", tmp_path / "large.pdf"
    # The page leaves the paper to the printer; here the style sheet stands for that choice.
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", render_html(records.large()), count=1)
    page.write_text(html.replace("@page{", f"@page{{size:{paper};", 1), encoding="utf-8")
    command = [browser, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer"]
    subprocess.run([*command, f"--print-to-pdf={out}", page.as_uri()], capture_output=True, timeout=120, check=True)
    pages = pdf_pages(out.read_bytes())
    assert 10 < len(pages) < 30
    for i, (found, text) in enumerate(pages, 1):
        assert all(abs(a - b) < 1 for a, b in zip(found, size, strict=True))
        assert f"tidegauge, run b3:9a9a, result b3:{'9a' * 32}" in text
        assert f"{i} / {len(pages)}" in text
    words = "".join(text for _, text in pages)
    # What a screen folds away is printed, but for the numbers of charts.
    assert '"window": "1mo"' in words
    assert "Numbers of this chart" not in words
