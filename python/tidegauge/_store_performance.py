"""Performance in a store: states of label and prediction by part and window, beside its profiles.

Each part keeps, by window, the states of its rows, which merge as profiles do: a window is measured on the rows that
it is judged on, whichever runs brought them. What is measured is told by the configuration and the reference alone,
so that every part measures the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._performance import Measured, measure_side, missing_rows, plan_of
from tidegauge._privacy import hide_segments
from tidegauge._profile import is_profile
from tidegauge._store import instant_of, micros, moment, read_tables, telling
from tidegauge.errors import SchemaError
from tidegauge.results import parse_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from tidegauge._performance import Settings
    from tidegauge._profile import Options, Profile, Progress
    from tidegauge._store import Start, Store, Window
    from tidegauge.results import Row

NAME = "performance.parquet"
#: States of some rows, or why there are none.
Found = _core.Performance | str


@dataclass
class Watch:
    """What a store measures of labels and predictions."""

    options: Options
    reference: Profile
    plan: dict[str, Any] = field(default_factory=dict)
    #: Why nothing is measured.
    reason: str | None = None
    about: tuple[str, str] = ("*", "label")
    before: Found | None = None

    @classmethod
    def of(cls, reference: Profile, options: Options, settings: Settings) -> Watch | None:
        """None where no column is the label, or nothing is asked for."""
        roles = {**reference.info["roles"], **options.roles}
        labels = [name for name, role in roles.items() if role == "label"]
        if not settings.enabled or not labels:
            return None
        plan = plan_of(reference, reference, roles, settings)
        if isinstance(plan, str):
            return cls(options, reference, reason=plan, about=(labels[0], "label"))
        return cls(options, reference, plan=plan, about=(plan["label"], "label"))

    def of_reference(self, data: Any, options: Options, progress: Progress | None) -> Found:
        """States of the rows of the reference."""
        if isinstance(data, str) and is_profile(data):
            return "the reference is a profile, which holds no labels beside scores"
        return self._measured(data, options, self.reference, progress, None)

    def scan(self, files: Sequence[Mapping[str, Any]], made: Profile, progress: Progress | None) -> Found | None:
        """States of the units of files that a profile counted; None where nothing is measured."""
        if not self.plan:
            return None
        if files[0]["columns"] is not None:
            paths = [file["path"] for file in files]
            return self._measured(paths, self.options, made, progress, made.info["coverage"])
        covered = set(made.info["coverage"])
        total: Found | None = None
        for file in files:
            (unit,) = file["units"]
            if unit["id"] not in covered:
                continue
            options = replace(self.options, source_id=unit["id"])
            found = self._measured(file["path"], options, made, progress, None)
            total = found if total is None else joined([total, found])
        return total

    def _measured(
        self, data: Any, options: Options, made: Profile, progress: Progress | None, only: Sequence[str] | None
    ) -> Found:
        try:
            return measure_side(data, options, self.plan, self.reference, made, progress, only)
        except SchemaError as error:
            return str(error)

    def states(self) -> _core.Performance | None:
        """States of the reference, where there are any."""
        return None if isinstance(self.before, str) else self.before

    def missing(self, told: Mapping[str, Any], current: Profile) -> list[Row]:
        """One row that says why nothing is measured at all."""
        return parse_rows(missing_rows(Measured(reason=self.reason, about=self.about), told, self.reference, current))

    def missing_in(self, window: Window, reason: str, told: Mapping[str, Any], current: Profile) -> Row:
        """A row that says why a window is not measured."""
        (row,) = missing_rows(Measured(reason=reason, about=self.about), told, self.reference, current)
        start, end = window.text
        rows = sum(group["rows"] for group in current.info["groups"] if group["segment_by"] is None)
        return parse_rows([{**row, "window_start": start, "window_end": end, "n_current": rows}])[0]

    def details(
        self, current: Profile, states: _core.Performance, options: Mapping[str, Any], told: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the record tells of performance beside its rows."""
        whole = json.dumps({**options, **told})
        before = self.states()
        found: dict[str, Any] = json.loads(
            _core.performance_details(self.reference._core, current._core, whole, states, before)
        )
        hide_segments([], self.reference, current, found)
        return found


def joined(found: Sequence[Found]) -> Found:
    """States of all rows, or why some have none."""
    states: list[_core.Performance] = []
    for one in found:
        if isinstance(one, str):
            return one
        states.append(one)
    try:
        return states[0].join(states[1:])
    except SchemaError as error:
        return str(error)


