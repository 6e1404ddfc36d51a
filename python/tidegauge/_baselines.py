"""Names of baselines: what each window, segment and model version is compared with."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from tidegauge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LENGTH = r"[0-9]{0,5}(h|d|w|mo|y)"
_FORMS = {
    "reference": r"reference",
    "previous": r"previous",
    "rolling:4": rf"rolling:([1-9][0-9]{{0,4}}|{_LENGTH})",
    "expanding": r"expanding",
    "seasonal:1y": rf"seasonal:{_LENGTH}",
    "segment:column=value": r"segment:[^=]*[^=\s][^=]*=.*",
    "rest": r"rest",
    "version:name": r"version:.+",
}
#: What is accepted, for messages and help.
ACCEPTED = (
    "reference, previous, rolling:<windows>, rolling:<length>, expanding, seasonal:<length>, "
    "segment:<column>=<value>, rest, version:<version>; a length is a number and h, d, w, mo or y"
)


def check_baselines(
    names: Sequence[str],
    decided_by: Sequence[str] = (),
    segment_baselines: Sequence[str] = (),
    *,
    error: type[UsageError] = UsageError,
) -> None:
    """Refuse names that no baseline has, and deciding ones and those of segments that are not among them.

    Raises
    ------
    UsageError
        Of the type `error`; it suggests the nearest form.
    """
    if not names or isinstance(names, str):
        raise error(f"baselines: {names!r}; accepted is a list of at least one of {ACCEPTED}")
    for i, name in enumerate(names):
        if not any(re.fullmatch(form, str(name), re.DOTALL) for form in _FORMS.values()):
            raise error(f"baselines: {name!r}{_suggestion(name)}; accepted are {ACCEPTED}")
        if name in names[:i]:
            raise error(f"baselines: {name!r} is given twice")
    for option, chosen in (("decided_by", decided_by), ("segment_baselines", segment_baselines)):
        for name in [chosen] if isinstance(chosen, str) else chosen:
            if name not in names:
                raise error(f"{option}: {name!r} is not among the baselines; accepted are {', '.join(names)}")


def deciding_baselines(names: Sequence[str], decided_by: Sequence[str] = ()) -> tuple[str, ...]:
    """The baselines that decide: those named, else the reference, else all."""
    if decided_by:
        return tuple(decided_by)
    return ("reference",) if "reference" in names else tuple(names)


def _suggestion(name: object) -> str:
    head, colon, tail = str(name).partition(":")
    forms = {form.partition(":")[0]: form for form in _FORMS}
    near = difflib.get_close_matches(head, forms, n=1)
    if not near:
        return ""
    form = forms[near[0]]
    wanted = f"{near[0]}:{tail}" if colon and ":" in form else form
    return f"; did you mean {wanted if wanted != name else form!r}?"
