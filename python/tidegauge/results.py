"""Results of a comparison: one shape of rows, one verdict, and the ways out of it."""

from __future__ import annotations

import datetime as dt
import json
import os
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tidegauge._files import write_all
from tidegauge.errors import GateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    import polars as pl

    from tidegauge._explain import Explanation
    from tidegauge._profile import Profile
    from tidegauge._recorded import RecordedExplanation

Row = dict[str, Any]
FailOn = Literal["fail", "warn", "inconclusive", "never"]

#: Columns of the rows, in order.
ROW_FIELDS = (
    "run_id", "model", "model_version", "window_start", "window_end", "as_of", "baseline", "segment_by",
    "segment_value", "role", "feature", "kind", "statistic", "definition", "decides", "value", "unit",
    "bound_low", "bound_high", "exactness", "ci_low", "ci_high", "variance", "value_if_no_change", "null",
    "pvalue", "qvalue", "n_reference", "n_current", "n_eff_reference", "n_eff_current", "minimum_detectable",
    "warn_at", "fail_at", "threshold_source", "verdict", "rank", "message",
)  # fmt: skip
_FLOATS = frozenset(
    (
        "value", "bound_low", "bound_high", "ci_low", "ci_high", "value_if_no_change", "pvalue", "qvalue",
        "n_eff_reference", "n_eff_current", "minimum_detectable", "warn_at", "fail_at",
    )
)  # fmt: skip
_INTEGERS = frozenset(("n_reference", "n_current", "rank"))
_INSTANTS = frozenset(("window_start", "window_end", "as_of"))

#: From best to worst; the verdict of many is the worst of them, and a failure outranks an error.
SEVERITY = ("ok", "waived", "inconclusive", "warn", "error", "fail")
FAIL_ON = ("fail", "warn", "inconclusive", "never")
OUTPUTS = (".json", ".html", ".md", ".txt", ".xml", ".prom", ".ndjson", ".parquet", ".tgp")


