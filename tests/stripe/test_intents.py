"""PaymentIntents of the emulator, through Stripe's own client."""

import threading

import pytest
import stripe

from tests.stripe.emulator import wait_for

DECLINES = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedLostCard": ("card_declined", "lost_card"),
    "pm_card_visa_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": (
        "card_declined",
        "card_velocity_exceeded",
    ),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", "expired_card"),
    "pm_card_chargeDeclinedIncorrectCvc": ("incorrect_cvc", "incorrect_cvc"),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", "processing_error"),
}
NUMBERS = {
    "4000000000000002": "generic_decline",
    "4000 0000 0000 9995": "insufficient_funds",
    "4000000000000069": "expired_card",
    "4000000000000127": "incorrect_cvc",
}
BY_STATUS = {
    "requires_payment_method": lambda payments: payments.created(),
    "requires_confirmation": lambda payments: payments.created(payment_method="pm_card_visa"),
    "requires_action": lambda payments: payments.challenged(),
    "requires_capture": lambda payments: payments.confirmed(),
    "succeeded": lambda payments: payments.captured(),
    "canceled": lambda payments: payments.api.cancel(payments.created().id),
}


def a_card(number, **more):
    card = {"number": number, "exp_month": 12, "exp_year": 2044, "cvc": "123", **more}
    return {"type": "card", "card": card}


def test_authorised_then_captured(payments):
    intent = payments.created(1234, metadata={"order": "o1"})
    assert (intent.status, intent.amount_capturable) == ("requires_payment_method", 0)
    assert intent.metadata["order"] == "o1"

    intent = payments.api.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert (intent.status, intent.amount_capturable, intent.amount_received) == (
        "requires_capture",
        1234,
        0,
    )

    intent = payments.api.capture(intent.id)
    assert (intent.status, intent.amount_capturable, intent.amount_received) == (
        "succeeded",
        0,
        1234,
    )
    assert payments.api.retrieve(intent.id).to_dict() == intent.to_dict()


def test_created_and_confirmed_at_once(payments):
    intent = payments.created(confirm=True, payment_method="pm_card_visa")
    assert intent.status == "requires_capture"


def test_automatic_capture_takes_the_money_at_once(payments):
    intent = payments.created(
        capture_method="automatic", confirm=True, payment_method="pm_card_mastercard"
    )
    assert (intent.status, intent.amount_received) == ("succeeded", 1000)


def test_partial_capture(payments):
    intent = payments.api.capture(payments.confirmed().id, {"amount_to_capture": 400})
    assert (intent.status, intent.amount_received) == ("succeeded", 400)
    charge = payments.client.v1.charges.retrieve(intent.latest_charge)
    assert (charge.amount, charge.amount_captured) == (1000, 400)


def test_no_more_than_authorised_is_captured(payments):
    intent = payments.confirmed()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        payments.api.capture(intent.id, {"amount_to_capture": 1001})
    assert refused.value.code == "amount_too_large"
    assert payments.status(intent.id) == "requires_capture"


def test_cancelling_releases_the_authorisation(payments):
    intent = payments.api.cancel(
        payments.confirmed().id,
        {"cancellation_reason": "abandoned", "expand": ["latest_charge"]},
    )
    assert (intent.status, intent.cancellation_reason) == ("canceled", "abandoned")
    assert (intent.amount_capturable, intent.latest_charge.captured) == (0, False)
    assert intent.latest_charge.refunded


@pytest.mark.parametrize(
    ("move", "legal"),
    [
        ("confirm", {"requires_payment_method", "requires_confirmation", "requires_action"}),
        ("capture", {"requires_capture"}),
        (
            "cancel",
            {
                "requires_payment_method",
                "requires_confirmation",
                "requires_action",
                "requires_capture",
            },
        ),
    ],
)
@pytest.mark.parametrize("status", list(BY_STATUS))
def test_only_legal_moves(payments, move, legal, status):
    intent = BY_STATUS[status](payments)
    assert intent.status == status
    params = {"payment_method": "pm_card_visa"} if move == "confirm" else {}
    if status in legal:
        getattr(payments.api, move)(intent.id, params)
        assert payments.status(intent.id) != status
        return
    with pytest.raises(stripe.InvalidRequestError) as refused:
        getattr(payments.api, move)(intent.id, params)
    assert refused.value.code == "payment_intent_unexpected_state"
    assert refused.value.http_status == 400
    assert refused.value.error.payment_intent.id == intent.id
    assert payments.status(intent.id) == status


def test_confirming_needs_a_payment_method(payments):
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        payments.api.confirm(payments.created().id)


