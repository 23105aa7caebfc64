"""Idempotency keys: one effect, one answer."""

import threading
from urllib.parse import urlencode

import pytest
import stripe

from tests.stripe.emulator import wait_for

BODY = urlencode({"amount": 500, "currency": "usd", "allowed_payment_method_types[]": "card"})
CREATE = "/v1/payment_intents"


def test_the_same_answer_again(emulator, payments):
    first = emulator.post(CREATE, BODY, "k1")
    again = emulator.post(CREATE, BODY, "k1")
    assert (again.status, again.text) == (200, first.text)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert len(payments.api.list().data) == 1


def test_a_declined_card_is_declined_again_without_a_second_charge(payments):
    intent = payments.created()
    params = {"payment_method": "pm_card_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            payments.api.confirm(intent.id, params, {"idempotency_key": "order:1"})
    assert declined.value.headers["Idempotent-Replayed"] == "true"
    charges = payments.client.v1.charges.list({"payment_intent": intent.id})
    assert len(charges.data) == 1


def test_an_illegal_state_is_remembered(emulator, payments):
    intent = payments.created()
    path = f"{CREATE}/{intent.id}/capture"
    assert emulator.post(path, key="k1").status == 400
    payments.api.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert emulator.post(path, key="k1").headers["Idempotent-Replayed"] == "true"
    assert payments.status(intent.id) == "requires_capture"


def test_other_parameters_are_refused(payments):
    options = {"idempotency_key": "k1"}
    payments.api.create({"amount": 500, "currency": "usd"}, options)
    with pytest.raises(stripe.IdempotencyError, match="same parameters") as refused:
        payments.api.create({"amount": 501, "currency": "usd"}, options)
    assert refused.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        payments.client.v1.refunds.create({"payment_intent": "pi_x"}, options)


@pytest.mark.parametrize("broken", ["amount=x&currency=usd", "currency=usd", f"{BODY}&foo=1"])
def test_what_fails_the_checks_is_not_remembered(emulator, broken):
    assert emulator.post(CREATE, broken, "k1").status == 400
    assert emulator.post(CREATE, BODY, "k1").status == 200


def test_in_use_while_the_first_request_is_on_its_way(emulator, payments):
    emulator.control(fault={"kind": "slow", "seconds": 60, "method": "POST", "times": 1})
    answers = []
    first = threading.Thread(target=lambda: answers.append(emulator.post(CREATE, BODY, "k1")))
    first.start()
    wait_for(lambda: emulator.state()["waiting"] == 1, "the slow request")
    second = emulator.post(CREATE, BODY, "k1")
    assert (second.status, second.json["error"]["code"]) == (409, "idempotency_key_in_use")
    with pytest.raises(stripe.APIError) as busy:
        payments.api.create({"amount": 1, "currency": "usd"}, {"idempotency_key": "k1"})
    assert busy.value.http_status == 409
    assert not payments.api.list().data

    emulator.control(reset="behaviour")
    first.join(5)
    assert answers[0].status == 200
    assert emulator.post(CREATE, BODY, "k1").text == answers[0].text


def test_a_key_that_is_too_long(emulator):
    assert emulator.post(CREATE, BODY, "k" * 256).status == 400
    assert emulator.post(CREATE, BODY, "k" * 255).status == 200
