"""The control address: what a client of Stripe must live with, on demand."""

import json
import time

import pytest
import stripe

CAPTURE = "/v1/payment_intents/*/capture"


def fails(payments, intent, kind=stripe.StripeError):
    with pytest.raises(kind) as failure:
        payments.api.capture(intent.id, None, {"idempotency_key": "capture"})
    return failure.value


def captures(payments, intent):
    return payments.api.capture(intent.id, None, {"idempotency_key": "capture"})


@pytest.mark.parametrize("kind", ["error", "drop"])
@pytest.mark.parametrize(
    ("when", "status"), [("before", "requires_capture"), ("after", "succeeded")]
)
def test_fails_before_or_after_the_effect(emulator, payments, kind, when, status):
    intent = payments.confirmed()
    emulator.control(fault={"kind": kind, "when": when, "path": CAPTURE, "times": 1})
    error = fails(payments, intent)
    expected = stripe.APIError if kind == "error" else stripe.APIConnectionError
    assert type(error) is expected
    assert error.http_status == (500 if kind == "error" else None)
    assert payments.status(intent.id) == status

    again = captures(payments, intent)
    assert again.status == "succeeded"
    replayed = "Idempotent-Replayed" in again.last_response.headers
    assert replayed == (when == "after")


@pytest.mark.parametrize(
    ("when", "status"), [("before", "requires_capture"), ("after", "succeeded")]
)
def test_an_error_that_stripe_remembers(emulator, payments, when, status):
    intent = payments.confirmed()
    emulator.control(
        fault={"kind": "error", "when": when, "stored": True, "path": CAPTURE, "times": 1}
    )
    assert fails(payments, intent).http_status == 500
    assert payments.status(intent.id) == status
    again = fails(payments, intent)
    assert (again.http_status, again.headers["Idempotent-Replayed"]) == (500, "true")


def test_a_status_of_choice(emulator, payments):
    intent = payments.confirmed()
    emulator.control(fault={"kind": "error", "status": 429, "times": 1})
    fails(payments, intent, stripe.RateLimitError)
    captures(payments, intent)


def test_until_reset(emulator, payments):
    intent = payments.confirmed()
    emulator.control(fault={"kind": "error", "status": 503, "path": CAPTURE})
    for _ in range(3):
        assert fails(payments, intent).http_status == 503
    assert payments.status(intent.id) == "requires_capture"
    emulator.control(reset="behaviour")
    assert captures(payments, intent).status == "succeeded"


def test_for_the_next_requests_only(emulator, payments):
    emulator.control(fault={"kind": "error", "method": "GET", "times": 2})
    intent = payments.created()
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            payments.api.retrieve(intent.id)
    assert payments.status(intent.id) == "requires_payment_method"


@pytest.mark.parametrize("when", ["before", "after"])
def test_slow(emulator, payments, when):
    intent = payments.confirmed()
    emulator.control(
        fault={"kind": "slow", "when": when, "seconds": 0.3, "path": CAPTURE, "times": 1}
    )
    started = time.monotonic()
    assert captures(payments, intent).status == "succeeded"
    assert time.monotonic() - started >= 0.3


def test_slow_requests_hold_up_nobody_else(emulator, payments):
    intent = payments.confirmed()
    emulator.control(fault={"kind": "slow", "seconds": 60, "path": CAPTURE, "times": 1})
    impatient = stripe.StripeClient(
        "sk_test_x",
        base_addresses={"api": emulator.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=0.3),
    )
    with pytest.raises(stripe.APIConnectionError):
        impatient.v1.payment_intents.capture(intent.id)
    assert payments.status(intent.id) == "requires_capture"
    emulator.control(reset="behaviour")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "[]",
        "{}",
        '{"colour": 1}',
        '{"fault": {"kind": "slow"}, "reset": "behaviour"}',
        '{"fault": {}}',
        '{"fault": {"kind": "explode"}}',
        '{"fault": {"kind": "error", "times": 0}}',
        '{"fault": {"kind": "error", "times": true}}',
        '{"fault": {"kind": "error", "status": 200}}',
        '{"fault": {"kind": "error", "colour": 1}}',
        '{"webhooks": {"mode": "loud"}}',
        '{"webhooks": "twice"}',
        '{"refund": "pi_x"}',
        '{"reset": true}',
        '{"resend": "evt_x"}',
    ],
)
def test_unknown_commands_change_nothing(emulator, command):
    before = emulator.state()
    answer = emulator.request("POST", "/control", command)
    assert answer.status == 400
    assert answer.json["error"]
    assert emulator.state() == before


def test_state_is_shown(emulator):
    emulator.control(fault={"kind": "slow", "seconds": 2, "times": 3, "path": CAPTURE})
    shown = emulator.control(webhooks={"mode": "late", "seconds": 5})
    assert shown["webhooks"] == {"mode": "late", "seconds": 5}
    assert shown["faults"][0]["times"] == 3
    assert json.loads(json.dumps(shown)) == emulator.state()


def test_reset_everything_forgets_the_payments(emulator, payments):
    intent = payments.created()
    emulator.control(reset="everything")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        payments.api.retrieve(intent.id)
    assert missing.value.code == "resource_missing"
