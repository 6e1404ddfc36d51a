"""Permutation importance: exact for tree ensembles and linear models, by permutation for any other.

The importance of a feature is the mean loss when each row takes the feature from another row, less
the loss with every value in place: positive where the model relies on the feature. With
``method="exact"`` every pair of rows is counted, so the answer has no random part; the interval says
how far another sample of rows would differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl

    from tidegauge._models import Linear, ReadModel, Table, Trees

    Floats = npt.NDArray[np.float64]

Method = Literal["auto", "exact", "permutation"]
Generator = Literal["keyed", "scikit-learn"]

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
#: Rows on which correlations are taken.
ASSOCIATED = 4096
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
        Of the U-statistic: what another sample of rows, as donors too, would change. NaN where the
        scoring is no mean over rows.
    interval : numpy.ndarray, shape (n_features, 2)
        Two-sided normal interval of level ``1 - alpha``.
    pvalue, qvalue : numpy.ndarray, shape (n_features,)
        Against an importance of at most 0; Benjamini-Hochberg over the features. NaN for features
        that the model does not use.
    baseline : float
        The mean loss as it is of ``method="exact"``, else the score.
    scoring, definition, method : str
        What was measured: the scoring, the versioned id of its definition, and ``exact`` or
        ``permutation``.
    n_rows : int
        Rows that were used, as rows and as donors.
    correlated : list of list of (str, float)
        For each feature the others whose rank correlation with it is at least .7, the closest first,
        on at most 4,096 rows: permuting one of them makes rows that the data does not have, and the
        others stand in for it. Categories count by their codes; empty for groups.
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
    notes: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    responses: list[tuple[list[int], list[float]] | None] | None = None

    @property
    def expected_permutation(self) -> Floats:
        """What the mean over all permutations of the rows is: a row may draw itself there."""
        if self.method == "permutation":
            return self.importances_mean
        return self.importances_mean * (1.0 - 1.0 / self.n_rows)

    def to_polars(self) -> pl.DataFrame:
        """One row a feature, the most important first."""
        import numpy as np
        import polars as pl

        order = np.argsort(-self.importances_mean, kind="stable")
        return pl.DataFrame(
            {
                "feature": [self.features[i] for i in order],
                "importance": self.importances_mean[order],
                "standard_error": self.standard_error[order],
                "ci_low": self.interval[order, 0],
                "ci_high": self.interval[order, 1],
                "pvalue": self.pvalue[order],
                "qvalue": self.qvalue[order],
                "correlated": [", ".join(f"{n} {r:.2f}" for n, r in self.correlated[i]) for i in order],
                "scoring": [self.scoring] * len(order),
                "definition": [self.definition] * len(order),
            }
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
        lines = [f"{self.method} permutation importance, {self.scoring}, {self.n_rows:,} rows"]
        for row in self.to_polars().head(12).iter_rows(named=True):
            lines.append(f"  {row['importance']: .6g}  [{row['ci_low']: .4g}, {row['ci_high']: .4g}]  {row['feature']}")
        if len(self.features) > 12:
            lines.append(f"  and {len(self.features) - 12} more features; .to_polars() has all")
        return "\n".join(lines)


def permutation_importance(
    model: Any,
    X: Any,
    y: Any,
    *,
    method: Method = "auto",
    scoring: str | Callable[..., float] | None = None,
    n_repeats: int = 5,
    random_state: Any = None,
    generator: Generator = "keyed",
    sample_weight: Any = None,
    max_rows: int | None = None,
    groups: Mapping[str, Sequence[str | int]] | None = None,
    alpha: float = 0.05,
    n_threads: int = 0,
    allow_pickle: bool = False,
) -> ImportanceResult:
    """How much worse a model scores when a feature is taken from other rows.

    Parameters
    ----------
    model : estimator, Booster, callable or path
        scikit-learn, LightGBM or XGBoost estimators and Boosters; any object with ``predict``; a
        function from `X` to predictions; a file ``.txt`` (LightGBM), ``.json`` or ``.ubj`` (XGBoost),
        ``.joblib`` or ``.pkl`` (with `allow_pickle`).
    X : pandas or Polars frame, Arrow table, numpy array, or dictionary of columns; shape (n, n_features)
        What the model predicts from; it is not changed. Of trees also a Polars LazyFrame, or paths and
        globs of Parquet files, which are read twice in batches and never held.
    y : array-like, shape (n,), or str
        Labels; of files and LazyFrames the name of their column. Rows without a label are left out there,
        and `notes` counts them.
    method : {"auto", "exact", "permutation"}
        ``"exact"`` counts every pair of rows and takes tree ensembles and linear models;
        ``"permutation"`` takes anything;
        ``"auto"`` is exact where that is possible, and ``notes`` says why where it is not.
    scoring : str or callable, optional
        A name of scikit-learn, a scorer ``(model, X, y) -> float``, or, for a function as model,
        ``(y, predictions) -> float``. By default accuracy for classifiers, else R². Exact are
        accuracy, neg_brier_score, neg_log_loss, neg_mean_absolute_error, neg_mean_gamma_deviance,
        neg_mean_pinball_loss, neg_mean_poisson_deviance, neg_mean_squared_error and r2.
    n_repeats : int
        Permutations of each feature; not used by ``"exact"``.
    random_state : int, numpy.random.RandomState or Generator, optional
        Seed; a generator is copied, not advanced. 0 by default.
    generator : {"keyed", "scikit-learn"}
        Permutations keyed by seed, feature name and repeat, or those that scikit-learn would draw.
    sample_weight : array-like, shape (n,), optional
        Handed to the scorer.
    max_rows : int, optional
        Use this many rows, chosen by `random_state`; the same ones with and without permutation.
    groups : mapping of name to features, optional
        Features that are permuted together, by name or position; they replace single features.
    alpha : float
        One minus the level of the intervals.
    n_threads : int
        Threads of ``"exact"``, 0 for one a processor; the answer does not depend on it.
    allow_pickle : bool
        Whether a path may be unpickled, which runs what the file says.

    Returns
    -------
    ImportanceResult

    Raises
    ------
    UsageError
        If an argument is out of range, a column is missing, `method` is ``"exact"`` and the model or
        scoring has no exact form, or the model as read does not predict what its library does.

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
    from tidegauge import _models, _permutation

    if method not in ("auto", "exact", "permutation"):
        raise UsageError(f"method {method!r}; accepted are auto, exact, permutation")
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"alpha {alpha!r}; accepted is between 0 and 1")
    model = _models.load(model, allow_pickle=allow_pickle)
    if (lazy := _models.lazy_frame(X)) is not None:
        if method == "permutation" or max_rows is not None or sample_weight is not None or groups is not None:
            raise UsageError(
                "files and LazyFrames take method='exact' without max_rows, sample_weight and groups; "
                "read the table first for the others"
            )
        return _exact_stream(_models.read(model), lazy, y, scoring, alpha, n_threads)
    table = _models.Table(X)
    if max_rows is not None:
        if max_rows < 2:
            raise UsageError(f"max_rows {max_rows!r}; at least 2 is accepted")
        if max_rows < table.rows:
            kept = _permutation.sample(table.rows, max_rows, _permutation.seed_of(random_state))
            table = table.take(kept)
            y = _models.take(y, kept)
            sample_weight = None if sample_weight is None else _models.take(sample_weight, kept)

    notes = []
    if method != "permutation":
        try:
            if sample_weight is not None or groups is not None:
                raise UsageError("sample_weight and groups have no exact form")
            if callable(scoring):
                raise UsageError("a function as scoring has no exact form")
            return _exact(_models.read(model), table, y, scoring, alpha, n_threads)
        except UsageError as error:
            if method == "exact" or isinstance(error, _models.MismatchError):
                raise
            notes.append(f"by permutation: {error}")
    return _permutation.run(
        model,
        table,
        y,
        scoring=scoring,
        n_repeats=n_repeats,
        random_state=random_state,
        generator=generator,
        sample_weight=sample_weight,
        groups=groups,
        alpha=alpha,
        notes=notes,
    )


