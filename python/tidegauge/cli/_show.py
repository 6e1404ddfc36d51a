"""What commands write to standard output and error, and the summary that a job keeps.

Foreign text (names of columns, files and segments, messages of libraries) goes through here or through a rendering,
so that no control character of it reaches a terminal.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

#: GitHub refuses a step's summary beyond this; what a step wrote before counts.
SUMMARY_LIMIT = 1024 * 1024


#: Why standard output could not be written, by this command; empty where it could.
unwritten: list[str] = []


def show(record: Mapping[str, Any], form: str) -> None:
    """Write a record to standard output in a form of ``_outputs.FORMATS``."""
    from tidegauge import _outputs

    if form == "text":
        from tidegauge.report import render_text

        _write(render_text(record, color=colored()))
    else:
        text = _outputs.render(record, _outputs.FORMATS[form]).decode()
        _write(_plain_json(text) if form in ("json", "ndjson") else text)


def echo(text: str) -> None:
    """Write text without colours to standard output; control characters are spelled out."""
    from tidegauge.report._text import visible

    _write(visible(text, newlines=True))


def echo_json(value: Any) -> None:
    """Write a value, or JSON text, to standard output; control characters are escaped as JSON does."""
    _write(_plain_json(value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)))


def tell(text: str) -> None:
    """Write to standard error; control characters are spelled out."""
    from tidegauge.report._text import visible

    click.echo(visible(text, newlines=True), err=True)


def _plain_json(text: str) -> str:
    """JSON of the same value, in which each character can be seen."""
    if text.isascii():
        # The encoder escapes all below the space.
        text = text.replace("\x7f", "\\u007f")
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _write(text: str) -> None:
    """Write to standard output.

    A reader that leaves early changes no exit code. Where it cannot be written otherwise (a full disk), that is told,
    and a command that would have ended with 0 ends with 3: what a gate found stands.
    """
    try:
        click.echo(text, nl=not text.endswith("\n"), color=True)
        sys.stdout.flush()
    except BrokenPipeError:
        silence()
    except OSError as error:
        silence()
        unwritten.append(f"standard output: {(error.strerror or str(error)).lower()}")
        tell(f"tidegauge: {unwritten[-1]}")


def silence() -> None:
    """Point standard output nowhere, so that the interpreter's last flush cannot fail."""
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
            tell(f"no summary in {name}: it holds {held:,} bytes of at most {SUMMARY_LIMIT:,}")
            return
        with path.open("ab") as file:
            # What another tool wrote may lack its last newline.
            file.write((b"\n" if held else b"") + text)
    except OSError as error:
        tell(f"no summary in {name}: {(error.strerror or str(error)).lower()}")
