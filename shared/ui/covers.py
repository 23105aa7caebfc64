"""Pictures for tickets: drawn from the id and what the title is about, always the same for both."""

import math
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

WIDTH, HEIGHT = 640, 360

# Ground, two middle tones, a light one and an accent.
_PALETTES = [
    ("#2b2a6b", "#4457d9", "#8f5fd6", "#f4d9ff", "#ffb454"),
    ("#0b4f58", "#0f7c83", "#4fb38f", "#e5f7d9", "#ffd166"),
    ("#7a1f3d", "#c2415b", "#f09466", "#ffe9cf", "#ffd24a"),
    ("#43206e", "#7a3fb0", "#d566a8", "#ffe0f0", "#7de0d0"),
    ("#0f3f73", "#1d6fb8", "#5cc1d8", "#e2f6fb", "#ff9f68"),
    ("#6b3708", "#a8590f", "#e8b347", "#fff3cf", "#e9573f"),
    ("#1d3f2c", "#33663c", "#9dba4f", "#f2f6d2", "#ff8e5e"),
    ("#521a31", "#8b2f4d", "#d45c6d", "#ffe3dd", "#f7b733"),
    ("#18223f", "#2b3a67", "#5f86c4", "#e4edfb", "#ffcf5c"),
    ("#6f261f", "#b5473a", "#f2b56b", "#fff0d6", "#4fc1b0"),
]
PALETTES = len(_PALETTES)  # app.css has a ground of the same colours for each: .cover-0 and so on

# What a title may be about, and the motif that shows it.
_SUBJECTS = {
    "pitch": r"derby|football|soccer|match|league|cup|rovers|united|stadium|rugby",
    "film": r"film|cinema|movie|screening",
    "rings": r"quartet|recital|concert|jazz|music|choir|opera|vinyl|song|orchestra|strings|band|dj",
    "stage": r"theatre|theater|play|improv|comedy|stand-?up|tale|musical|drama|cabaret|magic",
    "waves": r"harbou?r|sea|beach|boat|river|pier|lake|sail|ocean|swim",
    "stars": r"stars?\b|moon|observator|planet|sky|space|astro",
    "hills": r"marathon|run|hike|walk|mountain|garden|trail|camp|forest|park|bike",
    "tiles": r"workshop|course|beginner|class|lecture|design|museum|art|exhibition|conference|code",
    "confetti": r"party|festival|fest|fair|carnival|new year|birthday|open air|market|ball",
}
# For all others: what fits anything.
_ANYTHING = ("arches", "waves", "confetti", "skyline", "tiles", "hills")


@dataclass(frozen=True)
class Brush:
    """What a motif draws with: chance that is the same each time, and the colours."""

    chance: Random
    ground: str
    deep: str
    middle: str
    light: str
    accent: str


def motif(key: str, title: str) -> str:
    """The motif of a title; one by the key where the title says nothing."""
    for name, words in _SUBJECTS.items():
        if re.search(rf"\b(?:{words})", title.casefold()):
            return name
    return _ANYTHING[_number(key) // PALETTES % len(_ANYTHING)]


def palette(key: str) -> int:
    return _number(key) % PALETTES


def draw(key: str, name: str) -> str:
    """The picture as SVG. `name` is a key of MOTIFS."""
    colours = _PALETTES[palette(key)]
    brush = Brush(Random(_number(key)), *colours)  # noqa: S311 - a picture is no secret
    shapes = "".join(MOTIFS[name](brush))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'preserveAspectRatio="xMidYMid slice"><defs><linearGradient id="g" x1="0" y1="0" x2="1" '
        f'y2="1"><stop stop-color="{colours[1]}"/><stop offset="1" stop-color="{colours[0]}"/>'
        f'</linearGradient></defs><path fill="url(#g)" d="M0 0h{WIDTH}v{HEIGHT}H0z"/>{shapes}</svg>'
    )


def _number(key: str) -> int:
    return zlib.crc32(key.encode())


# --- shapes ---------------------------------------------------------------------------------------


def _circle(x: float, y: float, radius: float, rest: str) -> str:
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}" {rest}/>'


def _oval(x: float, y: float, wide: float, high: float, rest: str) -> str:
    return f'<ellipse cx="{x:.0f}" cy="{y:.0f}" rx="{wide:.0f}" ry="{high:.0f}" {rest}/>'