def test_payment_methods_of_the_dashboard_need_a_return_url(payments):
    intent = payments.api.create({"amount": 1000, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        payments.api.confirm(intent.id, {"payment_method": "pm_card_visa"})


@pytest.mark.parametrize("card", list(DECLINES))
def test_each_decline(payments, card):
    code, decline_code = DECLINES[card]
    intent = payments.created()
    with pytest.raises(stripe.CardError) as declined:
        payments.api.confirm(intent.id, {"payment_method": card})
    error = declined.value.error
    assert (declined.value.http_status, error.type) == (402, "card_error")
    assert (error.code, error.decline_code) == (code, decline_code)
    assert error.payment_intent.status == "requires_payment_method"
    after = payments.api.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert (after.status, after.payment_method) == ("requires_payment_method", None)
    assert after.last_payment_error.decline_code == decline_code
    assert after.last_payment_error.message == error.message
    assert (after.latest_charge.status, after.latest_charge.paid) == ("failed", False)


def test_another_card_after_a_decline(payments):
    intent = payments.created()
    with pytest.raises(stripe.CardError):
        payments.api.confirm(intent.id, {"payment_method": "pm_card_chargeDeclined"})
    again = payments.api.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert (again.status, again.last_payment_error) == ("requires_capture", None)


@pytest.mark.parametrize("token", ["tok_visa", "tok_chargeDeclinedInsufficientFunds"])
def test_tokens(payments, token):
    intent = payments.created()
    params = {"payment_method_data": {"type": "card", "card": {"token": token}}}
    if token == "tok_visa":
        assert payments.api.confirm(intent.id, params).status == "requires_capture"
        return
    with pytest.raises(stripe.CardError) as declined:
        payments.api.confirm(intent.id, params)
    assert declined.value.error.decline_code == "insufficient_funds"


@pytest.mark.parametrize("number", list(NUMBERS))
def test_numbers_of_declined_cards(payments, number):
    method = payments.client.v1.payment_methods.create(a_card(number))
    with pytest.raises(stripe.CardError) as declined:
        payments.confirmed(method.id)
    assert declined.value.error.decline_code == NUMBERS[number]


def test_number_of_a_good_card(payments):
    method = payments.client.v1.payment_methods.create(a_card("4242 4242 4242 4242"))
    assert (method.card.last4, method.card.exp_year) == ("4242", 2044)
    assert "number" not in method.card
    assert payments.confirmed(method.id).payment_method == method.id


@pytest.mark.parametrize(
    ("card", "code"),
    [
        (a_card("4242424242424241"), "incorrect_number"),
        (a_card("424242424242424²"), "incorrect_number"),
        (a_card("4111111111111111"), "card_declined"),
        (a_card("4242424242424242", exp_year=2001), "invalid_expiry_year"),
        (a_card("4242424242424242", exp_month=13), "invalid_expiry_month"),
        (a_card("4242424242424242", cvc="1"), "invalid_cvc"),
    ],
)
def test_impossible_cards(payments, card, code):
    with pytest.raises(stripe.CardError) as refused:
        payments.client.v1.payment_methods.create(card)
    assert refused.value.code == code


def test_our_card_is_authorised_and_not_captured(payments):
    intent = payments.confirmed("pm_card_captureRefused")
    assert intent.status == "requires_capture"
    with pytest.raises(stripe.CardError) as refused:
        payments.api.capture(intent.id)
    assert refused.value.error.payment_intent.amount_capturable == 0
    assert payments.status(intent.id) == "requires_payment_method"


def test_authorisation_expires(emulator, payments):
    intent = payments.confirmed()
    emulator.control(expire=intent.id)
    after = payments.api.retrieve(intent.id)
    assert (after.status, after.cancellation_reason) == ("canceled", "automatic")
    answer = emulator.request("POST", "/control", f'{{"expire": "{intent.id}"}}')
    assert answer.json["error"]["code"] == "payment_intent_unexpected_state"


def test_only_an_authorisation_expires(emulator, payments):
    intent = payments.created()
    answer = emulator.request("POST", "/control", f'{{"expire": "{intent.id}"}}')
    assert answer.status == 400
    assert payments.status(intent.id) == "requires_payment_method"


def test_a_request_refused_at_its_end_has_no_effect(payments):
    intent = payments.confirmed()
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        payments.api.capture(intent.id, {"expand": ["status"]})
    assert payments.status(intent.id) == "requires_capture"


def test_metadata_changes_at_any_time_and_the_amount_only_before(payments):
    intent = payments.created(metadata={"a": "1", "b": "2"})
    after = payments.api.update(intent.id, {"amount": 700, "metadata": {"a": "", "c": "3"}})
    assert (after.amount, after.metadata.to_dict()) == (700, {"b": "2", "c": "3"})
    payments.api.cancel(intent.id)
    assert payments.api.update(intent.id, {"metadata": {"d": "4"}}).metadata["d"] == "4"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        payments.api.update(intent.id, {"amount": 800})
    assert refused.value.code == "payment_intent_unexpected_state"


def test_list_newest_first_page_by_page(payments):
    made = [payments.created().id for _ in range(5)]
    first = payments.api.list({"limit": 3})
    assert ([each.id for each in first.data], first.has_more) == (made[:1:-1], True)
    assert [each.id for each in first.auto_paging_iter()] == made[::-1]
    back = payments.api.list({"ending_before": made[1]})
    assert [each.id for each in back.data] == made[:1:-1]


def test_expanding(payments):
    intent = payments.captured()
    shown = payments.api.retrieve(intent.id, {"expand": ["latest_charge.payment_intent"]})
    assert shown.latest_charge.payment_intent.id == intent.id
    listed = payments.api.list({"expand": ["data.latest_charge"]})
    assert listed.data[0].latest_charge.amount_captured == 1000
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        payments.api.retrieve(intent.id, {"expand": ["status"]})


def test_the_bank_of_the_slow_card_takes_its_time(emulator, payments):
    """Only as long as the test lets it: a reset ends every wait."""
    intent = payments.created()
    outcome = []
    card = {"type": "card", "card": {"token": "tok_slow"}}

    def confirm():
        outcome.append(payments.api.confirm(intent.id, {"payment_method_data": card}).status)

    buyer = threading.Thread(target=confirm)
    buyer.start()
    wait_for(lambda: emulator.state()["waiting"] == 1, "the bank to think")
    assert payments.api.retrieve(intent.id).status == "requires_payment_method"
    emulator.control(reset="behaviour")
    buyer.join(10)
    assert outcome == ["requires_capture"]
