"""Metrics of predictions: one definition each, with bounds, interval and label coverage.

Every function takes labels first. Arrays may be numpy arrays, lists, Polars and pandas Series, or
anything with the Arrow capsule. Rows whose label or prediction is null or NaN are left out and
counted in the result. Where no number can be given, :class:`~tidegauge.errors.UsageError` says why.

Intervals take rows as independent draws. Where they are not, as in logs, `block` names the rows that
belong together, or `design_effect` multiplies the variance.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from tidegauge import _core
from tidegauge.errors import UsageError
from tidegauge.stats import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import polars as pl

__all__ = [
    "ConfusionMatrix",
    "GroupFairness",
    "GroupMetrics",
    "MetricResult",
    "MetricTable",
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "brier",
    "calibration_error",
    "confusion_matrix",
    "cost",
    "f1",
    "gains",
    "gains_table",
    "gamma_deviance",
    "gini",
    "group_fairness",
    "lift",
    "log_loss",
    "mae",
    "mape",
    "mcc",
    "mse",
    "observed_over_expected",
    "pinball",
    "poisson_deviance",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "score_ks",
    "selection_rate",
    "specificity",
]

Average = Literal["binary", "macro", "micro", "weighted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """A metric with its bounds, interval and the rows behind it; ``float(result)`` is the value.

    Attributes
    ----------
    value : float
        scikit-learn's value where it has one. NaN in a row of a table that has no number.
    bound_low, bound_high : float
        Hold always; equal to `value` where it is exact.
    exactness : {"exact", "certified", "estimated"}
    ci : Interval or None
        Interval of level ``1 - alpha``, covering sampling and bounds.
    definition : str
        Versioned id of what was computed.
    method : str
        How the interval is made.
    unit : str
        Unit of the value.
    n : int
        Rows with label and prediction.
    n_eff : float
        Rows of a simple sample of the same weight: Kish's number over the design effect, or for
        shares the number with the same variance.
    n_rows, n_unlabelled, n_unpredicted : int
        Rows given; among them without a label, and without a prediction.
    label_coverage : float
        Share of the rows given that have a label.
    value_if_no_change : float or None
        Value expected of perfect predictions, where that is not the best value.
    message : str or None
        What a reader must know.
    part : str or None
        Band, share or cell, where the metric is a table.
    variance : str
        How sampling error is taken: ``"iid"``, the design effect, or the blocks.
    """

    value: float
    bound_low: float
    bound_high: float
    exactness: str
    ci: Interval | None
    definition: str
    method: str
    unit: str
    n: int
    n_eff: float
    n_rows: int
    n_unlabelled: int
    n_unpredicted: int
    label_coverage: float
    value_if_no_change: float | None = None
    message: str | None = None
    part: str | None = None
    variance: str = "iid"

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, slots=True)
class MetricTable:
    """Several numbers of one metric; indexing and iteration give :class:`MetricResult`.

    Attributes
    ----------
    rows : tuple of MetricResult
        One for each part.
    """

    rows: tuple[MetricResult, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> MetricResult:
        return self.rows[index]

    def __iter__(self) -> Iterator[MetricResult]:
        return iter(self.rows)

    def to_polars(self) -> pl.DataFrame:
        """One row for each part; `ci` becomes ``ci_low`` and ``ci_high``."""
        return _frame([_flat(row) for row in self.rows])

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Rows, or their weight, by label and predicted class.

    Attributes
    ----------
    labels : tuple
        The classes, ascending.
    counts : tuple of tuple of float
        Labels in rows, predicted classes in columns.
    n_rows, n_unlabelled, n_unpredicted : int
        Rows given; among them without a label, and without a prediction.
    label_coverage : float
        Share of the rows given that have a label.
    definition : str
        Versioned id of what was computed.
    """

    labels: tuple[Any, ...]
    counts: tuple[tuple[float, ...], ...]
    n_rows: int
    n_unlabelled: int
    n_unpredicted: int
    label_coverage: float
    definition: str

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """The counts as an array of shape (n_classes, n_classes)."""
        import numpy as np

        return np.array(self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMetrics:
    """Rates of one group.

    Attributes
    ----------
    group : object
        Value of the protected column.
    n_rows, n_unlabelled, n_unpredicted : int
        Rows of the group; among them without a label, and without a prediction.
    selection_rate : MetricResult
        Share of the predicted rows, labelled or not, that is predicted positive.
    adverse_impact_ratio : MetricResult
        Selection rate over that of the reference group; 0.8 is the four-fifths rule.
    true_positive_rate : MetricResult
        Share of the rows with a positive label that is predicted positive.
    equal_opportunity_difference : MetricResult
        True positive rate less that of the reference group.
    """

    group: Any
    n_rows: int
    n_unlabelled: int
    n_unpredicted: int
    selection_rate: MetricResult
    adverse_impact_ratio: MetricResult
    true_positive_rate: MetricResult
    equal_opportunity_difference: MetricResult


@dataclass(frozen=True, slots=True)
class GroupFairness:
    """Rates of every group of a protected column.

    Attributes
    ----------
    reference : object
        Group the others are compared with.
    groups : tuple of GroupMetrics
        Ascending by value of the protected column.
    n_ungrouped : int
        Rows without a group; they are left out.
    """

    reference: Any
    groups: tuple[GroupMetrics, ...]
    n_ungrouped: int

    def __getitem__(self, group: object) -> GroupMetrics:
        for found in self.groups:
            if found.group == group:
                return found
        raise KeyError(group)

    def to_polars(self) -> pl.DataFrame:
        """One row for each group and rate."""
        rows = []
        for group in self.groups:
            for name in _RATES:
                rows.append({"group": str(group.group), "metric": name, **_flat(getattr(group, name))})
        return _frame(rows)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)


