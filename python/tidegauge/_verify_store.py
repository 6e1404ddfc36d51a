"""Verification of a report of a store: from what the store keeps, and from the files that were counted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge._monitoring import needed, rows_again, rules_of
from tidegauge._profile import is_profile, scan
from tidegauge._store import View, micros, read_tables
from tidegauge._verify import Level, context_again, differences, row_differences
from tidegauge._work import Parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegauge._profile import Options, Profile, Progress
    from tidegauge._store import Start, Store, Window
    from tidegauge.config import Config
    from tidegauge.results import Row

#: What a row says of the run that decided it, which is not the run of the report.
_OF_THE_RUN = ("run_id", "as_of")


def numbers(record: Mapping[str, Any], settings: Config) -> Level:
    """Whether the result follows from the profiles and verdicts in the store, and these verdicts from the profiles.

    The store only grows, so that it can be read as it was when the report was made.
    """
    from tidegauge import _run

    level = Level("numbers")
    context = context_again(record, settings)
    store, reference, report = _run.stored(settings, context, record["inputs"]["current"])
    result = json.loads(json.dumps(report.record["result"]))
    level.differences += differences(record["result"], result)
    options = _run.plan(settings)[1]
    windows = store.windows(_view(record))
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
        made = rows_again(store, settings, reference, options, context, name, starts)
        for start in sorted(starts, key=lambda at: at or 0):
            again += 1
            found = row_differences(_plain(store.frozen([windows[start]], text)), _plain(made[start]), ())
            level.differences += [told.replace("result.rows", f"verdicts/{name}", 1) for told in found]
    level.outcome = "different" if level.differences else "same"
    but = f"; {other} decided under other rules, which the record does not hold" if other else ""
    level.told = (
        f"every number of the result, from the store; verdicts on {again} closed windows, from its profiles{but}"
    )
    return level


def rescan(record: Mapping[str, Any], settings: Config, progress: Progress | None) -> Level:
    """Whether the reference and every part that the report rests on are those of their files."""
    from tidegauge import _run

    level = Level("rescan")
    context = context_again(record, settings)
    store, reference, _ = _run.stored(settings, context, record["inputs"]["current"])
    reference_options, options = (replace(each, digests=False) for each in _run.plan(settings))
    where = _run.paths(settings, settings.reference.path)
    if not is_profile(where):
        made = scan(where, reference_options, progress=progress)
        if made.digest != reference.digest:
            level.differences.append(
                f"reference: its content is {made.digest[:15]}, in the store {reference.digest[:15]}"
            )
    rows = reference.rows
    names = _parts(store, record, settings)
    for name in names:
        made = _scan_part(store, name, settings, options, reference, progress)
        rows += made.rows
        level.differences += _part_differences(store, name, made)
    level.outcome = "different" if level.differences else "same"
    level.told = f"reference and {len(names)} parts of the store, from {rows:,} rows"
    return level


def _view(record: Mapping[str, Any]) -> View:
    """What the store held when the report was made."""
    told = record["inputs"]["current"]["store"]
    return View(told["parts"], told["verdicts"])


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
    windows = store.windows(_view(record))
    shown = {window["start"] for window in record["result"]["monitoring"]["windows"]}
    of = [window for window in windows.values() if window.text[0] in shown]
    wanted = {window.start for window in of} | needed(settings, windows, of)
    return sorted({name for start in wanted for name, _ in windows[start].parts})


def _scan_part(
    store: Store, name: str, settings: Config, options: Options, reference: Profile, progress: Progress | None
) -> Profile:
    """The units of a part, scanned again."""
    frame = read_tables([store.path / "parts" / name / "coverage.parquet"], ["file", "row_group"])
    base = Path(settings.base if isinstance(settings.base, str) else ".").resolve()
    units: dict[str, list[int]] = {}
    for file, group in frame.iter_rows():
        units.setdefault(str(base / file), []).append(group)
    if any(-1 in groups for groups in units.values()):
        made = None
        for path in units:
            part = scan(path, replace(options, source_id=path), like=reference, progress=progress)
            made = part if made is None else made.join(part)
        assert made is not None
        return made
    only = sorted(f"{path}#{group}" for path, groups in units.items() for group in groups)
    parts = Parts(keep=lambda _: None, every=float("inf"), only=only)
    return scan(list(units), options, like=reference, progress=progress, parts=parts)


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
