"""What one statistic of two samples gives; `tidegauge.stats` holds the functions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        How sampling error is taken: rows of a sample are independent draws, ``"iid"``.
    value_if_no_change, minimum_detectable : float or None
        Value expected without any change, and smallest that these samples could show.
    n_reference, n_current : int or None
        Rows on each side.
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

    def __iter__(self) -> Iterator[float | None]:
        yield self.statistic
        yield self.pvalue


def evaluate(name: str, x: Any, y: Any, alpha: float, categorical: bool) -> TestResult:
    """Statistic `name` of the registry, of two samples; the first is the reference."""
    from tidegauge.frames import to_series

    options = json.dumps({"alpha": alpha, "categorical": categorical})
    answer = json.loads(_core.statistic(name, to_series("x", x).to_frame(), to_series("x", y).to_frame(), options))
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
    )


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
