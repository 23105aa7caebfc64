"""Each invariant: silent about a healthy system, heard when one thing in it is damaged."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.chaos.faults import stripe_control
from dev.cli import environment
from shared.events import ExpirationComplete, ExpirationData
from ticketing.audit.facts import AT_REST
from ticketing.audit.rounds import CHECKS
from ticketing.audit.settings import Incomplete, read

from .conftest import Resting

Undo = Callable[[], object]
Damage = Callable[[Resting], Undo]

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


def both(*undone: Undo) -> Undo:
    return lambda: [undo() for undo in undone]


# --- 1: units -------------------------------------------------------------------------------------


def a_block_with_a_unit_too_many(resting: Resting) -> Undo:
    return resting.set("orders.blocks", f"{resting.row}:0", {"available": 2})


def a_unit_taken_twice_by_one_order(resting: Resting) -> Undo:
    block = resting.document("orders.blocks", f"{resting.row}:0")
    return resting.set("orders.blocks", block["_id"], {"taken": block["taken"] * 2})


def an_order_whose_units_are_free(resting: Resting) -> Undo:
    free = {"taken": [], "available": 1}
    return resting.set("orders.blocks", f"{resting.seat}:0", free)


def an_order_of_more_units_than_it_holds(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.paid, {"quantity": 3})


def units_of_a_cancelled_order(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.reserved, {"status": "cancelled"})


def units_of_an_order_that_never_was(resting: Resting) -> Undo:
    entry = {"order_id": "0" * 24, "units": 1, "until": LONG_AGO}
    block = resting.document("orders.blocks", f"{resting.row}:0")
    taken = {"taken": [*block["taken"], entry], "available": 0}
    return resting.set("orders.blocks", block["_id"], taken)


def more_to_sell_than_wanted(resting: Resting) -> Undo:
    return resting.set("orders.blocks", f"{resting.hall}:1", {"capacity": 51, "available": 51})


def less_to_sell_than_wanted(resting: Resting) -> Undo:
    return resting.remove("orders.blocks", f"{resting.hall}:1")


def a_block_that_stayed_open(resting: Resting) -> Undo:
    return both(
        resting.set("orders.tickets", resting.hall, {"withdrawn": True}),
        resting.set("tickets.tickets", resting.hall, {"withdrawn": True}),
    )


# --- 2: money -------------------------------------------------------------------------------------


def a_complete_order_that_nobody_paid(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.reserved, {"status": "complete"})


def a_complete_order_of_another_total(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.paid, {"amount": 100})


def a_complete_order_that_was_paid_twice(resting: Resting) -> Undo:
    return _hand_over(resting, resting.refunded, resting.paid)


def a_complete_order_whose_payment_is_another_ones(resting: Resting) -> Undo:
    pair = {"payment_id": "0" * 24, "attempt": 1}
    return resting.set("orders.orders", resting.paid, {"payment": pair})


def money_for_a_cancelled_order(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.paid, {"status": "cancelled"})


def money_for_no_order(resting: Resting) -> Undo:
    return _hand_over(resting, resting.paid, "0" * 24)


def a_capture_before_the_commit(resting: Resting) -> Undo:
    """The story of another order, told without its commit."""
    begun, paid = (_event(resting, name) for name in ("order.created", "payment.completed"))
    begun = {**begun, "data": {**begun["data"], "id": "4" * 24}}
    paid = {**paid, "data": {**paid["data"], "orderId": "4" * 24}}
    return both(_publish(resting, begun), _publish(resting, paid))


def a_refund_that_the_order_does_not_show(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.refunded, {"refunded": 0})


def a_refund_that_an_admin_asked_for_in_vain(resting: Resting) -> Undo:
    return resting.set("payments.payments", resting.paid, {"wish": {"asked_at": LONG_AGO}})


def a_refund_that_failed_later(resting: Resting) -> Undo:
    client = resting.audit.bank.client.v1
    intent = client.payment_intents.create(
        {
            "amount": 2000,
            "currency": "usd",
            "allowed_payment_method_types": ["card"],
            "payment_method": "pm_card_refundFail",
            "confirm": True,
            "metadata": {"order_id": resting.paid},
        }
    )
    refund = client.refunds.create({"payment_intent": intent.id})
    stripe_control(resting.stack, {"end_refund": refund.id})
    return lambda: client.payment_intents.update(intent.id, {"metadata": {"order_id": ""}})


def _hand_over(resting: Resting, order: str, other: str) -> Undo:
    """Let Stripe say that an order's payment belongs to another order."""
    intent = resting.document("payments.payments", order)["intent"]["id"]
    intents = resting.audit.bank.client.v1.payment_intents
    intents.update(intent, {"metadata": {"order_id": other}})
    return lambda: intents.update(intent, {"metadata": {"order_id": order}})


