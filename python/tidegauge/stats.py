"""One statistic of two samples at a time; the same definitions, hence numbers, as in a report.

Each function takes two one-dimensional samples: numpy arrays, lists, Polars and pandas Series, or
anything with the Arrow capsule. The first is the reference.
"""

# Written by tools/generated.py from the registry; `make docs` renews it.

from typing import Any

from tidegauge._classifier import classifier_test
from tidegauge._joint import JointResult, energy_multivariate, mmd, pca_reconstruction
from tidegauge._statistic import Interval, TestResult, evaluate, parity

__all__ = [
    "Interval",
    "JointResult",
    "TestResult",
    "anderson_darling",
    "brown_forsythe",
    "chi_square",
    "classifier_test",
    "constant",
    "cramer_von_mises",
    "cramers_v",
    "csi",
    "distinct_count",
    "duplicate_keys",
    "energy",
    "energy_multivariate",
    "energy_scaled",
    "epps_singleton",
    "fisher_exact",
    "g_test",
    "hellinger",
    "infinite_rate",
    "jensen_shannon",
    "ks",
    "kuiper",
    "kullback_leibler",
    "l_infinity",
    "mann_whitney",
    "mean_shift",
    "missing_rate",
    "mmd",
    "nan_rate",
    "new_category_mass",
    "null_rate",
    "parity",
    "pca_reconstruction",
    "probability_of_superiority",
    "psi",
    "quantile_shift",
    "range_violation",
    "total_variation",
    "vanished_category_mass",
    "volume",
    "wasserstein",
    "wasserstein_scaled",
    "welch_t",
]


