"""The store: a folder of Parquet that grows by one part a run, and windows that close.

::

    store.json                                  what every part agrees on
    reference/DIGEST/*.parquet                  the reference
    parts/000001-DIGEST/*.parquet               files first seen by one run
    verdicts/000001-DIGEST/*.parquet            windows that one run decided

A part or a set of verdicts is a folder that is written aside, flushed, and renamed to its place: it is there
whole or not at all, with the digests of its files, in one more whose name is the digest of its content. Nothing
is ever changed or removed; ``work`` holds checkpoints, an index, and what is being written.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import io
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._files import naming, write_all
from tidegauge._privacy import hide_in_tables
from tidegauge._profile import Options, Profile, is_profile
from tidegauge._store_index import Index
from tidegauge._work import identify
from tidegauge.errors import FormatError, InputError, StoreError
from tidegauge.results import ROW_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from tidegauge._profile import Progress
    from tidegauge._work import Work
    from tidegauge.results import Row

FORMAT = "tidegauge.store/1"
#: A window by its start, microseconds since 1970; None holds the rows without a time.
Start = int | None
#: What gains folders.
_GROWING = ("parts", "verdicts")
_IDENTITY = "identity.json"
#: What is kept of the digests of rows.
_OF_ROWS = ("row_digests", "row_columns", "row_digest_missing")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass
class Window:
    """One window of the store: the parts that hold rows of it, and what was decided."""

    start: Start
    end: Start
    text: tuple[str | None, str | None]
    #: Part and rows, in the order of the parts.
    parts: list[tuple[str, int]] = field(default_factory=list)
    #: Columns of each of these parts.
    columns: dict[str, frozenset[str]] = field(default_factory=dict)
    #: Each time it was decided, first to last.
    decided: list[dict[str, Any]] = field(default_factory=list)

    @property
    def through(self) -> int:
        """Number of the last part when it was last decided."""
        return int(self.decided[-1]["through"]) if self.decided else 0

    def late(self) -> list[tuple[str, int]]:
        """Parts that came after it was decided."""
        return [part for part in self.parts if self.decided and number_of(part[0]) > self.through]

    def counted(self, late: str) -> list[str]:
        """Parts whose rows are evaluated: without those that came late where they only count."""
        skip = {name for name, _ in self.late()} if late == "count" else set()
        return [name for name, _ in self.parts if name not in skip]


@dataclass(frozen=True)
class View:
    """A store as it was: parts and sets of verdicts up to these numbers."""

    parts: int
    verdicts: int

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> View:
        """The one that the inputs of a record tell.

        Raises
        ------
        FormatError
            If it is none.
        """
        told = inputs["current"].get("store")
        for name in _GROWING:
            if not isinstance(told, dict) or type(told.get(name)) is not int or told[name] < 0:
                found = told.get(name) if isinstance(told, dict) else told
                raise FormatError(f"inputs.current.store.{name}: {found!r}; accepted is a number of {name}")
        return cls(told["parts"], told["verdicts"])


class Store:
    """A store that this process has to itself until it is closed, or one that is only read."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.work = path / "work"
        self._lock = lock
        self._index = Index(None)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Store:
        """The store at `path`, to read what is in it: it only grows, and what is there is whole.

        Raises
        ------
        InputError
            If there is none.
        """
        if not (Path(path) / "store.json").is_file():
            raise InputError(f"{path}: no store there; accepted is a folder that tidegauge run made")
        return cls(Path(path), -1)

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: str | os.PathLike[str]) -> Iterator[Store]:
        """Take the store at `path`, which is made where there is none.

        Raises
        ------
        StoreError
            If another run is at work in it.
        """
        place = Path(path)
        place.mkdir(parents=True, exist_ok=True)
        # The kernel lets go of it whatever ends the process.
        lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
                told = f" (process {holder})" if holder else ""
                raise StoreError(
                    f"store {place}: another run is at work in it{told}; one run at a time is accepted"
                ) from None
            with naming(place / "lock"):
                os.ftruncate(lock, 0)
                os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            store = cls(place, lock)
            # What a killed run was writing; nobody else does while the lock is held.
            shutil.rmtree(store.work / "new", ignore_errors=True)
            for left in [*place.glob(".*.tmp"), *place.glob("reference/*/.*.tmp"), *store.work.glob(".index-*.tmp")]:
                left.unlink(missing_ok=True)
            store._index = Index.load(store.work)
            yield store
            with contextlib.suppress(OSError):
                # Without it the next run reads the tables.
                store._index.save()
            os.ftruncate(lock, 0)
            with contextlib.suppress(OSError):
                store.work.rmdir()
        finally:
            os.close(lock)

    @staticmethod
    def plan(options: Options, performance: Mapping[str, Any] | None) -> dict[str, Any]:
        """What every part agrees on; `performance` is what ``[performance]`` says, where labels are measured."""
        measured = {} if performance is None else {"performance": performance}
        return {"format": FORMAT, "options": options.semantic() | measured}

    def agree(self, options: Options, performance: Mapping[str, Any] | None) -> None:
        """Note the options that every part shares, or refuse others.

        Raises
        ------
        StoreError
            If the store was made with other options.
        """
        plan = self.plan(options, performance)
        path = self.path / "store.json"
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            found = None
        except (OSError, ValueError) as error:
            raise FormatError(f"{path}: {error}; accepted is what tidegauge wrote") from None
        if found is not None and found.get("format") != FORMAT:
            raise FormatError(f"{path}: format {found.get('format')!r}; accepted is {FORMAT!r}")
        if found != plan and (found is None or not self.parts()):
            write_all([(path, as_text(plan))])
        elif found is not None and found != plan:
            kept, asked = found.get("options", {}), plan["options"]
            names = sorted(name for name in {*kept, *asked} if kept.get(name) != asked.get(name))
            told = "; ".join(f"{name} was {kept.get(name)!r} and is {asked.get(name)!r}" for name in names)
            raise StoreError(f"store {self.path}: made with other options ({told}); name another store for them")

    def reference(
        self,
        data: str | list[str],
        options: Options,
        work: Work,
        progress: Progress | None,
        beside: Callable[[Profile], Mapping[str, pl.DataFrame]],
    ) -> Profile:
        """The reference, scanned only where its files are not those of the last run.

        `beside` makes the tables that are kept with it.

        Raises
        ------
        StoreError
            If the store was made against another reference.
        """
        identity = kept = None
        if isinstance(data, str) and is_profile(data):
            made = Profile.load(data)
        else:
            identity = {"files": identify(data, options), "options": options.semantic()}
            kept = self._reference(options, data)
            if kept is not None and identity["files"] is not None and kept[1] == identity:
                return kept[0]
            made = work.reference(data, options, progress)
        folder = self.path / "reference" / short(made.digest)
        for other in self.path.glob("reference/*"):
            if other != folder and self.parts():
                raise StoreError(
                    f"store {self.path}: made against the reference {other.name}, not {folder.name}; "
                    "name another store for another reference"
                )
            if other != folder:
                # Of a run that came to nothing.
                shutil.rmtree(other)
        text = json.dumps(identity, sort_keys=True).encode()
        if kept is not None and folder.exists() and kept[0].info["coverage"] != made.info["coverage"]:
            # The same rows in files that moved: the profile names its files. A run that ends here scans again.
            shutil.rmtree(folder)
        if not folder.exists():
            others = beside(made)
            with self._new(folder) as new:
                write_tables(new, made)
                for name, table in others.items():
                    _write(new / name, table)
                _write(new / "profile.parquet", _profiles([(None, None, made)]))
        # Which files it was made of, now: that may change, so no digest covers it.
        if not (folder / _IDENTITY).exists() or (folder / _IDENTITY).read_bytes() != text:
            write_all([(folder / _IDENTITY, text)])
        return made

    def kept_reference(self, options: Options, data: str | list[str]) -> Profile:
        """The reference as it was scanned.

        Raises
        ------
        InputError
            If there is none: no run was done with it.
        """
        kept = self._reference(options, data)
        if kept is None:
            raise InputError(f"store {self.path}: no reference in it; accepted is a store of a run that ended")
        return kept[0]

    def _reference(self, options: Options, data: str | list[str]) -> tuple[Profile, Any] | None:
        for folder in self.path.glob("reference/*"):
            content = read_tables([folder / "profile.parquet"], ["profile"])["profile"][0]
            names = [data] if isinstance(data, str) else data
            try:
                identity = json.loads((folder / _IDENTITY).read_bytes())
            except (OSError, ValueError):
                # The reference is scanned again then.
                identity = None
            with telling(folder / "profile.parquet"):
                return Profile(_core.Profile.from_bytes(content), inputs=names, options=options), identity
        return None

    @contextlib.contextmanager
    def _new(self, place: Path) -> Iterator[Path]:
        """A folder to fill that appears at `place` whole, or not at all."""
        new = self.work / "new" / place.name
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        try:
            yield new
            digests = {path.name: _core.blake3(path.read_bytes()) for path in sorted(new.iterdir())}
            text = json.dumps(digests, indent=1).encode()
            manifest = new / f"digests-{_core.blake3(text)[3:19]}.json"
            with naming(manifest):
                manifest.write_bytes(text)
            for path in [*new.iterdir(), new]:
                _flush(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            new.rename(place)
            _flush(place.parent)
            _flush(self.path)
        finally:
            shutil.rmtree(self.work / "new", ignore_errors=True)

    def table(self, path: Path, columns: list[str] | None) -> pl.DataFrame:
        """A table; a run, which tells on what it reads, takes only what has the digest that was written beside it.

        Profiles have checksums of their own.
        """
        if self._lock >= 0:
            told = damage(path.parent, only=path.name)
            if told:
                raise FormatError(f"store {self.path}: {told[0]}; accepted is what tidegauge wrote")
        return read_tables([path], columns)

    def parts(self, view: View | None = None) -> list[str]:
        """Names of the parts, first to last."""
        names = sorted(path.name for path in self.path.glob("parts/*"))
        return [name for name in names if view is None or number_of(name) <= view.parts]

    def lost(self, view: View | None = None) -> list[str]:
        """Sets of verdicts that were the last when a part was added, and are not there.

        Windows that they decided are decided again, as if they never had been.
        """
        there = {path.name for path in self.path.glob("verdicts/*")}
        told = {self._part(name).get("verdicts") for name in self.parts(view)}
        return sorted(name for name in told if name is not None and name not in there)

    def view(self) -> View:
        """What there is now."""
        last = [max((number_of(path.name) for path in self.path.glob(f"{what}/*")), default=0) for what in _GROWING]
        return View(*last)

    def files(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Digests of the files of some parts, as they were taken when their rows were counted."""
        found: dict[str, dict[str, Any]] = {}
        for name in sorted(names):
            path = self.path / "parts" / name / "files.parquet"
            for row in read_tables([path], None).iter_rows(named=True) if path.exists() else ():
                told = {"digest": row["digest"], "parts": None if row["parts"] is None else json.loads(row["parts"])}
                rows = {name: row[name] for name in _OF_ROWS}
                kept = {name: value for name, value in {**told, **rows}.items() if value is not None}
                found[row["file"]] = kept
        return found

    def parts_of(self, file: str) -> list[str]:
        """Names of the parts that counted rows of a file."""
        return [name for name in self.parts() if any(row[0] == file for row in self._part(name)["coverage"])]

    def covered(self, view: View | None = None) -> dict[str, dict[int, tuple[int, str]]]:
        """Size and footer by file and row group: what has been counted."""
        found: dict[str, dict[int, tuple[int, str]]] = {}
        for name in self.parts(view):
            for file, group, size, footer in self._part(name)["coverage"]:
                found.setdefault(file, {})[group] = (size, footer)
        return found

    def _part(self, name: str) -> dict[str, Any]:
        """Coverage, windows and columns of a part."""

        def read() -> dict[str, Any]:
            folder = self.path / "parts" / name
            coverage = self.table(folder / "coverage.parquet", None)
            columns = ["window_start", "window_end", "start", "end", "rows", "columns"]
            windows = read_tables([folder / "profile.parquet"], columns).rows()
            return {
                "coverage": [list(row) for row in coverage.select("file", "row_group", "bytes", "footer").iter_rows()],
                # The last set of verdicts when the part was added; earlier versions did not keep it.
                "verdicts": coverage["verdicts"][0] if "verdicts" in coverage.columns and coverage.height else None,
                "windows": [[micros(start), micros(end), *told] for start, end, *told, _ in windows],
                # One scan has the same in all windows.
                "columns": windows[0][-1],
            }

        found: dict[str, Any] = self._index.of(f"parts/{name}", read)
        return found

    def _verdicts(self, name: str) -> list[tuple[Start, dict[str, Any]]]:
        """Windows that a set of verdicts decided, and what it said of each."""

        def read() -> list[Any]:
            frame = self.table(self.path / "verdicts" / name / "windows.parquet", None)
            told = frame.drop("window_start", "window_end", "decided_at").rows(named=True)
            return [[micros(start), row] for start, row in zip(frame["window_start"], told, strict=True)]

        return [(start, {**row, "set": name}) for start, row in self._index.of(f"verdicts/{name}", read)]

    def add(
        self,
        made: Profile,
        coverage: Sequence[Mapping[str, Any]],
        files: Sequence[Mapping[str, Any]],
        beside: Mapping[str, pl.DataFrame],
    ) -> str:
        """Add a part: its profiles by window, the same as plain tables, what it covers, and digests of its files.

        `beside` are tables that are kept with it.
        """
        import polars as pl

        number = 1 + max((number_of(name) for name in self.parts()), default=0)
        name = f"{number:06d}-{short(made.digest)}"
        with self._new(self.path / "parts" / name) as new:
            split = made._core.split()
            profiles = [(start, end, Profile(core)) for start, end, core in split]
            _write(new / "profile.parquet", _profiles(profiles), groups=8)
            write_tables(new, made)
            schema: Any = {
                "file": pl.String, "row_group": pl.Int64, "rows": pl.UInt64, "bytes": pl.UInt64, "footer": pl.String,
            }  # fmt: skip
            last = max((path.name for path in self.path.glob("verdicts/*")), default=None)
            covered = pl.DataFrame(list(coverage), schema=schema)
            _write(new / "coverage.parquet", covered.with_columns(verdicts=pl.lit(last, dtype=pl.String)))
            texts = dict.fromkeys(("file", "digest", "parts", "row_digest_missing"), pl.String)
            schema = texts | {"row_digests": pl.List(pl.String), "row_columns": pl.List(pl.String)}
            told = [{**file, "parts": json.dumps(file["parts"]) if "parts" in file else None} for file in files]
            rows = [{name: file.get(name) for name in schema} for file in told]
            _write(new / "files.parquet", pl.DataFrame(rows, schema=schema))
            for other, table in beside.items():
                _write(new / other, table, groups=8)
        return name

    def windows(self, view: View | None = None) -> dict[Start, Window]:
        """All windows in order, the rows without a time last."""
        found: dict[Start, Window] = {}
        for name in self.parts(view):
            part = self._part(name)
            columns = frozenset(part["columns"])
            for start, end, first, last, rows in part["windows"]:
                window = found.setdefault(start, Window(start, end, (first, last)))
                window.parts.append((name, rows))
                window.columns[name] = columns
        for name in sorted(path.name for path in self.path.glob("verdicts/*")):
            if view is None or number_of(name) <= view.verdicts:
                for start, told in self._verdicts(name):
                    found[start].decided.append(told)
        return dict(sorted(found.items(), key=lambda item: (item[0] is None, item[0] or 0)))

    def load(self, windows: Iterable[Window], options: Options, *, late: str) -> dict[Start, Profile]:
        """Profiles of windows; without the rows that came late where these only count."""
        wanted: dict[str, set[Start]] = {}
        for window in windows:
            for name in window.counted(late):
                wanted.setdefault(name, set()).add(window.start)
        found: dict[Start, list[Profile]] = {}
        for name, starts in sorted(wanted.items()):
            for start, content in _contents(self.path / "parts" / name / "profile.parquet", starts).iter_rows():
                if micros(start) in starts:
                    with telling(self.path / "parts" / name / "profile.parquet"):
                        made = Profile(_core.Profile.from_bytes(content), options=options)
                    found.setdefault(micros(start), []).append(made)
        return {start: join(parts) for start, parts in found.items()}

    def decide(self, windows: pl.DataFrame, rows: pl.DataFrame) -> None:
        """Add a set of verdicts."""
        number = 1 + max((number_of(path.name) for path in self.path.glob("verdicts/*")), default=0)
        with self._new(self.path / "verdicts" / f"{number:06d}-{mark_of(windows)}") as new:
            _write(new / "windows.parquet", windows)
            _write(new / "rows.parquet", rows)

    def frozen(self, windows: Iterable[Window], text: Mapping[int, str]) -> list[Row]:
        """Rows of the last verdicts on windows, as they were written."""
        import polars as pl

        sets: dict[str, set[Start]] = {}
        for window in windows:
            sets.setdefault(window.decided[-1]["set"], set()).add(window.start)
        found: list[Row] = []
        for name, starts in sorted(sets.items()):
            frame = self.table(self.path / "verdicts" / name / "rows.parquet", None)
            of = frame.get_column("of").to_physical().to_list()
            frame = frame.filter(pl.Series([start in starts for start in of], dtype=pl.Boolean))
            for row in frame.select(ROW_FIELDS).iter_rows(named=True):
                for name_ in ("window_start", "window_end", "as_of"):
                    at = micros(row[name_])
                    row[name_] = None if at is None else text[at]
                found.append(row)
        return found


def damage(folder: Path, only: str | None = None) -> list[str]:
    """Files of a folder of a store, or one of them, that do not have the digests that were written beside them."""
    place = folder.relative_to(folder.parent.parent)
    found = sorted(folder.glob("digests-*.json"))
    if len(found) != 1:
        return [f"{place}: {len(found)} files of digests"]
    (manifest,) = found
    text = manifest.read_bytes()
    if _core.blake3(text)[3:19] != manifest.stem.removeprefix("digests-"):
        return [f"{place / manifest.name}: content changed"]
    digests: dict[str, str] = json.loads(text)
    told = []
    for name, digest in digests.items():
        if only is not None and name != only:
            continue
        if not (folder / name).is_file():
            told.append(f"{place / name}: no such file")
        elif _core.blake3((folder / name).read_bytes()) != digest:
            told.append(f"{place / name}: content changed")
    return told


def mark_of(windows: pl.DataFrame) -> str:
    """What the name of a set of verdicts says of its windows: all but the time of day."""
    return short(_core.blake3(windows.drop("decided_at").write_json().encode()))


def join(profiles: Sequence[Profile]) -> Profile:
    """One profile of the columns that all have."""
    return profiles[0].join(*profiles[1:])


def as_text(plan: Mapping[str, Any]) -> bytes:
    """Content of ``store.json``."""
    return (json.dumps(plan, indent=1, sort_keys=True) + "\n").encode()


def tables(profile: Profile) -> dict[str, pl.DataFrame]:
    """Columns, cells and categories of a profile."""
    import polars as pl

    found = hide_in_tables([pl.DataFrame(table) for table in profile._core.tables()])
    return dict(zip(("columns", "cells", "categories"), found, strict=True))


def write_tables(folder: Path, profile: Profile) -> None:
    """Columns, cells and categories of a profile as Parquet."""
    for name, table in tables(profile).items():
        _write(folder / f"{name}.parquet", table)


def _contents(path: Path, starts: set[Start]) -> pl.DataFrame:
    """Windows and profiles of the groups of rows that may hold some of these."""
    import polars as pl

    start = pl.col("window_start")
    dated = sorted(at for at in starts if at is not None)
    wanted = start.is_null() if None in starts else pl.lit(value=False)
    if dated:
        wanted |= start.is_between(moment(dated[0]), moment(dated[-1]))
    with telling(path):
        return pl.scan_parquet(path).filter(wanted).select("window_start", "profile").collect()


def _profiles(parts: Sequence[tuple[str | None, str | None, Profile]]) -> pl.DataFrame:
    import polars as pl

    instant = pl.Datetime("us", "UTC")
    schema: Any = {
        "window_start": instant, "window_end": instant, "start": pl.String, "end": pl.String, "rows": pl.UInt64,
        "columns": pl.List(pl.String), "digest": pl.String, "profile": pl.Binary,
    }  # fmt: skip
    # Those of all parts of one scan.
    columns = [column["name"] for column in parts[0][2].info["columns"]]
    rows = [
        (instant_of(start), instant_of(end), start, end, made.rows, columns, made.digest, made.to_bytes())
        for start, end, made in parts
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _write(path: Path, frame: pl.DataFrame, *, groups: int | None = None) -> None:
    """Write a frame, in groups of so many rows; a full disk is an error of the system here, which names the file."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=True, row_group_size=groups)
    with naming(path):
        path.write_bytes(buffer.getvalue())


def read_tables(paths: Sequence[Path], columns: list[str] | None) -> pl.DataFrame:
    import polars as pl

    frames = []
    for path in paths:
        with telling(path):
            frames.append(pl.read_parquet(path, columns=columns))
    return pl.concat(frames)


@contextlib.contextmanager
def telling(path: Path) -> Iterator[None]:
    """Says which file of a store something is wrong with."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, FormatError) as error:
        told = str(error).partition("\n")[0].removesuffix("; accepted is what tidegauge wrote")
        store = path.parent.parent.parent
        place = path.relative_to(store)
        raise FormatError(f"store {store}: {place}: {told}; accepted is what tidegauge wrote") from None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def short(digest: str) -> str:
    return digest.removeprefix("b3:")[:16]


def number_of(name: str) -> int:
    return int(name.partition("-")[0])


def instant_of(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def micros(moment: dt.datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def span_of(span: dt.timedelta) -> int:
    return span // _MICROSECOND


def moment(at: int | None) -> dt.datetime | None:
    return None if at is None else _EPOCH + at * _MICROSECOND
