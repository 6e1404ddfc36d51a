"""Charts of performance and explanations: small inline SVG, as those of :mod:`tidegauge.report.charts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from ._text import number, shorten, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 340
Limits = tuple[float, float] | None


def _svg(ident: str, title: str, description: str, width: float, height: float, body: str) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {w} {h}" role="img" aria-labelledby="{i}t {i}d">'
        '<title id="{i}t">{title}</title><desc id="{i}d">{desc}</desc>{body}</svg>'
    ).format(w=_short(width), h=_short(height), i=ident, title=visible(title), desc=description, body=Markup(body))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, words: str, anchor: str = "start", limit: int = 24) -> str:
    shown = escape(shorten(words, limit)) if words else ""
    return f'<text x="{_short(x)}" y="{_short(y)}" text-anchor="{anchor}">{shown}</text>'


def bars(
    rows: Sequence[tuple[str, float, Limits, float | None]], *, ident: str, title: str, description: str
) -> Markup:
    """Lying bars from zero with intervals as whiskers, and the reference as a hollow marker."""
    left, right, pitch = 108, 54, 17
    values = [x for _, value, limits, before in rows for x in (value, *(limits or ()), before or 0.0)]
    low, high = min(0.0, *values), max(0.0, *values)
    scale = (WIDTH - left - right) / (high - low) if high > low else 0.0

    def at(x: float) -> float:
        return float(left + (x - low) * scale)

    body = []
    for i, (name, value, limits, before) in enumerate(rows):
        y = 4 + i * pitch
        a, b = sorted((at(0.0), at(value)))
        body.append(_text(left - 5, y + 9, name, "end", 17))
        if b > a:
            body.append(f'<path class="hr" d="M{_short(a)} {y}h{_short(b - a)}v11h-{_short(b - a)}z"/>')
        if limits is not None:
            body.append(f'<path class="ln" d="M{_short(at(limits[0]))} {y + 5.5:.1f}H{_short(at(limits[1]))}"/>')
        if before is not None:
            x = at(before)
            body.append(f'<path class="hc" d="M{_short(x)} {y}l4 5.5l-4 5.5l-4 -5.5z"/>')
        end = at(max(value, (limits or (0.0, 0.0))[1], before or 0.0))
        body.append(_text(end + 7, y + 9, number(value, 3)))
    height = 6 + pitch * len(rows)
    body.append(f'<path class="ax" d="M{_short(at(0.0))} 0V{height - 2}"/>')
    return _svg(ident, title, description, WIDTH, height, "".join(body))


def ranks(
    lines: Sequence[tuple[str, Sequence[int | None], Sequence[bool]]],
    labels: Sequence[str],
    *,
    ident: str,
    title: str,
    description: str,
) -> Markup:
    """Rank of each name over the windows, the first on top; dashed where the change is within its errors."""
    names, step, pitch = 110, 46, 20
    depth = max((rank for _, found, _ in lines for rank in found if rank is not None), default=1)
    width, height = 24 + step * max(len(labels) - 1, 1) + names, 26 + pitch * depth
    body = []
    for i, label in enumerate(labels):
        # Years are told once; months or days tell the others apart.
        body.append(_text(14 + i * step, height - 4, label[-5:], "middle", 8))
    for name, found, uncertain in lines:
        points = [(14 + i * step, pitch * rank - 6) for i, rank in enumerate(found) if rank is not None]
        placed = [i for i, rank in enumerate(found) if rank is not None]
        for a, b, i, j in zip(points, points[1:], placed, placed[1:], strict=False):
            dashed = ' stroke-dasharray="3 3"' if j == i + 1 and uncertain[i] else ""
            body.append(f'<path class="ln"{dashed} d="M{a[0]} {a[1]}L{b[0]} {b[1]}"/>')
        body += [f'<circle class="hr" cx="{x}" cy="{y}" r="3"/>' for x, y in points]
        if points:
            body.append(_text(points[-1][0] + 8, points[-1][1] + 4, name, "start", 17))
    return _svg(ident, title, description, width, height, "".join(body))


def quadrant(
    points: Sequence[tuple[str, float, float]], *, limits: tuple[float, float], ident: str, title: str, description: str
) -> Markup:
    """Drift across, importance up; the corner of both has the names."""
    size, left, base = 230, 8, 248
    most = max([limits[0] * 2, *(x for _, x, _ in points)]), max([limits[1] * 2, *(y for _, _, y in points)])

    def at(x: float, y: float) -> tuple[float, float]:
        # Square roots, so that the many small ones are told apart.
        return left + size * (max(x, 0.0) / most[0]) ** 0.5, base - size * (max(y, 0.0) / most[1]) ** 0.5

    across, up = at(limits[0], 0.0)[0], at(0.0, limits[1])[1]
    body = [
        f'<path class="ax" d="M{left} {base}H{left + size}M{left} {base}V{base - size}'
        f'M{_short(across)} {base}V{base - size}M{left} {_short(up)}H{left + size}"/>',
        _text(left + size, base + 14, "drift →", "end"),
        _text(left + 3, base - size - 6, "↑ importance"),
    ]
    taken: list[float] = []
    for name, x, y in sorted(points, key=lambda p: -p[2]):
        cx, cy = at(x, y)
        body.append(f'<circle class="hr" cx="{_short(cx)}" cy="{_short(cy)}" r="3.5"/>')
        if x >= limits[0] or y >= limits[1]:
            line = cy + 4
            while any(abs(line - other) < 11 for other in taken):
                line += 11
            taken.append(line)
            body.append(_text(cx + 6, line, name, "start", 17))
    return _svg(ident, title, description, WIDTH, base + 20, "".join(body))


def reliability(
    sides: Sequence[tuple[str, Sequence[tuple[float, float, Limits]]]], *, ident: str, title: str, description: str
) -> Markup:
    """Observed rate by mean score: the diagonal is perfect; intervals as whiskers. First side filled, second hollow."""
    size, left, base = 200, 26, 208

    def at(x: float, y: float) -> tuple[float, float]:
        return left + size * min(max(x, 0.0), 1.0), base - size * min(max(y, 0.0), 1.0)

    top, right = base - size, left + size
    body = [f'<path class="ax" d="M{left} {base}H{right}M{left} {base}V{top}M{left} {base}L{right} {top}"/>']
    body += [_text(left, base + 13, "0", "middle"), _text(left + size, base + 13, "1", "middle")]
    body += [_text(left + size / 2, base + 13, "mean score", "middle"), _text(left - 4, base - size + 8, "1", "end")]
    for k, (_, bins) in enumerate(sides):
        mark, shape = ("hr", 3.5) if k == 0 else ("hc", 4.0)
        points = [at(score, rate) for score, rate, _ in bins]
        line = "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points) if points else ""
        for (score, _, limits), (x, y) in zip(bins, points, strict=True):
            if limits is not None and k == len(sides) - 1:
                low, high = (_short(at(score, limit)[1]) for limit in limits)
                body.append(f'<path class="ln" d="M{_short(x)} {low}V{high}"/>')
            body.append(f'<circle class="{mark}" cx="{_short(x)}" cy="{_short(y)}" r="{shape}"/>')
        if line and k == len(sides) - 1:
            body.append(f'<path class="ln" d="{line}"/>')
    return _svg(ident, title, description, 240, base + 20, "".join(body))
