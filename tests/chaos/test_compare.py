"""The comparison: what a client was told must be so, whatever was forgotten or undone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dev.chaos.compare import Told, compare
from dev.chaos.history import Answer, History
from ticketing.audit.facts import Facts, Intent, Offer, Order, Payment, Terms

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TICKET, ORDER, PAYMENT = "7" * 24, "0" * 24, "9" * 24

TERMS = Terms(0, 2, "complete", None, "ann", "Show", 2, 4000, "usd", NOW, (PAYMENT, 1), 0)
SEEN: dict[str, Any] = {
    "id": ORDER,
    "status": "complete",
    "version": 2,
    "total": 40.0,
    "expiresAt": "2026-01-01T00:00:00Z",
}
TOLD = Told(
    {
        (ORDER, version): {"status": status}
        for version, status in enumerate(["created", "awaiting:payment", "complete"])
    },
    {(TICKET, 0): {"title": "Show", "quantity": 2}},
)


def answer(method: str, path: str, status: int, body: Any = None, **more: Any) -> Answer:
    given: dict[str, Any] = {"key": "", "sent": None, "begun": 1.0, "ended": 2.0, **more}
    return Answer(
        "ann", "ann", method, path, given["key"], given["sent"], given["begun"], given["ended"],
        status, body,
    )  # fmt: skip


def reserved(**more: Any) -> Answer:
    body = {**SEEN, "status": "created", "version": 0}
    sent = {"ticketId": TICKET, "quantity": 2}
    return answer("POST", "/api/orders", 201, body, sent=sent, **more)


def looked(version: int = 2, status: str = "complete", **more: Any) -> Answer:
    body = {**SEEN, "version": version, "status": status}
    return answer("GET", f"/api/orders/{ORDER}", 200, body, **more)


PAID = answer(
    "POST", "/api/payments", 201, {"id": PAYMENT, "status": "authorized"}, sent={"orderId": ORDER}
)
OFFERED = answer(
    "POST",
    "/api/tickets",
    201,
    {"id": TICKET, "title": "Show", "quantity": 2, "version": 0},
)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history.jsonl")
    yield history
    history.close()


@pytest.fixture
def facts() -> Facts:
    facts = Facts(NOW)
    facts.orders[ORDER] = Order(ORDER, TERMS, TICKET, ((f"{TICKET}:0", 2),), NOW, False)
    facts.offers[TICKET] = Offer(0, 0, "sue", "Show", 2000, "usd", 2, False)
    facts.payments[ORDER] = Payment(
        ORDER, PAYMENT, TERMS, "pi_1", "succeeded", 4000, 0, 1, "authorized", None, None
    )
    return facts


def found(history: History, facts: Facts, told: Told, *answers: Answer) -> set[str]:
    for each in answers:
        history.note(each)
    return {violation.check for violation in compare(history, facts, told)}


def test_what_is_so_is_fine(history: History, facts: Facts) -> None:
    later = looked(begun=5.0, ended=6.0)
    assert found(history, facts, TOLD, OFFERED, reserved(), PAID, looked(), later) == set()


def test_faults_are_no_violations(history: History, facts: Facts) -> None:
    answers = [answer("GET", "/", status) for status in (0, 400, 404, 502, 503, 504)]
    broken = replace(answer("GET", "/", 500), body="Internal Server Error")  # the gateway's words
    assert found(history, facts, TOLD, *answers, broken) == set()


@pytest.mark.parametrize("status", [500, 401, 403, 422])
def test_an_answer_that_nobody_should_get(history: History, facts: Facts, status: int) -> None:
    assert found(history, facts, TOLD, answer("GET", "/", status)) == {"answer"}


def test_a_forged_webhook_that_was_believed(history: History, facts: Facts) -> None:
    believed = answer("POST", "/api/payments/webhook", 200)
    refused = replace(believed, status=400)
    assert found(history, facts, TOLD, refused) == set()
    assert found(history, facts, TOLD, believed) == {"forged"}


def test_two_orders_for_one_key(history: History, facts: Facts) -> None:
    other = replace(reserved(key="k"), body={**SEEN, "id": "1" * 24})
    assert "key" in found(history, facts, TOLD, reserved(key="k"), other)


@pytest.mark.parametrize("told", [OFFERED, reserved(), PAID], ids=["ticket", "order", "payment"])
def test_an_acknowledged_thing_that_is_lost(history: History, told: Answer) -> None:
    assert "lost" in found(history, Facts(NOW), TOLD, told)


def test_an_order_that_is_not_what_was_acknowledged(history: History, facts: Facts) -> None:
    sent = {"ticketId": TICKET, "quantity": 1}
    assert found(history, facts, TOLD, replace(reserved(), sent=sent)) == {"lost"}


def test_a_state_that_no_event_told(history: History, facts: Facts) -> None:
    assert found(history, facts, TOLD, looked(1, "created")) == {"untold"}
    assert "untold" in found(history, facts, TOLD, looked(3))


def test_a_ticket_that_no_event_told(history: History, facts: Facts) -> None:
    seen = {"id": TICKET, "title": "Show", "quantity": 3, "version": 0}
    shown = answer("GET", f"/api/tickets/{TICKET}", 200, seen)
    assert found(history, facts, TOLD, shown) == {"untold"}


def test_a_cancellation_that_was_undone(history: History, facts: Facts) -> None:
    cancelled = answer("DELETE", f"/api/orders/{ORDER}", 204)
    assert found(history, facts, TOLD, cancelled) == {"undone"}


def test_a_completion_that_was_undone(history: History, facts: Facts) -> None:
    order = facts.orders[ORDER]
    terms = replace(TERMS, status="cancelled", reason="expired")
    facts.orders[ORDER] = replace(order, terms=terms)
    assert found(history, facts, TOLD, looked()) == {"undone"}


def test_something_older_after_something_newer(history: History, facts: Facts) -> None:
    earlier = looked(2, begun=1.0, ended=2.0)
    later = looked(1, "awaiting:payment", begun=3.0, ended=4.0)
    assert found(history, facts, TOLD, earlier, later) == {"backwards"}


def test_two_looks_at_once_may_cross(history: History, facts: Facts) -> None:
    one = looked(2, begun=1.0, ended=2.0)
    other = looked(1, "awaiting:payment", begun=1.5, ended=4.0)
    assert found(history, facts, TOLD, one, other) == set()


def test_charged_and_refunded_for_an_order_that_ended(history: History, facts: Facts) -> None:
    paid = Intent("pi_1", ORDER, "succeeded", 4000, "usd", 4000, 4000, False, None)
    facts.intents[ORDER] = [paid]
    assert found(history, facts, TOLD) == set()
    order = facts.orders[ORDER]
    facts.orders[ORDER] = replace(order, terms=replace(TERMS, status="cancelled"))
    assert found(history, facts, TOLD) == {"charged"}


def test_more_units_sold_than_ever_wanted(history: History, facts: Facts) -> None:
    order = facts.orders[ORDER]
    facts.orders["1" * 24] = replace(order, id="1" * 24)
    assert found(history, facts, TOLD) == {"oversold"}
