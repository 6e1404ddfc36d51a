"""Whatever holds rows, as what the core reads: local Parquet, tables in memory, or Arrow streams.

Local Parquet goes to the core untouched, and so do tables in memory. CSV, NDJSON, Arrow IPC, object
stores (``s3://``, ``gs://``, ``az://``), Polars LazyFrames, and anything with a row filter or a time
limit, go through the streaming engine of Polars, once for every pass of the core, which holds one part
at a time. A stream that comes once is spooled to a temporary file when the core needs a second pass.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge._secrets import mask
from tidegauge.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeVar

    import polars as pl

    _Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)

_TEXT = {".csv": "csv", ".tsv": "tsv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_IPC = {".arrow": "ipc", ".ipc": "ipc", ".feather": "ipc"}
_COMPRESSED = {".gz", ".zst", ".zlib"}
_REMOTE = ("s3://", "s3a://", "gs://", "gcs://", "az://", "azure://", "abfs://", "abfss://", "adl://")
# Rows of text that are looked at for types; `schema=` is for what comes later.
_INFERRED = 10_000
# Rows of a batch of Polars; several are in flight at once.
_BATCH = 1 << 14
# Bytes of text that Polars parses at once.
_CHUNK = "1000000"
# Types with an Arrow capsule that hold their rows; anything else may be a stream that comes once.
_HELD = frozenset(("DataFrame", "Series", "Table", "RecordBatch", "ChunkedArray", "Array", "StructArray"))
# Types that hold one column of values.
_COLUMN = frozenset(("Series", "ChunkedArray"))
_ACCEPTED = (
    "paths and globs (.parquet .csv .tsv .ndjson .jsonl .arrow .ipc .feather, s3:// gs:// az://), "
    "pandas and Polars frames and Series, LazyFrames, Arrow tables and streams, numpy arrays, dictionaries of arrays"
)


@dataclass(frozen=True)
class Selection:
    """Which rows and columns to read; ``needed`` columns are read besides ``columns``."""

    columns: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    needed: Sequence[str] = ()
    where: str | None = None
    since: str | None = None
    until: str | None = None
    time: str | None = None
    time_zone: str | None = None

    @property
    def filters(self) -> bool:
        """Whether any row is left out."""
        return not (self.where is None and self.since is None and self.until is None)

    def describe(self) -> str:
        """The row filters in words, for coverage: other rows of a file are other data."""
        parts = (("where", self.where), ("since", self.since), ("until", self.until))
        return "".join(f" {name} {value}" for name, value in parts if value is not None)


@dataclass
class Source:
    """What the core reads: ``paths`` of local Parquet, a ``table`` with the Arrow capsule, or what ``open`` gives.

    ``once`` is a table that may be a stream, which can be read a single time; ``open`` gives a stream of
    the same rows at every call. ``names`` are the paths as given (none for tables in memory), ``errors``
    the columns that have no exact Arrow type, ``dropped`` the excluded ones that were never read,
    ``source_id`` what coverage calls the data.
    """

    paths: list[str] | None = None
    table: object | None = None
    once: bool = False
    open: Callable[[], object] | None = None
    names: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    source_id: str | None = None


def resolve(
    data: Any, selection: Selection, *, schema: Mapping[str, str] | None = None, like: Mapping[str, str] | None = None
) -> Source:
    """Find out what `data` is and how the core reads it.

    Parameters
    ----------
    data : path, glob, folder, list of paths, frame, Arrow stream, array or dictionary
    selection : Selection
        Columns and row filters; local Parquet without a row filter leaves the columns to the core.
    schema : mapping of column to type, optional
        For CSV and NDJSON, which carry no types: ``{"a": "int", "t": "timestamp"}``.
    like : mapping of column to logical type, optional
        Types of a reference, used for CSV and NDJSON columns that `schema` does not name.

    Raises
    ------
    UsageError
        If `data` is nothing that can be read, or an option does not fit it.
    InputError
        If a file is missing or not what its name says.
    """
    names = _paths(data)
    if names is not None:
        return _from_paths(names, selection, schema, like)
    if schema:
        raise UsageError(f"schema= types csv and ndjson files; {type(data).__name__} carries its own types")
    return _from_table(data, selection)


def comes_once(data: Any) -> bool:
    """Whether `data` may be a stream that cannot be read again."""
    held = type(data).__name__ in _HELD or type(data).__module__.partition(".")[0] in ("polars", "pandas", "numpy")
    return not held and hasattr(data, "__arrow_c_stream__")


@contextlib.contextmanager
def small_chunks() -> Iterator[None]:
    """Have Polars read text in small chunks for a while, unless the environment says otherwise.

    Its streaming engine keeps several chunks in flight, by default 240 MB of a CSV file however long it
    is, 75 MB with these; a chunk of 1 MB costs no speed that could be measured.
    """
    chosen = {name: _CHUNK for name in ("POLARS_CSV_CHUNK_SIZE", "POLARS_NDJSON_CHUNK_SIZE") if name not in os.environ}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name in chosen:
            os.environ.pop(name, None)


def _paths(data: Any) -> list[str] | None:
    if isinstance(data, (str, os.PathLike)):
        return [os.fspath(data)]
    if isinstance(data, (list, tuple, set, frozenset)):
        if not data:
            raise UsageError("an empty list of paths; give at least one")
        items = sorted(data) if isinstance(data, (set, frozenset)) else data
        if all(isinstance(item, (str, os.PathLike)) for item in items):
            return [os.fspath(item) for item in items]
        raise UsageError(f"a list of {type(next(iter(items))).__name__}; accepted are lists of paths")
    return None


def _kind(path: str) -> str:
    """Format by extension; a folder or an unknown extension is Parquet, and the reader says if not."""
    suffixes = Path(path.rstrip("/")).suffixes
    if suffixes and suffixes[-1].lower() in _COMPRESSED and len(suffixes) > 1:
        suffixes = suffixes[:-1]
    last = suffixes[-1].lower() if suffixes else ""
    return _TEXT.get(last) or _IPC.get(last) or "parquet"


def is_remote(path: str) -> bool:
    """Whether a path names an object store."""
    return path.lower().startswith(_REMOTE)


def refuse_tables(names: Sequence[str]) -> None:
    """Refuse folders of tables with versions: their folders keep files that are no longer of the table.

    Files that are named one by one are of the version that the caller chose.

    Raises
    ------
    InputError
        If a folder or pattern lies in a Delta or Iceberg table.
    """
    for name in names:
        if is_remote(name) or not (any(c in name for c in "*?[") or Path(name).is_dir()):
            continue
        parts = Path(name).parts
        fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
        folder = Path(*parts[:fixed])
        while "=" in folder.name:  # a partition of the table
            folder = folder.parent
        top = folder.parent if folder.name == "data" else folder
        for kind, found, advice in (
            ("a Delta table", (folder / "_delta_log").is_dir(), "polars.scan_delta, or the files of a version"),
            ("an Iceberg table", any(top.glob("metadata/*.metadata.json")), "polars.scan_iceberg, or the files of it"),
        ):
            if found:
                raise InputError(
                    f"{name}: {kind}, whose folder keeps files that are no longer of it; accepted are {advice} "
                    "one by one (with snapshot= in a configuration)"
                )


def _from_paths(
    names: list[str], selection: Selection, schema: Mapping[str, str] | None, like: Mapping[str, str] | None
) -> Source:
    kinds = {_kind(name) for name in names}
    if len(kinds) > 1:
        raise UsageError(f"paths of {' and '.join(sorted(kinds))} in one call; give files of one format")
    kind = kinds.pop()
    if schema and kind not in _TEXT.values():
        raise UsageError(f"schema= types csv and ndjson files; {names[0]} carries its own types")
    refuse_tables(names)
    remote = any(map(is_remote, names))
    if kind == "parquet" and not remote and not selection.filters:
        return Source(paths=names, names=names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{twice}: given twice; its rows would be counted twice")
    if not remote:
        for name in names:
            if not Path(name).exists() and not any(c in name for c in "*?["):
                raise InputError(f"{name}: no such file or folder")
    lazy = _guard(lambda: _scan(kind, names, schema or {}, like or {}), names)
    source = _read(lazy, selection, names)
    source.names = [mask(name) for name in names]
    source.source_id = ", ".join(source.names) + selection.describe()
    return source


def _scan(kind: str, names: list[str], schema: Mapping[str, str], like: Mapping[str, str]) -> pl.LazyFrame:
    import polars as pl

    def text(overrides: dict[str, pl.DataType] | None) -> pl.LazyFrame:
        if kind == "ndjson":
            return pl.scan_ndjson(names, schema_overrides=overrides, infer_schema_length=_INFERRED)
        return pl.scan_csv(
            names,
            separator="\t" if kind == "tsv" else ",",
            try_parse_dates=True,
            schema_overrides=overrides,
            infer_schema_length=_INFERRED,
        )

    match kind:
        case "csv" | "tsv" | "ndjson":
            overrides = _overrides(text(None).collect_schema(), schema, like)
            return text(overrides or None)
        case "ipc":
            return pl.scan_ipc(names)
        case _:
            hive = any("=" in part for name in names for part in Path(name).parts)
            return pl.scan_parquet(names, hive_partitioning=hive or None)


def _overrides(
    inferred: Mapping[str, pl.DataType], schema: Mapping[str, str], like: Mapping[str, str]
) -> dict[str, pl.DataType]:
    """Types of text columns: as given, else the reference's where the text alone would not tell.

    Numbers are left to inference: the core converts them exactly or says why not for that one
    column, where a type forced on the reader would fail the whole file.
    """
    import polars as pl

    unknown = [name for name in schema if name not in inferred]
    if unknown:
        raise UsageError(f"schema: column {unknown[0]!r} is not in the data; it has {', '.join(inferred)}")
    chosen = {name: _dtype(name, text) for name, text in schema.items()}
    for name, text in like.items():
        if name not in inferred or name in chosen:
            continue
        times = text.startswith(("timestamp", "date")) and inferred[name] == pl.String
        if text in {"string", "binary"} or times:
            chosen[name] = _dtype(name, "string" if text == "binary" else text)
    return {name: dtype for name, dtype in chosen.items() if dtype != inferred[name]}


def _dtype(column: str, text: str) -> pl.DataType:
    """Polars type of a logical type's name; no decimal, whose text Polars would truncate in silence."""
    import polars as pl

    name, _, detail = text.strip().lower().partition("(")
    plain: dict[str, pl.DataType] = {
        "bool": pl.Boolean(),
        "int": pl.Int64(),
        "uint": pl.UInt64(),
        "float": pl.Float64(),
        "date": pl.Date(),
        "string": pl.String(),
    }
    details = {part.strip() for part in detail.rstrip(") ").split(",")} - {""}
    if not details and name in plain:
        return plain[name]
    if name == "timestamp" and details <= {"ms", "us", "ns", "utc"}:
        unit: Any = next(iter(details - {"utc"}), "us")
        return pl.Datetime(unit, "UTC" if "utc" in details else None)
    raise UsageError(
        f"column {column!r}: type {text!r}; accepted are bool, int, uint, float, date, timestamp, "
        "timestamp(utc), string"
    )


