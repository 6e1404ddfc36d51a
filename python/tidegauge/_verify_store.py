"""Verification of a report of a store: from what the store keeps, and from the files that were counted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core, _provenance, _store_performance
from tidegauge._differences import differences, input_differences, row_differences, walk
from tidegauge._monitoring import (
    coverage_of,
    digests_of,
    needed,
    rows_again,
    rules_of,
    scan_whole,
    units_of,
)
from tidegauge._profile import Profile, is_profile, scan
from tidegauge._store import (
    Store,
    View,
    as_text,
    damage,
    join,
    mark_of,
    micros,
    number_of,
    read_tables,
    short,
    tables,
    telling,
)
from tidegauge._verify import Level, context_again, inputs_again
from tidegauge._work import Parts
from tidegauge.errors import InputError, TidegaugeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidegauge._profile import Options, Progress
    from tidegauge._store import Start, Window
    from tidegauge.config import Config
    from tidegauge.record import Context
    from tidegauge.results import Report, Row

#: What a row says of the run that decided it, which is not the run of the report.
_OF_THE_RUN = ("run_id", "as_of")


def changed(record: Mapping[str, Any], settings: Config) -> list[str]:
    """Files of the store that are not what was written, of every part and set of verdicts that was there then.

    Files of the reference that tell only when to scan it again, the lock, and what lies in ``work`` have no digest.
    """
    from tidegauge import _run

    assert settings.store is not None
    store, view = Store(Path(settings.path(settings.store.path)), -1), View.of(record["inputs"])
    told = []
    try:
        content = (store.path / "store.json").read_bytes()
    except OSError as error:
        return [f"{_named(store, store.path / 'store.json')}: {(error.strerror or str(error)).lower()}"]
    if content != as_text(store.plan(_run.plan(settings)[1], _run.performance_kept(settings))):
        told.append(f"{_named(store, store.path / 'store.json')}: not what the run wrote")
    for what, last in (("parts", view.parts), ("verdicts", view.verdicts)):
        names = [path for path in sorted(store.path.glob(f"{what}/*")) if number_of(path.name) <= last]
        numbers = [number_of(path.name) for path in names]
        for number in range(1, last + 1):
            if numbers.count(number) != 1:
                told.append(f"{_named(store, store.path / what)}: {numbers.count(number)} of number {number}")
        told += [f"{store.path.name}/{text}" for folder in names for text in damage(folder)]
    told += [
        f"{_named(store, store.path / 'verdicts')}: {name}: was there when data was added"
        for name in _lost(store, view)
    ]
    for folder in sorted(store.path.glob("reference/*")):
        told += [f"{store.path.name}/{text}" for text in damage(folder)]
    return told


def _lost(store: Store, view: View) -> list[str]:
    """Sets of verdicts that are gone; of parts that cannot be read their digests tell."""
    try:
        return store.lost(view)
    except TidegaugeError:
        return []


def _named(store: Store, path: Path) -> str:
    """The name of a file of a store, from the folder of the store."""
    return path.relative_to(store.path.parent).as_posix()


def numbers(record: Mapping[str, Any], settings: Config) -> Level:
    """Whether the result follows from the profiles and verdicts in the store, and these verdicts from the profiles.

    The tables of the store must be those of its profiles. It only grows, so that it can be read as it was when
    the report was made.
    """
    from tidegauge import _run

    level = Level("numbers")
    context = context_again(record, settings)
    store, reference, report = _run.stored(settings, context, record["inputs"])
    made = json.loads(json.dumps(report.record))
    level.differences += differences(record["result"], made["result"])
    here = str(context.folder)
    level.differences += input_differences(
        {"current": record["inputs"]["current"]}, {"current": made["inputs"]["current"]},
        (str(record["envelope"].get("folder") or here), here),
    )  # fmt: skip
    options = _run.plan(settings)[1]
    windows = store.windows(View.of(record["inputs"]))
    text: dict[int, str] = {}
    for window in windows.values():
        for at, words in zip((window.start, window.end), window.text, strict=True):
            if at is not None and words is not None:
                text[at] = words
    again = other = 0
    for name, starts, rules in _decided(windows, record):
        if rules != rules_of(settings):
            other += len(starts)
            continue
        decided = rows_again(store, settings, reference, options, context, name, starts)
        for start in sorted(starts, key=lambda at: at or 0):
            again += 1
            found = row_differences(_plain(store.frozen([windows[start]], text)), _plain(decided[start]), ())
            level.differences += [told.replace("result.rows", f"verdicts/{name}", 1) for told in found]
    for path in sorted(store.path.glob("verdicts/*")):
        if number_of(path.name) <= View.of(record["inputs"]).verdicts:
            mark = mark_of(read_tables([path / "windows.parquet"], None))
            if mark != path.name.partition("-")[2]:
                level.differences.append(f"verdicts/{path.name}/windows.parquet: its content is {mark}")
    parts = _parts(store, record, settings)
    folder = f"reference/{short(reference.digest)}"
    level.differences += _tables(store, store.path / folder, reference)
    level.differences += _store_performance.damaged(store, folder)
    for name in parts:
        level.differences += _profiles_of_part(store, name)
        level.differences += _store_performance.damaged(store, f"parts/{name}")
    level.outcome = "different" if level.differences else "same"
    but = f"; {other} decided under other rules, which the record does not hold" if other else ""
    level.told = (
        f"every number of the result, from the store; verdicts on {again} closed windows, from its profiles{but}; "
        f"tables of {len(parts)} part{'s' * (len(parts) != 1)}"
    )
    return level


def _profiles_of_part(store: Store, name: str) -> list[str]:
    """Whether the profiles of a part are those that it is named by, and its tables those of the profiles."""
    path = store.path / "parts" / name / "profile.parquet"
    told, profiles = [], []
    for row in read_tables([path], None).iter_rows(named=True):
        with telling(path):
            made = Profile(_core.Profile.from_bytes(row["profile"]))
        profiles.append(made)
        if (made.rows, made.digest) != (row["rows"], row["digest"]):
            told.append(
                f"parts/{name}/profile.parquet: window {row['start']}: {row['rows']:,} rows, {row['digest'][:15]}; "
                f"its profile has {made.rows:,} rows, {made.digest[:15]}"
            )
    whole = join(profiles)
    if short(whole.digest) != name.partition("-")[2]:
        told.append(f"parts/{name}/profile.parquet: its content is {short(whole.digest)}")
    return told + _tables(store, path.parent, whole)


def _tables(store: Store, folder: Path, profile: Profile) -> list[str]:
    """Where the tables of a folder are not those of its profiles: column and row."""
    told = []
    for name, made in tables(profile).items():
        path = folder / f"{name}.parquet"
        place = path.relative_to(store.path).as_posix()
        kept = read_tables([path], None)
        if (kept.schema, kept.height) != (made.schema, made.height):
            told.append(f"{place}: {kept.height:,} rows of {len(kept.schema)} columns, others made again")
            continue
        for column in made.columns:
            a, b = kept[column], made[column]
            changed = (a.ne_missing(b)).arg_true()
            if len(changed):
                at = changed[0]
                told.append(f"{place}: column {column!r}, row {at}: {a[at]!r} in the store, {b[at]!r} made again")
    return told


def rescan(record: Mapping[str, Any], settings: Config, progress: Progress | None) -> Level:
    """Whether the reference and every part that the report rests on are those of their files."""
    from tidegauge import _run

    level = Level("rescan")
    context = context_again(record, settings)
    store, reference, report = _run.stored(settings, context, record["inputs"])
    options = _run.plan(settings)[1]
    made = _reference(settings, progress)
    if made.digest != reference.digest:
        level.differences.append(f"reference: its content is {made.digest[:15]}, in the store {reference.digest[:15]}")
    rows = reference.rows
    names = _parts(store, record, settings)
    watch = _run.watch_of(settings, reference, options)
    if watch is not None and watch.plan:
        where = _run.paths(settings, settings.reference.path)
        states = watch.of_reference(where, _run.plan(settings)[0], progress)
        folder = f"reference/{short(reference.digest)}"
        level.differences += _store_performance.differences(store, folder, states, None)
    for name in names:
        found, files = _scan_part(store, name, settings, options, reference, progress)
        part = None if watch is None else watch.scan(files, found, progress)
        level.differences += _store_performance.differences(store, f"parts/{name}", part, found)
        rows += found.rows
        level.differences += _part_differences(store, name, found)
        level.differences += _file_differences(store, name, found, files, options)
    unread = {p["name"]: p for p in record["inputs"]["current"]["problems"] if p["kind"] == "unit"}
    again = _unread(store, record, settings, options, reference)
    level.differences += walk("inputs.current.problems", unread, again)
    level.differences += inputs_again(record, _inputs(settings, context, report, made), settings)
    level.outcome = "different" if level.differences else "same"
    level.told = (
        f"reference and {len(names)} part{'s' * (len(names) != 1)} of the store, from {rows:,} rows, "
        "and what is told of their files"
    )
    return level


def made_again(record: Mapping[str, Any], settings: Config, progress: Progress | None) -> dict[str, Any]:
    """Result and inputs of a record: the current data from the store, the reference from its files."""
    from tidegauge import _run

    context = context_again(record, settings)
    _, _, report = _run.stored(settings, context, record["inputs"])
    inputs = _inputs(settings, context, report, _reference(settings, progress))
    return {"result": json.loads(json.dumps(report.record["result"])), "inputs": inputs}


def _reference(settings: Config, progress: Progress | None) -> Profile:
    """The reference, scanned again where it is no profile."""
    from tidegauge import _run

    where = _run.paths(settings, settings.reference.path)
    if isinstance(where, str) and is_profile(where):
        return Profile.load(where)
    return scan(where, _run.plan(settings)[0], progress=progress)


def _inputs(settings: Config, context: Context, report: Report, reference: Profile) -> dict[str, Any]:
    """Inputs of a record of the store, those of the reference as it was scanned again."""
    from tidegauge import _run

    _run.note_files(settings, settings.reference, "reference", reference, context)
    files = context.files.get("reference", [])
    side = _provenance.side(reference, reference.info, context.folder, files)
    made: dict[str, Any] = json.loads(json.dumps({**report.record["inputs"], "reference": side}))
    return made


def _decided(windows: Mapping[Start, Window], record: Mapping[str, Any]) -> list[tuple[str, set[Start], str]]:
    """Sets of verdicts with the windows of the report whose last verdict is theirs, and the rules of each."""
    shown = {window["start"] for window in record["result"]["monitoring"]["windows"] if window["state"] == "closed"}
    found: dict[tuple[str, str], set[Start]] = {}
    for window in windows.values():
        if window.text[0] in shown and window.decided:
            last = window.decided[-1]
            found.setdefault((last["set"], last["rules"]), set()).add(window.start)
    return [(name, starts, rules) for (name, rules), starts in sorted(found.items())]


def _plain(rows: list[Row]) -> list[dict[str, Any]]:
    """Rows without what they say of the run."""
    found = []
    for row in rows:
        plain = {name: None if name in _OF_THE_RUN else value for name, value in row.items()}
        # Not a number equals itself here.
        wild = {name: repr(v) for name, v in plain.items() if isinstance(v, float) and not math.isfinite(v)}
        found.append(plain | wild)
    return found


def _parts(store: Store, record: Mapping[str, Any], settings: Config) -> list[str]:
    """Parts that hold rows of the windows in the report, or of those they were compared with."""
    windows = store.windows(View.of(record["inputs"]))
    shown = {window["start"] for window in record["result"]["monitoring"]["windows"]}
    of = [window for window in windows.values() if window.text[0] in shown]
    wanted = {window.start for window in of} | needed(settings, windows, of)
    return sorted({name for start in wanted for name, _ in windows[start].parts})


def _scan_part(
    store: Store, name: str, settings: Config, options: Options, reference: Profile, progress: Progress | None
) -> tuple[Profile, list[dict[str, Any]]]:
    """The units of a part, scanned again, and their files."""
    frame = read_tables([store.path / "parts" / name / "coverage.parquet"], ["file", "row_group"])
    counted: dict[str, set[int]] = {}
    for file, group in frame.iter_rows():
        counted.setdefault(file, set()).add(group)
    files = []
    for file, groups in counted.items():
        told = _file(settings, file, options)
        told["units"] = [unit for unit in told["units"] if unit["row_group"] in groups]
        files.append(told)
    if any(file["columns"] is None for file in files):
        return scan_whole(files, options, reference, progress), files
    only = sorted(unit["id"] for file in files for unit in file["units"])
    parts = Parts(keep=lambda _: None, every=float("inf"), only=only)
    return scan([file["path"] for file in files], options, like=reference, progress=progress, parts=parts), files


def _file(settings: Config, name: str, options: Options) -> dict[str, Any]:
    """A file by its name in the coverage, as a run finds it."""
    base = Path(settings.base if isinstance(settings.base, str) else ".").resolve()
    path = base / name
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{name}: {(error.strerror or str(error)).lower()}") from None
    file = {"path": str(path), "name": str(path), "bytes": size, "file": name}
    return file | units_of(file, options)


def _file_differences(
    store: Store, name: str, made: Profile, files: list[dict[str, Any]], options: Options
) -> list[str]:
    """Where the tables of a part on its files are not those of the files: file, and row group where it is of one."""
    folder = store.path / "parts" / name
    kept = read_tables([folder / "coverage.parquet"], None).rows(named=True)
    told = walk(f"parts/{name}/coverage.parquet", _by_file(kept), _by_file(coverage_of(made, files)))
    path = folder / "files.parquet"
    kept = read_tables([path], None).rows(named=True)
    if not options.digests or not kept:
        return told
    for file in kept:
        file["parts"] = None if file["parts"] is None else json.loads(file["parts"])
    again = [{name: file.get(name) for name in kept[0]} for file in json.loads(json.dumps(digests_of(made, files)))]
    for a, b in zip(kept, again, strict=False):
        # A unit that could not be read then, or can be read now, is in another part or a problem of the report.
        lost = [i for i, digest in enumerate(a["row_digests"] or ()) if digest is None]
        for file in (a, b):
            file.pop("row_digest_missing")
            file["row_digests"] = [d for i, d in enumerate(file["row_digests"] or ()) if i not in lost]
    return told + walk(
        f"parts/{name}/files.parquet", {file.pop("file"): file for file in kept}, {f.pop("file"): f for f in again}
    )


def _by_file(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of the coverage by file and row group."""
    return {f"{row['file']}#{row['row_group']}": {k: row[k] for k in ("rows", "bytes", "footer")} for row in rows}


