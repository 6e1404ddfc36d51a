"""Sampling weights of exact importances: one finite number from 0 for each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Weights of rows and the unit that the core counts them in.

    Attributes
    ----------
    unit : int
        Weights are rounded to multiples of 2 to this power: 2^-48 of the largest and coarser by one bit for
        every doubling of 2^14 rows.
    values : numpy.ndarray, shape (n,), or None
        None of files, whose batches hold them.
    name : str or None
        The column of files.
    """

    unit: int
    values: Floats | None = None
    name: str | None = None


def of_rows(sample_weight: Any, rows: int) -> Weights | None:
    """Weights of a table that is held.

    Raises
    ------
    UsageError
        If there is not one for each row, or one is missing, negative or not finite.
    """
    import numpy as np

    if sample_weight is None:
        return None
    values = np.ascontiguousarray(sample_weight, dtype=np.float64)
    if values.shape != (rows,):
        raise UsageError(f"sample_weight has shape {values.shape}; accepted is ({rows},), one weight for each row")
    if len(wrong := np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))):
        raise UsageError(f"sample_weight is {values[wrong[0]]} in row {wrong[0]}; accepted are finite numbers from 0")
    if not values.any():
        raise UsageError("sample_weight is 0 in every row; at least two weights above 0 are accepted")
    return Weights(_core.weight_unit(float(values.max()), rows), values)


def of_column(sample_weight: Any, lazy: pl.LazyFrame) -> Weights | None:
    """Weights of files: the name of a column, of the rows that take part.

    Raises
    ------
    UsageError
        If there is no such column, or a weight is missing, negative or not finite.
    """
    import polars as pl

    if sample_weight is None:
        return None
    schema = lazy.collect_schema()
    if not isinstance(sample_weight, str) or sample_weight not in schema:
        raise UsageError(f"sample_weight {sample_weight!r}; of files and LazyFrames it is the name of a column")
    weight = pl.col(sample_weight).cast(pl.Float64)
    bad = weight.is_null() | ~weight.is_finite() | (weight < 0.0)
    told = lazy.select(rows=pl.len(), largest=weight.max(), wrong=bad.sum(), first=weight.filter(bad).first())
    rows, largest, wrong, first = told.collect(engine="streaming").row(0)
    if wrong:
        raise UsageError(
            f"column {sample_weight!r} has {wrong:,} weights such as {first}; accepted are finite numbers from 0"
        )
    if not largest:
        raise UsageError(f"column {sample_weight!r} is 0 in every row; at least two weights above 0 are accepted")
    return Weights(_core.weight_unit(float(largest), rows), name=sample_weight)
