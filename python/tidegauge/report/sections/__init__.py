"""Sections of the page, in the order in which they are read.

A section is a module of this folder with ``build(page)``, which returns what its template needs or
None where the record has nothing for it, and ``templates/sections/NAME.html.j2``, which gets those
names beside ``page``, ``view`` and ``windows``. To add one: both files, and its line in
:data:`SECTIONS`. What a section shows comes from the record alone, its key being that of the
record's own section; its HTML is one ``<section aria-labelledby="ID">`` that starts with
``<h2 id="ID">``, which the list of contents takes up, and a table that scrolls is a region with a
name that no other has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from . import (
    checks,
    contributions,
    data,
    distributions,
    findings,
    glossary,
    heatmap,
    identity,
    importance,
    joint,
    limitations,
    method,
    monitoring,
    performance,
    provenance,
    quality,
    risk,
    rows,
    segments,
    sign_off,
    verify,
    waivers,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegauge.report._page import Page


class Section(Protocol):
    """What a module of this folder offers."""

    __name__: str

    def build(self, page: Page) -> Mapping[str, Any] | None:
        """Names for the template; None leaves the section out."""


SECTIONS: tuple[Section, ...] = (
    findings,
    checks,
    waivers,
    performance,
    importance,
    risk,
    heatmap,
    distributions,
    contributions,
    segments,
    joint,
    quality,
    monitoring,
    rows,
    data,
    method,
    limitations,
    identity,
    provenance,
    verify,
    glossary,
    sign_off,
)
