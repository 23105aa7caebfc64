"""What each scenario should reach: its ratio to the floor, requests a second, milliseconds."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    ratio: float | None = None
    rate: float | None = None  # where the machine gives a bare route 8,000/s
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    def text(self) -> str:
        """For the table, such as `0.6, 4,500/s`."""
        parts = [] if self.ratio is None else [f"{self.ratio:g}"]
        parts += [] if self.rate is None else [f"{self.rate:,.0f}/s"]
        for name in ("p50", "p95", "p99"):
            if (limit := getattr(self, name)) is not None:
                parts.append(f"{name} {limit:g} ms")
        return ", ".join(parts)

    def missed(self, result: dict[str, Any]) -> list[str]:
        """Which of its figures a result does not reach."""
        least = [name for name in ("ratio", "rate") if _below(result[name], getattr(self, name))]
        most = [name for name in ("p50", "p95", "p99") if _below(getattr(self, name), result[name])]
        return least + most


def _below(value: float | None, wanted: float | None) -> bool:
    return value is not None and wanted is not None and value < wanted


GOALS = {
    "list-50": Goal(0.8, 6_000),
    "list-many": Goal(0.8, 6_000),
    "ticket": Goal(0.6, 4_500),
    "user": Goal(0.6, 4_500),
    "page": Goal(0.4, 2_500),
    "tickets": Goal(0.6, 800),
    "orders": Goal(0.6, 250),
    "hot": Goal(1.3, 300, p95=800),
    "purchase": Goal(0.5, 25, p95=1_500),
    "events": Goal(p50=20, p99=100),
    "pages": Goal(0.9),
}
