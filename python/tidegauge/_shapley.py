"""Interventional Shapley values of trees and linear models: exact, and their means over rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from tidegauge._models import Linear

    Floats = npt.NDArray[np.float64]

DEFINITION = "interventional_shapley/mean/v1"


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapResult:
    """Means of Shapley values over rows, by player: a feature or a group of features.

    All are in units of the margin, what trees or terms add up to before the link: of regressors the
    prediction, of boosted classifiers log odds, of forests of classifiers the probability. Of models of several
    outputs every array has one more axis, of the outputs.

    Attributes
    ----------
    features : list of str
        Names of the players.
    mean_abs : numpy.ndarray, shape (n_features,)
        Mean size of the values: how much the player moves predictions, either way. At least 0.
    mean : numpy.ndarray, shape (n_features,)
        Mean value. Over all players these add up to the mean margin of the rows less that of the
        background.
    standard_error_abs, standard_error : numpy.ndarray, shape (n_features,)
        Of another sample of rows against the same background, rows independent; NaN of one row.
    expected_value : float or numpy.ndarray, shape (n_outputs,)
        Mean margin of the background.
    n_rows, n_background : int
        Rows that were explained, and rows of the background.
    values : numpy.ndarray, shape (n_features, n_rows), or None
        The value of every row, where it was asked for; with several outputs (n_features, n_rows, n_outputs).
    definition : str
        The versioned id of what was measured.
    provenance : dict
        Digest of the model, and the comparison with its library.
    """

    features: list[str]
    mean_abs: Floats
    mean: Floats
    standard_error_abs: Floats
    standard_error: Floats
    expected_value: Any
    n_rows: int
    n_background: int
    values: Floats | None = None
    definition: str = DEFINITION
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_polars(self) -> pl.DataFrame:
        """One row a player and output, the largest mean size first."""
        import numpy as np
        import polars as pl

        several = self.mean.ndim == 2
        outputs = self.mean.shape[1] if several else 1
        frame = pl.DataFrame(
            {
                "feature": [name for name in self.features for _ in range(outputs)],
                "output": list(range(outputs)) * len(self.features),
                "mean_abs": np.ravel(self.mean_abs),
                "standard_error_abs": np.ravel(self.standard_error_abs),
                "mean": np.ravel(self.mean),
                "standard_error": np.ravel(self.standard_error),
            }
        )
        return frame.sort("mean_abs", descending=True, maintain_order=True)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows of :meth:`to_polars` as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        lines = [f"interventional Shapley values, {self.n_rows:,} rows against {self.n_background:,}"]
        shown = self.to_polars()
        several = self.mean.ndim == 2
        for row in shown.head(12).iter_rows(named=True):
            of = f" of output {row['output']}" if several else ""
            lines.append(f"  {row['mean_abs']: .6g}  (mean {row['mean']: .4g})  {row['feature']}{of}")
        if shown.height > 12:
            lines.append(f"  and {shown.height - 12} more; .to_polars() has all")
        return "\n".join(lines)


def shap_importance(
    model: Any,
    X: Any,
    background: Any = None,
    *,
    groups: Mapping[str, Sequence[str | int]] | None = None,
    values: bool = False,
    allow_pickle: bool = False,
) -> ShapResult:
    """Mean size and mean of interventional Shapley values: how much each feature moves predictions, and where to.

    Parameters
    ----------
    model : estimator, Booster, session or path
        Trees and linear models that :func:`tidegauge.permutation_importance` reads, behind a pipeline too:
        players are then the raw columns.
    X : pandas or Polars frame, Arrow table, numpy array, dictionary of columns
        The rows to explain, shape (n, n_features).
    background : as `X`, optional
        The rows that features are taken from, shape (m, n_features); by default `X` itself. All of them
        count: the cost hardly depends on how many there are.
    groups : mapping of name to features, optional
        Features that are one player, by name or position; none may be in two. All others are players of their
        own.
    values : bool
        Whether to keep the values of all rows.
    allow_pickle : bool
        Whether a path may be unpickled, which runs what the file says.

    Returns
    -------
    ShapResult

    Raises
    ------
    UsageError
        If the model has no exact form, a leaf has conditions on more than 64 features, a group overlaps another,
        or the model as read does not predict what its library does.

    Notes
    -----
    The value of a set of players is the mean margin over background rows when the set comes from the row and
    the rest from the background row; values are those of this game, by its definition and not by sampling, in
    double precision. A missing value is a value like any other. Permutation importance says what the labels
    lose without a feature; these say what predictions do, whether that is right or wrong.

    References
    ----------
    .. [1] Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for
       trees", Nature Machine Intelligence 2:56
    .. [2] Janzing, Minorics, Bloebaum (2020), "Feature relevance quantification in explainable AI", AISTATS

    Examples
    --------
    >>> import numpy as np, tidegauge as tg
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> x = np.random.default_rng(0).normal(size=(300, 3))
    >>> tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(x, 2 * x[:, 0] + x[:, 1])
    >>> found = tg.shap_importance(tree, x)
    >>> found.features[int(found.mean_abs.argmax())]
    'column_0'
    """
    import numpy as np

    from tidegauge import _models
    from tidegauge.importance import joined

    model = _models.load(model, allow_pickle=allow_pickle)
    read = _models.read(model)
    table = _models.Table(X)
    back = table if background is None else _models.Table(background)
    for name, given in (("X", table), ("background", back)):
        if given.rows < 1:
            raise UsageError(f"{name} has no rows; at least 1 is needed")
    columns = read.columns(table)
    checked = read.check(table, columns)
    units = read.units(table)
    back_columns = columns if background is None else read.columns(back)
    if background is not None and read.units(back) != units:
        raise UsageError("background has other columns than X, or another order of them")
    players = _players(units, groups)
    if isinstance(read, _models.Linear):
        return _of_terms(read, players, columns, back_columns, values, checked)
    if not isinstance(read, _models.Trees):
        raise UsageError(f"{read.source} of {len(read.classes)} classes has no Shapley values here; accepted are two")
    trees, encode = joined(read, players, [columns, back_columns])
    told, kept = trees.shapley(encode(columns), encode(back_columns), values)
    found = json.loads(told)
    # NaN is null: output, player, and the four means.
    means = np.array(found["means"], dtype=np.float64).transpose(1, 0, 2)
    each = None
    if kept is not None:
        flat = np.frombuffer(kept, dtype=np.float64).reshape(trees.outputs, len(trees.features), table.rows)
        each = flat.transpose(1, 2, 0)
    # Where players are the features of the trees, they are in the order of these.
    order = [members[0] for _, members in players] if trees is read.trees else list(range(len(players)))
    means, each = means[order], None if each is None else each[order]
    expected: Any = np.array(found["expected"])
    if trees.outputs == 1:
        means, each, expected = means[:, 0], None if each is None else each[..., 0], float(expected[0])
    return ShapResult(
        features=[name for name, _ in players],
        mean=means[..., 0].copy(),
        standard_error=means[..., 1].copy(),
        mean_abs=means[..., 2].copy(),
        standard_error_abs=means[..., 3].copy(),
        expected_value=expected,
        n_rows=table.rows,
        n_background=back.rows,
        values=None if each is None else np.ascontiguousarray(each),
        provenance={"source": read.source, "check": checked, "model": read.trees.digest, "trees": read.trees.size},
    )


def _players(
    units: list[tuple[str, list[int]]], groups: Mapping[str, Sequence[str | int]] | None
) -> list[tuple[str, list[int]]]:
    """Groups, then the columns in none."""
    from tidegauge._permutation import units_of

    if groups is None:
        return units
    chosen = units_of([name for name, _ in units], groups)
    taken: dict[int, str] = {}
    for name, members in chosen.items():
        for j in members:
            if j in taken:
                raise UsageError(f"{units[j][0]!r} is in the groups {taken[j]!r} and {name!r}; one is accepted")
            taken[j] = name
    made = [(name, sorted({k for j in members for k in units[j][1]})) for name, members in chosen.items()]
    return made + [unit for j, unit in enumerate(units) if j not in taken]


def _of_terms(
    read: Linear,
    players: list[tuple[str, list[int]]],
    columns: list[Floats],
    background: list[Floats],
    values: bool,
    checked: dict[str, Any],
) -> ShapResult:
    """Of a sum of terms: each player's part less its mean over the background."""
    import numpy as np

    def part(members: list[int], given: list[Floats]) -> Floats:
        total = np.zeros(len(given[0]))
        for k in members:
            total += read.coefficients[k] * given[k]
        return total

    n = len(columns[0])
    each = np.array([part(members, columns) - part(members, background).mean() for _, members in players])

    def error(of: Floats) -> Floats:
        found: Floats = of.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(of), np.nan)
        return found

    return ShapResult(
        features=[name for name, _ in players],
        mean=each.mean(axis=1),
        standard_error=error(each),
        mean_abs=np.abs(each).mean(axis=1),
        standard_error_abs=error(np.abs(each)),
        expected_value=float(read.margins(background).mean()),
        n_rows=n,
        n_background=len(background[0]),
        values=each if values else None,
        provenance={"source": read.source, "check": checked},
    )
