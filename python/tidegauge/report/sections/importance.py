"""What the model relies on, and whether that changed: importances of each window beside the reference."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegauge.report import charts_explain as charts
from tidegauge.report._text import between, decimals, fixed, mapping, number, objects, percent, sequence, to_float
from tidegauge.report._view import Row, over_limit, window_key
from tidegauge.report._words import variance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegauge.report._page import Page
    from tidegauge.report._view import Window

MOST_BARS = 15
"""Features drawn as bars."""
MOST_RANKS = 8
"""Features followed over the windows."""
MOST_LINES = 40
"""Features in the table."""


class Line(NamedTuple):
    """A feature, or a group of them, over the windows."""

    name: str
    reference: Cell
    cells: list[Cell]
    members: tuple[str, ...] = ()
    """Of a group: the features below it."""
    inset: bool = False
    ratio: str = ""
    """Loss ratio on the last side, as the two below."""
    outside: str = ""
    near: str = ""
    """Features that move with it."""


class Cell(NamedTuple):
    """An importance: value, interval, and whether it changed."""

    value: str
    limits: str
    word: str
    style: str


EMPTY = Cell("–", "", "", "")


def build(page: Page) -> dict[str, Any] | None:
    """Bars, ranks, drift beside importance, and the table of all; nothing without importances."""
    told = mapping(page.result.get("explanations"))
    rows = [r for r in page.view.rows if r.get("statistic") == "permutation_importance"]
    together = [r for r in page.view.rows if r.get("statistic") == "group_importance"]
    if not told or not rows:
        return None
    reference = {str(r.get("feature")): r for r in rows if r.get("baseline") == "none"}
    by: dict[Any, dict[str, Row]] = {}
    for row in rows:
        if row.get("baseline") != "none":
            by.setdefault(window_key(row), {})[str(row.get("feature"))] = row
    windows = [w for w in page.windows if w.key in by]
    changes = {
        (window_key(r), str(r.get("feature"))): r for r in page.view.rows if r.get("statistic") == "importance_change"
    }
    alpha = to_float(mapping(told.get("settings")).get("alpha")) or 0.05

    def changed(key: Any, name: str) -> bool:
        q = to_float((changes.get((key, name)) or {}).get("qvalue"))
        return q is not None and q <= alpha

    largest = _largest([*by.values(), reference])
    names = sorted(largest, key=lambda name: (-largest[name], name))
    last = windows[-1] if windows else None
    moved = [(w, n) for w in windows for n in names if changed(w.key, n)]
    shown = names[:MOST_LINES]
    places = decimals(row.get("value") for side in [*by.values(), reference] for row in side.values())
    beside = _beside(page.view.rows, None if last is None else last.key)

    def line(name: str, *, inset: bool = False) -> Line:
        cells = [_cell(by[w.key].get(name), places, changed(w.key, name), changes.get((w.key, name))) for w in windows]
        message = str(((by[last.key] if last else reference).get(name) or {}).get("message") or "")
        near = message.removeprefix("moves with ") if message.startswith("moves with ") else ""
        return Line(name, _cell(reference.get(name), places), cells, (), inset, *beside.get(name, ("", "")), near)

    groups, grouped = _groups(told, together, windows, places)
    for name, (ratio, outside) in beside.items():
        if name in groups:
            groups[name] = groups[name]._replace(ratio=ratio, outside=outside)
    lines: list[Line] = []
    told_names: set[str] = set()
    for name in shown:
        if name in told_names:
            continue
        group = grouped.get(name)
        members = [name] if group is None else [n for n in names if n in groups[group].members]
        if group is not None:
            lines.append(groups[group])
        lines += [line(member, inset=group is not None) for member in members]
        told_names.update(members)
    return {
        "told": told,
        "model": mapping(told.get("model")),
        "shown": windows,
        "reference_known": bool(reference),
        "lines": lines,
        "more": len(names) - len(told_names),
        "loss": str(told.get("scoring") or "").removeprefix("neg_"),
        "is_loss": str(told.get("scoring") or "").startswith("neg_"),
        "alpha": alpha,
        "grouped": bool(groups),
        "ratios": any(one.ratio for one in lines),
        "outsides": any(one.outside for one in lines),
        "nears": any(one.near for one in lines),
        "last_label": "reference" if last is None else last.label,
        "notes": [str(note) for note in sequence(told.get("notes"))],
        "bars": None if last is None else _bars(by[last.key], reference, last.label),
        "last": last,
        "ranks": _ranks(by, windows, names),
        "quadrant": None if last is None else _quadrant(page, by[last.key], last),
        "sentences": _sentences(page, moved, names, len(windows), changes, bool(reference)),
        "variances": sorted({variance(r["variance"]) for r in rows if r.get("variance")}),
        "sides": objects(told.get("sides")),
    }


def _beside(rows: list[Row], key: Any) -> dict[str, tuple[str, str]]:
    """Loss ratio and share outside the data of each feature and group, in a window, or in the reference."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.get("statistic") not in ("importance_loss_ratio", "permuted_outside"):
            continue
        if (row.get("baseline") == "none") is (key is None) and (key is None or window_key(row) == key):
            ratio = row["statistic"] == "importance_loss_ratio"
            shown = number(row.get("value")) if ratio else percent(row.get("value"))
            found.setdefault(str(row.get("feature")), {})["ratio" if ratio else "outside"] = shown
    return {name: (of.get("ratio", ""), of.get("outside", "")) for name, of in found.items()}


