"""One statistic of two samples at a time; the same definitions, hence numbers, as in a report.

Each function takes two one-dimensional samples: numpy arrays, lists, Polars and pandas Series, or
anything with the Arrow capsule. The first is the reference.
"""

# Written by tools/generated.py from the registry; `make docs` renews it.

from typing import Any

from tidegauge._statistic import Interval, TestResult, evaluate

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
    "total_variation",
    "volume",
    "wasserstein",
    "wasserstein_scaled",
]


def chi_square(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Pearson's chi-square of homogeneity of both samples over categories.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: chi-square. ``pvalue`` under the null ``chi-square-homogeneity``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``chi_square/2xk-homogeneity/v1``; reports give the same number.

    References
    ----------
    .. [1] Pearson (1911); scipy.stats.chi2_contingency(correction=False)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.chi_square(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    1.333333
    """
    return evaluate("chi_square", x, y, alpha, categorical)


def cramers_v(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Bias-corrected Cramer's V of sample and category.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: association. ``pvalue`` under the null ``chi-square-homogeneity``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``cramers_v/bias-corrected/v1``; reports give the same number.

    References
    ----------
    .. [1] Bergsma (2013), equations 7-9

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.cramers_v(["a"] * 8 + ["b"] * 2, ["a"] * 2 + ["b"] * 8).statistic, 6)
    0.5696
    """
    return evaluate("cramers_v", x, y, alpha, categorical)


def distinct_count(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Distinct values of the current sample.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: values. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``distinct_count/current/v1``; reports give the same number.

    References
    ----------
    .. [1] Bar-Yossef et al. (2002), bottom-k estimate

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.distinct_count(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    3.0
    """
    return evaluate("distinct_count", x, y, alpha, categorical)


def hellinger(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Hellinger distance on the cells of psi.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: distance. ``pvalue`` under the null ``yurdakul-chi-square``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``hellinger/10q-special/v1``; reports give the same number.

    References
    ----------
    .. [1] Hellinger (1909); null as for psi, PSI ~ 8 H^2

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.hellinger(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.382683
    """
    return evaluate("hellinger", x, y, alpha, categorical)


def jensen_shannon(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Jensen-Shannon distance (natural logarithm) on the cells of psi.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 0.832555], unit: sqrt nats. ``pvalue`` under the null ``yurdakul-chi-square``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``jensen_shannon/distance-nats-10q-special/v1``; reports give the same number.

    References
    ----------
    .. [1] Lin (1991); Endres and Schindelin (2003); null as for psi, PSI ~ 8 JSD

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.jensen_shannon(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.328452
    """
    return evaluate("jensen_shannon", x, y, alpha, categorical)


def ks(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Largest difference of the distribution functions: at least this share of rows moved.

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
        ``statistic`` in [0, 1], unit: share. ``pvalue`` under the null ``kolmogorov-limit``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``ks/v1``; reports give the same number.

    References
    ----------
    .. [1] Smirnov (1939); interval from Massart (1990) and McDiarmid (1989)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.ks([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.25
    """
    return evaluate("ks", x, y, alpha, categorical)


def l_infinity(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Largest difference of the shares of one cell.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: share. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``l_infinity/v1``; reports give the same number.

    References
    ----------
    .. [1] Chebyshev distance of the cell shares; interval: normal, Bonferroni over cells

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.l_infinity(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.25
    """
    return evaluate("l_infinity", x, y, alpha, categorical)


def mean_shift(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Difference of means, current minus reference.

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
        ``statistic`` in (-inf, inf), unit: value. ``pvalue`` under the null ``welch-t``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``mean_shift/welch/v1``; reports give the same number.

    References
    ----------
    .. [1] Welch (1947); scipy.stats.ttest_ind(equal_var=False)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.mean_shift([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    1.0
    """
    return evaluate("mean_shift", x, y, alpha, categorical)


def missing_rate(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Absolute difference of the share of rows that are null or NaN.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: share. ``pvalue`` under the null ``two-proportion-z``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``missing_rate/absolute-difference/v1``; reports give the same number.

    References
    ----------
    .. [1] Newcombe (1998), method 10; two-proportion z test

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.missing_rate([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, None, None]).statistic, 6)
    0.5
    """
    return evaluate("missing_rate", x, y, alpha, categorical)


def nan_rate(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Absolute difference of the share of NaN rows.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. NaN take part, nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: share. ``pvalue`` under the null ``two-proportion-z``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``nan_rate/absolute-difference/v1``; reports give the same number.

    References
    ----------
    .. [1] Newcombe (1998), method 10; two-proportion z test

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.nan_rate([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, float("nan"), float("nan")]).statistic, 6)
    0.5
    """
    return evaluate("nan_rate", x, y, alpha, categorical)


def new_category_mass(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Share of current rows with a value the reference never held.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: share. ``pvalue`` under the null ``good-turing-binomial``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``new_category_mass/v1``; reports give the same number.

    References
    ----------
    .. [1] Good (1953), equation 9; Newcombe (1998), method 10

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.new_category_mass(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.25
    """
    return evaluate("new_category_mass", x, y, alpha, categorical)


def null_rate(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Absolute difference of the share of null rows.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls take part, NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: share. ``pvalue`` under the null ``two-proportion-z``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``null_rate/absolute-difference/v1``; reports give the same number.

    References
    ----------
    .. [1] Newcombe (1998), method 10; two-proportion z test

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.null_rate([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, None, None]).statistic, 6)
    0.5
    """
    return evaluate("null_rate", x, y, alpha, categorical)


def psi(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Population stability index (Jeffreys divergence) on 10 cells of the reference, or on categories.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: nats. ``pvalue`` under the null ``yurdakul-chi-square``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``psi/10q-special-prior.5/v1``; reports give the same number.

    References
    ----------
    .. [1] Jeffreys (1946); null from Yurdakul (2018), theorem 3.1

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.psi(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.292625
    """
    return evaluate("psi", x, y, alpha, categorical)


def quantile_shift(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Largest difference of the 5, 25, 50, 75 and 95 % quantiles.

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
        ``statistic`` in [0, inf), unit: value. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``quantile_shift/5-25-50-75-95-inverted-cdf/v1``; reports give the same number.

    References
    ----------
    .. [1] Hyndman and Fan (1996), definition 1; Woodruff (1952)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.quantile_shift([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    1.0
    """
    return evaluate("quantile_shift", x, y, alpha, categorical)


def range_violation(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Share of current values outside the range of the reference.

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
        ``statistic`` in [0, 1], unit: share. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``range_violation/v1``; reports give the same number.

    References
    ----------
    .. [1] Wilson (1927); expectation from exchangeability

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.range_violation([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.25
    """
    return evaluate("range_violation", x, y, alpha, categorical)


def total_variation(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Half the sum of differences of shares: at least this share of rows changed cell.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: share. ``pvalue`` under the null ``mcdiarmid-bound``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``total_variation/v1``; reports give the same number.

    References
    ----------
    .. [1] Levin, Peres, Wilmer (2017), section 4.1; interval from McDiarmid (1989)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.total_variation(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.25
    """
    return evaluate("total_variation", x, y, alpha, categorical)


def volume(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Current rows over reference rows.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: ratio. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``volume/ratio/v1``; reports give the same number.

    References
    ----------
    .. [1] ratio of counts

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.volume(list(range(20)), list(range(5, 30))).statistic, 6)
    1.25
    """
    return evaluate("volume", x, y, alpha, categorical)


def wasserstein(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Area between the distribution functions: how far an average row moved.

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
        ``statistic`` in [0, inf), unit: value. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``wasserstein/v1``; reports give the same number.

    References
    ----------
    .. [1] Vallender (1974); interval: delta method with a Lipschitz influence function

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.wasserstein([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    1.0
    """
    return evaluate("wasserstein", x, y, alpha, categorical)


def wasserstein_scaled(x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False) -> TestResult:
    """Wasserstein over the reference's interquartile range, free of units.

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
        ``statistic`` in [0, inf), unit: reference spread. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``wasserstein_scaled/iqr-or-sd/v1``; reports give the same number.

    References
    ----------
    .. [1] Vallender (1974)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.wasserstein_scaled([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.5
    """
    return evaluate("wasserstein_scaled", x, y, alpha, categorical)
