"""Whether the importances of a model changed between a reference and windows of its log."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge import _core
from tidegauge._files import write_all
from tidegauge._support import ASSOCIATED
from tidegauge.errors import GateError, UsageError
from tidegauge.importance import LOSSES, ImportanceResult
from tidegauge.results import FAIL_ON, ROW_FIELDS, SEVERITY, FailOn, Row, plain_row, rows_to_pandas, rows_to_polars

if TYPE_CHECKING:
    import os

    import pandas as pd
    import polars as pl

    from tidegauge._support import AssociatedGroup

DEFINITION = "importance_drift/{}/v1"

#: Notes on what a result does not hold.
WEIGHTED = "with weights the change is not split into donors and rows"
BLACK_BOX = "the models were not read, as functions or by their library alone: that both sides have one was not checked"
REPEATS = (
    "importances are means over {} permutations in the reference and {} in the window; their standard errors "
    "hold that noise"
)
FEW = "the standard error of one permutation counts its noise twice: there are fewer alarms, of real changes too"
R2 = "r2 divides by each side's own variance of the labels; changes are those of the squared error"


class ImportanceDrift:
    """What :func:`tidegauge.importance_drift` found.

    Attributes
    ----------
    rows : list of dict
        The columns of :class:`tidegauge.Report`. One deciding row a feature and window,
        ``importance_change``, and one for each group of associated features of the reference,
        ``group_importance_change``; beside the first ``importance_ratio``, ``importance_share_change``,
        ``importance_rank_change``, and of trees ``importance_change_from_donors`` and
        ``importance_change_from_rows``, which add up to the change. For all features (``*``)
        ``compatibility_ndcg`` and ``compatibility_rank_correlation``, which decide nothing.
    verdict : str
        The worst verdict of a feature; ``inconclusive`` where none was tested.
    alpha : float
        False-discovery rate within a window.
    notes : list of str
        What was not checked, and where standard errors come from.
    provenance : dict
        That of the importances compared.
    """

    def __init__(self, rows: list[Row], alpha: float, notes: list[str], provenance: dict[str, Any]) -> None:
        self.rows = rows
        self.alpha = alpha
        self.notes = notes
        self.provenance = provenance

    @property
    def verdicts(self) -> list[Row]:
        """The deciding rows, by window and then the clearest change first."""
        found = [row for row in self.rows if row["decides"]]
        return sorted(found, key=lambda row: (row["window_start"] or "", row["rank"]))

    @property
    def verdict(self) -> str:
        """The worst verdict of a feature."""
        found = [row["verdict"] for row in self.verdicts if row["verdict"] in SEVERITY]
        return max(found, key=SEVERITY.index, default="inconclusive")

    @property
    def changed(self) -> list[Row]:
        """The deciding rows whose q-value is at most `alpha`."""
        return [row for row in self.verdicts if row["qvalue"] is not None and row["qvalue"] <= self.alpha]

    @property
    def failed(self) -> list[Row]:
        """The deciding rows that fail; none without `fail_at`."""
        return [row for row in self.verdicts if row["verdict"] == "fail"]

    def summary(self) -> dict[str, Any]:
        """Verdict, number of windows, of features tested and changed, and the clearest changes in plain words."""
        tested = [row for row in self.verdicts if row["pvalue"] is not None]
        return {
            "verdict": self.verdict,
            "windows": len({row["window_start"] for row in self.rows}),
            "tested": len(tested),
            "changed": len(self.changed),
            "findings": [_finding(row) for row in self.changed[:10]],
        }

    def raise_if_failed(self, fail_on: FailOn = "fail") -> None:
        """Raise unless the gate passes.

        Parameters
        ----------
        fail_on : {"fail", "warn", "inconclusive", "never"}
            The mildest verdict that fails the gate; without `fail_at` a change warns.

        Raises
        ------
        GateError
            Naming the clearest findings.
        """
        if fail_on not in FAIL_ON:
            raise UsageError(f"fail_on: {fail_on!r}; accepted are {', '.join(FAIL_ON)}")
        gated = {"fail": ("fail",), "warn": ("fail", "warn"), "inconclusive": ("fail", "warn", "inconclusive")}
        found = [row for row in self.verdicts if row["verdict"] in gated.get(fail_on, ())]
        if found:
            raise GateError("; ".join(map(_finding, found[:5])), 1)

    def to_polars(self) -> pl.DataFrame:
        """All rows as a Polars frame, in the columns of :meth:`tidegauge.Report.to_polars`."""
        return rows_to_polars(self.rows)

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a pandas frame; needs the extra ``pandas``."""
        return rows_to_pandas(self.rows)

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write rows, verdict, notes and provenance as JSON."""
        content = {
            "definition": DEFINITION.format("importance_change"),
            "verdict": self.verdict,
            "alpha": self.alpha,
            "rows": [plain_row(row) for row in self.rows],
            "notes": self.notes,
            "provenance": self.provenance,
        }
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
        target = Path(path)
        write_all([(target, f"{text}\n".encode())])
        return target

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """All rows as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        told = self.summary()
        lines = [f"{self.verdict}: {told['changed']} of {told['tested']} importances changed"]
        lines += [f"  {row['verdict']!s:<12}  {_finding(row)}" for row in self.verdicts[:12]]
        if len(self.verdicts) > 12:
            lines.append(f"  and {len(self.verdicts) - 12} more; .to_polars() has all")
        return "\n".join(lines)


