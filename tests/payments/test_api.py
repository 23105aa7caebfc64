"""The JSON contract of /api/payments, and the door for Stripe."""

import json
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from apps.payments import service
from apps.payments.models import Payment
from dev.stack.settings import ROOT
from dev.stripe.subscription import WEBHOOK_EVENTS
from dev.stripe.webhooks import signature
from tests.payments.market import AMOUNT, BUYER, ORDER
from tests.payments.shop import CONFIRM, INTENTS, Site
from tests.stripe.emulator import SECRET

MISSING = "0" * 24


def pay(client: FlaskClient, key: str | None = None, **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    method = {} if {"token", "paymentMethod"} & set(body) else {"token": "tok_visa"}
    return client.post("/api/payments", json={"orderId": ORDER, **method, **body}, headers=headers)


def problems(answer: Any) -> list[dict[str, str]]:
    return answer.get_json()["errors"]


def test_an_authorised_card_is_a_201_with_the_payment(site: Site) -> None:
    answer = pay(site.buyer)
    assert answer.status_code == 201
    payment = site.shop.payment()
    assert answer.get_json() == {"id": payment.payment_id, "status": "authorized"}


def test_a_payment_method_does_as_well_as_a_token(site: Site) -> None:
    assert pay(site.buyer, paymentMethod="pm_card_mastercard").status_code == 201


def test_paying_again_gives_the_same_payment(site: Site) -> None:
    first = pay(site.buyer).get_json()
    assert pay(site.buyer, paymentMethod="pm_card_mastercard").get_json() == first
    site.shop.exchange()
    again = pay(site.buyer)
    assert (again.status_code, again.get_json()) == (201, {**first, "status": "paid"})
    assert site.shop.authorisations() == 1


def test_a_question_of_the_bank_is_a_202_with_the_way_there(site: Site) -> None:
    answer = pay(site.buyer, token="tok_threeDSecure2Required")
    body = answer.get_json()
    assert (answer.status_code, body["status"]) == (202, "requires_action")
    assert body["redirectUrl"].startswith(site.shop.emulator.url)
    assert body["clientSecret"].startswith(body_intent(site))


def body_intent(site: Site) -> str:
    return site.shop.intents()[0]["id"]


def test_an_answer_that_does_not_come_is_a_202(site: Site) -> None:
    site.shop.fault(CONFIRM, kind="drop", when="after")
    answer = pay(site.buyer)
    assert (answer.status_code, answer.get_json()["status"]) == (202, "processing")


def test_stripe_away_is_a_503_before_anything_is_noted(site: Site) -> None:
    site.shop.fault(INTENTS, kind="drop")
    answer = pay(site.buyer)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert site.shop.payment().attempts == ()


def test_a_declined_card_is_a_400_with_the_banks_reason(site: Site) -> None:
    answer = pay(site.buyer, token="tok_chargeDeclinedInsufficientFunds")
    assert answer.status_code == 400
    assert problems(answer) == [{"message": "Your card has insufficient funds."}]


def test_a_cancelled_order_is_a_400(site: Site) -> None:
    site.shop.orders.cancel()
    site.shop.exchange()
    answer = pay(site.buyer)
    assert (answer.status_code, problems(answer)[0]["message"]) == (400, "This order was cancelled")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"orderId": 7}, "orderId"),
        ({"orderId": ""}, "orderId"),
        ({"token": {"$gt": ""}}, "token"),
        ({"token": "tok visa"}, "token"),
        ({"token": "t" * 256}, "token"),
        ({"paymentMethod": "pm_\x00"}, "paymentMethod"),
        ({"token": "tok_visa", "paymentMethod": "pm_card_visa"}, None),
        ({"token": None}, None),
    ],
)
def test_wrong_fields_are_named(site: Site, body: dict[str, Any], field: str | None) -> None:
    answer = pay(site.buyer, **body)
    assert answer.status_code == 400
    assert problems(answer)[0].get("field") == field
    assert site.shop.payment().attempts == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '"pay"', "null", "\ud800"])
def test_a_body_that_is_no_object_is_a_400(site: Site, text: str) -> None:
    answer = site.buyer.post("/api/payments", data=text.encode(errors="surrogatepass"))
    assert answer.status_code == 400


def test_nobody_is_a_401(site: Site) -> None:
    assert pay(site.visitor).status_code == 401
    assert site.visitor.get(f"/api/payments/{MISSING}").status_code == 401


def test_somebody_else_is_a_403(site: Site) -> None:
    paid = pay(site.buyer).get_json()
    assert pay(site.stranger).status_code == 403
    assert site.stranger.get(f"/api/payments/{paid['id']}").status_code == 403


def test_an_order_that_does_not_come_is_a_404_worth_asking_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.patience.PATIENCE", 0.05)
    answer = pay(site.buyer, orderId=MISSING)
    assert (answer.status_code, answer.headers["Retry-After"]) == (404, "1")


@pytest.mark.parametrize("malformed", ["7", "x" * 24, "../../etc", "0" * 25])
def test_a_malformed_id_is_a_404_at_once(site: Site, malformed: str) -> None:
    assert pay(site.buyer, orderId=malformed).status_code == 404
    assert site.buyer.get(f"/api/payments/{malformed}").status_code == 404


