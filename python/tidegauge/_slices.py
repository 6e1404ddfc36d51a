"""The best slices by SliceLine's score, as its package finds them: a search over all rows, without a hold-out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tidegauge import _core
from tidegauge.errors import UsageError

#: Most distinct values of a feature.
MOST = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One slice.

    Attributes
    ----------
    conditions : dict
        The value that each of its features has.
    score : float
        ``alpha (mean / mean of all - 1) - (1 - alpha) (rows of all / rows - 1)``.
    n_rows : int
    mean_loss : float
    """

    conditions: dict[str, Any]
    score: float
    n_rows: int
    mean_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceResult:
    """What :func:`tidegauge.top_slices` found.

    Attributes
    ----------
    slices : list of Slice
        The highest score first.
    counted : tuple of int
        Slices of three conditions that the bound left to count, of those admitted by their pairs.
    """

    slices: list[Slice]
    counted: tuple[int, int]


def top_slices(
    data: Any,
    losses: Any,
    *,
    k: int = 1,
    alpha: float = 0.6,
    min_support: int = 10,
    max_level: int = 3,
    n_threads: int = 0,
) -> SliceResult:
    """The `k` slices of the highest score of SliceLine, exactly.

    The rows that are searched are those that are counted, so means and scores are too high by the choice:
    :func:`tidegauge.find_segments` measures on rows of its own. This is for those who have used the
    ``sliceline`` package, whose parameters it has and whose scores it gives.

    Parameters
    ----------
    data : frame, Arrow table, mapping of columns or array, shape (n, n_features)
        Values that are equal or not, at most 256 of each feature: bin numbers first.
    losses : array-like, shape (n,)
        Finite numbers from 0; larger is worse.
    k : int
        Slices.
    alpha : float
        Weight of the mean loss against the size, above 0 to 1.
    min_support : int
        Fewest rows of a slice.
    max_level : {1, 2, 3}
        Most conditions.
    n_threads : int
        0 for all processors; the answer does not depend on it.

    Returns
    -------
    SliceResult

    Raises
    ------
    UsageError
        If a loss is negative or missing, a feature has too many values, or an argument is out of range.

    References
    ----------
    .. [1] Sagadeeva, S. and Boehm, M. (2021). "SliceLine: Fast, Linear-Algebra-based Slice Finding for ML Model
       Debugging". SIGMOD.

    Examples
    --------
    >>> import tidegauge as tg
    >>> data = {"city": ["Bonn", "Kiel"] * 50, "month": [1, 1, 2, 2] * 25}
    >>> found = tg.top_slices(data, [0, 0, 0, 1] * 25, min_support=20, alpha=0.9)
    >>> found.slices[0].conditions, found.slices[0].n_rows
    ({'city': 'Kiel', 'month': 2}, 25)
    """
    import os

    import polars as pl

    from tidegauge._joint import _codes, _frame
    from tidegauge.frames import to_series

    frame = _frame(data, "data")
    values = to_series("losses", losses).cast(pl.Float64)
    if values.len() != frame.height:
        raise UsageError(f"{values.len()} losses for the {frame.height} rows of data")
    if values.null_count():
        raise UsageError(f"{values.null_count()} losses are missing; finite numbers from 0 are accepted")
    columns, known = [], []
    for name in frame.columns:
        column = frame[name]
        if column.null_count():
            raise UsageError(f"column {name!r} is missing in {column.null_count()} rows; give missing a value")
        distinct = column.unique().sort()
        if distinct.len() > MOST:
            raise UsageError(f"column {name!r} has {distinct.len()} values; at most {MOST} are accepted, so bin it")
        columns.append(_codes(column).cast(pl.UInt8).to_numpy().tobytes())
        known.append(distinct)
    threads = n_threads or os.cpu_count() or 1
    told = json.loads(_core.slices(columns, values.to_list(), (k, float(alpha), min_support), (max_level, threads)))
    slices = [
        Slice(
            conditions={frame.columns[f]: known[f][b] for f, b in s["conditions"]},
            score=s["score"],
            n_rows=s["rows"],
            mean_loss=s["mean"],
        )
        for s in told["slices"]
    ]
    return SliceResult(slices=slices, counted=tuple(told["counted"]))
