"""Standard output of the commands, and the summary that a job keeps."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

#: GitHub refuses a step's summary beyond this; what a step wrote before counts.
SUMMARY_LIMIT = 1024 * 1024


def show(record: Mapping[str, Any], form: str) -> None:
    """Write a record to standard output in a form of ``_outputs.FORMATS``."""
    from tidegauge import _outputs

    if form == "text":
        from tidegauge.report import render_text

        echo(render_text(record, color=colored()))
    else:
        echo(_outputs.render(record, _outputs.FORMATS[form]).decode())


def echo(text: str) -> None:
    """Write to standard output; a reader that leaves early changes no exit code."""
    try:
        click.echo(text, nl=not text.endswith("\n"), color=True)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def colored() -> bool:
    """Whether standard output wants colours: ``NO_COLOR`` and ``FORCE_COLOR`` first, then the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "") not in ("", "0"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def append_summary(record: Mapping[str, Any]) -> None:
    """Append the Markdown of a record to the file that ``GITHUB_STEP_SUMMARY`` names, if it is set."""
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        from tidegauge.report import render_markdown

        append_markdown(render_markdown(record))


def append_markdown(markdown: str) -> None:
    """Append Markdown to the file that ``GITHUB_STEP_SUMMARY`` names, if it is set.

    A summary that cannot be written is told and changes no exit code: the verdict does not depend
    on it.
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    text = markdown.encode()
    path = Path(name)
    try:
        held = path.stat().st_size if path.exists() else 0
        if held + len(text) + 1 > SUMMARY_LIMIT:
            click.echo(f"no summary in {name}: it holds {held:,} bytes of at most {SUMMARY_LIMIT:,}", err=True)
            return
        with path.open("ab") as file:
            # What another tool wrote may lack its last newline.
            file.write((b"\n" if held else b"") + text)
    except OSError as error:
        click.echo(f"no summary in {name}: {(error.strerror or str(error)).lower()}", err=True)
