"""What a report shows, worked out once from the record and shared by every rendering."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._rows import unpack_rows
from ._text import mapping, objects, sequence, to_float, visible, window_label

Row = Mapping[str, Any]

SEVERITY = {"error": 5, "fail": 4, "warn": 3, "waived": 2, "inconclusive": 2, "ok": 1, "not_evaluated": 0}
"""Verdicts, the one to read first with the largest number; where nothing was evaluated nothing is said."""

BESIDE = frozenset({"missing_rate", "new_category_mass", "schema"})
"""Statistics that decide beside the one on the distribution of the column."""

MOVED = frozenset({"warn", "fail", "waived"})
"""Verdicts that say a difference was found."""


@dataclass(frozen=True)
class Window:
    """One time window of the current data, or all of it."""

    start: str | None
    end: str | None
    rows: int | None = None
    verdict: str | None = None
    timeless: bool = False
    """Whether it holds the rows without a time, of a log that is cut into windows."""

    @property
    def key(self) -> tuple[str | None, str | None]:
        """Identity of the window."""
        return (self.start, self.end)

    @property
    def label(self) -> str:
        """Short name for headings."""
        return "rows without a time" if self.timeless else window_label(self.start, self.end)


@dataclass(frozen=True)
class Judgement:
    """The verdict on one feature in one window, against one baseline, in one segment."""

    feature: str
    kind: str
    role: str
    baseline: str
    window: Window
    segment: str | None
    verdict: str
    rank: int | None
    message: str
    lead: Row | None
    """The deciding row with the largest value over fail limit."""
    ratio: float | None
    """Value over fail limit of `lead`."""
    difference: Row | None = None
    """The deciding row of the largest difference that warns or fails; a check that fails is none."""
    checked: bool = False
    """Whether only checks fail: a limit is not kept, which says nothing of a difference."""

    @property
    def severity(self) -> int:
        """Order of reading."""
        return SEVERITY.get(self.verdict, 1)

    @property
    def order(self) -> tuple[float, ...]:
        """Sort key: worst first, then by size, then by rank of the engine."""
        # A column that is not there, or of another type, has no size, and is read before any that has.
        broken = self.lead is not None and self.lead.get("statistic") == "schema" and self.verdict in MOVED
        size = (-math.inf,) if broken else _size(self.ratio)
        return (-self.severity, *size, math.inf if self.rank is None else self.rank)


@dataclass
class Feature:
    """All judgements on one column over the whole population."""

    name: str
    kind: str
    role: str
    importance: float | None = None
    """Largest share of the model's importances in a window or the reference; None where none is known."""
    cells: dict[str, dict[tuple[str | None, str | None], Judgement]] = field(default_factory=dict)

    def judged(self, baseline: str) -> list[Judgement]:
        """Judgements against `baseline` that came to a verdict."""
        return [j for j in self.cells.get(baseline, {}).values() if j.verdict != "not_evaluated"]

    def moved(self, baseline: str) -> int:
        """Windows in which the column differs (warn or fail) from `baseline`."""
        return sum(j.verdict in MOVED and not j.checked for j in self.judged(baseline))

    def moved_most(self, baseline: str) -> Judgement | None:
        """The judgement against `baseline` that found the largest difference, not accepted by anyone."""
        found = [j for j in self.judged(baseline) if j.verdict in ("warn", "fail") and not j.checked]
        return min(found, key=lambda j: j.order, default=None)

    def worst(self, baseline: str) -> Judgement | None:
        """The judgement against `baseline` to read first."""
        return min(self.cells.get(baseline, {}).values(), key=lambda j: j.order, default=None)


@dataclass
class Segment:
    """Verdicts in one segment, against the main baseline."""

    label: str
    verdicts: Counter[str]
    worst: Judgement
    n_current: int | None