def _box(x: float, y: float, wide: float, high: float, rest: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" rx="4" {rest}/>'


def _path(points: str, rest: str) -> str:
    return f'<path d="{points}" {rest}/>'


def _fill(colour: str, opacity: float = 1) -> str:
    return f'fill="{colour}"' + (f' opacity="{opacity:.2f}"' if opacity < 1 else "")


def _line(colour: str, width: float, opacity: float = 1) -> str:
    faint = f' opacity="{opacity:.2f}"' if opacity < 1 else ""
    return f'fill="none" stroke="{colour}" stroke-width="{width:g}"{faint}'


def _wave(y: float, height: float, length: float, shift: float) -> str:
    """A closed band from a wavy line down to the bottom."""
    steps = range(int(-shift), WIDTH + int(length), int(length))
    curves = "".join(
        f"q{length / 4:.0f} {-height:.0f} {length / 2:.0f} 0t{length / 2:.0f} 0" for _ in steps
    )
    return f"M{-shift:.0f} {y:.0f}{curves}V{HEIGHT}H{-shift:.0f}z"


# --- motifs ---------------------------------------------------------------------------------------


def _rings(brush: Brush) -> Iterator[str]:
    """Circles about one point, as sound spreads."""
    x, y = brush.chance.randint(400, 520), brush.chance.randint(120, 220)
    for step in range(9, 0, -1):
        yield _circle(x, y, step * 38, _fill(brush.middle, 0.09 + 0.02 * (9 - step)))
    yield _circle(x, y, 66, _fill(brush.accent))
    yield _circle(x, y, 22, _fill(brush.ground))
    for step in range(5):
        height = brush.chance.randint(40, 170)
        yield _path(
            f"M{60 + step * 46} {HEIGHT - 50}v{-height}",
            _line(brush.light, 14, 0.9) + ' stroke-linecap="round"',
        )


def _waves(brush: Brush) -> Iterator[str]:
    """The sun over water."""
    yield _circle(brush.chance.randint(140, 500), 150, 84, _fill(brush.accent))
    for step, colour in enumerate((brush.middle, brush.deep, brush.middle, brush.ground)):
        band = _wave(180 + step * 46, 34 + step * 6, 160 + 40 * step, brush.chance.randint(0, 150))
        yield _path(band, _fill(colour, 0.9))


def _hills(brush: Brush) -> Iterator[str]:
    """Ridges behind each other under a low sun."""
    yield _circle(brush.chance.randint(120, 520), 120, 62, _fill(brush.accent))
    for step, colour in enumerate((brush.middle, brush.deep, brush.ground)):
        peaks = [brush.chance.randint(120, 210) + step * 50 for _ in range(5)]
        line = "".join(
            f"L{number * 160} {peak + 40 * (number % 2)}" for number, peak in enumerate(peaks)
        )
        yield _path(f"M0 {HEIGHT}{line}V{HEIGHT}z", _fill(colour, 0.85))


def _stage(brush: Brush) -> Iterator[str]:
    """Spotlights, and an audience."""
    for step in range(4):
        top, foot = 110 + step * 140, brush.chance.randint(60, 580)
        yield _path(
            f"M{top} -20L{foot - 90} 330h180z", _fill((brush.light, brush.accent)[step % 2], 0.24)
        )
    yield _oval(320, 318, 270, 30, _fill(brush.light, 0.35))
    for step in range(11):
        radius = brush.chance.randint(24, 34)
        x, y = step * 64, HEIGHT - brush.chance.randint(4, 20)
        yield _circle(x, y - radius, radius * 0.62, _fill(brush.ground))
        yield _oval(x, y + 22, radius * 1.3, 40, _fill(brush.ground))


def _stars(brush: Brush) -> Iterator[str]:
    """A night sky with a ringed planet."""
    for _ in range(70):
        x, y = brush.chance.randint(0, WIDTH), brush.chance.randint(0, HEIGHT)
        yield _circle(x, y, brush.chance.choice((1, 1.5, 2.5)), _fill(brush.light, 0.85))
    x, y = brush.chance.randint(380, 480), brush.chance.randint(140, 210)
    yield _circle(x, y, 84, _fill(brush.accent))
    yield _path(f"M{x - 84} {y}a84 84 0 0 0 168 0q-84 40-168 0z", _fill(brush.deep, 0.35))
    ring = _line(brush.light, 7, 0.9)
    yield _oval(x, y, 150, 34, f'{ring} transform="rotate(-18 {x} {y})"')
    yield _circle(120, 90, 26, _fill(brush.middle))


def _tiles(brush: Brush) -> Iterator[str]:
    """Quarter circles and squares, as on an old poster."""
    colours = (brush.middle, brush.light, brush.accent, brush.deep, brush.ground)
    turns = (
        "v{s}h-{s}a{s} {s} 0 0 1 {s}-{s}",
        "h{s}v{s}a{s} {s} 0 0 1-{s}-{s}",
        "h-{s}v{s}a{s} {s} 0 0 0 {s}-{s}",
    )
    for number in range(32):
        x, y = number % 8 * 90, number // 8 * 90
        yield _path(f"M{x} {y}h90v90h-90z", _fill(brush.chance.choice(colours)))
        turn = brush.chance.choice(turns).format(s=90)
        start = x if turn.startswith("h9") else x + 90
        yield _path(f"M{start} {y}{turn}z", _fill(brush.chance.choice(colours)))


def _confetti(brush: Brush) -> Iterator[str]:
    """Paper in the air."""
    colours = (brush.light, brush.accent, brush.middle, brush.deep)
    for _ in range(80):
        x, y = brush.chance.randint(0, WIDTH), int(HEIGHT * brush.chance.random() ** 1.5)
        turn, size = brush.chance.randint(0, 179), brush.chance.randint(7, 17)
        turned = f'transform="rotate({turn} {x} {y})"'
        yield _box(x, y, size, size * 2, f"{_fill(brush.chance.choice(colours), 0.95)} {turned}")
    for step in range(3):
        yield _path(f"M{80 + step * 200} {HEIGHT}q60-90 0-170t40-190", _line(colours[step], 6, 0.7))


def _pitch(brush: Brush) -> Iterator[str]:
    """A field seen from above."""
    for step in range(0, 8, 2):
        yield _path(f"M{step * 80} 0h80v{HEIGHT}h-80z", _fill(brush.middle, 0.35))
    yield _path(
        f"M320 24v{HEIGHT - 48}M24 24h592v{HEIGHT - 48}H24zM24 100h100v160H24M616 100H516v160h100",
        _line(brush.light, 5, 0.9),
    )
    yield _circle(320, 180, 62, _line(brush.light, 5, 0.9))
    x, y = brush.chance.randint(190, 450), brush.chance.randint(90, 270)
    yield _circle(x, y, 17, _fill(brush.accent))


def _film(brush: Brush) -> Iterator[str]:
    """A projector's light, and the edges of the film."""
    yield _path("M70 180L640 10v340z", _fill(brush.light, 0.28))
    yield _path("M70 180L640 90v180z", _fill(brush.light, 0.4))
    yield _circle(90, 180, 54, _fill(brush.ground))
    yield _circle(90, 180, 26, _fill(brush.accent))
    for x in range(12, WIDTH, 46):
        for y in (14, HEIGHT - 40):
            yield _box(x, y, 24, 26, _fill(brush.ground, 0.9))


def _skyline(brush: Brush) -> Iterator[str]:
    """Houses in the evening with some lights on."""
    yield _circle(brush.chance.randint(120, 520), 90, 48, _fill(brush.accent))
    for step in range(9):
        height = brush.chance.randint(110, 260)
        x, y = step * 74 - 8, HEIGHT - height
        yield _path(f"M{x} {y}h68v{height}h-68z", _fill((brush.ground, brush.deep)[step % 2], 0.95))
        for window in range(6):
            if brush.chance.random() < 0.6:
                left, top = x + 12 + window % 2 * 26, y + 18 + window // 2 * 34
                yield _path(f"M{left} {top}h16v18h-16z", _fill(brush.light, 0.9))


def _arches(brush: Brush) -> Iterator[str]:
    """Rainbows of a few sizes."""
    colours = (brush.light, brush.accent, brush.middle, brush.deep)
    for x in (brush.chance.randint(90, 200), brush.chance.randint(360, 440), 600):
        for step, colour in enumerate(colours):
            radius = brush.chance.randint(150, 170) - step * 34
            yield _circle(x, HEIGHT, max(radius, 20), _line(colour, 24))
    yield _circle(math.floor(brush.chance.random() * 300) + 170, 90, 40, _fill(brush.light))


MOTIFS: dict[str, Callable[[Brush], Iterator[str]]] = {
    "rings": _rings,
    "tiles": _tiles,
    "waves": _waves,
    "confetti": _confetti,
    "hills": _hills,
    "arches": _arches,
    "skyline": _skyline,
    "stars": _stars,
    "stage": _stage,
    "pitch": _pitch,
    "film": _film,
}
