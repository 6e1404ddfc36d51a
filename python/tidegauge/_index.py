"""Reports of a folder gathered into an index, each read once until it changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidegauge._files import write_all
from tidegauge.errors import InputError
from tidegauge.record import digest

if TYPE_CHECKING:
    from tidegauge.report import Entry

_VERSION = 2


class _Table(msgspec.Struct):
    rows: int | None = None


class _Result(msgspec.Struct):
    verdict: str = "not_evaluated"
    title: str = ""
    model: dict[str, Any] = {}
    windows: list[dict[str, Any]] = []
    current: _Table | None = None


class _Held(msgspec.Struct):
    """What an index shows of a record; the rest is passed over without being built."""

    schema: str
    result: _Result
    result_digest: str = ""
    envelope: dict[str, Any] = {}


class _Seen(msgspec.Struct, array_like=True):
    """A file as it was when it was read; `held` is None where it is no report."""

    size: int
    changed: int
    held: _Held | None
    problem: str | None


class _Cache(msgspec.Struct):
    version: int
    files: dict[str, _Seen]


def write_index(folder: str | os.PathLike[str], output: str | os.PathLike[str]) -> tuple[int, int]:
    """Write an index page over the reports below a folder.

    Every ``.json`` file below `folder` that is a record is listed, with a link to the ``.html``
    of the same name where there is one. A file is read again only when its size or time of change
    differ from those kept beside the index, in ``.NAME.cache``; deleting that file reads all.

    Parameters
    ----------
    folder : path
    output : path
        The page, ``.html``.

    Returns
    -------
    reports, read : int
        Reports listed, and files read for it.

    Raises
    ------
    InputError
        If `folder` is not a folder.
    OSError
        If it, or the output, cannot be accessed.
    """
    from tidegauge.report import Entry, entry_of, render_index

    top, target = Path(folder), Path(output)
    if not top.is_dir():
        raise InputError(f"{top}: not a folder")
    cached = target.with_name(f".{target.name}.cache")
    before = _load(cached)
    seen: dict[str, _Seen] = {}
    entries: list[Entry] = []
    read = passed_over = 0
    for path in _records(top):
        name = Path(os.path.relpath(path, top)).as_posix()
        status = path.stat()
        known = before.get(name)
        if known is None or (known.size, known.changed) != (status.st_size, status.st_mtime_ns):
            known = _read(path, status)
            read += 1
        seen[name] = known
        if known.problem is not None:
            entries.append(Entry(name, name, known.problem, "error", "", "", 0, None, None, None, "", ""))
        elif known.held is None:
            passed_over += 1
        else:
            page = path.with_suffix(".html")
            shown = page if page.is_file() and page != target else path
            link = Path(os.path.relpath(shown, target.parent)).as_posix()
            entries.append(entry_of(name, link, msgspec.to_builtins(known.held)))
    text = render_index(entries, title=f"Reports in {top.resolve().name or top}", passed_over=passed_over)
    cache = msgspec.json.encode(_Cache(_VERSION, seen))
    write_all([(target, text.encode()), (cached, cache)])
    return len(entries), read


def _records(top: Path) -> list[Path]:
    """JSON files below a folder, hidden ones and links to folders left aside."""
    found = []
    for place, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in names if name.endswith(".json") and not name.startswith(".")]
    return sorted(found)


def _read(path: Path, status: os.stat_result) -> _Seen:
    place = (status.st_size, status.st_mtime_ns)
    try:
        content = path.read_bytes()
        held = msgspec.json.decode(content, type=_Held)
    except OSError as error:
        return _Seen(*place, None, f"cannot be read: {(error.strerror or str(error)).lower()}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # Of another tool, or one of ours that was cut short or edited.
        return _Seen(*place, None, f"cannot be read: {error}" if b'"tidegauge.report/' in content[:4096] else None)
    if not held.schema.startswith("tidegauge.report/"):
        return _Seen(*place, None, None)
    if digest(json.loads(content)["result"]) != held.result_digest:
        return _Seen(*place, None, "not as it was written: its result_digest does not hold")
    return _Seen(*place, held, None)


def _load(path: Path) -> dict[str, _Seen]:
    """What is kept beside an index; nothing where it is absent, broken or of another version."""
    try:
        cache = msgspec.json.decode(path.read_bytes(), type=_Cache)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return cache.files if cache.version == _VERSION else {}
