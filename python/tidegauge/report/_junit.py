"""The report as JUnit XML, which continuous integration shows as tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from ._text import interval, mapping, number, sequence, visible
from ._view import Row, View, build, over_limit, segment_label, window_key
from ._words import against, limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KIND = {"fail": "failure", "error": "error", "inconclusive": "skipped", "not_evaluated": "skipped"}


def render_junit(record: Mapping[str, Any]) -> str:
    """Render a record as JUnit XML.

    One suite a window and deciding baseline, one case a judged column, in the whole population and
    in each segment. ``fail`` is a failure, ``error`` an error, ``inconclusive`` and
    ``not_evaluated`` are skipped; ``warn`` and ``waived`` pass, and their output says so, with who
    waived it, why and until when.

    Parameters
    ----------
    record : mapping
        Content of report.json.

    Returns
    -------
    str
        A document that the schemas of Ant and of Jenkins accept. Strings from the data are
        escaped; characters that XML cannot hold are spelled out. Times are 0: a verdict has none
        of its own, and equal records give equal bytes.

    Examples
    --------
    >>> row = {"feature": "x", "statistic": "verdict", "verdict": "fail", "baseline": "reference"}
    >>> print(render_junit({"result": {"rows": [row]}}).splitlines()[1])
    <testsuites name="tidegauge" tests="1" failures="1" errors="0" disabled="0" time="0">
    """
    view = build(record)
    envelope = mapping(record.get("envelope"))
    # The schemas know times without a zone, to the second; the record's are UTC.
    timestamp = str(envelope.get("finished") or "1970-01-01T00:00:00")[:19]
    told = [
        ("verdict", view.verdict),
        ("title", view.title),
        ("model", view.model),
        ("result_digest", record.get("result_digest")),
        ("run_id", view.run_id),
    ]
    properties = "".join(f"<property name={_attribute(n)} value={_attribute(v)}/>\n" for n, v in told if v)
    suites, totals = [], {"failure": 0, "error": 0, "skipped": 0, "": 0}
    for i, (name, cases) in enumerate(_suites(record, view)):
        found = [(_KIND.get(str(row.get("verdict")), ""), _case(name, row, parts)) for row, parts in cases]
        counts = {kind: sum(k == kind for k, _ in found) for kind in totals}
        totals = {kind: totals[kind] + counts[kind] for kind in totals}
        suites.append(
            f'<testsuite id="{i}" name={_attribute(name)} package="tidegauge" timestamp={_attribute(timestamp)} '
            f'hostname="localhost" tests="{len(found)}" failures="{counts["failure"]}" errors="{counts["error"]}" '
            f'skipped="{counts["skipped"]}" time="0">\n<properties>\n{properties}</properties>\n'
            f"{''.join(text for _, text in found)}<system-out/>\n<system-err/>\n</testsuite>\n"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="tidegauge" tests="{sum(totals.values())}" failures="{totals["failure"]}" '
        f'errors="{totals["error"]}" disabled="0" time="0">\n{"".join(suites)}</testsuites>\n'
    )


def _suites(record: Mapping[str, Any], view: View) -> Iterable[tuple[str, list[tuple[Row, list[Row]]]]]:
    """Name of each suite, and its verdict rows with the rows that decide them."""
    configured = sequence(mapping(mapping(record.get("result")).get("configuration")).get("decided_by"))
    decided_by = [str(name) for name in configured] or ["reference"]
    labels = {window.key: window.label for window in view.windows}
    verdicts: dict[str, dict[tuple[Any, ...], Row]] = {}
    parts: dict[tuple[Any, ...], list[Row]] = {}
    for row in view.rows:
        # Rows on what was read belong to no baseline, and count all the same.
        baseline = str(row.get("baseline") or decided_by[0])
        if baseline not in decided_by:
            continue
        key = (baseline, window_key(row), segment_label(row), str(row.get("feature")))
        if row.get("statistic") == "verdict":
            window = labels.get(key[1], "all rows")
            verdicts.setdefault(f"{window}, against {against(baseline)}", {})[key] = row
        elif row.get("statistic") == "coverage" and row.get("verdict") == "inconclusive":
            # Data that was not read whole fails a gate; a skipped test would not.
            parts.setdefault((*key, "coverage"), []).append({**row, "verdict": "error"})
        elif row.get("decides") is True or row.get("verdict") in ("error", "fail"):
            parts.setdefault(key, []).append(row)
    judged = {key for rows in verdicts.values() for key in rows}
    for key, rows in parts.items():
        if key not in judged:
            window = labels.get(key[1], "all rows")
            named = verdicts.setdefault(f"{window}, against {against(key[0])}", {})
            named.update({(*key, i): row for i, row in enumerate(rows)})
    for name, cases in verdicts.items():
        yield name, [(row, parts.get(key, [])) for key, row in cases.items()]


def _case(suite: str, row: Row, parts: list[Row]) -> str:
    """One test case: the column, its segment, and on what its verdict rests."""
    segment = segment_label(row)
    name = str(row.get("feature"))
    if row.get("statistic") != "verdict":
        name = f"{name} {row.get('statistic')}" if name != "*" else f"all columns, {row.get('statistic')}"
    name = f"{name} [{segment}]" if segment is not None else name
    verdict = str(row.get("verdict") or "not_evaluated")
    head = f'<testcase name={_attribute(name)} classname={_attribute(suite)} time="0"'
    message = str(row.get("message") or verdict)
    numbers = "\n".join(_numbers(part) for part in parts)
    match kind := _KIND.get(verdict, ""):
        case "failure" | "error":
            text = escape(visible(numbers or message, newlines=True))
            told = f"<{kind} type={_attribute(verdict)} message={_attribute(message)}>{text}</{kind}>"
            return f"{head}>\n{told}\n</testcase>\n"
        case "skipped":
            return f"{head}>\n<skipped message={_attribute(f'{verdict}: {message}')}/>\n</testcase>\n"
    if verdict in ("warn", "waived"):
        text = escape(visible(f"{verdict}: {message}\n{numbers}", newlines=True))
        return f"{head}>\n<system-out>{text}</system-out>\n</testcase>\n"
    return f"{head}/>\n"


def _numbers(row: Row) -> str:
    """A row's numbers in one line."""
    text = f"{row.get('statistic')} {number(row.get('value'))}"
    if row.get("ci_low") is not None or row.get("ci_high") is not None:
        text += f", interval {interval(row.get('ci_low'), row.get('ci_high'))}"
    if row.get("warn_at") is not None or row.get("fail_at") is not None:
        text += f", {limits(row)}"
    ratio = over_limit(row)
    text += "" if ratio is None else f", {number(ratio, 3)} times the fail limit"
    rows = [row.get("n_reference"), row.get("n_current")]
    text += "" if None in rows else f", {number(rows[0])} reference and {number(rows[1])} current rows"
    if row.get("message"):
        text += f" ({row['message']})"
    return f"{row.get('verdict')}: {text}"


def _attribute(value: object) -> str:
    """Quoted attribute; what XML cannot hold, or an attribute would turn into spaces, is spelled out."""
    return quoteattr(visible(str(value)))
