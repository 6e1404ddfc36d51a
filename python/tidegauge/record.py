"""The record, ``report.json``: result, inputs and envelope, each with its digest.

``result`` is a function of the rows' values, the semantic configuration and the definitions: no
paths, threads, hosts or times. Its digest is that of its canonical JSON: keys sorted, no white
space, UTF-8, shortest numbers, non-finite numbers as strings.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core, _provenance
from tidegauge._groups import differing_groups
from tidegauge._privacy import MIN_COUNT, hidden_segments
from tidegauge._secrets import mask, mask_all
from tidegauge.errors import FormatError
from tidegauge.results import ROW_FIELDS, evaluated_windows, newest_unevaluated, overall_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidegauge._profile import Profile
    from tidegauge.results import Report, Row

SCHEMA = "tidegauge.report/1"


@dataclass
class Context:
    """What a record tells beside the numbers: names, times, the command and configuration as written."""

    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    command: str | None = None
    title: str | None = None
    model: str | None = None
    model_version: str | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    as_written: str | None = None
    #: Parts of ``inputs`` and ``result`` that the caller knows: model, gate, how to reproduce.
    inputs: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    #: Files of each side that the core has not seen itself.
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Where relative paths of the record start.
    folder: str | None = None
    #: Sections of the result, limitations, and inputs of the current data that other modules add.
    sections: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    current_inputs: dict[str, Any] | None = None
    #: Files that a run leaves beside its outputs.
    left: list[tuple[Path, bytes]] = field(default_factory=list)
    #: What digests cost, by side.
    cost: dict[str, Any] = field(default_factory=dict)

    def identify(self, reference: Profile, current: Profile, options: dict[str, Any], model: str | None) -> str:
        """Identity of a run: equal for the same data and configuration, whenever and wherever it runs."""
        content = {
            "reference": reference.digest,
            "current": current.digest,
            "options": options,
            "model": [model, self.model_version],
            "version": _core.__version__,
        }
        return digest(content)[3:19]


def canonical(value: Any) -> bytes:
    """Canonical JSON of plain values.

    Raises
    ------
    ValueError
        If a number is not finite; those are strings in a record.
    """
    return encode(value, sort_keys=True)


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """JSON without spaces, table by table: the standard encoder holds sixty bytes for each byte that it writes.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    text = "".join(_pieces(value, sort_keys, _DEPTH))
    # A lone surrogate has no UTF-8; it stays visible instead of failing the record.
    return text.encode("utf-8", "backslashreplace")


#: Levels of tables that are written one by one: record, result, rows, columns, column.
_DEPTH = 5


def _pieces(value: Any, sort_keys: bool, depth: int) -> Iterator[str]:
    if not depth or not isinstance(value, dict) or not all(type(key) is str for key in value):
        yield json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return
    yield "{"
    for i, key in enumerate(sorted(value) if sort_keys else value):
        yield f"{',' if i else ''}{json.dumps(key, ensure_ascii=False)}:"
        yield from _pieces(value[key], sort_keys, depth - 1)
    yield "}"


def digest(value: Any) -> str:
    """``b3:`` and the BLAKE3 of the canonical JSON."""
    hashed = _core.blake3(canonical(value))
    return hashed if hashed.startswith("b3:") else f"b3:{hashed}"


def pack_rows(rows: list[Row]) -> dict[str, Any]:
    """Rows as a record keeps them: by column, each in the shortest of five forms.

    ``{"value": v}`` is one value for all rows; ``{"values": [...]}`` one a row; ``{"distinct": [...],
    "index": [...]}`` the values in order of first appearance and the position of each row's, or with
    ``"times": [...]`` of each stretch of equal ones and how long it is; ``{"like": name, "at": [...],
    "values": [...]}`` the values of another column but for those rows. A function of the rows alone, so that
    equal rows have equal digests.
    """
    columns: dict[str, Any] = {}
    like: list[str] | None = None
    for name in (_LIKE, *(name for name in ROW_FIELDS if name != _LIKE)):
        values = [row[name] for row in rows]
        # 1, 1.0 and True are equal as keys and differ as JSON; every value is a scalar.
        texts = list(map(repr, values))
        if not _NON_FINITE.keys().isdisjoint(texts):
            values = [_NON_FINITE.get(text, value) for text, value in zip(texts, values, strict=True)]
            texts = list(map(repr, values))
        columns[name] = _pack(values, texts, like)
        like = like or texts
    return {"count": len(rows), "columns": {name: columns[name] for name in ROW_FIELDS}}


