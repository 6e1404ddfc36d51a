"""What every section of the page is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._text import mapping, objects, sequence
from ._view import build as build_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._view import View, Window

MOST_WINDOWS = 24
"""Windows shown side by side, the last ones; a page that shows fewer than there are says so."""


@dataclass(frozen=True)
class Side:
    """What the record says of one side of the comparison, ``reference`` or ``current``."""

    name: str
    rows: int | None
    digest: str | None
    paths: list[str]
    files: list[Mapping[str, Any]]
    bytes: int


@dataclass(frozen=True)
class Page:
    """A record, and the view of it that all sections share."""

    record: Mapping[str, Any]
    view: View

    @property
    def result(self) -> Mapping[str, Any]:
        """The part of the record that is a function of rows and configuration alone."""
        return mapping(self.record.get("result"))

    @property
    def engine(self) -> Mapping[str, Any]:
        """Version, definitions and grids."""
        return mapping(self.result.get("engine"))

    @property
    def windows(self) -> list[Window]:
        """Windows shown side by side."""
        return self.view.windows[-MOST_WINDOWS:]

    @property
    def sides(self) -> list[Side]:
        """Both sides with their files."""
        inputs = mapping(self.record.get("inputs"))
        found = []
        for name in ("reference", "current"):
            source, profile = mapping(inputs.get(name)), mapping(self.result.get(name))
            listed = objects(source.get("files"))
            found.append(
                Side(
                    name,
                    profile.get("rows"),
                    profile.get("profile_digest"),
                    [str(path) for path in sequence(source.get("paths"))],
                    listed,
                    sum(n for f in listed if isinstance(n := f.get("bytes"), int)),
                )
            )
        return found


def build(record: Mapping[str, Any]) -> Page:
    """Page of a record (the content of report.json)."""
    return Page(record, build_view(record))
