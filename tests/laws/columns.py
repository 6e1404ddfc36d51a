"""Columns on which naive code goes wrong, by name; each is a function of the number of rows."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa


def _generator() -> np.random.Generator:
    return np.random.default_rng(20130401)


def _holes(values: pa.Array) -> pa.Array:
    """Every seventh value becomes null."""
    keep = pa.array([i % 7 != 3 for i in range(len(values))])
    return pa.compute.if_else(keep, values, pa.scalar(None, values.type))


def _pick(values: list[object], kind: pa.DataType, n: int) -> pa.Array:
    at = _generator().integers(0, len(values), n)
    return pa.array([values[i] for i in at], kind)


def special_floats(n: int) -> pa.Array:
    values: list[object] = [np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, -5e-324, 2.2e-308, 1.0, -1.5, 0.1, None]
    return _pick(values, pa.float64(), n)


def cancelling(n: int) -> pa.Array:
    return _pick([1e308, -1e308, 1.0, 1e-300, 3.5], pa.float64(), n)


def offset(n: int) -> pa.Array:
    return pa.array(1e6 + 1e-3 * _generator().normal(size=n))


def heavy_tails(n: int) -> pa.Array:
    return _holes(pa.array(_generator().standard_cauchy(n) ** 3))


def point_masses(n: int) -> pa.Array:
    rng = _generator()
    return pa.array(np.where(rng.random(n) < 0.6, 0.0, np.where(rng.random(n) < 0.5, 1.0, rng.normal(size=n))))


def scores(n: int) -> pa.Array:
    return pa.array(_generator().beta(0.1, 0.1, n))


def single(n: int) -> pa.Array:
    return _holes(pa.array(_generator().normal(size=n).astype(np.float32)))


def huge_integers(n: int) -> pa.Array:
    values: list[object] = [2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**63 - 1, -(2**63), 0]
    return _pick(values, pa.int64(), n)


def small_integers(n: int) -> pa.Array:
    return _holes(pa.array(_generator().poisson(4, n), pa.int32()))


def unsigned(n: int) -> pa.Array:
    return _pick([2**64 - 1, 2**63, 2**63 + 1, 0, 7, None], pa.uint64(), n)


def decimals(n: int) -> pa.Array:
    return _pick([Decimal("0.10"), Decimal("-3.33"), Decimal("12345678901.99"), None], pa.decimal128(18, 2), n)


def wide_decimals(n: int) -> pa.Array:
    return _pick([Decimal(10) ** 30, -(Decimal(10) ** 30), Decimal("0.5"), Decimal(7)], pa.decimal128(38, 2), n)


def dates(n: int) -> pa.Array:
    day = dt.date(2013, 4, 1)
    return _holes(pa.array([day + dt.timedelta(days=int(i)) for i in _generator().integers(-400, 400, n)]))


def instants(n: int) -> pa.Array:
    return _holes(pa.array(_generator().integers(0, 10**15, n), pa.timestamp("us", tz="America/New_York")))


def local_times(n: int) -> pa.Array:
    return pa.array(_generator().integers(0, 10**12, n), pa.timestamp("ms"))


def booleans(n: int) -> pa.Array:
    return _holes(pa.array(_generator().random(n) < 0.3))


def strings(n: int) -> pa.Array:
    return _pick(["", "oslo", "rome", "Ünïcode", "a" * 300, "<script>", None], pa.string(), n)


def invalid_text(n: int) -> pa.Array:
    return _pick([b"\xff\xfe", b"\xc3\x28", b"", b"plain", None], pa.binary(), n)


def all_null(n: int) -> pa.Array:
    return pa.nulls(n, pa.float64())


COLUMNS: dict[str, Callable[[int], pa.Array]] = {
    make.__name__: make
    for make in (
        special_floats,
        cancelling,
        offset,
        heavy_tails,
        point_masses,
        scores,
        single,
        huge_integers,
        small_integers,
        unsigned,
        decimals,
        wide_decimals,
        dates,
        instants,
        local_times,
        booleans,
        strings,
        invalid_text,
        all_null,
    )
}


def table(n: int) -> pa.Table:
    return pa.table({name: make(n) for name, make in COLUMNS.items()})
