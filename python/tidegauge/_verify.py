"""Verification: a report against its own digests, its inputs, its profiles, and everything made again."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tidegauge import _core
from tidegauge._differences import SUMMED, differences, input_differences, row_name, value_differences
from tidegauge._recorded import SECTIONS, Recorded
from tidegauge.errors import FormatError, InputError, TidegaugeError, UsageError, VerificationError
from tidegauge.record import seal, unpack_rows
from tidegauge.report._text import visible
from tidegauge.results import ROW_FIELDS, overall_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tidegauge._profile import Profile, Progress
    from tidegauge.config import Config
    from tidegauge.record import Context

#: From the cheapest to the whole; each is checked with all before it.
LEVELS = ("record", "inputs", "verdicts", "numbers", "rescan")
Outcome = Literal["same", "different", "not found", "not checked"]
#: What a decision again needs of the configuration.
_RULES = (
    "alpha", "baselines", "decided_by", "decisions", "tolerances", "statistic_tolerances", "checks", "statistics",
)  # fmt: skip
#: Levels for which the data must be there.
_OF_DATA = ("inputs", "rescan")
#: Levels that compute, under the configuration that the record holds.
_COMPUTED = ("numbers", "rescan")


#: Outcomes of which a verification tells the first place.
_FOUND = ("different", "not found")


@dataclass
class Level:
    """What one level found.

    Attributes
    ----------
    name : str
        One of ``LEVELS``, or ``sample``, ``signature``, ``audit`` or ``explanations``.
    outcome : {"same", "different", "not found", "not checked"}
        Files that are not where they were looked for are not found: nothing is known of them.
    told : str
        What was looked at, or why it could not be.
    differences : list of str
        Each begins with the place: file, row group and column, or the path in the record. Where the outcome is
        "not found", the files that are.
    """

    name: str
    outcome: Outcome = "same"
    told: str = ""
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.outcome not in _FOUND:
            return f"{self.name:<9} {self.outcome:<11} {visible(self.told)}".rstrip()
        more = len(self.differences) - 1
        also = f" (and {more} more)" if more else ""
        where = f"; {self.told}" if self.outcome == "not found" else ""
        return f"{self.name:<9} {self.outcome:<11} {visible(self.differences[0] + also + where)}"


@dataclass
class Verification:
    """What :func:`verify` found, level by level.

    Attributes
    ----------
    path : str
    levels : list of Level
    root : Path or None
        The folder that was given.
    """

    path: str
    levels: list[Level]
    root: Path | None = None

    @property
    def same(self) -> bool:
        """Whether no level found a difference or missed a file, and one was checked."""
        outcomes = [level.outcome for level in self.levels]
        return not set(_FOUND).intersection(outcomes) and "same" in outcomes

    @property
    def outcome(self) -> Outcome:
        """That of the whole: "different" before "not found" before "same"; "not checked" where nothing was."""
        outcomes = [level.outcome for level in self.levels]
        of: tuple[Outcome, ...] = ("different", "not found", "same")
        return next((outcome for outcome in of if outcome in outcomes), "not checked")

    @property
    def first(self) -> str | None:
        """The place of the first difference.

        Bytes come first, since all else follows from them; then the levels that name a number, before
        those that only tell that something no longer follows.
        """
        found = {level.name: level.differences[0] for level in self.levels if level.outcome == self.outcome in _FOUND}
        order = ("inputs", "sample", "numbers", "rescan", "verdicts", "record", "audit", "signature")
        return next((found[name] for name in order if name in found), None)

    def exit_code(self) -> int:
        """0 where everything is the same, 6 where anything differs or is not found."""
        return 0 if self.same else 6

    def raise_if_different(self) -> None:
        """Raise where anything differs or is not found.

        Raises
        ------
        VerificationError
            Naming the first place.
        """
        if not self.same:
            raise VerificationError(f"{self.path}: {self.first or 'nothing could be checked'}")

    def note(self) -> None:
        """Check the audit trail that the report names, and add a line to it.

        A level ``audit`` tells whether each line follows from the one before and one tells of the run of this
        report. Where it does not, or where there is no trail, nothing is added.
        """
        from tidegauge import audit

        record = _parse(self.path, [])
        if record is None or not isinstance(record.get("inputs"), dict):
            return
        outcomes = {level.name: level.outcome for level in self.levels}
        same = self.same
        level = _guarded("audit", lambda: _trail(record, Path(self.path), self.root))
        self.levels.append(level)
        if level.outcome == "same" and (where := audit.find(record, self.path, self.root)) is not None:
            about = {"record": record["record_digest"], "report": Path(self.path).name}
            audit.append(where, "verified", **about, same=same, levels=outcomes)

    def to_json(self) -> str:
        """Levels as JSON text."""
        told = [vars(level) for level in self.levels]
        return json.dumps({"path": self.path, "same": self.same, "first": self.first, "levels": told}, indent=1)

    def __repr__(self) -> str:
        skipped = [level.name for level in self.levels if level.outcome == "not checked"]
        but = f", but {' and '.join(skipped)} not checked" if skipped else ""
        last = f"same{but}" if self.same else f"{self.outcome}: {visible(self.first or 'nothing could be checked')}"
        return "\n".join([*map(str, self.levels), last])


def verify(
    path: str | os.PathLike[str],
    *,
    level: str = "rescan",
    sample: int | None = None,
    seed: int | None = None,
    root: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Check a report, up to making everything again.

    - ``record``: the schema and every digest of the record;
    - ``inputs``: data files, model and profiles hold the bytes that were read, part by part;
    - ``verdicts``: q-values, verdicts, ranks and the overall verdict follow from the recorded numbers;
    - ``numbers``: every number follows from the profiles that the run left;
    - ``rescan``: everything follows from the data.

    Nothing is written, whatever the record's configuration names, and what computes (``numbers`` and ``rescan``)
    is left out where the record is not as it was written. Data that is not there is not needed by ``verdicts`` and
    ``numbers``: where one of these is the last level, it is not checked.

    Parameters
    ----------
    path : path-like
        ``report.json``.
    level : {"rescan", "numbers", "verdicts", "inputs", "record"}
        The last level; those before it are checked too.
    sample : int, optional
        Read so many row groups, chosen at random, in place of all inputs and of the rescan: the bytes of
        their column chunks and the digest of their rows.
    seed : int, optional
        Seed of that choice, as told by an earlier verification; by default no two choices are the same.
    root : path-like, optional
        Folder in which relative paths start. By default the first of these that holds a file of the record: the
        configuration's folder as seen from the report, which the record tells; the folder of the report; the
        folder of the run. It is told.
    key : path-like, optional
        Public key (PEM); a signature beside the report, or the report's own name with ``.dsse.json``,
        must be by it and about this record.
    allow_pickle : bool
        Whether a model that is a pickle may be loaded, which runs what the file says; what the record's
        configuration says of it does not count. Without it explanations of such a model are not checked. A model
        whose digest is not that of the record is never loaded.
    progress : callable (done, total), optional
        As for :func:`tidegauge.run`.

    Returns
    -------
    Verification
        Its text has a line a level, and "same" or the first difference at the end.

    Raises
    ------
    InputError
        If the report cannot be opened.
    UsageError
        If an option is not accepted.

    Examples
    --------
    >>> import tidegauge as tg
    >>> verification = tg.verify("report.json", level="verdicts")  # doctest: +SKIP
    >>> verification.same  # doctest: +SKIP
    True
    """
    if level not in LEVELS:
        raise UsageError(f"level {level!r}; accepted are {', '.join(LEVELS)}")
    if sample is not None and sample < 1:
        raise UsageError(f"sample: {sample}; accepted is a number of row groups of at least 1")
    name = str(path)
    found: list[Level] = []
    record = _parse(name, found)
    if record is None:
        return Verification(name, found)
    found[0:] = [record_level(record)]
    if key is not None:
        from tidegauge._sign import check_signature

        found.append(_guarded("signature", lambda: check_signature(name, record, key)))
    places = Places.of(record, Path(name), None if root is None else Path(root))
    wanted = LEVELS[: LEVELS.index(level) + 1]
    unexplained: list[Level] = []
    steps: dict[str, Callable[[], Level]] = {
        "inputs": lambda: _inputs(record, places, needed=level in _OF_DATA),
        "verdicts": lambda: _verdicts(record),
        "numbers": lambda: _numbers(record, places),
        "rescan": lambda: _rescan(record, places, allow_pickle, unexplained, progress),
    }
    if sample is not None:
        steps["inputs"] = lambda: _sample(record, places, sample, seed)
        wanted = tuple(name for name in wanted if name != "rescan")
    if found[0].outcome == "different":
        changed = "the record is not as it was written, and nothing is computed from what it says"
        steps |= {name: _not_checked(name, changed) for name in _COMPUTED}
    found += [_guarded(name if sample is None or name != "inputs" else "sample", steps[name]) for name in wanted[1:]]
    return Verification(name, found + unexplained, None if root is None else Path(root))


