"""Permutation importance: exact for tree ensembles and linear models, by permutation for any other.

The importance of a feature is the mean loss when each row takes the feature from another row, less
the loss with every value in place: positive where the model relies on the feature. With
``method="exact"`` every pair of rows is counted, so the answer has no random part; the interval says
how far another sample of rows would differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl

    from tidegauge._blocks import Blocks
    from tidegauge._importance_weights import Weights
    from tidegauge._models import Linear, Multinomial, ReadModel, Table, Trees
    from tidegauge._support import AssociatedGroup

    Floats = npt.NDArray[np.float64]

Method = Literal["auto", "exact", "permutation"]
Generator = Literal["keyed", "scikit-learn"]
Predictions = Literal["auto", "library"]

EXACT = "permutation_importance/all-pairs/v1"
PERMUTATION = "permutation_importance/permutation/v1"

#: scikit-learn's names of scorings that are means over rows, and their losses.
LOSSES = {
    "accuracy": "zero_one",
    "neg_brier_score": "brier",
    "neg_log_loss": "log_loss",
    "neg_mean_absolute_error": "absolute",
    "neg_mean_gamma_deviance": "gamma_deviance",
    "neg_mean_pinball_loss": "pinball",
    "neg_mean_poisson_deviance": "poisson_deviance",
    "neg_mean_squared_error": "squared",
    "r2": "squared",
}


#: Losses of labels that are classes.
CLASSES = ("brier", "log_loss", "zero_one")
#: What the core tells of each feature.
KEYS = ("importance", "standard_error", "standard_error_iid", "low", "high", "pvalue", "freedom", "most_freedom")
#: Rows of a batch of files.
BATCH = 1 << 16


@dataclass(frozen=True, kw_only=True, eq=False)
class ImportanceResult:
    """Importances of all features, in the order of the columns.

    Attributes
    ----------
    features : list of str
        Names of the features, or of the groups.
    importances_mean : numpy.ndarray, shape (n_features,)
        Loss with the feature taken from another row, less the loss as it is. Of ``method="exact"``
        the mean over all pairs of different rows; 0 exactly where the model does not use the feature.
    importances_std : numpy.ndarray, shape (n_features,)
        Standard deviation over repeats; 0 of ``method="exact"``, which has none.
    importances : numpy.ndarray, shape (n_features, n_repeats), or None
        The repeats; None of ``method="exact"``.
    standard_error : numpy.ndarray, shape (n_features,)
        Of the U-statistic: what another sample of rows (or of blocks of rows), as donors too, would
        change. NaN where the scoring is no mean over rows.
    interval : numpy.ndarray, shape (n_features, 2)
        Two-sided interval of level ``1 - alpha``: Student's, bent by the skewness of what each row
        contributes, with the degrees of freedom that its kurtosis leaves.
    pvalue, qvalue : numpy.ndarray, shape (n_features,)
        Against an importance of at most 0, one-sided; Benjamini-Hochberg over the features. NaN for
        features that the model does not use.
    baseline : float
        The mean loss as it is of ``method="exact"``, else the score.
    scoring, definition, method : str
        What was measured: the scoring, the versioned id of its definition, and ``exact`` or
        ``permutation``.
    n_rows : int
        Rows that were used, as rows and as donors.
    weighted_rows : float or None
        Rows of equal weight that would have as many pairs, the squared sum of the weights over the sum of
        their squares (Kish); None without `sample_weight`.
    variance : str
        What the standard errors take for independent: ``iid`` rows, or ``block`` with its column.
    n_blocks : int or None
        Blocks, where there are any.
    n_eff : numpy.ndarray, shape (n_features,)
        Independent rows that would give the same standard error: `n_rows` without blocks.
    freedom : numpy.ndarray, shape (n_features,)
        Degrees of freedom of the standard error.
    block_freedom : float
        One less than the blocks, where they differ counted by the squares of their rows; NaN without.
    correlated : list of list of (str, float)
        For each feature the others whose association with it is at least .7, the closest first: the size
        of the rank correlation of two numbers, the root of the adjusted correlation ratio of a number's
        ranks and a category, the corrected Cramer's V of two categories; of groups the largest of two
        members. On at most 4,096 rows.
    outside, outside_error : numpy.ndarray, shape (n_features,)
        Share of permuted rows outside the data, 0 to 1, and its standard error (0 where all rows were
        looked at): the donor's value and some other value of the row lie in cells (about tenths of each
        feature) that share at most a twentieth of the rows that independence would put there. Over all
        pairs of row and donor; of groups over permutations. NaN below 80 rows.
    associated_groups : list of AssociatedGroup
        Features of which any two have an association of at least .7, taken from another row together;
        none where `groups` were given.
    notes : list of str
        Why a method was chosen, and what was left out.
    provenance : dict
        Seed and generator, digest of the sums, and the comparison with the library's predictions; of
        ``method="exact"`` a digest of the model.
    scale : float
        What the mean loss was divided by: the variance of the labels of ``r2``, else 1.
    responses : list of (counts, change) or None, or None
        Of trees: for each feature the rows in each cell that the model tells apart, and the mean change
        of loss under a donor of the cell, NaN where no row has it; None of features it does not use.
    """

    features: list[str]
    importances_mean: Floats
    importances_std: Floats
    importances: Floats | None
    standard_error: Floats
    interval: Floats
    pvalue: Floats
    qvalue: Floats
    baseline: float
    scoring: str
    definition: str
    method: str
    n_rows: int
    alpha: float
    correlated: list[list[tuple[str, float]]] = field(default_factory=list)
    outside: Floats | None = None
    outside_error: Floats | None = None
    associated_groups: list[AssociatedGroup] = field(default_factory=list)
    variance: str = "iid"
    n_blocks: int | None = None
    n_eff: Floats | None = None
    freedom: Floats | None = None
    block_freedom: float = float("nan")
    notes: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    responses: list[tuple[list[int], list[float]] | None] | None = None
    weighted_rows: float | None = None

    @property
    def expected_permutation(self) -> Floats:
        """What the mean over all permutations of the rows is: a row may draw itself there.

        With `sample_weight` the mean over donors drawn by weight, each row's own included. Under a score that
        is no mean over rows the mean over permutations has no such form, and this is `importances_mean`.
        """
        if self.method == "permutation" or self.definition != EXACT:
            return self.importances_mean
        return self.importances_mean * (1.0 - 1.0 / (self.weighted_rows or self.n_rows))

    @property
    def ratio(self) -> Floats:
        """The loss with the feature from another row over the loss as it is, shape (n_features,).

        NaN for scorings that are no minus or one minus a loss, and where there is no loss.
        """
        found: Floats = self.ratio_of(self.importances_mean)
        return found

    def ratio_of(self, importance: Any) -> Any:
        """The ratio that belongs to a difference of losses, as that of an associated group."""
        import numpy as np

        from tidegauge._plug_in import ROOTS

        loss = self.baseline / self.scale
        if self.scoring in ROOTS:
            loss = -self.baseline
        elif self.scoring not in LOSSES:
            loss = float("nan")
        elif self.method == "permutation":
            loss = (1.0 if self.scoring in ("accuracy", "r2") else 0.0) - self.baseline
        return 1.0 + np.asarray(importance) / loss if loss > 0.0 else np.full(np.shape(importance), np.nan)

    def to_polars(self) -> pl.DataFrame:
        """One row a feature, the most important first, and above features that go together one of their group.

        ``kind`` is ``feature`` or ``group``; ``group`` is the name of the group that a feature is in.
        """
        import polars as pl

        from tidegauge._support import ordered

        nothing = [float("nan")] * len(self.features)
        outside = nothing if self.outside is None else self.outside
        n_eff = nothing if self.n_eff is None else self.n_eff
        rows = []
        for k, i in ordered(self):
            group = None if k is None else self.associated_groups[k]
            if i is None and group is not None:
                found = {
                    "feature": group.name, "kind": "group", "group": None, "importance": group.importance,
                    "standard_error": group.standard_error, "ci_low": group.interval[0],
                    "ci_high": group.interval[1], "pvalue": group.pvalue, "qvalue": group.qvalue,
                    "outside": group.outside, "n_eff": float("nan"),
                    "correlated": f"any two {group.association:.2f} or more", "method": group.method,
                }  # fmt: skip
            elif i is not None:
                found = {
                    "feature": self.features[i], "kind": "feature", "group": None if group is None else group.name,
                    "importance": float(self.importances_mean[i]),
                    "standard_error": float(self.standard_error[i]), "ci_low": float(self.interval[i, 0]),
                    "ci_high": float(self.interval[i, 1]), "pvalue": float(self.pvalue[i]),
                    "qvalue": float(self.qvalue[i]), "outside": float(outside[i]), "n_eff": float(n_eff[i]),
                    "correlated": ", ".join(f"{n} {r:.2f}" for n, r in self.correlated[i]) if self.correlated else "",
                    "method": self.method,
                }  # fmt: skip
            rows.append(found | {"ratio": float(self.ratio_of(found["importance"]))})
        text = {"feature", "kind", "group", "correlated", "method"}
        order = (
            "feature", "kind", "group", "importance", "ratio", "standard_error", "ci_low", "ci_high", "pvalue",
            "qvalue", "n_eff", "outside", "correlated", "method",
        )  # fmt: skip
        frame = pl.DataFrame(rows, schema={name: pl.String if name in text else pl.Float64 for name in order})
        return frame.with_columns(
            scoring=pl.lit(self.scoring), definition=pl.lit(self.definition), variance=pl.lit(self.variance)
        )

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas frame; needs the extra ``pandas``."""
        try:
            import pandas as pd
        except ImportError:
            raise UsageError("to_pandas needs pandas; install tidegauge[pandas]") from None
        return pd.DataFrame(self.to_polars().to_dict(as_series=False))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows of :meth:`to_polars` as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        lines = [f"{self.method} permutation importance, {self.scoring}, {self.n_rows:,} rows, {self.variance}"]
        shown = self.to_polars()
        for row in shown.head(12).iter_rows(named=True):
            inset = "  " if row["group"] is not None else ""
            told = f"  {row['importance']: .6g}  [{row['ci_low']: .4g}, {row['ci_high']: .4g}]  {inset}{row['feature']}"
            lines.append(f"{told}  ({row['outside']:.0%} outside the data)" if row["outside"] >= 0.05 else told)
        if shown.height > 12:
            lines.append(f"  and {shown.height - 12} more; .to_polars() has all")
        return "\n".join(lines)


