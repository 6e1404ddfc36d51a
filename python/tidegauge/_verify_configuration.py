"""Verification of the configuration: whether its file still says what the record was made under."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge._differences import NOTHING, short
from tidegauge._secrets import mask
from tidegauge.config import parse, with_overrides
from tidegauge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def configuration_differences(record: Mapping[str, Any], folder: str) -> list[str]:
    """Keys at which the configuration's file differs from the record, or its first line where no key does.

    Of a ``pyproject.toml`` only the keys of its section count. None where the run had no file: a mapping.

    Parameters
    ----------
    record : mapping
    folder : str
        Where the file is.
    """
    inputs = record["inputs"]
    name = inputs.get("configuration_name")
    if name is None or not inputs.get("configuration_as_written"):
        return []
    written = inputs["configuration_as_written"]
    overrides = inputs.get("configuration_overrides") or []
    path = Path(folder) / name
    try:
        found = mask(with_overrides(path.read_bytes().decode("utf-8"), overrides))
    except OSError as error:
        return [f"{name}: {(error.strerror or str(error)).lower()} (configuration)"]
    except UnicodeDecodeError as error:
        return [f"{name}: byte {error.start} is not UTF-8"]
    if found == written:
        return []
    try:
        then = parse(Path(name), written)
    except ConfigError as error:
        return [f"inputs.configuration_as_written: {error}"]
    try:
        now = parse(Path(name), found)
    except ConfigError as error:
        return [str(error)]
    told = [f"{name}: {key}: {short(a)} recorded, {short(b)} in the file" for key, a, b in _keys("", then, now)]
    if told or name == "pyproject.toml":
        return told
    return [f"{name}: line {_line(written, found)}: changed, in no key"]


def _keys(place: str, then: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """Dotted keys whose values differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*then, *(key for key in now if key not in then)]:
            name = key if key.replace("_", "").replace("-", "").isalnum() else f'"{key}"'
            yield from _keys(f"{place}.{name}" if place else name, then.get(key, NOTHING), now.get(key, NOTHING))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for i, (a, b) in enumerate(zip(then, now, strict=True)):
            yield from _keys(f"{place}[{i}]", a, b)
    elif repr(then) != repr(now):
        yield place, then, now


def _line(then: str, now: str) -> int:
    """The first line that differs, from 1."""
    pairs = zip(then.splitlines(keepends=True), now.splitlines(keepends=True), strict=False)
    return next((i for i, (a, b) in enumerate(pairs, 1) if a != b), min(then.count("\n"), now.count("\n")) + 1)