def importance_drift(
    reference: ImportanceResult,
    window: ImportanceResult | Mapping[Any, ImportanceResult],
    *,
    alpha: float = 0.05,
    fail_at: float | None = None,
) -> ImportanceDrift:
    """Which importances changed between a reference and one window or several.

    Parameters
    ----------
    reference, window : ImportanceResult
        Of :func:`tidegauge.permutation_importance` with one model, scoring and method, on sets of rows
        that share none. Several windows as a mapping from their start: a date, a datetime or ISO text.
    alpha : float
        False-discovery rate within a window (Benjamini-Hochberg over its features, and by themselves over
        the groups of associated features); where nothing changed, the chance of any alarm in the window among
        features, and among groups.
    fail_at : float, optional
        Change of the importance, in units of the loss, that fails. Without it a change warns.

    Returns
    -------
    ImportanceDrift

    Raises
    ------
    UsageError
        If model, scoring, method or features of a window are not those of the reference, a window has
        no start that can be read, or `alpha` or `fail_at` is out of range.

    Notes
    -----
    The change is tested at zero by Student's t. Its standard error is the larger of Welch's and the
    pooled one, from those of both importances, which count each row as a row and as a donor: importances
    are skewed, and a small window with a small one has a small error too. Of importances with `block` both
    are those of whole blocks; a window of one block, a day, has the variance between the blocks of the
    reference. Without blocks rows are taken as independent, and of a log whose rows hang together within
    a day the errors are then too small. Features that the model does not use have an importance of exactly
    0 and are not tested; nor are scorings that are no mean over rows.

    Of trees the change is split: *donors* is what other values of the feature alone account for, without
    blocks tested against one distribution over the cells that the model tells apart; *rows* is the rest, from the other
    features, the labels, and the row's own value. A feature that moved shows in both; one whose relation
    to the label changed, in rows alone.

    Features that go together share an importance that may move from one to the other; of
    `associated_groups` of the reference that the window has too the change of the importance together is
    tested as well. One that the window does not have, or has by another method, is not evaluated.

    The change of rank has limits that hold for all features at once; that of the share has none.
    ``compatibility_ndcg`` and ``compatibility_rank_correlation`` are what other tools alarm on (NDCG
    below 0.9): they have no error rate and do not see a change of scale.

    References
    ----------
    .. [1] Benjamini, Hochberg (1995), "Controlling the false discovery rate", JRSS B 57:289
    .. [2] Fieller (1954), "Some problems in interval estimation", JRSS B 16:175, for the ratio
    .. [3] Klein, Wright, Wieczorek (2020), "A joint confidence region for an overall ranking of
       populations", JRSS C 69:589

    Examples
    --------
    >>> import numpy as np, tidegauge as tg
    >>> def importances(weight, seed):
    ...     x = np.random.default_rng(seed).normal(size=(400, 2))
    ...     y = weight * x[:, 0] + x[:, 1]
    ...     return tg.permutation_importance(lambda x: x["a"] + x["b"], {"a": x[:, 0], "b": x[:, 1]}, y,
    ...                                      scoring="neg_mean_squared_error")
    >>> found = tg.importance_drift(importances(1.0, 1), importances(0.2, 2))
    >>> [row["feature"] for row in found.changed]
    ['a']
    """
    _check_number("alpha", alpha, 1.0)
    if fail_at is not None:
        _check_number("fail_at", fail_at, float("inf"))
    windows = _windows(window)
    notes: list[str] = []
    rows: list[Row] = []
    for start in sorted(windows, key=lambda s: s or ""):
        given = windows[start]
        order = _matched(reference, given, "the window" if start is None else f"the window from {start}")
        for note in _notes(reference, given):
            if note not in notes:
                notes.append(note)
        own = list(range(len(reference.features)))
        found = json.loads(_core.importance_drift(_side(reference, own), _side(given, order), alpha))
        rows += _rows(reference, given, start, found, alpha, fail_at)
        rows += _of_groups(reference, given, start, alpha, fail_at)
    provenance = {
        "reference": reference.provenance,
        "windows": [{"window_start": start, **given.provenance} for start, given in windows.items()],
    }
    return ImportanceDrift(rows, alpha, notes, provenance)


