"""The audit trail: a file that only grows, one JSON object a line, each with the hash of the line before.

Whoever changes, removes or inserts a line breaks the chain behind it. That the last lines were not cut off
is told by comparing the hash of the last line with one kept elsewhere (:func:`check` returns it).
"""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._files import naming
from tidegauge.errors import FormatError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a line can tell.
EVENTS = ("run", "superseded", "waived", "waiver_expired", "verified", "signed")


def append(path: str | os.PathLike[str], event: str, **details: Any) -> str:
    """Add a line; the file is locked meanwhile, and the line is on disk when this returns.

    Parameters
    ----------
    path : path-like
        Created where it does not exist.
    event : {"run", "superseded", "waived", "waiver_expired", "verified", "signed"}
    **details
        JSON values, such as ``record`` (its digest) and ``report`` (its name).

    Returns
    -------
    str
        Hash of the new line.

    Raises
    ------
    FormatError
        If the last line is no whole line of a trail.
    OSError
        If the file cannot be written.
    ValueError
        If the event is none of these.
    """
    import fcntl

    if event not in EVENTS:
        raise ValueError(f"event {event!r}; accepted are {', '.join(EVENTS)}")
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        previous = _last(file, target)
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"at": at, "event": event, **details, "previous": previous}, ensure_ascii=False).encode()
        size = file.seek(0, os.SEEK_END)
        try:
            with naming(target):
                rest = line + b"\n"
                while rest:
                    rest = rest[os.write(file.fileno(), rest) :]
                os.fsync(file.fileno())
        except OSError:
            # On a full disk a part of the line fits; nothing could be added behind it.
            os.ftruncate(file.fileno(), size)
            raise
    return _core.blake3(line)


def check(path: str | os.PathLike[str]) -> tuple[list[dict[str, Any]], str | None]:
    """Read a trail whose chain holds.

    Returns
    -------
    lines : list of dict
    head : str or None
        Hash of the last line; none of an empty file.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        Naming the first line that does not follow from the one before.
    """
    import fcntl

    try:
        with Path(path).open("rb") as file:
            # A line that is being added is whole when the lock is free.
            fcntl.flock(file, fcntl.LOCK_SH)
            content = file.read()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}; accepted is an audit trail") from None
    lines: list[dict[str, Any]] = []
    head: str | None = None
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        parsed = _line(line, f"{path}: line {number}")
        if parsed.get("previous") != head:
            raise FormatError(f"{path}: line {number} does not follow from the line before")
        lines.append(parsed)
        head = _core.blake3(line)
    if not content.endswith(b"\n") and content:
        raise FormatError(f"{path}: line {len(lines) + 1} is not whole")
    return lines, head


def note(record: Mapping[str, Any], report: str | os.PathLike[str], event: str, **details: Any) -> bool:
    """Add a line to the trail that a record names, where there is one; whether there is."""
    where = find(record, report)
    if where is not None:
        append(where, event, record=record["record_digest"], report=Path(report).name, **details)
    return where is not None


def find(
    record: Mapping[str, Any], report: str | os.PathLike[str], root: str | os.PathLike[str] | None = None
) -> Path | None:
    """The trail that a record names: beside the report, else where the run left it; none where there is none.

    What a record names is written only where a trail is already.
    """
    from tidegauge._verify import Places

    name = record["inputs"].get("audit")
    if name is None:
        return None
    beside = Path(report).parent / Path(name).name
    if beside.is_file():
        return beside
    found = Places.of(record, Path(report), None if root is None else Path(root)).find(name)
    return found if found is not None and found.is_file() else None


def _last(file: Any, path: Path) -> str | None:
    """Hash of the last line."""
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return None
    size = 1 << 16
    while True:
        start = max(0, end - size)
        file.seek(start)
        block = file.read(end - start)
        if not block.endswith(b"\n"):
            raise FormatError(f"{path}: its last line is not whole; nothing is added to a damaged trail")
        lines = block[:-1].rsplit(b"\n", 1)
        if len(lines) > 1 or start == 0:
            _line(lines[-1], f"{path}: last line")
            return _core.blake3(lines[-1])
        size *= 4


def _line(line: bytes, place: str) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or "previous" not in parsed:
        raise FormatError(f"{place} is no line of an audit trail")
    return parsed