# Method of the interval and unit of each rate of a group.
_RATES = {
    "selection_rate": ("Wilson's score limits at the effective number of rows", "share"),
    "adverse_impact_ratio": ("ratio of Wilson's limits (MOVER-R)", "ratio"),
    "true_positive_rate": ("Wilson's score limits at the effective number of rows", "share"),
    "equal_opportunity_difference": ("square-and-add of Wilson's limits (MOVER)", "share"),
}


def accuracy(
    y: Any,
    predicted: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Share of rows whose predicted class is the label.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``accuracy/v1``. Interval: Wilson's score limits at the effective number of rows.

    References
    ----------
    .. [1] sklearn.metrics.accuracy_score; interval: Wilson (1927)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.accuracy([0, 1, 0, 1], [0, 1, 1, 1]).value, 6)
    0.75
    """
    return _classified(
        "accuracy",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        threshold=threshold,
        pos_label=pos_label,
        labels=labels,
    )[0][0]


def average_precision(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Sum over thresholds of precision times the step in recall.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,)
        Scores of the positive class; larger means more likely.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``average_precision/v1``. Interval: delta method on the logit; Wilson's limits at the number of
    positive rows where it is 0 or 1.

    References
    ----------
    .. [1] sklearn.metrics.average_precision_score; interval: Boyd, Eng and Page (2013)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 6)
    0.833333
    """
    return _scored(
        "average_precision",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
    )[0]


def balanced_accuracy(
    y: Any,
    predicted: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean over the classes of the share that is found.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``balanced_accuracy/v1``. Interval: square-and-add of Wilson's limits (MOVER).

    References
    ----------
    .. [1] sklearn.metrics.balanced_accuracy_score; interval: Zou and Donner (2008)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.balanced_accuracy([0, 1, 0, 1], [0, 1, 1, 1]).value, 6)
    0.75
    """
    return _classified(
        "balanced_accuracy",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        threshold=threshold,
        pos_label=pos_label,
        labels=labels,
    )[0][0]


def brier(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    labels: Sequence[Any] | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean squared difference of probability and label, summed over classes where there are several.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,) or (n, n_classes)
        Probabilities of the positive class, or with one column for each class, ascending.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 2], unit: squared probability.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``brier/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.brier_score_loss; Brier (1950)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.brier([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 6)
    0.158125
    """
    return _scored(
        "brier",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        labels=labels,
        several=True,
    )[0]


