"""The report as one self-contained page."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from . import _page, charts, curves
from ._text import count, interval, number, percent, shorten, visible
from ._words import LETTER, MEANING, WORD, Name, Quote, Sentence, against, summary
from .sections import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._page import Page


# Heading of a section, as every template of one starts.
_HEADING = re.compile(r'<h2 id="([a-z-]+)">([^<]+)</h2>')


def render_html(record: Mapping[str, Any]) -> str:
    """Render a record as one HTML page that needs nothing else.

    Parameters
    ----------
    record : mapping
        Content of report.json; a section that is missing is left out of the page.

    Returns
    -------
    str
        A complete document without script, link or outside resource, held to that by its own
        content security policy. Equal records give equal bytes. Every string of the record is
        escaped, and its control characters are spelled out.

    Examples
    --------
    >>> page = render_html({"result": {"verdict": "ok", "title": "<nightly>"}})
    >>> "&lt;nightly&gt;" in page and "<nightly>" not in page
    True
    """
    whole = _page.build(record)
    limit = _page.most_bytes(len(whole.view.features))
    for limits in _page.LIMITS:
        text = _render(replace(whole, limits=limits))
        if len(text.encode()) <= limit:
            break
    return text


def _render(page: Page) -> str:
    record = page.record
    style = stylesheet(record.get("result_digest"), page.view.run_id)
    shared = {"page": page, "view": page.view, "windows": page.windows}
    sections = []
    for module in SECTIONS:
        built = module.build(page)
        if built is not None:
            name = module.__name__.rpartition(".")[2]
            template = environment().get_template(f"sections/{name}.html.j2")
            sections.append(Markup(template.render(**shared, **built)))
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            **shared,
            style=Markup(style),
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            sentences=summary(page.view),
            sections=sections,
            contents=_HEADING.findall("".join(sections)),
        )
    )


@cache
def environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "edge": curves.edge_text,
        "name": _name,
        "number": number,
        "percent": percent,
        "plain": _plain,
        "sentence": _sentence,
        "wrapped": lambda text: visible(text, newlines=True),
    }
    environment.globals |= {
        "LETTER": LETTER,
        "MEANING": MEANING,
        "WORD": WORD,
        "against": against,
        "chip": _chip,
        "count": count,
        "interval": interval,
        "legend": charts.legend,
    }
    return environment


def _source(name: str) -> str:
    return files(__package__).joinpath("templates", *name.split("/")).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    """Spell out control characters in whatever a template prints."""
    if value is None:
        return ""
    return visible(value, newlines=True) if type(value) is str else value


def stylesheet(digest: object = None, run_id: object = None) -> str:
    """Style sheet; the foot of every printed page carries the run and the digest of its result."""
    # Anything but an identifier could break out of the CSS string.
    told = [
        f"{word} {text}"
        for word, text in (("run", run_id), ("result", digest))
        if isinstance(text, str) and re.fullmatch(r"(?:[0-9a-z]{1,8}:)?[0-9a-f]{4,128}", text)
    ]
    return _source("report.css").replace("@FOOT@", ", ".join(["tidegauge", *told])).strip()


def _name(text: object, limit: int = 48) -> Markup:
    """Name of a column: shortened, and isolated so that right-to-left text moves nothing else."""
    return Markup("<bdi>{}</bdi>").format(shorten(str(text), limit))


def _plain(text: object, limit: int = 48) -> Markup:
    """Shortened text, isolated only where it holds more than ASCII, in tables of many cells."""
    shown = str(text)
    return escape(visible(shown)) if shown.isascii() and len(shown) <= limit else _name(shown, limit)


def _sentence(sentence: Sentence) -> Markup:
    return Markup("").join(
        _name(part.text, 240)
        if isinstance(part, Quote)
        else Markup("<b>{}</b>").format(_name(part.text, 120))
        if isinstance(part, Name)
        # A number and its sign stay on one line.
        else escape(part.replace(" %", "\u00a0%"))
        for part in sentence
    )


def _chip(verdict: object) -> Markup:
    """Word of a verdict in its colours."""
    style = verdict if verdict in WORD else "not_evaluated"
    word = WORD.get(str(verdict), verdict)
    return Markup('<span class="chip {}">{}</span>').format(style, _finalize(word))
