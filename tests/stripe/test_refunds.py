"""Refunds of the emulator."""

from contextlib import suppress

import pytest
import stripe

from tests.stripe.emulator import wait_for


def test_refund_in_parts_until_nothing_is_left(payments):
    intent = payments.captured()
    refunds = payments.client.v1.refunds
    first = refunds.create({"payment_intent": intent.id, "amount": 300, "metadata": {"n": "1"}})
    assert (first.status, first.amount, first.metadata["n"]) == ("succeeded", 300, "1")
    charge = payments.client.v1.charges.retrieve(intent.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (300, False)
    rest = refunds.create(
        {"payment_intent": intent.id, "reason": "requested_by_customer", "expand": ["charge"]}
    )
    assert (rest.amount, rest.charge.amount_refunded, rest.charge.refunded) == (700, 1000, True)
    assert refunds.retrieve(first.id).amount == 300
    refunds.create({"payment_intent": payments.captured().id})
    listed = refunds.list({"payment_intent": intent.id})
    assert [each.id for each in listed.data] == [rest.id, first.id]


@pytest.mark.parametrize(("amount", "code"), [(1001, "amount_too_large"), (None, None)])
def test_no_more_is_refunded_than_was_taken(payments, amount, code):
    intent = payments.captured()
    if amount is None:
        payments.client.v1.refunds.create({"payment_intent": intent.id})
        code = "charge_already_refunded"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        payments.client.v1.refunds.create(
            {"payment_intent": intent.id} | ({"amount": amount} if amount else {})
        )
    assert (refused.value.http_status, refused.value.code) == (400, code)


def test_a_partial_capture_is_refunded_up_to_what_was_taken(payments):
    intent = payments.api.capture(payments.confirmed().id, {"amount_to_capture": 400})
    with pytest.raises(stripe.InvalidRequestError):
        payments.client.v1.refunds.create({"payment_intent": intent.id, "amount": 401})
    refund = payments.client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.amount == 400


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (None, "does not have a successful charge"),
        ("pm_card_chargeDeclined", "does not have a successful charge"),
        ("pm_card_visa", "must cancel the PaymentIntent"),
    ],
)
def test_only_captured_money_is_refunded(payments, card, message):
    intent = payments.created()
    if card:
        with suppress(stripe.CardError):
            payments.api.confirm(intent.id, {"payment_method": card})
    with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
        payments.client.v1.refunds.create({"payment_intent": intent.id})
    assert refused.value.http_status == 400
    assert not payments.client.v1.refunds.list().data


def test_refund_from_the_dashboard(emulator, payments, receiver):
    intent = payments.captured()
    emulator.control(refund={"payment_intent": intent.id, "amount": 250})
    charge = payments.client.v1.charges.retrieve(intent.latest_charge)
    assert charge.amount_refunded == 250
    receiver.wait_types(
        intent.id,
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
        "refund.created",
        "charge.refunded",
    )


@pytest.mark.parametrize(
    ("card", "before", "after", "left"),
    [("pendingRefund", "pending", "succeeded", 1000), ("refundFail", "succeeded", "failed", 0)],
)
def test_a_refund_whose_end_comes_later(emulator, payments, receiver, card, before, after, left):
    intent = payments.api.capture(payments.confirmed(f"pm_card_{card}").id)
    refund = payments.client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == before
    ended = emulator.control(end_refund=refund.id)
    assert (ended["status"], payments.client.v1.refunds.retrieve(refund.id).status) == (after,) * 2
    charge = payments.client.v1.charges.retrieve(intent.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (left, left == 1000)
    news = ["charge.refund.updated", *(["refund.failed"] if after == "failed" else [])]
    wait_for(lambda: receiver.types(intent.id)[-len(news) :] == news, "what became of the refund")
    again = emulator.request("POST", "/control", f'{{"end_refund": "{refund.id}"}}')
    assert (again.status, "Nothing more happens" in again.text) == (400, True)


def test_a_button_lets_a_refund_fail(emulator, payments):
    intent = payments.api.capture(payments.confirmed("pm_card_refundFail").id)
    refund = payments.client.v1.refunds.create({"payment_intent": intent.id})
    assert f'name="end_refund" value="{refund.id}"' in emulator.request("GET", "/").text
    assert emulator.request("POST", "/", f"end_refund={refund.id}").status == 303
    assert payments.client.v1.refunds.retrieve(refund.id).status == "failed"
    assert "end_refund" not in emulator.request("GET", "/").text
