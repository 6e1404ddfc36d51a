"""Where two records differ: paths in words, with both values, those that explain the others first."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge._recorded import FROM_ROWS, SECTIONS
from tidegauge.errors import FormatError
from tidegauge.record import canonical, unpack_rows
from tidegauge.results import ROW_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Statistics that sum up other rows, and what rows measure.
SUMMED = ("verdict", "share_drifted")
_VALUES = ("value", "bound_low", "bound_high", "n_reference", "n_current")
#: Kinds of rows that are made from rows of data and models, not from profiles.
_FROM_DATA = tuple(kind for kinds in FROM_ROWS.values() for kind in kinds)
#: What names an element of a list in a path.
_NAMES = ("feature", "name", "start", "path")

#: Places of a record that are not made again, each with what holds it instead; ``docs/record.md`` has them too.
NOT_MADE_AGAIN = {
    "envelope": "times, host, versions, folder and cost of that one run: envelope_digest alone",
    "sign_off": "a signature, where there is one: it is left for people, and no digest of the record covers it",
    "inputs.configuration_as_written": "the configuration's file, in level inputs",
    "inputs.configuration_name": "the configuration's file, in level inputs",
    "inputs.profiles.reference": "the profile's file, in level inputs, and its numbers, in level numbers",
    "inputs.profiles.current": "the profile's file, in level inputs, and its numbers, in level numbers",
}


def differences(recorded: Mapping[str, Any], found: Mapping[str, Any], skip: Sequence[str] = ()) -> list[str]:
    """Paths at which two results differ, with both values, in the order of the recorded one.

    Configuration and engine come first: where these differ, everything else may. What the digests tell apart
    is a difference: 1 and 1.0 are two values, and rows have one order and one form.
    """
    told: list[str] = []
    order = ["configuration", "engine", *(key for key in recorded if key not in ("configuration", "engine"))]
    order += [key for key in found if key not in recorded]
    for key in order:
        a, b = recorded.get(key, NOTHING), found.get(key, NOTHING)
        if key in skip or same(a, b):
            continue
        if key == "rows":
            told += _rows(a, b, skip)
        else:
            told += walk(f"result.{key}", a, b)
    return told


def value_differences(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """As :func:`differences`, of what does not depend on how many rows decide together: values, bounds and counts."""
    skip = ("verdict", "windows", "waivers", "contributions", "limitations", *SECTIONS)
    plain = {name: value for name, value in recorded.items() if name != "rows"}
    told = differences(plain, {name: value for name, value in found.items() if name != "rows"}, skip)

    def values(result: Mapping[str, Any]) -> list[dict[str, Any]]:
        named = {*_KEY, *_VALUES, "role", "kind", "unit", "exactness", "null"}
        rows = (row for row in unpack_rows(result["rows"]) if row["statistic"] not in SUMMED)
        return [{name: row[name] if name in named else None for name in ROW_FIELDS} for row in rows]

    return told + row_differences(values(recorded), values(found), SECTIONS)


def _rows(recorded: Any, found: Any, skip: Sequence[str]) -> list[str]:
    try:
        told = row_differences(unpack_rows(recorded), unpack_rows(found), skip)
    except (FormatError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        told = [f"result.rows: cannot be followed: {type(error).__name__}: {error}"]
    # The same rows, in another order or form.
    return told or ([] if skip else walk("result.rows", recorded, found))


#: In the place of what is not there.
NOTHING = object()


def same(a: Any, b: Any) -> bool:
    """Whether two values have one digest."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    # Zeros of both signs are told apart, and what is not a number is itself.
    return canonical(a) == canonical(b) if isinstance(a, (dict, list)) else repr(a) == repr(b)


