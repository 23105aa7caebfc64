"""Nothing hangs: what must end has ended, at most its bound after its time."""

from collections.abc import Iterator
from datetime import datetime

from ticketing.audit.facts import Bounds, Facts, Order, Violation


def check_expiry(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """No order is still unpaid long after its time."""
    for order in facts.orders.values():
        late = facts.read_at - order.terms.expires_at
        if order.terms.status == "created" and late > bounds.expiry:
            found = f"created, {late.total_seconds():.0f} s past its time"
            yield _violation("expiry", order, "cancelled", found)


def check_awaiting(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """No order hangs between authorisation and capture."""
    for order in facts.orders.values():
        if order.terms.status != "awaiting:payment":
            continue
        timeline = facts.timelines.get(f"order:{order.id}")
        since = (timeline and timeline.awaiting_since) or order.updated_at
        waited = facts.read_at - since
        if waited >= bounds.awaiting:
            found = f"waits for {waited.total_seconds():.0f} s"
            yield _violation("awaiting", order, "complete, or cancelled", found)


def check_authorised(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """No card is authorised for long without being charged or let go."""
    for order_id, intents in facts.intents.items():
        for intent in intents:
            since = intent.authorised_at
            if intent.status != "requires_capture" or since is None:
                continue
            waited = facts.read_at - since
            if waited >= bounds.authorised:
                about = f"payment {intent.id} of order {order_id}"
                found = f"authorised for {waited.total_seconds():.0f} s"
                expected = "captured, or let go"
                yield Violation("authorised", about, expected, found, frozenset({order_id}))


def check_release(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """No cancelled order still owes its units."""
    for order in facts.orders.values():
        if not order.release_pending:
            continue
        if order.terms.status != "cancelled":
            yield _violation("release", order, "units that stay", "a release is pending")
        elif facts.read_at - order.updated_at >= bounds.release:
            found = f"pending since {_clock(order.updated_at)}"
            yield _violation("release", order, "units given back", found)


def check_settling(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """No payment waits for a next move that nobody makes."""
    for payment in facts.payments.values():
        due = payment.settle_at
        if due is not None and facts.read_at - due > bounds.settling:
            found = f"due since {_clock(due)}, intent {payment.intent_status or 'none'}"
            about = f"payment of order {payment.id}"
            yield Violation("settling", about, "settled", found, frozenset({payment.id}))


def _clock(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _violation(check: str, order: Order, expected: str, found: str) -> Violation:
    ids = frozenset({order.id, order.ticket_id})
    return Violation(check, f"order {order.id}", expected, found, ids)
