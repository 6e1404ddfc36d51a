"""A first configuration, from a look at the data: what was guessed is written beside its reason."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tidegauge._secrets import mask
from tidegauge.errors import InputError, UsageError

if TYPE_CHECKING:
    import datetime as dt

    import polars as pl

Preset = Literal["drift", "validation", "monitoring"]

#: Rows that roles are guessed from.
LOOKED_AT = 100_000
#: Different values of a column that may tell segments apart.
SEGMENTS = range(2, 51)
_WEIGHTS = ("weight", "weights", "sample_weight", "fnlwgt", "exposure")
_PROTECTED = ("sex", "gender", "race", "ethnicity", "age", "religion", "nationality", "disability", "marital_status")
_PREDICTIONS = ("prediction", "predicted", "y_pred", "score", "label")


@dataclass
class Draft:
    """A configuration as text, and what was guessed.

    Attributes
    ----------
    text : str
        TOML with comments; :func:`tidegauge.run` takes it as it is.
    guesses : list of str
        One sentence a guess, with its reason.
    """

    text: str
    guesses: list[str] = field(default_factory=list)


def draft(reference: str, current: str, *, folder: Path, preset: Preset = "monitoring") -> Draft:
    """Write a configuration for two tables.

    Parameters
    ----------
    reference, current : str
        Paths, globs, folders or URLs.
    folder : Path
        Where the configuration will lie: local paths are written relative to it.
    preset : {"drift", "validation", "monitoring"}
        What the configuration starts from.

    Returns
    -------
    Draft

    Raises
    ------
    InputError, UsageError
        As for :func:`tidegauge.profile`.
    """
    from tidegauge._profile import profile

    head = _head(reference)
    if head.height == 0:
        raise InputError(f"{reference}: no rows to guess from")
    columns = profile(head, source_id="head").info["columns"]
    other = _schema(current)
    guesses: list[str] = []
    roles = _roles(columns, head, guesses)
    time = roles.get("time")
    if preset == "monitoring" and time is None:
        preset = "drift"
        guesses.append("preset drift in place of monitoring: no column is a time, and windows need one")
    missing = [c["name"] for c in columns if c["name"] not in other]
    new = [name for name in other if name not in head.columns]
    if missing:
        guesses.append(f"the current data has no {_listed(missing)}: a missing feature fails")
    if new:
        guesses.append(f"only the current data has {_listed(new)}: they are not judged")
    span = _span(current, str(time)) if time else None
    window = _window(span, preset, guesses)
    days = _days(_span(reference, str(time))) if time else None
    cuts = _cuts(columns, roles, guesses)
    protected = [c["name"] for c in columns if c["name"].lower() in _PROTECTED]
    if protected:
        guesses.append(f"{_listed(protected)} may be protected attributes: say so in roles.protected")
    weights = [c["name"] for c in columns if c["name"].lower() in _WEIGHTS]
    if weights:
        guesses.append(f"{_listed(weights)} may be weights of rows: say so in roles.weight, or it is a feature")

    lines = [
        "# What tidegauge compares, written by `tidegauge init`; every guess has its reason beside it.",
        f"# Roles come from the first {head.height:,} rows of the reference. Paths are relative to this file.",
        "# `tidegauge plan FILE` says what a run reads, `tidegauge run FILE` runs it.",
        "",
        f"preset = {_text(preset)}  # drift, validation or monitoring: defaults of what is not written here",
        "",
        "[model]",
        f"name = {_text(_name(current))}  # carried into every row",
        '# version = "1"',
        "",
        "[reference]",
        f"path = {_text(_relative(reference, folder))}",
        "",
        "[current]",
        f"path = {_text(_relative(current, folder))}",
    ]
    if window:
        lines.append(f"window = {_text(window)}  # one verdict a column and window; 1h, 1d, 1w or 1mo")
        lines.append('# time_zone = "Europe/Paris"  # where days begin; UTC without it')
    if cuts:
        lines.append(f"# by = [{', '.join(_text(c) for c in cuts)}]  # each value a segment with verdicts of its own")
    lines += ["", "[roles]"]
    for role in ("time", "label", "score", "prediction", "id"):
        if role in roles:
            lines.append(f"{role} = {_value(roles[role])}")
    if weights:
        lines.append(f"# weight = {_text(weights[0])}")
    if protected:
        lines.append(f"# protected = {_value(protected)}")
    lines.append("# exclude = []  # columns that are not read")
    if days is not None and days >= 20:
        lines.append('block = "1d"  # rows of a day resemble each other: days are the independent units')
        guesses.append(f"days are the units of sampling error: the reference has {days} of them")
    elif time:
        lines.append('# block = "1d"  # needs about 20 days of reference')
    lines += [
        "",
        '# [columns."temp*"]  # limits of the columns that a glob names',
        "# tolerance = { warn = 0.05, fail = 0.10 }",
        "",
        "[output]",
        f"files = {_value(['report.json', 'report.html'])}  # also .md .txt .ndjson .parquet .tgp",
        "",
    ]
    return Draft("\n".join(lines), guesses)


def _head(path: str) -> pl.DataFrame:
    from tidegauge import sources

    lazy = _lazy(path)
    return sources._guard(lambda: lazy.head(LOOKED_AT).collect(), [path])  # type: ignore[no-any-return]


def _schema(path: str) -> list[str]:
    from tidegauge import sources

    lazy = _lazy(path)
    return list(sources._guard(lambda: lazy.collect_schema(), [path]))


def _lazy(path: str) -> pl.LazyFrame:
    from tidegauge import sources

    if not sources.is_remote(path) and not Path(path).exists() and not any(c in path for c in "*?["):
        raise InputError(f"{path}: no such file or folder")
    kind = sources._kind(path)
    found: pl.LazyFrame = sources._guard(lambda: sources._scan(kind, [path], {}, {}), [path])
    return found


def _roles(columns: list[dict[str, Any]], head: pl.DataFrame, guesses: list[str]) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    held = {c["name"]: c.get("role") or "feature" for c in columns}
    times = [name for name, role in held.items() if role == "time"]
    if times:
        found["time"] = times[0]
        guesses.append(f"{times[0]} is the time: a timestamp" + (f"; also {_listed(times[1:])}" if times[1:] else ""))
    ids = [name for name, role in held.items() if role == "id"]
    if ids:
        found["id"] = ids
        guesses.append(f"{_listed(ids)}: unique values, or the number of a thing; never judged")
    for role in ("label", "score", "prediction"):
        names = [name for name, given in held.items() if given == role]
        if names:
            found[role] = names[0] if role == "label" or len(names) == 1 else names
            guesses.append(f"{_listed(names)}: {role} by its name")
    if "label" not in found:
        guesses.append("no label was found by name: give roles.label to measure performance")
    return found


def _span(path: str, time: str) -> tuple[dt.datetime, dt.datetime] | None:
    import polars as pl

    from tidegauge import sources

    lazy = _lazy(path)
    if time not in sources._guard(lambda: lazy.collect_schema(), [path]):
        return None
    ends = sources._guard(
        lambda: (
            lazy.select(pl.col(time).cast(pl.Datetime("us"), strict=False))
            .select(pl.col(time).min().alias("first"), pl.col(time).max().alias("last"))
            .collect()
        ),
        [path],
    )
    first, last = ends.row(0)
    return None if first is None else (first, last)


def _days(span: tuple[dt.datetime, dt.datetime] | None) -> int | None:
    return None if span is None else (span[1].date() - span[0].date()).days + 1


def _window(span: tuple[dt.datetime, dt.datetime] | None, preset: Preset, guesses: list[str]) -> str | None:
    """About 5 to 60 windows."""
    if span is None or preset != "monitoring":
        return None
    days = (span[1] - span[0]).total_seconds() / 86_400
    window = "1h" if days < 3 else "1d" if days < 40 else "1w" if days < 180 else "1mo"
    guesses.append(f"windows of {window}: the current data spans {days:.3g} days")
    return window


def _cuts(columns: list[dict[str, Any]], roles: dict[str, Any], guesses: list[str]) -> list[str]:
    names = [
        c["name"]
        for c in columns
        if c["kind"] == "categorical" and (c.get("role") or "feature") == "feature" and round(c["distinct"]) in SEGMENTS
    ][:3]
    if names:
        guesses.append(f"{_listed(names)} could tell segments apart: uncomment current.by")
    return names


def _name(path: str) -> str:
    stem = next((p for p in reversed(Path(path).parts) if not any(c in p for c in "*?[=")), "model")
    return Path(stem).stem or "model"


def _relative(path: str, folder: Path) -> str:
    if "://" in path:
        if mask(path) != path:
            raise UsageError(f"{mask(path)}: holds a secret; configurations hold none (the environment does)")
        return path
    return Path(os.path.relpath(Path(path).absolute(), folder.absolute())).as_posix()


def _text(value: str) -> str:
    """A TOML basic string, which is a JSON one but for the character 127."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: str | list[str]) -> str:
    return _text(value) if isinstance(value, str) else f"[{', '.join(map(_text, value))}]"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
