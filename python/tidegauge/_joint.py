"""Statistics of whole rows: two frames or two-dimensional arrays in, one answer out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge import _core
from tidegauge._statistic import Interval, TestResult
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class JointResult(TestResult):
    """A statistic of whole rows; unpacks as ``statistic, pvalue``.

    Attributes
    ----------
    variance : {"iid", "block"}
        What is exchanged or drawn whole: rows, or the blocks given.
    units_reference, units_current : int or None
        Independent units on each side: rows, or blocks.
    details : dict of str to float
        Numbers that belong to the computation, as the bandwidth of a kernel or the number of components.
    importances : dict of str to float
        `classifier_test` alone: area that is lost when a feature is permuted among rows held out, largest first.
    """

    units_reference: int | None = None
    units_current: int | None = None
    details: dict[str, float] = field(default_factory=dict)
    importances: dict[str, float] = field(default_factory=dict)


class Both(NamedTuple):
    """Columns of both samples, the reference first: numbers as floats, categories as codes; blocks as codes."""

    columns: pl.DataFrame
    n: int
    blocks: pl.Series | None

    @property
    def m(self) -> int:
        """Rows of the current sample."""
        return self.columns.height - self.n


def _frame(data: Any, side: str) -> pl.DataFrame:
    """Rows of `data` in memory."""
    import os
    from collections.abc import Mapping

    import numpy as np
    import polars as pl

    from tidegauge import frames
    from tidegauge._sample import RowSample

    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, RowSample):
        return data.to_polars(repeat=True)
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, (str, os.PathLike)):
        return pl.read_parquet(os.fspath(data))
    if isinstance(data, Mapping):
        made = frames.from_mapping(data)
    elif isinstance(data, np.ndarray):
        made = frames.from_numpy(data)
    elif type(data).__module__.partition(".")[0] == "pandas":
        made = frames.from_pandas(data)
    elif hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        found = pl.DataFrame(data)
        return found
    else:
        made = frames.from_numpy(np.asarray(data))
    for name, reason in made.errors.items():
        raise UsageError(f"column {name!r} of {side}: {reason}")
    return made.data


def _codes(values: pl.Series) -> pl.Series:
    """Values as positions in their sorted set, whatever sample they are from; missing ones stay missing."""
    import polars as pl

    if values.dtype == pl.Null:
        return values.cast(pl.UInt32)
    if isinstance(values.dtype, (pl.Categorical, pl.Enum)):
        values = values.cast(pl.String)
    return values.rank("dense").cast(pl.UInt32) - 1


def samples(
    x: Any,
    y: Any,
    columns: Sequence[str] | None,
    exclude: Sequence[str],
    categorical: Sequence[str],
    block: Any,
) -> Both:
    """Bring both samples to the same columns."""
    import polars as pl

    from tidegauge.frames import to_series

    reference, current = _frame(x, "x"), _frame(y, "y")
    blocks: pl.Series | None = None
    if isinstance(block, str):
        for side, data in (("x", reference), ("y", current)):
            if block not in data.columns:
                raise UsageError(f"block {block!r} is no column of {side}; one of {data.columns} would be accepted")
        blocks = pl.concat([reference[block], current[block]])
        reference, current = reference.drop(block), current.drop(block)
    elif block is not None:
        if not isinstance(block, (tuple, list)) or len(block) != 2:
            raise UsageError("block is a column of both samples, or a pair of arrays: the blocks of x and of y")
        pair = [to_series("block", labels) for labels in block]
        for side, labels, data in zip("xy", pair, (reference, current), strict=True):
            if labels.len() != data.height:
                raise UsageError(f"{labels.len()} blocks for the {data.height} rows of {side}")
        blocks = pl.concat(pair)
    if blocks is not None and blocks.null_count():
        raise UsageError(f"block is missing in {blocks.null_count()} rows; every row needs one")
    wanted = list(reference.columns) if columns is None else list(columns)
    wanted = [name for name in wanted if name not in set(exclude)]
    for name in [*wanted, *categorical, *([] if columns is not None else exclude)]:
        if name not in reference.columns:
            raise UsageError(f"column {name!r} is not in x; accepted are {reference.columns}")
    for name in wanted:
        if name not in current.columns:
            raise UsageError(f"column {name!r} is in x but not in y")
    made = []
    for name in wanted:
        a, b = reference[name], current[name]
        if a.dtype != b.dtype:
            a, b = _agree(name, a, b)
        values = pl.concat([a, b])
        dtype = values.dtype
        if name in categorical or dtype in (pl.String, pl.Boolean, pl.Binary, pl.Null) or _is_enum(dtype):
            made.append(_codes(values))
        elif dtype.is_numeric() or dtype.is_temporal():
            made.append(values.to_physical().cast(pl.Float64) if dtype.is_temporal() else values.cast(pl.Float64))
        else:
            raise UsageError(f"column {name!r} is {dtype}; accepted are numbers, times, booleans, text and bytes")
    return Both(pl.DataFrame(made), reference.height, None if blocks is None else _codes(blocks).alias("block"))


def _is_enum(dtype: Any) -> bool:
    import polars as pl

    return isinstance(dtype, (pl.Categorical, pl.Enum))


def _agree(name: str, a: pl.Series, b: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Both columns as one type: numbers as floats, text as text."""
    import polars as pl

    if a.dtype.is_numeric() and b.dtype.is_numeric():
        return a.cast(pl.Float64), b.cast(pl.Float64)
    if all(d == pl.String or _is_enum(d) for d in (a.dtype, b.dtype)):
        return a.cast(pl.String), b.cast(pl.String)
    for one, other in ((a, b), (b, a)):
        if one.dtype == pl.Null:
            both = (one.cast(other.dtype), other)
            return both if one is a else both[::-1]
    raise UsageError(f"column {name!r} is {a.dtype} in x and {b.dtype} in y; one type would be accepted")


