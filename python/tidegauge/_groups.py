"""Where the groups that rows are cut into are not the same on both sides or in every window, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge._privacy import MIN_COUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What holds the rows of values that have no group of their own, and those without a value.
_OTHER, _MISSING = "(other)", "(missing)"
#: Most groups that a sentence names.
_NAMED = 5


def differing_groups(reference: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """One sentence a cut whose groups differ, from what is told of two profiles (``Profile.info``).

    Groups of fewer rows than may be named (:mod:`tidegauge._privacy`) are counted. Windows of different model
    versions are different windows.
    """
    known: dict[str, dict[str, int]] = {}
    for group in reference["groups"]:
        if group["segment_by"] is not None:
            values = known.setdefault(group["segment_by"], {})
            values[group["segment_value"]] = values.get(group["segment_value"], 0) + group["rows"]
    windows: dict[tuple[Any, ...], int] = {}
    found: dict[str, dict[tuple[Any, ...], dict[str, int]]] = {}
    for group in current["groups"]:
        place = (group["window_start"], group["model_version"])
        if group["segment_by"] is None:
            windows[place] = windows.get(place, 0) + group["rows"]
        else:
            cut = found.setdefault(group["segment_by"], {}).setdefault(place, {})
            cut[group["segment_value"]] = group["rows"]
    # A window without rows has no group either.
    places = [place for place, rows in windows.items() if rows]
    if not places:
        return []
    told = []
    for by in sorted({*known, *found}):
        if by not in found or by not in known:
            side, other = ("current data", "reference") if by not in found else ("reference", "current data")
            told.append(f"Groups by {by}: the {side} has none, so those of the {other} are compared with nothing.")
            continue
        parts = [_new(known[by], found[by], len(places)), *_gone(known[by], found[by], places)]
        if any(parts):
            told.append(f"Groups by {by} are not the same everywhere: {'; '.join(part for part in parts if part)}.")
    return told


def _new(known: Mapping[str, int], found: Mapping[tuple[Any, ...], Mapping[str, int]], of: int) -> str | None:
    """Rows of values that the reference does not have a group of."""
    if _OTHER in known:
        # Of both sides, and of values that may be the same.
        return None
    counts = [
        sum(rows for value, rows in values.items() if value == _OTHER or (value not in known and value != _MISSING))
        for values in found.values()
    ]
    places = sum(count > 0 for count in counts)
    if not places:
        return None
    rows = sum(counts)
    where = f" in {places} of {of} windows" if of > 1 else ""
    return f"{rows:,} {'row has' if rows == 1 else 'rows have'} a value that the reference never has{where}"


def _gone(
    known: Mapping[str, int], found: Mapping[tuple[Any, ...], Mapping[str, int]], places: list[tuple[Any, ...]]
) -> list[str]:
    """Groups of the reference without a row in a window."""
    values = [value for value in known if value != _OTHER]
    missing = {value: sum(not found.get(place, {}).get(value) for place in places) for value in values}
    missing = {value: n for value, n in missing.items() if n}
    if not missing:
        return []
    named = sorted((value for value in missing if known[value] >= MIN_COUNT), key=lambda v: (-missing[v], v))
    shown = [f"{v} in {missing[v]}" if len(places) > 1 else v for v in named[:_NAMED]]
    more = len(missing) - len(shown)
    if more:
        shown.append(f"{more} more" if shown else f"of fewer than {MIN_COUNT} rows")
    where = f"in some of {len(places)} windows" if len(places) > 1 else "in the current data"
    have = "has" if len(missing) == 1 else "have"
    return [f"{len(missing)} of {len(values)} groups of the reference {have} no row {where} ({', '.join(shown)})"]