def _trail(record: Mapping[str, Any], report: Path, root: Path | None) -> Level:
    """Whether the chain of the audit trail holds, and tells of the run that wrote the record."""
    from tidegauge import audit

    name = record["inputs"].get("audit")
    if name is None:
        return Level("audit", "not checked", "the report names no audit trail; [output] audit does")
    where = audit.find(record, report, root)
    if where is None:
        return Level("audit", "not found", Places.of(record, report, root).where, [f"{name}: not found (audit trail)"])
    lines, head = audit.check(where)
    if not any(line.get("event") == "run" and line.get("record") == record["record_digest"] for line in lines):
        return Level("audit", "different", differences=[f"{name}: no line tells of the run of this report"])
    return Level("audit", "same", f"{len(lines):,} lines, head {head}")


def _not_checked(name: str, why: str) -> Callable[[], Level]:
    return lambda: Level(name, "not checked", why)


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A record whose digests hold; what ``gate`` and ``sign`` start from.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is no record.
    VerificationError
        If a digest does not hold.
    """
    record = _parsed(path)
    level = record_level(record)
    if level.outcome == "different":
        from tidegauge._record_schema import check

        try:
            check(record)
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from None
        raise VerificationError(f"{path}: {level.differences[0]}")
    return record


def refuse_changed(path: str | os.PathLike[str]) -> None:
    """Refuse a record that is not as it was written, whatever else it holds.

    Raises
    ------
    InputError
        If the file cannot be opened.
    VerificationError
        Naming the section whose digest does not hold.
    """
    found: list[Level] = []
    record = _parse(str(path), found)
    told = found[0].differences if record is None else digest_differences(record)
    if told:
        raise VerificationError(f"{path}: {told[0]}; accepted is a report.json as it was written")


def _parsed(path: str | os.PathLike[str]) -> dict[str, Any]:
    found: list[Level] = []
    record = _parse(str(path), found)
    if record is None:
        raise FormatError(f"{path}: {found[0].differences[0]}")
    return record


def parse_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A record of this version, whether its digests hold or not.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is no record.
    """
    from tidegauge._record_schema import check

    record = _parsed(path)
    try:
        check(record)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    return record


