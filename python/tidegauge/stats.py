"""One statistic of two samples at a time; the same definitions, hence numbers, as in a report.

Each function takes two one-dimensional samples: numpy arrays, lists, Polars and pandas Series, or
anything with the Arrow capsule. The first is the reference. Nulls and NaN are left out of the
statistic, except where missing values are its subject.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Interval",
    "TestResult",
    "chi_square",
    "cramers_v",
    "distinct_count",
    "hellinger",
    "jensen_shannon",
    "ks",
    "l_infinity",
    "mean_shift",
    "missing_rate",
    "nan_rate",
    "new_category_mass",
    "null_rate",
    "psi",
    "quantile_shift",
    "range_violation",
    "schema",
    "total_variation",
    "volume",
    "wasserstein",
]


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
    unit, null, variance : str or None
        Unit of the value, the null hypothesis of `pvalue`, and how sampling error was taken.
    value_if_no_change, minimum_detectable : float or None
        Value expected without any change, and smallest that these samples could show.
    n_reference, n_current : int or None
        Rows on each side.
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
    variance: str | None = None
    value_if_no_change: float | None = None
    minimum_detectable: float | None = None
    n_reference: int | None = None
    n_current: int | None = None

    def __iter__(self) -> Iterator[float | None]:
        yield self.statistic
        yield self.pvalue


def _statistic(name: str, x: Any, y: Any, alpha: float, categorical: bool) -> TestResult:
    from tidegauge.frames import to_series

    options = json.dumps({"alpha": alpha, "categorical": categorical})
    answer = json.loads(_core.statistic(name, to_series("x", x).to_frame(), to_series("x", y).to_frame(), options))
    value = _number(answer["statistic"])
    assert value is not None
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
        variance=answer.get("variance"),
        value_if_no_change=_number(answer.get("value_if_no_change")),
        minimum_detectable=_number(answer.get("minimum_detectable")),
        n_reference=answer.get("n_reference"),
        n_current=answer.get("n_current"),
    )


def _number(value: Any) -> float | None:
    """Read a JSON number; one that is not finite is a string."""
    return None if value is None else float(value)


def ks(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Kolmogorov-Smirnov distance: the largest gap between the two distribution functions.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], a share of rows.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Two-sided, as ``scipy.stats.ks_2samp``.

    References
    ----------
    .. [1] Smirnov, N. V. (1939). On the estimation of the discrepancy between empirical curves
       of distribution for two independent samples. Bull. Math. Univ. Moscou 2.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.ks([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("ks", x, y, alpha, categorical)


def wasserstein(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """First Wasserstein distance: the mean distance rows must move to turn one table into the other.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), in units of the column.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    As ``scipy.stats.wasserstein_distance``.

    References
    ----------
    .. [1] Villani, C. (2009). Optimal Transport: Old and New. Springer.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.wasserstein([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("wasserstein", x, y, alpha, categorical)


def total_variation(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Total variation distance: the share of rows in other cells.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], a share of rows.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Half the sum of absolute differences of the cells' shares.

    References
    ----------
    .. [1] Levin, D. A., Peres, Y. (2017). Markov Chains and Mixing Times, section 4.1. AMS.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.total_variation([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("total_variation", x, y, alpha, categorical)


def psi(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Population stability index on ten near-equal-mass cells of the reference.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), nats.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Prior 1/2 a cell; a cell empty on one side makes the value depend on n, and never decides
    alone.

    References
    ----------
    .. [1] Yurdakul, B. (2018). Statistical Properties of Population Stability Index. Western
       Michigan University.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.psi([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("psi", x, y, alpha, categorical)


def jensen_shannon(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Jensen-Shannon distance or divergence, as the definition says, on the cells of ``psi``.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic``: see the definition in the registry.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Symmetric; prior 1/2 a cell.

    References
    ----------
    .. [1] Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf.
       Theory 37(1).

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.jensen_shannon([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("jensen_shannon", x, y, alpha, categorical)


def hellinger(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Hellinger distance on the cells of ``psi``.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1].

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    ``sqrt(1 - sum(sqrt(p q)))``.

    References
    ----------
    .. [1] Hellinger, E. (1909). Neue Begründung der Theorie quadratischer Formen. J. reine
       angew. Math. 136.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.hellinger([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("hellinger", x, y, alpha, categorical)


def l_infinity(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Largest absolute difference of the shares of one cell.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], a share of rows.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Named ``L-infinity`` in TensorFlow Data Validation.

    References
    ----------
    .. [1] Caveness, E. et al. (2020). TensorFlow Data Validation. SIGMOD.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.l_infinity([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("l_infinity", x, y, alpha, categorical)


def chi_square(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Two-sample chi-square of homogeneity: neither side is taken as known.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf).

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    As ``scipy.stats.chi2_contingency`` without correction.

    References
    ----------
    .. [1] Pearson, K. (1911). On the probability that two independent distributions of
       frequency are really samples from the same population. Biometrika 8.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.chi_square([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("chi_square", x, y, alpha, categorical)


def cramers_v(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Cramer's V of side against cell: chi-square scaled to a range free of n.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1].

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Bias-corrected where the definition says so.

    References
    ----------
    .. [1] Bergsma, W. (2013). A bias-correction for Cramér's V and Tschuprow's T. J. Korean
       Stat. Soc. 42(3).

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.cramers_v([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("cramers_v", x, y, alpha, categorical)


def mean_shift(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Mean of the second sample less mean of the first.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in (-inf, inf), in the unit the definition names.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Means are sums rounded once.

    References
    ----------
    .. [1] Welch, B. L. (1947). The generalization of Student's problem when several different
       population variances are involved. Biometrika 34.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.mean_shift([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("mean_shift", x, y, alpha, categorical)


def quantile_shift(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Largest shift among the definition's quantiles.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic``: in the unit the definition names.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Quantiles and scale are those of the definition.

    References
    ----------
    .. [1] Doksum, K. (1974). Empirical probability plots and statistical inference for
       nonlinear models in the two-sample case. Ann. Stat. 2.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.quantile_shift([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("quantile_shift", x, y, alpha, categorical)


def missing_rate(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Change of the share of missing rows, null or NaN.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN count.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [-1, 1] or [0, 1], a share of rows.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    References
    ----------
    .. [1] Newcombe, R. G. (1998). Interval estimation for the difference between independent
       proportions. Stat. Med. 17.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.missing_rate([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("missing_rate", x, y, alpha, categorical)


def null_rate(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Change of the share of nulls.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN count.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [-1, 1] or [0, 1], a share of rows.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    References
    ----------
    .. [1] Newcombe, R. G. (1998). Interval estimation for the difference between independent
       proportions. Stat. Med. 17.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.null_rate([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("null_rate", x, y, alpha, categorical)


def nan_rate(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Change of the share of NaN.

    Parameters
    ----------
    x, y : array-like of floats, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN count.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [-1, 1] or [0, 1], a share of rows.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    References
    ----------
    .. [1] Newcombe, R. G. (1998). Interval estimation for the difference between independent
       proportions. Stat. Med. 17.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.nan_rate([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("nan_rate", x, y, alpha, categorical)


def new_category_mass(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Share of the second sample in values that the first does not hold.

    Parameters
    ----------
    x, y : array-like of text, booleans, integers as categories, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], a share of rows.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    References
    ----------
    .. [1] Good, I. J. (1953). The population frequencies of species and the estimation of
       population parameters. Biometrika 40.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.new_category_mass(["a", "b"], ["b", "c"])
    >>> result.exactness
    'exact'
    """
    return _statistic("new_category_mass", x, y, alpha, categorical)


def range_violation(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Share of the second sample outside the range of the first.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], a share of rows.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    References
    ----------
    .. [1] Wilks, S. S. (1941). Determination of sample sizes for setting tolerance limits. Ann.
       Math. Stat. 12.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.range_violation([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("range_violation", x, y, alpha, categorical)


def volume(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Number of rows of the second sample against the first.

    Parameters
    ----------
    x, y : array-like of any type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN count.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic``: see the definition in the registry.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.volume([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("volume", x, y, alpha, categorical)


def distinct_count(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Number of distinct values of the second sample against the first.

    Parameters
    ----------
    x, y : array-like of any one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic``: see the definition in the registry.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Notes
    -----
    Estimated beyond the size of the sketch.

    References
    ----------
    .. [1] Beyer, K. et al. (2007). On synopses for distinct-value estimation under multiset
       operations. SIGMOD.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.distinct_count([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("distinct_count", x, y, alpha, categorical)


def schema(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Whether the logical types agree.

    Parameters
    ----------
    x, y : array-like of any type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN count.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic``: 0 or 1.

    Raises
    ------
    UsageError
        If a sample has no one exact type, or a type this statistic does not take, or no value.

    Examples
    --------
    >>> from tidegauge import stats
    >>> result = stats.schema([1, 2, 3, 4], [2, 3, 4, 5])
    >>> result.exactness
    'exact'
    """
    return _statistic("schema", x, y, alpha, categorical)