def permutation_importance(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    method: Method = "auto",
    scoring: Any = None,
    n_repeats: int = 5,
    random_state: Any = None,
    generator: Generator = "keyed",
    sample_weight: Any = None,
    max_rows: int | None = None,
    groups: Mapping[str, Sequence[str | int]] | None = None,
    conditional_on: Any = None,
    block: Any = None,
    alpha: float = 0.05,
    n_threads: int = 0,
    memory: int = 1 << 30,
    allow_pickle: bool = False,
    predictions: Predictions = "auto",
) -> Any:
    """How much worse a model scores when a feature is taken from other rows.

    Parameters
    ----------
    model : estimator, Booster, session, callable or path
        scikit-learn, LightGBM, XGBoost and CatBoost estimators and Boosters, pipelines, sessions of ONNX
        Runtime; any object with ``predict``; a function from `X` to predictions (of classes the
        probability of the second, or of each); a file of LightGBM, XGBoost, CatBoost or ONNX, JSON of a linear
        model's coefficients, or ``.joblib`` and ``.pkl`` (with `allow_pickle`). A prediction must not
        depend on the other rows; where it does all rows are predicted at once, and `notes` says so.
    X : pandas or Polars frame, Arrow table, numpy array, dictionary of columns, LazyFrame or paths
        What the model predicts from, shape (n, n_features); it is not changed, and the model gets the same
        container with the same types. Columns go to a model that knows names by name, in its order.
        Paths and globs of Parquet files and LazyFrames are read in batches and never held; a function is
        then called with Polars frames, estimators with pandas frames, or arrays if fitted without names.
    y : array-like, shape (n,), or str
        Labels; of files and LazyFrames the name of their column. Rows without a label are left out there,
        and `notes` counts them. None with ``scoring="prediction_change"``.
    method : {"auto", "exact", "permutation"}
        ``"exact"`` counts every pair of rows and takes tree ensembles and linear models, also behind
        a pipeline whose steps keep columns apart: importances are those of the raw columns.
        ``"permutation"`` takes anything;
        ``"auto"`` is exact where that is possible, and ``notes`` says why where it is not.
    scoring : str, callable, list of str or dict, optional
        A name of scikit-learn, a scorer ``(model, X, y) -> float``, or, for a function as model,
        ``(y, predictions) -> float``. By default accuracy for classifiers, else R². Exact are
        accuracy, neg_brier_score, neg_log_loss, neg_mean_absolute_error, neg_mean_gamma_deviance,
        neg_mean_pinball_loss, neg_mean_poisson_deviance, neg_mean_squared_error, r2 and
        ``"prediction_change"``, the mean squared change of the prediction, which needs no label. Of trees and
        two classes, average_precision, balanced_accuracy, f1, matthews_corrcoef, precision, recall and roc_auc
        are those of expected counts over all pairs, and neg_root_mean_squared_error is the root of the
        expected mean: off the mean over permutations in the order of 1 / n, and without a standard error.
        Several, as a list or by name, are scored on the same predictions; the result is then
        a dictionary of results by name.
    n_repeats : int
        Permutations of each feature; not used by ``"exact"``.
    random_state : int, numpy.random.RandomState or Generator, optional
        Seed; a generator is copied, not advanced. 0 by default.
    generator : {"keyed", "scikit-learn"}
        Permutations keyed by seed, feature name and repeat, or those that scikit-learn would draw; with these
        ``"auto"`` is ``"permutation"``.
    sample_weight : array-like, shape (n,), optional
        Weights from 0, of files and LazyFrames the name of a column. ``"exact"`` takes the mean over pairs of
        different rows by the product of their weights, so that a row counts by its weight as a donor too;
        ``"permutation"`` hands them to the scorer, and every row is a donor as often.
    max_rows : int, optional
        Use this many rows, chosen by `random_state`; the same ones with and without permutation.
    groups : mapping of name to features, optional
        Features that are taken from the same other row, by name or position; they replace single features.
    conditional_on : str, list of str or array-like, optional
        Columns of X, or one value a row: donors are of the row's own subgroup, and the importance is the
        mean over subgroups by their rows. At most 1,024 subgroups; a row alone in one does not change.
    block : str or array-like, shape (n,), optional
        What rows that hang together have in common: one key for each row, or the name of a column of `X`
        (of files the only form), which the model is then not given. Of times the day counts. Standard errors
        are those of whole blocks, of which 20 are few; of more than 1,024
        neighbours in the order of their keys are one.
    alpha : float
        One minus the level of the intervals.
    n_threads : int
        Threads of ``"exact"``, 0 for one a processor; the answer does not depend on it.
    memory : int
        Bytes that batches of rows, donors and predictions may take beside the data, about. The answer does
        not depend on it.
    allow_pickle : bool
        Whether a path may be unpickled, which runs what the file says.
    predictions : {"auto", "library"}
        Who predicts permuted rows in memory for ``"permutation"``: trees as they were read, where all their
        predictions of the rows as they are agree with the library's as closely as ``"exact"`` asks for, or
        always the library. With ``generator="scikit-learn"`` it is the library.

    Returns
    -------
    ImportanceResult, or dict of str to ImportanceResult
        A dictionary by name of scoring where `scoring` is a list or dictionary.

    Raises
    ------
    UsageError
        If an argument is out of range, a column is missing, the model is none or was not fitted or predicts NaN,
        `method` is ``"exact"`` and the model or scoring has no exact form, or the model as read does not
        predict what its library does.
    InputError
        If there is no such file.

    References
    ----------
    .. [1] Fisher, Rudin, Dominici (2019), "All models are wrong, but many are useful", JMLR 20:177

    Examples
    --------
    >>> import tidegauge as tg
    >>> rows = {"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.0, 1.0]}
    >>> found = tg.permutation_importance(lambda x: 2 * x["a"], rows, [2.0, 4.0, 6.0, 8.0],
    ...                                   scoring="neg_mean_squared_error")
    >>> float(found.importances_mean[1])
    0.0
    """
    from tidegauge import _blocks, _models, _permutation, _support
    from tidegauge._scorers import scorings_of

    if method not in ("auto", "exact", "permutation"):
        raise UsageError(f"method {method!r}; accepted are auto, exact, permutation")
    _check_level(alpha)
    if predictions not in ("auto", "library"):
        raise UsageError(f"predictions {predictions!r}; accepted are auto and library")
    if generator not in ("keyed", "scikit-learn"):
        raise UsageError(f"generator {generator!r}; accepted are keyed and scikit-learn")
    if generator == "scikit-learn" and method == "exact":
        raise UsageError("generator 'scikit-learn' with method 'exact', which draws nothing; accepted is keyed")
    for name, given, least in (("n_repeats", n_repeats, 1), ("n_threads", n_threads, 0), ("memory", memory, 1 << 20)):
        _check_whole(name, given, least)
    if max_rows is not None:
        _check_whole("max_rows", max_rows, 2)
    check_groups(groups)
    _permutation.seed_of(random_state)
    several = scorings_of(scoring)
    scorings = {"": scoring} if several is None else several
    model = _models.load(model, allow_pickle=allow_pickle)
    data: Table | pl.LazyFrame | None = _models.lazy_frame(X)
    if data is None:
        data = _models.Table(X)
        if isinstance(y, str):
            raise UsageError(f"y is {y!r}; of a table in memory it is one label a row, not the name of a column")
        if data.rows < 2:
            raise UsageError(f"X has {data.rows} rows; at least 2 are needed")
        if not data.names:
            raise UsageError("X has no columns; at least 1 is needed")
    if max_rows is not None:
        data, y, sample_weight, conditional_on, block = _some_rows(
            data, y, sample_weight, conditional_on, block, max_rows, _permutation.seed_of(random_state)
        )
    if block is not None and conditional_on is not None:
        raise UsageError("block with conditional_on has no standard error; one of them is accepted")
    data, blocks = _blocks.given(block, data, y)
    options: dict[str, Any] = {
        "n_repeats": n_repeats, "random_state": random_state, "generator": generator, "sample_weight": sample_weight,
        "conditional_on": conditional_on, "alpha": alpha, "n_threads": n_threads, "memory": memory, "blocks": blocks,
        "predictions": predictions,
    }  # fmt: skip
    found = _measured(model, data, y, method, scorings, groups, **options)
    support = _support.of(data, y, sample_weight, groups, next(iter(found.values())))
    if support is not None:

        def again(some: dict[str, list[str]]) -> dict[str, ImportanceResult]:
            """The same of features that go together."""
            return _measured(model, data, y, "auto" if method == "exact" else method, scorings, some, **options)

        whole = groups is None and isinstance(data, _models.Table)
        found = _support.described(found, support, again if whole else None, groups is None)
    return found[""] if several is None else {name: found[name] for name in scorings}


