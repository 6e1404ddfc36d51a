"""Profiles: what is kept of a table, small, mergeable, the same for every way of reading it."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._files import write_all
from tidegauge.errors import FormatError, InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tidegauge._work import Parts
    from tidegauge.sources import Source

    Cut = str | tuple[str, ...] | list[str]
    Progress = Callable[[int, int], None]


# Bytes of a stream that comes once which are held before the rest goes to a temporary file.
_HOLD = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that shapes a scan; :func:`profile` documents each."""

    columns: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    categorical: Sequence[str] = ()
    sensitive: Sequence[str] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    model_version: str | None = None
    block: str | None = None
    schema: Mapping[str, str] | None = None
    window: str | None = None
    time_zone: str | None = None
    by: Sequence[Cut] = ()
    where: str | None = None
    since: str | None = None
    until: str | None = None
    threads: int | None = None
    max_bad_units: int = 0
    source_id: str | None = None
    #: Take digests of files and rows; only :func:`tidegauge.run` does.
    digests: bool = False

    @property
    def time(self) -> str | None:
        """The column in the time role, where one is given."""
        return next((name for name, role in self.roles.items() if role == "time"), None)

    def semantic(self) -> dict[str, Any]:
        """What changes the answer: no paths, no threads. Part of the record's result."""
        chosen = {
            "columns": _listed(self.columns),
            "exclude": _listed(self.exclude),
            "categorical": _listed(self.categorical),
            "sensitive": _listed(self.sensitive),
            "roles": dict(self.roles),
            "model_version": self.model_version,
            "block": self.block,
            "schema": dict(self.schema) if self.schema else None,
            "window": self.window,
            "time_zone": self.time_zone,
            "by": [cut if isinstance(cut, str) else list(cut) for cut in self.by],
            "where": self.where,
            "since": self.since,
            "until": self.until,
        }
        return {name: value for name, value in chosen.items() if value not in (None, [], {})}

    def to_core(self, source: Source) -> str:
        """The JSON object that the core takes."""
        chosen = self.semantic()
        # Sources have applied these.
        for name in ("where", "since", "until", "schema"):
            chosen.pop(name, None)
        if source.dropped:
            chosen["exclude"] = [name for name in self.exclude if name not in source.dropped]
        if source.paths is None:
            # Two tables in memory are two sources, even of equal rows: nothing tells them apart but the call.
            chosen["source_id"] = self.source_id or source.source_id or f"table:{uuid.uuid4().hex}"
            chosen["name"] = ", ".join(source.names) or "the table"
        if source.once:
            chosen["once"] = _HOLD
        if self.threads is not None:
            chosen["threads"] = self.threads
        if self.digests:
            chosen["digests"] = True
        if self.max_bad_units:
            chosen["max_bad_units"] = self.max_bad_units
        if source.errors:
            # What is wrong with a value names it.
            untold = [*self.sensitive, *(name for name, role in self.roles.items() if role == "protected")]
            hidden = dict.fromkeys(untold, "a value, which is not told, cannot be converted")
            chosen["column_errors"] = {name: hidden.get(name, told) for name, told in source.errors.items()}
        return json.dumps(chosen)


