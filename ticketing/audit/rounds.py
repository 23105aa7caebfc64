"""Runs all checks; what looks wrong is looked at again, as it may only have been in motion."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ticketing.audit import money, replicas, timing, units, versions
from ticketing.audit.bank import Bank
from ticketing.audit.facts import Bounds, Facts, Violation
from ticketing.audit.sources import Databases
from ticketing.audit.stream import History

AGAIN = 5  # times that a suspicion is looked at before it is reported
PAUSE = 2.0  # seconds before each


@dataclass(frozen=True)
class Check:
    """One invariant: its number in docs/promises.md, what it looks at and how many of those."""

    number: int
    name: str
    run: Callable[[Facts, Bounds], Iterator[Violation]]
    count: Callable[[Facts], int]


@dataclass(frozen=True)
class Result:
    """What the checks found; the facts are those of the first round, which saw everything."""

    facts: Facts
    counts: dict[str, int]
    violations: list[Violation]


@dataclass(frozen=True)
class Audit:
    databases: Databases
    bank: Bank
    history: History
    again: int = AGAIN
    pause: float = PAUSE

    def run(self, bounds: Bounds) -> Result:
        """Check everything, then again what seemed wrong, until it is gone or proven."""
        facts = self._read_all()
        suspects = find(facts, bounds)
        counts = {check.name: check.count(facts) for check in CHECKS}
        for _ in range(self.again):
            if not suspects:
                break
            time.sleep(self.pause)
            suspects = self._look_again(facts, suspects, bounds)
        return Result(facts, counts, list(suspects.values()))

    def _read_all(self) -> Facts:
        facts = Facts(datetime.now(UTC))
        self.bank.read(facts)
        self.databases.read(facts)
        self.history.read(facts)
        return facts

    def _look_again(
        self, first: Facts, suspects: dict[tuple[str, str], Violation], bounds: Bounds
    ) -> dict[tuple[str, str], Violation]:
        ids = frozenset[str]().union(*(violation.ids for violation in suspects.values()))
        facts = Facts(datetime.now(UTC))
        self.databases.read(facts, ids)
        self.bank.read_again(facts, _intents(first, facts, ids))
        self.history.read(facts)
        found = find(facts, bounds)
        return {key: violation for key, violation in found.items() if key in suspects}


def _intents(first: Facts, now: Facts, ids: frozenset[str]) -> set[str]:
    """The intents of these orders: those that Stripe listed, and those made since."""
    listed = {intent.id for key in ids for intent in first.intents.get(key, [])}
    known = {payment.intent_id for payment in now.payments.values() if payment.intent_id}
    return listed | known


def find(facts: Facts, bounds: Bounds) -> dict[tuple[str, str], Violation]:
    """Everything that is wrong with these facts."""
    return {violation.key: violation for check in CHECKS for violation in check.run(facts, bounds)}


def _blocks(facts: Facts) -> int:
    return sum(len(blocks) for blocks in facts.blocks.values())


def _entries(facts: Facts) -> int:
    return sum(len(block.taken) for blocks in facts.blocks.values() for block in blocks)


def _intent_count(facts: Facts) -> int:
    return sum(len(intents) for intents in facts.intents.values())


def _captures(facts: Facts) -> int:
    return sum(timeline.captured_at > 0 for timeline in facts.timelines.values())


def _orders(*statuses: str) -> Callable[[Facts], int]:
    return lambda facts: sum(o.terms.status in statuses for o in facts.orders.values())


CHECKS = [
    Check(1, "blocks", units.check_blocks, _blocks),
    Check(1, "held", units.check_held, _orders("created", "awaiting:payment", "complete")),
    Check(1, "taken", units.check_taken, _entries),
    Check(1, "capacity", units.check_capacity, lambda facts: len(facts.followed)),
    Check(2, "paid", money.check_paid, _orders("complete")),
    Check(2, "captured", money.check_captured, _intent_count),
    Check(2, "committed", money.check_committed, _captures),
    Check(2, "refunds", money.check_refunds, _orders("complete")),
    Check(2, "owed", money.check_owed, _intent_count),
    Check(3, "expiry", timing.check_expiry, _orders("created")),
    Check(3, "awaiting", timing.check_awaiting, _orders("awaiting:payment")),
    Check(3, "authorised", timing.check_authorised, _intent_count),
    Check(3, "release", timing.check_release, _orders("cancelled")),
    Check(3, "settling", timing.check_settling, lambda facts: len(facts.payments)),
    Check(4, "ticket replica", replicas.check_tickets, lambda facts: len(facts.offers)),
    Check(4, "order replica", replicas.check_orders, lambda facts: len(facts.orders)),
    Check(4, "stock replica", replicas.check_stocks, lambda facts: len(facts.announced)),
    Check(4, "announced", replicas.check_announced, lambda facts: len(facts.announced)),
    Check(4, "bank", money.check_bank, lambda facts: len(facts.payments)),
    Check(4, "outbox", replicas.check_outboxes, lambda facts: len(facts.heads)),
    Check(5, "versions", versions.check_versions, lambda facts: len(facts.timelines)),
    Check(5, "told", versions.check_told, lambda facts: len(facts.heads)),
]
