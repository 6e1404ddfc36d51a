"""Joint statistics as a part of a comparison: a sample of rows on each side, and rows of what they say.

Samples hold raw rows. They are drawn for one comparison and kept in memory, or in a folder of their own where
one is named; no record and no page holds any of them.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from tidegauge._joint import JointResult
    from tidegauge._profile import Options, Profile
    from tidegauge._sample import RowSample
    from tidegauge.config import Joint

#: Rows of all windows together that are held at most.
MOST = 1_000_000
#: What a row of the core is made of.
FIELDS = (
    "statistic", "model_version", "window_start", "window_end", "value", "ci_low", "ci_high", "variance",
    "value_if_no_change", "pvalue", "n_reference", "n_current", "n_eff_reference", "n_eff_current", "message",
)  # fmt: skip
#: Features of a message.
NAMED = 5


@dataclass(frozen=True)
class Samples:
    """Rows of both sides in the order of their priorities, and how many there were.

    ``problem`` is why there are none.
    """

    reference: pl.DataFrame | None = None
    current: pl.DataFrame | None = None
    rows_reference: int = 0
    columns: list[str] = field(default_factory=list)
    time: str | None = None
    version: str | None = None
    note: str | None = None
    problem: str | None = None
    #: Files of both samples, where a folder is named for them: drawing writes nothing.
    files: tuple[tuple[Path, bytes], ...] = ()


def sample_places(settings: Joint | None) -> dict[str, Path]:
    """The files that samples are left in, by side."""
    if settings is None or settings.samples is None:
        return {}
    sides = ("current",) if settings.reference_sample is not None else ("reference", "current")
    return {side: Path(settings.samples) / f"{side}.parquet" for side in sides}


def as_joint(given: Mapping[str, Any] | Sequence[str] | str | Joint | None) -> Joint | None:
    """Settings of the joint statistics; none where no statistic is asked for.

    Raises
    ------
    UsageError
        If a key or value is not accepted, or a classifier is not installed.
    """
    if not given:
        return None
    from tidegauge.config import Joint, convert

    if isinstance(given, str):
        given = [given]
    if not isinstance(given, (Mapping, Joint)):
        given = {"statistics": list(given)}
    settings = given if isinstance(given, Joint) else convert(dict(given), Joint, "joint")
    if unnamed := [name for name in settings.tolerances if name not in settings.statistics]:
        raise UsageError(f"joint.tolerances: {unnamed[0]!r} is not among the statistics asked for")
    if "classifier_test" in settings.statistics:
        modules = {"auto": ("lightgbm", "sklearn")}.get(settings.classifier, (settings.classifier,))
        if not any(map(importlib.util.find_spec, modules)):
            raise UsageError(
                f"classifier_test needs {' or '.join(modules)}, which is not installed; "
                "accepted are lightgbm and scikit-learn"
            )
    return settings if settings.statistics else None


def check_sources(reference: Any, current: Any, settings: Joint) -> None:
    """Refuse data that hold no rows, or whose rows can be read once only, before anything is read.

    Raises
    ------
    UsageError
    """
    from tidegauge._profile import is_profile
    from tidegauge.sources import comes_once

    for side, data in (("reference", reference), ("current", current)):
        if side == "reference" and settings.reference_sample is not None:
            continue
        if is_profile(data):
            told = ", or a file of a row sample as reference_sample" if side == "reference" else ""
            raise UsageError(
                f"joint statistics need the rows of the {side} data, and a profile holds none; accepted are those{told}"
            )
        if comes_once(data):
            raise UsageError(
                f"joint statistics read the {side} data again, and {type(data).__name__} may come once; "
                "accepted are paths, frames and tables"
            )


def draw(
    reference: Any,
    current: Any,
    frozen: Profile,
    measured: Profile,
    settings: Joint,
    *,
    of_reference: Options,
    of_current: Options,
) -> Samples:
    """Draw the samples: as many rows of the reference, and of each window, as are asked for."""
    info = frozen.info
    roles = info["roles"]
    columns, note = _columns(info, measured.info, settings)
    if not columns:
        return Samples(problem="no column of both tables is left for joint statistics")
    time = next((name for name, role in roles.items() if role == "time"), None)
    rule = info["block"] or {}
    block = [detail["column"] for detail in rule.values()]
    version = of_current.model_version
    keys = [settings.key] if isinstance(settings.key, str) else list(settings.key)
    groups = [group for group in measured.info["groups"] if group["segment_by"] is None]
    windowed = any(group["window_start"] for group in groups)
    types = {column["name"]: column["logical"] for column in info["columns"]}
    drawn: dict[str, RowSample] = {}
    try:
        if settings.reference_sample is not None:
            first, rows = _load(settings.reference_sample, [*columns, *block])
        else:
            drawn["reference"] = _sample(
                reference, of_reference, [*columns, *block], keys, settings.rows, settings, time, types, "reference"
            )
            first, rows = drawn["reference"].to_polars(repeat=True), drawn["reference"].rows
        more = [*block, *([time] if windowed and time else []), *([version] if version else [])]
        k = min(settings.rows * max(len(groups), 1), MOST)
        drawn["current"] = _sample(current, of_current, [*columns, *more], keys, k, settings, time, types, "current")
        second = drawn["current"].to_polars(repeat=True)
    except InputError as error:
        # Units that were set aside are told as coverage; rows of the others alone would be no sample.
        if not (of_reference.max_bad_units or of_current.max_bad_units):
            raise
        return Samples(problem=f"no sample of rows could be drawn: {error}")
    if weighed := [name for name, role in roles.items() if role in ("weight", "frequency")]:
        note = "; ".join(filter(None, (note, f"the weights of {weighed[0]!r} play no part")))
    files = tuple((place, drawn[side].content()) for side, place in sample_places(settings).items())
    return Samples(first, second, rows, columns, time if windowed else None, version, note, files=files)


def _columns(info: dict[str, Any], current: dict[str, Any], settings: Joint) -> tuple[list[str], str | None]:
    """The columns to take, and which are left out because only the reference has them."""
    known = [column["name"] for column in info["columns"]]
    wanted = [name for name in known if info["roles"].get(name, "feature") == "feature"]
    if settings.columns is not None:
        wanted = list(settings.columns)
    exclude = [settings.exclude] if isinstance(settings.exclude, str) else settings.exclude
    for option, names in (("columns", settings.columns or []), ("exclude", exclude)):
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"joint.{option}: {unknown[0]!r} is not in the reference; it has {', '.join(known)}")
    wanted = [name for name in wanted if name not in exclude]
    there = {column["name"] for column in current["columns"]}
    gone = [name for name in wanted if name not in there]
    note = (
        f"without {', '.join(map(repr, gone[:NAMED]))}, which the current data lack or hold as another type"
        if gone
        else None
    )
    return [name for name in wanted if name in there], note


def _sample(
    data: Any, options: Options, columns: list[str], keys: list[str], k: int, settings: Joint, time: str | None,
    types: dict[str, str], side: str,
) -> RowSample:  # fmt: skip
    """Rows of one side."""
    from tidegauge._sample import draw_rows
    from tidegauge.sources import Selection, resolve

    wanted = list(dict.fromkeys([*columns, *keys]))
    selection = Selection(
        columns=wanted, where=options.where, since=options.since, until=options.until, time=options.time or time,
        time_zone=options.time_zone, needed=[time] if time and (options.since or options.until) else [],
    )  # fmt: skip
    source = resolve(data, selection, schema=options.schema, like=types if side == "current" else None)
    return draw_rows(
        source, k=k, row_key=keys, columns=wanted, random_state=settings.random_state, threads=options.threads
    )


def _load(path: str, columns: list[str]) -> tuple[pl.DataFrame, int]:
    """A row sample from its file."""
    import polars as pl

    from tidegauge._sample import MULTIPLICITY, repeated

    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None
    if missing := [name for name in columns if name not in frame.columns]:
        raise UsageError(f"{path}: column {missing[0]!r} is not in this row sample; it has {', '.join(frame.columns)}")
    if MULTIPLICITY in frame.columns:
        frame = repeated(frame)
    return frame, frame.height


def joint_rows(
    reference: Profile, current: Profile, samples: Samples, settings: Joint, *, alpha: float
) -> dict[str, Any]:
    """What the core makes rows of: each statistic in each window and version, and limits of those that decide."""
    info = reference.info
    groups = [group for group in current.info["groups"] if group["segment_by"] is None]
    # Those that decide share the level.
    level = alpha / max(len(settings.tolerances), 1)
    found = []
    for group in groups:
        place = {name: group[name] for name in ("window_start", "window_end", "model_version")}
        for statistic in settings.statistics:
            told = _row(statistic, samples, settings, info, group, level)
            found.append({"statistic": statistic, **place, **told})
    return {"joint_rows": found, "joint_tolerances": _limits(settings)}


def from_rows(rows: Sequence[Mapping[str, Any]], settings: Joint) -> dict[str, Any]:
    """What the core makes the joint rows of a record of, again; other rows are passed over."""
    found = [{name: row[name] for name in FIELDS} for row in rows if row["kind"] == "joint"]
    found = [row for row in found if row["statistic"] in settings.statistics]
    return {"joint_rows": found, "joint_tolerances": _limits(settings)}


def _limits(settings: Joint) -> dict[str, dict[str, float]]:
    return {name: {"warn": limit.warn, "fail": limit.fail} for name, limit in settings.tolerances.items()}


def _row(
    statistic: str, samples: Samples, settings: Joint, info: dict[str, Any], group: dict[str, Any], level: float
) -> dict[str, Any]:
    if samples.problem is not None or samples.reference is None or samples.current is None:
        return {"message": samples.problem}
    x = samples.reference.head(settings.rows)
    y = _of_group(samples.current, samples, group).head(settings.rows)
    drawn = (
        f"a sample of {x.height:,} of {samples.rows_reference:,} rows of the reference and "
        f"{y.height:,} of {group['rows']:,} now"
    )
    label, blocks = _blocks(info["block"], x, y)
    try:
        answer = _compute(statistic, x, y, samples, settings, info, blocks, level)
    except UsageError as error:
        return {
            "n_reference": x.height, "n_current": y.height,
            "message": "; ".join(filter(None, (f"{error}", drawn, samples.note))),
        }  # fmt: skip
    parts = (_separating(answer, level), answer.message, drawn, samples.note)
    ci = answer.ci
    return {
        "value": answer.statistic,
        "ci_low": None if ci is None else ci.low,
        "ci_high": None if ci is None else ci.high,
        "variance": label if answer.variance == "block" else "iid",
        "value_if_no_change": answer.value_if_no_change,
        "pvalue": answer.pvalue,
        "n_reference": answer.n_reference,
        "n_current": answer.n_current,
        "n_eff_reference": answer.units_reference,
        "n_eff_current": answer.units_current,
        "message": "; ".join(part for part in parts if part),
    }


def _of_group(current: pl.DataFrame, samples: Samples, group: dict[str, Any]) -> pl.DataFrame:
    """The sampled rows of one window and model version."""
    import polars as pl

    if group["window_start"] is not None and samples.time is not None:
        start, end = (
            dt.datetime.fromisoformat(group[name]).astimezone(dt.UTC) for name in ("window_start", "window_end")
        )
        current = current.filter(_instants(current[samples.time]).is_between(start, end, closed="left"))
    if group["model_version"] is not None and samples.version is not None:
        current = current.filter(pl.col(samples.version).cast(pl.String) == group["model_version"])
    return current


def _instants(times: pl.Series) -> pl.Series:
    """Times as instants in UTC, as the scan takes them."""
    import polars as pl

    if isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone is not None:
        return times.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return times.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _blocks(
    rule: dict[str, Any] | None, x: pl.DataFrame, y: pl.DataFrame
) -> tuple[str, tuple[pl.Series, pl.Series] | None]:
    """Label of the variance, and the block of each row; blocks of either side are apart, as in all other rows."""
    import polars as pl

    if not rule:
        return "iid", None
    ((kind, detail),) = rule.items()

    def labels(side: str, rows: pl.DataFrame) -> pl.Series:
        values = rows[detail["column"]]
        if kind == "time":
            values = _instants(values).dt.convert_time_zone(detail["zone"]).dt.truncate(detail["length"])
        elif isinstance(values.dtype, pl.Binary):
            values = values.bin.encode("hex")
        found: pl.Series = side + values.cast(pl.String).fill_null("")
        return found

    return f"block:{detail['length'] if kind == 'time' else detail['column']}", (labels("x", x), labels("y", y))


def _compute(
    statistic: str, x: pl.DataFrame, y: pl.DataFrame, samples: Samples, settings: Joint, info: dict[str, Any],
    blocks: Any, level: float,
) -> JointResult:  # fmt: skip
    from tidegauge._classifier import classifier_test
    from tidegauge._joint import energy_multivariate, mmd, pca_reconstruction

    kinds = {column["name"]: column["kind"] for column in info["columns"]}
    common: dict[str, Any] = {
        "categorical": [name for name in samples.columns if kinds.get(name) == "categorical"],
        "block": blocks,
        "random_state": settings.random_state,
    }
    x, y = x.select(samples.columns), y.select(samples.columns)
    match statistic:
        case "classifier_test":
            return classifier_test(x, y, classifier=settings.classifier, alpha=level, **common)
        case "pca_reconstruction":
            return pca_reconstruction(x, y, alpha=level, **common)
        case "mmd":
            return mmd(x, y, permutations=settings.permutations, **common)
        case _:
            return energy_multivariate(x, y, permutations=settings.permutations, **common)


def _separating(answer: JointResult, level: float) -> str | None:
    """The features that tell the sides apart, where anything does."""
    if not answer.importances:
        return None
    if answer.pvalue is None or answer.pvalue > level:
        return "no feature tells the samples apart"
    most = next(iter(answer.importances.values()))
    told = [(name, lost) for name, lost in answer.importances.items() if lost > max(0.05 * most, 0.0)]
    named = ", ".join(f"{name} ({lost:.3f})" for name, lost in told[:NAMED])
    return f"told apart by {named}: area that is lost when a feature is permuted" if told else None
