"""Progress on standard error: share done and time left."""

from __future__ import annotations

import sys
import time


class Progress:
    """Called by the scan with parts done and parts in all; a part is a column of a row group.

    A terminal gets one line, renewed at most ten times a second; anything else a line every ten
    seconds, so that a log shows life and no more.
    """

    def __init__(self, label: str = "") -> None:
        self.label = label
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._told = self._started if not self._terminal else 0.0
        self._drawn = False
        self._done = 0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < self._done:
            # The next scan, or its next pass.
            self._started = now
        self._done = done
        if now - self._told < (0.1 if self._terminal else 10.0) and not (self._drawn and done >= total):
            return
        self._told = now
        line = self._line(done, total, now - self._started)
        if self._terminal:
            self._drawn = True
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Clear the line, so that what follows starts on an empty one."""
        if self._drawn:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._drawn = False

    def _line(self, done: int, total: int, seconds: float) -> str:
        share = f"{100 * done / total:.0f} %" if total else "?"
        left = f", {seconds * (total - done) / done:.0f} s left" if 0 < done < total else ""
        return f"{self.label}{done:,} of {total:,} parts ({share}), {seconds:.0f} s{left}"

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()
