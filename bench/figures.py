"""What a measurement is: samples, rounds, and the figures that are taken from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One stretch of load. Times are in milliseconds."""

    seconds: float
    requests: int
    errors: int  # answers other than 2xx, and requests without any
    p50: float
    p95: float
    p99: float
    statuses: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Round:
    """The floor and the load, one right after the other, so that both met the same machine."""

    load: Sample
    floor: Sample | None = None

    @property
    def ratio(self) -> float | None:
        return self.load.rate / self.floor.rate if self.floor and self.floor.rate else None


@dataclass(frozen=True)
class Cost:
    """What the load took: seconds of CPU and bytes of memory by process, operations by database."""

    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    operations: Mapping[str, int]


@dataclass(frozen=True)
class Result:
    """One scenario."""

    name: str
    about: str
    rounds: Sequence[Round]
    cost: Cost
    floor_about: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def load(self) -> Sample:
        return middle([each.load for each in self.rounds])

    @property
    def floor(self) -> Sample | None:
        floors = [each.floor for each in self.rounds if each.floor]
        return middle(floors) if floors else None

    @property
    def ratio(self) -> float | None:
        ratios = [each.ratio for each in self.rounds if each.ratio is not None]
        return median(ratios) if ratios else None

    @property
    def requests(self) -> int:
        return sum(each.load.requests for each in self.rounds)

    @property
    def errors(self) -> int:
        return sum(each.load.errors for each in self.rounds)

    def to_json(self) -> dict[str, Any]:
        each = max(self.requests, 1)
        return {
            "name": self.name,
            "about": self.about,
            "rate": round(self.load.rate, 1),
            **{name: round(getattr(self.load, name), 2) for name in ("p50", "p95", "p99")},
            "requests": self.requests,
            "errors": self.errors,
            "statuses": added(each.load.statuses for each in self.rounds),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "floor": self.floor_about,
            "floor_rate": round(self.floor.rate, 1) if self.floor else None,
            "cpu_ms": {k: round(v / each * 1000, 3) for k, v in self.cost.cpu.items()},
            "memory_mb": {k: round(v / 1e6, 1) for k, v in self.cost.memory.items()},
            "operations": {k: round(v / each, 2) for k, v in self.cost.operations.items()},
            "rounds": [asdict(each) for each in self.rounds],
            "notes": dict(self.notes),
        }


def middle(samples: Sequence[Sample]) -> Sample:
    """The sample with the median rate: it stands for all, with its own times."""
    return sorted(samples, key=lambda sample: sample.rate)[len(samples) // 2]


def between(first: Sample, second: Sample) -> Sample:
    """What would have been measured between two stretches: of each figure the mean."""
    times = (fmean((getattr(first, name), getattr(second, name))) for name in ("p50", "p95", "p99"))
    return Sample(
        first.seconds + second.seconds,
        first.requests + second.requests,
        first.errors + second.errors,
        *times,
        statuses=added((first.statuses, second.statuses)),
    )


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, added up."""
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def sample(
    times: Iterable[float],
    seconds: float,
    errors: int = 0,
    statuses: Mapping[str, int] | None = None,
) -> Sample:
    """A sample of requests whose times, in milliseconds, are known one by one."""
    ordered = sorted(times)
    p50, p95, p99 = (quantile(ordered, share) for share in (0.50, 0.95, 0.99))
    return Sample(seconds, len(ordered), errors, p50, p95, p99, statuses or {})


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of an ordered list does not exceed; 0 where there is none."""
    if not ordered:
        return 0.0
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
