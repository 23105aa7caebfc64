"""Compares what clients were told with what is stored and with what events said."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from dev.chaos.history import Answer, History
from dev.chaos.people import FORGED
from shared.events import OrderEvent, TicketCreated, TicketUpdated
from ticketing.audit.facts import Facts, Violation
from ticketing.audit.rounds import Audit
from ticketing.audit.stream import event_of

UNEXPECTED = {401, 403, 405, 409, 422, 500}  # answers that no honest client may get here
# The gateway's own words where a connection to a service broke under it in a way that it knows no
# better number for. Our services never answer so: their 500 is JSON or a page.
GATEWAY_BROKE = (500, "Internal Server Error")
# Violations which mean that something was acknowledged and is not so, or not so any more.
ACKNOWLEDGED = {"lost", "key", "untold", "undone"}


@dataclass
class Told:
    """What events said of each order and each ticket, by version."""

    orders: dict[tuple[str, int], dict[str, Any]]
    tickets: dict[tuple[str, int], dict[str, Any]]

    def most_wanted(self) -> dict[str, int]:
        """The highest quantity that each ticket's seller ever wanted."""
        most: dict[str, int] = defaultdict(int)
        for (ticket, _), data in self.tickets.items():
            most[ticket] = max(most[ticket], data["quantity"])
        return most


def told(audit: Audit) -> Told:
    return audit.history.bus.run(_told(audit))


async def _told(audit: Audit) -> Told:
    orders: dict[tuple[str, int], dict[str, Any]] = {}
    tickets: dict[tuple[str, int], dict[str, Any]] = {}
    async for message in audit.history.messages():
        event = event_of(message)
        if isinstance(event, OrderEvent):
            orders[event.data.id, event.version] = event.to_dict()["data"]
        elif isinstance(event, TicketCreated | TicketUpdated):
            tickets[event.data.id, event.version] = event.to_dict()["data"]
    return Told(orders, tickets)


def compare(history: History, facts: Facts, events: Told) -> list[Violation]:
    """Everything that a client was told and that is not so."""
    checks = [
        _expected(history),
        _one_result_per_key(history),
        _acknowledged(history, facts),
        _states(history, events),
        _final(history, facts),
        _never_backwards(history),
        _not_oversold(facts, events),
        _not_charged(facts),
    ]
    return [violation for check in checks for violation in check]


def _violation(check: str, about: str, expected: str, found: str, *ids: str) -> Violation:
    return Violation(check, about, expected, found, frozenset(ids))


def _described(answer: Answer) -> str:
    return f"{answer.who} at {answer.ended:.1f} s: {answer.method} {answer.path} {answer.key}"


def _expected(history: History) -> Iterator[Violation]:
    """Faults show as 502, 503, 504 or no answer; anything else is a mistake of ours."""
    for answer in history.answers:
        stale = answer.status in (409, 412) and answer.method == "PUT"
        broken = (answer.status, answer.body) == GATEWAY_BROKE
        if answer.status in UNEXPECTED and not stale and not broken:
            found = f"{answer.status} {answer.body}"
            yield _violation("answer", _described(answer), "another answer", found)
        if answer.path == FORGED and answer.ok:
            yield _violation("forged", _described(answer), "a refusal", str(answer.status))


def _one_result_per_key(history: History) -> Iterator[Violation]:
    """One Idempotency-Key, one thing."""
    results: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for answer in history.answers:
        if answer.key and answer.ok and answer.get("id"):
            results[answer.user, answer.path, answer.key].add(str(answer.get("id")))
    for (_, path, key), ids in results.items():
        if len(ids) > 1:
            yield _violation("key", f"{path} {key}", "one result", ", ".join(sorted(ids)), *ids)


def _acknowledged(history: History, facts: Facts) -> Iterator[Violation]:
    """What was acknowledged exists, as it was acknowledged."""
    payments = {payment.payment_id: payment.id for payment in facts.payments.values()}
    for answer in history.answers:
        if answer.method != "POST" or not answer.ok or not answer.get("id"):
            continue
        key = str(answer.get("id"))
        if answer.path == "/api/tickets" and key not in facts.offers:
            yield _violation("lost", f"ticket {key}", _described(answer), "no such ticket", key)
        if answer.path == "/api/orders" and (problem := _order_lost(answer, facts)):
            yield _violation("lost", f"order {key}", _described(answer), problem, key)
        if answer.path == "/api/payments" and payments.get(key) != answer.sent["orderId"]:
            found = f"it belongs to order {payments.get(key)}"
            yield _violation("lost", f"payment {key}", _described(answer), found, key)