@dataclass
class View:
    """Everything a report shows."""

    verdict: str
    title: str
    model: str
    windows: list[Window]
    baselines: list[str]
    features: list[Feature]
    segments: list[Segment]
    deciding: list[Row]
    share_drifted: dict[tuple[str, tuple[str | None, str | None]], Row]
    row_count: int
    rows: list[Row]
    run_id: str
    performance: str = ""
    """The sentence that joins drift and performance."""
    waivers: tuple[Row, ...] = ()
    """Waivers of the record, each with the verdicts that it accepts."""
    only_segments: frozenset[tuple[str | None, str | None]] = frozenset()
    """Windows whose verdict is that of segments; the whole of their rows has a better one."""

    @property
    def main(self) -> str:
        """The baseline that findings are told against."""
        return self.baselines[0] if self.baselines else "reference"

    def joint(self, windows: set[tuple[str | None, str | None]] | None = None) -> list[tuple[str, Row]]:
        """Rows on whole rows with the name of their window, of some windows or of all."""
        labels = {window.key: window.label for window in self.windows}
        order = {key: place for place, key in enumerate(labels)}
        found = [
            row for row in self.rows if row.get("kind") == "joint" and row.get("statistic") not in ("check", "verdict")
        ]
        found = [row for row in found if windows is None or window_key(row) in windows or window_key(row) not in order]
        found.sort(key=lambda row: (str(row.get("statistic")), order.get(window_key(row), len(order))))
        return [(labels.get(window_key(row), "all rows"), row) for row in found]

    def label(self, start: object, end: object) -> str:
        """Name of the window from `start` to `end`, among these windows."""
        known = (w.label for w in self.windows if w.key == (start, end))
        return next(known, window_label(start, end))

    def verdicts(self, baseline: str) -> Counter[str]:
        """Worst verdict of each feature against `baseline`, counted."""
        found = (feature.worst(baseline) for feature in self.features)
        return Counter(j.verdict for j in found if j is not None)

    def unevaluated(self) -> list[Window]:
        """Time windows in which no column came to a verdict, first to last; those without any row too."""
        known = {
            window_key(row) for row in self.deciding
            if row.get("segment_by") is None and row.get("statistic") != "check"
            and row.get("verdict") not in (None, "not_evaluated")
        }  # fmt: skip
        return [w for w in self.windows if w.start is not None and w.key not in known]

    def findings(self) -> list[Feature]:
        """Features to look at, worst first: errors, fails, warnings, then inconclusive ones."""
        return [f for f in self.features if _worst_severity(f, self.baselines) >= 2]


def build(record: Mapping[str, Any]) -> View:
    """Work out the view of a record (the content of report.json)."""
    result = mapping(record.get("result"))
    rows: list[Row] = objects(unpack_rows(result.get("rows") or []))
    windows = _windows(result, rows)
    judgements = _judgements(rows, {window.key: window for window in windows})
    configured = sequence(mapping(result.get("configuration")).get("decided_by"))
    baselines = _baselines([j for j in judgements if j.segment is None] or judgements, configured)
    model = mapping(result.get("model"))
    name = " ".join(str(model[key]) for key in ("name", "version") if model.get(key))
    return View(
        verdict=str(result.get("verdict") or "not_evaluated"),
        title=str(result.get("title") or model.get("name") or "Drift report"),
        model=name,
        windows=windows,
        baselines=baselines,
        features=_features((j for j in judgements if j.segment is None), baselines, importance_shares(rows)),
        segments=_segments((j for j in judgements if j.segment is not None), baselines),
        deciding=sorted((row for row in rows if row.get("decides") is True), key=_row_order),
        share_drifted={
            (str(row.get("baseline")), window_key(row)): row
            for row in rows
            if row.get("statistic") == "share_drifted" and row.get("segment_by") is None
        },
        row_count=len(rows),
        rows=rows,
        run_id=next((str(row["run_id"]) for row in rows if row.get("run_id")), ""),
        only_segments=_only_segments(windows, rows),
        waivers=tuple(objects(result.get("waivers") or [])),
        performance=visible(str(mapping(result.get("performance")).get("sentence") or "")),
    )


