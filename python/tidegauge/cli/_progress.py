"""Progress on standard error: bytes or rows done, rate, time left."""

from __future__ import annotations

import sys
import time

# Seconds between renewals: of a terminal's line, and of a log's.
_TERMINAL, _LOG = 0.1, 10.0


class Progress:
    """Called by the scan with what is done and what there is, over all passes.

    Local Parquet and tables in memory count bytes; the second number grows when a column needs another
    look. Streams count rows, of which the second number is 0 while it is not known. A terminal gets one
    line, renewed ten times a second; anything else a line every ten seconds, so that a log shows life
    and no more.

    Parameters
    ----------
    quiet : bool
        Tell nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.unit = "bytes"
        self.label = ""
        self._terminal = sys.stderr.isatty()
        self._told = time.monotonic()
        self._drawn = False
        self.begin("")

    def begin(self, label: str, unit: str = "bytes") -> None:
        """Start the next scan: what it reads, and what it counts."""
        self.label, self.unit = label, unit
        self._started = time.monotonic()
        self._done = 0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < self._done:
            # A part was set aside, and the scan begins anew without it.
            self._started = now
        self._done = done
        if self.quiet or now - self._told < (_TERMINAL if self._terminal else _LOG):
            return
        self._told = now
        line = describe(self.label, self.unit, done, total, now - self._started)
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

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def describe(label: str, unit: str, done: int, total: int, seconds: float) -> str:
    """One line: share, amounts, rate and time left, as far as they are known."""
    amount = _bytes if unit == "bytes" else _rows
    rate = f", {amount(int(done / seconds))}/s" if seconds > 0 and done else ""
    if not total:
        return f"{label}{amount(done)}{rate}, {_time(seconds)}"
    left = f", {_time(seconds * (total - done) / done)} left" if 0 < done < total else ""
    return f"{label}{100 * done / total:.0f} %, {amount(done)} of {amount(total)}{rate}{left}"


def _rows(n: int) -> str:
    return f"{n:,} rows"


def _bytes(n: int) -> str:
    size = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