def _check_level(alpha: Any) -> None:
    if isinstance(alpha, bool) or not isinstance(alpha, Real) or not 0.0 < float(alpha) < 1.0:
        raise UsageError(f"alpha {alpha!r}; accepted is a number between 0 and 1")


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UsageError(f"{name} {value!r}; accepted is a whole number from {least:,}")


def check_groups(groups: Any) -> None:
    """Refuse groups that are no mapping.

    Raises
    ------
    UsageError
        If they are none.
    """
    from collections.abc import Mapping

    if groups is not None and not isinstance(groups, Mapping):
        raise UsageError(f"groups is a {type(groups).__name__}; accepted is a mapping of names to lists of features")


def _measured(
    model: Any,
    data: Table | pl.LazyFrame,
    y: Any,
    method: Method,
    scorings: Mapping[str, Any],
    groups: Mapping[str, Sequence[str | int]] | None,
    *,
    n_repeats: int,
    random_state: Any,
    generator: Generator,
    sample_weight: Any,
    conditional_on: Any,
    alpha: float,
    n_threads: int,
    memory: int,
    blocks: Blocks | None,
    predictions: Predictions,
) -> dict[str, ImportanceResult]:
    """Importances by name of scoring, exact where that is possible."""
    from tidegauge import _importance_weights, _models, _permutation

    found: dict[str, ImportanceResult] = {}
    reasons: dict[str, str] = {}
    # Weights that nothing accepts are no reason for another method.
    weights = _importance_weights.of_rows(sample_weight, data.rows) if isinstance(data, _models.Table) else None
    if generator == "scikit-learn":
        reasons = dict.fromkeys(scorings, "the permutations of scikit-learn were asked for") if method == "auto" else {}
    elif method != "permutation":
        for name, one in scorings.items():
            try:
                if callable(one):
                    raise UsageError("a function as scoring has no exact form")
                read = _models.read(model)
                if isinstance(data, _models.Table):
                    found[name] = _exact(read, data, y, one, alpha, n_threads, groups, conditional_on, blocks, weights)
                else:
                    found[name] = _exact_stream(
                        read, data, y, one, alpha, n_threads, groups, conditional_on, blocks, sample_weight
                    )
            except UsageError as error:
                if method == "exact" or isinstance(error, _models.MismatchError):
                    raise
                reasons[name] = str(error)
    if rest := {name: one for name, one in scorings.items() if name not in found}:
        found |= _permutation.run(
            model,
            data,
            y,
            scorings=rest,
            n_repeats=n_repeats,
            random_state=random_state,
            generator=generator,
            sample_weight=sample_weight,
            groups=groups,
            conditional_on=conditional_on,
            alpha=alpha,
            memory=memory,
            notes={name: [f"by permutation: {reason}"] for name, reason in reasons.items()},
            blocks=blocks,
            predictions=predictions,
        )
    return found


