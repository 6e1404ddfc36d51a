"""What few rows hold is counted and not named: segments in rows, extremes and categories in what is shown."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from tidegauge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from tidegauge._profile import Options, Profile
    from tidegauge.results import Row

#: Values that fewer rows hold are not named; ``MIN_COUNT`` of the core.
MIN_COUNT = 10
#: What stands for the values of segments of fewer rows, with a number that tells them apart.
HIDDEN = f"(fewer than {MIN_COUNT} rows"
#: How Polars says that text is not of its column's type, in CSV and in NDJSON; a line break in a value ends it.
_UNREADABLE = re.compile(
    r"(?:could not|cannot) parse (?:"
    r"`.*` as dtype `(?P<kind>[^`]+)` at column '(?P<column>.*)' \(column number \d+\)"
    r"|'.*' \(\w+\) as (?P<type>\w+)"
    r"|[`'].*)$",
    re.DOTALL,
)


@contextlib.contextmanager
def untold(options: Options, like: Profile | None) -> Iterator[None]:
    """Errors of readers of text name no value of a column that is sensitive or protected.

    Where the reader does not say which column a value is of, none is named as soon as there is such a column.
    """
    hidden = set(options.sensitive)
    roles = options.roles.items() if like is None else {**like.info["roles"], **options.roles}.items()
    hidden |= {name for name, role in roles if role == "protected"}
    if like is not None:
        hidden |= set(like.options.sensitive)
    try:
        yield
    except InputError as error:
        told = without_value(str(error), hidden)
        if told == str(error):
            raise
        raise InputError(told) from None


def without_value(message: str, hidden: Collection[str]) -> str:
    """A message of Polars on a value that is not of its column's type, without the value where it may be hidden."""
    found = _UNREADABLE.search(message)
    if found is None or not hidden or (found["column"] is not None and found["column"] not in hidden):
        return message
    place = f" at column {found['column']!r}" if found["column"] is not None else ""
    dtype = found["kind"] or found["type"]
    kind = f" as dtype {dtype}" if dtype else " as its dtype"
    told = f"could not parse a value, which is not told,{kind}{place}"
    return f"{message[: found.start()]}{told}; accepted are values of that type, or another one in schema"


def hide_segments(
    rows: Sequence[Row], reference: Profile, current: Profile, performance: Mapping[str, Any] | None = None
) -> None:
    """Put a number in the place of the value of every segment that few rows hold, in place.

    A segment is named where `MIN_COUNT` rows of the reference or of its window hold it. The numbers are those of one
    window, in the order of the values, so that rows are the same for equal data.
    """
    told = [*rows, *(performance or {}).get("reference", ())]
    if not any(row["segment_by"] is not None for row in told):
        return
    known: dict[tuple[str, str], int] = {}
    for group in reference.info["groups"]:
        place = (group["segment_by"], group["segment_value"])
        known[place] = known.get(place, 0) + group["rows"]
    within: dict[tuple[str | None, str, str], int] = {}
    for group in current.info["groups"]:
        key = (group["window_start"], group["segment_by"], group["segment_value"])
        within[key] = within.get(key, 0) + group["rows"]
    # Groups of protected columns are no segments of the profiles: their rows tell how many they are.
    for row in told:
        if row["segment_by"] is not None:
            key = (row.get("window_start"), row["segment_by"], row["segment_value"])
            within[key] = max(within.get(key, 0), row.get("n_reference") or 0, row.get("n_current") or 0)
    rare: dict[tuple[str | None, str], set[str]] = {}
    for row in told:
        by, value, window = row["segment_by"], row["segment_value"], row.get("window_start")
        if by is None or value in ("(other)", "(missing)"):
            continue
        if max(known.get((by, value), 0), within.get((window, by, value), 0)) < MIN_COUNT:
            rare.setdefault((window, by), set()).add(value)
    names = {
        place: {value: f"{HIDDEN}, {i})" for i, value in enumerate(sorted(values), 1)} for place, values in rare.items()
    }
    for row in told:
        hidden = names.get((row.get("window_start"), row["segment_by"]), {})
        if not hidden:
            continue
        row["segment_value"] = hidden.get(row["segment_value"], row["segment_value"])
        message = row.get("message") or ""
        # Rates of groups name the group that they are compared with.
        for value, name in hidden.items():
            message = message.replace(f"group {value},", f"group {name},")
        row["message"] = message or None


def hidden_segments(rows: Iterable[Row]) -> int:
    """How many segments of windows are not named."""
    return len({
        (row["window_start"], row["segment_by"], row["segment_value"])
        for row in rows
        if row["segment_value"] is not None and row["segment_value"].startswith(HIDDEN)
    })  # fmt: skip


def without_extremes(info: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a profile, without the extremes and the values of segments that few rows are known to hold.

    The times of the column that windows are cut by are told: they say which data it is.
    """
    columns = []
    for column in info["columns"]:
        shown = {**column}
        for end in ("min", "max"):
            held = shown.pop(f"{end}_rows", None)
            if column.get("role") != "time" and (held is None or held < MIN_COUNT):
                shown[end] = None
        columns.append(shown)
    groups = [{**group} for group in info["groups"]]
    sizes: dict[tuple[str, str], int] = {}
    for group in groups:
        if group["segment_by"] is not None:
            place = (group["segment_by"], group["segment_value"])
            sizes[place] = sizes.get(place, 0) + group["rows"]
    names = numbered(place for place, rows in sizes.items() if rows < MIN_COUNT)
    for group in groups:
        place = (group["segment_by"], group["segment_value"])
        group["segment_value"] = names.get(place, group["segment_value"])
    return {**info, "columns": columns, "groups": groups}


def hide_in_tables(tables: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Tables of a profile, the first that of its columns, without the values of segments of few rows."""
    import polars as pl

    place = ["segment_by", "segment_value"]
    columns = tables[0].filter(pl.col("segment_by").is_not_null())
    rows = columns.group_by(*place, "feature").agg(pl.col("rows").sum()).group_by(place).agg(pl.col("rows").max())
    names = numbered((by, value) for by, value, n in rows.iter_rows() if n < MIN_COUNT)
    if not names:
        return list(tables)
    known = pl.DataFrame(
        [(by, value, name) for (by, value), name in names.items()], schema=[*place, "hidden"], orient="row"
    )
    return [
        table.join(known, on=place, how="left", maintain_order="left")
        .with_columns(segment_value=pl.coalesce("hidden", "segment_value"))
        .drop("hidden")
        for table in tables
    ]


def numbered(places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What stands for the values of these cuts, numbered in each cut in the order of the values."""
    found: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    for by, value in sorted(places):
        if value in ("(other)", "(missing)"):
            continue
        counts[by] = counts.get(by, 0) + 1
        found[by, value] = f"{HIDDEN}, {counts[by]})"
    return found
