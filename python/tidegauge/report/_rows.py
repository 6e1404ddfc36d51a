"""Rows of a record, which keeps them by column."""

from __future__ import annotations

from typing import Any


def unpack_rows(packed: Any) -> list[Any]:
    """Rows of ``result.rows``: a list as it is, packed ones one by one.

    A column is ``{"value": v}``, the same for all rows, ``{"values": [...]}``, or ``{"distinct": [...],
    "index": [...]}``.

    Raises
    ------
    ValueError
        If it is neither, a column has another length than the rows, or an index lies outside its
        distinct values.
    """
    if isinstance(packed, list):
        return packed
    try:
        count = packed["count"]
        values = {name: _unpack(column, count) for name, column in packed["columns"].items()}
        if wrong := [name for name, found in values.items() if len(found) != count]:
            raise ValueError(f"rows: column {wrong[0]!r} has {len(values[wrong[0]])} values; accepted are {count}")
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"rows: {type(error).__name__}: {error}; accepted are columns by value or index") from None
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _unpack(column: dict[str, Any], count: int) -> list[Any]:
    if "values" in column:
        return list(column["values"])
    if "index" in column:
        distinct = column["distinct"]
        if any(i < 0 for i in column["index"]):
            raise IndexError("negative position")
        return [distinct[i] for i in column["index"]]
    return [column["value"]] * count