def _largest(sides: list[dict[str, Row]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for side in sides:
        for name, row in side.items():
            found[name] = max(found.get(name, 0.0), to_float(row.get("value")) or 0.0)
    return found


def _limits(row: Row) -> charts.Limits:
    low, high = to_float(row.get("ci_low")), to_float(row.get("ci_high"))
    return None if low is None or high is None else (low, high)


def _groups(
    told: Mapping[str, Any], rows: list[Row], windows: list[Window], places: int
) -> tuple[dict[str, Line], dict[str, str]]:
    """Lines of the groups of the last side that has any, and the group of each of their members.

    Which features go together is told side by side, and may differ between windows.
    """
    sides = [objects(side.get("groups")) for side in objects(told.get("sides"))]
    held: list[Mapping[str, Any]] = next((groups for groups in reversed(sides) if groups), [])
    found: dict[str, Line] = {}
    grouped: dict[str, str] = {}
    for group in held:
        name, members = str(group.get("name")), tuple(str(m) for m in sequence(group.get("features")))
        own = {(r.get("baseline") == "none", window_key(r)): r for r in rows if r.get("feature") == name}
        cells = [_cell(own.get((False, w.key)), places) for w in windows]
        before = next((r for (reference, _), r in own.items() if reference), None)
        found[name] = Line(name, _cell(before, places), cells, members)
        grouped |= dict.fromkeys(members, name)
    return found, grouped


def _cell(row: Row | None, places: int, changed: bool = False, change: Row | None = None) -> Cell:
    if row is None or row.get("value") is None:
        return EMPTY
    limits = between(row.get("ci_low"), row.get("ci_high"), places)
    word = ("more" if (to_float((change or {}).get("value")) or 0.0) > 0 else "less") if changed else ""
    return Cell(fixed(row["value"], places), "" if limits == "–" else limits, word, "warn" if word else "")


def _bars(now: dict[str, Row], reference: dict[str, Row], label: str) -> Any:
    ranked = _ranked(now)[:MOST_BARS]
    drawn = []
    for name in ranked:
        before = to_float((reference.get(name) or {}).get("value"))
        drawn.append((name, to_float(now[name].get("value")) or 0.0, _limits(now[name]), before))
    first = drawn[0][0] if drawn else ""
    return charts.bars(
        drawn,
        ident="imp",
        title=f"Importances, {label}",
        description=f"The {len(drawn)} largest, in units of the loss; the model relies most on {first}.",
    )


def _ranks(by: Any, windows: Any, names: list[str]) -> Any:
    if len(windows) < 2:
        return None
    order = {w.key: _ranked(by[w.key]) for w in windows}
    lines = []
    for name in names[:MOST_RANKS]:
        ranks = [order[w.key].index(name) + 1 if name in by[w.key] else None for w in windows]
        pairs = [(by[a.key].get(name), by[b.key].get(name)) for a, b in pairwise(windows)]
        lines.append((name, ranks, [a is None or b is None or _overlap(_limits(a), _limits(b)) for a, b in pairs]))
    return charts.ranks(
        lines,
        [w.label for w in windows],
        ident="rank",
        title="Ranks of the importances over the windows",
        description=f"The {len(lines)} largest; dashed where both intervals overlap, so that the change may be chance.",
    )


def _ranked(now: dict[str, Row]) -> list[str]:
    return sorted(now, key=lambda name: (-(to_float(now[name].get("value")) or 0.0), name))


def _overlap(a: charts.Limits, b: charts.Limits) -> bool:
    return a is None or b is None or (a[0] <= b[1] and b[0] <= a[1])


def _points(page: Page, now: dict[str, Row], key: Any) -> list[tuple[str, float, float]]:
    """Drift over its fail limit, and share of the importance, of each feature that has both."""
    total = sum(max(to_float(r.get("value")) or 0.0, 0.0) for r in now.values())
    found = []
    for feature in page.view.features:
        judged = feature.cells.get(page.view.main, {}).get(key)
        row = now.get(feature.name)
        if judged is None or row is None or not total:
            continue
        ratio = judged.ratio if judged.ratio is not None else over_limit(judged.lead or {})
        found.append((feature.name, ratio or 0.0, max(to_float(row.get("value")) or 0.0, 0.0) / total))
    return found


def _quadrant(page: Page, now: dict[str, Row], window: Any) -> Any:
    points = _points(page, now, window.key)
    if not points:
        return None
    both = [name for name, x, y in points if x >= 1.0 and y >= 0.05]
    return {
        "svg": charts.quadrant(
            points,
            limits=(1.0, 0.05),
            ident="quad",
            title=f"Drift and importance, {window.label}",
            description=f"{len(both)} of {len(points)} features moved beyond the fail limit and hold 5 % of the "
            "importance.",
        ),
        "both": both,
        "points": sorted(points, key=lambda p: (-p[1] * p[2], p[0])),
    }


def _sentences(
    page: Page, moved: list[Any], names: list[str], windows: int, changes: Any, reference: bool
) -> list[str]:
    if not reference or not changes:
        return ["There is no reference of the importances, so a change cannot be told."]
    if not moved:
        return [f"No importance changed beyond chance{f' in {windows} windows' if windows > 1 else ''}."]
    count: dict[str, int] = {}
    for _, name in moved:
        count[name] = count.get(name, 0) + 1
    told = ", ".join(
        f"{name}{f' (in {n} of {windows} windows)' if windows > 1 else ''}"
        for name, n in sorted(count.items(), key=lambda c: (-c[1], c[0]))[:5]
    )
    more = f" and {len(count) - 5} more" if len(count) > 5 else ""
    return [f"What the model relies on changed beyond chance: {told}{more}."]