def anderson_darling(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Standardised Anderson-Darling statistic: differences of the distribution functions with weight on the tails.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in (-inf, inf), unit: standard deviations. ``pvalue`` under the null
        ``anderson-darling-limit-standardised``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``anderson_darling/scholz-stephens-midrank-standardised/v1``: infinities are values; ties at
    midranks; p: limit law of Anderson and Darling (1954) at the statistic standardised by the variance of its limit
    given the ties, never clipped; no interval: the value grows with the rows; 4 values or more. Reports give the
    same number.

    References
    ----------
    .. [1] Scholz and Stephens (1987), equations 3 and 7; scipy.stats.anderson_ksamp(variant='midrank')

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.anderson_darling([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    -0.273324
    """
    return evaluate("anderson_darling", x, y, alpha, categorical, weights)


def brown_forsythe(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Levene's W about the medians: whether both samples spread alike.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: F. ``pvalue`` under the null ``f-1-and-n-2``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``brown_forsythe/levene-median/v1``: finite values; p: F with 1 and n + m - 2 degrees of freedom; no
    interval: the value grows with the rows; 3 values or more. Reports give the same number.

    References
    ----------
    .. [1] Brown and Forsythe (1974); scipy.stats.levene(center='median')

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.brown_forsythe([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, None, None]).statistic, 6)
    1.333333
    """
    return evaluate("brown_forsythe", x, y, alpha, categorical, weights)


def chi_square(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Pearson's chi-square of homogeneity of both samples over categories.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``chi_square/2xk-homogeneity/v1``: new values one cell, hash cells are cells, missing left out, no
    continuity correction; p: chi-square with k - 1 degrees of freedom, or, where a cell is expected to hold fewer
    than 8 rows of a side, Pearson's type III with the moments over all splits of the rows, new values apart; no
    interval: the value grows with the rows, total_variation is the effect size. Reports give the same number.

    References
    ----------
    .. [1] Pearson (1911); scipy.stats.chi2_contingency(correction=False)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.chi_square(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    1.333333
    """
    return evaluate("chi_square", x, y, alpha, categorical, weights)


def constant(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """1 where one sample holds a single value and the other several.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: changed. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``constant/changed/v1``: null and NaN left out, infinities are values; no change: probability that as
    many rows of a reference of several values hold one; no interval, no p-value. Reports give the same number.

    References
    ----------
    .. [1] count of distinct values

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.constant(["a", "a", "b", "b"], ["a", "a", "a"]).statistic, 6)
    1.0
    """
    return evaluate("constant", x, y, alpha, categorical, weights)


def cramer_von_mises(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Sum of squared differences of the distribution functions over all pooled rows.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: omega squared. ``pvalue`` under the null ``smirnov-limit-standardised``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``cramer_von_mises/ecdf-over-pooled-rows/v1``: infinities are values; ties by the distribution
    functions, never by midranks; p: Smirnov's limit at the statistic standardised by its mean and variance given
    the ties; no interval: the value grows with the rows, energy is the distance. Reports give the same number.

    References
    ----------
    .. [1] Anderson (1962), equations 2, 14 and 16; scipy.stats.cramervonmises_2samp without ties

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.cramer_von_mises([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.109375
    """
    return evaluate("cramer_von_mises", x, y, alpha, categorical, weights)


def cramers_v(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Bias-corrected Cramer's V of sample and category.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``cramers_v/bias-corrected/v1``: cells of chi_square; p as chi_square; interval: normal approximation
    of the noncentral chi-square. Reports give the same number.

    References
    ----------
    .. [1] Bergsma (2013), equations 7-9

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.cramers_v(["a"] * 8 + ["b"] * 2, ["a"] * 2 + ["b"] * 8).statistic, 6)
    0.5696
    """
    return evaluate("cramers_v", x, y, alpha, categorical, weights)


def distinct_count(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Distinct values of the current sample.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``distinct_count/current/v1``: null and NaN left out, and infinities of ordered columns; exact while
    every value is held, else estimated with a standard error; no p-value. Reports give the same number.

    References
    ----------
    .. [1] Bar-Yossef et al. (2002), bottom-k estimate

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.distinct_count(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    3.0
    """
    return evaluate("distinct_count", x, y, alpha, categorical, weights)


def duplicate_keys(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Current rows whose value, as a key, was there before.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: rows. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``duplicate_keys/current/v1``: rows of a key after its first; null and NaN are no keys; exact while
    every key is held, else estimated with a standard error; no p-value. Reports give the same number.

    References
    ----------
    .. [1] Cohen and Kaplan (2007), bottom-k samples; ratio estimate, Cochran (1977), chapter 6

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.duplicate_keys(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    1.0
    """
    return evaluate("duplicate_keys", x, y, alpha, categorical, weights)


def energy(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Energy distance: root of twice the integral of the squared difference of the distribution functions.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: root value. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``energy/sqrt/v1``: finite values, ties exact; interval: noncentral chi-square of Satterthwaite's
    degrees of freedom; no p-value: its null depends on the distribution. Reports give the same number.

    References
    ----------
    .. [1] Szekely and Rizzo (2013), equation 2.5; scipy.stats.energy_distance

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.energy([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.707107
    """
    return evaluate("energy", x, y, alpha, categorical, weights)


def energy_scaled(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Energy over the root of the reference's interquartile range, free of units.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: root reference spread. ``pvalue`` is None.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``energy_scaled/iqr-or-sd/v1``: as energy; by the standard deviation when the middle half of the
    reference is one value; 0 or infinite when the reference is constant. Reports give the same number.

    References
    ----------
    .. [1] Szekely and Rizzo (2013)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.energy_scaled([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.5
    """
    return evaluate("energy_scaled", x, y, alpha, categorical, weights)


def epps_singleton(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Difference of the characteristic functions at two points: any change of shape, ties or not.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: chi-square. ``pvalue`` under the null ``chi-square-rank``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``epps_singleton/ecf-0.4-0.8/v1``: finite values; covariance with denominator n, directions below
    1e-13 of the largest left out; small samples (both below 25) corrected as in Epps and Singleton; exact only:
    profiles apply where each cell is one value (at most 4,096 distinct ones); p: chi-square with as many degrees of
    freedom as directions; no interval: the value grows with the rows; 5 values a side or more. Reports give the
    same number.

    References
    ----------
    .. [1] Epps and Singleton (1986), equation 3; scipy.stats.epps_singleton_2samp(t=(0.4, 0.8))

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.epps_singleton(list(range(20)), list(range(5, 30))).statistic, 6)
    18.427065
    """
    return evaluate("epps_singleton", x, y, alpha, categorical, weights)


def fisher_exact(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Odds of the second of two categories in the current sample over its odds in the reference.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: odds ratio. ``pvalue`` under the null ``hypergeometric-exact``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``fisher_exact/2x2-odds-ratio/v1``: two categories in the order of their bytes, new values last,
    missing left out; p: exact, two-sided, all tables not more probable; none beyond 1e12 for the variance of a
    cell; no interval: total_variation is the effect size. Reports give the same number.

    References
    ----------
    .. [1] Fisher (1935); scipy.stats.fisher_exact([[x1, x2], [y1, y2]])

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.fisher_exact(["a"] * 8 + ["b"] * 2, ["a"] * 2 + ["b"] * 8).statistic, 6)
    16.0
    """
    return evaluate("fisher_exact", x, y, alpha, categorical, weights)


def g_test(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Likelihood-ratio test (G) of homogeneity of both samples over categories.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``g_test/2xk-homogeneity/v1``: new values one cell, missing left out, no continuity correction; p: as
    chi_square; no interval: the value grows with the rows, total_variation is the effect size. Reports give the
    same number.

    References
    ----------
    .. [1] Wilks (1938); scipy.stats.chi2_contingency(lambda_='log-likelihood', correction=False)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.g_test(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    1.726092
    """
    return evaluate("g_test", x, y, alpha, categorical, weights)


def hellinger(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Hellinger distance on the cells of psi.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``hellinger/10q-special/v1``: cells of psi, no prior; p: 8 H^2 over 1/n + 1/m is chi-square with k -
    1 degrees of freedom, or, where a cell is expected to hold fewer than 8 rows of a side, Pearson's type III with
    the moments over all splits of the rows; interval: delta method. Reports give the same number.

    References
    ----------
    .. [1] Hellinger (1909); null as for psi, PSI ~ 8 H^2

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.hellinger(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.382683
    """
    return evaluate("hellinger", x, y, alpha, categorical, weights)


def infinite_rate(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Absolute difference of the share of rows that are infinite.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``infinite_rate/absolute-difference/v1``: minus and plus infinity, of floats only, over all rows; p:
    two-proportion z, two-sided; interval: Newcombe's method 10, folded at 0. Reports give the same number.

    References
    ----------
    .. [1] Newcombe (1998), method 10; two-proportion z test

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.infinite_rate([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, float("inf"), 4.0]).statistic, 6)
    0.25
    """
    return evaluate("infinite_rate", x, y, alpha, categorical, weights)


def jensen_shannon(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Jensen-Shannon distance (natural logarithm) on the cells of psi.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``jensen_shannon/distance-nats-10q-special/v1``: cells of psi, no prior; p: 8 JSD over 1/n + 1/m is
    chi-square with k - 1 degrees of freedom, or, where a cell is expected to hold fewer than 8 rows of a side,
    Pearson's type III with the moments over all splits of the rows; interval: delta method. Reports give the same
    number.

    References
    ----------
    .. [1] Lin (1991); Endres and Schindelin (2003); null as for psi, PSI ~ 8 JSD

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.jensen_shannon(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.328452
    """
    return evaluate("jensen_shannon", x, y, alpha, categorical, weights)


def ks(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Largest difference of the distribution functions: at least this share of rows moved.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``ks/v1``: infinities are values; ties exact; p: Kolmogorov's limit, conservative with ties. Reports
    give the same number.

    References
    ----------
    .. [1] Smirnov (1939); interval from Massart (1990) and McDiarmid (1989)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.ks([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.25
    """
    return evaluate("ks", x, y, alpha, categorical, weights)


def kuiper(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Largest difference of the shares of an interval of values, D+ plus D-.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: share. ``pvalue`` under the null ``kuiper-limit``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``kuiper/v1``: infinities are values; ties exact; p: Kuiper's limit, conservative with ties. Reports
    give the same number.

    References
    ----------
    .. [1] Kuiper (1960)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.kuiper([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.25
    """
    return evaluate("kuiper", x, y, alpha, categorical, weights)


def kullback_leibler(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Kullback-Leibler divergence of the current sample from the reference on the cells of psi.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``kullback_leibler/reference-to-current-nats-10q-special-prior.5/v1``: sum of reference ln(reference
    / current); cells of psi: missing and infinities are cells, prior 1/2 on every cell kept; p: 2 KL over 1/n + 1/m
    is chi-square with k - 1 degrees of freedom, or as psi where cells hold few rows. Reports give the same number.

    References
    ----------
    .. [1] Kullback and Leibler (1951); scipy.stats.entropy(reference, current); null as for psi, PSI ~ 2 KL

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.kullback_leibler(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.13232
    """
    return evaluate("kullback_leibler", x, y, alpha, categorical, weights)


def l_infinity(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Largest difference of the shares of one cell.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``l_infinity/v1``: cells of psi: missing is a cell; interval: normal with a row more in and out of
    each cell, Bonferroni over the cells in proportion to the observed differences; no p-value. Reports give the
    same number.

    References
    ----------
    .. [1] Chebyshev distance of the cell shares; interval: normal, Bonferroni along the observed differences

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.l_infinity(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.25
    """
    return evaluate("l_infinity", x, y, alpha, categorical, weights)


def mann_whitney(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Pairs in which the reference row is larger than the current one, ties half.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, inf), unit: pairs. ``pvalue`` under the null ``normal-limit-tie-corrected``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``mann_whitney/u-of-reference/v1``: infinities are values; ties count half; p: two-sided normal
    limit, variance corrected for ties, continuity correction 1/2; no interval: probability_of_superiority is the
    effect size. Reports give the same number.

    References
    ----------
    .. [1] Mann and Whitney (1947); Hollander and Wolfe (1973), equation 4.6 for ties;
           scipy.stats.mannwhitneyu(method='asymptotic')

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.mann_whitney([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    4.5
    """
    return evaluate("mann_whitney", x, y, alpha, categorical, weights)


def mean_shift(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Difference of means, current minus reference.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``mean_shift/welch/v1``: finite values; p: Student's t, two-sided, with Satterthwaite's degrees of
    freedom; interval: Welch. Reports give the same number.

    References
    ----------
    .. [1] Welch (1947); scipy.stats.ttest_ind(equal_var=False)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.mean_shift([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    1.0
    """
    return evaluate("mean_shift", x, y, alpha, categorical, weights)


def missing_rate(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Absolute difference of the share of rows that are null or NaN.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``missing_rate/absolute-difference/v1``: null or NaN; p: two-proportion z, two-sided; interval:
    Newcombe's method 10, folded at 0. Reports give the same number.

    References
    ----------
    .. [1] Newcombe (1998), method 10; two-proportion z test

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.missing_rate([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, None, None]).statistic, 6)
    0.5
    """
    return evaluate("missing_rate", x, y, alpha, categorical, weights)


def nan_rate(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Absolute difference of the share of NaN rows.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. NaN take part, nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``nan_rate/absolute-difference/v1``: NaN only; p: two-proportion z, two-sided; interval: Newcombe's
    method 10, folded at 0. Reports give the same number.

    References
    ----------
    .. [1] Newcombe (1998), method 10; two-proportion z test

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.nan_rate([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, float("nan"), float("nan")]).statistic, 6)
    0.5
    """
    return evaluate("nan_rate", x, y, alpha, categorical, weights)


def new_category_mass(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Share of current rows with a value the reference never held.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``new_category_mass/v1``: missing left out; certified where the dictionary is complete, bounded
    elsewhere; p: one-sided, against the share expected of unseen values. Reports give the same number.

    References
    ----------
    .. [1] Good (1953), equation 9; Newcombe (1998), method 10

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.new_category_mass(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.25
    """
    return evaluate("new_category_mass", x, y, alpha, categorical, weights)


def null_rate(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Absolute difference of the share of null rows.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls take part, NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``null_rate/absolute-difference/v1``: null only; p: two-proportion z, two-sided; interval: Newcombe's
    method 10, folded at 0. Reports give the same number.

    References
    ----------
    .. [1] Newcombe (1998), method 10; two-proportion z test

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.null_rate([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, None, None]).statistic, 6)
    0.5
    """
    return evaluate("null_rate", x, y, alpha, categorical, weights)


def probability_of_superiority(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Probability that a current row is larger than a reference row, ties half.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: probability. ``pvalue`` under the null ``normal-limit-tie-corrected``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``probability_of_superiority/v1``: infinities are values; ties count half; p as mann_whitney;
    interval: Wilson with the rows that give the standard error by placements. Reports give the same number.

    References
    ----------
    .. [1] Mann and Whitney (1947); interval: DeLong et al. (1988) in Wilson's (1927) form

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.probability_of_superiority([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.71875
    """
    return evaluate("probability_of_superiority", x, y, alpha, categorical, weights)


def psi(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Population stability index (Jeffreys divergence) on 10 cells of the reference, or on categories.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``psi/10q-special-prior.5/v1``: 10 near-equal-mass cells of the reference (fewer below 50 rows a
    cell) or categories; missing and infinities are cells, cells empty on both sides left out, prior 1/2 on every
    cell kept; p: psi over 1/n + 1/m is chi-square with k - 1 degrees of freedom, or, where a cell is expected to
    hold fewer than 8 rows of a side, Pearson's type III with the moments over all splits of the rows; interval:
    delta method, bias taken off; alias csi. Reports give the same number.

    References
    ----------
    .. [1] Jeffreys (1946); null from Yurdakul (2018), theorem 3.1

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.psi(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.292625
    """
    return evaluate("psi", x, y, alpha, categorical, weights)


def quantile_shift(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Largest difference of the 5, 25, 50, 75 and 95 % quantiles.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``quantile_shift/5-25-50-75-95-inverted-cdf/v1``: finite values; inverted_cdf quantiles; interval:
    Woodruff, Bonferroni over the five in proportion to the observed shifts, none below 50 rows of a side; no
    p-value. Reports give the same number.

    References
    ----------
    .. [1] Hyndman and Fan (1996), definition 1; Woodruff (1952)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.quantile_shift([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    1.0
    """
    return evaluate("quantile_shift", x, y, alpha, categorical, weights)


def range_violation(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Share of current values outside the range of the reference.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``range_violation/v2``: ordered values against the smallest and the largest finite value of the
    reference; an infinity is inside where the reference holds it; interval: Wilson, of the share for this
    reference; no p-value. Reports give the same number.

    References
    ----------
    .. [1] Wilson (1927); expectation from exchangeability

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.range_violation([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.25
    """
    return evaluate("range_violation", x, y, alpha, categorical, weights)


def total_variation(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Half the sum of differences of shares: at least this share of rows changed cell.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in [0, 1], unit: share. ``pvalue`` under the null ``folded-normal-moments``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``total_variation/v1``: categories without missing, hash cells bounded, or the cells of psi; p: mean
    and variance of folded normals, as a chi, and of all splits of the rows of a cell that holds a few; interval:
    the same, along the ray of the observed differences. Reports give the same number.

    References
    ----------
    .. [1] Levin, Peres, Wilmer (2017), section 4.1; null from Leone, Nelson and Nottingham (1961)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.total_variation(["a", "a", "b", "b"], ["a", "b", "b", "c"]).statistic, 6)
    0.25
    """
    return evaluate("total_variation", x, y, alpha, categorical, weights)


def vanished_category_mass(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Share of reference rows with a value the current sample does not hold.

    Parameters
    ----------
    x, y : array-like of text, booleans, or numbers with ``categorical=True``, shape (n,) and (m,)
        Reference and current sample. Nulls are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``vanished_category_mass/v1``: missing left out; certified where the dictionary is complete, bounded
    elsewhere; no change: sum of p (1 - p)^m over the reference's values; interval: Wilson, on the reference rows;
    no p-value. Reports give the same number.

    References
    ----------
    .. [1] Good (1953); Wilson (1927)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.vanished_category_mass(["a", "a", "b", "b"], ["a", "a", "a"]).statistic, 6)
    0.5
    """
    return evaluate("vanished_category_mass", x, y, alpha, categorical, weights)


def volume(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Current rows over reference rows.

    Parameters
    ----------
    x, y : array-like of one type, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN take part.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``volume/ratio/v1``: every row counts; no interval, no p-value. Reports give the same number.

    References
    ----------
    .. [1] ratio of counts

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.volume(["a", "a", "b", "b"], ["a", "a", "a"]).statistic, 6)
    0.75
    """
    return evaluate("volume", x, y, alpha, categorical, weights)


def wasserstein(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Area between the distribution functions: how far an average row moved.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``wasserstein/v1``: finite values, ties exact; interval: folded normals along the ray of the observed
    difference; no p-value. Reports give the same number.

    References
    ----------
    .. [1] Vallender (1974); interval: folded normals (Leone, Nelson and Nottingham 1961)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.wasserstein([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    1.0
    """
    return evaluate("wasserstein", x, y, alpha, categorical, weights)


def wasserstein_scaled(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Wasserstein over the reference's interquartile range, free of units.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

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
    Definition ``wasserstein_scaled/iqr-or-sd/v1``: as wasserstein; by the standard deviation when the middle half
    of the reference is one value; 0 or infinite when the reference is constant. Reports give the same number.

    References
    ----------
    .. [1] Vallender (1974)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.wasserstein_scaled([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    0.5
    """
    return evaluate("wasserstein_scaled", x, y, alpha, categorical, weights)


def welch_t(
    x: Any, y: Any, *, alpha: float = 0.05, categorical: bool = False, weights: tuple[Any, Any] | None = None
) -> TestResult:
    """Welch's t of the means, reference minus current.

    Parameters
    ----------
    x, y : array-like of numbers or times, shape (n,) and (m,)
        Reference and current sample. Nulls and NaN are left out.
    alpha : float
        One minus the level of the interval.
    categorical : bool
        Take numbers as categories, compared by value alone.
    weights : (array-like or None, array-like or None)
        Sampling weights of `x` and of `y`, finite and not negative; None: all equal.

    Returns
    -------
    TestResult
        ``statistic`` in (-inf, inf), unit: standard errors. ``pvalue`` under the null ``welch-t``.

    Raises
    ------
    UsageError
        If a sample has no one exact type, a type this statistic does not take, or no value.

    Notes
    -----
    Definition ``welch_t/reference-minus-current/v1``: finite values; p: Student's t, two-sided, with
    Satterthwaite's degrees of freedom; no interval: mean_shift is the effect size. Reports give the same number.

    References
    ----------
    .. [1] Welch (1947); scipy.stats.ttest_ind(equal_var=False)

    Examples
    --------
    >>> from tidegauge import stats
    >>> round(stats.welch_t([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]).statistic, 6)
    -1.095445
    """
    return evaluate("welch_t", x, y, alpha, categorical, weights)


csi = psi  # the characteristic stability index is the same number of a feature