def segment_label(row: Row) -> str | None:
    """``carrier = UA``; None for the whole population. A missing value reads ``(missing)``."""
    by, value = row.get("segment_by"), row.get("segment_value")
    if by is None:
        return None
    names = by if isinstance(by, (list, tuple)) else [by]
    values = value if isinstance(value, (list, tuple)) else [value]
    if len(names) != len(values):
        names, values = ["/".join(map(str, names))], ["/".join(map(str, values))]
    return ", ".join(
        f"{visible(str(n))} = {'(missing)' if v is None else visible(str(v)) or '(empty)'}"
        for n, v in zip(names, values, strict=True)
    )


def window_key(row: Row) -> tuple[str | None, str | None]:
    """Identity of the window a row belongs to."""
    start, end = row.get("window_start"), row.get("window_end")
    return (None if start is None else str(start), None if end is None else str(end))


def over_limit(row: Row) -> float | None:
    """Value over fail limit; None when the row has no such limit."""
    value, limit = to_float(row.get("value")), to_float(row.get("fail_at"))
    if value is None or limit is None or math.isnan(value) or not limit > 0:
        return None
    return value / limit


def _size(ratio: float | None) -> tuple[float]:
    return (math.inf if ratio is None or math.isnan(ratio) else -ratio,)


def _row_order(row: Row) -> tuple[Any, ...]:
    severity = SEVERITY.get(str(row.get("verdict")), 1)
    return (
        -severity,
        row.get("segment_by") is not None,
        *_size(over_limit(row)),
        str(row.get("feature")),
        str(window_key(row)),
    )


def _worst_severity(feature: Feature, baselines: list[str]) -> int:
    found = (feature.worst(baseline) for baseline in baselines)
    return max((j.severity for j in found if j is not None), default=0)


def _windows(result: Mapping[str, Any], rows: list[Row]) -> list[Window]:
    found: dict[tuple[str | None, str | None], Window] = {}
    windowed = mapping(result.get("configuration")).get("window") is not None
    for entry in objects(result.get("windows")):
        key = window_key({"window_start": entry.get("start"), "window_end": entry.get("end")})
        n, verdict = entry.get("rows"), entry.get("verdict")
        timeless = windowed and key == (None, None)
        found[key] = Window(*key, n if isinstance(n, int) else None, verdict and str(verdict), timeless)
    for row in rows:
        key = window_key(row)
        # The row of a column that is missing altogether may carry no window: not a window.
        if key not in found and (key != (None, None) or not found):
            found[key] = Window(*key)
    return list(found.values())


def _judgements(rows: list[Row], windows: dict[tuple[str | None, str | None], Window]) -> list[Judgement]:
    verdicts: dict[tuple[Any, ...], Row] = {}
    deciding: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row.get("feature") == "*":
            continue
        key = (
            str(row.get("baseline") or "reference"),
            segment_label(row),
            str(row.get("feature")),
            window_key(row),
        )
        if row.get("statistic") == "verdict":
            verdicts[key] = row
        elif row.get("decides") is True:
            deciding.setdefault(key, []).append(row)
    found = []
    for key in dict.fromkeys([*verdicts, *deciding]):
        parts = sorted(deciding.get(key, []), key=_row_order)
        lead = parts[0] if parts else None
        if lead is not None and lead.get("verdict") == "ok":
            # Nothing stands out: the column is then read by its distribution.
            lead = next((part for part in parts if part.get("statistic") not in BESIDE), lead)
        row = verdicts.get(key) or parts[0]
        ratio = over_limit(lead) if lead is not None else to_float(row.get("value"))
        rank = row.get("rank")
        found.append(
            Judgement(
                feature=key[2],
                kind=str(row.get("kind") or (lead or {}).get("kind") or ""),
                role=str(row.get("role") or "feature"),
                baseline=key[0],
                window=windows.get(key[3]) or Window(*key[3]),
                segment=key[1],
                verdict=str(row.get("verdict") or "not_evaluated"),
                rank=rank if isinstance(rank, int) else None,
                message=str(row.get("message") or (lead or {}).get("message") or ""),
                lead=lead,
                ratio=ratio,
                difference=next((part for part in parts if _differs(part)), None),
                checked=_only_checks(parts),
            )
        )
    return found


