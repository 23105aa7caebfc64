"""The overview for people who develop."""

import pytest
import stripe


def test_overview_shows_payments_and_webhooks(emulator, payments, receiver):
    older = payments.captured()
    with pytest.raises(stripe.CardError):
        payments.confirmed("pm_card_chargeDeclinedInsufficientFunds")
    receiver.wait_types(
        older.id,
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    )
    page = emulator.request("GET", "/")
    assert page.status == 200
    for text in ("succeeded", "10.00 usd", "insufficient funds", "payment_intent.succeeded"):
        assert text in page.text
    assert "delivered" in page.text
    newer = payments.api.list().data[0].id
    assert page.text.index(newer) < page.text.index(older.id)


def test_nothing_is_shown_unescaped(emulator, payments):
    payments.created(metadata={"<b>": "<script>alert(1)</script>"})
    page = emulator.request("GET", "/").text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;" in page


def test_refund_button(emulator, payments):
    intent = payments.captured()
    answer = emulator.request("POST", "/", f"refund={intent.id}")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert payments.client.v1.charges.retrieve(intent.latest_charge).refunded
    again = emulator.request("POST", "/", f"refund={intent.id}")
    assert (again.status, "has already been refunded" in again.text) == (400, True)


def test_expiry_button(emulator, payments):
    intent = payments.confirmed()
    assert f'name="expire" value="{intent.id}"' in emulator.request("GET", "/").text
    assert emulator.request("POST", "/", f"expire={intent.id}").status == 303
    assert payments.status(intent.id) == "canceled"


def test_resend_button(emulator, payments, receiver):
    intent = payments.created()
    receiver.wait_types(intent.id, "payment_intent.created")
    event = receiver.about(intent.id)[0]["id"]
    assert emulator.request("POST", "/", f"resend={event}").status == 303
    receiver.wait_types(intent.id, *["payment_intent.created"] * 2)


def test_pages_of_others_can_not_press_buttons(emulator, payments):
    intent = payments.captured()
    headers = {"Sec_Fetch_Site": "cross-site"}
    assert emulator.request("POST", "/", f"refund={intent.id}", **headers).status == 403
    command = f'{{"refund": {{"payment_intent": "{intent.id}"}}}}'
    assert emulator.request("POST", "/control", command, **headers).status == 403
    assert not payments.client.v1.refunds.list().data
