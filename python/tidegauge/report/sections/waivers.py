"""What somebody accepted, for which reason, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegauge.report._text import mapping, objects, sequence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidegauge.report._page import Page
    from tidegauge.report._view import View


def build(page: Page) -> dict[str, Any] | None:
    """Waivers with what each accepts; nothing where the configuration has none."""
    given = objects(page.result.get("waivers"))
    return {"waivers": [(waiver, told(waiver, page.view)) for waiver in given]} if given else None


def told(waiver: Mapping[str, Any], view: View) -> list[str]:
    """What a waiver does, in words: one line for what it accepts, one for what it no longer does."""
    lines = []
    for name, verb in (("waived", "accepts"), ("ended", "ended before")):
        places = [mapping(place) for place in sequence(waiver.get(name))]
        windows = list(dict.fromkeys(view.label(p.get("window_start"), p.get("window_end")) for p in places))
        if windows:
            shown = ", ".join(windows[:6]) + (f" and {len(windows) - 6} more" if len(windows) > 6 else "")
            lines.append(f"{verb} {len(places)} verdict{'s' * (len(places) > 1)}: {shown}")
    return lines or ["accepts nothing: no failure or warning matches it"]