def _some_rows(
    data: Table | pl.LazyFrame, y: Any, sample_weight: Any, conditional_on: Any, block: Any, wanted: int, seed: int
) -> tuple[Table | pl.LazyFrame, Any, Any, Any, Any]:
    """Rows chosen by the seed; those of files are then held."""
    import polars as pl

    from tidegauge import _models, _permutation

    if not isinstance(data, _models.Table):
        if not isinstance(y, str):
            raise UsageError(f"y is {type(y).__name__}; of files and LazyFrames it is the name of the label column")
        data = data.filter(labelled(data, y))
        rows = int(data.select(pl.len()).collect().item())
        if wanted < rows:
            chosen = pl.LazyFrame({"row": _permutation.sample(rows, wanted, seed)}, schema={"row": pl.UInt32})
            index = "tidegauge row"
            numbered = data.with_row_index(index)
            data = numbered.join(chosen, left_on=index, right_on="row", how="semi").sort(index).drop(index)
            data = data.collect(engine="streaming").lazy()
        return data, y, sample_weight, conditional_on, block
    if wanted >= data.rows:
        return data, y, sample_weight, conditional_on, block
    kept = _permutation.sample(data.rows, wanted, seed)

    def some(values: Any) -> Any:
        is_names = values is None or isinstance(values, str)
        is_names |= isinstance(values, list) and all(isinstance(v, str) and v in data.names for v in values)
        return values if is_names else _models.take(values, kept)

    return data.take(kept), some(y), some(sample_weight), some(conditional_on), some(block)