def _parse(name: str, found: list[Level]) -> dict[str, Any] | None:
    """The JSON of a report; what it is instead, as a difference."""
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: {(error.strerror or str(error)).lower()}; accepted is a report.json") from None
    try:
        record = json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        found.append(Level("record", "different", differences=[f"byte {error.start}: not UTF-8"]))
        return None
    except json.JSONDecodeError as error:
        told = f"character {error.pos}: not JSON: {error.msg.lower()}"
        found.append(Level("record", "different", differences=[told]))
        return None
    except FormatError as error:
        found.append(Level("record", "different", differences=[str(error)]))
        return None
    if not isinstance(record, dict):
        found.append(Level("record", "different", differences=[f"{type(record).__name__} in place of a record"]))
        return None
    return record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once: of two of one name, readers show one or the other."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"key {twice!r} stands twice in one object; accepted is one that every reader reads alike")
    return made


def _guarded(name: str, step: Callable[[], Level]) -> Level:
    """A level; what stops it is a difference, since what was once read must be read again."""
    try:
        return step()
    except TidegaugeError as error:
        return Level(name, "different", differences=[str(error)])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # Another type than the schema says, which the record level has told already.
        return Level(name, "different", differences=[f"the record cannot be followed: {type(error).__name__}: {error}"])


def record_level(record: dict[str, Any]) -> Level:
    """Schema and digests."""
    from tidegauge._record_schema import check

    level = Level("record", told=f"{record.get('schema')}, result {str(record.get('result_digest'))[:15]}")
    try:
        check(record)
    except FormatError as error:
        level.differences.append(f"schema: {error}")
    level.differences += digest_differences(record)
    level.outcome = "different" if level.differences else "same"
    return level


def digest_differences(record: Mapping[str, Any]) -> list[str]:
    """Sections of a record whose digest does not hold, and what no digest covers."""
    lacking = [part for part in ("result", "inputs", "envelope") if not isinstance(record.get(part), dict)]
    if lacking:
        return [f"{part}: no such section" for part in lacking]
    try:
        again = seal(dict(record))
    except (ValueError, KeyError) as error:
        return [f"digests: {error}"]
    found = []
    told = record.get("section_digests")
    for part in ("result", "inputs"):
        if record.get(f"{part}_digest") == again[f"{part}_digest"]:
            continue
        sections = told.get(part, {}) if isinstance(told, dict) else {}
        sections = sections if isinstance(sections, dict) else {}
        changed = [key for key, value in again["section_digests"][part].items() if sections.get(key) != value]
        changed += [key for key in sections if key not in again["section_digests"][part]]
        where = f"{part}.{changed[0]}" if changed else f"{part}_digest"
        found.append(f"{where}: its digest does not hold")
    follow = bool(found)
    for name in ("record_digest", "envelope_digest", "section_digests"):
        if record.get(name) != again[name] and not (follow and name != "envelope_digest"):
            where = "envelope" if name == "envelope_digest" else name
            found.append(f"{where}: its digest does not hold")
    known = {*again, "sign_off"}
    return found + [f"{name}: no digest covers it" for name in record if name not in known]


