"""What every section of the page is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._text import mapping, objects, sequence
from ._view import build as build_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._view import View, Window


@dataclass(frozen=True)
class Limits:
    """How much of what grows with columns and windows a page shows; one that shows less than there is says so."""

    windows: int = 24
    """Windows side by side, the last ones."""
    charts: int = 50
    """Columns drawn, in the order of the findings."""
    curves: int = 8
    """Columns with curves and quantiles beside their histogram; they cost twice its size."""
    findings: int = 50
    """Findings whose cells are shown."""
    rows: int = 160
    """Rows that decide, worst first."""


#: From most to least. The first with which a page keeps its size is taken.
LIMITS = (
    Limits(),
    Limits(windows=18, charts=40, findings=25, rows=120),
    Limits(windows=12, charts=30, findings=15, rows=80),
    Limits(windows=12, charts=20, curves=6, findings=10, rows=60),
    Limits(windows=8, charts=12, curves=4, findings=5, rows=40),
)


def most_bytes(columns: int) -> int:
    """Bytes that a page of so many columns is to keep to: 300,000 for fifty, 2.5 million for a thousand."""
    return 300_000 + 2_300 * max(columns - 50, 0)


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
    limits: Limits = LIMITS[0]

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
        return self.view.windows[-self.limits.windows :]

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