def _windows(given: ImportanceResult | Mapping[Any, ImportanceResult]) -> dict[str | None, ImportanceResult]:
    """Results by start; one alone has none.

    Raises
    ------
    UsageError
        If there is none, or two have one start.
    """
    if not isinstance(given, Mapping):
        return {None: given}
    windows: dict[str | None, ImportanceResult] = {_start(key): value for key, value in given.items()}
    if not windows or len(windows) < len(given):
        raise UsageError("windows: at least one is needed, each with a start of its own")
    return windows


def _check_number(name: str, value: float, most: float) -> None:
    if not 0.0 < value < most:
        raise UsageError(f"{name} {value!r}; accepted is between 0 and {most:g}")


def _start(key: Any) -> str:
    """The start of a window as RFC 3339 in UTC."""
    try:
        at = dt.datetime.fromisoformat(key) if isinstance(key, str) else key
        if not isinstance(at, dt.datetime):
            at = dt.datetime(at.year, at.month, at.day)
    except (AttributeError, ValueError):
        raise UsageError(f"window {key!r}; accepted as start are dates, datetimes and ISO text") from None
    at = at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)
    return at.isoformat().replace("+00:00", "Z")


def _matched(reference: ImportanceResult, window: ImportanceResult, name: str) -> list[int]:
    """Where each feature of the reference is in the window.

    Raises
    ------
    UsageError
        If the two were not measured alike; it names what differs.
    """
    for side, given in (("the reference", reference), (name, window)):
        if not isinstance(given, ImportanceResult):
            raise UsageError(
                f"{side} is a {type(given).__name__}; accepted are results of permutation_importance, "
                "several windows as a mapping from their start"
            )
    for what in ("scoring", "definition", "variance"):
        ours, theirs = getattr(reference, what), getattr(window, what)
        if ours != theirs:
            raise UsageError(f"{what} is {ours} in the reference, {theirs} in {name}")
    models = [given.provenance.get("model") for given in (reference, window)]
    if models[0] != models[1]:
        raise UsageError(f"the model of {name} is not that of the reference: digests {models[1]} and {models[0]}")
    place = {feature: i for i, feature in enumerate(window.features)}
    missing = [feature for feature in reference.features if feature not in place]
    added = [feature for feature in window.features if feature not in set(reference.features)]
    if missing or added:
        told = f"has no {missing[0]!r}" if missing else f"has {added[0]!r}, which the reference has not"
        raise UsageError(f"features differ: {name} {told}")
    return [place[feature] for feature in reference.features]


def _notes(reference: ImportanceResult, window: ImportanceResult) -> list[str]:
    notes = [R2] if reference.scoring == "r2" else []
    if reference.provenance.get("model") is None:
        notes.append(BLACK_BOX)
    if reference.weighted_rows is not None or window.weighted_rows is not None:
        notes.append(WEIGHTED)
    if reference.method == "permutation":
        repeats = [given.provenance["n_repeats"] for given in (reference, window)]
        notes.append(REPEATS.format(*repeats))
        if min(repeats) < 2:
            notes.append(FEW)
    return notes


def _side(
    given: ImportanceResult, order: list[int]
) -> tuple[int, tuple[int, float] | None, list[float], list[float], list[Any]]:
    """Rows, blocks, importances, errors and cells in the order of the reference's features, in units of the loss."""
    responses = given.responses or [None] * len(order)
    return (
        _units(given),
        None if given.n_blocks is None else (given.n_blocks, given.block_freedom),
        (given.importances_mean[order] * given.scale).tolist(),
        (given.standard_error[order] * given.scale).tolist(),
        [responses[i] for i in order],
    )