# --- 3: nothing hangs -----------------------------------------------------------------------------


def an_order_that_should_have_expired(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.reserved, {"expires_at": LONG_AGO})


def an_order_that_waits_for_its_capture(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.reserved, {"status": "awaiting:payment"})


def a_card_that_is_neither_charged_nor_let_go(resting: Resting) -> Undo:
    intents = resting.audit.bank.client.v1.payment_intents
    intent = intents.create(
        {
            "amount": 2000,
            "currency": "usd",
            "capture_method": "manual",
            "allowed_payment_method_types": ["card"],
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"order_id": resting.reserved},
        }
    )
    return lambda: intents.cancel(intent.id)


def a_release_that_nobody_finished(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.cancelled, {"release_pending": True})


def a_release_of_an_order_that_stays(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.paid, {"release_pending": True})


def a_payment_that_nobody_settles(resting: Resting) -> Undo:
    return resting.set("payments.payments", resting.reserved, {"settle_at": LONG_AGO})


# --- 4: replicas and outboxes ---------------------------------------------------------------------


def a_ticket_that_orders_knows_at_another_price(resting: Resting) -> Undo:
    return resting.set("orders.tickets", resting.row, {"unit_amount": 1})


def a_ticket_that_orders_does_not_know(resting: Resting) -> Undo:
    return resting.remove("orders.tickets", resting.seat)


def a_ticket_that_only_orders_knows(resting: Resting) -> Undo:
    return resting.remove("tickets.tickets", resting.seat)


def an_order_that_payments_knows_in_an_older_version(resting: Resting) -> Undo:
    return resting.set("payments.payments", resting.paid, {"order.version": 0})


def an_order_that_payments_does_not_know(resting: Resting) -> Undo:
    return resting.remove("payments.payments", resting.reserved)


def an_order_that_only_payments_knows(resting: Resting) -> Undo:
    return resting.remove("orders.orders", resting.cancelled)


def an_availability_that_tickets_missed(resting: Resting) -> Undo:
    return resting.set("tickets.tickets", resting.row, {"stock.available": 3})


def an_availability_that_was_never_announced(resting: Resting) -> Undo:
    return resting.remove("orders.availability", resting.row)


def an_announcement_that_is_not_true(resting: Resting) -> Undo:
    return both(
        resting.set("orders.availability", resting.row, {"available": 3}),
        resting.set("tickets.tickets", resting.row, {"stock.available": 3}),
    )


def a_capture_that_payments_missed(resting: Resting) -> Undo:
    values = {"intent.status": "requires_capture", "intent.captured": 0}
    return resting.set("payments.payments", resting.paid, values)


def an_event_in_an_outbox(resting: Resting) -> Undo:
    entry = {"id": "1" * 24, "subject": "ticket.updated", "epoch": 0, "version": 1}
    return resting.set("tickets.tickets", resting.row, {"outbox": [entry]})


# --- 5: the stream --------------------------------------------------------------------------------


def one_version_with_two_contents(resting: Resting) -> Undo:
    other = {**_event(resting, "order.created"), "id": "2" * 24}
    other["data"] = {**other["data"], "amount": 1}
    return _publish(resting, other)


def a_version_that_was_skipped(resting: Resting) -> Undo:
    later = _event(resting, "order.completed")
    return both(
        _publish(resting, {**later, "id": "3" * 24, "version": later["version"] + 2}),
        resting.set("orders.orders", resting.paid, {"version": later["version"] + 2}),
    )


