"""What stands beside importances: associated features, rows that the data does not hold, and groups."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from tidegauge._models import Table
    from tidegauge.importance import ImportanceResult

    Floats = npt.NDArray[np.float64]

#: Rows that are looked at: fewer of very many columns, whose pairs are all counted.
ROWS, MANY, FEWER = 4096, 256, 1024
#: Rows of files that are looked at.
FIRST = 1 << 16
#: The least association of features that are named beside one another, and are a group.
ASSOCIATED = 0.7


@dataclass(frozen=True, kw_only=True)
class AssociatedGroup:
    """Features that go together, taken from one other row all at once.

    Attributes
    ----------
    name : str
        The names of its features, with ``+`` between them.
    features : list of str
    association : float
        The smallest of any two of them.
    importance, standard_error, pvalue, qvalue : float
        As those of a feature; ``qvalue`` is Benjamini-Hochberg over the groups.
    interval : tuple of float
    method : str
        ``exact``, or ``permutation`` where the model has no exact form for the group.
    outside, outside_error : float
        Share of permuted rows outside the data, and its standard error.
    """

    name: str
    features: list[str]
    association: float
    importance: float
    standard_error: float
    interval: tuple[float, float]
    pvalue: float
    qvalue: float
    method: str
    outside: float
    outside_error: float


@dataclass(frozen=True)
class Support:
    """What a sample of rows says of units: columns that are permuted together."""

    correlated: list[list[tuple[str, float]]]
    outside: Floats
    groups: list[dict[str, Any]]


def look(table: Table, units: dict[str, list[int]], population: int) -> Support:
    """Associations, shares outside the data and groups of units, from rows that their values choose."""
    import numpy as np

    used = sorted({j for members in units.values() for j in members})
    place = {j: k for k, j in enumerate(used)}
    wanted = ROWS if len(used) <= MANY else FEWER
    frame = columns(table.take(chosen(table, used, wanted)), used)
    members = [[place[j] for j in members] for members in units.values()]
    found = json.loads(_core.support(frame, members, population, ASSOCIATED))
    names = list(units)
    return Support(
        correlated=[[(names[k], float(r)) for k, r in close] for close in found["close"]],
        outside=np.array(found["outside"], dtype=np.float64).reshape(-1, 2),
        groups=[
            {"features": [names[k] for k in g["members"]], "association": g["association"], "outside": g["outside"]}
            for g in found["groups"]
        ],
    )


def chosen(table: Table, used: Sequence[int], wanted: int) -> npt.NDArray[np.intp]:
    """At most so many rows, by a hash of their values and in its order: the same of any order of the table.

    Rows of equal values are told apart by how many of them came before, so that each is chosen as often as others.
    """
    import numpy as np
    import polars as pl

    keys = np.zeros(table.rows, dtype=np.uint64)
    for j in used:
        values = column(table, j).cast(pl.Float64).fill_null(float("nan")).to_numpy() + 0.0
        keys = _mixed(keys ^ np.where(np.isnan(values), np.float64("nan"), values).view(np.uint64))
    order = np.argsort(keys, kind="stable")
    held = keys[order]
    places = np.arange(len(held), dtype=np.uint64)
    first = np.maximum.accumulate(np.where(np.append(True, held[1:] != held[:-1])[: len(held)], places, 0))
    ranks = _mixed(held ^ _mixed(places - first + np.uint64(1)))
    return order[np.argsort(ranks, kind="stable")[:wanted]]


def _mixed(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Each bit a function of all: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    import numpy as np

    with np.errstate(over="ignore"):
        bits = bits + np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def columns(table: Table, used: Sequence[int]) -> pl.DataFrame:
    """Columns as :func:`column` makes them, named by their place."""
    import polars as pl

    return pl.DataFrame([column(table, j).rechunk().alias(str(j)) for j in used])


def column(table: Table, j: int) -> pl.Series:
    """Numbers and times as floats, anything else as codes; a column that is neither counts as one value."""
    import polars as pl

    from tidegauge._joint import _codes
    from tidegauge.frames import to_series

    try:
        values = to_series(str(table.names[j]), table.column(j))
    except UsageError:
        return pl.Series([0.0] * table.rows)
    dtype = values.dtype
    if dtype.is_numeric() and not dtype.is_decimal():
        return values.cast(pl.Float64)
    if dtype.is_temporal():
        return values.to_physical().cast(pl.Float64)
    if dtype == pl.Object or dtype.is_nested():
        return pl.Series([0.0] * table.rows)
    return _codes(values if not dtype.is_decimal() else values.cast(pl.String))


def of(
    data: Table | pl.LazyFrame,
    y: Any,
    sample_weight: Any,
    groups: Mapping[str, Sequence[str | int]] | None,
    result: ImportanceResult,
) -> Support | None:
    """What rows say of the units of a result; of files the first rows. None where units are no columns."""
    from tidegauge._models import Table as Made
    from tidegauge._permutation import units_of

    if not isinstance(data, Made):
        own = [name for name in (y, sample_weight) if isinstance(name, str)]
        data = Made(data.head(FIRST).drop(own).collect())
    names = [str(name) for name in data.names]
    if groups is not None:
        units = units_of(data.names, groups)
    elif any(name not in names for name in result.features):
        return None
    else:
        units = {name: [names.index(name)] for name in result.features}
    return look(data, units, result.n_rows)


def described(
    found: dict[str, ImportanceResult],
    support: Support,
    measured: Callable[[dict[str, list[str]]], dict[str, ImportanceResult]] | None,
    single: bool,
) -> dict[str, ImportanceResult]:
    """Results with what `support` says, and with importances of groups where they can be `measured`."""
    import numpy as np

    used = {n for r in found.values() for n, e in zip(r.features, r.standard_error, strict=True) if e != 0.0}
    groups = support.groups if single else []
    wanted = {" + ".join(g["features"]): g for g in groups if len(used.intersection(g["features"])) > 1}
    notes: list[str] = []
    measures: dict[str, ImportanceResult] = {}
    if wanted and measured is None:
        notes.append("features that go together have no importance as a group here; read the table first")
    elif wanted and measured is not None:
        try:
            measures = measured({name: g["features"] for name, g in wanted.items()})
        except UsageError as error:
            notes.append(f"features that go together have no importance as a group: {error}")
    made = {}
    for scoring, result in found.items():
        of_groups = measures.get(scoring)
        told = [*result.notes, *notes]
        if of_groups is not None and of_groups.method != result.method:
            told.append(f"groups of features are by permutation: {'; '.join(of_groups.notes)}")
        made[scoring] = replace(
            result,
            correlated=support.correlated,
            outside=np.ascontiguousarray(support.outside[:, 0]),
            outside_error=np.ascontiguousarray(support.outside[:, 1]),
            associated_groups=[]
            if of_groups is None
            else [
                AssociatedGroup(
                    name=name,
                    features=group["features"],
                    association=group["association"],
                    importance=float(of_groups.importances_mean[k]),
                    standard_error=float(of_groups.standard_error[k]),
                    interval=(float(of_groups.interval[k, 0]), float(of_groups.interval[k, 1])),
                    pvalue=float(of_groups.pvalue[k]),
                    qvalue=float(of_groups.qvalue[k]),
                    method=of_groups.method,
                    outside=_number(group["outside"][0]),
                    outside_error=_number(group["outside"][1]),
                )
                for k, (name, group) in enumerate(wanted.items())
            ],
            notes=told,
        )
    return made


def _number(x: float | None) -> float:
    return float("nan") if x is None else float(x)


def ordered(result: ImportanceResult) -> list[tuple[int | None, int | None]]:
    """Rows of the table, as (group, feature): the most important first, each group above its features."""
    at = {name: i for i, name in enumerate(result.features)}
    held = {name: k for k, group in enumerate(result.associated_groups) for name in group.features}
    heads: list[tuple[float, int, int | None, int | None]] = [
        (-result.importances_mean[i], i, None, i) for i, name in enumerate(result.features) if name not in held
    ]
    for k, group in enumerate(result.associated_groups):
        # Its place is that of the larger of its own importance and its features'.
        most = max([group.importance, *(float(result.importances_mean[at[name]]) for name in group.features)])
        heads.append((-most, at[group.features[0]], k, None))
    found: list[tuple[int | None, int | None]] = []
    for _, _, place, i in sorted(heads, key=lambda head: head[:2]):
        found.append((place, i))
        if place is not None:
            members: Sequence[int] = [at[name] for name in result.associated_groups[place].features]
            found += [(place, j) for j in sorted(members, key=lambda j: (-result.importances_mean[j], j))]
    return found
