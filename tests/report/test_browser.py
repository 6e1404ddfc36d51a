"""The page in a real browser: no console error, no request, everything there with script off."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import records
from tidegauge.report import render_html

if TYPE_CHECKING:
    from pathlib import Path

# The browser asks for updates and accounts of its own; these keep it quiet and let it reach nobody.
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--metrics-recording-only",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-features=NetworkTimeServiceQuerying,OptimizationHints,MediaRouter,Translate",
]


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


@pytest.mark.browser
def test_page_prints(browser: str, tmp_path: Path) -> None:
    page, out = tmp_path / "small.html", tmp_path / "small.pdf"
    page.write_text(render_html(records.small()), encoding="utf-8")
    command = [browser, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={out}", page.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    data = out.read_bytes()
    assert data.startswith(b"%PDF-")
    # The page leaves the paper to the printer: A4 or Letter.
    assert re.search(rb"/MediaBox \[0 0 (59[45][.\d]* 84[12]|61[12][.\d]* 79[12])[.\d]*\]", data)