def unpack_rows(packed: dict[str, Any] | list[Row]) -> list[Row]:
    """Undo :func:`pack_rows`; a list of rows is returned as it is.

    Raises
    ------
    FormatError
        If a column has another length than the rows, or an index lies outside its distinct values.
    """
    from tidegauge.report._rows import unpack_rows as unpack

    try:
        return unpack(packed)
    except ValueError as error:
        raise FormatError(str(error)) from None


#: The column that others are told apart from: exact numbers are their own bounds.
_LIKE = "value"
_NON_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _pack(values: list[Any], texts: list[str], like: list[str] | None) -> dict[str, Any]:
    """The shortest form of one column, by the characters of its values and positions."""
    # In order of first appearance.
    distinct = dict(zip(texts, values, strict=True))
    if len(distinct) == 1:
        return {"value": values[0]}
    place = {text: i for i, text in enumerate(distinct)}
    index = [place[text] for text in texts]
    chosen = list(distinct.values())
    held = _length(distinct)
    forms = {"values": _length(texts), "index": held + _length(map(str, index))}
    runs = [(i, len(list(run))) for i, run in groupby(index)]
    forms["runs"] = held + sum(len(str(i)) + len(str(n)) + 2 for i, n in runs)
    at = range(0) if like is None else [i for i, (a, b) in enumerate(zip(texts, like, strict=True)) if a != b]
    if like is not None:
        forms["like"] = _length(map(str, at)) + _length(texts[i] for i in at)
    match min(forms, key=lambda form: forms[form]):
        case "values":
            return {"values": values}
        case "index":
            return {"distinct": chosen, "index": index}
        case "runs":
            return {"distinct": chosen, "index": [i for i, _ in runs], "times": [n for _, n in runs]}
    return {"like": _LIKE, "at": list(at), "values": [values[i] for i in at]}


def _length(texts: Iterable[str]) -> int:
    """Characters of a list of these."""
    return sum(len(text) + 1 for text in texts)


def build(report: Report, options: dict[str, Any], context: Context) -> dict[str, Any]:
    """Build the record of a report.

    Parameters
    ----------
    report : Report
    options : dict
        Options of the comparison, all of them semantic.
    context : Context

    Returns
    -------
    dict
        JSON values only.
    """
    from tidegauge._contributions import of_findings
    from tidegauge._copies import twice

    reference, current, explanation = report.reference, report.current, report.explanation
    reference_info, current_info = reference.info, current.info
    drawn = json.loads(_core.histograms(reference._core, current._core, json.dumps(options)))
    configuration = {**options, **current.options.semantic(), **context.configuration}
    model = context.model or current.model
    result = {
        "verdict": report.verdict,
        "title": mask(context.title or "")
        or (f"{model}: current against reference" if model else "Current against reference"),
        "model": {"name": model, "version": context.model_version, **context.result.get("model", {})},
        "windows": windows(report.rows, report.decided_by),
        "reference": _table(reference, reference_info),
        "current": _table(current, current_info),
        "engine": {
            "version": _core.__version__,
            "definitions": sorted({row["definition"] for row in report.rows if row["definition"]}),
            "grids": {c["name"]: c["grid_id"] for c in reference_info["columns"] if c.get("grid_id")},
        },
        "configuration": configuration,
        "rows": pack_rows(report.rows),
        "histograms": drawn["features"],
        "contributions": of_findings(report, options),
        "limitations": [
            *_limitations(report, configuration, reference_info, current_info),
            *twice("reference", reference_info["sources"], context.folder),
            *twice("current", current_info["sources"], context.folder),
            *context.notes,
        ],
        **context.sections,
        **({} if report.performance is None else {"performance": report.performance}),
        **({} if explanation is None else explanation.sections()),
    }
    inputs = {
        "reference": _provenance.side(reference, reference_info, context.folder, context.files.get("reference", [])),
        "current": context.current_inputs
        or _provenance.side(current, current_info, context.folder, context.files.get("current", [])),
        "configuration_as_written": context.as_written and mask(context.as_written),
        **mask_all(context.inputs),
    }
    if explanation is not None:
        inputs["model"] = {**inputs.get("model", {}), "checks": explanation.checks}
    finished = dt.datetime.now(dt.UTC)
    envelope = {
        "started": _instant(context.started),
        "finished": _instant(finished),
        "duration_seconds": round((finished - context.started).total_seconds(), 3),
        "host": platform.node(),
        "threads": current.options.threads or len(os.sched_getaffinity(0)),
        "command": context.command and mask(context.command),
        "folder": context.folder or str(Path.cwd()),
        "digests": context.cost or None,
        **_provenance.environment(),
    }
    return seal({"schema": SCHEMA, "result": result, "inputs": inputs, "envelope": envelope}) | {
        "sign_off": _provenance.sign_off()
    }