#: A unit that is exchanged as one: its name, and features of the model.
Unit = tuple[str, list[int]]


def _exact(
    read: ReadModel,
    table: Table,
    y: Any,
    scoring: str | None,
    alpha: float,
    n_threads: int,
    groups: Mapping[str, Sequence[str | int]] | None,
    conditional_on: Any,
    blocks: Blocks | None,
    weights: Weights | None,
) -> ImportanceResult:

    from tidegauge import _permutation

    scoring = _scoring(read, scoring)
    if weights is not None and conditional_on is not None:
        raise UsageError("sample_weight with conditional_on has no exact form")
    columns = read.columns(table)
    labels = _labels(read, y, scoring, columns)
    if len(labels) != table.rows:
        raise UsageError(f"y has {len(labels)} rows, X {table.rows}")
    checked = read.check(table, columns)
    units = read.units(table)
    strata, told = _permutation.strata_of(
        conditional_on, lambda name: table.column(table.names.index(name)), table.names
    )
    if strata is not None and len(strata) != table.rows:
        raise UsageError(f"conditional_on has {len(strata)} rows, X {table.rows}")
    loss = _loss(scoring)
    if loss is None and strata is not None:
        raise UsageError(f"conditional_on with scoring {scoring!r} has no exact form")
    codes = None if blocks is None else blocks.codes
    found: dict[str, Any] = {}
    notes: list[str] = []
    for layer, reported in _layers(units, groups, len(columns)):
        if strata is None:
            part = _of_rows(
                read, layer, loss or scoring, columns, labels, alpha, n_threads, codes, weights=weights, notes=notes
            )
        else:
            assert loss is not None
            part = _of_strata(read, layer, loss, columns, labels, alpha, n_threads, strata, notes)
            part["provenance"]["conditional_on"] = told
        _add(found, part, reported)
    # R² is one minus the squared error over the variance of the labels, which no permutation changes.
    spread = _variance(labels, None if weights is None else weights.values) if scoring == "r2" else 1.0
    names = [name for name, _ in units] if groups is None else [str(name) for name in groups]
    return _result(read, names, found, scoring, alpha, len(labels), spread, checked, blocks, notes)


def _loss(scoring: str) -> str | None:
    """The loss whose mean a scoring is, or is a function of; None of scores of expected counts."""
    from tidegauge._plug_in import ROOTS
    from tidegauge._scorers import CHANGE

    if scoring in ROOTS:
        return ROOTS[scoring][0]
    return "squared" if scoring == CHANGE else LOSSES.get(scoring)


def _exact_stream(
    read: ReadModel,
    lazy: pl.LazyFrame,
    y: Any,
    scoring: Any,
    alpha: float,
    n_threads: int,
    groups: Mapping[str, Sequence[str | int]] | None,
    conditional_on: Any,
    blocks: Blocks | None,
    sample_weight: Any,
) -> ImportanceResult:
    """Two passes over batches of rows, three with blocks; the sums do not depend on how the rows come."""
    import polars as pl

    from tidegauge import _importance_weights
    from tidegauge._models import Table, Trees
    from tidegauge._scorers import CHANGE

    if not isinstance(read, Trees):
        raise UsageError("files and LazyFrames take tree ensembles; read the table first for other models")
    if conditional_on is not None:
        raise UsageError("conditional_on of files and LazyFrames has no exact form; read the table first")
    scoring = _scoring(read, scoring)
    if not isinstance(y, str) and not (y is None and scoring == CHANGE):
        raise UsageError(f"y is {type(y).__name__}; of files and LazyFrames it is the name of the label column")
    loss = _loss(scoring)
    if loss is None:
        raise UsageError(f"scoring {scoring!r} of files and LazyFrames has no exact form; read the table first")
    present = None if y is None else labelled(lazy, y)
    weights = _importance_weights.of_column(sample_weight, lazy if present is None else lazy.filter(present))

    def batches() -> Iterator[tuple[Table, list[Floats], Floats, Any, Any]]:
        some = lazy if present is None else lazy.filter(present)
        for frame in some.collect_batches(chunk_size=BATCH, maintain_order=False):
            if not frame.height:
                continue
            codes = None
            if blocks is not None and blocks.name is not None:
                codes, frame = blocks.known.codes(frame[blocks.name]), frame.drop(blocks.name)
            weight = None
            if weights is not None and weights.name is not None:
                weight = frame[weights.name].cast(pl.Float64).to_numpy()
                frame = frame.drop(weights.name)
            table = Table(read.shape(frame if y is None else frame.drop(y)))
            columns = read.columns(table)
            yield table, columns, _labels(read, None if y is None else frame[y], scoring, columns), codes, weight

    first, checked = None, None
    for table, columns, *_ in batches():
        first, checked = (table, columns), read.check(table, columns)
        break
    if first is None or checked is None:
        raise UsageError(f"no row has a label in {y!r}")
    spread = 1.0
    if scoring == "r2" and present is not None:
        name = None if weights is None else weights.name
        held = lazy.filter(present).select(y, *([] if name is None else [name])).collect()
        weight = None if name is None else held[name].cast(pl.Float64).to_numpy()
        spread = _variance(read.labels(held.to_series(0), classes=False), weight)
    units = read.units(first[0])
    found: dict[str, Any] = {}
    rows = 0
    for layer, reported in _layers(units, groups, len(first[1])):
        trees, encode = joined(read, layer, (columns for _, columns, *_ in batches()))
        donors = _core.Donors(trees, loss, 0.5, None if weights is None else weights.unit)
        for _, columns, labels, _, weight in batches():
            donors.update(encode(columns), labels, weight)
        sums = _core.ImportanceSums(donors)
        for _, columns, labels, codes, weight in batches():
            sums.update(encode(columns), labels, n_threads, codes, weight)
        if blocks is not None:
            for _, columns, _, codes, weight in batches():
                sums.update_donors(encode(columns), codes, weight)
        rows = sums.rows
        _add(found, _chosen(_finished(read, trees, sums, alpha), layer, encode), reported)
    notes = []
    if present is not None and (missing := int(lazy.select((~present).sum()).collect().item())):
        notes.append(f"{missing:,} rows without a label in {y!r} are left out")
    names = [name for name, _ in units] if groups is None else [str(name) for name in groups]
    return _result(read, names, found, scoring, alpha, rows, spread, checked, blocks, notes)


