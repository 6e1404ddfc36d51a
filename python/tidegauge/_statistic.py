"""What one statistic of two samples gives; `tidegauge.stats` holds the functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


class Interval(NamedTuple):
    """Limits of a confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """A statistic with its bounds, interval and p-value; unpacks as ``statistic, pvalue``.

    Attributes
    ----------
    statistic : float
        scipy's value where scipy has one.
    pvalue : float or None
        None where the definition has no null distribution.
    bound_low, bound_high : float
        Hold always; equal to `statistic` where it is exact.
    exactness : {"exact", "certified", "estimated"}
    ci : Interval or None
        Interval of level ``1 - alpha``, covering sampling and bounds.
    definition : str
        Versioned id of what was computed.
    unit, null : str or None
        Unit of the value, and the null hypothesis of `pvalue`.
    variance : str
        How sampling error is taken: rows of a sample are independent draws, ``"iid"``, of unequal
        ``"weights"`` where they have some.
    value_if_no_change, minimum_detectable : float or None
        Value expected without any change, and smallest that these samples could show.
    n_reference, n_current : int or None
        Rows on each side.
    n_eff_reference, n_eff_current : float or None
        Rows of equal weight that each side is worth (Kish).
    message : str or None
        What the definition has to say about these samples, as a support mismatch.
    """

    # pytest would otherwise take the name for a class of tests.
    __test__ = False

    statistic: float
    pvalue: float | None
    bound_low: float
    bound_high: float
    exactness: str
    ci: Interval | None
    definition: str
    unit: str | None = None
    null: str | None = None
    value_if_no_change: float | None = None
    minimum_detectable: float | None = None
    n_reference: int | None = None
    n_current: int | None = None
    message: str | None = None
    variance: str = "iid"
    n_eff_reference: float | None = None
    n_eff_current: float | None = None

    def __iter__(self) -> Iterator[float | None]:
        yield self.statistic
        yield self.pvalue


def evaluate(
    name: str, x: Any, y: Any, alpha: Any, categorical: bool, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Statistic `name` of the registry, of two samples; the first is the reference."""
    from tidegauge.frames import to_series

    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha!r}; a number between 0 and 1 would be accepted")
    for side, values in (("first", x), ("second", y)):
        if hasattr(values, "columns") or isinstance(values, dict):
            kind = "dictionary" if isinstance(values, dict) else type(values).__name__
            message = f"the {side} sample is a {kind}; an array, a list or a Series would be accepted, of one column"
            raise UsageError(message)
    frames = [series.to_frame() for series in _one_type(to_series("x", x), to_series("x", y))]
    options = {"alpha": alpha, "categorical": categorical}
    if weights is not None:
        frames, weighted = _weigh(frames, weights)
        options["weights"] = weighted
    answer = json.loads(_core.statistic(name, frames[0], frames[1], json.dumps(options)))
    value = float(answer["statistic"])
    low, high = _number(answer.get("bound_low")), _number(answer.get("bound_high"))
    ci_low, ci_high = _number(answer.get("ci_low")), _number(answer.get("ci_high"))
    return TestResult(
        statistic=value,
        pvalue=_number(answer.get("pvalue")),
        bound_low=value if low is None else low,
        bound_high=value if high is None else high,
        exactness=answer["exactness"],
        ci=None if ci_low is None or ci_high is None else Interval(ci_low, ci_high),
        definition=answer["definition"],
        unit=answer.get("unit"),
        null=answer.get("null"),
        value_if_no_change=_number(answer.get("value_if_no_change")),
        minimum_detectable=_number(answer.get("minimum_detectable")),
        n_reference=answer.get("n_reference"),
        n_current=answer.get("n_current"),
        message=answer.get("message"),
        variance=answer.get("variance", "iid"),
        n_eff_reference=_number(answer.get("n_eff_reference")),
        n_eff_current=_number(answer.get("n_eff_current")),
    )


def _one_type(x: pl.Series, y: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Integers beside floats as floats, where doubles hold every one; true and false beside numbers as 1 and 0."""
    import polars as pl

    def exact(series: pl.Series) -> bool:
        low, high = series.min(), series.max()
        return low is None or (int(low) >= -(2**53) and int(high) <= 2**53)  # type: ignore[arg-type]

    if x.dtype == pl.Boolean and y.dtype.is_numeric():
        return x.cast(y.dtype), y
    if y.dtype == pl.Boolean and x.dtype.is_numeric():
        return x, y.cast(x.dtype)
    if x.dtype.is_integer() and y.dtype.is_float() and exact(x):
        return x.cast(pl.Float64), y
    if y.dtype.is_integer() and x.dtype.is_float() and exact(y):
        return x, y.cast(pl.Float64)
    return x, y


def _weigh(frames: list[Any], weights: Any) -> tuple[list[Any], bool]:
    """Samples with their weights as a second column; equal ones where one side has none."""
    from tidegauge.frames import to_series

    if not isinstance(weights, (tuple, list)) or len(weights) != 2:
        raise UsageError("weights= takes a pair: those of the first sample and of the second, None for equal ones")
    found = [None if own is None else to_series("w", own) for own in weights]
    given = [own for own in found if own is not None]
    if not given:
        return frames, False
    for own, frame, side in zip(found, frames, ("first", "second"), strict=True):
        if own is not None and len(own) != frame.height:
            raise UsageError(f"the {side} sample has {frame.height} values and {len(own)} weights; one a value")
        if own is not None and not own.dtype.is_numeric():
            raise UsageError(f"weights of the {side} sample are {str(own.dtype).lower()}; numbers would be accepted")
    # Equal weights change nothing, whatever they are: those near the others keep all bits.
    typical: Any = given[0].filter(given[0] > 0).median()
    out = []
    for own, frame in zip(found, frames, strict=True):
        column = to_series("w", [float(typical or 1.0)] * frame.height) if own is None else own
        out.append(frame.with_columns(w=column))
    return out, True


def _number(value: Any) -> float | None:
    """Read a JSON number; one that is not finite is a string."""
    return None if value is None else float(value)


def parity(definition: str, x: Any, y: Any, *, categorical: bool = False) -> TestResult:
    """Number of another tool by its documented formula, for moving over and for side-by-side checks.

    Parameters
    ----------
    definition : str
        Tool and statistic, as ``"evidently.psi"`` or ``"nannyml.jensen_shannon"``; docs/statistics.md lists them with
        the versions they reproduce.
    x, y : array-like, shape (n,) and (m,)
        Reference and current sample. Nulls, NaN and infinities are left out.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` alone: no interval, no p-value. These numbers never decide.

    Raises
    ------
    UsageError
        If the definition does not exist, or the samples have no one exact type, a type it does not take, or no value.

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.parity("evidently.psi", [1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    3.910458
    """
    names = [entry["name"] for entry in json.loads(_core.parity())]
    if definition not in names:
        message = f"definition {definition!r} does not exist; one of {', '.join(names)} would be accepted"
        raise UsageError(message)
    return evaluate(definition, x, y, 0.05, categorical)
