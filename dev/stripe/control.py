"""What the control address sets: faults of requests, and how webhooks are sent.

Kept in memory: a restarted emulator behaves well.
"""

import threading
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, cast

from dev.stripe.errors import Json

KINDS = ("slow", "error", "drop")
MOMENTS = ("before", "after")
MODES = ("normal", "twice", "late", "out_of_order", "none")
NUMBER = (int, float)
AFTER = 0.2  # seconds; Stripe's own webhooks hardly ever overtake the answer to what caused them


class ControlError(ValueError):
    """The control address was given something it does not know."""


@dataclass
class Fault:
    """One way to misbehave; `times` counts down, None means until reset."""

    kind: str
    when: str = "before"
    seconds: float = 1.0
    status: int = 500
    stored: bool = False
    method: str = "*"
    path: str = "*"
    times: int | None = None

    def matches(self, method: str, path: str) -> bool:
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path)


@dataclass(frozen=True)
class WebhookMode:
    mode: str = "normal"
    seconds: float = 1.0


@dataclass(frozen=True)
class Plan:
    """When a webhook is to be sent; among those due at once the lower rank goes first."""

    due: float
    rank: int = 0
    state: str = "pending"


@dataclass
class Controls:
    faults: list[Fault] = field(default_factory=list[Fault])
    webhooks: WebhookMode = field(default_factory=WebhookMode)
    waiting: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._window_ends = 0.0
        self._held = 0

    def add_fault(self, given: Any) -> None:
        types = {
            "kind": str, "when": str, "seconds": NUMBER, "status": int, "stored": bool,
            "method": str, "path": str, "times": int,
        }  # fmt: skip
        fault = Fault(**_checked(given, types, "kind"))
        _expect(fault.kind in KINDS, f"kind is one of {', '.join(KINDS)}")
        _expect(fault.when in MOMENTS, f"when is one of {', '.join(MOMENTS)}")
        _expect(400 <= fault.status <= 599, "status is from 400 to 599")
        _expect(fault.times is None or fault.times > 0, "times is at least 1")
        _expect(0 <= fault.seconds <= 3600, "seconds is from 0 to 3600")
        with self._lock:
            self.faults.append(fault)

    def set_webhooks(self, given: Any) -> None:
        mode = WebhookMode(**_checked(given, {"mode": str, "seconds": NUMBER}, "mode"))
        _expect(mode.mode in MODES, f"mode is one of {', '.join(MODES)}")
        _expect(0 <= mode.seconds <= 3600, "seconds is from 0 to 3600")
        self.webhooks = mode

    def reset(self) -> None:
        """Behave well again; requests that are being slow go on at once."""
        with self._lock:
            self.faults.clear()
            self.webhooks = WebhookMode()
            self._released.set()
            self._released = threading.Event()

    def take_fault(self, method: str, path: str) -> Fault | None:
        """The first fault that this request is to suffer."""
        with self._lock:
            fault = next((each for each in self.faults if each.matches(method, path)), None)
            if fault and fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
            return fault

    def wait(self, seconds: float) -> None:
        """Be slow; a reset ends it."""
        with self._lock:
            released = self._released
            self.waiting += 1
        released.wait(seconds)
        with self._lock:
            self.waiting -= 1

    def plan(self, now: float) -> list[Plan]:
        """How often and when the event of this moment is sent."""
        mode = self.webhooks
        if mode.mode == "out_of_order":
            return [self._newest_first(now, mode.seconds)]
        return {
            "normal": [Plan(now + AFTER)],
            "twice": [Plan(now + AFTER), Plan(now + AFTER)],
            "late": [Plan(now + mode.seconds)],
            "none": [Plan(now, state="withheld")],
        }[mode.mode]

    def _newest_first(self, now: float, seconds: float) -> Plan:
        """Hold what happens within a window, then send it backwards."""
        with self._lock:
            if now >= self._window_ends:
                self._window_ends = now + seconds
            self._held += 1
            return Plan(self._window_ends, -self._held)

    def shown(self) -> Json:
        with self._lock:
            return {
                "faults": [asdict(fault) for fault in self.faults],
                "webhooks": asdict(self.webhooks),
                "waiting": self.waiting,
            }


def _checked(given: Any, types: dict[str, Any], required: str) -> Json:
    _expect(isinstance(given, dict), "an object is expected")
    fields = cast(Json, given)
    _expect(required in fields, f"{required} is missing")
    for name, value in fields.items():
        _expect(name in types, f"{name} is not known")
        right = isinstance(value, types[name]) and (
            types[name] is bool or not isinstance(value, bool)
        )
        _expect(right, f"{name} has the wrong type")
    return fields


def _expect(truth: bool, message: str) -> None:
    if not truth:
        raise ControlError(message)
