"""Row samples: opt-in, in a file of their own, never part of a profile, a record or a report."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from tidegauge.sources import Source

#: Column that tells how many rows have the content of a sampled one.
MULTIPLICITY = "multiplicity"


@dataclass(frozen=True, eq=False)
class RowSample:
    """Rows drawn by :func:`row_sample`, in the order of their priorities.

    Attributes
    ----------
    rows : int
        Rows that were read.
    k : int
        Distinct rows asked for.
    """

    rows: int
    k: int
    _frame: pl.DataFrame

    def __len__(self) -> int:
        return self._frame.height

    def __repr__(self) -> str:
        return f"<RowSample of {len(self)} distinct rows of {self.rows}>"

    def to_polars(self, *, repeat: bool = False) -> pl.DataFrame:
        """The sample as a frame.

        Parameters
        ----------
        repeat : bool
            Each row as often as it occurs, instead of once with the column ``multiplicity``.
        """
        return repeated(self._frame) if repeat else self._frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the sample as Parquet: whole or not at all, equal bytes for equal rows.

        Parameters
        ----------
        path : str or os.PathLike
            The new file.
        """
        from tidegauge._files import write_all

        write_all([(Path(path), self.content())])

    def content(self) -> bytes:
        """The bytes of that file."""
        import io

        buffer = io.BytesIO()
        self._frame.rechunk().write_parquet(buffer, compression="zstd", statistics=False)
        return buffer.getvalue()


def row_sample(
    data: Any,
    *,
    k: int = 10_000,
    row_key: str | Sequence[str] = (),
    columns: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] = (),
    random_state: Any = 0,
    threads: int | None = None,
) -> RowSample:
    """Draw rows so that no order, split or number of threads changes which.

    Rows have a priority, a keyed hash of the columns `row_key`, else of all their columns; the `k` distinct rows with
    the smallest are the sample. Equal values have equal hashes whatever their type's width or encoding: 5, 5.0 and
    the decimal 5.00, times in any unit, text in a dictionary or not. The data are read twice, and no more than a row
    group of hashes is held.

    Parameters
    ----------
    data : paths, glob, frame, LazyFrame, Arrow table, numpy array or dictionary of arrays
        What is not local Parquet and not in memory is spooled to a temporary Parquet file.
    k : int
        Distinct rows at most.
    row_key : str or sequence of str
        Columns that identify a row: samples of two tables under one key hold the same rows. Without it rows are told
        apart by their content, and a row that occurs often is as likely to be drawn as one that occurs once:
        ``multiplicity`` says how many there are.
    columns, exclude : str or sequence of str
        Columns to take and to leave.
    random_state : int, numpy.random.RandomState or numpy.random.Generator
        Key of the hash.
    threads : int, optional
        All by default; the sample does not depend on them.

    Returns
    -------
    RowSample
        Columns by name, ascending, then ``multiplicity``. It holds raw rows: keep its file where the data may be kept.

    Raises
    ------
    UsageError
        If an option does not fit the data, or a column is called ``multiplicity``.
    SchemaError
        If a column does not exist, or has a type without values, as lists.
    InputError
        If a file cannot be read.

    Examples
    --------
    >>> import tidegauge as tg
    >>> table = {"id": list(range(1000)), "x": [i % 7 for i in range(1000)]}
    >>> sample = tg.row_sample(table, k=3, row_key="id")
    >>> sample
    <RowSample of 3 distinct rows of 1000>
    >>> backwards = {name: values[::-1] for name, values in table.items()}
    >>> tg.row_sample(backwards, k=3, row_key="id").to_polars().equals(sample.to_polars())
    True
    """
    from tidegauge.sources import Selection, resolve

    key, left = _names(row_key), _names(exclude)
    wanted = None if columns is None else [*_names(columns), *key]
    source = resolve(data, Selection(columns=wanted, exclude=left, needed=key))
    return draw_rows(source, k=k, row_key=key, columns=wanted, exclude=left, random_state=random_state, threads=threads)


def repeated(frame: pl.DataFrame) -> pl.DataFrame:
    """Each row of a sample as often as it occurs."""
    import polars as pl

    rows = frame.select(pl.all().repeat_by(MULTIPLICITY).explode()) if frame.height else frame
    return rows.drop(MULTIPLICITY)


