"""QR codes as squares to draw: for pages as SVG, for PDF as rectangles."""

from collections.abc import Iterator
from dataclasses import dataclass

import segno

QUIET = 4  # empty squares around a code, which readers need


@dataclass(frozen=True)
class Run:
    """Dark squares beside each other; everything is counted in squares from the top left."""

    x: int
    y: int
    length: int


@dataclass(frozen=True)
class Drawing:
    size: int  # squares along an edge, with the quiet zone
    runs: tuple[Run, ...]

    @property
    def path(self) -> str:
        """The runs as the `d` of an SVG path."""
        return "".join(f"M{run.x} {run.y}h{run.length}v1h-{run.length}z" for run in self.runs)


def draw(text: str) -> Drawing:
    """A code that stays readable when about a seventh of it is dirty or torn."""
    matrix = segno.make(text, error="m", micro=False).matrix
    runs = tuple(run for y, row in enumerate(matrix) for run in _runs(row, y + QUIET))
    return Drawing(len(matrix) + 2 * QUIET, runs)


def _runs(row: bytearray, y: int) -> Iterator[Run]:
    start = None
    for x, dark in enumerate((*row, 0)):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            yield Run(start + QUIET, y, x - start)
            start = None