def _units(given: ImportanceResult) -> int:
    """Independent rows, by which variances are pooled: of weights as many as have equal ones."""
    return given.n_rows if given.weighted_rows is None else max(2, round(given.weighted_rows))


def _rows(
    reference: ImportanceResult,
    window: ImportanceResult,
    start: str | None,
    found: dict[str, Any],
    alpha: float,
    fail_at: float | None,
) -> list[Row]:
    """Rows of one window."""
    base = _base(reference, window, start)

    def row(feature: str, statistic: str, value: float | None, **given: Any) -> Row:
        role = "feature" if feature != "*" else None
        named = {"feature": feature, "role": role, "statistic": statistic, "definition": DEFINITION.format(statistic)}
        return base | named | {"value": value} | given

    null, in_loss = _null(window), {"unit": _unit(reference), "value_if_no_change": 0.0}
    changes = found["features"]

    def clearest(j: int) -> tuple[bool, float, float]:
        p = changes[j]["pvalue"]
        return p is None, p or 0.0, -abs(changes[j]["value"] or 0.0)

    ranks = {j: i for i, j in enumerate(sorted(range(len(changes)), key=clearest), start=1)}
    rows = []
    for j, (feature, change) in enumerate(zip(reference.features, changes, strict=True)):
        low, high = change["interval"] or (None, None)
        rows.append(
            row(
                feature,
                "importance_change",
                change["value"],
                **in_loss,
                decides=True,
                ci_low=low,
                ci_high=high,
                variance=reference.variance if change["pvalue"] is not None else None,
                null=null if change["pvalue"] is not None else None,
                n_eff_reference=_effective(reference, feature),
                n_eff_current=_effective(window, feature),
                pvalue=change["pvalue"],
                qvalue=change["qvalue"],
                minimum_detectable=None if low is None else (high - low) / 2.0,
                warn_at=0.0,
                fail_at=fail_at,
                threshold_source=None if fail_at is None else "configuration",
                verdict=_verdict(change, alpha, fail_at),
                rank=ranks[j],
                message=_message(change),
            )
        )
        limits = change["ratio_interval"]
        low, high = limits or (None, None)
        rows.append(
            row(
                feature,
                "importance_ratio",
                change["ratio"],
                unit="ratio",
                value_if_no_change=1.0,
                ci_low=low,
                ci_high=high,
                message=None if limits or change["pvalue"] is None else "no limits: the reference may be 0",
            )
        )
        rows.append(row(feature, "importance_share_change", change["share"], unit="share", value_if_no_change=0.0))
        (before, after), (low, high) = change["ranks"], change["rank_interval"] or (None, None)
        rows.append(
            row(
                feature,
                "importance_rank_change",
                float(after - before),
                unit="ranks",
                value_if_no_change=0.0,
                ci_low=None if low is None else float(low),
                ci_high=None if high is None else float(high),
                message=f"rank {before} to {after}",
            )
        )
        if (split := change["split"]) is not None:
            p = split["pvalue"]
            tested = {"pvalue": p, "variance": "iid", "null": "same-donors-z"} if p is not None else {}
            rows.append(row(feature, "importance_change_from_donors", split["donors"], **in_loss, **tested))
            rows.append(row(feature, "importance_change_from_rows", split["rows"], **in_loss))
    told = "compatibility: has no error rate and does not see a change of scale"
    for name in ("ndcg", "rank_correlation"):
        rows.append(row("*", f"compatibility_{name}", found[name], value_if_no_change=1.0, message=told))
    return rows


def _base(reference: ImportanceResult, window: ImportanceResult, start: str | None) -> Row:
    """What every row of a window has."""
    return dict.fromkeys(ROW_FIELDS) | {
        "window_start": start,
        "baseline": "reference",
        "decides": False,
        "exactness": "exact" if reference.method == "exact" else "estimated",
        "n_reference": reference.n_rows,
        "n_current": window.n_rows,
        "n_eff_reference": reference.weighted_rows or float(reference.n_rows),
        "n_eff_current": window.weighted_rows or float(window.n_rows),
    }


def _null(window: ImportanceResult) -> str:
    return "t-of-the-blocks-of-the-reference" if window.n_blocks == 1 else "t-larger-of-welch-and-pooled"