def _from_table(data: Any, selection: Selection) -> Source:
    import sys

    module = type(data).__module__.partition(".")[0]
    if module == "polars" and type(data).__name__ == "LazyFrame":
        return _read(data, selection, [])
    errors: dict[str, str] = {}
    numpy = sys.modules.get("numpy")
    if type(data).__name__ in _COLUMN and module in ("pandas", "polars", "pyarrow"):
        # One column, under its own name or that of an array.
        from tidegauge.frames import from_mapping

        frame = from_mapping({getattr(data, "name", None) or "column_0": data})
        data, errors = frame.data, frame.errors
    elif module == "pandas" and hasattr(data, "columns"):
        from tidegauge.frames import from_pandas

        frame = from_pandas(data)
        data, errors = frame.data, frame.errors
    elif numpy is not None and isinstance(data, numpy.ndarray):
        from tidegauge.frames import from_numpy

        frame = from_numpy(data)
        data, errors = frame.data, frame.errors
    elif isinstance(data, dict):
        from tidegauge.frames import from_mapping

        frame = from_mapping(data)
        data, errors = frame.data, frame.errors
    elif not hasattr(data, "__arrow_c_stream__"):
        raise UsageError(f"cannot read rows from {type(data).__name__}; accepted are {_ACCEPTED}")
    if selection.filters:
        import polars as pl

        frame_ = _guard(lambda: data if isinstance(data, pl.DataFrame) else pl.DataFrame(data), [])
        source = _read(frame_.lazy(), selection, [])
        source.errors |= errors
        return source
    if type(data).__module__.partition(".")[0] == "polars" and hasattr(data, "schema"):
        data, unnamed = _typed(data, data.schema)
        errors |= unnamed
    elif type(data).__name__ == "Table" and (unnamed := _unnamed(data.schema.names)):
        data, errors = data.drop_columns(list(unnamed)), errors | unnamed
    return Source(table=data, errors=errors, once=type(data).__name__ not in _HELD)