def _variance(labels: Floats, weights: Floats | None = None) -> float:
    """The variance of the labels, by weight, whose sums are rounded once: their order does not matter.

    Raises
    ------
    UsageError
        If it is 0.
    """
    import math

    if weights is None:
        mean = math.fsum(labels) / len(labels)
        found = math.fsum((labels - mean) ** 2) / len(labels)
    else:
        total = math.fsum(weights)
        mean = math.fsum(weights * labels) / total
        found = math.fsum(weights * (labels - mean) ** 2) / total
    if found == 0.0:
        raise UsageError("r2 of labels that are all equal; choose neg_mean_squared_error")
    return found


def _labels(read: ReadModel, y: Any, scoring: str, columns: list[Floats]) -> Floats:
    """Labels as numbers; of `prediction_change` the predictions with every value in place."""
    from tidegauge._scorers import CHANGE

    if scoring == CHANGE:
        found = read.compute(columns)
        if found.ndim != 1 or len(found) != len(columns[0]):
            raise UsageError(f"{CHANGE} of more than two classes has no exact form")
        return found.copy()
    if y is None:
        raise UsageError(f"y is None, which scoring={CHANGE!r} alone accepts")
    return read.labels(y, classes=_loss(scoring) in (None, *CLASSES))


def _layers(
    units: list[Unit], groups: Mapping[str, Sequence[str | int]] | None, features: int
) -> Iterator[tuple[list[Unit], list[int] | None]]:
    """Units of a pass over the rows, which share no feature, and which of the results they are; None for all.

    Raises
    ------
    UsageError
        If a group is none.
    """
    from tidegauge._permutation import units_of

    if groups is None:
        yield units, None
        return
    members = units_of([name for name, _ in units], groups).items()
    yield from disjoint(
        [(name, sorted({k for j in columns for k in units[j][1]})) for name, columns in members], features
    )


def disjoint(units: Sequence[Unit], features: int) -> Iterator[tuple[list[Unit], list[int]]]:
    """Units in layers that share no feature, and which units are the first of a layer."""
    waiting = dict(enumerate(units))
    while waiting:
        layer: list[Unit] = []
        reported: list[int] = []
        taken: set[int] = set()
        for i, (name, members) in list(waiting.items()):
            if taken.isdisjoint(members):
                taken.update(members)
                layer.append((name, members))
                reported.append(i)
                del waiting[i]
        # What is in no unit of this layer stays a feature, and is not reported.
        layer += [(f"\x1f{k}", [k]) for k in range(features) if k not in taken]
        yield layer, reported


def _add(found: dict[str, Any], part: dict[str, Any], reported: list[int] | None) -> None:
    """Puts the results of a pass where they belong."""
    if reported is None:
        found.update(part)
        return
    for key, values in part.items():
        if isinstance(values, list):
            into = found.setdefault(key, [])
            into.extend([None] * (max(reported) + 1 - len(into)))
            for at, value in zip(reported, values, strict=False):
                into[at] = value
        elif key == "provenance" and key in found:
            found[key] = found[key] | {
                "sums": _core.blake3((found[key].get("sums", "") + values.get("sums", "")).encode())
            }
        else:
            found[key] = values


def _of_rows(
    read: ReadModel,
    layer: list[Unit],
    loss: str,
    columns: list[Floats],
    labels: Floats,
    alpha: float,
    n_threads: int,
    codes: Any = None,
    *,
    weights: Weights | None = None,
    notes: list[str] | None = None,
) -> dict[str, Any]:
    """Importances of the units of a pass, under a loss or a score of expected counts."""
    from tidegauge import _plug_in
    from tidegauge._models import Linear, Multinomial, Trees

    if isinstance(read, Trees):
        trees, encode = joined(read, layer, [columns])
        if loss in _plug_in.SCORES:
            found = _plug_in.of_trees(
                read, trees, loss, encode(columns), labels, n_threads, [] if notes is None else notes, weights
            )
            return _chosen(found, layer, encode)
        return _of_trees(read, trees, loss, encode(columns), labels, alpha, n_threads, layer, encode, codes, weights)
    assert isinstance(read, (Linear, Multinomial))
    if loss in _plug_in.SCORES:
        raise UsageError(f"scoring {loss!r} has an exact form for trees only")
    return _of_terms(read, loss, columns, labels, alpha, layer, codes, weights)