def _exact(
    read: ReadModel, table: Table, y: Any, scoring: str | None, alpha: float, n_threads: int
) -> ImportanceResult:
    import numpy as np

    from tidegauge._models import Linear, Trees

    scoring = _scoring(read, scoring)
    columns = read.columns(table)
    labels = read.labels(y, classes=LOSSES[scoring] in CLASSES)
    if len(labels) != table.rows:
        raise UsageError(f"y has {len(labels)} rows, X {table.rows}")
    checked = read.check(table, columns)
    if isinstance(read, Trees):
        found = _of_trees(read, LOSSES[scoring], columns, labels, alpha, n_threads)
    elif isinstance(read, Linear):
        found = _of_terms(read, LOSSES[scoring], columns, labels, alpha)
    # R² is one minus the squared error over the variance of the labels, which no permutation changes.
    spread = float(np.mean((labels - labels.mean()) ** 2)) if scoring == "r2" else 1.0
    if spread == 0.0:
        raise UsageError("r2 of labels that are all equal; choose neg_mean_squared_error")
    associated = correlated(read.features, list(columns))
    return _result(read, table, found | {"correlated": associated}, scoring, alpha, len(labels), spread, checked)


def _exact_stream(
    read: ReadModel, lazy: pl.LazyFrame, y: Any, scoring: Any, alpha: float, n_threads: int
) -> ImportanceResult:
    """Two passes over batches of rows; the sums do not depend on how the rows come."""
    from tidegauge._models import Table, Trees

    if not isinstance(read, Trees):
        raise UsageError("files and LazyFrames take tree ensembles; read the table first for other models")
    if not isinstance(y, str):
        raise UsageError(f"y is {type(y).__name__}; of files and LazyFrames it is the name of the label column")
    scoring = _scoring(read, scoring)
    if scoring == "r2":
        raise UsageError("r2 of files and LazyFrames; choose neg_mean_squared_error, which differs by a factor")

    present = _labelled(lazy, y)

    def batches() -> Iterator[tuple[Table, list[Floats], Floats]]:
        for frame in lazy.filter(present).collect_batches(chunk_size=BATCH, maintain_order=False):
            if not frame.height:
                continue
            table = Table(frame.drop(y))
            yield table, read.columns(table), read.labels(frame[y], classes=LOSSES[scoring] in CLASSES)

    donors = _core.Donors(read.trees, LOSSES[scoring], 0.5)
    checked, first = None, None
    for table, columns, labels in batches():
        if checked is None:
            checked, first = read.check(table, columns), table
        donors.update(columns, labels)
    if first is None or checked is None:
        raise UsageError(f"no row has a label in {y!r}")
    sums = _core.ImportanceSums(donors)
    for _, columns, labels in batches():
        sums.update(columns, labels, n_threads)
    found = _finished(read, sums, alpha)
    missing = int(lazy.select((~present).sum()).collect().item())
    notes = [f"{missing:,} rows without a label in {y!r} are left out"] if missing else []
    notes.append("correlations are those of the first batch of rows")
    found["correlated"] = correlated(read.features, list(read.columns(first)))
    return _result(read, first, found, scoring, alpha, sums.rows, 1.0, checked, notes)


