"""Exceptions: each names the column or file, the offending value, and what is accepted.

``TidegaugeError`` is the root. Those that the extension module raises are re-exported here.
"""

from tidegauge._core import (
    FormatError,
    IncompatibleError,
    InputError,
    OverlapError,
    SchemaError,
    TidegaugeError,
    UsageError,
)

__all__ = [
    "ConfigError",
    "FormatError",
    "GateError",
    "IncompatibleError",
    "InputError",
    "OverlapError",
    "SchemaError",
    "StoreError",
    "TidegaugeError",
    "UsageError",
    "VerificationError",
]


class ConfigError(UsageError):
    """A configuration that cannot be used: unknown key, wrong type, unset variable."""


class VerificationError(TidegaugeError):
    """A report, or what it was made from, is no longer what it was."""


class StoreError(TidegaugeError):
    """A store that cannot be used: of another reference or other options, or in use by another run."""


class GateError(TidegaugeError):
    """A report did not pass; raised by :meth:`tidegauge.Report.raise_if_failed`.

    Attributes
    ----------
    exit_code : int
        What the command line would exit with: 1 failed, 4 error rows, 5 nothing evaluated.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