def _answer(name: str, both: Both, **options: Any) -> JointResult:
    """Joint statistic `name` of the core."""
    data = both.columns
    if both.blocks is not None:
        # The core takes the last column; its name must differ from the others.
        data = data.with_columns(both.blocks.alias(f"block of {max(data.columns, key=len)}"))
    chosen = {"n": both.n, "block": both.blocks is not None, **options}
    found = json.loads(_core.joint(name, data, json.dumps(chosen)))
    value = float(found["statistic"])
    ci = None if found["ci_low"] is None else Interval(found["ci_low"], found["ci_high"])
    return result(
        name,
        statistic=value,
        pvalue=found["pvalue"],
        ci=ci,
        value_if_no_change=found["value_if_no_change"],
        n_reference=found["n_reference"],
        n_current=found["n_current"],
        units_reference=found["units_reference"],
        units_current=found["units_current"],
        variance=found["variance"],
        message=found["message"],
        details=found["details"],
    )


def result(name: str, *, statistic: float, **rest: Any) -> JointResult:
    entry = next(d for d in json.loads(_core.joint_registry()) if d["name"] == name)
    return JointResult(
        statistic=statistic,
        bound_low=statistic,
        bound_high=statistic,
        exactness="exact",
        definition=entry["definition"],
        unit=entry["unit"],
        null=entry["null"],
        **rest,
    )


def _common(permutations: int | None, scale: str | None, random_state: Any, threads: int | None) -> dict[str, Any]:
    import os

    from tidegauge._permutation import seed_of

    if permutations is not None and permutations < 0:
        raise UsageError(f"permutations is {permutations}; 0 or more would be accepted")
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; 1 or more would be accepted")
    chosen: dict[str, Any] = {"seed": seed_of(random_state) % 2**64, "threads": threads or os.cpu_count() or 1}
    if permutations is not None:
        chosen["permutations"] = permutations
    if scale is not None:
        chosen["scale"] = scale
    return chosen


def mmd(
    x: Any,
    y: Any,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    block: Any = None,
    permutations: int = 199,
    features: int = 256,
    bandwidth: float | None = None,
    scale: str = "robust",
    random_state: Any = 0,
    threads: int | None = None,
) -> JointResult:
    """Squared maximum mean discrepancy of two samples of rows, Gaussian kernel, linear in rows.

    Parameters
    ----------
    x, y : frame, Arrow table, dictionary of arrays or array of shape (n, d) and (m, d), RowSample, Parquet path
        Reference and current sample. Text, booleans and columns named in `categorical` are categories. A missing or
        infinite number lies at the pooled median, with a category that says so beside it.
    columns, exclude, categorical : sequence of str
        Columns to take and to leave, and numbers that are categories.
    block : str or pair of array-like, optional
        Column of both samples, or labels of the rows of `x` and of `y`: rows of one block, as of a day, move together.
        A block lies in one sample.
    permutations : int
        Allocations drawn for `pvalue`; 0 for none.
    features : int
        Frequencies of the random Fourier features: the cost, and the inverse variance about the Gaussian kernel.
    bandwidth : float, optional
        Width of the kernel on the scaled columns; the median distance of pooled rows by default.
    scale : {"robust", "none"}
        Numbers minus their pooled median over their pooled interquartile range, or as they are.
    random_state : int, numpy.random.RandomState or numpy.random.Generator
        Key of features and allocations; generators are not advanced.
    threads : int, optional
        All by default; the answer does not depend on them.

    Returns
    -------
    JointResult
        ``statistic`` the unbiased estimate, near 0 (also below) without change. ``pvalue`` is ``(b + 1) / (m + 1)``,
        never 0. ``details``: bandwidth, features, permutations.

    Raises
    ------
    UsageError
        If the samples have different columns, a column has another type, a side has fewer than two rows or blocks, or
        a block lies in both.

    References
    ----------
    .. [1] Gretton et al. (2012), equation 3. Features: Rahimi and Recht (2007). p: Phipson and Smyth (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from tidegauge import stats
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(300, 3)), rng.normal(0.5, 1.0, size=(200, 3))
    >>> stats.mmd(x, y).pvalue
    0.005
    """
    both = samples(x, y, columns, exclude, categorical, block)
    chosen = _common(permutations, scale, random_state, threads)
    return _answer("mmd", both, features=features, bandwidth=bandwidth, **chosen)