def _order_lost(answer: Answer, facts: Facts) -> str:
    order = facts.orders.get(str(answer.get("id")))
    if order is None:
        return "no such order"
    terms = order.terms
    is_so = (order.ticket_id, terms.quantity, terms.user_id, terms.amount)
    total = round(answer.get("total") * 100)
    was_so = (answer.sent["ticketId"], answer.sent["quantity"], answer.user, total)
    return "" if is_so == was_so else f"{is_so} instead of {was_so}"


def _states(history: History, events: Told) -> Iterator[Violation]:
    """Every state that a client saw was told to everybody, under the same version."""
    for answer in history.answers:
        for seen in _objects(answer):
            key = (str(seen["id"]), int(seen["version"]))
            if "expiresAt" in seen:
                data = events.orders.get(key)
                is_same = data is not None and data["status"] == seen["status"]
            else:
                data = events.tickets.get(key)
                is_same = data is not None and (data["title"], data["quantity"]) == (
                    seen["title"],
                    seen["quantity"],
                )
            if not is_same:
                expected = f"{seen} as seen by {_described(answer)}"
                yield _violation("untold", f"{key[0]} v{key[1]}", expected, str(data), key[0])


def _objects(answer: Answer) -> list[dict[str, Any]]:
    """The orders and tickets in an answer."""
    if answer.status not in (200, 201) or not answer.path.startswith(("/api/orders", "/api/tick")):
        return []
    body: Any = answer.body
    listed = cast(list[Any], body) if isinstance(body, list) else [body]
    return [cast(dict[str, Any], each) for each in listed if _has_version(each)]


def _has_version(found: Any) -> bool:
    return isinstance(found, dict) and "version" in found


def _final(history: History, facts: Facts) -> Iterator[Violation]:
    """What is final stays: cancelled is cancelled, complete is complete."""
    for answer in history.answers:
        for key, status in _final_states(answer):
            order = facts.orders.get(key)
            now = order.terms.status if order else "missing"
            refunded = order is not None and order.terms.reason == "refunded"
            if now != status and not (status == "complete" and refunded):
                expected = f"{status}, as told to {_described(answer)}"
                yield _violation("undone", f"order {key}", expected, now, key)


def _final_states(answer: Answer) -> list[tuple[str, str]]:
    if answer.method == "DELETE" and answer.status == 204 and "/orders/" in answer.path:
        return [(answer.path.rpartition("/")[2], "cancelled")]
    states = [(str(seen["id"]), str(seen.get("status"))) for seen in _objects(answer)]
    return [state for state in states if state[1] in ("complete", "cancelled")]


def _never_backwards(history: History) -> Iterator[Violation]:
    """Who asks again is never told something older."""
    newest: dict[tuple[str, str], tuple[int, float]] = {}
    for answer in sorted(history.answers, key=lambda answer: answer.begun):
        if answer.method == "POST":
            continue  # a repeated request is answered with what it made, not with what is now
        for seen in _objects(answer):
            place = (answer.who, str(seen["id"]))
            known, ended = newest.get(place, (-1, 0.0))
            if seen["version"] < known and ended <= answer.begun:
                found = f"version {seen['version']} by {_described(answer)}"
                yield _violation("backwards", place[1], f"at least {known}", found, place[1])
            newest[place] = max((int(seen["version"]), answer.ended), (known, ended))


def _not_charged(facts: Facts) -> Iterator[Violation]:
    """Nobody was charged for an order that ended, not even until a refund."""
    for order_id, intents in facts.intents.items():
        order = facts.orders.get(order_id)
        status = order.terms.status if order else "missing"
        taken = sum(intent.captured for intent in intents)
        if taken and status != "complete":
            found = f"{taken} taken, the order is {status}"
            yield _violation("charged", f"order {order_id}", "nothing taken", found, order_id)


def _not_oversold(facts: Facts, events: Told) -> Iterator[Violation]:
    """No more units were sold of a ticket than its seller ever wanted to sell."""
    sold: dict[str, int] = defaultdict(int)
    for order in facts.orders.values():
        if order.terms.status == "complete":
            sold[order.ticket_id] += order.terms.quantity
    wanted = events.most_wanted()
    for ticket, units in sold.items():
        if units > wanted.get(ticket, 0):
            expected = f"at most {wanted.get(ticket, 0)} units"
            yield _violation("oversold", f"ticket {ticket}", expected, f"{units} sold", ticket)
