"""Rows of a record, which keeps them by column."""

from __future__ import annotations

from typing import Any


def unpack_rows(packed: Any) -> list[Any]:
    """Rows of ``result.rows``: a list as it is, packed ones one by one.

    A column is ``{"value": v}``, the same for all rows; ``{"values": [...]}``; ``{"distinct": [...], "index":
    [...]}``, with ``"times": [...]`` for stretches of rows; or ``{"like": name, "at": [...], "values": [...]}``,
    another column but for some rows.

    Raises
    ------
    ValueError
        If it is none of these, a column has another length than the rows, or a position lies outside.
    """
    if isinstance(packed, list):
        return packed
    try:
        count = packed["count"]
        columns = packed["columns"]
        own = {name: _unpack(column, count) for name, column in columns.items() if "like" not in column}
        values = {name: own[name] if name in own else _unlike(column, own) for name, column in columns.items()}
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"rows: {type(error).__name__}: {error}; accepted are columns by value or index") from None
    if wrong := [name for name, found in values.items() if len(found) != count]:
        raise ValueError(f"rows: column {wrong[0]!r} has {len(values[wrong[0]])} values; accepted are {count}")
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _unlike(column: dict[str, Any], others: dict[str, list[Any]]) -> list[Any]:
    found = list(others[column["like"]])
    for i, value in zip(_positions(column["at"]), column["values"], strict=True):
        found[i] = value
    return found


def _unpack(column: dict[str, Any], count: int) -> list[Any]:
    if "values" in column:
        return list(column["values"])
    if "index" in column:
        found = [column["distinct"][i] for i in _positions(column["index"])]
        if "times" not in column:
            return found
        times = column["times"]
        if sum(times) != count:
            raise IndexError(f"stretches of {sum(times)} rows in all")
        return [value for value, n in zip(found, times, strict=True) for _ in range(n)]
    return [column["value"]] * count


def _positions(index: list[int]) -> list[int]:
    if any(i < 0 for i in index):
        raise IndexError("negative position")
    return index
