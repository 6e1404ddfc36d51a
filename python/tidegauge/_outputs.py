"""A record made into each kind of output, by extension; read back from ``report.json``."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge.errors import FormatError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from tidegauge.results import Row

#: What can be made of a record alone; a profile (.tgp) needs the data.
RENDERED = (".json", ".html", ".md", ".txt", ".xml", ".prom", ".ndjson", ".parquet")

#: Name of an output on the command line, and its extension.
FORMATS = {"text": ".txt", "json": ".json", "ndjson": ".ndjson", "markdown": ".md", "junit": ".xml", "prom": ".prom"}

_RENDERINGS = {
    ".html": "render_html",
    ".md": "render_markdown",
    ".txt": "render_text",
    ".xml": "render_junit",
    ".prom": "render_metrics",
}


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read ``report.json``.

    Raises
    ------
    FormatError
        If it is not JSON, or not a record of a version known here.
    OSError
        If it cannot be read.
    """
    from tidegauge.record import SCHEMA

    try:
        record = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not JSON: {error}") from None
    found = record.get("schema") if isinstance(record, dict) else None
    if found != SCHEMA or not isinstance(record.get("result"), dict):
        raise FormatError(f"{path}: schema {found!r}; accepted is a report.json of schema {SCHEMA!r}")
    return record  # type: ignore[no-any-return]


def render(record: Mapping[str, Any], suffix: str) -> bytes:
    """The content of an output file with this extension; equal records give equal bytes.

    Parameters
    ----------
    record : mapping
        Content of report.json.
    suffix : {".json", ".html", ".md", ".txt", ".xml", ".prom", ".ndjson", ".parquet"}

    Raises
    ------
    UsageError
        If the extension is none of these.
    """
    if suffix in _RENDERINGS:
        from tidegauge import report

        # A file has a width of its own, whatever the terminal it was made on.
        width = {"width": 100} if suffix == ".txt" else {}
        text: str = getattr(report, _RENDERINGS[suffix])(record, **width)
        return text.encode()
    if suffix == ".json":
        from tidegauge.record import encode

        return encode(record) + b"\n"
    if suffix in (".ndjson", ".parquet"):
        from tidegauge.record import unpack_rows
        from tidegauge.results import parse_rows

        return render_rows(parse_rows(unpack_rows(record["result"]["rows"])), suffix)
    raise UsageError(f"output {suffix!r}; accepted extensions are {' '.join(RENDERED)}")


def render_rows(rows: Sequence[Row], suffix: str) -> bytes:
    """Rows as ``.ndjson`` or ``.parquet``; no record is needed for them."""
    from tidegauge.results import dump_row, rows_to_polars

    if suffix == ".ndjson":
        return "".join(f"{dump_row(row)}\n" for row in rows).encode("utf-8", "backslashreplace")
    buffer = BytesIO()
    rows_to_polars(rows).write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