def _unread(
    store: Store, record: Mapping[str, Any], settings: Config, options: Options, reference: Profile
) -> dict[str, Any]:
    """What a run would say now of the units that could not be read then, and of others of files that were counted."""
    folder = str(Path(settings.base or ".").absolute())
    current = record["inputs"]["current"]
    names = {file["path"] for file in current["files"]}
    names |= {p["name"].partition("#")[0] for p in current["problems"] if p["kind"] == "unit"}
    covered = store.covered(View.of(record["inputs"]))
    found = []
    for name in sorted(names):
        try:
            file = _file(settings, name, options)
            left = [unit for unit in file["units"] if unit["row_group"] not in covered.get(name, ())]
            if not left:
                continue
            options = replace(options, max_bad_units=len(left) + 1, digests=False)
            parts = Parts(keep=lambda _: None, every=float("inf"), only=[unit["id"] for unit in left])
            made = scan([file["path"]], options, like=reference, parts=parts)
            found += [problem for problem in made.info["problems"] if problem["kind"] == "unit"]
        except InputError as error:
            path = str(Path(folder) / name)
            found.append({"kind": "unit", "name": path, "message": str(error), "rows": None})
    named = (_provenance.problem_from(problem, folder) for problem in found)
    return {problem["name"]: problem for problem in named}


def _part_differences(store: Store, name: str, made: Profile) -> list[str]:
    """Windows of a part whose profile is not the one scanned again."""
    frame = read_tables([store.path / "parts" / name / "profile.parquet"], ["window_start", "rows", "digest", "start"])
    kept = {micros(start): (rows, digest, text) for start, rows, digest, text in frame.iter_rows()}
    found: list[str] = []
    again = {}
    for start, _, core in made._core.split():
        again[start] = (core.rows, core.digest)
    for rows, digest, text in kept.values():
        other = again.pop(text, None)
        place = f"parts/{name}: window {text}"
        if other is None:
            found.append(f"{place}: {rows:,} rows in the store, none in the files")
        elif other != (rows, digest):
            found.append(
                f"{place}: {rows:,} rows, {digest[:15]} in the store; {other[0]:,} rows, {other[1][:15]} in the files"
            )
    found += [
        f"parts/{name}: window {text}: {rows:,} rows in the files, none in the store"
        for text, (rows, _) in again.items()
    ]
    return found