def _typed(frame: _Frame, schema: Mapping[str, pl.DataType]) -> tuple[_Frame, dict[str, str]]:
    """A frame that can be handed over, and the columns that cannot, with the reason.

    Columns of nothing but untyped nulls are given a type: the Arrow readers of others refuse Polars' nulls.
    """
    import polars as pl

    unnamed = _unnamed(schema)
    untyped = [name for name, dtype in schema.items() if dtype == pl.Null and name not in unnamed]
    frame = frame.drop(list(unnamed)) if unnamed else frame
    return frame.with_columns(pl.col(untyped).cast(pl.String)) if untyped else frame, unnamed


def _unnamed(names: Iterable[str]) -> dict[str, str]:
    """Columns whose name ends early, or the process, on the way through Arrow's C interface."""
    reason = "a name with a NUL character cannot be handed over in memory; another name would be accepted"
    return {name: reason for name in names if "\0" in name}


def _read(lazy: pl.LazyFrame, selection: Selection, names: list[str]) -> Source:
    """Filter and project, then read in batches; only what is needed is ever held."""
    import polars as pl

    schema = _guard(lazy.collect_schema, names)
    if selection.where is not None:
        try:
            condition = pl.sql_expr(selection.where)
        except pl.exceptions.PolarsError as error:
            raise UsageError(f"where: {_first_line(error)}; accepted is an SQL condition") from None
        lazy = lazy.filter(condition)
    if selection.since is not None or selection.until is not None:
        lazy = lazy.filter(_limits(schema, selection))
    wanted = _project(list(schema), selection)
    if len(wanted) < len(schema):
        lazy = lazy.select(wanted)
    try:
        resolved = lazy.collect_schema()
    except (pl.exceptions.ColumnNotFoundError, pl.exceptions.InvalidOperationError) as error:
        raise UsageError(f"where: {_first_line(error)}") from None
    except pl.exceptions.PolarsError as error:
        raise InputError(_named(names, error)) from None
    if selection.where is not None and not resolved:
        raise UsageError("no column is left to read; check columns and exclude")
    typed, unnamed = _typed(lazy, resolved)
    return Source(
        open=lambda: _guard(lambda: typed.collect_batches(chunk_size=_BATCH, maintain_order=False), names),
        names=names,
        dropped=set(schema) - set(wanted),
        errors=unnamed,
    )