def a_state_that_was_never_told(resting: Resting) -> Undo:
    head = resting.document("orders.orders", resting.paid)["version"]
    return resting.set("orders.orders", resting.paid, {"version": head + 1})


def a_document_older_than_what_was_told(resting: Resting) -> Undo:
    return resting.set("orders.orders", resting.paid, {"version": 0})


def _event(resting: Resting, subject: str) -> dict[str, Any]:
    """What the stream holds of the paid order."""

    async def read() -> dict[str, Any]:
        async for message in resting.audit.history.messages():
            if message.subject == subject and resting.paid.encode() in message.payload:
                return json.loads(message.payload)
        raise AssertionError(f"no {subject}")

    return resting.audit.history.bus.run(read())


def _publish(resting: Resting, event: dict[str, Any]) -> Undo:
    """Publish an event, and take it out of the stream again."""
    bus = resting.audit.history.bus
    payload = json.dumps(event).encode()
    stored = bus.run(bus.jetstream.publish(event["subject"], payload))
    return lambda: bus.run(bus.jetstream.delete_msg("EVENTS", stored.seq))


DAMAGES: list[tuple[Damage, str]] = [
    (a_block_with_a_unit_too_many, "blocks"),
    (a_unit_taken_twice_by_one_order, "blocks"),
    (an_order_whose_units_are_free, "held"),
    (an_order_of_more_units_than_it_holds, "held"),
    (units_of_a_cancelled_order, "taken"),
    (units_of_an_order_that_never_was, "taken"),
    (more_to_sell_than_wanted, "capacity"),
    (less_to_sell_than_wanted, "capacity"),
    (a_block_that_stayed_open, "capacity"),
    (a_complete_order_that_nobody_paid, "paid"),
    (a_complete_order_of_another_total, "paid"),
    (a_complete_order_that_was_paid_twice, "paid"),
    (a_complete_order_whose_payment_is_another_ones, "paid"),
    (money_for_a_cancelled_order, "captured"),
    (money_for_no_order, "captured"),
    (a_capture_before_the_commit, "committed"),
    (a_refund_that_the_order_does_not_show, "refunds"),
    (a_refund_that_an_admin_asked_for_in_vain, "owed"),
    (a_refund_that_failed_later, "owed"),
    (an_order_that_should_have_expired, "expiry"),
    (an_order_that_waits_for_its_capture, "awaiting"),
    (a_card_that_is_neither_charged_nor_let_go, "authorised"),
    (a_release_that_nobody_finished, "release"),
    (a_release_of_an_order_that_stays, "release"),
    (a_payment_that_nobody_settles, "settling"),
    (a_ticket_that_orders_knows_at_another_price, "ticket replica"),
    (a_ticket_that_orders_does_not_know, "ticket replica"),
    (a_ticket_that_only_orders_knows, "ticket replica"),
    (an_order_that_payments_knows_in_an_older_version, "order replica"),
    (an_order_that_payments_does_not_know, "order replica"),
    (an_order_that_only_payments_knows, "order replica"),
    (an_availability_that_tickets_missed, "stock replica"),
    (an_availability_that_was_never_announced, "stock replica"),
    (an_announcement_that_is_not_true, "announced"),
    (a_capture_that_payments_missed, "bank"),
    (an_event_in_an_outbox, "outbox"),
    (one_version_with_two_contents, "versions"),
    (a_version_that_was_skipped, "versions"),
    (a_state_that_was_never_told, "told"),
    (a_document_older_than_what_was_told, "told"),
]


@pytest.fixture
def undone() -> Iterator[list[Undo]]:
    undone: list[Undo] = []
    yield undone
    for undo in undone:
        undo()


@pytest.mark.parametrize(("damage", "check"), DAMAGES, ids=[d.__name__ for d, _ in DAMAGES])
def test_damage_is_found(resting: Resting, undone: list[Undo], damage: Damage, check: str) -> None:
    undone.append(damage(resting))
    found = {violation.check for violation in resting.violations()}
    assert check in found


def test_every_check_is_shown_to_bite() -> None:
    assert {check.name for check in CHECKS} == {check for _, check in DAMAGES}