def walk(place: str, recorded: Any, found: Any, alike: Callable[[Any, Any], bool] = same) -> list[str]:
    """Paths below `place` at which two JSON values are not `alike`, with both."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        names = [*recorded, *(name for name in found if name not in recorded)]
        return [
            told
            for name in names
            for told in walk(f"{place}.{name}", recorded.get(name, NOTHING), found.get(name, NOTHING), alike)
        ]
    if isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        told = []
        for i, (a, b) in enumerate(zip(recorded, found, strict=True)):
            name = next((a[n] for n in _NAMES if n in a), i) if isinstance(a, dict) else i
            told += walk(f"{place}[{name}]", a, b, alike)
        return told
    return [] if alike(recorded, found) else [f"{place}: {short(recorded)} recorded, {short(found)} made again"]


def input_differences(recorded: Mapping[str, Any], found: Mapping[str, Any], folders: tuple[str, str]) -> list[str]:
    """Paths at which what two records say of their files differs.

    Parameters
    ----------
    recorded, found : mapping
        ``inputs`` of both.
    folders : (str, str)
        Where relative paths of each start: a folder that moved is the same.
    """

    def alike(a: Any, b: Any) -> bool:
        if isinstance(a, str) and isinstance(b, str):
            if a == b or Path(a).is_absolute() != Path(b).is_absolute():
                return a == b or _whole(a, folders[0]) == _whole(b, folders[1])
            # Profiles name files by where they were when they were profiled.
            return _from(a, folders[0]) in (_from(b, folders[1]), _from(b, folders[0]))
        return same(a, b)

    return walk("inputs", recorded, found, alike)


def _from(text: str, folder: str) -> str:
    """A path or message, with paths from a folder."""
    inside = text.replace(folder.rstrip(os.sep) + os.sep, "")
    return os.path.relpath(text, folder) if inside == text and Path(text).is_absolute() else inside


def _whole(path: str, folder: str) -> str:
    return os.path.normpath(Path(folder) / path)


#: What tells rows apart.
_KEY = (
    "model_version", "window_start", "window_end", "baseline", "segment_by", "segment_value", "feature", "statistic",
    "definition",
)  # fmt: skip


def _row_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _KEY)


def row_differences(
    recorded: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], skip: Sequence[str]
) -> list[str]:
    """Rows that differ, by what they are about: values before what follows from them."""
    again: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    if skip:
        recorded, found = ([row for row in rows if row["kind"] not in _FROM_DATA] for rows in (recorded, found))
    for row in found:
        again.setdefault(_row_key(row), []).append(row)
    # Values before what follows from them: one other value changes the level of every interval of its family.
    values: list[str] = []
    rest: list[str] = []
    run: list[str] = []
    for row in recorded:
        others = again.get(_row_key(row))
        if not others:
            values.append(f"{row_name(row)}: recorded, not made again")
            continue
        other = others.pop(0)
        summed = row["statistic"] in SUMMED
        for name in ROW_FIELDS:
            if repr(row[name]) == repr(other[name]):
                continue
            told = f"{row_name(row)}: {name}: {short(row[name])} recorded, {short(other[name])} made again"
            (run if name == "run_id" else values if name in _VALUES and not summed else rest).append(told)
    values += [f"{row_name(row)}: made again, not recorded" for rows in again.values() for row in rows]
    return [*values, *rest, *run]


def row_name(row: Mapping[str, Any]) -> str:
    """Path of a row in words: what it is about."""
    where = [f"feature {row['feature']!r}", f"statistic {row['statistic']}"]
    if row["window_start"] is not None:
        where.append(f"window {row['window_start']}")
    if row["segment_by"] is not None:
        where.append(f"{row['segment_by']} {row['segment_value']!r}")
    if row["model_version"] is not None:
        where.append(f"version {row['model_version']}")
    if row["baseline"] not in (None, "reference"):
        where.append(f"against {row['baseline']}")
    return f"result.rows: {', '.join(where)}"


def short(value: Any) -> str:
    """A value in a message."""
    if value is NOTHING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else f"{text[:117]}..."