class Report:
    """What a comparison found; made by :func:`tidegauge.drift`, ``compare`` and ``run``.

    Attributes
    ----------
    rows : list of dict
        One row per statistic, feature, window and segment, and one ``statistic = "verdict"`` row
        for each feature x window x segment; the keys are ``ROW_FIELDS``. Numbers that are not
        finite are floats here, text in JSON.
    verdict : str
        ``ok``, ``waived``, ``inconclusive``, ``warn``, ``error`` or ``fail``: the worst of the verdict rows.
    reference, current : Profile
    decided_by : tuple of str
        The baselines whose verdicts count; the others are context.
    """

    def __init__(
        self,
        rows: list[Row],
        reference: Profile,
        current: Profile,
        build: Callable[[Report], dict[str, Any]],
        decided_by: Sequence[str] = ("reference",),
    ) -> None:
        self.rows = rows
        self.reference = reference
        self.current = current
        self.decided_by = tuple(decided_by)
        #: How well the model did, where it was measured; ``result.performance`` of the record.
        self.performance: dict[str, Any] | None = None
        #: Importances, their drift and weak segments, where a model was given.
        self.explanation: Explanation | RecordedExplanation | None = None
        #: The profile that the window of a row was judged in, where that is not `current`.
        self.of_window: Callable[[Row], Profile] | None = None
        self._build = build
        self._record: dict[str, Any] | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The content of ``report.json``, built on first use."""
        if self._record is None:
            self._record = self._build(self)
        return self._record

    @property
    def verdicts(self) -> list[Row]:
        """One row per feature, window and segment, worst first."""
        found = [row for row in self.rows if row["statistic"] == "verdict"]
        return sorted(found, key=lambda row: (row["rank"] is None, row["rank"] or 0))

    @property
    def verdict(self) -> str:
        """The worst verdict of the deciding baselines."""
        return overall_verdict(self.rows, self.decided_by)

    @property
    def failed(self) -> list[Row]:
        """The verdict rows that fail, worst first."""
        return [row for row in self.verdicts if row["verdict"] == "fail"]

    @property
    def errors(self) -> list[Row]:
        """What could not be evaluated: one row a statistic, with the reason as message."""
        return [row for row in self.rows if row["verdict"] == "error" and row["statistic"] != "verdict"]

    @property
    def incomplete(self) -> list[Row]:
        """One row a side of which units were set aside as unreadable; such a report never passes a gate."""
        return incomplete_rows(self.rows)

    def summary(self) -> dict[str, Any]:
        """Verdict, rows counted, number of each verdict, and the worst features in plain words.

        Returns
        -------
        dict
            Keys ``verdict``, ``rows_reference``, ``rows_current``, ``verdicts`` (count by verdict)
            and ``findings`` (messages of what is not ok, worst first, at most ten).
        """
        counts = {name: 0 for name in reversed(SEVERITY) if name != "waived"} | {"not_evaluated": 0}
        for row in self.verdicts:
            counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
        worst = [row for row in self.verdicts if row["verdict"] not in ("ok", "not_evaluated")]
        findings = [finding(row) for row in [*self.incomplete, *worst]]
        return {
            "verdict": self.verdict,
            "rows_reference": self.reference.rows,
            "rows_current": self.current.rows,
            "verdicts": counts,
            "findings": findings[:10],
        }

    def exit_code(self, fail_on: FailOn = "fail") -> int:
        """What the command line exits with: 0 passed, 1 failed, 4 error rows, 5 nothing evaluated.

        A report on data that was not read whole does not pass: 1, unless `fail_on` is ``"never"``. Nor does one
        in whose newest window nothing was evaluated, as where it has too few rows: 5.

        Parameters
        ----------
        fail_on : {"fail", "warn", "inconclusive", "never"}
            The mildest verdict that fails the gate; ``"never"`` leaves errors only.

        Raises
        ------
        UsageError
            If `fail_on` is none of these.
        """
        return gate_code(self.rows, self.decided_by, fail_on)

    def raise_if_failed(self, fail_on: FailOn = "fail") -> None:
        """Raise unless the gate passes.

        Raises
        ------
        GateError
            Naming the worst findings; its ``exit_code`` is that of :meth:`exit_code`.
        """
        code = self.exit_code(fail_on)
        if code == 0:
            return
        if code == 5:
            raise GateError(nothing_evaluated(self.rows, self.decided_by), 5)
        found = self.errors
        if code != 4:
            found = [
                *self.incomplete,
                *(r for r in self.verdicts if r["verdict"] not in ("ok", "waived", "not_evaluated")),
            ]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        told = "; ".join(map(finding, found[:5]))
        raise GateError(f"{self.verdict}: {told}{more}", code)

    def to_polars(self) -> pl.DataFrame:
        """All rows as a Polars frame, one column per name of ``ROW_FIELDS``."""
        return rows_to_polars(self.rows)

    def to_pandas(self) -> pd.DataFrame:
        """All rows as a pandas frame; needs the extra ``pandas``."""
        return rows_to_pandas(self.rows)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """All rows as an Arrow stream."""
        return self.to_polars().__arrow_c_stream__(requested_schema)

    def contributions(self, feature: str, statistic: str | None = None, *, min_count: int = 10) -> pl.DataFrame:
        """What each cell adds to a statistic of one feature, in every window and segment, as a Polars frame.

        Against the baselines of this report; see :func:`tidegauge.contributions`.
        """
        from tidegauge._contributions import contributions

        options = self.record["result"]["configuration"]
        return contributions(
            self.reference, self.current, feature, statistic,
            baselines=options["baselines"], decided_by=options.get("decided_by", ()),
            segment_baselines=options.get("segment_baselines", ()), statistics=options.get("statistics"),
            min_count=min_count,
        )  # fmt: skip

    def render(self, suffix: str) -> bytes:
        """The content of an output file with this extension.

        Parameters
        ----------
        suffix : {".json", ".html", ".md", ".txt", ".xml", ".prom", ".ndjson", ".parquet", ".tgp"}
            Record, self-contained page, Markdown, plain text, JUnit XML, metrics text, rows, rows,
            profile of the current data.

        Raises
        ------
        UsageError
            If the extension is none of these.
        """
        if suffix == ".tgp":
            return self.current.to_bytes()
        if suffix not in OUTPUTS:
            raise UsageError(f"output {suffix!r}; accepted extensions are {' '.join(OUTPUTS)}")
        from tidegauge import _outputs

        if suffix in (".ndjson", ".parquet"):
            return _outputs.render_rows(self.rows, suffix)
        return _outputs.render(self.record, suffix)

    def write(self, *paths: str | os.PathLike[str]) -> list[Path]:
        """Write several outputs, each by its extension; none appears unless all could be written.

        Raises
        ------
        UsageError
            If an extension is not accepted.
        OSError
            If a file cannot be written.
        """
        targets = check_outputs(paths)
        write_all([(target, self.render(target.suffix.lower())) for target in targets])
        return targets

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the self-contained page; it needs no network and reads without JavaScript."""
        return self._write_as(path, ".html")

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write the record, ``report.json``."""
        return self._write_as(path, ".json")

    def to_markdown(self) -> str:
        """The report as Markdown, short enough for a pull request."""
        return self.render(".md").decode()

    def _write_as(self, path: str | os.PathLike[str], suffix: str) -> Path:
        target = Path(path)
        write_all([(target, self.render(suffix))])
        return target

    def _features(self) -> list[Row]:
        """The worst verdict row of each feature against the deciding baseline, worst feature first."""
        decided = {id(row) for row in deciding_rows(self.rows, self.decided_by)}
        worst: dict[str, Row] = {}
        for row in self.verdicts:
            if id(row) in decided:
                worst.setdefault(row["feature"], row)
        return list(worst.values())

    def _heading(self) -> str:
        return f"{self.verdict}: {self.current.rows:,} rows against {self.reference.rows:,}"

    def __repr__(self) -> str:
        found = self._features()
        lines = [self._heading(), *(f"  {row['verdict']!s:<12}  {finding(row)}" for row in found[:12])]
        if len(found) > 12:
            lines.append(f"  and {len(found) - 12} more features; .to_polars() has all")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from tidegauge.report import render_card

        return render_card(self.record)


def rows_to_polars(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows as a Polars frame, one column per name of ``ROW_FIELDS``."""
    import polars as pl

    instant = pl.Datetime("us", "UTC")
    text = pl.DataFrame(
        {name: [row[name] for row in rows] for name in ROW_FIELDS},
        schema={name: _dtype(name) for name in ROW_FIELDS},
    )
    return text.with_columns(pl.col(name).str.to_datetime(time_zone="UTC").cast(instant) for name in _INSTANTS)


