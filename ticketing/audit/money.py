"""Promise 1, nobody is charged without a ticket and nobody gets one without paying."""

from collections.abc import Iterator

from ticketing.audit.facts import Bounds, Facts, Intent, Order, Violation

FIRST = (0, 0)  # epoch and version of the event that an order begins with


def check_paid(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Every complete order has exactly one captured payment, of exactly its total."""
    del bounds
    for order in facts.orders.values():
        if order.terms.status != "complete":
            continue
        captured = [intent for intent in facts.intents.get(order.id, []) if intent.captured]
        terms = order.terms
        if [(i.captured, i.currency) for i in captured] != [(terms.amount, terms.currency)]:
            expected = f"one captured payment of {terms.amount} {terms.currency}"
            yield _violation("paid", order, expected, _listed(captured))
        elif problem := _of_other_payment(facts, order, captured[0]):
            yield _violation("paid", order, f"the payment {captured[0].id}", problem)


def _of_other_payment(facts: Facts, order: Order, captured: Intent) -> str:
    """Why the captured intent is not that of the order's payment; nothing if it is."""
    payment = facts.payments.get(order.id)
    if payment is None:
        return "payments does not know the order"
    if payment.intent_id != captured.id:
        return f"payments knows {payment.intent_id}"
    if order.terms.payment != (payment.payment_id, payment.attempts):
        return f"the order names {order.terms.payment}"
    return ""


def check_captured(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Money that was taken and not given back belongs to an order that is complete."""
    del bounds
    for order_id, intents in facts.intents.items():
        order = facts.orders.get(order_id)
        status = order.terms.status if order else "missing"
        for intent in intents:
            if intent.net > 0 and status != "complete":
                expected = "a complete order, or the money given back"
                found = f"{intent.net} {intent.currency} kept, the order is {status}"
                about = f"payment {intent.id} of order {order_id}"
                yield Violation("captured", about, expected, found, frozenset({order_id}))
            if intent.refunded > intent.captured:
                about = f"payment {intent.id} of order {order_id}"
                found = f"{intent.refunded} given back"
                expected = f"at most {intent.captured}"
                yield Violation("captured", about, expected, found, frozenset({order_id}))


def check_committed(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Money is taken after the order was committed, never before."""
    del bounds
    for aggregate, timeline in facts.timelines.items():
        order_id = aggregate.partition(":")[2]
        order = facts.timelines.get(f"order:{order_id}")
        if not timeline.captured_at or order is None or FIRST not in order.events:
            continue  # without the order's beginning the stream can't tell
        if not 0 < order.committed_at < timeline.captured_at:
            about, place = f"payment of order {order_id}", order.committed_at or "never"
            found = f"captured at #{timeline.captured_at}, committed at #{place}"
            yield Violation("committed", about, "a commit before", found, frozenset({order_id}))


def check_refunds(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """A paid order shows what was given back."""
    del bounds
    for order in facts.orders.values():
        if order.terms.status == "complete":
            given = sum(intent.refunded for intent in facts.intents.get(order.id, []))
            if order.terms.refunded != given:
                yield _violation("refunds", order, f"{given} refunded", f"{order.terms.refunded}")


def check_owed(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Money that was to go back to a buyer has gone there."""
    for order_id, intents in facts.intents.items():
        payment = facts.payments.get(order_id)
        wished_at = payment and payment.wished_at
        late = wished_at is not None and facts.read_at - wished_at >= bounds.refund
        for intent in intents:
            if intent.net > 0 and (intent.refund_failed or late):
                why = "the last refund failed" if intent.refund_failed else "an admin asked for it"
                found = f"{intent.net} {intent.currency} kept, {why}"
                about = f"payment {intent.id} of order {order_id}"
                yield Violation("owed", about, "the money given back", found, frozenset({order_id}))


def check_bank(facts: Facts, bounds: Bounds) -> Iterator[Violation]:
    """Payments knows of each intent what Stripe knows."""
    del bounds
    for payment in facts.payments.values():
        if payment.intent_id is None:
            continue
        known = (payment.intent_status, payment.captured, payment.refunded)
        found = [i for i in facts.intents.get(payment.id, []) if i.id == payment.intent_id]
        real = [(i.status, i.captured, i.refunded) for i in found]
        if real != [known]:
            about = f"payment {payment.intent_id} of order {payment.id}"
            expected = ", ".join(map(_state, real)) or "an intent that Stripe knows"
            yield Violation("bank", about, expected, _state(known), frozenset({payment.id}))


def _state(state: tuple[str, int, int]) -> str:
    return f"{state[0]}, {state[1]} captured, {state[2]} refunded"


def _listed(intents: list[Intent]) -> str:
    found = [f"{i.id} of {i.captured} {i.currency}" for i in intents]
    return ", ".join(found) or "no captured payment"


def _violation(check: str, order: Order, expected: str, found: str) -> Violation:
    return Violation(check, f"order {order.id}", expected, found, frozenset({order.id}))
