"""Numbers, times and foreign strings as a reader sees them; every rendering goes through here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

ABSENT = "–"
"""What stands where a value is null."""

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def visible(text: str, *, newlines: bool = False) -> str:
    r"""Spell out the characters a reader cannot see or an output cannot hold.

    Control characters (terminal escapes), bidirectional overrides, line separators, format
    characters and lone surrogates become ``\n``, ``\x1b``, ``\u202e`` ...; all else is kept.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (newlines and char in "\n\t") else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def shorten(text: str, limit: int = 60) -> str:
    """Visible text of at most `limit` characters; the middle is cut, since names differ at both."""
    shown = visible(text)
    if not shown.strip():
        return "(empty name)" if not shown else f"({len(shown)} spaces)"
    if len(shown) <= limit:
        return shown
    tail = limit // 3
    return f"{shown[: limit - tail - 1]}…{shown[-tail:]}"


def to_float(value: object) -> float | None:
    """Number of a JSON value; the strings ``NaN``, ``Infinity``, ``-Infinity`` are numbers too."""
    if isinstance(value, str):
        return _NON_FINITE.get(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number(value: object, digits: int = 4) -> str:
    """Format a number with `digits` significant digits; whole numbers keep all of theirs."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return f"{value:,}"
    x = to_float(value)
    if x is None:
        return ABSENT if value is None else visible(str(value))
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    if x == 0:
        return "0"
    if 1e3 <= abs(x) < 1e9:
        return f"{x:,.0f}"
    return f"{x:.{digits}g}"


def decimals(values: Iterable[object], digits: int = 3) -> int:
    """Decimals that give the largest of `values` `digits` significant digits, for numbers below each other."""
    finite = [abs(x) for x in map(to_float, values) if x is not None and math.isfinite(x)]
    largest = max(finite, default=0.0)
    return 0 if largest == 0 else min(max(digits - 1 - math.floor(math.log10(largest)), 0), 12)


def fixed(value: object, places: int) -> str:
    """Format a number with `places` decimals; a 0 that is no rounding has none."""
    x = to_float(value)
    if x is None or not math.isfinite(x) or x == 0 or abs(x) >= 1e9:
        return number(value)
    shown = f"{x:,.{places}f}"
    return shown.removeprefix("-") if not shown.strip("-0.,") else shown


def between(low: object, high: object, places: int) -> str:
    """Format two limits with `places` decimals, or the sign for absent when neither is known."""
    if low is None and high is None:
        return ABSENT
    return f"{fixed(low, places)} to {fixed(high, places)}"


def percent(value: object) -> str:
    """Format a share of rows as a percentage with three significant digits."""
    x = to_float(value)
    if x is None or not math.isfinite(x):
        return number(value)
    shown = 100 * x
    if shown and abs(shown) < 0.01:
        return "under 0.01 %"
    return f"{shown:.1f} %" if abs(shown) >= 10 else f"{shown:.2g} %"


def interval(low: object, high: object) -> str:
    """Format two limits, or the sign for absent when neither is known."""
    if low is None and high is None:
        return ABSENT
    return f"{number(low)} to {number(high)}"


def count(n: int, singular: str, plural: str | None = None) -> str:
    """``1 window``, ``7 windows``."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def window_label(start: object, end: object) -> str:
    """Shortest unambiguous name of the window from `start` (held) to `end` (not held)."""
    if start is None and end is None:
        return "all rows"
    first, last = _instant(start), _instant(end)
    if first is None or last is None:
        return f"{visible(str(start))} to {visible(str(end))}"
    midnight = first.hour == first.minute == first.second == first.microsecond == 0
    if midnight and first.day == 1 and last.day == 1 and last.time() == first.time():
        months = 12 * (last.year - first.year) + last.month - first.month
        if months == 1:
            return f"{first:%Y-%m}"
        if months == 12 and first.month == 1:
            return f"{first:%Y}"
    try:
        length = last - first
    except TypeError:
        return f"{visible(str(start))} to {visible(str(end))}"
    if midnight and length == timedelta(days=1):
        return f"{first:%Y-%m-%d}"
    if midnight and length == timedelta(days=7):
        return f"{first:%Y-%m-%d} week"
    if length == timedelta(hours=1):
        return f"{first:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"


def _instant(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def columns_wide(text: str) -> int:
    """Terminal columns `text` takes: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object, else an empty one (a record may lack a section)."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[Any]:
    """Return `value` if it is a JSON list, else an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def objects(value: object) -> list[Mapping[str, Any]]:
    """Return the JSON objects of a JSON list."""
    return [item for item in sequence(value) if isinstance(item, Mapping)]
