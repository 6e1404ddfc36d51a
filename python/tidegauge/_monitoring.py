"""A run with a store: scan what is new, close windows, decide them, and show the last ones."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core, _provenance
from tidegauge._baselines import deciding_baselines
from tidegauge._compare import coverage_rows, prepare, rows_of
from tidegauge._copies import KIND, Copies, note, problem
from tidegauge._performance import finish
from tidegauge._profile import Options, Profile, scan
from tidegauge._store import Start, View, Window, join, moment, number_of, read_tables, short, span_of
from tidegauge._store_performance import NAME, joined, kept, load, table
from tidegauge._work import give_back
from tidegauge.errors import InputError
from tidegauge.results import Report, overall_verdict, rows_to_polars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidegauge._profile import Progress
    from tidegauge._store import Store
    from tidegauge._store_performance import Found, Watch
    from tidegauge._work import Work
    from tidegauge.config import Config
    from tidegauge.record import Context
    from tidegauge.results import Row

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_DIGESTS = ("digest", "parts", "row_digests", "row_columns", "row_digest_missing")
_HISTORY = ("revision", "as_of", "verdict", "rows", "run_id")


def monitor(
    store: Store,
    settings: Config,
    reference: Profile,
    watch: Watch | None,
    options: Options,
    context: Context,
    work: Work,
    progress: Progress | None,
) -> Report:
    """Scan what is new, close windows, decide them, and report the last ones."""
    from tidegauge._run import paths

    data = paths(settings, settings.current.path)
    unread = ingest(store, settings, data, options, reference, watch, work, progress)
    unread = [_provenance.problem_from(problem, context.folder) for problem in unread]
    give_back()
    return report_of(store, settings, reference, watch, options, context, unread, None)


def report_of(
    store: Store,
    settings: Config,
    reference: Profile,
    watch: Watch | None,
    options: Options,
    context: Context,
    unread: list[dict[str, Any]],
    view: View | None,
) -> Report:
    """Close windows, decide them, and report the last ones; a store in a view is left as it is, and read as it was."""
    from tidegauge._run import decision_options
    from tidegauge.record import build

    assert settings.store is not None
    late, render = settings.store.late, settings.store.render
    windows = store.windows(view)
    if not windows:
        raise InputError(f"{settings.current.path}: no row to put into the store {store.path}")
    dated = [window for window in windows.values() if window.start is not None]
    watermark = max((w.start for w in dated if w.start is not None), default=None)
    ends_of = [pair for w in dated for pair in zip((w.start, w.end), w.text, strict=True)]
    text = {at: told for at, told in ends_of if at is not None and told is not None}
    as_of = None if watermark is None else text[watermark]
    lateness = _lateness(settings.store.lateness)

    def closed(window: Window) -> bool:
        return window.end is not None and watermark is not None and watermark >= window.end + lateness

    due = [w for w in dated if closed(w) and (not w.decided or (late == "reopen" and w.late()))]
    still = [w for w in windows.values() if not closed(w)]
    targets = {w.start for w in [*due, *still]}
    shown_starts = {w.start for w in [*dated[-render:], *still]}
    for window in dated:
        deciding_now = window in due
        last = as_of if deciding_now else window.decided[-1]["as_of"] if window.decided else None
        if len(window.decided) + deciding_now > 1 and last == as_of:
            shown_starts.add(window.start)
    shown = [w for w in windows.values() if w.start in shown_starts]
    read = targets | needed(settings, windows, [*due, *still])
    profiles = store.load([w for w in windows.values() if w.start in shown_starts | read], options, late=late)
    current = join([profiles[w.start] for w in shown])

    chosen, told = prepare(reference, current, context=context, **decision_options(settings, reference))
    columns = {start: _columns(windows[start], late) for start in read}
    measured = _measured(
        store, reference, watch, chosen, [w for w in windows.values() if w.start in shown_starts | read], late
    )
    own = {start: profiles[start] for start in read}
    # What share of all rows has no time is known of the whole store alone.
    total = {"rows": sum(rows for w in windows.values() for _, rows in w.parts)}
    fresh = _rows(reference, own, columns, targets, chosen | total, told, windows, watch, measured)
    owner = owners(windows)
    of = [(start, row) for judged, row in fresh if (start := owner(row)) in judged]
    for _, row in of:
        row["as_of"] = as_of
    if due and view is None:
        _freeze(store, settings, due, of, as_of, told["run_id"], reference)
        windows = store.windows()
    kept = [windows[w.start] for w in shown if closed(w) and windows[w.start].decided]
    open_ = {w.start for w in still}
    rows = [*store.frozen(kept, text), *(row for start, row in of if start in open_)]
    rows = sorted(rows, key=lambda row: (row["window_start"] is None, row["window_start"] or ""))
    lost = [found for found in unread if found["kind"] == "unit"]
    rows += coverage_rows(reference, current, told, lost)
    rows += watch.missing(told, current) if watch is not None and watch.reason is not None else []
    context.sections["monitoring"] = _told(settings, windows, shown, kept, late, as_of)
    context.notes += _notes(windows, kept, late)
    if gone := store.lost(view):
        context.notes.append(
            f"Verdicts that the store kept are gone ({', '.join(gone)}): windows that they decided were decided again, "
            "as if for the first time, under the rules of the run that did."
        )
    context.notes += note([found for found in unread if found["kind"] == KIND])
    seen = store.view() if view is None else view
    context.current_inputs = _inputs(store, settings, windows, shown, current, unread, seen)
    deciding = deciding_baselines(settings.current.baselines, settings.current.decided_by)
    report = Report(rows, reference, current, lambda report: build(report, chosen, context), deciding)
    report.of_window = _profile_of(windows, profiles, current, owner, late)
    report.performance = finish(_details(current, watch, chosen, told, measured, shown), report.rows)
    return report


def owners(windows: Mapping[Start, Window]) -> Callable[[Row], Start]:
    """A function from a row to the window it tells of; a stretch without rows belongs to the window after it."""
    dated = [window for window in windows.values() if window.start is not None]
    following = dict(itertools.pairwise(window.start for window in dated))
    starts = {window.text[0]: window.start for window in windows.values()}
    ends = {window.text[1]: window.start for window in dated}

    def owner(row: Row) -> Start:
        start = starts.get(row["window_start"], -1)
        if row["window_start"] in starts and row["window_end"] == windows[start].text[1]:
            return start
        before = ends.get(row["window_start"])
        after = starts.get(row["window_end"])
        return after if following.get(before) == after else -1

    return owner


def rows_again(
    store: Store,
    settings: Config,
    reference: Profile,
    options: Options,
    context: Context,
    name: str,
    starts: set[Start],
) -> dict[Start, list[Row]]:
    """Rows of windows that a set of verdicts decided, made again from the profiles that were there then."""
    from tidegauge._run import decision_options, watch_of

    assert settings.store is not None
    before = number_of(name) - 1
    after = store.windows(View(10**9, before + 1))
    (through,) = {int(after[start].decided[-1]["through"]) for start in starts}
    windows = store.windows(View(through, before))
    targets = {start: windows[start] for start in starts}
    wanted = starts | needed(settings, windows, list(targets.values()))
    late = settings.store.late
    profiles = store.load([w for w in windows.values() if w.start in wanted], options, late=late)
    current = join([profiles[start] for start in starts])
    chosen, told = prepare(reference, current, context=context, **decision_options(settings, reference))
    watch = watch_of(settings, reference, options)
    measured = _measured(store, reference, watch, chosen, [w for w in windows.values() if w.start in wanted], late)
    columns = {start: _columns(windows[start], late) for start in profiles}
    owner = owners(windows)
    found: dict[Start, list[Row]] = {start: [] for start in starts}
    for judged, row in _rows(reference, profiles, columns, starts, chosen, told, windows, watch, measured):
        start = owner(row)
        if start in judged:
            found[start].append(row)
    return found


def _rows(
    reference: Profile,
    profiles: Mapping[Start, Profile],
    columns: Mapping[Start, frozenset[str]],
    targets: set[Start],
    options: Mapping[str, Any],
    told: Mapping[str, Any],
    windows: Mapping[Start, Window],
    watch: Watch | None,
    measured: Mapping[Start, Found],
) -> list[tuple[set[Start], Row]]:
    """Rows of windows, each with the windows it may tell of.

    Windows whose files have other columns are judged apart, so that a column that goes missing is missing in
    its own window and in no other.
    """
    rows = []
    for names in sorted({columns[start] for start in targets}, key=sorted):
        judged = {start for start in targets if columns[start] == names}
        beside = [start for start in profiles if columns[start] >= names]
        current = join([profiles[start] for start in beside])
        states, reasons = _states(beside, measured)
        before = None if watch is None else watch.states()
        rows += [(judged, row) for row in rows_of(reference, current, options, told, (states, before))]
        if watch is not None:
            without = [start for start in reasons if start in judged]
            rows += [({at}, watch.missing_in(windows[at], reasons[at], told, profiles[at])) for at in without]
    return rows


def _measured(
    store: Store,
    reference: Profile,
    watch: Watch | None,
    options: dict[str, Any],
    of: Sequence[Window],
    late: str,
) -> dict[Start, Found]:
    """States of label and prediction of windows; `watch` gets those of the reference, and the options the plan."""
    if watch is None or not watch.plan:
        return {}
    watch.before = kept(store, short(reference.digest))
    options["performance"] = watch.plan
    return load(store, of, late=late)


def _states(
    starts: Sequence[Start], measured: Mapping[Start, Found]
) -> tuple[_core.Performance | None, dict[Start, str]]:
    """States of windows together, and why some have none."""
    found = {start: measured[start] for start in starts if start in measured}
    reasons = {start: one for start, one in found.items() if isinstance(one, str)}
    states = [one for one in found.values() if not isinstance(one, str)]
    together = joined(states) if states else None
    if isinstance(together, str):
        return None, dict.fromkeys(found, together)
    return together, reasons


def _profile_of(
    windows: Mapping[Start, Window],
    profiles: Mapping[Start, Profile],
    current: Profile,
    owner: Callable[[Row], Start],
    late: str,
) -> Callable[[Row], Profile]:
    """A function from a row to a profile with the columns of its window: those shown may have fewer together."""
    columns = {start: _columns(windows[start], late) for start in profiles}
    common = {column["name"] for column in current.info["columns"]}
    made: dict[frozenset[str], Profile] = {}

    def of(row: Row) -> Profile:
        start = owner(row)
        if row["feature"] in common or start not in columns:
            return current
        names = columns[start]
        if names not in made:
            made[names] = join([profile for at, profile in profiles.items() if columns[at] >= names])
        return made[names]

    return of


def _details(
    current: Profile,
    watch: Watch | None,
    options: Mapping[str, Any],
    told: Mapping[str, Any],
    measured: Mapping[Start, Found],
    shown: Sequence[Window],
) -> dict[str, Any] | None:
    """What the record tells of the performance of the windows shown, beside their rows."""
    states, _ = _states([window.start for window in shown], measured)
    return None if watch is None or states is None else watch.details(current, states, options, told)


def _columns(window: Window, late: str) -> frozenset[str]:
    """Columns that all parts of a window have."""
    return frozenset.intersection(*(window.columns[name] for name in window.counted(late)))


def ingest(
    store: Store,
    settings: Config,
    data: str | list[str],
    options: Options,
    reference: Profile,
    watch: Watch | None,
    work: Work,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """Scan the files that no part covers, and add them as parts.

    What was not counted is returned: units that could not be read, and files that hold the bytes of others.
    """
    names = [data] if isinstance(data, str) else data
    covered = store.covered()
    copies = Copies(store, _base(settings), covered)
    unread: list[dict[str, Any]] = []
    groups: dict[str, list[dict[str, Any]]] = {}
    for file in _files(names, options):
        name = relative_name(settings, file["path"])
        known = covered.get(name, {})
        try:
            file |= {"file": name, **units_of(file, options)}
        except InputError as error:
            if _lost(unread) >= settings.scan.max_bad_units:
                raise
            unread.append({"kind": "unit", "name": file["path"], "message": str(error), "rows": None})
            continue
        for size, footer in known.values():
            if (size, footer) != (file["bytes"], file["footer"]):
                raise InputError(
                    f"{file['name']}: not the file that was counted ({size} bytes then, {file['bytes']} now); "
                    "accepted are new files, and late rows in a file of their own"
                )
        file["units"] = [unit for unit in file["units"] if unit["row_group"] not in known]
        if file["units"] and not known and (other := copies.of(file)) is not None:
            unread.append(problem(file, other))
        elif file["units"]:
            groups.setdefault(json.dumps(file["columns"]), []).append(file)
    for files in groups.values():
        unread += _add(store, settings, names, files, options, reference, watch, work, progress, _lost(unread))
    return unread


def _lost(unread: Sequence[Mapping[str, Any]]) -> int:
    return sum(found["kind"] == "unit" for found in unread)


def _base(settings: Config) -> Path:
    return Path(settings.base if isinstance(settings.base, str) else ".").resolve()


def _add(
    store: Store,
    settings: Config,
    names: list[str],
    files: list[dict[str, Any]],
    options: Options,
    reference: Profile,
    watch: Watch | None,
    work: Work,
    progress: Progress | None,
    bad: int,
) -> list[dict[str, Any]]:
    """Scan files of one schema and add them as one part."""
    options = replace(options, max_bad_units=max(0, options.max_bad_units - bad))
    units = sorted(unit["id"] for file in files for unit in file["units"])
    if files[0]["columns"] is None:
        made = scan_whole(files, options, reference, progress)
    else:
        made = work.some(names, options, reference, progress, units)
    covered = coverage_of(made, files)
    if covered:
        found = None if watch is None else watch.scan(files, made, progress)
        beside = {} if found is None else {NAME: table(found, made)}
        store.add(made, covered, digests_of(made, files), beside)
    work.done()
    return [problem for problem in made.info["problems"] if problem["kind"] == "unit"]


def scan_whole(
    files: Sequence[Mapping[str, Any]], options: Options, reference: Profile, progress: Progress | None
) -> Profile:
    """Scan files that come in one go each, and note how many rows they gave."""
    parts = []
    for file in files:
        (unit,) = file["units"]
        made = scan(file["path"], replace(options, source_id=unit["id"]), like=reference, progress=progress)
        unit["rows"] = made.rows
        parts.append(made)
    return join(parts)


def coverage_of(made: Profile, files: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The units of files that a scan counted, as the store keeps them."""
    units = {unit["id"]: (file, unit) for file in files for unit in file["units"]}
    rows = [
        {
            "file": file["file"], "row_group": unit["row_group"], "rows": unit["rows"], "bytes": file["bytes"],
            "footer": file["footer"],
        }
        for file, unit in (units[name] for name in made.info["coverage"])
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row["file"], row["row_group"]))