def test_a_healthy_system_is_clean(resting: Resting) -> None:
    result = resting.check()
    assert result.violations == []
    assert result.counts["paid"] == 2
    assert result.counts["captured"] >= 3
    assert result.counts["expiry"] == 1
    assert result.counts["capacity"] == 3


def test_a_dead_letter_is_listed(resting: Resting, undone: list[Undo]) -> None:
    bus = resting.audit.history.bus
    headers = {"Reason": "KeyError: nobody", "Subject": "order.created"}
    stored = bus.run(bus.jetstream.publish("dead.orders", b"{}", headers=headers))
    undone.append(lambda: bus.run(bus.jetstream.delete_msg("DEAD", stored.seq)))
    (letter,) = resting.check().facts.letters
    assert (letter.consumer, letter.subject, letter.reason) == (
        "orders",
        "order.created",
        "KeyError: nobody",
    )


def test_an_alarm_may_ring_twice(resting: Resting, undone: list[Undo]) -> None:
    for _ in range(2):
        alarm = ExpirationComplete(data=ExpirationData(order_id=resting.paid))
        undone.append(_publish(resting, alarm.to_dict()))
    assert resting.violations() == []


def test_an_event_told_twice_is_counted(resting: Resting, undone: list[Undo]) -> None:
    undone.append(_publish(resting, _event(resting, "order.completed")))
    result = resting.check()
    assert result.violations == []
    assert result.facts.duplicates == 1


def test_what_was_only_in_motion_is_not_reported(resting: Resting, undone: list[Undo]) -> None:
    """A suspicion that the second look does not confirm."""
    undone.append(an_order_whose_units_are_free(resting))
    audit = resting.audit
    suspects: list[int] = []
    read = audit.databases.read

    def mended(facts: Any, ids: Any = None) -> None:
        if ids is not None:
            suspects.append(len(ids))
            undone.pop()()
        read(facts, ids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit.databases, "read", mended)
        patch.setattr(type(audit), "pause", 0, raising=False)
        result = type(audit)(audit.databases, audit.bank, audit.history, again=3, pause=0).run(
            AT_REST
        )
    assert suspects
    assert result.violations == []


# --- the command ----------------------------------------------------------------------------------


def ask(resting: Resting, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ticketing", "audit", *words]
    env = {**os.environ, **environment(resting.stack.run)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_counts_and_ends_with_0(resting: Resting) -> None:
    done = ask(resting, "--wait", "5")
    assert done.returncode == 0, done.stderr
    assert "0 violations" in done.stdout
    assert done.stdout.count(" ok ") == len(CHECKS)


def test_the_command_lists_violations_and_ends_with_1(resting: Resting, undone: list[Undo]) -> None:
    undone.append(money_for_a_cancelled_order(resting))
    done = ask(resting, "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    (captured,) = [each for each in report["violations"] if each["check"] == "captured"]
    assert resting.paid in captured["about"]
    assert captured["found"] == "4000 usd kept, the order is cancelled"


def test_the_story_of_an_order(resting: Resting) -> None:
    done = ask(resting, "--story", resting.paid)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    subjects = [line.split()[2] for line in lines if " v0." in line]
    for subject in (
        "order.created",
        "payment.created",
        "order.awaiting-payment",
        "payment.completed",
        "order.completed",
    ):
        assert subject in subjects
    for part in ("orders.blocks", "tickets.tickets", "payments.payments", '"succeeded"'):
        assert part in done.stdout
    assert any("payment_intent.succeeded" in line for line in lines)


def test_missing_settings_are_named() -> None:
    with pytest.raises(Incomplete, match="PAYMENTS_MONGO_URI") as missing:
        read({"NATS_URL": "nats://somewhere"})
    assert "NATS_URL" not in str(missing.value)


def test_a_server_that_is_away_ends_with_2(resting: Resting) -> None:
    env = {**os.environ, **environment(resting.stack.run)}
    env["ORDERS_MONGO_URI"] = "mongodb://127.0.0.1:1/?directConnection=true"
    command = [sys.executable, "-m", "ticketing", "audit"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "127.0.0.1:1" in done.stderr