def rows_to_pandas(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as a pandas frame; needs the extra ``pandas``."""
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("to_pandas needs pandas; install tidegauge[pandas]") from None
    frame = pd.DataFrame(rows, columns=list(ROW_FIELDS))
    for name in _INSTANTS:
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def overall_verdict(rows: Sequence[Row], decided_by: Sequence[str] = ("reference",)) -> str:
    """The worst verdict of rows against the deciding baselines.

    At best ``inconclusive`` where nothing was decided, or nothing in the newest window.
    """
    found = [row["verdict"] for row in deciding_rows(rows, decided_by) if row["verdict"] in SEVERITY]
    if newest_unevaluated(rows, decided_by) is not None:
        found.append("inconclusive")
    return max(found, key=SEVERITY.index, default="inconclusive")


def evaluated_windows(
    rows: Sequence[Row], decided_by: Sequence[str]
) -> dict[tuple[str, str | None], dict[str | None, bool]]:
    """For each time window, first to last, whether a baseline that decides came to a verdict on any column.

    A check is on the number of a column or of the rows, and no verdict on the column.
    """
    counts = (None, *decided_by)
    found: dict[tuple[str, str | None], dict[str | None, bool]] = {}
    for row in rows:
        start, statistic = row["window_start"], row["statistic"]
        if start is None or row["segment_by"] is not None or row["baseline"] not in counts:
            continue
        if row["decides"] and statistic != "check":
            inside = found.setdefault((start, row["window_end"]), {})
            inside[row["baseline"]] = inside.get(row["baseline"], False) or row["verdict"] in SEVERITY
        elif statistic == "coverage":
            found.setdefault((start, row["window_end"]), {})
    return dict(sorted(found.items(), key=lambda item: dt.datetime.fromisoformat(item[0][0])))


def newest_unevaluated(rows: Sequence[Row], decided_by: Sequence[str]) -> tuple[str, str | None] | None:
    """The newest window, or the newest that a deciding baseline has, where nothing in it was evaluated."""
    windows = evaluated_windows(rows, decided_by)
    newest: dict[str | None, tuple[tuple[str, str | None], bool]] = {}
    for window, inside in windows.items():
        newest |= {baseline: (window, known) for baseline, known in inside.items()}
    if windows:
        last, inside = list(windows.items())[-1]
        if not any(inside.values()):
            return last
    return next((window for window, known in newest.values() if not known), None)


def nothing_evaluated(rows: Sequence[Row], decided_by: Sequence[str]) -> str:
    """Why a gate says that nothing was evaluated."""
    window = newest_unevaluated(rows, decided_by)
    if window is None:
        return "nothing was evaluated; no feature, prediction, score or label is in both tables"
    inside = [row for row in rows if (row["window_start"], row["window_end"]) == window]
    why = next((row["message"] for row in inside if row["verdict"] == "not_evaluated" and row["message"]), None)
    return f"nothing was evaluated in the newest window, from {window[0]}{f': {why}' if why else ''}"


def gate_code(rows: Sequence[Row], decided_by: Sequence[str], fail_on: str) -> int:
    """What a gate on these rows exits with; see :meth:`Report.exit_code`."""
    if fail_on not in FAIL_ON:
        raise UsageError(f"fail_on: {fail_on!r}; accepted are {', '.join(FAIL_ON)}")
    gated = {"fail": {"fail"}, "warn": {"fail", "warn"}, "inconclusive": {"fail", "warn", "inconclusive"}}
    decided = deciding_rows(rows, decided_by)
    if any(row["verdict"] in gated.get(fail_on, set()) for row in decided):
        return 1
    # An incomplete scan never passes: where nothing may fail, as little as where nothing was evaluated.
    if incomplete_rows(rows):
        return 5 if fail_on == "never" else 1
    if any(row["verdict"] == "error" for row in rows):
        return 4
    if all(row["verdict"] in (None, "not_evaluated") or _unread(row) for row in decided):
        return 5
    # Windows of last month say nothing of today.
    if newest_unevaluated(rows, decided_by) is not None:
        return 5
    return 0


def incomplete_rows(rows: Sequence[Row]) -> list[Row]:
    """One row a side of which units were set aside as unreadable."""
    return [row for row in rows if _unread(row)]


def deciding_rows(rows: Sequence[Row], decided_by: Sequence[str]) -> list[Row]:
    """Verdict and error rows of the deciding baselines.

    Any other baseline is context: of the window before, a step up and a step down would both fail.
    """
    counts = (None, *decided_by)
    return [
        row
        for row in rows
        if (row["baseline"] in counts and (row["statistic"] == "verdict" or row["verdict"] == "error")) or _unread(row)
    ]


def _unread(row: Row) -> bool:
    """Whether a row says that units were set aside; a segment without a reference is not evaluated instead."""
    return bool(row["statistic"] == "coverage" and row["verdict"] == "inconclusive")


def finding(row: Row) -> str:
    """Feature, window and segment of a row, and what it says."""
    if _unread(row):
        return str(row["message"])
    where = [str(row["feature"])]
    if row["window_start"] is not None:
        where.append(f"from {row['window_start']}")
    if row["segment_by"] is not None:
        where.append(f"{row['segment_by']} {row['segment_value']}")
    return f"{', '.join(where)}: {row['message'] or row['verdict']}"


def parse_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows of the core as Python values: every field present, non-finite text as floats."""
    found = []
    for row in rows:
        # The core's rows have every field, in order.
        made = row if len(row) == len(ROW_FIELDS) else {name: row.get(name) for name in ROW_FIELDS}
        for name in _FLOATS:
            value = made[name]
            if value is not None:
                made[name] = float(value)
        found.append(made)
    return found


def dump_row(row: Row) -> str:
    """One row as JSON text; numbers that are not finite are strings."""
    return json.dumps(plain_row(row), ensure_ascii=False, allow_nan=False)


def plain_row(row: Row) -> Row:
    """One row as JSON values; numbers that are not finite are strings."""
    made = dict(row)
    for name, value in row.items():
        if isinstance(value, float) and not isfinite(value):
            made[name] = "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return made


def check_outputs(
    paths: Sequence[str | os.PathLike[str]], *, accepted: Sequence[str] = OUTPUTS, inputs: Sequence[Any] = ()
) -> list[Path]:
    """Paths whose extension names a format, before anything is computed.

    Raises
    ------
    UsageError
        If one does not, one is given twice, or one is, or would be, among the `inputs`: files, folders, patterns.
    """
    targets = [Path(path) for path in paths]
    refuse_inputs(targets, inputs)
    for i, target in enumerate(targets):
        if target.suffix.lower() not in accepted:
            raise UsageError(f"output {str(target)!r}; accepted extensions are {' '.join(accepted)}")
        if target in targets[:i]:
            raise UsageError(f"output {str(target)!r} is given twice")
    return targets


def refuse_inputs(targets: Sequence[str | os.PathLike[str]], inputs: Sequence[Any]) -> None:
    """Refuse to write over what is read, or where the next run would read it.

    Raises
    ------
    UsageError
        If a target is one of the inputs, matches one that is a pattern, or is Parquet inside one that is a folder.
    """
    from fnmatch import fnmatchcase

    for target in targets:
        place = Path(target).resolve()
        for given in inputs:
            if not isinstance(given, (str, os.PathLike)) or "://" in os.fspath(given):
                continue
            name = Path(given).resolve()
            inside = name.is_dir() and place.suffix == ".parquet" and name in place.parents
            if place == name or inside or (not name.exists() and fnmatchcase(str(place), str(name))):
                raise UsageError(f"output {os.fspath(target)!r} is read as {os.fspath(given)!r}; give another name")


def _dtype(name: str) -> Any:
    import polars as pl

    if name in _FLOATS:
        return pl.Float64
    if name in _INTEGERS:
        return pl.Int64
    return pl.Boolean if name == "decides" else pl.String