@dataclass(frozen=True)
class Places:
    """Where the files of a record are now.

    Attributes
    ----------
    report : Path
    root : Path
        Folder in which relative paths start.
    given : bool
        Whether the caller chose it.
    """

    report: Path
    root: Path
    given: bool = False

    @classmethod
    def of(cls, record: Mapping[str, Any], report: Path, root: Path | None) -> Places:
        """The folder that is given, else the first that holds a file of the record."""
        if root is not None:
            return cls(report, root, given=True)
        try:
            folders = list(_folders(record, report))
            names = list(_named_files(record))
            found = next((folder for folder in folders if any((folder / name).exists() for name in names)), folders[0])
        except (KeyError, TypeError, ValueError, AttributeError, OSError):
            # Another type than the schema says, which the record level tells.
            found = report.parent
        return cls(report, found)

    def find(self, name: str) -> Path | None:
        """The file of that name; none where there is none."""
        path = self.root / name
        return path if path.exists() else None

    def beside(self, name: str) -> Path | None:
        """As :meth:`find`, else a file of the same name beside the report."""
        near = self.report.parent / Path(name).name
        return self.find(name) or (near if near.exists() else None)

    @property
    def base(self) -> str:
        """Folder of the configuration."""
        return str(self.root)

    @property
    def where(self) -> str:
        """Where files were looked for, and what else can be said."""
        told = f"looked for in {self.root.absolute()}"
        return told if self.given else f"{told}; --root DIR is where relative paths start"


def _folders(record: Mapping[str, Any], report: Path) -> Iterator[Path]:
    """Folders in which relative paths of a record may start, the likeliest first."""
    here = Path(os.path.abspath(report.parent))  # noqa: PTH100 - links stay
    folder = record["envelope"].get("folder")
    command = (record["inputs"].get("reproduce") or {}).get("verify")
    if folder and command:
        # The place of the report, from the folder of the configuration; both may have moved together.
        written = os.path.normpath(os.path.join(folder, shlex.split(command)[-1]))  # noqa: PTH118
        yield Path(os.path.normpath(here / os.path.relpath(folder, os.path.dirname(written))))  # noqa: PTH120
    yield here
    if folder:
        yield Path(folder)


def _named_files(record: Mapping[str, Any]) -> Iterator[str]:
    """Relative names by which a folder is recognised: configuration, data, model, store."""
    inputs = record["inputs"]
    store = inputs["current"].get("store") or {}
    named = [inputs.get("configuration_name"), store.get("path")]
    named += [entry["path"] for entry in _files(record) if not entry["what"].startswith("profile")]
    return (name for name in named if name and not Path(name).is_absolute() and "://" not in name)