def _of_strata(
    read: ReadModel,
    layer: list[Unit],
    loss: str,
    columns: list[Floats],
    labels: Floats,
    alpha: float,
    n_threads: int,
    strata: npt.NDArray[np.intp],
    notes: list[str],
) -> dict[str, Any]:
    """The mean over subgroups, by their rows, of importances with donors of the same subgroup."""
    import numpy as np

    from tidegauge._permutation import limits

    n, digests = len(labels), []
    parts: list[tuple[float, dict[str, Any]]] = []
    by = np.argsort(strata, kind="stable")
    alone = 0
    for members in np.split(by, np.cumsum(np.bincount(strata))[:-1]):
        if len(members) < 2:
            alone += len(members)
            continue
        some = [np.ascontiguousarray(c[members]) for c in columns]
        part = _of_rows(read, layer, loss, some, labels[members], alpha, n_threads)
        parts.append((len(members) / n, part))
        digests.append(part["provenance"].get("sums", ""))
    if not parts:
        raise UsageError("every row is alone in its subgroup of conditional_on")
    if alone:
        notes.append(f"{alone:,} rows are alone in their subgroup and do not change")
    share = np.array([p for p, _ in parts])
    values = np.array([part["importance"] for _, part in parts], dtype=np.float64)
    errors = np.array([part["standard_error"] for _, part in parts], dtype=np.float64)
    mean = share @ values
    # Within subgroups, and how many rows of each another sample would have.
    between = share @ (values - mean) ** 2 + alone / n * mean**2
    error = np.sqrt(share**2 @ errors**2 + between / n)
    if np.isnan(error).any():
        notes.append("subgroups of two rows have no standard error")
    interval, pvalue = limits(mean, error, alpha)
    one: dict[str, Any] = dict(parts[0][1])
    one.pop("responses", None)
    sums = _core.blake3("".join(digests).encode())
    return one | {
        "importance": list(mean),
        "standard_error": list(error),
        "low": list(interval[:, 0]),
        "high": list(interval[:, 1]),
        "pvalue": list(pvalue),
        "standard_error_iid": list(error),
        "freedom": [float("inf")] * len(error),
        "most_freedom": [float("inf")] * len(error),
        "baseline": float(share @ np.array([part["baseline"] for _, part in parts])) / float(share.sum()),
        "provenance": one["provenance"] | {"sums": sums, "subgroups": len(parts)},
    }


def joined(
    read: Trees, layer: list[Unit], batches: Iterable[list[Floats]]
) -> tuple[_core.TreeModel, Callable[[list[Floats]], list[Floats]]]:
    """The trees on one feature a unit, and what makes their columns; as they are where units are features."""
    import numpy as np

    if all(len(members) == 1 for _, members in layer) and len(layer) == len(read.features):
        return read.trees, lambda columns: columns
    names, groups = [name for name, _ in layer], [members for _, members in layer]
    joint = _core.JointFeatures(read.trees, names, groups)
    for columns in batches:
        joint.update(columns)
    trees = joint.model()

    def encode(columns: list[Floats]) -> list[Floats]:
        codes = joint.encode(columns)
        empty = np.zeros(len(columns[0]) if columns else 0)
        return [
            np.frombuffer(code, dtype=np.float64) if code is not None else columns[members[0]] if members else empty
            for code, members in zip(codes, groups, strict=True)
        ]

    return trees, encode


def _chosen(found: dict[str, Any], layer: list[Unit], encode: Callable[..., Any]) -> dict[str, Any]:
    """Results by unit where they were by feature of the model."""
    order = [members[0] if members else 0 for _, members in layer]
    if any(len(members) != 1 for _, members in layer) or order == list(range(len(order))):
        return found
    lists = {*KEYS, "used", "responses"}
    return {key: [values[k] for k in order] if key in lists else values for key, values in found.items()}


def labelled(lazy: pl.LazyFrame, label: str) -> pl.Expr:
    """Whether a row has a label.

    Raises
    ------
    UsageError
        If there is no such column.
    """
    import polars as pl

    schema = lazy.collect_schema()
    if label not in schema:
        raise UsageError(f"y names {label!r}, which is no column of X")
    present = pl.col(label).is_not_null()
    return present & pl.col(label).is_not_nan() if schema[label].is_float() else present


def _scoring(read: ReadModel, scoring: Any) -> str:
    from tidegauge._models import Linear
    from tidegauge._plug_in import ROOTS, SCORES
    from tidegauge._scorers import CHANGE

    if scoring is None:
        if isinstance(read, Linear) and read.own_score is not None:
            raise UsageError(f"the score of {read.source} is {read.own_score}, which has no exact form; name a scoring")
        return "accuracy" if read.classifies else "r2"

    if scoring not in (*LOSSES, *SCORES, *ROOTS, CHANGE):
        exact = sorted([*LOSSES, *SCORES, *ROOTS, CHANGE])
        raise UsageError(f"scoring {scoring!r} has no exact form; exact are {', '.join(exact)}")
    if isinstance(read, Linear) and not read.probabilities and _loss(scoring) != "zero_one":
        raise UsageError(f"{read.source} has no probabilities, so that accuracy alone has an exact form")
    return str(scoring)