def _labelled(lazy: pl.LazyFrame, label: str) -> pl.Expr:
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
    if scoring is None:
        return "accuracy" if read.classifies else "r2"
    if scoring not in LOSSES:
        raise UsageError(f"scoring {scoring!r} is no mean over rows; exact are {', '.join(sorted(LOSSES))}")
    return str(scoring)


def _result(
    read: ReadModel,
    table: Table,
    found: dict[str, Any],
    scoring: str,
    alpha: float,
    rows: int,
    spread: float,
    checked: dict[str, Any],
    notes: list[str] | None = None,
) -> ImportanceResult:
    import numpy as np

    # In the order of the columns of X; null is NaN.
    order = np.argsort(read.positions)
    floats = {
        key: np.array(found[key], dtype=np.float64)[order]
        for key in ("importance", "standard_error", "low", "high", "pvalue")
    }
    means = floats["importance"] / spread
    pvalue = floats["pvalue"]
    shown = dict(zip(read.features, (str(table.names[j]) for j in read.positions), strict=True))
    return ImportanceResult(
        features=[str(table.names[read.positions[i]]) for i in order],
        importances_mean=means,
        importances_std=np.zeros_like(means),
        importances=None,
        standard_error=floats["standard_error"] / spread,
        interval=np.column_stack([floats["low"], floats["high"]]) / spread,
        pvalue=pvalue,
        qvalue=benjamini_hochberg(pvalue),
        baseline=found["baseline"],
        scoring=scoring,
        definition=EXACT,
        method="exact",
        n_rows=rows,
        alpha=alpha,
        correlated=[[(shown[name], r) for name, r in found["correlated"][i]] for i in order],
        notes=notes or [],
        provenance={"source": read.source, "check": checked} | found["provenance"],
        scale=spread,
        responses=None if (cells := found.get("responses")) is None else [cells[i] for i in order],
    )


