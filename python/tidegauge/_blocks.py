"""Blocks of rows that hang together: days of a time, customers, machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegauge.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from tidegauge._models import Table

#: Most blocks; of more keys neighbours in their order are one, so that blocks stay independent.
MOST = 1024


@dataclass(frozen=True)
class Known:
    """The keys of all rows, in order.

    Attributes
    ----------
    keys : polars.Series
        Each once, as text, in the order of the values.
    name : str or None
        Of the column.
    """

    keys: pl.Series
    name: str | None

    @property
    def count(self) -> int:
        """Blocks."""
        return min(self.keys.len(), MOST)

    @property
    def variance(self) -> str:
        """What rows say of their standard errors."""
        return "block" if self.name is None else f"block:{self.name}"

    def codes(self, values: pl.Series) -> npt.NDArray[np.uint32]:
        """The block of each row, from 0."""
        import numpy as np
        import polars as pl

        places = keyed(values).cast(pl.String).cast(pl.Enum(self.keys)).to_physical().cast(pl.UInt64)
        if self.keys.len() > MOST:
            places = places * MOST // self.keys.len()
        return np.ascontiguousarray(places.cast(pl.UInt32).to_numpy())


def keyed(values: pl.Series) -> pl.Series:
    """Keys of rows: days of times, everything else as it is.

    Raises
    ------
    UsageError
        If a row has none.
    """
    import polars as pl

    if values.dtype.is_float():
        values = values.fill_nan(None)
    if values.null_count():
        raise UsageError(f"block is missing in {values.null_count()} rows; every row needs one")
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.date()
    return values


def of(values: pl.Series, name: str | None) -> Known:
    """The blocks of a column."""
    import polars as pl

    return Known(keyed(values).unique().sort().cast(pl.String), name)


@dataclass(frozen=True)
class Blocks:
    """Blocks of rows.

    Attributes
    ----------
    known : Known
    codes : numpy.ndarray of uint32, shape (n,)
        The block of each row; of files of each row with a label, in their order.
    name : str or None
        The column of files, which batches still hold.
    """

    known: Known
    codes: npt.NDArray[np.uint32]
    name: str | None = None


def given(block: Any, data: Table | pl.LazyFrame, y: Any) -> tuple[Table | pl.LazyFrame, Blocks | None]:
    """The table without its block, and the blocks; of files the column stays.

    Raises
    ------
    UsageError
        If there is no such column, a row has no block, or lengths differ.
    """
    from tidegauge._models import Table as Made
    from tidegauge.frames import to_series
    from tidegauge.importance import labelled

    if block is None:
        return data, None
    if not isinstance(data, Made):
        schema = data.collect_schema()
        if not isinstance(block, str) or block not in schema:
            raise UsageError(f"block {block!r}; of files and LazyFrames it is the name of a column")
        some = data.filter(labelled(data, y)) if isinstance(y, str) else data
        values = some.select(block).collect(engine="streaming").to_series()
        known = of(values, block)
        return data, Blocks(known, known.codes(values), block)
    name = None
    if isinstance(block, str):
        if block not in data.names:
            raise UsageError(f"block {block!r} is no column of X; accepted are its columns, or one key for each row")
        name, block = block, data.column(data.names.index(block))
    values = to_series("block", block)
    if values.len() != data.rows:
        raise UsageError(f"block has {values.len()} rows, X {data.rows}")
    known = of(values, name)
    return data if name is None else without(data, name), Blocks(known, known.codes(values))


def without(table: Table, name: str) -> Table:
    """The table without a column: the model is not given the block."""
    from tidegauge._models import Table as Made

    data = table.data
    if isinstance(data, dict):
        return Made({k: v for k, v in data.items() if k != name})
    match table.module:
        case "pandas":
            return Made(data.drop(columns=[name]))
        case "pyarrow":
            return Made(data.drop_columns([name]))
        case "polars":
            return Made(data.drop(name))
    import numpy as np

    return Made(np.delete(data, table.names.index(name), axis=1))