def seal(record: dict[str, Any]) -> dict[str, Any]:
    """Add the digests to schema, result, inputs and envelope.

    ``result_digest`` is equal for equal rows and configurations, ``record_digest`` covers it and the inputs
    and is what is signed; those of the sections tell which one was changed.
    """
    result, inputs = digest(record["result"]), digest(record["inputs"])
    sections = {part: {name: digest(value) for name, value in record[part].items()} for part in ("result", "inputs")}
    return {
        "schema": record["schema"],
        "result": record["result"],
        "result_digest": result,
        "inputs": record["inputs"],
        "inputs_digest": inputs,
        "record_digest": digest({"inputs_digest": inputs, "result_digest": result}),
        "section_digests": sections,
        "envelope": record["envelope"],
        "envelope_digest": digest(record["envelope"]),
    }


def _instant(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _table(profile: Profile, info: dict[str, Any]) -> dict[str, Any]:
    """Columns with counts and moments; extremes stay out, one row may hold them alone."""
    names = ("name", "logical", "kind", "role", "rows", "nulls", "nan", "mean", "variance", "distinct")
    columns = [{name: column.get(name) for name in names} for column in info["columns"]]
    return {"rows": profile.rows, "columns": columns, "profile_digest": profile.digest}


def windows(rows: list[Row], decided_by: tuple[str, ...]) -> list[dict[str, Any]]:
    """One entry a window: its rows and its worst verdict; a single open one where none were asked for."""
    found: dict[tuple[str | None, str | None], list[Row]] = {}
    for row in rows:
        found.setdefault((row["window_start"], row["window_end"]), []).append(row)
    if len(found) > 1 and not any(map(_of_timeless, found.get((None, None), ()))):
        # Rows about the whole table (schema) belong to no window; those without a time are one of their own.
        found.pop((None, None), None)
    return [
        {
            "start": start,
            "end": end,
            # What is said of the time is said of the rows of all windows.
            "rows": max(
                (r["n_current"] or 0 for r in inside if r["segment_by"] is None and r["role"] != "time"), default=0
            ),
            "verdict": overall_verdict(inside, decided_by),
        }
        for (start, end), inside in sorted(found.items(), key=lambda item: item[0][0] or "")
    ]


def _says_why_not(row: Row) -> bool:
    """Whether a row tells why nothing is known of performance."""
    return row["statistic"] == "label_coverage" and row["verdict"] == "not_evaluated" and bool(row["message"])


def _of_timeless(row: Row) -> bool:
    """Whether a row counts the rows of the group without a window."""
    return row["statistic"] == "volume" and row["feature"] == "*" and row["segment_by"] is None


#: Windows of which too little, or nothing, was there, each told with its rows.
_MOST_THIN = 10


def _thin_windows(report: Report) -> list[str]:
    """Windows in which nothing could be evaluated, and stretches without a row."""
    rows = report.rows
    thin = {window for window, inside in evaluated_windows(rows, report.decided_by).items() if not any(inside.values())}
    sizes: dict[tuple[str, str | None], int] = {}
    empty = []
    for row in rows:
        window = (row["window_start"], row["window_end"])
        if row["segment_by"] is None and row["feature"] != "*" and window in thin:
            sizes[window] = max(sizes.get(window, 0), row["n_current"] or 0)
        elif row["statistic"] == "volume" and row["n_current"] == 0 and row["value"] == 0 and row["window_start"]:
            empty.append(window)

    def told(windows: Iterable[tuple[str, str | None]]) -> str:
        names = [f"{a} to {b}" + (f" ({n:,} rows)" if (n := sizes.get((a, b))) is not None else "") for a, b in windows]
        before = len(names) - _MOST_THIN
        return ", ".join(names[-_MOST_THIN:]) + (f", and {before} before" if before > 0 else "")

    notes = []
    if thin:
        newest = "; nothing is known of the newest window" if newest_unevaluated(rows, report.decided_by) else ""
        notes.append(f"Windows in which nothing was evaluated: {len(thin)}, {told(sorted(thin))}{newest}.")
    if empty:
        notes.append(f"Stretches between windows without any row: {len(empty)}, {told(sorted(set(empty)))}.")
    return notes


#: Columns that neither side could read, each told with the reason.
_MOST_UNREAD = 10


def _limitations(
    report: Report, configuration: dict[str, Any], reference_info: dict[str, Any], current_info: dict[str, Any]
) -> list[str]:
    rows, notes = report.rows, []
    if any(row["variance"] == "iid" for row in rows):
        notes.append(
            "Intervals whose variance is 'iid' take rows as independent draws; where a log is autocorrelated"
            " they are too narrow. A time column, or block=, gives them blocks."
        )
    certified = sum(row["exactness"] == "certified" for row in rows)
    if certified:
        notes.append(f"Values certified to lie between bound_low and bound_high, not exact: {certified}.")
    estimated = sum(row["exactness"] == "estimated" for row in rows)
    if estimated:
        notes.append(f"Values that are estimates, and do not decide: {estimated}.")
    inconclusive = sum(row["verdict"] == "inconclusive" for row in report.verdicts)
    if inconclusive:
        notes.append(f"Inconclusive verdicts: {inconclusive}, of too few rows to rule a failing shift out.")
    notes += _thin_windows(report)
    for row in rows:
        if row["statistic"] == "missing_rate" and row["role"] == "time":
            notes.append(f"Column {row['feature']!r}: {str(row['message']).rpartition('; ')[2]}.")
    hidden = hidden_segments(rows)
    if hidden:
        notes.append(f"Segments of fewer than {MIN_COUNT} rows in the reference and in a window, not named: {hidden}.")
    notes += differing_groups(reference_info, current_info)
    unread = [str(row["feature"]) for row in report.errors]
    if unread:
        notes.append(f"Not evaluated because of an error: {', '.join(sorted(set(unread)))}.")
    neither = {
        str(row["feature"]): str(row["message"])
        for row in rows
        if row["statistic"] == "schema" and row["verdict"] == "not_evaluated" and row["message"]
    }
    for name, why in sorted(neither.items())[:_MOST_UNREAD]:
        notes.append(f"Column {name!r} is not compared: {why}.")
    if len(neither) > _MOST_UNREAD:
        notes.append(f"Columns that are not compared, and say why in their row: {len(neither) - _MOST_UNREAD} more.")
    notes.extend(f"{str(row['message'])[0].upper()}{str(row['message'])[1:]}." for row in report.incomplete)
    if report.explanation is not None:
        notes.extend(f"{note[:1].upper()}{note[1:]}." for note in report.explanation.notes)
    if report.performance is None:
        why = next((f" ({row['message']})" for row in rows if _says_why_not(row)), "")
        notes.append(f"No performance is measured; a shift says nothing of its cost to the model{why}.")
    return notes