def _of_trees(
    read: Trees, loss: str, columns: list[Floats], labels: Floats, alpha: float, n_threads: int
) -> dict[str, Any]:
    """Two passes over the rows: donors, then sums."""
    donors = _core.Donors(read.trees, loss, 0.5)
    donors.update(columns, labels)
    sums = _core.ImportanceSums(donors)
    sums.update(columns, labels, n_threads)
    return _finished(read, sums, alpha)


def _finished(read: Trees, sums: _core.ImportanceSums, alpha: float) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sums.finish(alpha))
    provenance = {"sums": found["digest"], "trees": read.trees.size, "model": read.trees.digest}
    return found | {"provenance": provenance, "responses": sums.responses()}


def _of_terms(read: Linear, loss: str, columns: list[Floats], labels: Floats, alpha: float) -> dict[str, Any]:
    """A closed form for each term of the linear predictor."""
    import numpy as np

    margins = read.margins(columns)
    rows = [
        json.loads(_core.additive_importance(loss, read.classifies, margins, coefficient * column, labels, alpha))
        for coefficient, column in zip(read.coefficients, columns, strict=True)
    ]
    found: dict[str, Any] = {key: [row[key] for row in rows] for key in rows[0]}
    from tidegauge._permutation import row_loss

    scoring = next(name for name, of in LOSSES.items() if of == loss and name != "r2")
    by_row = row_loss(scoring, labels, None)
    baseline = float(np.mean(by_row(read.compute(columns)))) if by_row is not None else float("nan")
    model = _core.blake3(np.array([*read.coefficients, read.intercept], dtype="<f8").tobytes())
    return found | {"baseline": baseline, "provenance": {"numerical_error": max(found["error"]), "model": model}}


def correlated(names: list[str], columns: list[Floats | None]) -> list[list[tuple[str, float]]]:
    """Names and rank correlations of at least .7, the closest first; None for a column without numbers.

    Missing values of a column lie in the middle of its ranks.
    """
    import numpy as np

    standard: list[Floats | None] = []
    for column in columns:
        if column is None or len(column) < 3:
            standard.append(None)
            continue
        kept = column[np.unique(np.linspace(0, len(column) - 1, min(ASSOCIATED, len(column))).astype(np.intp))]
        missing = np.isnan(kept)
        values, index, counts = np.unique(kept[~missing], return_inverse=True, return_counts=True)
        ranks = np.zeros(len(kept))
        # The middle rank of ties, about the mean of all.
        ranks[~missing] = (np.cumsum(counts) - (counts - 1) / 2.0)[index] - (len(index) + 1) / 2.0
        size = float(np.sqrt(ranks @ ranks))
        standard.append(ranks / size if len(values) > 1 else None)
    present = [j for j, column in enumerate(standard) if column is not None]
    found: list[list[tuple[str, float]]] = [[] for _ in names]
    if present:
        matrix = np.array([standard[j] for j in present])
        table = np.abs(matrix @ matrix.T)
        for row, j in zip(table, present, strict=True):
            close = [i for i in np.argsort(-row, kind="stable") if row[i] >= 0.7 and present[i] != j]
            found[j] = [(names[present[i]], float(min(row[i], 1.0))) for i in close]
    return found


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