def draw_rows(
    source: Source,
    *,
    k: int,
    row_key: list[str],
    columns: list[str] | None = None,
    exclude: Sequence[str] = (),
    random_state: Any = 0,
    threads: int | None = None,
) -> RowSample:
    """Draw the rows of :func:`row_sample` from a source."""
    import polars as pl

    from tidegauge._permutation import seed_of

    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; 1 or more would be accepted")
    key, left, wanted = row_key, list(exclude), columns
    with _readable(source) as (paths, table):
        present = _present(paths, table)
        if MULTIPLICITY in present:
            raise UsageError(f"column {MULTIPLICITY!r} exists; rename it or leave it out with exclude")
        if wanted is not None:
            unknown = [name for name in wanted if name not in present]
            if unknown:
                raise UsageError(f"column {unknown[0]!r} is not in the data; it has {', '.join(present)}")
            left = [*left, *(name for name in present if name not in wanted)]
        dropped = [name for name in dict.fromkeys(left) if name in present and name not in key]
        options = {
            "k": k,
            "row_key": key,
            "exclude": dropped,
            "seed": seed_of(random_state) % 2**64,
            "threads": threads or os.cpu_count() or 1,
        }
        chosen = json.dumps(options)
        if paths is None:
            found = json.loads(_core.row_sample_batches(table, chosen))
        else:
            found = json.loads(_core.row_sample_paths(paths, chosen))
        keep = sorted(name for name in present if name not in dropped)
        places = pl.DataFrame(
            found["places"], schema={"row": pl.Int64, MULTIPLICITY: pl.UInt64}, orient="row"
        ).with_row_index("order")
        if paths is None:
            frame = (table if isinstance(table, pl.DataFrame) else pl.DataFrame(table)).select(keep)
            frame = frame[places["row"].to_list()].with_columns(places[MULTIPLICITY])
        else:
            frame = _gather(found["files"], keep, places)
    return RowSample(rows=found["rows"], k=k, _frame=_canonical(frame))


def _names(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


@contextmanager
def _readable(source: Any) -> Iterator[tuple[list[str] | None, Any]]:
    """Local Parquet paths, or a table in memory: what can be read twice."""
    import tempfile

    import polars as pl

    for name, reason in source.errors.items():
        raise UsageError(f"column {name!r}: {reason}")
    if source.paths is not None:
        yield source.paths, None
    elif source.open is None and not source.once:
        yield None, source.table
    elif source.open is None:
        yield None, pl.DataFrame(source.table)
    else:
        with tempfile.TemporaryDirectory() as folder:
            parts: list[str] = []
            for batch in source.open():
                parts.append(os.path.join(folder, f"{len(parts):08}.parquet"))  # noqa: PTH118 - a name for the core
                batch.write_parquet(parts[-1])
            yield parts, None


def _present(paths: list[str] | None, table: Any) -> list[str]:
    if paths is None:
        import polars as pl

        return list(table.columns) if isinstance(table, pl.DataFrame) else list(pl.DataFrame(table).columns)
    return [column["name"] for column in json.loads(_core.plan_paths(paths, "{}"))["columns"]]


def _gather(files: list[tuple[str, int]], keep: list[str], places: pl.DataFrame) -> pl.DataFrame:
    """The rows at these places, in their order."""
    import polars as pl

    found: list[pl.DataFrame] = []
    first = 0
    for path, rows in files:
        here = places.filter(pl.col("row").is_between(first, first + rows - 1)).with_columns(pl.col("row") - first)
        first += rows
        if here.height or not found:
            lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False).select(keep)
            lazy = lazy.with_row_index("row of the file").with_columns(pl.col("row of the file").cast(pl.Int64))
            joined = lazy.join(here.lazy(), left_on="row of the file", right_on="row", how="inner")
            found.append(joined.collect(engine="streaming").drop("row of the file"))
    return pl.concat(found).sort("order").drop("order")


def _canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Of values that are equal, one: no negative zero, no payload of a NaN, no encoding of text."""
    import polars as pl

    def plain(name: str, dtype: pl.DataType) -> pl.Expr:
        column = pl.col(name)
        if dtype.is_float():
            zero, nan = pl.when(column == 0).then(0.0), float("nan")
            return zero.when(column.is_nan()).then(nan).otherwise(column).cast(dtype).alias(name)
        return column.cast(pl.String) if isinstance(dtype, (pl.Categorical, pl.Enum)) else column

    return frame.select(plain(name, dtype) for name, dtype in frame.schema.items())
