"""Tables in memory as Polars frames: pandas, numpy, dictionaries of arrays.

A column that cannot be converted exactly does not stop the others: it is left out and reported by
name, with its first offending value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import pandas as pd
    import polars as pl


@dataclass
class Frame:
    """Columns that converted, and the columns that did not with the reason."""

    data: pl.DataFrame
    errors: dict[str, str] = field(default_factory=dict)


class _UnconvertibleError(Exception):
    """A column without one exact Arrow type; the message names value and type."""


def from_pandas(frame: pd.DataFrame) -> Frame:
    """Convert a pandas frame; the index is left out.

    Parameters
    ----------
    frame : pandas.DataFrame, shape (n_rows, n_columns)
        ``NaN``, ``NaT``, ``None`` and ``pandas.NA`` are nulls, as pandas means them.

    Returns
    -------
    Frame
        An object column must hold one kind of value, or integers and floats that are all exact
        as float64; otherwise it is in ``errors``.

    Raises
    ------
    UsageError
        If two columns have the same name.
    """
    return _collect((_name(label), frame.iloc[:, i]) for i, label in enumerate(frame.columns))


def from_numpy(array: np.ndarray[Any, Any]) -> Frame:
    """Convert a structured array (by field) or a 1-D or 2-D array (``column_0``, ``column_1`` ...).

    Parameters
    ----------
    array : numpy.ndarray, shape (n_rows,) or (n_rows, n_columns)
        ``NaN`` stays NaN; masked entries and ``NaT`` are nulls.

    Raises
    ------
    UsageError
        If the array has more than two dimensions.
    """
    if array.dtype.names is not None:
        return _collect((name, array[name]) for name in array.dtype.names)
    if array.ndim == 1:
        return _collect([("column_0", array)])
    if array.ndim == 2:
        return _collect((f"column_{i}", array[:, i]) for i in range(array.shape[1]))
    raise UsageError(f"array of shape {array.shape}: accepted are 1-D, 2-D and structured arrays")


def from_mapping(columns: Mapping[Any, Any]) -> Frame:
    """Convert a dictionary of columns: numpy arrays, lists, Arrow arrays, Series.

    Raises
    ------
    UsageError
        If the columns differ in length.
    """
    return _collect((_name(name), values) for name, values in columns.items())


def to_series(name: str, values: Any) -> pl.Series:
    """One column as a Polars Series.

    Raises
    ------
    UsageError
        If the values have no one exact type.
    """
    try:
        return _series(name, values)
    except _UnconvertibleError as error:
        raise UsageError(f"column {name!r}: {error}") from None


def _name(label: Any) -> str:
    return ".".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _collect(columns: Iterable[tuple[str, Any]]) -> Frame:
    import polars as pl

    series: dict[str, pl.Series] = {}
    errors: dict[str, str] = {}
    for name, values in columns:
        if name in series or name in errors:
            raise UsageError(f"column {name!r} occurs twice; column names must differ as text")
        try:
            series[name] = _series(name, values)
        except _UnconvertibleError as error:
            errors[name] = str(error)
    lengths = {len(column): name for name, column in series.items()}
    if len(lengths) > 1:
        told = " and ".join(f"{name!r} has {rows} rows" for rows, name in sorted(lengths.items()))
        raise UsageError(f"columns differ in length: {told}")
    return Frame(pl.DataFrame(list(series.values())), errors)


def _series(name: str, values: Any) -> pl.Series:
    import numpy as np
    import polars as pl

    module = type(values).__module__.partition(".")[0]
    if module == "pandas":
        return _pandas_series(name, values)
    if isinstance(values, np.ndarray):
        return _numpy_series(name, values)
    if isinstance(values, pl.Series):
        return values.alias(name)
    if hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__"):
        return pl.Series(name, values)
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise UsageError(f"column {name!r} is {type(values).__name__}; accepted are arrays and lists")
    return _object_series(name, list(values), nan_is_null=False)


def _numpy_series(name: str, values: np.ndarray[Any, Any], *, nan_is_null: bool = False) -> pl.Series:
    import numpy as np
    import polars as pl

    if values.ndim != 1:
        raise _UnconvertibleError(f"array of shape {values.shape}; accepted is one dimension")
    if isinstance(values, np.ma.MaskedArray):
        bare = _numpy_series(name, values.data, nan_is_null=nan_is_null)
        return bare.to_frame().select(pl.when(pl.Series(~np.ma.getmaskarray(values))).then(pl.col(name)))[name]
    match values.dtype.kind:
        case "b" | "i" | "u":
            return pl.Series(name, _native(values))
        case "f":
            if values.dtype.itemsize > 8:
                raise _UnconvertibleError(f"type {values.dtype}; accepted are floats of at most 64 bits")
            return pl.Series(name, _native(values), nan_to_null=nan_is_null)
        case "U" | "S":
            return pl.Series(name, values.tolist())
        case "M" | "m":
            unit = np.datetime_data(values.dtype)[0]
            accepted = {"D", "ms", "us", "ns"} if values.dtype.kind == "M" else {"ms", "us", "ns"}
            target = values if unit in accepted else values.astype(f"{values.dtype.kind}8[ms]")
            return pl.Series(name, _native(target))
        case "O":
            return _object_series(name, values.tolist(), nan_is_null=nan_is_null)
        case _:
            raise _UnconvertibleError(f"type {values.dtype}; accepted are numbers, booleans, text, bytes, times")


def _native(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Native byte order, contiguous: what Polars takes without a copy of its own."""
    import numpy as np

    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _pandas_series(name: str, values: Any) -> pl.Series:
    import pandas as pd
    import polars as pl

    if not isinstance(values, pd.Series):
        values = pd.Series(values)
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = _pandas_series(name, pd.Series(dtype.categories))
        codes = pl.Series(values.cat.codes.to_numpy()).cast(pl.Int64)
        return levels.gather(codes.replace(-1, None)).alias(name)
    if isinstance(dtype, pd.DatetimeTZDtype):
        instants = _numpy_series(name, values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
        return instants.dt.replace_time_zone("UTC")
    if hasattr(dtype, "pyarrow_dtype") or getattr(dtype, "storage", None) == "pyarrow":
        return pl.Series(name, values.array.__arrow_array__())
    if isinstance(dtype, pd.StringDtype):
        return _object_series(name, values.to_numpy(dtype=object).tolist(), nan_is_null=True)
    if isinstance(dtype, (pd.PeriodDtype, pd.IntervalDtype)):
        raise _UnconvertibleError(f"type {dtype}; accepted are numbers, booleans, text, bytes, times")
    if isinstance(dtype, pd.api.extensions.ExtensionDtype) and hasattr(dtype, "numpy_dtype"):
        missing = values.isna().to_numpy()
        filled = values.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        series = _numpy_series(name, filled)
        return series.to_frame().select(pl.when(pl.Series(~missing)).then(pl.col(name)))[name]
    return _numpy_series(name, values.to_numpy(), nan_is_null=True)


def _object_series(name: str, values: list[Any], *, nan_is_null: bool) -> pl.Series:
    """Build a column of Python objects; one pass finds the kinds, a second only names the culprit."""
    import polars as pl

    missing = {kind for kind in set(map(type, values)) if _family(kind) == "missing"}
    families = {_family(kind) for kind in set(map(type, values)) - missing}
    floats_are_missing = False
    if nan_is_null and "float" in families and len(families) > 1:
        # pandas marks a missing value of an object column with a float NaN.
        floats_are_missing = all(v != v for v in values if _family(type(v)) == "float")
        families -= {"float"} if floats_are_missing else set()
    if families == {"integer", "float"}:
        inexact = next((v for v in values if _family(type(v)) == "integer" and int(float(v)) != int(v)), None)
        if inexact is not None:
            raise _UnconvertibleError(f"integer {inexact} among floats is not exact as float64")
        families = {"float"}
    if len(families) > 1:
        raise _UnconvertibleError(_offender(values, floats_are_missing))
    family = families.pop() if families else "missing"
    if family not in _DTYPES:
        if not values:
            raise _UnconvertibleError(f"no value tells its type; accepted are {', '.join(_DTYPES)}, or an empty array")
        value = next(v for v in values if _family(type(v)) == family)
        raise _UnconvertibleError(f"value {_shown(value)} is {family}; accepted are {', '.join(_DTYPES)}")
    clean = [None if type(v) in missing or (nan_is_null and v != v) else _CONVERT.get(family, _same)(v) for v in values]
    try:
        return pl.Series(name, clean, dtype=_dtype(family, clean))
    except (pl.exceptions.PolarsError, OverflowError, TypeError, ValueError) as error:
        raise _UnconvertibleError(f"not one {family} type: {str(error).partition(chr(10))[0]}") from None


def _offender(values: list[Any], floats_are_missing: bool) -> str:
    first: Any = None
    for row, value in enumerate(values):
        family = _family(type(value))
        if family == "missing" or (family == "float" and floats_are_missing):
            continue
        if first is None:
            first = value
        elif family != _family(type(first)):
            return (
                f"row {row} holds {_shown(value)} ({type(value).__name__}) where rows before hold "
                f"{_shown(first)} ({type(first).__name__}); accepted is one type a column"
            )
    return "mixed types; accepted is one type a column"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _same(value: Any) -> Any:
    return value


_CONVERT = {"boolean": bool, "integer": int, "float": float, "text": str, "bytes": bytes}
_DTYPES = ("boolean", "integer", "float", "text", "bytes", "decimal", "datetime", "date", "time", "duration")


def _family(kind: type) -> str:
    """Kind of value a Python type stands for; other types give their own name."""
    import datetime as dt
    import decimal

    import numpy as np

    if kind.__name__ in {"NoneType", "NAType", "NaTType"}:
        return "missing"
    # The order matters: bool is an int, datetime is a date.
    for types, family in (
        ((bool, np.bool_), "boolean"),
        ((int, np.integer), "integer"),
        ((float, np.floating), "float"),
        ((str,), "text"),
        ((bytes, bytearray), "bytes"),
        ((decimal.Decimal,), "decimal"),
        ((dt.datetime,), "datetime"),
        ((dt.date,), "date"),
        ((dt.time,), "time"),
        ((dt.timedelta,), "duration"),
    ):
        if issubclass(kind, types):
            return family
    return kind.__name__


def _dtype(family: str, values: list[Any]) -> Any:
    import polars as pl

    if family == "integer":
        top = max((v for v in values if v is not None), default=0)
        return pl.UInt64 if top > 2**63 - 1 else pl.Int64
    return {"boolean": pl.Boolean, "float": pl.Float64, "text": pl.String, "bytes": pl.Binary}.get(family)