def _project(present: list[str], selection: Selection) -> list[str]:
    if selection.columns is None:
        drop = set(selection.exclude) - set(selection.needed)
        return [name for name in present if name not in drop]
    keep = set(selection.columns) | set(selection.needed)
    wanted = [name for name in present if name in keep]
    # Nothing matches: read all, so that the core names the unknown column and the known ones.
    return wanted or present


def _limits(schema: Mapping[str, pl.DataType], selection: Selection) -> pl.Expr:
    import polars as pl

    times = [name for name, dtype in schema.items() if dtype.base_type() in (pl.Datetime, pl.Date)]
    column = selection.time
    if column is None:
        if len(times) != 1:
            known = ", ".join(times) or "none"
            raise UsageError(f"since and until need time=; columns with dates or times: {known}")
        column = times[0]
    if column not in times:
        found = f"has type {schema[column]}" if column in schema else "is not in the data"
        raise UsageError(f"time column {column!r} {found}; accepted are dates and timestamps")
    dtype = schema[column]
    value = pl.col(column)
    condition = pl.lit(True)
    if selection.since is not None:
        condition &= value >= _bound("since", selection.since, dtype, selection.time_zone)
    if selection.until is not None:
        condition &= value < _bound("until", selection.until, dtype, selection.time_zone)
    return condition


def _bound(name: str, text: str, dtype: pl.DataType, zone: str | None) -> pl.Expr:
    import datetime as dt
    from zoneinfo import ZoneInfo

    import polars as pl

    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{name}: {text!r} is no date or time; accepted are 2013-06-01 and 2013-06-01T12:00:00+00:00"
        ) from None
    if isinstance(dtype, pl.Date):
        if moment.time() != dt.time() or moment.tzinfo is not None:
            raise UsageError(f"{name}: {text!r} for a column of dates; accepted is a date, 2013-06-01")
        return pl.lit(moment.date())
    assert isinstance(dtype, pl.Datetime)
    if dtype.time_zone is None:
        if moment.tzinfo is not None:
            raise UsageError(f"{name}: {text!r} has an offset, the time column has none; leave it out")
        return pl.lit(moment)
    if moment.tzinfo is None:
        try:
            moment = moment.replace(tzinfo=ZoneInfo(zone or dtype.time_zone))
        except (KeyError, ValueError, OSError):
            raise UsageError(
                f"time zone {zone or dtype.time_zone!r} is not known; accepted: America/New_York"
            ) from None
    return pl.lit(moment.astimezone(dt.UTC)).dt.convert_time_zone(dtype.time_zone)


def _guard(action: Callable[[], Any], names: Sequence[str]) -> Any:
    """Run what touches files; a failure of theirs is bad input, not a bug."""
    import polars as pl

    try:
        return action()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(_named(names, error)) from None


def _named(names: Iterable[str], error: Exception) -> str:
    listed = list(names)
    shown = ", ".join(map(mask, listed[:3])) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
    return f"{shown or 'the table'}: {mask(_first_line(error))}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
