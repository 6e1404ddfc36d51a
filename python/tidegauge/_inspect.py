"""What a report says, of which data, in a few lines; nothing is computed again but digests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os


def inspect_report(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Verdict, model, windows, files, sections and digests of a ``report.json``.

    Returns
    -------
    dict
        Plain values; ``digests`` tells whether those of the record hold.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is no record.
    """
    from tidegauge._verify import parse_record, record_level
    from tidegauge.record import unpack_rows

    record = parse_record(path)
    level = record_level(record)
    result, inputs, envelope = record["result"], record["inputs"], record["envelope"]
    rows = unpack_rows(result["rows"])
    features = Counter(row["verdict"] for row in rows if row["statistic"] == "verdict")
    deciding = Counter(row["verdict"] for row in rows if row["decides"] and row["statistic"] != "verdict")
    order = ("fail", "error", "warn", "inconclusive", "waived", "ok", "not_evaluated")
    sections = ("performance", "explanations", "risk_register", "waivers", "monitoring", "contributions")
    return {
        "schema": record["schema"],
        "title": result["title"],
        "verdict": result["verdict"],
        "model": " ".join(filter(None, (result["model"]["name"], result["model"]["version"]))) or None,
        "made": envelope["finished"],
        "by": f"tidegauge {result['engine']['version']}",
        "result_digest": record["result_digest"],
        "record_digest": record["record_digest"],
        "digests": "hold" if level.outcome == "same" else level.differences[0],
        "sections": ", ".join(name for name in sections if result.get(name)) or None,
        "profiles": ", ".join(sorted(inputs.get("profiles") or {})) or None,
        "reference": _side(inputs["reference"], result["reference"]),
        "current": _side(inputs["current"], result["current"]),
        "windows": result["windows"],
        "result_rows": {
            "count": len(rows),
            "verdicts": [
                {"verdict": name, "features": features[name], "deciding rows": deciding[name]}
                for name in order
                if features[name] or deciding[name]
            ],
        },
        "limitations": result["limitations"],
    }


def _side(inputs: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    names = ("path", "rows", "bytes", "row_groups", "digest", "undigested")
    files = [{name: file.get(name) for name in names} for file in inputs["files"]]
    digest = inputs.get("row_digest") or {}
    return {
        "rows": table["rows"],
        "bytes": sum(file["bytes"] or 0 for file in files),
        "files": files,
        "row_digest": digest.get("digest"),
        "time_range": inputs.get("time_range"),
    }
