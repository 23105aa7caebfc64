"""What a service knows of another is what that one says; nothing waits in an outbox."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from ticketing.audit.facts import Bounds, Facts, Offer, Stock, Terms, Violation, differences

T = TypeVar("T", Offer, Terms, Stock)


def check_tickets(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Orders knows each ticket as tickets has it."""
    del bounds
    yield from _compare("ticket replica", "ticket", facts.offers, facts.followed, "orders")


def check_orders(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Payments knows each order as orders has it."""
    del bounds
    source = {order.id: order.terms for order in facts.orders.values()}
    known = {payment.id: payment.order for payment in facts.payments.values()}
    yield from _compare("order replica", "order", source, known, "payments")


def check_stocks(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Tickets knows what is free of each ticket as orders announced it."""
    del bounds
    known = {ticket: stock for ticket, stock in facts.stocks.items() if stock}
    yield from _compare("stock replica", "ticket", facts.announced, known, "tickets")
    for ticket in facts.offers.keys() - facts.announced.keys():
        found = "orders announced nothing"
        yield Violation(
            "stock replica", f"ticket {ticket}", "an announcement", found, frozenset({ticket})
        )


def _compare(
    check: str, kind: str, source: Mapping[str, T], known: Mapping[str, T], who: str
) -> Iterator[Violation]:
    for key in source.keys() | known.keys():
        truth, replica = source.get(key), known.get(key)
        if truth == replica:
            continue
        about, ids = f"{kind} {key}", frozenset({key})
        if truth is None:
            yield Violation(check, about, "no such thing", f"{who} knows it", ids)
        elif replica is None:
            yield Violation(check, about, "a replica", f"{who} does not know it", ids)
        else:
            yield Violation(check, about, *differences(truth, replica), ids)


def check_announced(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """What orders announced of each ticket is what its blocks say."""
    del bounds
    for ticket, said in facts.announced.items():
        blocks = facts.blocks.get(ticket, [])
        capacity, free = sum(b.capacity for b in blocks), sum(b.available for b in blocks)
        wanted = facts.followed.get(ticket)
        holders = [entry.order_id for block in blocks for entry in block.taken]
        holder = holders[0] if holders and wanted and wanted.quantity == 1 else None
        truth = Stock(said.epoch, said.version, capacity, free, holder)
        if truth != said:
            about = f"ticket {ticket}"
            yield Violation("announced", about, *differences(truth, said), frozenset({ticket}))


def check_outboxes(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """No event waits in an outbox."""
    del bounds
    for event in facts.waiting:
        about = f"{event.subject} {event.event_id} of {event.aggregate}"
        ids = frozenset({event.aggregate.partition(":")[2]})
        yield Violation("outbox", about, "published", "waiting in its outbox", ids)
