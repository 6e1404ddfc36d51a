"""A headless Chromium over its debugging pipe: one process shows many pages, without a driver or a socket."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import subprocess
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
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


class Tab:
    """One page of a running browser; messages are JSON, each ended by a zero byte."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._number = to, back, 0
        self._buffer = b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._back, 1 << 20)
            if not part:
                raise RuntimeError("the browser ended")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        held: dict[str, Any] = json.loads(message)
        return held

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer; what happens meanwhile is kept in ``events``."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while (held := self._read()).get("id") != self._number:
            self.events.append(held)
        if "error" in held:
            raise RuntimeError(f"{method}: {held['error']}")
        answer: dict[str, Any] = held["result"]
        return answer

    def open(
        self, page: Path, *, width: int = 1280, dark: bool = False, script: bool = True, policy: bool = True
    ) -> None:
        """Load a page at a width, in a scheme, without script or without the page's own policy."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media="", features=scheme)
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.setBypassCSP", enabled=not policy)
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    @property
    def noise(self) -> list[str]:
        """Messages to the console, errors, and requests but for the page itself, since it was opened."""
        found = []
        for event in self.events:
            method, told = event.get("method"), event.get("params", {})
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(f"{method}: {json.dumps(told)[:200]}")
            elif method == "Network.requestWillBeSent" and told.get("type") != "Document":
                found.append(f"request: {told['request']['url'][:200]}")
        return found

    def evaluate(self, expression: str) -> Any:
        """Value of an expression in the page."""
        held = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in held:
            raise RuntimeError(str(held["exceptionDetails"])[:400])
        return held["result"].get("value")

    def pdf(self, width: float, height: float) -> bytes:
        """The page as it is printed, on paper of that size in inches."""
        held = self.call("Page.printToPDF", printBackground=True, paperWidth=width, paperHeight=height)
        return base64.b64decode(held["data"])


@contextmanager
def chromium(browser: str) -> Iterator[Tab]:
    """A browser with a profile of its own, and one tab."""
    with tempfile.TemporaryDirectory() as profile:
        (read_end, to), (back, write_end) = os.pipe(), os.pipe()
        # Out of the way of 3 and 4, which the shell makes of them.
        reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read_end, write_end))
        flags = [*QUIET, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        # The browser reads from descriptor 3 and writes to 4; other shells know descriptors up to 9 only.
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{reads} 4>&{writes}', browser, *flags],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (read_end, write_end, reads, writes):
            os.close(end)
        try:
            yield Tab(to, back)
        finally:
            process.terminate()
            process.wait(20)
            os.close(to)
            os.close(back)
