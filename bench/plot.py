"""Small plots as SVG, readable on a light and on a dark page."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 230, 34, 42
COLOURS = ("#2f6fde", "#d9822b", "#2a9d5c", "#b0449c", "#7a6ff0", "#c0392b")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#666}.title{font-weight:600}"
    ".axis{stroke:#999;stroke-width:1}.grid{stroke:#9994;stroke-width:1}"
    "@media(prefers-color-scheme:dark){text{fill:#aaa}}"
)

Point = tuple[float, float]


def lines(title: str, x_label: str, series: Mapping[str, Sequence[Point]]) -> str:
    """Lines over a logarithmic axis, from zero up."""
    xs = [x for points in series.values() for x, _ in points]
    top = _round_up(max((y for points in series.values() for _, y in points), default=1.0))
    scale = _Scale(min(xs, default=1), max(xs, default=10), top)
    parts = [_text(LEFT, 20, title, "title"), *_axes(scale, sorted(set(xs)), x_label)]
    for number, (name, points) in enumerate(series.items()):
        parts += _line(scale, name, points, number)
    return _svg(parts)


class _Scale:
    """Where values are on the picture."""

    def __init__(self, least: float, most: float, top: float) -> None:
        self._least, self.top = math.log10(least), top
        self._span = math.log10(most) - self._least or 1.0

    def x(self, value: float) -> float:
        share = (math.log10(value) - self._least) / self._span
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)


def _axes(scale: _Scale, xs: Sequence[float], x_label: str) -> list[str]:
    right = WIDTH - RIGHT
    parts: list[str] = []
    for step in range(5):
        value = scale.top * step / 4
        at = scale.y(value)
        kind = "axis" if step == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}"/>')
        parts.append(_text(LEFT - 6, at + 4, f"{value:,.4g}", anchor="end"))
    parts += [_text(scale.x(x), HEIGHT - BOTTOM + 16, f"{x:,.0f}", anchor="middle") for x in xs]
    return [*parts, _text((LEFT + right) / 2, HEIGHT - 8, x_label, anchor="middle")]


def _line(scale: _Scale, name: str, points: Sequence[Point], number: int) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(scale.x(x), scale.y(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    at = TOP + 8 + number * 20
    key = f'<rect x="{WIDTH - RIGHT + 16}" y="{at - 9}" width="10" height="10" fill="{colour}"/>'
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return [line, *dots, key, _text(WIDTH - RIGHT + 32, at, name)]


def _round_up(value: float) -> float:
    """The next number that is 1, 2, 4 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 8, 10) if power * step >= value)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}" role="img">'
    )
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>", ""])