def energy_multivariate(
    x: Any,
    y: Any,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    block: Any = None,
    permutations: int = 199,
    scale: str = "robust",
    random_state: Any = 0,
    threads: int | None = None,
) -> JointResult:
    """Energy distance of two samples of rows, exact over all pairs.

    Parameters
    ----------
    x, y : frame, Arrow table, dictionary of arrays or array of shape (n, d) and (m, d), RowSample, Parquet path
        Reference and current sample, at most 10,000 rows together (:func:`mmd` is linear in rows). Text, booleans
        and columns named in `categorical` are categories. Missing values as in :func:`mmd`.
    columns, exclude, categorical : sequence of str
        Columns to take and to leave, and numbers that are categories.
    block : str or pair of array-like, optional
        Rows that move together, as in :func:`mmd`.
    permutations : int
        Allocations drawn for `pvalue`; 0 for none.
    scale : {"robust", "none"}
        Numbers minus their pooled median over their pooled interquartile range, or as they are.
    random_state : int, numpy.random.RandomState or numpy.random.Generator
        Key of the allocations; generators are not advanced.
    threads : int, optional
        All by default; the answer does not depend on them.

    Returns
    -------
    JointResult
        ``statistic`` is ``2 E|X - Y| - E|X - X'| - E|Y - Y'|``; of one unscaled column the square of
        ``scipy.stats.energy_distance``. ``pvalue`` is ``(b + 1) / (m + 1)``, never 0.

    Raises
    ------
    UsageError
        If there are more rows, the samples have different columns, a column has another type, a side has fewer than
        two rows or blocks, or a block lies in both.

    References
    ----------
    .. [1] Szekely and Rizzo (2013), equation 2.1. p: Phipson and Smyth (2010).

    Examples
    --------
    >>> from tidegauge import stats
    >>> x, y = {"a": [1.0, 2.0, 3.0, 4.0]}, {"a": [2.0, 3.0, 4.0, 5.0]}
    >>> round(stats.energy_multivariate(x, y, scale="none", permutations=0).statistic, 6)
    0.5
    """
    both = samples(x, y, columns, exclude, categorical, block)
    return _answer("energy_multivariate", both, **_common(permutations, scale, random_state, threads))


def pca_reconstruction(
    x: Any,
    y: Any,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    block: Any = None,
    explained: float = 0.65,
    components: int | None = None,
    alpha: float = 0.05,
    random_state: Any = 0,
) -> JointResult:
    """Mean distance of the current rows from the leading principal components of the reference.

    Parameters
    ----------
    x, y : frame, Arrow table, dictionary of arrays or array of shape (n, d) and (m, d), RowSample, Parquet path
        Reference and current sample. Categories count by their share of the reference's rows. Missing and infinite
        numbers lie at the mean of the reference; `message` counts the rows.
    columns, exclude, categorical : sequence of str
        Columns to take and to leave, and numbers that are categories.
    block : str or pair of array-like, optional
        Rows that belong together, as in :func:`mmd`: the errors of their mean are those of whole blocks.
    explained : float
        Components are taken until their share of the variance is larger.
    components : int, optional
        Number of components, instead.
    alpha : float
        One minus the level of the interval.
    random_state : int, numpy.random.RandomState or numpy.random.Generator
        Key of the fifths that the reference is split into for ``value_if_no_change``.

    Returns
    -------
    JointResult
        ``statistic`` and ``ci`` the mean error of the current rows, ``value_if_no_change`` that of reference rows which
        the components were fitted without, ``pvalue`` of their difference. ``details``: components, explained,
        in_sample (mean error of the reference by its own components).

    Raises
    ------
    UsageError
        If no column varies in the reference, the samples have different columns, a column has another type, a side
        has fewer than two rows or blocks, or a block lies in both.

    References
    ----------
    .. [1] NannyML, data reconstruction with PCA: the same mean error where nothing is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from tidegauge import stats
    >>> t = np.arange(40.0)
    >>> x = np.column_stack([t, t + np.sin(t), np.cos(t)])
    >>> y = np.column_stack([t, 40 - t, np.cos(t)])
    >>> found = stats.pca_reconstruction(x, y)
    >>> round(found.value_if_no_change, 2), round(found.statistic, 2)
    (0.99, 1.63)
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha}; it must lie between 0 and 1")
    both = samples(x, y, columns, exclude, categorical, block)
    chosen = _common(None, None, random_state, None)
    return _answer("pca_reconstruction", both, explained=explained, components=components, alpha=alpha, **chosen)
