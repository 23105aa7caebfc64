"""Webhooks: signed, repeated until they are taken, and as bad as the control address says."""

import time
from itertools import pairwise

import pytest
import stripe

from tests.stripe.emulator import FIRST_RETRY, SECRET, Emulator, Payments, wait_for

AUTHORISED = (
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.amount_capturable_updated",
)


def pending(emulator):
    return emulator.state()["pending_webhooks"]


def test_signed_as_stripe_signs(payments, receiver):
    intent = payments.created()
    receiver.wait_types(intent.id, "payment_intent.created")
    webhook = receiver.received[-1]
    event = stripe.Webhook.construct_event(webhook.payload, webhook.signature, SECRET)
    assert event.data.object.id == intent.id
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(webhook.payload + " ", webhook.signature, SECRET)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(webhook.payload, webhook.signature, "whsec_other")


def test_events_of_a_sale_show_each_state(payments, receiver):
    intent = payments.captured()
    receiver.wait_types(intent.id, *AUTHORISED, "charge.captured", "payment_intent.succeeded")
    states = [
        event["data"]["object"]["status"]
        for event in receiver.about(intent.id)
        if event["type"].startswith("payment_intent")
    ]
    assert states == ["requires_payment_method", "requires_capture", "succeeded"]


def test_only_the_events_that_were_asked_for_are_sent(tmp_path, receiver):
    emulator = Emulator(
        tmp_path, receiver.url, "--webhook-events", "charge.captured,charge.refunded"
    )
    intent = Payments(emulator.client()).captured()
    receiver.wait_types(intent.id, "charge.captured")
    wait_for(lambda: not pending(emulator), "everything is sent")
    assert receiver.types(intent.id) == ["charge.captured"]
    assert emulator.end() == 0


@pytest.mark.parametrize(
    ("step", "events"),
    [
        (lambda payments: payments.challenged(), ["payment_intent.requires_action"]),
        (
            lambda payments: payments.api.cancel(payments.confirmed().id),
            [*AUTHORISED[1:], "charge.refunded", "payment_intent.canceled"],
        ),
    ],
)
def test_events_of_other_steps(payments, receiver, step, events):
    receiver.wait_types(step(payments).id, "payment_intent.created", *events)


def test_events_of_a_decline(payments, receiver):
    intent = payments.created()
    with pytest.raises(stripe.CardError):
        payments.api.confirm(intent.id, {"payment_method": "pm_card_chargeDeclined"})
    receiver.wait_types(
        intent.id, "payment_intent.created", "charge.failed", "payment_intent.payment_failed"
    )


def test_events_of_an_expiry(emulator, payments, receiver):
    intent = payments.confirmed()
    emulator.control(expire=intent.id)
    receiver.wait_types(intent.id, *AUTHORISED, "charge.expired", "payment_intent.canceled")


def test_events_can_be_read(payments):
    intent = payments.created()
    payments.api.cancel(intent.id)
    events = payments.client.v1.events
    listed = events.list({"type": "payment_intent.canceled"}).data
    assert [event.data.object.id for event in listed] == [intent.id]
    assert events.retrieve(listed[0].id).to_dict() == listed[0].to_dict()
    assert len(events.list({"created": {"gte": listed[0].created - 5}}).data) == 2
    assert not events.list({"created": {"gt": listed[0].created + 5}}).data


def test_sent_again_with_growing_delay_until_taken(emulator, payments, receiver):
    receiver.refusals["unlucky"] = [500, 404, 302]
    intent = payments.created(metadata={"name": "unlucky"})
    receiver.wait_types(intent.id, *["payment_intent.created"] * 4)
    assert len({event["id"] for event in receiver.about(intent.id)}) == 1
    came = [each.came for each in receiver.received if intent.id in each.payload]
    for attempt, (first, second) in enumerate(pairwise(came)):
        assert second - first >= FIRST_RETRY * 2**attempt
    wait_for(lambda: pending(emulator) == 0, "the delivery to end")
    assert len(receiver.about(intent.id)) == 4


def test_twice(emulator, payments, receiver):
    emulator.control(webhooks={"mode": "twice"})
    intent = payments.created()
    receiver.wait_types(intent.id, *["payment_intent.created"] * 2)


def test_late(emulator, payments, receiver):
    emulator.control(webhooks={"mode": "late", "seconds": 0.4})
    started = time.monotonic()
    intent = payments.created()
    assert pending(emulator) == 1
    receiver.wait_types(intent.id, "payment_intent.created")
    assert time.monotonic() - started >= 0.4


def test_out_of_order(emulator, payments, receiver):
    emulator.control(webhooks={"mode": "out_of_order", "seconds": 0.4})
    intent = payments.confirmed()
    receiver.wait_types(intent.id, *AUTHORISED[::-1])


def test_none_until_sent_by_hand(emulator, payments, receiver):
    emulator.control(webhooks={"mode": "none"})
    hidden = payments.created()
    assert pending(emulator) == 0
    emulator.control(reset="behaviour")
    shown = payments.created()
    receiver.wait_types(shown.id, "payment_intent.created")
    assert receiver.about(hidden.id) == []

    event = next(
        event
        for event in payments.client.v1.events.list().data
        if event.data.object.id == hidden.id
    )
    emulator.control(resend=event.id)
    receiver.wait_types(hidden.id, "payment_intent.created")


def test_refused_webhooks_of_one_payment_do_not_hold_up_another(emulator, payments, receiver):
    receiver.refusals["unlucky"] = [500] * 5
    refused = payments.created(metadata={"name": "unlucky"})
    wait_for(lambda: receiver.about(refused.id), "the first attempt")
    other = payments.created()
    wait_for(lambda: receiver.about(other.id), "the other payment's webhook")
    wait_for(lambda: pending(emulator) == 0, "every delivery to end")
