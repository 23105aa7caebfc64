"""The part of the admin area about payments: who may see it, and what its form does."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.identity import sign
from tests.payments.market import AMOUNT, BUYER, ORDER
from tests.payments.shop import Shop, Site

ADMIN = "ad0000000000000000000001"
PAGE = f"/payments/admin/{ORDER}"
REFUND = f"{PAGE}/refund"
FORM = {"reason": "The band is ill", "confirm": "yes", "idempotencyKey": "k" * 20}


def admin(site: Site) -> FlaskClient:
    client = site.app.test_client()
    client.set_cookie("session", sign(ADMIN, role="admin"))
    return client


def sold(shop: Shop) -> None:
    shop.pay()
    shop.exchange()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_else_may_enter(site: Site, method: str) -> None:
    path = PAGE if method == "GET" else REFUND
    asked = {"data": FORM} if method == "POST" else {}
    program = sign(ADMIN, role="admin", scopes=["read", "sell", "buy"])
    token = {"Authorization": f"Bearer {program}"}
    in_cookie = site.app.test_client()
    in_cookie.set_cookie("session", program)
    assert site.buyer.open(path, method=method, **asked).status_code == 403
    assert site.visitor.open(path, method=method, headers=token, **asked).status_code == 403
    for nobody in (site.visitor, in_cookie):
        answer = nobody.open(path, method=method, **asked)
        assert (answer.status_code, "/account/signin" in answer.location) == (303, True)
    assert site.shop.payment().wish is None


def test_a_payment_is_found_by_order_payment_and_buyer(site: Site) -> None:
    payment = site.shop.payment()
    for key in (ORDER, payment.payment_id):
        assert payment.payment_id in admin(site).get(f"/payments/admin/{key}").text
    assert f"/account/admin?q={ORDER}" in admin(site).get(f"/payments/admin/{BUYER}").text
    assert "No payment has this id" in admin(site).get("/payments/admin/" + "0" * 24).text
    assert admin(site).get("/payments/admin/nothing").status_code == 404


def test_htmx_gets_the_part_alone(site: Site) -> None:
    part = admin(site).get(PAGE, headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert "<h2>Payment</h2>" in part


def test_only_what_was_captured_offers_a_refund(site: Site) -> None:
    assert "<form" not in admin(site).get(PAGE).text.partition("<main")[2]
    sold(site.shop)
    assert f'action="{REFUND}"' in admin(site).get(PAGE).text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reason": " "}, "Reason is required"),
        ({"reason": "x" * 301}, "Reason must have at most 300 characters"),
        ({"reason": "a\x00b"}, "Reason must not contain NUL characters"),
        ({"confirm": ""}, "Tick this to confirm"),
    ],
)
def test_the_form_must_say_why_and_be_confirmed(
    site: Site, change: dict[str, str], message: str
) -> None:
    sold(site.shop)
    answer = admin(site).post(REFUND, data=FORM | change)
    assert answer.status_code == 400
    assert message in answer.text
    assert (site.shop.payment().wish, site.shop.net()) == (None, AMOUNT)


def test_a_form_that_is_sent_twice_refunds_once(site: Site) -> None:
    sold(site.shop)
    answers: list[Any] = [admin(site).post(REFUND, data=FORM) for _ in range(2)]
    told = [(answer.status_code, answer.location) for answer in answers]
    assert told == [(303, f"/account/admin?q={ORDER}")] * 2
    assert (site.shop.net(), len(site.shop.stripe("/v1/refunds"))) == (0, 1)
    assert site.shop.database["audit"].count_documents({}) == 1
    page = admin(site).get(PAGE).text
    assert "The band is ill" in page
    assert "Refund the order" not in page


def test_a_refund_that_failed_is_shown_and_offered_again(site: Site) -> None:
    shop = site.shop
    paid = shop.pay("refundFail")
    shop.exchange()
    assert admin(site).post(REFUND, data=FORM).status_code == 303
    shop.emulator.control(end_refund=shop.stripe("/v1/refunds")[0]["id"])
    shop.webhook(shop.stripe_events("charge.refund.updated")[0])
    page = admin(site).get(PAGE).text
    assert "Stripe could not deliver a refund" in page
    assert f'action="{REFUND}"' in page
    shown = site.buyer.get(f"/api/payments/{paid.payment_id}").get_json()
    assert (shown["status"], shown["returned"]) == ("paid", AMOUNT / 100)
    assert "refunded" not in shown
    assert admin(site).post(REFUND, data=FORM | {"idempotencyKey": "l" * 20}).status_code == 303
    page = admin(site).get(PAGE).text
    assert "Stripe could not deliver a refund" not in page
    assert shop.net() == 0


def test_what_cannot_be_refunded_says_so(site: Site) -> None:
    answer = admin(site).post(REFUND, data=FORM)
    assert answer.status_code == 400
    assert "Only a payment that was captured can be refunded" in answer.text
    assert admin(site).post("/payments/admin/" + "0" * 24 + "/refund", data=FORM).status_code == 404


def test_another_site_cannot_send_the_form(site: Site) -> None:
    sold(site.shop)
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert admin(site).post(REFUND, data=FORM, headers=headers).status_code == 403
    assert site.shop.net() == AMOUNT


@pytest.mark.parametrize(
    ("key", "base", "link"),
    [
        ("sk_test_x", "", "https://dashboard.stripe.com/test/payments/pi_"),
        ("sk_live_x", "", "https://dashboard.stripe.com/payments/pi_"),
        ("sk_test_x", "http://127.0.0.1:1", None),
    ],
)
def test_a_real_payment_has_a_link_to_stripe(
    site: Site, key: str, base: str, link: str | None
) -> None:
    sold(site.shop)
    changed = {"stripe_key": key, "stripe_api_base": base, "stripe_publishable_key": "pk_x"}
    known = site.app.extensions["settings"]
    site.app.extensions["settings"] = known.model_copy(update=changed)
    found = re.findall(r'href="(https://dashboard[^"]*pi_)', admin(site).get(PAGE).text)
    assert found == ([link] if link else [])


def test_a_forged_webhook_is_noted_without_what_it_said(site: Site) -> None:
    answer = site.visitor.post("/api/payments/webhook", data=b"{}", headers={"X-Evil": "1"})
    assert answer.status_code == 400
    (noted,) = site.shop.database["audit"].find()
    assert (noted["kind"], noted["actor"], noted["target"]) == ("webhook.refused", "", "")
    assert noted["address"] == "127.0.0.1"
