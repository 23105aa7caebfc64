"""Which fault happens when: decided by the seed alone, before anything starts."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

WEBS = ["auth-web", "tickets-web", "orders-web", "payments-web", "live-web"]
WORKERS = ["auth-worker", "tickets-worker", "orders-worker", "payments-worker"]
OTHERS = ["expiration-worker", "alarms", "nats", "valkey", "stripe", "gateway"]
DATABASES = ["auth-db", "tickets-db", "orders-db", "payments-db"]

# What money and units pass through is hit twice as often as the rest.
PARTS = [*WEBS, *WORKERS, *OTHERS, *DATABASES]
WEIGHTS = [2 if part.startswith(("orders", "payments", "nats", "stripe")) else 1 for part in PARTS]

SPEAKERS = ["tickets-web", "orders-web", "orders-worker", "payments-web", "payments-worker"]

FIRST = 3.0  # seconds until the first fault
GAPS = (0.5, 4.5)  # seconds between two faults
FROZEN = (0.5, 7.0)  # seconds that a part stands still
MISBEHAVING = (2.0, 10.0)  # seconds that Stripe or its webhooks misbehave

_INTENTS = "/v1/payment_intents"
CALLS = ["*", _INTENTS, f"{_INTENTS}/*/confirm", f"{_INTENTS}/*/capture", f"{_INTENTS}/*/cancel"]


@dataclass(frozen=True)
class Fault:
    """One thing that is done to the system, `at` seconds from the start."""

    at: float
    kind: str
    part: str = ""
    command: tuple[tuple[str, str | int | float], ...] = ()
    times: int = 0

    def __str__(self) -> str:
        details = " ".join(f"{name}={value}" for name, value in self.command)
        return " ".join(filter(None, [self.kind, self.part, details, str(self.times or "")]))


def make(seed: int, seconds: float) -> list[Fault]:
    """All faults of a run in the order in which they happen."""
    dice = random.Random(f"faults {seed}")  # noqa: S311 - must be repeatable
    faults: list[Fault] = []
    at = FIRST
    while at < seconds:
        faults += _one(dice, at)
        at += dice.uniform(*GAPS)
    return sorted((fault for fault in faults if fault.at < seconds), key=lambda fault: fault.at)


def _one(dice: random.Random, at: float) -> Iterator[Fault]:
    kind = dice.choices(
        ["kill", "freeze", "restart", "stripe", "webhooks", "repeat", "silence"],
        [9, 5, 2, 5, 3, 3, 3],
    )[0]
    part = dice.choices(PARTS, WEIGHTS)[0]
    match kind:
        case "freeze":
            yield Fault(at, "freeze", part)
            yield Fault(at + dice.uniform(*FROZEN), "thaw", part)
        case "stripe":
            yield Fault(at, "stripe", command=_misbehaviour(dice))
            yield Fault(at + dice.uniform(*MISBEHAVING), "stripe heals")
        case "webhooks":
            mode = dice.choice(["twice", "late", "out_of_order", "none"])
            seconds = round(dice.uniform(0.5, 5), 1)
            yield Fault(at, "webhooks", command=(("mode", mode), ("seconds", seconds)))
            yield Fault(at + dice.uniform(*MISBEHAVING), "stripe heals")
        case "silence":
            # Who dies before NATS can hear it leaves its events in outboxes.
            until = at + dice.uniform(2, FROZEN[1])
            yield Fault(at, "freeze", "nats")
            for speaker in dice.sample(SPEAKERS, 2):
                yield Fault(dice.uniform(at + 1, until), "kill", speaker)
            yield Fault(until, "thaw", "nats")
        case "repeat":
            yield Fault(at, "repeat", times=dice.randint(1, 60))
        case _:
            yield Fault(at, kind, part)


def _misbehaviour(dice: random.Random) -> tuple[tuple[str, str | int | float], ...]:
    """How Stripe fails: slowly, with an error or with no answer, before or after the effect."""
    kind = dice.choice(["slow", "error", "drop"])
    fault: dict[str, str | int | float] = {"kind": kind, "path": dice.choice(CALLS)}
    fault["when"] = dice.choice(["before", "after"])
    if kind == "slow":
        # Sometimes longer than payments waits for an answer.
        fault["seconds"] = round(dice.choice([dice.uniform(0.2, 3), dice.uniform(10.5, 13)]), 1)
    if kind == "error":
        fault["status"] = dice.choice([500, 502, 503, 409, 429])
    if dice.random() < 0.5:
        fault["times"] = dice.randint(1, 6)
    return tuple(fault.items())