def _unit(reference: ImportanceResult) -> str:
    loss = LOSSES.get(reference.scoring, reference.scoring)
    names = {"squared": "squared error", "absolute": "absolute error", "zero_one": "error rate"}
    return names.get(loss, loss.replace("_", " "))


def _of_groups(
    reference: ImportanceResult, window: ImportanceResult, start: str | None, alpha: float, fail_at: float | None
) -> list[Row]:
    """Deciding rows of the reference's groups of associated features."""
    groups = reference.associated_groups
    if not groups:
        return []
    known = {frozenset(group.features): group for group in window.associated_groups}
    pairs = [(group, known.get(frozenset(group.features))) for group in groups]
    both = [(k, a, b) for k, (a, b) in enumerate(pairs) if b is not None and a.method == b.method]
    changes: dict[int, dict[str, Any]] = {}
    if both:

        def side(given: ImportanceResult, held: list[AssociatedGroup]) -> Any:
            values = [g.importance * given.scale for g in held]
            errors = [g.standard_error * given.scale for g in held]
            blocks = None if given.n_blocks is None else (given.n_blocks, given.block_freedom)
            return _units(given), blocks, values, errors, [None] * len(held)

        sides = (side(reference, [a for _, a, _ in both]), side(window, [b for _, _, b in both]))
        found = json.loads(_core.importance_drift(*sides, alpha))["features"]
        changes = {k: change for (k, _, _), change in zip(both, found, strict=True)}
    rows = []
    for k, (group, other) in enumerate(pairs):
        change = changes.get(k, {"value": None, "interval": None, "pvalue": None, "qvalue": None, "split": None})
        low, high = change["interval"] or (None, None)
        tested = change["pvalue"] is not None
        if other is None:
            message = f"not tested: in the window the features are not associated by {ASSOCIATED} and more"
        elif k not in changes:
            message = f"not tested: measured by method {group.method} in the reference, {other.method} in the window"
        else:
            message = _message(change)
        rows.append(
            _base(reference, window, start)
            | {
                "feature": group.name,
                "role": "feature",
                "statistic": "group_importance_change",
                "definition": DEFINITION.format("group_importance_change"),
                "exactness": "exact" if group.method == "exact" else "estimated",
                "value": change["value"],
                "unit": _unit(reference),
                "value_if_no_change": 0.0,
                "decides": True,
                "ci_low": low,
                "ci_high": high,
                "variance": reference.variance if tested else None,
                "null": _null(window) if tested else None,
                "pvalue": change["pvalue"],
                "qvalue": change["qvalue"],
                "minimum_detectable": None if low is None else (high - low) / 2.0,
                "warn_at": 0.0,
                "fail_at": fail_at,
                "threshold_source": None if fail_at is None else "configuration",
                "verdict": _verdict(change, alpha, fail_at),
                "rank": len(reference.features) + k + 1,
                "message": message,
            }
        )
    return rows


def _effective(given: ImportanceResult, feature: str) -> float:
    """Independent rows that the importance of a feature is worth."""
    if given.n_eff is None:
        return float(given.n_rows)
    return float(given.n_eff[given.features.index(feature)])


def _verdict(change: dict[str, Any], alpha: float, fail_at: float | None) -> str:
    """As drift rows are judged, by the interval of the change's size."""
    if change["pvalue"] is None:
        return "not_evaluated"
    low, high = change["interval"]
    least, most = max(low, -high), max(high, -low)
    if fail_at is not None and least > fail_at:
        return "fail"
    if change["qvalue"] <= alpha:
        return "warn"
    return "inconclusive" if fail_at is not None and most >= fail_at else "ok"


def _message(change: dict[str, Any]) -> str:
    """What changed, in plain words."""
    if change["pvalue"] is None:
        return "not tested: the model does not use it, or there is no standard error"
    low, high = change["interval"]
    told = f"importance changed by {change['value']:+.3g}, {low:.3g} to {high:.3g}, q = {change['qvalue']:.2g}"
    if (split := change["split"]) is not None:
        told += f"; {split['donors']:+.3g} from its own distribution, {split['rows']:+.3g} from the rest of the rows"
    return told


def _finding(row: Row) -> str:
    where = row["feature"] if row["window_start"] is None else f"{row['feature']}, from {row['window_start']}"
    return f"{where}: {row['message']}"
