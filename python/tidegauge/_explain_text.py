"""Explanations as text, Markdown, JSON and rows."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegauge.errors import UsageError
from tidegauge.report._text import number, percent, visible, window_label

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from tidegauge._explain import Explanation

OUTPUTS = (".json", ".ndjson", ".md", ".txt", ".parquet")
MOST = 25
"""Features of each window in text; JSON and Parquet have all."""
FEWEST = 4
"""Columns of a table that stay, however narrow."""


def check_outputs(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The paths, each with an extension that can be written.

    Raises
    ------
    UsageError
        If one has another extension.
    """
    found = [Path(path) for path in paths]
    for path in found:
        if path.suffix.lower() not in OUTPUTS:
            raise UsageError(f"output {str(path)!r}; accepted extensions are {' '.join(OUTPUTS)}")
    return found


def render(found: Explanation, suffix: str, command: str | None = None, width: int | None = None) -> bytes:
    """The content of an output with this extension; one of :data:`OUTPUTS`.

    Tables of text leave out columns from the right that do not fit into `width`.
    """
    from tidegauge.results import dump_row, plain_row, rows_to_polars

    match suffix:
        case ".json":
            content = {
                "schema": "tidegauge.explanation/1",
                **found.explanations(),
                "risk_register": found.risk_register(),
                "rows": [plain_row(row) for row in found.rows()],
                "checks": found.checks,
                "command": command,
            }
            return (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode()
        case ".ndjson":
            return "".join(f"{dump_row(row)}\n" for row in found.rows()).encode()
        case ".parquet":
            buffer = BytesIO()
            rows_to_polars(found.rows()).write_parquet(buffer, compression="zstd")
            return buffer.getvalue()
    return "\n".join([*_lines(found, markdown=suffix == ".md", width=width), ""]).encode()


def _lines(found: Explanation, *, markdown: bool, width: int | None) -> list[str]:
    head = "## " if markdown else ""
    lines = []
    sides: list[tuple[str, Any]] = [] if found.reference is None else [("reference", found.reference)]
    for window, result in found.windows.items():
        sides.append(
            ("rows" if window is None and found.reference is None else window_label(*window or (None, None)), result)
        )
    changed = {(row["window_start"], row["feature"]) for row in (found.drift.changed if found.drift else [])}
    starts = {_start(window): window for window in found.windows}
    for label, result in sides:
        lines += [
            f"{head}{label}: {result.method} permutation importance, {result.scoring}, {result.n_rows:,} rows, "
            f"loss or score as it is {number(result.baseline)}",
            "",
        ]
        window = next((w for w, r in found.windows.items() if r is result), None)
        marks = {
            name for start, name in changed if starts.get(start, window) == window and result is not found.reference
        }
        table: list[tuple[str, ...]] = [
            ("feature", "importance", "interval", "q", "", "loss ratio", "outside", "moves with")
        ]
        frame = result.to_polars()
        for row in frame.head(MOST).iter_rows(named=True):
            table.append(
                (
                    visible(row["feature"]),
                    number(row["importance"]),
                    f"{number(row['ci_low'])} to {number(row['ci_high'])}",
                    number(row["qvalue"], 2),
                    "changed" if row["feature"] in marks else "",
                    number(row["ratio"]),
                    percent(row["outside"]),
                    "" if row["kind"] == "group" else visible(row["correlated"]),
                )
            )
        lines += _table(table, markdown=markdown, width=width)
        if frame.height > MOST:
            lines.append(f"and {frame.height - MOST} more features; .json and .parquet have all")
        lines.append("")
    if found.drift is not None:
        told = found.drift.summary()
        lines += [f"{head}drift: {told['changed']} of {told['tested']} importances changed ({told['verdict']})", ""]
        lines += [f"{'- ' if markdown else '  '}{visible(finding)}" for finding in told["findings"]]
        lines.append("")
    if found.segments is not None:
        weak = found.segments.found
        lines += [
            f"{head}weak segments: {len(weak)} of {len(found.segments.segments)} candidates, by {found.segments.loss}",
            "",
        ]
        lines += [f"{'- ' if markdown else '  '}{visible(str(segment))}" for segment in weak]
        lines.append("")
    lines += [f"{head}model {visible(found.model['file'])}, {found.model['digest']}"]
    lines += [f"{'- ' if markdown else '  '}{visible(note)}" for note in found.notes]
    return lines


def _start(window: tuple[str, str] | None) -> str | None:
    from tidegauge._explain import _utc

    return None if window is None else _utc(window[0])


def _table(rows: list[tuple[str, ...]], *, markdown: bool, width: int | None) -> list[str]:
    """Rows under their heads; columns of nothing are left out."""
    told = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:]) or (rows[0][i] and i < FEWEST)]
    rows = [tuple(row[i] for i in told) for row in rows]
    if markdown:
        body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return [body[0], "|" + " --- |" * len(rows[0]), *body[1:]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    while width is not None and len(widths) > FEWEST and 2 + sum(w + 2 for w in widths) - 2 > width:
        widths.pop()
    rows = [row[: len(widths)] for row in rows]
    return ["  " + "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
