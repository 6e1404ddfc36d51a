"""What each cell adds to a statistic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._baselines import check_baselines
from tidegauge._profile import as_profile
from tidegauge.errors import UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import polars as pl

    from tidegauge._profile import Profile
    from tidegauge.results import Report, Row

#: Statistics that are sums over cells.
SUMS = frozenset(
    (
        "chi_square", "hellinger", "jensen_shannon", "kullback_leibler", "ks", "psi", "total_variation", "wasserstein",
    )
)  # fmt: skip
#: Categories that fewer rows hold on both sides are one cell.
MIN_COUNT = 10
_TEXTS = ("model_version", "window_start", "window_end", "baseline", "segment_by", "segment_value", "feature",
          "statistic", "definition")  # fmt: skip


def contributions(
    reference: Profile | str | os.PathLike[str],
    current: Profile | str | os.PathLike[str],
    feature: str,
    statistic: str | None = None,
    *,
    baselines: Sequence[str] = ("reference",),
    decided_by: Sequence[str] = (),
    segment_baselines: Sequence[str] = (),
    statistics: Mapping[str, str] | None = None,
    min_count: int = MIN_COUNT,
) -> pl.DataFrame:
    """What each cell adds to a statistic of one feature; no data is read.

    Parameters
    ----------
    reference, current : Profile or path
        As for :func:`tidegauge.compare`.
    feature : str
        The column.
    statistic : {"chi_square", "hellinger", "jensen_shannon", "kullback_leibler", "ks", "psi", \
"total_variation", "wasserstein"}, optional
        Default: the one that decides for the column.
    baselines, decided_by, segment_baselines, statistics
        As for :func:`tidegauge.compare`.
    min_count : int
        Categories that fewer rows hold on both sides are one cell, ``rare``.

    Returns
    -------
    polars.DataFrame
        One row for each cell, window, segment, model version and baseline: ``label``, ``kind``, ``low`` and
        ``high`` of the cell (null where it is open), ``n_reference``, ``n_current``, ``share_reference``,
        ``share_current`` and ``contribution``; the contributions add up to ``value``. Ordered columns have
        the ten cells of ``psi``. ``ks`` adds the differences of shares up to the point where it is
        attained, ``wasserstein`` areas, and a square root is shared out in proportion to the squares.

    Raises
    ------
    UsageError
        If the column is not in both profiles, or the statistic is no sum over cells or not of its kind.

    Examples
    --------
    >>> import tidegauge as tg
    >>> reference = tg.profile({"x": ["a"] * 50 + ["b"] * 50})
    >>> current = tg.profile({"x": ["a"] * 20 + ["b"] * 80}, like=reference)
    >>> tg.contributions(reference, current, "x").select("label", "contribution").rows()
    [('a', 0.15), ('b', 0.15)]
    """
    import polars as pl

    if min_count < 1:
        raise UsageError(f"min_count: {min_count!r}; accepted is a whole number from 1")
    check_baselines(baselines, decided_by, segment_baselines)
    options = {
        "baselines": list(baselines),
        "decided_by": list(decided_by),
        "segment_baselines": list(segment_baselines),
        "statistics": dict(statistics or {}),
    }
    left, right = as_profile(reference)._core, as_profile(current)._core
    rows = json.loads(_core.contributions(left, right, feature, statistic, min_count, json.dumps(options)))
    schema = dict.fromkeys(_TEXTS, pl.String) | {
        "value": pl.Float64, "cell": pl.Int64, "label": pl.String, "kind": pl.String, "low": pl.Float64,
        "high": pl.Float64, "n_reference": pl.Int64, "n_current": pl.Int64, "share_reference": pl.Float64,
        "share_current": pl.Float64, "contribution": pl.Float64,
    }  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema, infer_schema_length=None)
    return frame.with_columns(
        pl.col("window_start", "window_end").str.to_datetime("%+", time_unit="us", time_zone="UTC")
    )


#: Features of a record that carry their cells, and cells of each.
MOST_FEATURES, MOST_CELLS = 50, 5


def of_findings(report: Report, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What adds most to the findings of a report, as its record holds it.

    For each feature that warns or fails by the distance of its values, worst first, the window in which it
    exceeds its limit most, without segments, and the cells that add most to the statistic there. Categories of
    few rows are one cell.
    """
    worst: dict[str, Row] = {}
    for row in report.rows:
        raised = row["decides"] and row["verdict"] in ("warn", "fail") and row["segment_by"] is None
        if not raised or row["baseline"] not in report.decided_by:
            continue
        if row["statistic"] not in SUMS or row["value"] is None:
            continue
        held = worst.get(row["feature"])
        if held is None or _beyond(row) > _beyond(held):
            worst[row["feature"]] = row
    ranked = sorted(worst.values(), key=lambda row: (-_beyond(row)[0], -_beyond(row)[1], row["feature"]))
    found = []
    for row in ranked[:MOST_FEATURES]:
        chosen = {"baselines": [row["baseline"]], "segments": False}
        current = report.current if report.of_window is None else report.of_window(row)
        told = _core.contributions(
            report.reference._core,
            current._core,
            row["feature"],
            row["statistic"],
            MIN_COUNT,
            json.dumps({**options, **chosen}),
            json.dumps({name: row[name] for name in ("window_start", "window_end")}),
        )
        place = ("window_start", "window_end", "baseline")
        cells = [
            cell
            for cell in json.loads(told)
            if cell["segment_by"] is None
            and all(cell[name] == row[name] for name in place)
            and cell["model_version"] in (None, row["model_version"])
        ]
        cells.sort(key=lambda cell: (-abs(cell["contribution"]), cell["cell"]))
        names = ("label", "kind", "n_reference", "n_current", "share_reference", "share_current", "contribution")
        shown = [{name: cell[name] for name in names} for cell in cells[:MOST_CELLS] if cell["contribution"]]
        if shown:
            told_of = (*place, "model_version", "feature", "statistic", "definition", "value", "verdict")
            found.append({**{name: row[name] for name in told_of}, "cells": shown, "more": len(cells) - len(shown)})
    return found


def _beyond(row: Row) -> tuple[int, float]:
    """Verdict, and how often the value exceeds the limit that fails."""
    limit = row["fail_at"]
    return row["verdict"] == "fail", row["value"] / limit if limit else float("inf")