def _result(
    read: ReadModel,
    names: list[str],
    found: dict[str, Any],
    scoring: str,
    alpha: float,
    rows: int,
    spread: float,
    checked: dict[str, Any],
    blocks: Blocks | None,
    notes: list[str] | None = None,
) -> ImportanceResult:
    import numpy as np

    from tidegauge import _plug_in

    definition = EXACT
    if scoring in _plug_in.ROOTS:
        found = _plug_in.ROOTS[scoring][1](found)
    if scoring in (*_plug_in.ROOTS, *_plug_in.SCORES):
        definition, notes = _plug_in.DEFINITION, [*(notes or []), f"{scoring}: {_plug_in.NOTE}"]
    weighted = found.get("weighted_rows")
    # Null is NaN.
    floats = {key: np.array(found[key][: len(names)], dtype=np.float64) for key in KEYS}
    means = floats["importance"] / spread
    pvalue = floats["pvalue"]
    cells = found.get("responses")
    return ImportanceResult(
        features=names,
        importances_mean=means,
        importances_std=np.zeros_like(means),
        importances=None,
        standard_error=floats["standard_error"] / spread,
        interval=np.column_stack([floats["low"], floats["high"]]) / spread,
        pvalue=pvalue,
        qvalue=benjamini_hochberg(pvalue),
        baseline=found["baseline"],
        scoring=scoring,
        definition=definition,
        method="exact",
        n_rows=rows,
        alpha=alpha,
        **sampling(blocks, weighted or rows, floats),
        notes=notes or [],
        provenance={"source": read.source, "check": checked} | found["provenance"],
        scale=spread,
        responses=None if cells is None else list(cells[: len(names)]),
        weighted_rows=weighted,
    )


def _of_trees(
    read: Trees,
    trees: _core.TreeModel,
    loss: str,
    columns: list[Floats],
    labels: Floats,
    alpha: float,
    n_threads: int,
    layer: list[Unit],
    encode: Callable[..., Any],
    codes: Any,
    weights: Weights | None,
) -> dict[str, Any]:
    """Two passes over the rows: donors, then sums; with blocks the rows once more as donors."""
    given = None if weights is None else weights.values
    donors = _core.Donors(trees, loss, 0.5, None if weights is None else weights.unit)
    donors.update(columns, labels, given)
    sums = _core.ImportanceSums(donors)
    sums.update(columns, labels, n_threads, codes, given)
    if codes is not None:
        sums.update_donors(columns, codes, given)
    return _chosen(_finished(read, trees, sums, alpha), layer, encode)


def _finished(read: Trees, trees: _core.TreeModel, sums: _core.ImportanceSums, alpha: float) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sums.finish(alpha))
    provenance = {"sums": found["digest"], "trees": read.trees.size, "model": read.trees.digest}
    if found["weights"] is None:
        return found | {"provenance": provenance, "responses": sums.responses()}
    # Cells then hold weights, which the split of a drift does not test.
    return found | {"provenance": provenance, "weighted_rows": found["weights"]["effective"]}


def _of_terms(
    read: Linear | Multinomial,
    loss: str,
    columns: list[Floats],
    labels: Floats,
    alpha: float,
    layer: list[Unit],
    codes: Any,
    weights: Weights | None,
) -> dict[str, Any]:
    """A closed form for each unit's part of the linear predictor."""
    import numpy as np

    from tidegauge._models import Linear
    from tidegauge._scorers import row_loss

    margins = read.margins(columns)
    given = None if weights is None or weights.values is None else weights.values / weights.values.max()

    def told(members: list[int]) -> str:
        """What the core says of features that are exchanged together."""
        if isinstance(read, Linear):
            total = np.zeros(len(labels))
            for k in members:
                total += read.coefficients[k] * columns[k]
            return _core.additive_importance(loss, read.link, margins, total, labels, alpha, codes, given)
        values, slopes = [columns[k] for k in members], [read.coefficients[:, k].tolist() for k in members]
        return _core.multinomial_importance(loss, np.ravel(margins), values, slopes, labels, alpha, codes, given)

    rows = [json.loads(told(members)) for _, members in layer]
    found: dict[str, Any] = {key: [row[key] for row in rows] for key in rows[0]}
    if loss == "squared" and read.classifies:
        baseline = 0.0
    else:
        scoring = next(name for name, of in LOSSES.items() if of == loss and name != "r2")
        by_row = row_loss(scoring, labels, None)
        predicted = read.compute(columns)
        if isinstance(read, Linear) and not read.probabilities:
            predicted = (predicted > 0.0).astype(np.float64)
        losses = by_row(predicted) if by_row is not None else np.full(len(labels), np.nan)
        baseline = float(np.average(losses, weights=given))
    last = [read.intercept] if isinstance(read, Linear) else read.intercepts
    model = _core.blake3(np.array([*np.ravel(read.coefficients), *last], dtype="<f8").tobytes())
    if given is not None:
        found["weighted_rows"] = float(given.sum() ** 2 / (given**2).sum())
    return found | {"baseline": baseline, "provenance": {"numerical_error": max(found["error"]), "model": model}}


def sampling(blocks: Blocks | None, rows: float, told: Mapping[str, Floats]) -> dict[str, Any]:
    """What results say of how rows vary."""
    import numpy as np

    iid, errors = told["standard_error_iid"], told["standard_error"]
    effective = np.full(len(errors), float(rows))
    known = errors > 0.0
    effective[known] = np.minimum(rows * (iid[known] / errors[known]) ** 2, rows)
    effective[np.isnan(errors)] = np.nan
    # The same for every feature that the model uses.
    most = max((float(m) for m in told["most_freedom"] if m > 0.0), default=0.0)
    return {
        "variance": "iid" if blocks is None else blocks.known.variance,
        "n_blocks": None if blocks is None else blocks.known.count,
        "n_eff": effective,
        "freedom": told["freedom"],
        "block_freedom": float("nan") if blocks is None else most,
    }


def benjamini_hochberg(pvalue: Floats) -> Floats:
    """Smallest false-discovery rate at which each hypothesis falls; NaN takes no part."""
    import numpy as np

    qvalue = np.full_like(pvalue, np.nan)
    tested = np.flatnonzero(~np.isnan(pvalue))
    if len(tested):
        order = tested[np.argsort(pvalue[tested], kind="stable")]
        scaled = pvalue[order] * len(order) / np.arange(1, len(order) + 1)
        qvalue[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return qvalue
