"""The command line: results to standard output, everything else to standard error.

Exit codes: 0 done and passed; 1 a gate failed; 2 usage or configuration; 3 input data unreadable;
4 internal error or error rows; 5 nothing evaluated; 6 a report or its inputs changed; 130 and 143 interrupted.
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

    import click

    from tidegauge.cli._commands import cli

    def end(signum: int, frame: object) -> None:
        # What is finished is saved now; who cannot wait for it sends a second signal.
        for number in previous:
            signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt if signum == signal.SIGINT else _Terminated

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = cli.main(args=arguments, prog_name="tidegauge", standalone_mode=False)
        _flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        error.show()
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

    if isinstance(error, BrokenPipeError):
        # The reader of standard output left; what it wanted, it has.
        _silence_stdout()
        return 0
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
    from tidegauge._secrets import mask

    print(f"tidegauge: {mask(message)}", file=sys.stderr)
    return code


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()


def _silence_stdout() -> None:
    """Point standard output nowhere, so that the interpreter's last flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