def digests_of(made: Profile, files: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Digests of the files of a part by their names in the coverage; none of them where none were taken."""
    names = {file["path"]: file["file"] for file in files} | {file["name"]: file["file"] for file in files}
    sources = {names[entry["path"]]: entry for entry in made.info["sources"] if entry.get("path") in names}
    if not made.options.digests:
        return []
    found = []
    for file in files:
        entry = {name: value for name, value in sources.get(file["file"], {}).items() if name in _DIGESTS}
        if "digest" not in entry:
            # Text and tables of other formats: read through Polars, digested whole.
            entry |= {"digest": _provenance.whole(file["path"])["digest"]}
        found.append({"file": file["file"], **entry})
    return found


def _files(names: list[str], options: Options) -> list[dict[str, Any]]:
    """The files behind paths and patterns: local ones, told apart one by one."""
    from glob import glob

    from tidegauge.sources import _kind, is_remote, refuse_tables

    refuse_tables(names)
    remote = [name for name in names if is_remote(name)]
    if remote:
        raise InputError(f"{remote[0]}: a store tells local files apart; accepted are local paths and patterns")
    if {_kind(name) for name in names} == {"parquet"}:
        found: list[dict[str, Any]] = json.loads(_core.list_files(names))
        return found
    paths = sorted({path for name in names for path in (glob(name, recursive=True) or [name])})  # noqa: PTH207 - a pattern may be absolute
    try:
        return [{"path": str(Path(path).resolve()), "name": path, "bytes": Path(path).stat().st_size} for path in paths]
    except OSError as error:
        raise InputError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from None


def units_of(file: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Row groups, columns and footer of a Parquet file; anything that goes through Polars is one unit."""
    from tidegauge.sources import _kind

    path = file["path"]
    parquet = _kind(path) == "parquet"
    if parquet and options.where is None and options.since is None and options.until is None:
        found: dict[str, Any] = json.loads(_core.list_units(path))
        for unit in found["units"]:
            unit["row_group"] = int(unit["id"].rpartition("#")[2])
        return {**found, "footer": _footer(path)}
    unit = {"id": path, "rows": None, "row_group": -1}
    return {"columns": None, "units": [unit], "footer": _footer(path) if parquet else _ends(path, file["bytes"])}


def _footer(path: str) -> str:
    """Digest of the last bytes of a Parquet file: schema, sizes and places of all its pages."""
    with Path(path).open("rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, os.SEEK_END)
        return _core.blake3(file.read())


def _ends(path: str, size: int) -> str:
    """Digest of the first and last 64 kB."""
    with Path(path).open("rb") as file:
        first = file.read(1 << 16)
        file.seek(max(0, size - (1 << 16)))
        return _core.blake3(first + file.read())


def relative_name(settings: Config, path: str) -> str:
    """The name of a file in the coverage: below the configuration's folder, so that both may move together."""
    base, found = _base(settings), Path(path)
    return found.relative_to(base).as_posix() if found.is_relative_to(base) else found.as_posix()


def needed(settings: Config, windows: Mapping[Start, Window], of: Sequence[Window]) -> set[Start]:
    """Starts of the windows that the verdicts on some windows read besides these."""
    dated = [w for w in windows.values() if w.start is not None]
    places = {w.start: i for i, w in enumerate(dated)}
    decisions = settings.decisions
    everything = decisions.over_time != "window" or "expanding" in settings.current.baselines
    if everything and of:
        return {w.start for w in dated}
    # The window before tells whether a stretch between is empty.
    before, spans = 1, []
    for baseline in settings.current.baselines:
        kind, _, given = baseline.partition(":")
        if kind in ("rolling", "seasonal"):
            if given.isdigit():
                before = max(before, int(given))
            else:
                spans.append((kind, _length(given)))
    found: set[Start] = set()
    for window in of:
        if window.start is None or window.end is None:
            continue
        at = places[window.start]
        back = before + decisions.consecutive - 1
        chain = dated[max(0, at - back) : at]
        found |= {w.start for w in chain}
        for kind, length in spans:
            for each in [*chain, window]:
                assert each.start is not None
                slack = 2 * (window.end - window.start) + span_of(dt.timedelta(days=4))
                low, high = each.start - length - slack, each.start
                high = each.start - length + slack if kind == "seasonal" else high
                found |= {w.start for w in dated if w.start is not None and low <= w.start <= high}
    return found


def _length(text: str) -> int:
    """The longest that a length of the calendar can be, in microseconds."""
    digits = "".join(c for c in text if c.isdigit())
    days = {"h": 1 / 24, "d": 1, "w": 7, "mo": 31, "y": 366}[text[len(digits) :]]
    return span_of(dt.timedelta(days=int(digits or 1) * days))


def _lateness(text: str) -> int:
    return span_of(dt.timedelta(**{_UNITS[text[-1]]: int(text[:-1])}))


def _freeze(
    store: Store,
    settings: Config,
    due: Sequence[Window],
    of: Sequence[tuple[Start, Row]],
    as_of: str | None,
    run_id: str,
    reference: Profile,
) -> None:
    """Write the verdicts on windows that are closed."""
    import polars as pl

    from tidegauge._baselines import deciding_baselines

    deciding = deciding_baselines(settings.current.baselines, settings.current.decided_by)
    starts = {w.start for w in due}
    mine = [(start, row) for start, row in of if start in starts]
    number = number_of(store.parts()[-1])
    decided_at = dt.datetime.now(dt.UTC)
    told = [
        {
            "window_start": moment(window.start),
            "window_end": moment(window.end),
            "revision": len(window.decided),
            "as_of": as_of,
            "verdict": overall_verdict([row for start, row in mine if start == window.start], deciding),
            "rows": sum(rows for _, rows in window.parts),
            "through": number,
            "run_id": run_id,
            "reference": reference.digest,
            "rules": rules_of(settings),
            "version": _core.__version__,
            "decided_at": decided_at,
        }
        for window in due
    ]
    instant = pl.Datetime("us", "UTC")
    schema: Any = {
        "window_start": instant, "window_end": instant, "revision": pl.Int64, "as_of": pl.String, "verdict": pl.String,
        "rows": pl.UInt64, "through": pl.Int64, "run_id": pl.String, "reference": pl.String, "rules": pl.String,
        "version": pl.String, "decided_at": instant,
    }  # fmt: skip
    revision = {window.start: len(window.decided) for window in due}
    rows = rows_to_polars([row for _, row in mine]).with_columns(
        of=pl.Series([moment(start) for start, _ in mine], dtype=instant),
        revision=pl.Series([revision[start] for start, _ in mine], dtype=pl.Int64),
    )
    store.decide(pl.DataFrame(told, schema=schema), rows)


def rules_of(settings: Config) -> str:
    """Digest of everything that decides, so that verdicts under other rules are told apart."""
    import msgspec

    names = ("columns", "decisions", "checks")
    content = {name: msgspec.to_builtins(getattr(settings, name)) for name in names}
    content |= {"baselines": settings.current.baselines, "decided_by": settings.current.decided_by}
    return short(_core.blake3(json.dumps(content, sort_keys=True).encode()))


def _told(
    settings: Config,
    windows: Mapping[Start, Window],
    shown: Sequence[Window],
    kept: Sequence[Window],
    late: str,
    as_of: str | None,
) -> dict[str, Any]:
    """The windows of the report: closed or open, as of when, and what was said of them before."""
    assert settings.store is not None
    listed = []
    frozen = {w.start for w in kept}
    for window in shown:
        now = windows[window.start]
        known = now.decided if now.start in frozen else []
        after = sum(n for _, n in now.late()) if late == "count" else 0
        listed.append({
            "start": now.text[0],
            "end": now.text[1],
            "state": "closed" if known else "open",
            "as_of": known[-1]["as_of"] if known else as_of,
            "revision": known[-1]["revision"] if known else None,
            "rows": sum(n for _, n in now.parts) - after,
            "rows_late": after,
            "rows_reopened": known[-1]["rows"] - known[0]["rows"] if known else 0,
            "superseded": [{name: entry[name] for name in _HISTORY} for entry in known[:-1]],
        })  # fmt: skip
    chosen = {"late": late, "lateness": settings.store.lateness, "render": settings.store.render}
    totals = {"windows": len(windows), "rows": sum(n for w in windows.values() for _, n in w.parts)}
    return {**chosen, "as_of": as_of, "store": totals, "windows": listed}


def _notes(windows: Mapping[Start, Window], kept: Sequence[Window], late: str) -> list[str]:
    notes = []
    if len(windows) > len(kept):
        notes.append(
            f"Windows in the store: {len(windows)}; verdicts on closed windows are those of the day they were decided."
        )
    else:
        notes.append("Verdicts on closed windows are those of the day they were decided.")
    rows = sum(n for w in windows.values() for _, n in w.late())
    if late == "count" and rows:
        places = sum(bool(w.late()) for w in windows.values())
        notes.append(f"Rows that came after their window was closed, counted and not evaluated: {rows} in {places}.")
    rules = {w.decided[-1]["rules"] for w in kept}
    if len(rules) > 1:
        notes.append(
            f"Windows were decided under {len(rules)} sets of rules; each row has the limits it was judged by."
        )
    return notes


def _inputs(
    store: Store,
    settings: Config,
    windows: Mapping[Start, Window],
    shown: Sequence[Window],
    current: Profile,
    unread: list[dict[str, Any]],
    view: View,
) -> dict[str, Any]:
    """Files whose rows are in the windows shown, as they were when they were counted."""
    data = settings.current.path
    names = sorted({name for window in shown for name, _ in window.parts})
    files: dict[str, dict[str, Any]] = {}
    coverage = []
    frame = read_tables([store.path / "parts" / name / "coverage.parquet" for name in names], None)
    for row in frame.sort("file", "row_group").iter_rows(named=True):
        file = files.setdefault(
            row["file"],
            {"path": row["file"], "bytes": row["bytes"], "row_groups": 0, "rows": 0, "footer": row["footer"]},
        )
        file["row_groups"] += 1
        file["rows"] += row["rows"]
        coverage.append(f"{row['file']}#{row['row_group']}")
    for name, digests in store.files(names).items():
        if name in files:
            files[name] |= digests
    row_digest = _provenance.row_digest(list(files.values()), None)
    for file in files.values():
        for told in ("row_digests", "row_columns", "row_digest_missing"):
            file.pop(told, None)
    info = current.info
    problems = [problem for problem in info["problems"] if problem["kind"] != "unit"]
    lost = [found for found in unread if found["kind"] == "unit"]
    return {
        "paths": [data] if isinstance(data, str) else list(data),
        "store": {"name": store.path.name, "parts": view.parts, "verdicts": view.verdicts},
        "files": list(files.values()),
        "rows": _counted(windows, names, frame["rows"].to_list(), problems, lost),
        "row_digest": row_digest,
        "time_range": _provenance.time_range(info["columns"]),
        "coverage": coverage,
        "problems": [*problems, *unread],
    }


def _counted(
    windows: Mapping[Start, Window],
    names: Sequence[str],
    covered: Sequence[int],
    problems: Sequence[Mapping[str, Any]],
    lost: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Rows that the files of some parts hold, those that the store counted of them, and those that it did not."""
    unread = [problem["rows"] for problem in lost]
    weights = [problem for problem in problems if problem["kind"] == "weight"]
    return {
        "expected": None if None in unread else sum(covered) + sum(unread),
        "scanned": sum(rows for window in windows.values() for name, rows in window.parts if name in names),
        "rejected": [
            *(
                {"path": path, "row_group": int(number) if number else None, "rows": p["rows"], "reason": p["message"]}
                for p in lost
                for path, _, number in [p["name"].partition("#")]
            ),
            *({"path": None, "row_group": None, "rows": p["rows"], "reason": p["message"]} for p in weights),
        ],
    }