def table(found: Found, made: Profile | None) -> pl.DataFrame:
    """States by window, or the reason for each window of `made`, the profile of the same rows; None is not cut."""
    import polars as pl

    schema: Any = {
        "window_start": pl.Datetime("us", "UTC"), "rows": pl.UInt64, "used": pl.UInt64, "reason": pl.String,
        "digest": pl.String, "states": pl.Binary,
    }  # fmt: skip
    told: list[tuple[Any, ...]]
    if isinstance(found, str):
        parts = [(None, 0)] if made is None else [(start, core.rows) for start, _, core in made._core.split()]
        told = [(instant_of(start), rows, 0, found, None, None) for start, rows in parts]
    else:
        told = [(moment(start), *_told(part)) for start, part in found.split()]
    return pl.DataFrame(told, schema=schema, orient="row")


def _told(states: _core.Performance) -> tuple[Any, ...]:
    return (*states.rows, None, states.digest, states.to_bytes())


def load(store: Store, windows: Iterable[Window], *, late: str) -> dict[Start, Found]:
    """States of windows, without the rows that came late where these only count.

    A window of which a part has no states has none, and the reason.
    """
    wanted: dict[str, set[Start]] = {}
    for window in windows:
        for name in window.counted(late):
            wanted.setdefault(name, set()).add(window.start)
    found: dict[Start, list[Found]] = {}
    for name, starts in sorted(wanted.items()):
        path = store.path / "parts" / name / NAME
        if not path.exists():
            continue
        for row in store.table(path, ["window_start", "reason", "states"]).iter_rows(named=True):
            start = micros(row["window_start"])
            if start in starts:
                with telling(path):
                    one = row["reason"] if row["states"] is None else _core.Performance.from_bytes(row["states"])
                found.setdefault(start, []).append(one)
    return {start: joined(parts) for start, parts in found.items()}


def kept(store: Store, folder: str) -> Found | None:
    """States of the reference as they were kept; None of a store that measures nothing."""
    path = store.path / "reference" / folder / NAME
    if not path.exists():
        return None
    (row,) = store.table(path, ["reason", "states"]).iter_rows(named=True)
    if row["states"] is None:
        return str(row["reason"])
    with telling(path):
        return _core.Performance.from_bytes(row["states"])


def whole_table(found: Found) -> pl.DataFrame:
    """The same of the reference, which is not cut."""
    import polars as pl

    if isinstance(found, str):
        return table(found, None)
    return pl.DataFrame([(None, *_told(found))], schema=table("", None).schema, orient="row")


def differences(store: Store, folder: str, found: Found | None, made: Profile | None) -> list[str]:
    """Where the states of a folder of the store are not those that were measured again.

    `made` is the profile of the rows of a part; None is the reference.
    """
    path = store.path / folder / NAME
    place = path.relative_to(store.path).as_posix()
    if found is None or not path.exists():
        return [] if (found is None) == (not path.exists()) else [f"{place}: no such file, or nothing to measure"]
    again = whole_table(found) if made is None else table(found, made)
    named = ["window_start", "rows", "used", "reason", "digest"]
    before = {row["window_start"]: row for row in read_tables([path], named).iter_rows(named=True)}
    after = {row["window_start"]: row for row in again.select(named).iter_rows(named=True)}
    told = []
    for start in sorted({*before, *after}, key=str):
        a, b = before.get(start), after.get(start)
        if a != b:
            name = next((n for n in named if a is None or b is None or a[n] != b[n]), "window_start")
            values = [None if row is None else row[name] for row in (a, b)]
            told.append(f"{place}: window {start}: {name} {values[0]!r} in the store, {values[1]!r} in the files")
    return told


def damaged(store: Store, folder: str) -> list[str]:
    """Rows of the table of a folder whose numbers are not those of their states."""
    path = store.path / folder / NAME
    told: list[str] = []
    if not path.exists():
        return told
    for row in read_tables([path], None).iter_rows(named=True):
        if row["states"] is None:
            continue
        with telling(path):
            states = _core.Performance.from_bytes(row["states"])
        if (states.digest, *states.rows) != (row["digest"], row["rows"], row["used"]):
            place = path.relative_to(store.path).as_posix()
            told.append(f"{place}: window {row['window_start']}: not the rows and digest of its states")
    return told