def test_a_payment_as_its_buyer_sees_it(site: Site) -> None:
    paid = pay(site.buyer).get_json()
    shown = {
        "id": paid["id"],
        "orderId": ORDER,
        "status": "authorized",
        "amount": AMOUNT // 100,
        "currency": "usd",
    }
    assert site.buyer.get(f"/api/payments/{paid['id']}").get_json() == shown
    site.shop.exchange()
    shown["status"] = "paid"
    assert site.buyer.get(f"/api/payments/{paid['id']}").get_json() == shown
    assert site.buyer.get(f"/api/payments/{MISSING}").status_code == 404


def test_refunds_are_shown_in_major_units_and_released_money_is_none(site: Site) -> None:
    paid = pay(site.buyer).get_json()
    site.shop.exchange()
    site.shop.emulator.control(refund={"payment_intent": body_intent(site), "amount": 950})
    site.shop.webhook(site.shop.stripe_events("charge.refunded")[0])
    assert site.buyer.get(f"/api/payments/{paid['id']}").get_json()["refunded"] == 9.5


def test_money_that_was_only_held_is_not_shown_as_refunded(site: Site) -> None:
    paid = pay(site.buyer).get_json()
    site.shop.orders.cancel()
    site.shop.exchange()
    shown = site.buyer.get(f"/api/payments/{paid['id']}").get_json()
    assert (shown["status"], shown.get("refunded")) == ("failed", None)


# --- Idempotency-Key ------------------------------------------------------------------------------


def test_a_key_gives_the_same_answer_again(site: Site) -> None:
    first = pay(site.buyer, key="k")
    again = pay(site.buyer, key="k")
    assert (again.status_code, again.get_json()) == (first.status_code, first.get_json())


def test_a_key_gives_the_same_refusal_again(site: Site) -> None:
    for _ in range(2):
        assert pay(site.buyer, key="k", token="tok_chargeDeclined").status_code == 400
    assert len(site.shop.payment().attempts) == 1
    assert pay(site.buyer, key="k2").status_code == 201
    assert pay(site.buyer, key="k", token="tok_chargeDeclined").status_code == 400


def test_a_key_with_another_body_is_a_422(site: Site) -> None:
    pay(site.buyer, key="k")
    answer = pay(site.buyer, key="k", paymentMethod="pm_card_mastercard")
    assert (answer.status_code, problems(answer)[0]["field"]) == (422, "Idempotency-Key")


def test_a_malformed_key_is_a_400(site: Site) -> None:
    assert pay(site.buyer, key="k" * 256).status_code == 400


# --- the webhook ----------------------------------------------------------------------------------


def webhook(site: Site, payload: str, header: str) -> int:
    headers = {"Stripe-Signature": header}
    return site.visitor.post(
        "/api/payments/webhook", data=payload.encode(), headers=headers
    ).status_code


@pytest.fixture
def news(site: Site) -> str:
    """A real event of Stripe's about a payment whose answer was lost."""
    site.shop.fault(CONFIRM, kind="drop", when="after")
    pay(site.buyer)
    return json.dumps(site.shop.stripe_events("payment_intent.amount_capturable_updated")[0])


def status(site: Site) -> str:
    payment: Payment = site.shop.payment()
    return payment.status


def test_a_signed_webhook_is_listened_to(site: Site, news: str) -> None:
    assert webhook(site, news, signature(news, SECRET, int(time.time()))) == 200
    assert status(site) == "authorized"


def test_stripe_is_asked_for_the_events_that_are_acted_on() -> None:
    assert set(WEBHOOK_EVENTS) == set(service._NEWS)
    guide = (ROOT / "docs" / "deployment.md").read_text()
    assert all(f"`{event}`" in guide for event in WEBHOOK_EVENTS)


@pytest.mark.parametrize("age", [301, 100_000])
def test_an_old_webhook_is_refused(site: Site, news: str, age: int) -> None:
    assert webhook(site, news, signature(news, SECRET, int(time.time()) - age)) == 400
    assert status(site) == "processing"


@pytest.mark.parametrize("ahead", [310, 100_000])
def test_a_webhook_of_the_future_is_refused(site: Site, news: str, ahead: int) -> None:
    assert webhook(site, news, signature(news, SECRET, int(time.time()) + ahead)) == 400
    assert status(site) == "processing"


def test_a_webhook_too_large_is_refused_before_it_is_looked_at(site: Site) -> None:
    assert webhook(site, "x" * 70_000, "") == 413


def test_a_forged_webhook_is_refused(site: Site, news: str) -> None:
    now = int(time.time())
    good = signature(news, SECRET, now)
    for payload, header in (
        (news, signature(news, "whsec_other", now)),
        (news + " ", good),
        (news, ""),
        (news, "t=now,v1=abc"),
        (news, good.replace("v1=", "v0=")),
        ("", good),
        ("\ufeff", good),
    ):
        assert webhook(site, payload, header) == 400
    assert status(site) == "processing"


@pytest.mark.parametrize("payload", ["", "null", "[]", "{}", '{"object": "event"}', "{"])
def test_a_signed_webhook_without_sense_is_no_crash(site: Site, payload: str) -> None:
    assert webhook(site, payload, signature(payload, SECRET, int(time.time()))) == 400


def test_stripe_away_while_it_tells_something(site: Site, news: str) -> None:
    site.shop.fault(f"{INTENTS}/pi_*", kind="drop")
    assert webhook(site, news, signature(news, SECRET, int(time.time()))) == 503


def test_the_contract_is_published(site: Site) -> None:
    document = site.visitor.get("/api/payments/openapi.json").get_json()
    assert {"/api/payments", "/api/payments/{payment_id}", "/api/payments/webhook"} <= set(
        document["paths"]
    )
    assert BUYER not in json.dumps(document)
