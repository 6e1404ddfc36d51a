"""A gate on a report: decided from what it says, computing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegauge.errors import UsageError
from tidegauge.record import unpack_rows
from tidegauge.results import FAIL_ON, deciding_rows, finding, gate_code, incomplete_rows, nothing_evaluated

if TYPE_CHECKING:
    import os

    from tidegauge.results import Row

_WORDS = {0: "passed", 1: "failed", 4: "error", 5: "nothing evaluated"}


@dataclass
class Gate:
    """What a gate decided.

    Attributes
    ----------
    exit_code : int
        0 passed, 1 failed, 4 error rows, 5 nothing evaluated.
    fail_on : str
        The mildest verdict that fails it.
    verdict : str
        That of the report.
    findings : list of str
        What does not pass, worst first.
    record_digest : str
    """

    exit_code: int
    fail_on: str
    verdict: str
    findings: list[str]
    record_digest: str

    def __str__(self) -> str:
        heading = f"{_WORDS[self.exit_code]}: verdict {self.verdict}, fails on {self.fail_on}, {self.record_digest}"
        from tidegauge.report._text import visible

        shown = [f"  {visible(text)}" for text in self.findings[:20]]
        more = [f"  and {len(self.findings) - 20} more"] if len(self.findings) > 20 else []
        return "\n".join([heading, *shown, *more])

    def to_markdown(self) -> str:
        """A heading and at most twenty findings, for a pull request."""
        from tidegauge.report._markdown import code

        shown = [f"- {code(text, 300)}" for text in self.findings[:20]]
        more = [f"- and {len(self.findings) - 20} more"] if len(self.findings) > 20 else []
        heading = f"**Gate {_WORDS[self.exit_code]}**: verdict {self.verdict}, fails on {self.fail_on}"
        return "\n".join([heading, "", *shown, *more, "", f"`{self.record_digest}`", ""])


def gate(path: str | os.PathLike[str], *, fail_on: str | None = None) -> Gate:
    """Decide from a report whose digests hold.

    A report on data that was not read whole does not pass, nor one in which nothing was evaluated, in all of it or
    in its newest window.

    Parameters
    ----------
    path : path-like
        ``report.json``.
    fail_on : {"fail", "warn", "inconclusive", "never"}, optional
        The mildest verdict that fails; default: that of the run's configuration, else ``"fail"``.

    Raises
    ------
    InputError, FormatError
        If the report cannot be read.
    VerificationError
        If a digest does not hold.
    UsageError
        If `fail_on` is none of these.

    Examples
    --------
    >>> import tidegauge as tg
    >>> tg.gate("report.json", fail_on="warn").exit_code  # doctest: +SKIP
    1
    """
    from tidegauge._verify import decided_by, read_record

    record = read_record(path)
    chosen = fail_on or (record["inputs"].get("gate") or {}).get("fail_on") or "fail"
    if chosen not in FAIL_ON:
        raise UsageError(f"fail_on: {chosen!r}; accepted are {', '.join(FAIL_ON)}")
    rows = unpack_rows(record["result"]["rows"])
    by = decided_by(record["result"])
    code = gate_code(rows, by, chosen)
    return Gate(code, chosen, record["result"]["verdict"], _findings(rows, by, code), record["record_digest"])


def _findings(rows: list[Row], by: tuple[str, ...], code: int) -> list[str]:
    if code == 5:
        return [nothing_evaluated(rows, by)]
    worst = [row for row in deciding_rows(rows, by) if row["verdict"] not in (None, "ok", "not_evaluated")]
    order = {"fail": 0, "error": 1, "warn": 2, "inconclusive": 3}
    worst.sort(key=lambda row: (order.get(str(row["verdict"]), 4), row["rank"] is None, row["rank"] or 0))
    told: list[Any] = [*incomplete_rows(rows), *worst]
    return list(dict.fromkeys(f"{row['verdict']}: {finding(row)}" for row in told))