def _differs(part: Row) -> bool:
    return part.get("verdict") in MOVED and part.get("statistic") != "check"


def _only_checks(parts: list[Row]) -> bool:
    return any(part.get("verdict") in MOVED for part in parts) and not any(map(_differs, parts))


def _baselines(judgements: list[Judgement], decided_by: Iterable[Any]) -> list[str]:
    """Those that decide first, then the reference and the window before."""
    order = {name: place for place, name in enumerate(dict.fromkeys([*map(str, decided_by), "reference", "previous"]))}
    return sorted(dict.fromkeys(j.baseline for j in judgements), key=lambda b: (order.get(b, len(order)), b))


def importance_shares(rows: list[Row]) -> dict[str, float]:
    """Largest share of all importances of each feature, over the windows and the reference."""
    sides: dict[Any, dict[str, float]] = {}
    for row in rows:
        if row.get("statistic") == "permutation_importance":
            value = to_float(row.get("value"))
            if value is not None and math.isfinite(value):
                side = (row.get("baseline"), window_key(row), row.get("model_version"))
                sides.setdefault(side, {})[str(row.get("feature"))] = max(value, 0.0)
    found: dict[str, float] = {}
    for values in sides.values():
        total = sum(values.values())
        for name, value in values.items():
            found[name] = max(found.get(name, 0.0), value / total if total else 0.0)
    return found


def _features(judgements: Iterable[Judgement], baselines: list[str], shares: Mapping[str, float]) -> list[Feature]:
    found: dict[str, Feature] = {}
    for j in judgements:
        feature = found.setdefault(j.feature, Feature(j.feature, j.kind, j.role, shares.get(j.feature)))
        feature.cells.setdefault(j.baseline, {})[j.window.key] = j

    def order(feature: Feature) -> tuple[Any, ...]:
        worst = [feature.worst(baseline) for baseline in baselines]
        keys = [(1.0,) if j is None else j.order for j in worst]
        # What the model relies on comes first among its equals; scores and labels concern all of it.
        matters = 0.0 if not shares else 1.0 if feature.role != "feature" else feature.importance or 0.0
        return (-_worst_severity(feature, baselines), -matters, *keys)

    return sorted(found.values(), key=order)


def _only_segments(windows: list[Window], rows: list[Row]) -> frozenset[tuple[str | None, str | None]]:
    seen: dict[bool, set[tuple[Any, str]]] = {True: set(), False: set()}
    for row in rows:
        if row.get("decides") is True or row.get("statistic") == "verdict":
            seen[row.get("segment_by") is not None].add((window_key(row), str(row.get("verdict"))))
    return frozenset(
        w.key for w in windows if (w.key, str(w.verdict)) in seen[True] and (w.key, str(w.verdict)) not in seen[False]
    )


def _segments(judgements: Iterable[Judgement], baselines: list[str]) -> list[Segment]:
    groups: dict[str, list[Judgement]] = {}
    for j in judgements:
        if j.baseline == baselines[0]:
            groups.setdefault(j.segment or "", []).append(j)
    found = []
    for label, members in groups.items():
        sizes: dict[tuple[str | None, str | None], int] = {}
        for j in members:
            n = (j.lead or {}).get("n_current")
            if isinstance(n, int):
                sizes[j.window.key] = max(n, sizes.get(j.window.key, 0))
        found.append(
            Segment(
                label,
                Counter(j.verdict for j in members),
                min(members, key=lambda j: j.order),
                sum(sizes.values()) if sizes else None,
            )
        )
    return sorted(
        found,
        key=lambda s: (-s.worst.severity, -s.verdicts["fail"], -s.verdicts["warn"], s.label),
    )
