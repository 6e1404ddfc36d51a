"""The command line: results to standard output, everything else to standard error.

Exit codes: 0 done and passed; 1 a gate failed; 2 usage or configuration; 3 input data unreadable;
4 internal error or error rows; 5 nothing evaluated; 6 a report or its inputs changed; 130 and 143 interrupted.
Where standard output cannot be written, 0 becomes 3 and any other code stands; a stream that is closed, or whose
reader left, is one that nobody reads, and changes no code.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


class _Terminated(BaseException):
    """SIGTERM, raised where the program stands so that temporary files go."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : sequence of str
        Default: those of the process.
    """
    sys.exit(invoke(list(sys.argv[1:] if arguments is None else arguments)))


def invoke(arguments: list[str]) -> int:
    """Run the command line; every exception becomes an exit code here and nowhere else."""
    import signal

    _open_streams()
    import click

    from tidegauge.cli import _show
    from tidegauge.cli._commands import cli

    _show.unwritten.clear()

    def end(signum: int, frame: object) -> None:
        # What is finished is saved now; who cannot wait for it sends a second signal.
        for number in previous:
            signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt if signum == signal.SIGINT else _Terminated

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = cli.main(args=arguments, prog_name="tidegauge", standalone_mode=False)
        code = code if isinstance(code, int) else 0
        return 3 if code == 0 and _show.unwritten else code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        click.UsageError(_plain(error.format_message()), error.ctx).show()
        return 2
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort) as error:
        return _fail(_stopped("interrupted", error), 130)
    except _Terminated as error:
        return _fail(_stopped("terminated", error), 143)
    except Exception as error:
        return _report(error)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stopped(word: str, error: BaseException) -> str:
    """What is left of a command that was stopped: its notes, where it has any."""
    while error.__context__ is not None and not getattr(error, "__notes__", ()):
        error = error.__context__
    return "; ".join([word, *(getattr(error, "__notes__", ()) or ["nothing was written"])])


def _report(error: Exception) -> int:
    from tidegauge import errors

    if isinstance(error, errors.GateError):
        return _fail(str(error), error.exit_code)
    if isinstance(error, errors.VerificationError):
        return _fail(str(error), 6)
    if isinstance(error, (errors.InputError, errors.FormatError)):
        return _fail(str(error), 3)
    if isinstance(error, errors.TidegaugeError):
        return _fail(str(error), 2)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{(error.strerror or str(error)).lower()}", 3)
    if os.environ.get("TIDEGAUGE_TRACEBACK"):
        raise error
    return _fail(f"internal error: {type(error).__name__}: {error} (TIDEGAUGE_TRACEBACK=1 shows where)", 4)


def _fail(message: str, code: int) -> int:
    print(f"tidegauge: {_plain(message)}", file=sys.stderr)
    return code


def _plain(message: str) -> str:
    """A message without secrets, and without control characters of names in it."""
    from tidegauge._secrets import mask
    from tidegauge.report._text import visible

    return visible(mask(message), newlines=True)


def _open_streams() -> None:
    """Open closed standard streams on nothing, before a file of data could take their place."""
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    for name in closed:
        # The lowest free number is that of a stream, unless something took it already.
        stream = os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w", closefd=False)
        setattr(sys, name, stream)
