"""Sales by the day as bars, in the units of an SVG's view box."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 600, 160
GAP = 0.25  # of a bar's place that stays empty


@dataclass(frozen=True)
class Bar:
    day: date
    units: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    bars: tuple[Bar, ...]

    @property
    def most(self) -> int:
        return max(bar.units for bar in self.bars)

    @property
    def summary(self) -> str:
        """What the picture shows, in words."""
        sold = sum(bar.units for bar in self.bars)
        if not sold:
            return f"Nothing was sold in the last {len(self.bars)} days."
        best = max(self.bars, key=lambda bar: bar.units)
        return (
            f"{sold:,} sold in the last {len(self.bars)} days, "
            f"most on {best.day.day} {best.day:%b}: {best.units:,}."
        )


def chart(days: Sequence[tuple[date, int]]) -> Chart:
    place = WIDTH / len(days)
    most = max(1, *(units for _, units in days))
    bars: list[Bar] = []
    for number, (day, units) in enumerate(days):
        # The least bar is one that can be seen.
        height = max(3.0, round(HEIGHT * units / most, 2)) if units else 0.0
        x = round((number + GAP / 2) * place, 2)
        width = round(place * (1 - GAP), 2)
        bars.append(Bar(day, units, x, round(HEIGHT - height, 2), width, height))
    return Chart(tuple(bars))