def calibration_error(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    bins: int = 10,
    strategy: Literal["uniform", "quantile"] = "uniform",
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean over bins of the score of |observed rate - mean score|.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,)
        Probabilities of the positive class.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    bins : int
        Number of bins of the score.
    strategy : {"uniform", "quantile"}
        Bins of equal width, or of equal mass with equal scores kept together.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: probability.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``calibration_error/{bins}/v1``. Interval: delta method; the lower limit less the mean excess
    under perfect calibration.

    References
    ----------
    .. [1] Naeini, Cooper and Hauskrecht (2015)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.calibration_error([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 6)
    0.3375
    """
    options: dict[str, Any]
    if bins < 1:
        raise UsageError(f"bins is {bins}; 1 or more are accepted")
    match strategy:
        case "uniform":
            options = {"edges": [k / bins for k in range(1, bins)]}
        case "quantile":
            options = {"equal_mass": bins}
        case other:
            raise UsageError(f"strategy is {other!r}; uniform or quantile are accepted")
    return _scored(
        "calibration_error",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        **options,
    )[0]


def confusion_matrix(
    y: Any,
    predicted: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
) -> ConfusionMatrix:
    """Rows, or their weight, by label and predicted class.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.

    Returns
    -------
    ConfusionMatrix
        ``counts`` by label (rows) and predicted class (columns).

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``confusion_matrix/v1``. Interval: none: counts.

    References
    ----------
    .. [1] sklearn.metrics.confusion_matrix

    Examples
    --------
    >>> from tidegauge import metrics
    >>> metrics.confusion_matrix([0, 1, 0, 1], [0, 1, 1, 1]).counts
    ((1.0, 1.0), (0.0, 2.0))
    """
    cells, classes = _classified(
        "confusion_matrix",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=0.05,
        design_effect=1.0,
        labels=labels,
        pos_label=pos_label,
        threshold=threshold,
    )
    k, first = len(classes), cells[0]
    return ConfusionMatrix(
        labels=tuple(classes),
        counts=tuple(tuple(cell.value for cell in cells[i * k : (i + 1) * k]) for i in range(k)),
        n_rows=first.n_rows,
        n_unlabelled=first.n_unlabelled,
        n_unpredicted=first.n_unpredicted,
        label_coverage=first.label_coverage,
        definition=first.definition,
    )


def cost(
    y: Any,
    predicted: Any,
    *,
    costs: Sequence[Sequence[float]],
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean cost of a row, from a cost for each pair of label and predicted class.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    costs : sequence of sequences of float, shape (n_classes, n_classes)
        Cost of a row by label (rows) and predicted class (columns), classes ascending; the positive class
        last where `pos_label` or `threshold` is given.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in (-inf, inf), unit: cost.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``cost/v1``. Interval: Student's t (delta method).

    References
    ----------
    .. [1] Elkan (2001)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.cost([0, 1, 0, 1], [0, 1, 1, 1], costs=[[0, 1], [5, 0]]).value, 6)
    0.25
    """
    flat = [float(c) for row in costs for c in row]
    return _classified(
        "cost",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        labels=labels,
        pos_label=pos_label,
        threshold=threshold,
        binary=pos_label is not None and threshold is None,
        costs=flat,
    )[0][0]


def f1(
    y: Any,
    predicted: Any,
    *,
    average: Average = "binary",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Harmonic mean of precision and recall.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    average : {"binary", "macro", "micro", "weighted"}
        How classes are averaged; ``binary`` is the positive class alone.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``f1/{average}/v1``. Interval: Wilson's limits of F*, mapped; averages: delta method on the
    logit.

    References
    ----------
    .. [1] sklearn.metrics.f1_score; interval: Hand, Christen and Kirielle (2021), Wilson (1927)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.f1([0, 1, 0, 1], [0, 1, 1, 1]).value, 6)
    0.8
    """
    return _classified(
        "f1",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        threshold=threshold,
        pos_label=pos_label,
        labels=labels,
        average=average,
        binary=average == "binary",
    )[0][0]


def gains(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    share: float = 0.1,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Share of all positive rows found in a share of the rows with the highest scores, ties split evenly.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,)
        Scores of the positive class; larger means more likely.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    share : float
        Share of the rows taken, those with the highest scores.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``gains/top-{share}/v1``. Interval: delta method on the logit.

    References
    ----------
    .. [1] cumulative gains; interval: delta method with the lift at the cut

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.gains([0, 0, 1, 1, 0], [0.1, 0.4, 0.35, 0.8, 0.3], share=0.4).value, 6)
    0.5
    """
    return _scored(
        "gains",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        shares=[share],
    )[0]


def gains_table(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricTable:
    """Share of the positive rows among the highest scores, for several shares of the rows.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,)
        Scores of the positive class; larger means more likely.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    shares : sequence of float
        Shares of the rows taken, those with the highest scores.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricTable
        One row for each share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``gains/top-{share}/v1``. Interval: delta method on the logit.

    References
    ----------
    .. [1] cumulative gains; interval: delta method with the lift at the cut

    Examples
    --------
    >>> from tidegauge import metrics
    >>> table = metrics.gains_table([0, 0, 1, 1, 0], [0.1, 0.4, 0.35, 0.8, 0.3], shares=[0.4, 0.8])
    >>> [(row.part, round(row.value, 6)) for row in table]
    [('0.4', 0.5), ('0.8', 1.0)]
    """
    return MetricTable(
        tuple(
            _scored(
                "gains",
                y,
                score,
                pos_label=pos_label,
                sample_weight=sample_weight,
                alpha=alpha,
                design_effect=design_effect,
                block=block,
                shares=list(shares),
            )
        )
    )


def gamma_deviance(
    y: Any,
    prediction: Any,
    *,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean unit deviance of the gamma distribution.

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: deviance.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``gamma_deviance/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.mean_gamma_deviance

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.gamma_deviance([3.0, 1.0, 2.0, 7.0], [2.5, 1.0, 2.0, 8.0]).value, 6)
    0.013105
    """
    return _regressed(
        "gamma_deviance",
        y,
        prediction,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
    )[0]


def gini(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """2 roc_auc - 1.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,)
        Scores of the positive class; larger means more likely.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1, else the greater of two.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [-1, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``gini/v1``. Interval: as roc_auc, mapped.

    References
    ----------
    .. [1] Somers (1962); 2 sklearn.metrics.roc_auc_score - 1

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.gini([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 6)
    0.5
    """
    return _scored(
        "gini",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        greater=True,
    )[0]


def group_fairness(
    y: Any,
    predicted: Any,
    group: Any,
    *,
    reference: Any = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
) -> GroupFairness:
    """Selection and true positive rates of the groups of a protected column.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    group : array-like, shape (n,)
        The protected column.
    reference : object, optional
        Group to compare with; the one with the highest selection rate by default, whose choice the intervals
        do not cover.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.

    Returns
    -------
    GroupFairness
        ``groups`` with rates, ratios and differences, each with its interval.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``group_fairness/v1``. Interval: Wilson's limits; ratios by MOVER-R, differences by MOVER.

    References
    ----------
    .. [1] 29 CFR 1607.4 D; Hardt, Price and Srebro (2016); Newcombe (1998); Donner and Zou (2012)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> fair = metrics.group_fairness([1, 1, 0, 0, 1, 0], [1, 1, 0, 1, 0, 0], ["a", "a", "a", "b", "b", "b"])
    >>> fair.reference, round(fair["b"].adverse_impact_ratio.value, 6)
    ('a', 0.5)
    """
    import polars as pl

    label, members = _values("label", y), _values("group", group)
    if threshold is None:
        guess = _values("prediction", predicted)
        positive = _positive(_classes(label, guess), pos_label, False)
        guess = _two("prediction", guess, positive)
    else:
        positive = _positive(_classes(label), pos_label, False)
        guess = (_numbers("prediction", predicted).fill_nan(None) >= threshold).cast(pl.UInt32)
    groups = _classes(members)
    if not groups:
        raise UsageError("no row has a group")
    if reference is not None and reference not in groups:
        raise UsageError(f"reference is {reference!r}; the groups are {_told(groups)}")
    codes = _codes("group", members, groups)
    return _grouped(
        _two("label", label, positive),
        guess,
        codes,
        groups,
        reference,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
    )


def lift(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    share: float = 0.1,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Gains over the share of rows taken.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,)
        Scores of the positive class; larger means more likely.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    share : float
        Share of the rows taken, those with the highest scores.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: ratio.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``lift/top-{share}/v1``. Interval: delta method on the logit of the gains.

    References
    ----------
    .. [1] cumulative lift; interval: delta method with the lift at the cut

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.lift([0, 0, 1, 1, 0], [0.1, 0.4, 0.35, 0.8, 0.3], share=0.4).value, 6)
    1.25
    """
    return _scored(
        "lift",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        shares=[share],
    )[0]


def log_loss(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    labels: Sequence[Any] | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean of -ln of the probability given to the label.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,) or (n, n_classes)
        Probabilities of the positive class, or with one column for each class, ascending.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1, else the greater of two.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: nats.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``log_loss/clipped-2^-52/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.log_loss

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.log_loss([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 6)
    0.472288
    """
    return _scored(
        "log_loss",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        labels=labels,
        several=True,
        greater=True,
    )[0]


def mae(
    y: Any,
    prediction: Any,
    *,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean of |label - prediction|.

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: label.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``mae/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.mean_absolute_error

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.mae([3.0, 1.0, 2.0, 7.0], [2.5, 1.0, 2.0, 8.0]).value, 6)
    0.375
    """
    return _regressed(
        "mae", y, prediction, sample_weight=sample_weight, alpha=alpha, design_effect=design_effect, block=block
    )[0]


def mape(
    y: Any,
    prediction: Any,
    *,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean of |label - prediction| / max(|label|, 2^-52).

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``mape/floor-2^-52/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.mean_absolute_percentage_error

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.mape([3.0, 1.0, 2.0, 7.0], [2.5, 1.0, 2.0, 8.0]).value, 6)
    0.077381
    """
    return _regressed(
        "mape", y, prediction, sample_weight=sample_weight, alpha=alpha, design_effect=design_effect, block=block
    )[0]


def mcc(
    y: Any,
    predicted: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Matthews correlation of label and predicted class.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [-1, 1], unit: correlation.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``mcc/v1``. Interval: delta method on atanh; half a row added to each cell where one is empty.

    References
    ----------
    .. [1] sklearn.metrics.matthews_corrcoef; Gorodkin (2004); interval: delta method, Fisher (1921)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.mcc([0, 1, 0, 1], [0, 1, 1, 1]).value, 6)
    0.57735
    """
    return _classified(
        "mcc",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        threshold=threshold,
        pos_label=pos_label,
        labels=labels,
    )[0][0]


def mse(
    y: Any,
    prediction: Any,
    *,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean of (label - prediction) squared.

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: label^2.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``mse/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.mean_squared_error

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.mse([3.0, 1.0, 2.0, 7.0], [2.5, 1.0, 2.0, 8.0]).value, 6)
    0.3125
    """
    return _regressed(
        "mse", y, prediction, sample_weight=sample_weight, alpha=alpha, design_effect=design_effect, block=block
    )[0]


def observed_over_expected(
    y: Any,
    prediction: Any,
    *,
    edges: Sequence[float] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricTable:
    """Sum of labels over sum of predictions, by band of the prediction.

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    edges : sequence of float, optional
        Inner edges of the bands of the prediction; tenths of [0, 1] by default for class labels, one band for
        numbers.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricTable
        One row for each band, and one for all where there are several. A band without rows is NaN with the
        reason as message.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``observed_over_expected/{bins}/v1``. Interval: Wilson's limits over the mean prediction;
    numbers: delta method on the logarithm.

    References
    ----------
    .. [1] calibration in the large; Wilson (1927); delta method

    Examples
    --------
    >>> from tidegauge import metrics
    >>> table = metrics.observed_over_expected([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], edges=[0.5])
    >>> [(row.part, round(row.value, 6)) for row in table]
    [('below 0.5', 1.176471), ('0.5 and above', 1.25), ('all', 1.212121)]
    """
    label = _values("label", y)
    classes = _classes(label)
    if pos_label is None and not (set(classes) <= {0, 1} or set(classes) <= {-1, 1}):
        inner = [] if edges is None else [float(e) for e in edges]
        return MetricTable(
            tuple(
                _regressed(
                    "observed_over_expected",
                    y,
                    prediction,
                    sample_weight=sample_weight,
                    alpha=alpha,
                    design_effect=design_effect,
                    block=block,
                    edges=inner,
                )
            )
        )
    inner = [k / 10 for k in range(1, 10)] if edges is None else [float(e) for e in edges]
    return MetricTable(
        tuple(
            _scored(
                "observed_over_expected",
                y,
                prediction,
                pos_label=pos_label,
                sample_weight=sample_weight,
                alpha=alpha,
                design_effect=design_effect,
                block=block,
                edges=inner,
            )
        )
    )


def pinball(
    y: Any,
    prediction: Any,
    *,
    level: float = 0.5,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean quantile loss at a level.

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    level : float
        Level of the quantile, between 0 and 1.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: label.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``pinball/{level}/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.mean_pinball_loss

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.pinball([3.0, 1.0, 2.0, 7.0], [2.5, 1.0, 2.0, 8.0], level=0.9).value, 6)
    0.1375
    """
    return _regressed(
        "pinball",
        y,
        prediction,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        level=level,
    )[0]


def poisson_deviance(
    y: Any,
    prediction: Any,
    *,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Mean unit deviance of Poisson.

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: deviance.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``poisson_deviance/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.mean_poisson_deviance

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.poisson_deviance([3.0, 1.0, 2.0, 7.0], [2.5, 1.0, 2.0, 8.0]).value, 6)
    0.056122
    """
    return _regressed(
        "poisson_deviance",
        y,
        prediction,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
    )[0]


def precision(
    y: Any,
    predicted: Any,
    *,
    average: Average = "binary",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Share of the rows predicted as the class that are of it.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    average : {"binary", "macro", "micro", "weighted"}
        How classes are averaged; ``binary`` is the positive class alone.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``precision/{average}/v1``. Interval: Wilson's score limits at the effective number of rows;
    averages: delta method on the logit.

    References
    ----------
    .. [1] sklearn.metrics.precision_score; interval: Wilson (1927)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.precision([0, 1, 0, 1], [0, 1, 1, 1]).value, 6)
    0.666667
    """
    return _classified(
        "precision",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        threshold=threshold,
        pos_label=pos_label,
        labels=labels,
        average=average,
        binary=average == "binary",
    )[0][0]


def r2(
    y: Any,
    prediction: Any,
    *,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """1 - residual sum of squares over total sum of squares.

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in (-inf, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``r2/v1``. Interval: delta method on the logarithm of 1 - R2.

    References
    ----------
    .. [1] sklearn.metrics.r2_score; interval: delta method

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.r2([3.0, 1.0, 2.0, 7.0], [2.5, 1.0, 2.0, 8.0]).value, 6)
    0.939759
    """
    return _regressed(
        "r2", y, prediction, sample_weight=sample_weight, alpha=alpha, design_effect=design_effect, block=block
    )[0]


def recall(
    y: Any,
    predicted: Any,
    *,
    average: Average = "binary",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Share of the class that is predicted as such.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    average : {"binary", "macro", "micro", "weighted"}
        How classes are averaged; ``binary`` is the positive class alone.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``recall/{average}/v1``. Interval: Wilson's score limits at the effective number of rows;
    averages: delta method on the logit.

    References
    ----------
    .. [1] sklearn.metrics.recall_score; interval: Wilson (1927)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.recall([0, 1, 0, 1], [0, 1, 1, 1]).value, 6)
    1.0
    """
    return _classified(
        "recall",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        threshold=threshold,
        pos_label=pos_label,
        labels=labels,
        average=average,
        binary=average == "binary",
    )[0][0]


def rmse(
    y: Any,
    prediction: Any,
    *,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Square root of the mean squared error.

    Parameters
    ----------
    y : array-like of numbers, shape (n,)
        Labels.
    prediction : array-like of numbers, shape (n,)
        Predicted numbers.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, inf), unit: label.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``rmse/v1``. Interval: Student's t on the logarithm (delta method).

    References
    ----------
    .. [1] sklearn.metrics.root_mean_squared_error

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.rmse([3.0, 1.0, 2.0, 7.0], [2.5, 1.0, 2.0, 8.0]).value, 6)
    0.559017
    """
    return _regressed(
        "rmse", y, prediction, sample_weight=sample_weight, alpha=alpha, design_effect=design_effect, block=block
    )[0]


def roc_auc(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    labels: Sequence[Any] | None = None,
    average: Literal["macro", "weighted"] = "macro",
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Probability that a positive row scores above a negative one, ties counted half.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,) or (n, n_classes)
        Scores of the positive class, or probabilities with one column for each class, ascending.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1, else the greater of two.
    labels : sequence, optional
        The classes in the order of their codes; those that occur, ascending, by default.
    average : {"macro", "weighted"}
        How the areas of one class against the rest are averaged, for more than two classes.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``roc_auc/v1``. Interval: DeLong's variance on the logit; Newcombe's method 5 where it is 0.

    References
    ----------
    .. [1] sklearn.metrics.roc_auc_score; variance: DeLong et al. (1988); perfect order: Newcombe (2006)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 6)
    0.75
    """
    return _scored(
        "roc_auc",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        labels=labels,
        several=True,
        greater=True,
        average=average,
    )[0]


def score_ks(
    y: Any,
    score: Any,
    *,
    pos_label: Any = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Largest difference of the classes' distribution functions of the score.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    score : array-like of numbers, shape (n,)
        Scores of the positive class; larger means more likely.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1, else the greater of two.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``score_ks/v1``. Interval: Massart's and McDiarmid's inequalities.

    References
    ----------
    .. [1] scipy.stats.ks_2samp of the scores by label; interval: Massart (1990), McDiarmid (1989)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.score_ks([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 6)
    0.5
    """
    return _scored(
        "score_ks",
        y,
        score,
        pos_label=pos_label,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        greater=True,
    )[0]


def selection_rate(
    predicted: Any,
    *,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
) -> MetricResult:
    """Share of rows predicted positive.

    Parameters
    ----------
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``group_fairness/v1``. Interval: Wilson's limits.

    References
    ----------
    .. [1] Wilson (1927)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.selection_rate([0, 1, 1, 1]).value, 6)
    0.75
    """
    import polars as pl

    if threshold is None:
        guess = _values("prediction", predicted)
        guess = _two("prediction", guess, _positive(_classes(guess), pos_label, False))
    else:
        guess = (_numbers("prediction", predicted).fill_nan(None) >= threshold).cast(pl.UInt32)
    only = pl.Series("group", [0]).new_from_index(0, len(guess)).cast(pl.UInt32)
    found = _grouped(
        guess.clear(len(guess)),
        guess,
        only,
        ["all"],
        "all",
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
    )
    rate = found.groups[0].selection_rate
    if rate.message is not None:
        raise UsageError(f"selection_rate: {rate.message}")
    return rate


def specificity(
    y: Any,
    predicted: Any,
    *,
    pos_label: Any = None,
    threshold: float | None = None,
    sample_weight: Any = None,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    block: Any = None,
) -> MetricResult:
    """Share of rows with a negative label that are predicted negative.

    Parameters
    ----------
    y : array-like of classes, shape (n,)
        Labels: numbers, booleans, text or categories.
    predicted : array-like, shape (n,)
        Predicted classes; scores of the positive class with `threshold`.
    pos_label : object, optional
        The positive class; 1 where the classes are 0 and 1 or -1 and 1.
    threshold : float, optional
        Scores at or above it predict the positive class.
    sample_weight : array-like of numbers, shape (n,), optional
        Sampling weights, finite and not negative; only their ratios matter.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        Factor on the variance: 1 for independent rows.
    block : array-like, shape (n,), optional
        Rows of one block belong together, as those of a day or a customer: the design effect is then that of
        the blocks (jackknife).

    Returns
    -------
    MetricResult
        ``value`` in [0, 1], unit: share.

    Raises
    ------
    UsageError
        If a column has another type, a weight is negative or not finite, or no number can be given.

    Notes
    -----
    Definition ``specificity/v1``. Interval: Wilson's score limits at the effective number of rows.

    References
    ----------
    .. [1] sklearn.metrics.recall_score(pos_label=0); interval: Wilson (1927)

    Examples
    --------
    >>> from tidegauge import metrics
    >>> round(metrics.specificity([0, 1, 0, 1], [0, 1, 1, 1]).value, 6)
    0.5
    """
    return _classified(
        "specificity",
        y,
        predicted,
        sample_weight=sample_weight,
        alpha=alpha,
        design_effect=design_effect,
        block=block,
        threshold=threshold,
        pos_label=pos_label,
        binary=True,
    )[0][0]


def _flat(row: MetricResult) -> dict[str, Any]:
    fields = asdict(row)
    ci = fields.pop("ci")
    low, high = (None, None) if ci is None else ci
    return {**fields, "ci_low": low, "ci_high": high}


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(rows, infer_schema_length=None)


def _number(value: Any) -> float | None:
    """Read a JSON number; one that is not finite is a string."""
    return None if value is None else float(value)


def _result(answer: Mapping[str, Any], shared: Mapping[str, Any]) -> MetricResult:
    """A result from an answer of the core; without a number it is NaN with the reason as message."""
    value = _number(answer.get("value"))
    missing = value is None
    value = float("nan") if value is None else value
    low, high = _number(answer.get("ci_low")), _number(answer.get("ci_high"))
    return MetricResult(
        value=value,
        bound_low=value if missing else float(answer["bound_low"]),
        bound_high=value if missing else float(answer["bound_high"]),
        exactness="exact" if missing else answer["exactness"],
        ci=None if low is None or high is None else Interval(low, high),
        n=0 if missing else answer["n"],
        n_eff=0.0 if missing else float(answer["n_eff"]),
        value_if_no_change=_number(answer.get("value_if_no_change")),
        message=answer.get("message"),
        part=answer.get("part"),
        **shared,
    )


def _call(name: str, columns: dict[str, pl.Series], options: dict[str, Any]) -> list[MetricResult]:
    answer = json.loads(_core.metric(name, _table(columns), json.dumps(options)))
    rows = answer["coverage"]
    shared = {
        "definition": answer["definition"],
        "method": answer["method"],
        "unit": answer["unit"],
        "n_rows": rows["rows"],
        "n_unlabelled": rows["unlabelled"],
        "n_unpredicted": rows["unpredicted"],
        "label_coverage": float(rows["label_coverage"]),
    }
    told = [f"block: {n} blocks, design effect {float(effect):.3g}" for n, effect in answer["blocks"]]
    told = told or [_variance(options["design_effect"])] * len(answer["answers"])
    return [_result(one, {**shared, "variance": how}) for one, how in zip(answer["answers"], told, strict=True)]


def _variance(design_effect: float) -> str:
    return "iid" if design_effect == 1.0 else f"design effect {design_effect:g}"


def _table(columns: dict[str, pl.Series]) -> pl.DataFrame:
    import polars as pl

    lengths = {len(column): name for name, column in columns.items()}
    if len(lengths) > 1:
        told = " and ".join(f"{name} has {rows} rows" for rows, name in sorted(lengths.items()))
        raise UsageError(f"columns differ in length: {told}")
    return pl.DataFrame([column.rename(name).rechunk() for name, column in columns.items()])


def _weight(columns: dict[str, pl.Series], sample_weight: Any, block: Any = None, design_effect: float = 1.0) -> None:
    """Add the columns of weights and of blocks."""
    import polars as pl

    if block is not None:
        if design_effect != 1.0:
            raise UsageError(f"design_effect is {design_effect:g} beside block; one of both is accepted")
        blocks = _series("block", block)
        if blocks.null_count():
            raise UsageError(f"block is null in row {blocks.is_null().arg_max()}; each row has a block")
        columns["block"] = (blocks.rank("dense") - 1).cast(pl.UInt32)
    if sample_weight is None:
        return
    weight = _numbers("sample_weight", sample_weight)
    if weight.null_count():
        row = weight.is_null().arg_max()
        raise UsageError(f"sample_weight is null in row {row}; weights are finite and not negative")
    columns["weight"] = weight


def _series(name: str, values: Any) -> pl.Series:
    """One column; a list without any value has no type of its own."""
    import polars as pl

    from tidegauge.frames import to_series

    if isinstance(values, (list, tuple)) and all(value is None for value in values):
        return pl.Series(name, values, dtype=pl.Null)
    return to_series(name, values)


def _numbers(name: str, values: Any) -> pl.Series:
    """One column of floats, nulls kept."""
    import polars as pl

    series = _series(name, values)
    if series.dtype == pl.Null or series.dtype == pl.Boolean or series.dtype.is_numeric():
        return series.cast(pl.Float64)
    raise UsageError(f"{name} is {series.dtype}; numbers are accepted")


def _values(name: str, values: Any) -> pl.Series:
    """One column of class labels; NaN is null, categories are text."""
    import polars as pl

    series = _series(name, values)
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype.is_float():
        series = series.fill_nan(None)
    if series.dtype == pl.Boolean:
        series = series.cast(pl.Int8)
    if series.dtype == pl.Null:
        series = series.cast(pl.Int8)
    return series


def _classes(*columns: pl.Series, names: str = "labels and predictions") -> list[Any]:
    """The values that occur, ascending."""
    import polars as pl

    text = {column.dtype == pl.String for column in columns if column.null_count() < len(column)}
    if len(text) > 1:
        raise UsageError(f"{names} are text and numbers; classes of one kind are accepted")
    seen: set[Any] = set()
    for column in columns:
        seen.update(column.drop_nulls().unique().to_list())
    return sorted(seen)


def _told(values: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, values[:5]))
    return f"{shown}, ... ({len(values)} in all)" if len(values) > 5 else shown


def _codes(name: str, column: pl.Series, classes: Sequence[Any]) -> pl.Series:
    """Codes of the classes; a value that is none of them is refused by name."""
    import polars as pl

    known = pl.Series(list(classes), dtype=column.dtype, strict=False) if column.dtype != pl.Null else None
    # A cast that changes a class, as 0.5 to 0, would change rows.
    if known is None or known.to_list() != list(classes) or column.null_count() == len(column):
        unknown = column.is_not_null()
        if column.null_count() < len(column):
            position = {value: code for code, value in enumerate(classes)}
            codes = [None if v is None else position.get(v) for v in column.to_list()]
            made = pl.Series(name, codes, dtype=pl.UInt32)
            unknown = column.is_not_null() & made.is_null()
        else:
            made = pl.Series(name, [None] * len(column), dtype=pl.UInt32)
    else:
        made = column.replace_strict(known, list(range(len(classes))), default=None, return_dtype=pl.UInt32)
        unknown = column.is_not_null() & made.is_null()
    if unknown.any():
        row = int(unknown.arg_max() or 0)
        raise UsageError(f"{name} is {column[row]!r} in row {row}; the classes are {_told(list(classes))}")
    return made


def _refuse_scores(label: pl.Series, guess: pl.Series, labels: Sequence[Any] | None) -> None:
    """Refuse fractions where the classes are none: scores that lack a threshold."""
    if not guess.dtype.is_float():
        return
    classes = _classes(label) if labels is None else list(labels)
    if any(isinstance(c, float) and not c.is_integer() for c in classes):
        return
    fractions = (guess != guess.floor()).fill_null(False)
    if fractions.any():
        row = int(fractions.arg_max() or 0)
        raise UsageError(
            f"prediction is {guess[row]!r} in row {row}, and the classes are {_told(classes)}; "
            "accepted are predicted classes, or scores of the positive class with threshold="
        )


def _positive(classes: Sequence[Any], pos_label: Any, greater: bool) -> Any:
    """The positive class, by scikit-learn's rule: 1 of 0 and 1 or of -1 and 1, else as named."""
    if len(classes) > 2:
        raise UsageError(f"the label has {len(classes)} classes ({_told(list(classes))}); 2 are accepted")
    if pos_label is not None:
        if len(classes) == 2 and pos_label not in classes:
            raise UsageError(f"pos_label is {pos_label!r}; the classes are {_told(list(classes))}")
        return pos_label
    if set(classes) <= {0, 1} or set(classes) <= {-1, 1}:
        return 1
    if greater and len(classes) == 2:
        return classes[1]
    raise UsageError(f"the classes are {_told(list(classes))}; name the positive one as pos_label")


def _two(name: str, column: pl.Series, positive: Any) -> pl.Series:
    """1 for the positive class, 0 for the other."""
    import polars as pl

    if isinstance(positive, str) != (column.dtype == pl.String):
        return pl.Series(name, [None if v is None else 0 for v in column.to_list()], dtype=pl.UInt32)
    return column.to_frame().select((pl.col(column.name) == pl.lit(positive)).cast(pl.UInt32))[column.name]


def _matrix(score: Any) -> list[pl.Series] | None:
    """Columns of a two-dimensional score; None where it has one dimension."""
    import numpy as np

    shape = getattr(score, "shape", None)
    if shape is None and isinstance(score, (list, tuple)) and len(score) > 0 and isinstance(score[0], (list, tuple)):
        score = np.array(score, dtype=float)
        shape = score.shape
    if shape is None or len(shape) != 2:
        return None
    if hasattr(score, "to_numpy"):
        score = score.to_numpy()
    array = np.asarray(score, dtype=float)
    return [_numbers(f"score of class {k}", array[:, k]) for k in range(array.shape[1])]


def _scored(
    name: str,
    y: Any,
    score: Any,
    *,
    sample_weight: Any,
    pos_label: Any,
    alpha: float,
    design_effect: float,
    block: Any,
    labels: Sequence[Any] | None = None,
    greater: bool = False,
    several: bool = False,
    **options: Any,
) -> list[MetricResult]:
    """A metric of class labels and scores or probabilities."""
    label = _values("label", y)
    classes = _classes(label) if labels is None else list(labels)
    columns = _matrix(score)
    common = {"alpha": alpha, "design_effect": design_effect, **options}
    if several and (len(classes) > 2 or (columns is not None and len(columns) > 2)):
        if columns is None or len(columns) != len(classes):
            got = "one column" if columns is None else f"{len(columns)} columns"
            raise UsageError(
                f"the label has {len(classes)} classes ({_told(classes)}) and score {got}; "
                "one column of probabilities for each class is accepted, and labels= names classes that do not occur"
            )
        table = {"label": _codes("label", label, classes)}
        table |= {f"p{k}": column for k, column in enumerate(columns)}
        _weight(table, sample_weight, block, design_effect)
        return _call(name, table, {"task": "multiclass", "classes": len(classes), **common})
    if labels is not None:
        _codes("label", label, classes)
    positive = _positive(classes, pos_label, greater)
    if columns is None:
        values = _numbers("score", score)
    elif len(columns) == 2:
        values = columns[0 if len(classes) == 2 and positive == classes[0] else 1]
    else:
        raise UsageError(f"score has {len(columns)} columns; 1, or 2 for two classes, are accepted")
    common.pop("average", None)
    table = {"label": _two("label", label, positive), "prediction": values}
    _weight(table, sample_weight, block, design_effect)
    return _call(name, table, {"task": "binary", **common})


def _classified(
    name: str,
    y: Any,
    predicted: Any,
    *,
    sample_weight: Any,
    alpha: float,
    design_effect: float,
    block: Any = None,
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    threshold: float | None = None,
    binary: bool = False,
    **options: Any,
) -> tuple[list[MetricResult], list[Any]]:
    """A metric of class labels and predicted classes, and the classes in the order of their codes."""
    import polars as pl

    label = _values("label", y)
    if threshold is not None:
        scores = _numbers("prediction", predicted)
        classes = _classes(label) if labels is None else list(labels)
        positive = _positive(classes, pos_label, False)
        other = next((c for c in classes if c != positive), f"not {positive}")
        guess = (scores.fill_nan(None) >= threshold).cast(pl.UInt32)
        table = {"label": _two("label", label, positive), "prediction": guess}
        classes = [other, positive]
    else:
        guess = _values("prediction", predicted)
        if not binary:
            _refuse_scores(label, guess, labels)
        classes = _classes(label, guess) if labels is None else list(labels)
        if binary:
            if len(classes) > 2 and labels is None and guess.dtype.is_float():
                raise UsageError(
                    f"labels and predictions have {len(classes)} values ({_told(classes)}); "
                    "2 classes are accepted, and scores with threshold="
                )
            positive = _positive(classes, pos_label, False)
            classes = [next((c for c in classes if c != positive), f"not {positive}"), positive]
            table = {"label": _two("label", label, positive), "prediction": _two("prediction", guess, positive)}
        else:
            if len(classes) == 1:
                classes = [*classes, f"not {classes[0]}"]
            table = {"label": _codes("label", label, classes), "prediction": _codes("prediction", guess, classes)}
    _weight(table, sample_weight, block, design_effect)
    task = {"task": "binary"} if len(classes) == 2 else {"task": "multiclass", "classes": max(len(classes), 2)}
    return _call(name, table, {**task, "alpha": alpha, "design_effect": design_effect, **options}), classes


def _regressed(
    name: str,
    y: Any,
    prediction: Any,
    *,
    sample_weight: Any,
    alpha: float,
    design_effect: float,
    block: Any,
    **options: Any,
) -> list[MetricResult]:
    """A metric of numbers."""
    table = {"label": _numbers("label", y), "prediction": _numbers("prediction", prediction)}
    _weight(table, sample_weight, block, design_effect)
    return _call(name, table, {"task": "regression", "alpha": alpha, "design_effect": design_effect, **options})


def _grouped(
    label: pl.Series,
    predicted: pl.Series,
    codes: pl.Series,
    groups: list[Any],
    reference: Any,
    *,
    sample_weight: Any,
    alpha: float,
    design_effect: float,
) -> GroupFairness:
    """Rates by group from codes."""
    table = {"label": label, "prediction": predicted, "group": codes}
    _weight(table, sample_weight)
    options = {
        "task": "binary",
        "groups": len(groups),
        "reference": None if reference is None else groups.index(reference),
        "alpha": alpha,
        "design_effect": design_effect,
    }
    answer = json.loads(_core.fairness(_table(table), json.dumps(options)))
    made = []
    for found in answer["groups"]:
        rows, unlabelled, unpredicted = found["rows"], found["unlabelled"], found["unpredicted"]
        shared = {
            "definition": answer["definition"],
            "n_rows": rows,
            "n_unlabelled": unlabelled,
            "n_unpredicted": unpredicted,
            "label_coverage": (rows - unlabelled) / rows if rows else float("nan"),
            "variance": _variance(design_effect),
        }
        rates: dict[str, Any] = {
            name: _result(found[name], {**shared, "method": method, "unit": unit})
            for name, (method, unit) in _RATES.items()
        }
        made.append(
            GroupMetrics(
                group=groups[found["group"]],
                n_rows=rows,
                n_unlabelled=unlabelled,
                n_unpredicted=unpredicted,
                **rates,
            )
        )
    return GroupFairness(groups[answer["reference"]], tuple(made), answer["ungrouped"])