def _files(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Data files of both sides, the model and the profiles, as recorded."""
    inputs = record["inputs"]
    for side in ("reference", "current"):
        for entry in inputs[side]["files"]:
            if "path" in entry:
                yield {**entry, "what": side}
    model = inputs.get("model") or {}
    if "digest" in model:
        yield {**model, "what": "model"}
    for side, entry in (inputs.get("profiles") or {}).items():
        yield {**entry, "what": f"profile of the {side}"}


def _inputs(record: Mapping[str, Any], places: Places, *, needed: bool) -> Level:
    """Whether every file holds the bytes that were read; unless they are `needed`, those that are not there may be."""
    level = Level("inputs")
    files = parts = size = 0
    undigested: list[str] = []
    absent: list[str] = []
    seen: set[tuple[str, str | None]] = set()
    for entry in _files(record):
        if entry.get("digest") is None:
            undigested.append(entry["path"])
            continue
        if (entry["path"], entry["digest"]) in seen:
            continue
        seen.add((entry["path"], entry["digest"]))
        near = places.beside if entry["what"].startswith("profile") else places.find
        where = near(entry["path"])
        if where is None:
            absent.append(f"{entry['path']}: not found ({entry['what']})")
            continue
        level.differences += file_differences(entry, where)
        files, parts, size = files + 1, parts + len(list(_parts(entry))), size + where.stat().st_size
    told, lacking = _beside(record, places)
    level.differences += told
    absent += lacking
    without = f"; no digest of {len(undigested)}: {undigested[0]}" if undigested else ""
    came = new_files(record, places)
    more = f"; {len(came)} came since and match what was read: {', '.join(came[:3])}" if came else ""
    if len(came) > 3:
        more += f" and {len(came) - 3} more"
    level.told = f"{files} files, {size:,} bytes in {parts:,} parts{without}{more}, in {places.root.absolute()}"
    level.outcome = "different" if level.differences else "same" if files else "not checked"
    return _lacking(level, absent, places, needed=needed)


def _lacking(level: Level, absent: Sequence[str], places: Places, *, needed: bool) -> Level:
    """Add files that are not there; a difference in those that are goes before."""
    if not absent:
        return level
    if level.outcome == "different":
        level.differences += absent
    elif needed:
        level.outcome, level.differences, level.told = "not found", list(absent), places.where
    else:
        named = f"{', '.join(absent[:3])}{f' and {len(absent) - 3} more' if len(absent) > 3 else ''}"
        level.outcome, level.told = "not checked", f"{named}, {places.where}; same are {level.told}"
    return level


def _absent_data(record: Mapping[str, Any], places: Places) -> list[str]:
    """Files without which nothing can be scanned again."""
    from tidegauge.sources import is_remote

    entries = [entry for entry in _files(record) if not entry["what"].startswith("profile")]
    local = [entry for entry in entries if not is_remote(entry["path"])]
    return [entry["path"] for entry in local if places.find(entry["path"]) is None]


def _beside(record: Mapping[str, Any], places: Places) -> tuple[list[str], list[str]]:
    """Where configuration and store are not what they were when they were read or written, and which are not there."""
    from tidegauge._verify_configuration import configuration_differences

    name = record["inputs"].get("configuration_name")
    absent = [f"{name}: not found (configuration)"] if name and places.find(name) is None else []
    told = [] if absent else configuration_differences(record, places.base)
    if record["inputs"]["current"].get("store") is None:
        return told, absent
    from tidegauge import _verify_store

    try:
        settings = _settings(record, places)
        if settings is None or settings.store is None:
            return [*told, "inputs.current.store: its configuration names no store"], absent
        if not Path(settings.path(settings.store.path)).exists():
            return told, [*absent, f"{settings.store.path}: not found (store)"]
        return told + _verify_store.changed(record, settings), absent
    except TidegaugeError as error:
        return [*told, str(error)], absent


def new_files(record: Mapping[str, Any], places: Places) -> list[str]:
    """Files that match a pattern or lie in a folder that was read, and were not there then, named as in the record."""
    import glob

    from tidegauge.sources import is_remote

    inputs = record["inputs"]
    found: set[str] = set()
    for side in ("reference", "current"):
        told = inputs[side]
        known = {path.resolve() for entry in told["files"] if "path" in entry and (path := places.find(entry["path"]))}
        for pattern in told["paths"]:
            if is_remote(pattern) or "\x00" in pattern:
                continue
            root = places.root
            place = root / pattern
            if place.is_dir():
                matches = sorted(str(path) for path in place.rglob("*.parquet"))
            elif place.exists() or not glob.has_magic(pattern):
                continue
            else:
                matches = sorted(glob.glob(str(place), recursive=True))  # noqa: PTH207 - as the scan
            fresh = [path for path in map(Path, matches) if path.is_file() and path.resolve() not in known]
            # Beside files that were read; hidden ones are passed over by the scan too.
            shown = [path for path in fresh if not any(part.startswith((".", "_")) for part in path.parts[-1:])]
            found |= {str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in shown}
    return sorted(found)


def file_differences(entry: Mapping[str, Any], where: Path) -> list[str]:
    """Where a file holds other bytes than were read; none where no digest was recorded and the size is the same."""
    told = []
    found = where.stat().st_size
    if found != entry["bytes"]:
        what = f" ({entry['what']})" if "what" in entry else ""
        told.append(f"{entry['path']}: {found:,} bytes, {entry['bytes']:,} were read{what}")
    if entry.get("digest") is None:
        return told
    named = list(_parts(entry))
    hashes = _core.digest_parts(str(where), [(offset, length) for _, (offset, length, _) in named])
    changed = [place for (place, (_, _, hexed)), again in zip(named, hashes, strict=True) if hexed != again]
    told += [f"{entry['path']}: {place} changed" for place in changed]
    if not changed and found == entry["bytes"] and "parts" in entry and _of_parts(named) != entry["digest"]:
        told.append(f"{entry['path']}: its digest is not that of its parts")
    return told


def _parts(entry: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Stretches of a file with their place in words."""
    parts = entry.get("parts")
    if parts is None:
        yield "content", (0, entry["bytes"], entry["digest"].removeprefix("b3:"))
        return
    for number, row_group in enumerate(parts["row_groups"]):
        for column, part in zip(parts["columns"], row_group, strict=True):
            if part is not None:
                yield f"row group {number}, column {column!r}", part
    yield "footer", parts["footer"]
    for part in parts["gaps"]:
        yield f"bytes {part[0]} to {part[0] + part[1] - 1}, outside of columns and footer,", part


def _of_parts(named: Sequence[tuple[str, Sequence[Any]]]) -> str:
    """Digest of a file from those of its parts, as the scan makes it."""
    ordered = sorted((part for _, part in named), key=lambda part: (part[0], part[1]))
    content = b"".join(
        offset.to_bytes(8, "little") + length.to_bytes(8, "little") + bytes.fromhex(hexed)
        for offset, length, hexed in ordered
    )
    return _core.blake3(content)


def _sample(record: Mapping[str, Any], places: Places, count: int, seed: int | None) -> Level:
    """Bytes and rows of some row groups, chosen at random."""
    level = Level("sample")
    seed = secrets.randbits(32) if seed is None else seed
    inputs = record["inputs"]
    units = []
    for side in ("reference", "current"):
        told = inputs[side].get("row_digest") or {}
        files = [entry for entry in inputs[side]["files"] if "parts" in entry]
        for at, entry in enumerate(files):
            rows = told["row_groups"][at] if len(told.get("row_groups", ())) == len(files) else None
            units += [
                (entry, number, rows[number] if rows else None, told.get("columns"))
                for number in range(len(entry["parts"]["row_groups"]))
            ]
    differing, absent = _beside(record, places)
    if not units:
        why = "no digests of row groups were recorded"
        level = Level("sample", "different" if differing else "not checked", why, differing)
        return _lacking(level, absent, places, needed=True)
    chosen = random.Random(seed).sample(range(len(units)), min(count, len(units)))
    parts = rows = 0
    for entry, number, expected, columns in (units[i] for i in sorted(chosen)):
        where = places.find(entry["path"])
        if where is None:
            absent.append(f"{entry['path']}: not found")
            continue
        prefix = f"row group {number},"
        named = [(place, part) for place, part in _parts(entry) if place.startswith(prefix)]
        hashes = _core.digest_parts(str(where), [(part[0], part[1]) for _, part in named])
        changed = [place for (place, part), again in zip(named, hashes, strict=True) if part[2] != again]
        level.differences += [f"{entry['path']}: {place} changed" for place in changed]
        parts += len(named)
        if expected is None:
            continue
        try:
            again = _core.digest_rows(str(where), number, list(columns or []))
        except TidegaugeError as error:
            level.differences.append(f"{entry['path']}: row group {number}: {error}")
            continue
        rows += 1
        if again != expected:
            level.differences.append(f"{entry['path']}: row group {number}: other rows")
    level.differences += differing
    decoded = f", rows of {rows} decoded" if rows else ""
    level.told = f"{len(chosen)} of {len(units)} row groups, {parts:,} column chunks{decoded}; --seed {seed}"
    level.outcome = "different" if level.differences else "same"
    return _lacking(level, list(dict.fromkeys(absent)), places, needed=True)


def _verdicts(record: Mapping[str, Any]) -> Level:
    """Whether verdicts follow from the recorded numbers."""
    level = Level("verdicts")
    result = record["result"]
    rows = unpack_rows(result["rows"])
    rules = {name: result["configuration"][name] for name in _RULES if name in result["configuration"]}
    # JSON readers round; the core reads floats from their text.
    plain = [{name: _text(row[name]) for name in ROW_FIELDS} for row in _unwaived(rows, result.get("waivers") or [])]
    again = json.loads(_core.decide_again(json.dumps(plain), json.dumps(rules)))
    # Rows before what is summed up from them.
    summed = {i for i, row in enumerate(rows) if row["statistic"] in SUMMED}
    for found in sorted(again["disagreements"], key=lambda found: found["row"] in summed):
        place = row_name(rows[found["row"]]) if found["row"] < len(rows) else "result.rows"
        told = f"{found['recorded']} recorded, {found['found']} follows"
        level.differences.append(f"{place}: {found['field']}: {told}")
    by = decided_by(result)
    worst = overall_verdict(rows, by)
    if worst != result["verdict"]:
        level.differences.append(f"result.verdict: {result['verdict']} recorded, {worst} follows")
    from tidegauge.record import windows

    again_windows = windows(rows, by)
    if len(again_windows) != len(result["windows"]):
        level.differences.append(f"result.windows: {len(result['windows'])} recorded, {len(again_windows)} follow")
    for recorded, found in zip(result["windows"], again_windows, strict=False):
        for name in ("start", "end", "rows", "verdict"):
            if recorded[name] != found[name]:
                told = f"{recorded[name]} recorded, {found[name]} follows"
                level.differences.append(f"result.windows[{recorded['start']}].{name}: {told}")
    given = f", {again['given']:,} rest on more than their numbers" if again["given"] else ""
    level.told = f"{again['decided']:,} verdicts follow from {len(rows):,} rows{given}"
    level.outcome = "different" if level.differences else "same"
    return level


def _unwaived(rows: Sequence[Mapping[str, Any]], waivers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as they were decided, before people accepted some of them; what a waiver says of a row is taken off.

    A row that is waived and that no waiver names keeps its verdict, and is told.
    """
    places = ("feature", "window_start", "window_end", "model_version", "segment_by", "segment_value", "baseline")
    accepted: dict[tuple[Any, ...], tuple[str, str]] = {}
    ended: dict[tuple[Any, ...], str] = {}
    for waiver in waivers:
        told = f"waived until {waiver['until']} by {waiver['who']}: {waiver['why']}"
        for place in waiver.get("waived", ()):
            # Several waivers may accept a verdict together.
            key = tuple(place[name] for name in places)
            before = accepted[key][1] if key in accepted else None
            accepted[key] = (place["verdict"], f"{before}; {told}" if before else f"{place['verdict']}, {told}")
        for place in waiver.get("ended", ()):
            ended[tuple(place[name] for name in places)] = f"the waiver by {waiver['who']} ended {waiver['until']}"
    found = []
    for row in rows:
        key = tuple(row[name] for name in places)
        message = row["message"] or ""
        if row["statistic"] == "verdict" and row["verdict"] == "waived":
            verdict, told = accepted.get(key, ("ok", ""))
            message = message.removeprefix(told).removeprefix("; ")
            found.append({**row, "verdict": verdict, "message": message or None})
        elif row["statistic"] == "verdict" and key in ended:
            found.append({**row, "message": message.removesuffix(ended[key]).removesuffix("; ") or None})
        else:
            found.append(dict(row))
    return found


def _text(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value


def decided_by(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The baselines whose verdicts count in a recorded result."""
    from tidegauge._baselines import deciding_baselines

    configuration = result["configuration"]
    return tuple(deciding_baselines(configuration["baselines"], configuration.get("decided_by", ())))


def _settings(record: Mapping[str, Any], places: Places, *, digests: bool = False) -> Config | None:
    """The configuration of the run; without `digests` none are taken of what is read."""
    from tidegauge.config import restore

    inputs = record["inputs"]
    if not inputs.get("configuration_as_written") or "configuration_overrides" not in inputs:
        return None
    settings = restore(
        inputs["configuration_as_written"], inputs.get("configuration_name"), inputs["configuration_overrides"],
        places.base,
    )  # fmt: skip
    settings.scan.digests &= digests
    # What the record says of these is the word of whoever wrote it.
    settings.joint.samples = None
    if settings.explain is not None:
        settings.explain.allow_pickle = False
    return settings


_NO_RUN = "the report was made by drift or compare; a run of a configuration can be made again"


def _numbers(record: Mapping[str, Any], places: Places) -> Level:
    """Whether the numbers follow from the profiles."""
    from tidegauge._profile import Profile

    settings = _settings(record, places)
    if settings is None:
        return Level("numbers", "not checked", _NO_RUN)
    if settings.store is not None:
        from tidegauge import _verify_store

        return _verify_store.numbers(record, settings)
    told = record["inputs"].get("profiles") or {}
    profiles: dict[str, Profile] = {}
    absent = []
    for side, paths in (("reference", settings.reference.path), ("current", settings.current.path)):
        if side in told:
            where = places.beside(told[side]["path"])
        elif isinstance(paths, str) and paths.lower().endswith(".tgp"):
            # The data itself.
            where = Path(settings.path(paths))
            where = where if where.exists() else None
        else:
            return Level("numbers", "not checked", f"no profile of the {side} was left; [output] profiles leaves both")
        if where is None:
            absent.append(f"{told[side]['path'] if side in told else paths}: not found (profile of the {side})")
        else:
            profiles[side] = Profile.load(where)
    if absent:
        return Level("numbers", "not found", places.where, absent)
    level = Level("numbers")
    for side, profile in profiles.items():
        recorded = record["result"][side]["profile_digest"]
        if profile.digest != recorded:
            other = f"{profile.digest[:15]}, recorded is {recorded[:15]}"
            level.differences.append(f"profile of the {side}: its content is {other}")
    recorded = Recorded.without_rows(record)
    skip = tuple(name for name in SECTIONS if name in record["result"])
    result = _made_again(record, settings, profiles, None, recorded)["result"]
    if recorded.decides:
        # The other rows of a window have their levels from it too; what follows from them is checked by `verdicts`.
        level.differences += value_differences(record["result"], result)
    else:
        level.differences += differences(record["result"], result, skip=skip)
    level.outcome = "different" if level.differences else "same"
    level.told = "every number of the result, from reference.tgp and current.tgp"
    if recorded.joint:
        skip = (*skip, "joint statistics")
    if skip:
        level.told = f"every number of the result but {', '.join(skip)}, from the profiles"
    return level


def _rescan(
    record: Mapping[str, Any], places: Places, allow_pickle: bool, unexplained: list[Level], progress: Progress | None
) -> Level:
    """Whether everything follows from the data: the result, and what the record says of its inputs.

    Where explanations cannot be made again, a level that says why is added to `unexplained`.
    """
    settings = _settings(record, places, digests=True)
    if settings is None:
        return Level("rescan", "not checked", _NO_RUN)
    if absent := _absent_data(record, places):
        return Level("rescan", "not checked", f"{absent[0]} is not found")
    if settings.store is not None:
        from tidegauge import _verify_store

        return _verify_store.rescan(record, settings, progress)
    recorded, but = None, ""
    if settings.explain is not None and settings.explain.enabled:
        settings.explain.allow_pickle = allow_pickle
        if why := _not_loaded(record, settings, allow_pickle):
            recorded = Recorded.without_model(record)
            if recorded.explanation is None:
                settings.explain.enabled = False
            unexplained.append(Level("explanations", "not checked", why))
            but = " but explanations"
    made = _made_again(record, settings, {}, progress, recorded)
    level = Level("rescan", differences=differences(record["result"], made["result"]))
    if level.differences:
        came = [f"{name}: came since, and matches what was read" for name in new_files(record, places)]
        level.differences = [*came, *level.differences]
    level.differences += inputs_again(record, made["inputs"], settings)
    level.outcome = "different" if level.differences else "same"
    rows = made["result"]["reference"]["rows"] + made["result"]["current"]["rows"]
    level.told = f"every number of the result{but} and what is told of inputs, from {rows:,} rows"
    return level


def _not_loaded(record: Mapping[str, Any], settings: Config, allow_pickle: bool) -> str | None:
    """Why the model of a record is not loaded, where it is not."""
    from tidegauge._models import is_pickle
    from tidegauge._provenance import whole

    name = settings.model.path
    if name is None:
        return None
    recorded = (record["inputs"].get("model") or {}).get("digest")
    if whole(settings.path(name))["digest"] != recorded:
        return f"{name} is not the model of the record, and is not loaded"
    if is_pickle(name) and not allow_pickle:
        return f"{name} is a pickle, which runs what it says; --allow-pickle (allow_pickle=True) loads it"
    return None


def inputs_again(record: Mapping[str, Any], made: dict[str, Any], settings: Config) -> list[str]:
    """Where the inputs of a record are not those made again.

    Profiles that a run left are held against their files by level `inputs`, and against the result by `numbers`.
    """
    from tidegauge import _provenance, _run

    folder = str(Path(settings.base or ".").absolute())
    left = record["inputs"].get("profiles")
    for side, path in _run.profile_places(settings).items():
        told = left.get(side) if isinstance(left, dict) else None
        held = {name: told[name] for name in ("bytes", "digest") if name in told} if isinstance(told, dict) else {}
        made["profiles"][side] = {"path": _provenance.relative(str(path), folder), **held}
    return input_differences(record["inputs"], made, (str(record["envelope"].get("folder") or folder), folder))


def context_again(record: Mapping[str, Any], settings: Config) -> Context:
    """What a record was made under; rows without a window were waived, or not, on the day of the run."""
    from tidegauge import _run

    return _run.context_of(settings, dt.datetime.fromisoformat(record["envelope"]["started"]), None)


def _made_again(
    record: Mapping[str, Any],
    settings: Config,
    profiles: Mapping[str, Profile],
    progress: Progress | None,
    recorded: Recorded | None = None,
) -> dict[str, Any]:
    """Result and inputs that a configuration gives now; nothing is written. What is `recorded` is not made again."""
    from tidegauge import _run

    context = context_again(record, settings)
    reference, current = profiles.get("reference"), profiles.get("current")
    report = _run.compute(settings, context, reference=reference, current=current, recorded=recorded, progress=progress)
    made: dict[str, Any] = json.loads(json.dumps({part: report.record[part] for part in ("result", "inputs")}))
    return made
