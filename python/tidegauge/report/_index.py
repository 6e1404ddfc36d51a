"""One page over many reports: what is so now, model by model, and every report by date."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from ._html import environment, stylesheet
from ._text import visible, window_label

if TYPE_CHECKING:
    from collections.abc import Sequence


class Entry(NamedTuple):
    """One report of the index."""

    path: str
    """Where it is, relative to the index, with forward slashes."""
    link: str
    """The page or, where there is none, the record; relative too."""
    problem: str | None
    """Why it cannot be shown."""
    verdict: str
    title: str
    model: str
    windows: int
    first: str | None
    last: str | None
    """Start and end of the data's windows."""
    rows: int | None
    finished: str
    digest: str


def render_index(entries: Sequence[Entry], title: str = "Reports", passed_over: int = 0) -> str:
    """Render the index of reports as one HTML page that needs no script and no network.

    Parameters
    ----------
    entries : sequence of Entry
    title : str
    passed_over : int
        JSON files found that are no reports.

    Returns
    -------
    str
        The latest report of each model, then all by date, the newest first. Equal entries give
        equal bytes, in whatever order they come.

    Examples
    --------
    >>> page = render_index([])
    >>> "No report was found" in page
    True
    """
    # By date, newest first, then by path: Python's sort keeps the order of equals.
    ordered = sorted(sorted(entries, key=lambda e: e.path), key=lambda e: e.finished, reverse=True)
    latest: dict[str, Entry] = {}
    for entry in ordered:
        if entry.problem is None:
            latest.setdefault(entry.model or entry.title, entry)
    style = stylesheet()
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            title=title,
            style=Markup(style),
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            latest=[latest[name] for name in sorted(latest)],
            entries=ordered,
            passed_over=passed_over,
            link=_link,
            window=_window,
        )
    )


def _link(entry: Entry) -> str:
    """Relative address; a first segment with a colon would read as a scheme."""
    return "./" + quote(entry.link, safe="/", errors="surrogateescape")


def _window(entry: Entry) -> str:
    """The only window, or the first and the last one."""
    if entry.windows == 0:
        return "–"
    if entry.windows == 1:
        return window_label(entry.first, entry.last)
    return visible(f"{str(entry.first)[:10]} to {str(entry.last)[:10]}, {entry.windows:,} windows")


def entry_of(path: str, link: str, held: dict[str, Any]) -> Entry:
    """Entry of a report from the few parts of its record that an index shows."""
    result: dict[str, Any] = held.get("result") or {}
    model = result.get("model") or {}
    windows = result.get("windows") or []
    return Entry(
        path=path,
        link=link,
        problem=None,
        verdict=str(result.get("verdict") or "not_evaluated"),
        title=str(result.get("title") or ""),
        model=" ".join(str(model[key]) for key in ("name", "version") if model.get(key)),
        windows=len(windows),
        first=windows[0].get("start") if windows else None,
        last=windows[-1].get("end") if windows else None,
        rows=(result.get("current") or {}).get("rows"),
        finished=str((held.get("envelope") or {}).get("finished") or ""),
        digest=str(held.get("result_digest") or ""),
    )
