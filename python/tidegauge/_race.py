"""Importances of a black box under a budget: features are dropped as soon as they are decided."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from tidegauge._models import Table
    from tidegauge._predictors import Predictor

    Floats = npt.NDArray[np.float64]
    Order = npt.NDArray[np.intp]

DEFINITION = "permutation_importance/sampled-pairs/v1"
#: Draws of the first look, and of one look at most; each look has half as many as were drawn before.
FIRST, MOST = 512, 1 << 16


@dataclass(frozen=True, kw_only=True, eq=False)
class RaceResult:
    """Importances of features as far as they were followed.

    Attributes
    ----------
    features : list of str
        Names of the features, or of the groups.
    importances_mean : numpy.ndarray, shape (n_features,)
        Mean change of the loss over the pairs that were drawn; NaN where none was.
    interval : numpy.ndarray, shape (n_features, 2)
        Limits of the importance over all pairs of these rows. All limits hold together, at whatever moment they
        are looked at, with probability ``1 - alpha``, asymptotically; infinite where too few draws changed anything.
    decision : list of str
        ``above`` the tolerance or ``below`` (not above) it; with `top` one of the largest, ``top``, or of the
        ``rest``; ``unchanged`` where no prediction changed in the first 4,096 pairs; ``open`` where the
        budget came first.
    pairs : numpy.ndarray, shape (n_features,)
        Pairs of row and donor that were drawn for each.
    predictions : int
        Rows that the model predicted, at most the budget.
    baseline : float
        Mean loss of the rows that were drawn, as they are.
    scoring, definition : str
        What was measured.
    n_rows : int
        Rows that pairs were drawn from.
    alpha : float
    notes : list of str
        What is not decided, and why.
    provenance : dict
        Seed, budget and question.
    """

    features: list[str]
    importances_mean: Floats
    interval: Floats
    decision: list[str]
    pairs: npt.NDArray[np.int64]
    predictions: int
    baseline: float
    scoring: str
    n_rows: int
    alpha: float
    definition: str = DEFINITION
    notes: list[str] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_polars(self) -> pl.DataFrame:
        """One row a feature, the most important first."""
        import polars as pl

        frame = pl.DataFrame(
            {
                "feature": self.features,
                "importance": self.importances_mean,
                "ci_low": self.interval[:, 0],
                "ci_high": self.interval[:, 1],
                "decision": self.decision,
                "pairs": self.pairs,
            }
        )
        return frame.sort("importance", descending=True, nulls_last=True, maintain_order=True)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows of :meth:`to_polars` as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        lines = [f"{self.scoring}, {self.predictions:,} predictions, pairs of {self.n_rows:,} rows"]
        shown = self.to_polars()
        for row in shown.head(12).iter_rows(named=True):
            limits = f"[{row['ci_low']: .4g}, {row['ci_high']: .4g}]"
            lines.append(f"  {row['importance']: .6g}  {limits}  {row['decision']}  {row['feature']}")
        if shown.height > 12:
            lines.append(f"  and {shown.height - 12} more; .to_polars() has all")
        return "\n".join(lines)


def race_importance(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    scoring: str,
    max_predictions: int,
    top: int | None = None,
    tolerance: float = 0.0,
    alpha: float = 0.05,
    random_state: Any = None,
    groups: Mapping[str, Sequence[str | int]] | None = None,
    allow_pickle: bool = False,
) -> RaceResult:
    """Which features matter, with no more predictions than it takes: for a model that is slow to ask.

    Parameters
    ----------
    model : estimator, Booster, session, callable or path
        As :func:`tidegauge.permutation_importance` takes. Trees and linear models have exact importances that are
        cheaper than any sample; this is for the others.
    X : pandas or Polars frame, Arrow table, numpy array, dictionary of columns
        What the model predicts from, shape (n, n_features).
    y : array-like, shape (n,)
        Labels; None with ``scoring="prediction_change"``.
    scoring : str
        A scoring that is a mean over rows: accuracy, neg_brier_score, neg_log_loss,
        neg_mean_absolute_error, neg_mean_gamma_deviance, neg_mean_pinball_loss, neg_mean_poisson_deviance,
        neg_mean_squared_error, r2 or prediction_change.
    max_predictions : int
        Rows that the model may be asked to predict, all features together.
    top : int, optional
        Decide which are the so many most important features, 1 to n_features - 1. Without it each feature is
        decided against `tolerance` alone.
    tolerance : float
        Without `top`: decide whether an importance is above this, in units of the loss, 0 or more. At 0 a feature
        without importance is never decided: its limits close in on 0 and hold it.
    alpha : float
        Chance that any of the limits fails at any look, so that any decision is wrong at most as often.
    random_state : int, numpy.random.RandomState or Generator, optional
        Seed; a generator is copied, not advanced. 0 by default.
    groups : mapping of name to features, optional
        Features that are taken from the same other row; they replace single features.
    allow_pickle : bool
        Whether a path may be unpickled, which runs what the file says.

    Returns
    -------
    RaceResult

    Raises
    ------
    UsageError
        If an argument is out of range, the scoring is no mean over rows, or the model predicts a row otherwise
        among other rows.

    Notes
    -----
    Every look draws pairs of a row and another as donor, with replacement, from all pairs of the rows, and all
    features that are open have the same pairs. What is estimated is the importance over all pairs of these rows, which
    ``method="exact"`` counts; what another sample of rows would say is not part of the limits. Limits are
    confidence sequences [1]_, valid at every look and hence whenever a feature is dropped. They are asymptotic:
    they begin at 512 pairs of which at least 50 changed the loss, and losses of very heavy tails take longer.

    References
    ----------
    .. [1] Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), "Time-uniform central limit theory and asymptotic
       confidence sequences", Annals of Statistics 52

    Examples
    --------
    >>> import numpy as np, tidegauge as tg
    >>> x = np.random.default_rng(0).normal(size=(4000, 3))
    >>> found = tg.race_importance(lambda rows: rows[:, 0] + 0.3 * rows[:, 1], x, x[:, 0],
    ...                            scoring="neg_mean_squared_error", max_predictions=100_000, top=1)
    >>> found.decision
    ['top', 'rest', 'unchanged']
    """
    import numpy as np

    from tidegauge import _models, _permutation
    from tidegauge._predictors import predictor_of, refuse_nan
    from tidegauge.importance import _check_whole, check_groups

    _check_whole("max_predictions", max_predictions, 2 * FIRST)
    check_groups(groups)
    if type(X).__name__ == "LazyFrame" or isinstance(X, (str, Path)):
        raise UsageError(
            "X is a path or LazyFrame; a race draws rows from all over and takes tables in memory, as of "
            "polars.read_parquet"
        )
    table = _models.Table(X)
    if table.rows < 2:
        raise UsageError(f"X has {table.rows} rows; at least 2 are needed")
    predictor = predictor_of(_models.load(model, allow_pickle=allow_pickle))
    table, notes = predictor.choose(table)
    units = _permutation.units_of(table.names, groups)
    method, loss = _loss_of(predictor, y, scoring, table.rows)
    seed = _permutation.seed_of(random_state)
    race = _core.Race(len(units), alpha, tolerance, top)
    names, places = list(units), list(units.values())
    rng = np.random.Generator(np.random.Philox(key=seed % 2**128))
    open_ = list(range(len(units)))
    spent, drawn, total = _alone(predictor, method, table), 0, 0.0
    look = FIRST
    while open_:
        look = min(look, (max_predictions - spent) // (1 + len(open_)))
        if look < 1 or drawn + look < FIRST:
            break
        rows = rng.integers(table.rows, size=look)
        donors = rng.integers(table.rows - 1, size=look)
        # Any row but the row itself.
        donors += donors >= rows
        batch = table.take(rows)
        before = predictor.call(method, batch.data)
        refuse_nan(before, "as they are that were drawn")
        own = loss(before, rows, before)
        _permutation.refuse_infinite(scoring, own, "as they are that were drawn")
        total += float(own.sum())
        for j in open_:
            after = predictor.call(method, _exchanged(batch, table, places[j], donors))
            refuse_nan(after, f"that were drawn with {names[j]!r} from other rows")
            race.add(j, np.ascontiguousarray(loss(after, rows, before) - own))
        spent += look * (1 + len(open_))
        drawn += look
        open_ = race.look()
        look = min(MOST, max(FIRST, drawn // 2))
    told = json.loads(race.told())
    held = told["features"]
    if open_:
        some = ", ".join(names[j] for j in open_[:5])
        more = f" and {len(open_) - 5} more" if len(open_) > 5 else ""
        notes.append(f"not decided within {max_predictions:,} predictions: {some}{more}")
    if any(row[5] == "unchanged" for row in held):
        notes.append(f"unchanged: with probability {1 - alpha:g} at most {told['unseen']:.2%} of pairs change anything")
    infinite = (-np.inf, np.inf)
    return RaceResult(
        features=names,
        importances_mean=np.array([row[0] if row[3] else np.nan for row in held], dtype=np.float64),
        interval=np.array(
            [[end if end is not None else infinite[i] for i, end in enumerate(row[1:3])] for row in held],
            dtype=np.float64,
        ),
        decision=[row[5] for row in held],
        pairs=np.array([row[3] for row in held], dtype=np.int64),
        predictions=spent,
        baseline=total / drawn if drawn else float("nan"),
        scoring=scoring,
        n_rows=table.rows,
        alpha=alpha,
        notes=notes,
        provenance={
            "seed": seed,
            "max_predictions": max_predictions,
            "question": {"top": top} if top is not None else {"tolerance": tolerance},
        },
    )


def _loss_of(predictor: Predictor, y: Any, scoring: str, rows: int) -> tuple[str, Callable[[Any, Order, Any], Floats]]:
    """The method to ask, and the loss of predictions of these rows, beside predictions as they are."""
    import numpy as np

    from tidegauge._models import take
    from tidegauge._predictors import PREDICTIONS
    from tidegauge._scorers import CHANGE, change_method, change_of, row_loss
    from tidegauge.importance import LOSSES

    if scoring == CHANGE:
        method = change_method(predictor)

        def change(found: Any, _: Order, before: Any) -> Floats:
            by_row = change_of(predictor, {method: before}).by_row
            assert by_row is not None
            return by_row({method: found})

        return method, change
    if scoring not in LOSSES:
        raise UsageError(
            f"scoring {scoring!r} is no mean over rows; accepted are {', '.join(sorted(LOSSES))}, {CHANGE}"
        )
    if y is None:
        raise UsageError(f"y is None, which scoring={CHANGE!r} alone accepts")
    if len(y) != rows:
        raise UsageError(f"y has {len(y)} rows, X {rows}")
    method = PREDICTIONS
    if predictor.is_estimator:
        method = "predict_proba" if LOSSES[scoring] in ("brier", "log_loss") else "predict"
    if method == "predict_proba" and not hasattr(predictor.model, method):
        raise UsageError(f"scoring {scoring!r} needs predict_proba, which {type(predictor.model).__name__} has not")
    # The variance of r2 is that of all labels.
    spread = float(np.var(np.asarray(y, dtype=np.float64))) if scoring == "r2" else 1.0
    if spread == 0.0:
        raise UsageError("r2 of labels that are all equal; choose neg_mean_squared_error")
    name = "neg_mean_squared_error" if scoring == "r2" else scoring
    classes = getattr(predictor.model, "classes_", None) if predictor.is_estimator else None

    def loss(found: Any, chosen: Order, _: Any) -> Floats:
        by_row = row_loss(name, take(y, chosen), classes)
        assert by_row is not None
        losses: Floats = by_row(found) / spread
        return losses

    return method, loss


def _exchanged(batch: Table, table: Table, columns: list[int], donors: Order) -> Any:
    """The batch with some columns from other rows."""
    if batch.named:
        return batch.replace({j: table.gather(j, donors) for j in columns}).data
    data = batch.data.copy()
    for j in columns:
        data[:, j] = table.data[donors, j]
    return data


def _alone(predictor: Predictor, method: str, table: Table) -> int:
    """How many predictions it took to see that rows are predicted alone as among others.

    Raises
    ------
    UsageError
        If they are not.
    """
    from tidegauge._permutation import ALONE, alike

    k = min(ALONE, max(1, table.rows // 2))
    among = predictor.call(method, table.slice(0, min(2 * k, table.rows)).data)[:k]
    alone = predictor.call(method, table.slice(0, k).data)
    if not alike(alone, among):
        raise UsageError("the model predicts a row otherwise among other rows, so rows cannot be drawn")
    return k + min(2 * k, table.rows)
