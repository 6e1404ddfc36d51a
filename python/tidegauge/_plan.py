"""What a run would do, from footers and a probe of a few row groups: bytes, memory, time, and what is tested."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._plan_text import Files, is_parquet
from tidegauge._profile import Profile, is_profile, scan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidegauge._profile import Options
    from tidegauge.config import Config

#: Most rows of the reference that a probe takes its grid from.
PROBED_ROWS = 1 << 20
#: Most rows whose times are read to count windows: half a second or so.
COUNTED_ROWS = 50_000_000
#: Segments of a cut that have states of their own, with (other).
_MOST_SEGMENTS = 513
#: What a thread holds beside states: pages, their values, rows on their way to groups.
_BUFFERS = 12 << 20
#: What a row of the report takes, as Python holds it and while the record is written.
_ROW = 6_000
#: What a block of rows takes in the state of a column.
_BLOCK = 68 * 8
#: The interpreter with everything that a run imports.
_INTERPRETER = 24 << 20
_LENGTHS = {"1h": 3600, "1d": 86_400, "1w": 7 * 86_400}
_DAYS = {"1h": 1, "1d": 1, "1w": 7, "1mo": 31}
_DECIDED_BY_ROWS = ("verdict", "share_drifted")


def footers(paths: list[str], options: dict[str, Any], *, against: bool = False) -> dict[str, Any]:
    """Files, row groups, rows and columns as the footers say, with roles, passes and bytes to read.

    Parameters
    ----------
    paths : list of str
        Local Parquet.
    options : dict
        Those of a scan; row filters change nothing of what is told.
    against : bool
        Whether a reference is known: one pass then, else at least two.

    Raises
    ------
    InputError
        If a file is missing or no Parquet.
    """
    for name in ("where", "since", "until", "schema"):
        options.pop(name, None)
    found: dict[str, Any] = json.loads(_core.plan_paths(paths, json.dumps(options)))
    chosen, left_out, roles = options.get("columns"), options.get("exclude", ()), options.get("roles", {})
    for column in found["columns"]:
        wanted = (chosen is None or column["name"] in chosen) and column["name"] not in left_out
        column["role"] = roles.get(column["name"])
        column["scanned"] = wanted and column["logical"] is not None
    # A segment's column is read once for each cut it is in, and by a reference to find the largest segments.
    cuts = [[cut] if isinstance(cut, str) else cut for cut in options.get("by", ())]
    keys = [name for cut in cuts for name in cut]
    once = [options["model_version"]] if options.get("model_version") else []
    if options.get("window"):
        once += [name for name, role in roles.items() if role == "time"]
    size = {column["name"]: column["bytes"] for column in found["columns"]}
    scanned = sum(column["bytes"] for column in found["columns"] if column["scanned"])
    found["passes"] = 1 if against else 2
    read = found["passes"] * (scanned + sum(size.get(name, 0) for name in keys))
    found["bytes_to_read"] = read + sum(size.get(name, 0) for name in once)
    return found


def look(where: str | list[str], options: Options, *, against: bool = False) -> dict[str, Any]:
    """What is known of files beforehand: :func:`footers`, or of others than Parquet what their first rows say."""
    names = [where] if isinstance(where, str) else where
    if is_parquet(names):
        return footers(names, options.semantic(), against=against)
    return Files(names, options).told(against=against)


def plan_run(settings: Config) -> dict[str, Any]:
    """What :func:`tidegauge.run` would do with a configuration.

    One or two row groups of each side are read, compared, and timed; all else is in the footers.

    Returns
    -------
    dict
        ``reference`` and ``current`` (:func:`footers`, ``seconds``), ``memory`` (bytes of a state by column, number
        of states, ``peak_bytes``), ``tests`` (columns, windows, segments, deciding statistics, rows of a family of
        tests), ``explain`` (model calls) and ``seconds``. Bytes and times are estimates. Windows of local Parquet of
        at most 50 million rows are counted by their times (``windows_counted``); else they are those between the
        first and the last row group.

    Raises
    ------
    ConfigError, InputError, UsageError, SchemaError
        As for :func:`tidegauge.run`.
    """
    from tidegauge import _run

    options = _run.plan(settings)
    places = [_run.paths(settings, side.path) for side in (settings.reference, settings.current)]
    found: dict[str, Any] = {}
    for label, where, chosen in zip(("reference", "current"), places, options, strict=True):
        if isinstance(where, str) and is_profile(where):
            made = Profile.load(where)
            found[label] = {"profile": where, "rows": made.rows, "bytes_to_read": 0, "seconds": 0.0}
        else:
            found[label] = look(where, chosen, against=label == "current")
    probe = Probe(settings, options, places, found)
    for label, rate in (("reference", probe.rates[0]), ("current", probe.rates[1])):
        found[label].setdefault("seconds", round(found[label]["bytes_to_read"] * rate, 3))
    if settings.store is not None:
        _only_new(settings, places[1], options[1], found["current"])
    tests = probe.tests()
    found["memory"] = probe.memory(tests["rows"])
    found["tests"] = tests
    found["explain"] = _explain(settings, probe, tests)
    decide = probe.seconds_deciding * tests["rows"] / max(1, probe.rows_decided)
    found["seconds"] = {
        "scan": round(found["reference"]["seconds"] + found["current"]["seconds"], 3),
        "compare": round(decide, 3),
        "probe": {"row_groups": probe.row_groups, "rows": probe.rows, "seconds": round(probe.seconds, 3)},
    }
    return found


class Probe:
    """Profiles of a few row groups, and what they tell of the whole.

    The grid is that of the first rows of the reference; row groups are the first and the last of each side.
    """

    def __init__(
        self,
        settings: Config,
        options: tuple[Options, Options],
        places: Sequence[str | list[str]],
        found: Mapping[str, Any],
    ) -> None:
        import tempfile

        from tidegauge import _run
        from tidegauge._compare import prepare, rows_of

        began = time.perf_counter()
        self.settings, self.found = settings, found
        self.threads = options[1].threads or _threads()
        options = (replace(options[0], digests=False, threads=1), replace(options[1], digests=False, threads=1))
        where = places[0]
        self.profile = isinstance(where, str) and is_profile(where)
        rates, self.row_groups, self.rows = [], 0, 0
        with tempfile.TemporaryDirectory() as folder:
            if self.profile:
                self.reference = Profile.load(str(where))
            elif is_parquet(where):
                self.reference = scan(_head(where), replace(options[0], source_id="probe"))
            else:
                self.reference = self._first(where, options[0], Path(folder) / "head")
            for side, (place, chosen) in enumerate(zip(places, options, strict=True)):
                if isinstance(place, str) and is_profile(place):
                    made, rate = Profile.load(place), 0.0
                elif is_parquet(place):
                    made, rate = self._some(place, replace(chosen, threads=1))
                else:
                    made, rate = self._ends(place, chosen, Path(folder) / str(side))
                rates.append(rate / self.threads)
                if side:
                    self.current = made
        self.rates = tuple(rates)
        self.segments = self._segments()
        place = places[1]
        counted = None if isinstance(place, str) and is_profile(place) else self._counted(place, options[1])
        #: Whether windows were counted by the times of all rows.
        self.counted = counted is not None
        self.windows = self._windows() if counted is None else max(1, counted)
        began_deciding = time.perf_counter()
        context = _run.context_of(settings, dt.datetime.now(dt.UTC), None)
        rules, run = prepare(
            self.reference, self.current, context=context, **_run.decision_options(settings, self.reference)
        )
        self.decided = rows_of(self.reference, self.current, rules, run)
        self.seconds_deciding = time.perf_counter() - began_deciding
        self.rows_decided = len(self.decided)
        self.seconds = time.perf_counter() - began

    def _some(self, place: str | list[str], options: Options) -> tuple[Profile, float]:
        """The first and the last row group of one side against the grid, and seconds of one thread a byte."""
        from tidegauge._work import Parts

        files = json.loads(_core.list_files([place] if isinstance(place, str) else place))
        ends = [files[0]["path"], files[-1]["path"]]
        units = [json.loads(_core.list_units(path))["units"] for path in ends]
        first = next((unit for unit in units[0]), None)
        last = units[1][-1] if units[1] else None
        only = sorted({unit["id"] for unit in (first, last) if unit is not None})
        read: list[int] = [0]

        def told(done: int, total: int) -> None:
            read[0] = max(read[0], total)

        parts = Parts(keep=lambda _: None, every=float("inf"), only=only)
        began = time.perf_counter()
        made = scan(sorted(set(ends)), options, like=self.reference, progress=told, parts=parts)
        spent = time.perf_counter() - began
        self.row_groups += len(only)
        self.rows += made.rows
        return made, spent / max(1, read[0])

    def _first(self, place: str | list[str], options: Options, folder: Path) -> Profile:
        """A profile of the first rows of files without footers."""
        files = Files([place] if isinstance(place, str) else place, options)
        first = str(files.ends(folder).first)
        options = replace(options, source_id="probe", schema=options.schema if files.plain else None)
        with files.named(folder):
            return scan(first, options)

    def _ends(self, place: str | list[str], options: Options, folder: Path) -> tuple[Profile, float]:
        """The first and the last rows of files without footers, and seconds of one thread a byte."""
        files = Files([place] if isinstance(place, str) else place, options)
        paths = files.ends(folder).paths
        if not files.plain:
            options = replace(options, schema=None)
        began = time.perf_counter()
        with files.named(folder):
            made = scan(paths, options, like=self.reference)
        spent = time.perf_counter() - began
        self.rows += made.rows
        return made, spent * self.threads / max(1.0, files.share(paths) * files.bytes)

    def _segments(self) -> dict[str, int]:
        """Segments of each cut, as many as the probe has seen; a cut keeps at most 512 and (other)."""
        found: dict[str, set[str]] = {}
        for group in [*self.reference.info["groups"], *self.current.info["groups"]]:
            if group["segment_by"] is not None:
                found.setdefault(group["segment_by"], set()).add(group["segment_value"])
        return {name: min(len(values), _MOST_SEGMENTS) for name, values in sorted(found.items())}

    def _counted(self, place: str | list[str], options: Options) -> int | None:
        """Windows that hold a row, where one look at the times is cheap and no filter leaves rows out."""
        import polars as pl

        from tidegauge.sources import is_remote

        length, told = self.settings.current.window, self.found["current"]
        roles = {**self.reference.info["roles"], **self.current.info["roles"]}
        time = next((name for name, role in roles.items() if role == "time"), None)
        column = next((column for column in told.get("columns", ()) if column["name"] == time), None)
        names = [place] if isinstance(place, str) else place
        filtered = options.where or options.since or options.until
        if length is None or column is None or filtered or not is_parquet(names) or any(map(is_remote, names)):
            return None
        if told["rows"] > COUNTED_ROWS:
            return None
        paths = [file["path"] for file in json.loads(_core.list_files(names))]
        at = pl.col(column["name"])
        found = set[Any]()
        for path in paths:
            times = pl.scan_parquet(path, hive_partitioning=False).select(at)
            dtype = times.collect_schema()[column["name"]]
            if not isinstance(dtype, (pl.Datetime, pl.Date)):
                return None
            zone = self.settings.current.time_zone
            if zone is not None and isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
                times = times.with_columns(at.dt.convert_time_zone(zone))
            windows = times.select(at.dt.truncate(length).cast(pl.Datetime("us")).unique())
            found.update(windows.collect()[column["name"]].to_list())
        return len(found)

    def _windows(self) -> int:
        """Windows from the first to the last row group."""
        length = self.settings.current.window
        starts = [group["window_start"] for group in self.current.info["groups"] if group["window_start"]]
        if length is None or not starts:
            return 1
        times = [dt.datetime.fromisoformat(text) for text in starts]
        first, last = min(times), max(times)
        if length == "1mo":
            return (last.year - first.year) * 12 + last.month - first.month + 1
        # A day with a change of clocks has 23 or 25 hours.
        return round((last - first).total_seconds() / _LENGTHS[length]) + 1

    def tests(self) -> dict[str, Any]:
        """Columns, windows and segments that are judged, by the rows that the probe's windows gave."""
        deciding: dict[str, set[str]] = {}
        families: dict[tuple[Any, ...], int] = {}
        for row in self.decided:
            if not row["decides"] or row["statistic"] in _DECIDED_BY_ROWS or row["feature"] == "*":
                continue
            if row["verdict"] == "not_evaluated" and row["window_start"] is None:
                continue
            place = (row["window_start"], row["model_version"], row["baseline"])
            families[place] = families.get(place, 0) + 1
            if row["segment_by"] is None:
                deciding.setdefault(row["statistic"], set()).add(row["feature"])
        judged = {row["feature"] for row in self.decided if row["statistic"] == "verdict"}
        return {
            "columns": len(judged - {"*"}),
            "windows": self.windows,
            "windows_counted": self.counted,
            "segments": sum(self.segments.values()),
            "cuts": self.segments,
            "deciding": {name: len(features) for name, features in sorted(deciding.items())},
            "family": max(families.values(), default=0),
            "rows": self._rows(),
        }

    def _rows(self) -> int:
        """Rows of the report: those of the fullest window of the probe for every window, and of performance.

        The first window has nothing before it to be compared with.
        """
        counts: dict[tuple[Any, Any], dict[Any, int]] = {}
        for row in self.decided:
            if row["kind"] != "performance":
                windows = counts.setdefault((row["baseline"], row["model_version"]), {})
                windows[row["window_start"]] = windows.get(row["window_start"], 0) + 1
        total = 0
        for (baseline, _), windows in counts.items():
            dated = [n for start, n in windows.items() if start is not None]
            total += windows.get(None, 0)
            total += max(dated, default=0) * max(1, self.windows - (baseline != "reference")) if dated else 0
        return total + self._performance_rows()

    def _performance_rows(self) -> int:
        from tidegauge import _run
        from tidegauge._performance import plan_of

        chosen = _run._performance(self.settings)
        roles = {**self.reference.info["roles"], **self.current.info["roles"]}
        if not chosen.enabled or "label" not in roles.values() or self.settings.store is not None:
            return 0
        found = plan_of(self.reference, self.current, roles, chosen)
        if isinstance(found, str):
            return 1
        # Each metric and its change against the reference, and the share of rows with a label.
        a_group = 1 + len(found["metrics"]) * (1 if self.profile else 2)
        return a_group * self.windows * (1 + sum(self.segments.values()))

    def memory(self, rows: int) -> dict[str, Any]:
        """Bytes of a state by column, and of all states with what a scan and a report hold beside them."""
        segments = sum(self.segments.values())
        columns = []
        total = {"reference": 0, "current": 0}
        counts = {
            "reference": (self.found["reference"]["rows"], 1),
            "current": (self.found["current"]["rows"], self.windows),
        }
        span = _days(self.current) if self.reference.info["block"] else 0
        if self.counted:
            # One time far from all others is one day.
            span = min(span, self.windows * _DAYS.get(self.settings.current.window or "", span))
        for column in self.reference.info["columns"]:
            told: dict[str, Any] = {"name": column["name"], "kind": column["kind"]}
            for side, (n, windows) in counts.items():
                whole = max(1, n // windows)
                a_segment = max(1, whole // max(1, segments // max(1, len(self.segments))))
                of_all = _core.state_bytes(column["kind"], False, whole, column["cells"])
                of_one = _core.state_bytes(column["kind"], True, a_segment, min(column["cells"], a_segment))
                blocks = _BLOCK * max(windows, span) * (1 + segments)
                total[side] += windows * (of_all + segments * of_one) + blocks
                if side == "current":
                    told |= {"bytes": of_all, "bytes_segment": of_one if segments else None}
            columns.append(told)
        states = self.windows * (1 + segments) * len(columns)
        beside = _INTERPRETER + self.threads * _BUFFERS + rows * _ROW
        return {
            "columns": columns,
            "states": states,
            "state_bytes": total["current"],
            "reference_bytes": total["reference"],
            "peak_bytes": beside + sum(total.values()),
        }


def _days(profile: Profile) -> int:
    """Days between the first and the last row."""
    from tidegauge._provenance import time_range

    told = time_range(profile.info["columns"])
    if told is None:
        return 0
    first, last = (dt.datetime.fromisoformat(told[name]) for name in ("first", "last"))
    return (last - first).days + 1


def _threads() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _head(where: str | list[str]) -> Any:
    """The first rows of the reference: a row group, and at most a million rows."""
    import polars as pl

    files = json.loads(_core.list_files([where] if isinstance(where, str) else where))
    units = json.loads(_core.list_units(files[0]["path"]))["units"]
    rows = min(PROBED_ROWS, next((unit["rows"] for unit in units), 0))
    return pl.scan_parquet(files[0]["path"], hive_partitioning=True).head(rows).collect()


def _only_new(settings: Config, where: str | list[str], options: Options, told: dict[str, Any]) -> None:
    """What the store has not seen of the row groups; bytes and seconds are those of their share of rows."""
    from tidegauge._monitoring import _files, relative_name, units_of
    from tidegauge._store import Store

    assert settings.store is not None
    place = settings.path(settings.store.path)
    covered = Store.read(place).covered() if (Path(place) / "store.json").is_file() else {}
    rows = row_groups = 0
    files = _files([where] if isinstance(where, str) else where, options)
    size = sum(file["bytes"] for file in files)
    for file in files:
        known = covered.get(relative_name(settings, file["path"]), {})
        for unit in units_of(file, options)["units"]:
            if unit["row_group"] not in known:
                # Of a file that comes in one go, by its bytes.
                own = round(told["rows"] * file["bytes"] / size) if unit["rows"] is None else unit["rows"]
                rows, row_groups = rows + own, row_groups + 1
    share = rows / told["rows"] if told["rows"] else 0.0
    told |= {"row_groups_new": row_groups, "rows_new": rows}
    told["bytes_to_read"] = round(told["bytes_to_read"] * share)
    told["seconds"] = round(told["seconds"] * share, 3)


def _explain(settings: Config, probe: Probe, tests: Mapping[str, Any]) -> dict[str, Any] | None:
    """Calls of the model for importances; none where nothing is explained."""
    chosen = settings.explain
    if chosen is None or not chosen.enabled or settings.model.path is None or settings.store is not None:
        return None
    roles = {**probe.reference.info["roles"], **probe.current.options.roles}
    features = chosen.features or [name for name, role in roles.items() if role == "feature"]
    groups = len(chosen.groups) if chosen.groups else 0
    tables = (0 if probe.profile else 1) + tests["windows"]
    calls = 0 if chosen.method == "exact" else tables * (1 + (len(features) + groups) * chosen.n_repeats)
    return {
        "tables": tables,
        "features": len(features),
        "n_repeats": chosen.n_repeats,
        "method": chosen.method,
        "model_calls": calls,
        "model_calls_if_exact": 0,
    }