class Profile:
    """What is kept of a table: states per column and group, and the grid of the reference.

    Made by :func:`tidegauge.profile`, never by hand. Immutable.

    Attributes
    ----------
    digest : str
        ``b3:`` and 64 hexadecimal digits, a hash of the content: equal for the same rows in any
        order, files, batches and threads.
    rows : int
        Rows counted.
    model : str or None
        Name of the model that rows of a comparison will carry.
    """

    __slots__ = ("_core", "_digest", "_info", "inputs", "model", "options")

    def __init__(
        self,
        core: _core.Profile,
        *,
        inputs: Sequence[str] = (),
        options: Options | None = None,
    ) -> None:
        self._core = core
        # Both take a walk through all states.
        self._digest: str | None = None
        self._info: str | None = None
        self.inputs = tuple(inputs)
        self.options = options or Options()
        self.model = self.options.model

    @property
    def digest(self) -> str:
        """Hash of the content, ``b3:`` and 64 hexadecimal digits."""
        if self._digest is None:
            self._digest = self._core.digest
        return self._digest

    @property
    def rows(self) -> int:
        """Rows counted."""
        return self._core.rows

    @property
    def info(self) -> dict[str, Any]:
        """Schema, counts and moments per column, groups, coverage and problems, as plain values."""
        if self._info is None:
            self._info = self._core.info_json()
        info: dict[str, Any] = json.loads(self._info)
        return info

    def merge(self, *others: Profile) -> Profile:
        """One profile of all rows; the order does not matter.

        Raises
        ------
        OverlapError
            If two profiles cover the same unit, which would count its rows twice.
        IncompatibleError
            If grids or schemas differ; profile each part with the same ``like=``.
        """
        merged = self._core.merge([other._core for other in others])
        inputs = [*self.inputs, *(name for other in others for name in other.inputs)]
        return Profile(merged, inputs=inputs, options=self.options)

    def join(self, *others: Profile) -> Profile:
        """As :meth:`merge`, of the columns that all have, and with notes that several make told once."""
        joined = self._core.join([other._core for other in others])
        inputs = [*self.inputs, *(name for other in others for name in other.inputs)]
        return Profile(joined, inputs=inputs, options=self.options)

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        return self._core.to_bytes()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the profile; the file appears whole or not at all.

        Parameters
        ----------
        path : path-like
            Customary extension: ``.tgp``. An existing file is replaced.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        target = Path(path)
        write_all([(target, self.to_bytes())])
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Profile:
        """Read a profile that :meth:`save` wrote, by this or an earlier version.

        Raises
        ------
        InputError
            If the file cannot be opened.
        FormatError
            If it is no profile, or damaged.
        """
        name = os.fspath(path)
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            raise InputError(f"{name}: {(error.strerror or str(error)).lower()}; accepted is a profile file") from None
        try:
            return cls(_core.Profile.from_bytes(content), inputs=[name])
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from None

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """One row a column of the profile, as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def to_polars(self) -> Any:
        """One row a column of the profile: name, types, role, counts, moments.

        Returns
        -------
        polars.DataFrame
        """
        import polars as pl

        columns = self.info["columns"]
        plain = [{k: v for k, v in column.items() if not isinstance(v, (dict, list))} for column in columns]
        # Extremes are numbers in one column and text in another.
        for column in plain:
            for name in ("min", "max"):
                if column.get(name) is not None:
                    column[name] = str(column[name])
        return pl.DataFrame(plain, infer_schema_length=None, strict=False)

    def __repr__(self) -> str:
        return f"Profile(rows={self.rows}, columns={len(self.info['columns'])}, digest={self.digest[:15]!r})"


def load(path: str | os.PathLike[str]) -> Profile:
    """Read a profile file; short for :meth:`Profile.load`."""
    return Profile.load(path)


def merge(profiles: Iterable[Profile]) -> Profile:
    """One profile of all rows of several.

    Raises
    ------
    UsageError
        If there is none.
    OverlapError, IncompatibleError
        As :meth:`Profile.merge`.
    """
    found = list(profiles)
    if not found:
        raise UsageError("no profile to merge; give at least one")
    return found[0].merge(*found[1:])


def profile(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    sensitive: Sequence[str] = (),
    time: str | None = None,
    id: str | Sequence[str] | None = None,  # noqa: A002 - the role's name
    label: str | None = None,
    prediction: str | None = None,
    score: str | None = None,
    weight: str | None = None,
    frequency: str | None = None,
    model: str | None = None,
    model_version: str | None = None,
    block: str | None = None,
    schema: Mapping[str, str] | None = None,
    window: str | None = None,
    time_zone: str | None = None,
    by: Cut | Sequence[Cut] | None = None,
    like: Profile | str | os.PathLike[str] | None = None,
    where: str | None = None,
    since: str | None = None,
    until: str | None = None,
    threads: int | None = None,
    max_bad_units: int = 0,
    source_id: str | None = None,
) -> Profile:
    """Profile a table: every row once, nothing sampled, memory independent of its length.

    Local Parquet is read column chunk by column chunk. Other files, object stores and LazyFrames are
    streamed through Polars, only the columns needed, again for every pass. An Arrow stream that comes
    once is kept in a temporary file (``TMPDIR``) where a reference needs a second pass. Tables in memory
    are read where they are.

    Parameters
    ----------
    data : path, glob, folder, list of paths, frame, Arrow stream, numpy array or dict of arrays
        Paths end in ``.parquet .csv .tsv .ndjson .jsonl .arrow .ipc .feather`` and may begin with
        ``s3:// gs:// az://``. The index of a pandas frame is left out. Missing values are nulls;
        NaN is counted apart, except in pandas, where it means missing.
    columns, exclude : sequence of str
        Columns to profile (default all) and to leave out.
    categorical : sequence of str
        Integer columns to treat as categories.
    sensitive : sequence of str
        Columns whose categories are kept as hashes of their values, and whose smallest and largest values are not
        kept. They may not cut rows into segments. Frozen in the reference.
    time, id, label, prediction, score : str
        Columns in these roles; `id` may be several. Others are inferred from the reference.
    weight : str
        Column of sampling weights, finite and not negative: only their ratios matter, shares and
        distances are those of the weighted sample, and errors are those of rows that weigh differently.
        Frozen in the reference. Rows without a usable weight are not counted, and listed.
    frequency : str
        Column of integers: a row counts as so many rows.
    model : str
        Name of the model, carried into the rows of a comparison.
    model_version : str
        Column that holds the version of the model; each version is a group.
    block : str
        What makes rows dependent: a length of time (``"1d"``), a column such as the customer, or
        ``"none"``. Blocks are the independent units of every interval and p-value, and rows say so in
        ``variance``. By default ``"1d"`` where a time is known and the reference has 20 days or more.
        Frozen in the reference.
    schema : mapping of str to str
        Types of CSV and NDJSON columns: bool, int, uint, float, date, timestamp, timestamp(utc),
        string. Text and times take theirs from `like` too, everything else from the
        first 10,000 rows.
    window : {"1h", "1d", "1w", "1mo"}
        Length of a time window; each is a group. Needs a time column.
    time_zone : str
        IANA name of the zone in which windows, `since` and `until` are cut. Default UTC.
    by : str, tuple of str, or sequence of these
        Segments: ``["country", ("country", "product")]`` is two separate cuts, the second crossed.
    like : Profile or path
        The reference: its grid, types and roles are taken over, so that the two compare.
    where : str
        SQL condition; other rows are not read.
    since, until : str
        ISO date or time: rows with ``since <= time < until``.
    threads : int
        Default: all cores. The content does not depend on it.
    max_bad_units : int
        Row groups that may be unreadable; each is counted and named. Default 0.
    source_id : str
        Name of a table, stream or text file in the coverage; merging two profiles of one name is
        refused. Default: the path, or one name a call. Local Parquet goes by file and row group.

    Returns
    -------
    Profile

    Raises
    ------
    UsageError
        If an option does not fit the data, or `data` is nothing that can be read.
    SchemaError
        If a column asked for does not exist or has a type no profile can hold.
    InputError
        If a file is missing, truncated or not what its name says.

    Examples
    --------
    >>> import tidegauge as tg
    >>> reference = tg.profile({"x": [1, 2, 3, 4]})
    >>> reference.rows
    4
    """
    return scan(
        data,
        make_options(
            columns=columns, exclude=exclude, categorical=categorical, sensitive=sensitive, time=time, id=id,
            label=label, prediction=prediction, score=score, weight=weight, frequency=frequency, model=model,
            model_version=model_version, block=block, schema=schema, window=window, time_zone=time_zone, by=by,
        where=where, since=since,
            until=until, threads=threads, max_bad_units=max_bad_units, source_id=source_id,
        ),
        like=None if like is None else as_profile(like),
    )  # fmt: skip


def make_options(
    *,
    time: str | None = None,
    id: str | Sequence[str] | None = None,  # noqa: A002 - the role's name
    label: str | None = None,
    prediction: str | None = None,
    score: str | None = None,
    weight: str | None = None,
    frequency: str | None = None,
    by: Cut | Sequence[Cut] | None = None,
    columns: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
    sensitive: str | Sequence[str] = (),
    **rest: Any,
) -> Options:
    """Options from the arguments of :func:`profile`: roles by column, single names as lists."""
    roles: dict[str, str] = {}
    given = (
        ("time", time), ("id", id), ("label", label), ("prediction", prediction), ("score", score),
        ("weight", weight), ("frequency", frequency),
    )  # fmt: skip
    for role, names in given:
        for name in _columns(role, names):
            if name in roles:
                raise UsageError(f"column {name!r} is given as {roles[name]} and as {role}; one role a column")
            roles[name] = role
    refuse_excluded(roles, _names(exclude))
    return Options(
        roles=roles,
        by=[by] if isinstance(by, (str, tuple)) else list(by or ()),
        columns=None if columns is None else _names(columns),
        exclude=_names(exclude),
        categorical=_names(categorical),
        sensitive=_names(sensitive),
        **rest,
    )


def refuse_excluded(roles: Mapping[str, str], exclude: Sequence[str]) -> None:
    """Refuse a column that is needed for its role, and not to be read.

    Raises
    ------
    UsageError
    """
    needed = {name: role for name, role in roles.items() if role not in ("ignore", "segment")}
    for name in exclude:
        if name in needed:
            raise UsageError(f"exclude: column {name!r} is given as {needed[name]} too; accepted is one of both")


def scan(
    data: Any,
    options: Options,
    *,
    like: Profile | None = None,
    progress: Progress | None = None,
    parts: Parts | None = None,
) -> Profile:
    """Profile `data`; what :func:`profile`, :func:`tidegauge.drift` and the command line share."""
    from tidegauge._privacy import untold

    with untold(options, like):
        return _scanned(data, options, like, progress, parts)


def _scanned(
    data: Any, options: Options, like: Profile | None, progress: Progress | None, parts: Parts | None
) -> Profile:
    from tidegauge.sources import Selection, resolve, small_chunks

    cuts = [name for cut in options.by for name in _names(cut)]
    needed = [*options.roles, *cuts, *([options.model_version] if options.model_version else [])]
    frozen = like.info["columns"] if like is not None else []
    if like is not None:
        needed += [name for name, role in like.info["roles"].items() if role in ("weight", "frequency")]
    time = options.time or next((c["name"] for c in frozen if c.get("role") == "time"), None)
    selection = Selection(
        columns=options.columns,
        exclude=options.exclude,
        needed=[*needed, *([time] if time else [])],
        where=options.where,
        since=options.since,
        until=options.until,
        time=time,
        time_zone=options.time_zone,
    )
    types = {column["name"]: column["logical"] for column in frozen}
    source = resolve(data, selection, schema=options.schema, like=types)
    chosen = options.to_core(source)
    reference = None if like is None else like._core
    # The command line's progress tells what is read; any other callable takes two numbers.
    begin = getattr(progress, "begin", None)
    if begin is not None:
        first = Path(source.names[0]).name if source.names else "table"
        begin(f"{first}: ", "bytes" if source.open is None and not source.once else "rows")
    if source.paths is not None:
        core = (
            _core.profile_paths(source.paths, chosen, reference, progress)
            if parts is None or reference is None
            else _core.profile_parts(
                source.paths, chosen, reference, progress, parts.keep, parts.every,
                parts.share, None if parts.begun is None else parts.begun._core, parts.only,
            )
        )  # fmt: skip
    elif source.open is not None:
        with small_chunks():
            core = _core.profile_stream(source.open, chosen, reference, progress)
    else:
        core = _core.profile_batches(source.table, chosen, reference, progress)
    return Profile(core, inputs=source.names, options=options)


def as_profile(data: Profile | str | os.PathLike[str]) -> Profile:
    """Take a profile, or the path of one.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if isinstance(data, Profile):
        return data
    if isinstance(data, (str, os.PathLike)):
        return Profile.load(data)
    raise UsageError(f"{type(data).__name__} is no profile; accepted are a Profile and the path of a .tgp file")


def is_profile(data: Any) -> bool:
    """Whether `data` is a profile or the path of one (``.tgp``)."""
    return isinstance(data, Profile) or (
        isinstance(data, (str, os.PathLike)) and os.fspath(data).lower().endswith(".tgp")
    )


def _names(names: str | Iterable[str] | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _columns(role: str, names: Any) -> list[str]:
    """Names of columns in a role; a number, say, is none."""
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return list(names)
    if names is not None and not isinstance(names, str):
        wanted = "names of columns" if role == "id" else "the name of a column"
        raise UsageError(f"{role}={names!r}; {wanted} would be accepted")
    return _names(names)


def _listed(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)
