"""The card form, with and without htmx, and the way back from the bank."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from apps.payments.config import Settings
from tests.payments.market import ORDER
from tests.payments.shop import CONFIRM, INTENTS, Site

ORDER_PAGE = f"/orders/{ORDER}"
PAID_PAGE = f"{ORDER_PAGE}?paid=1"  # it waits for the news that is on its way
HTMX = {"HX-Request": "true"}


def send(site: Site, card: str = "visa", headers: Any = None, **more: str) -> Any:
    form = {"orderId": ORDER, "token": f"tok_{card}", **more}
    return site.buyer.post("/payments", data=form, headers=headers or {})


def test_the_form_is_real_and_has_a_key(site: Site) -> None:
    page = site.buyer.get(f"/payments/new?order={ORDER}")
    assert page.status_code == 200
    assert '<form class="form cards-to-try" action="/payments" method="post"' in page.text
    assert "39.00 USD" in page.text
    keys = re.findall(r'name="idempotencyKey" value="([^"]{16,})"', page.text)
    again = site.buyer.get(f"/payments/new?order={ORDER}")
    assert len(keys) == 1
    assert keys[0] not in again.text


def test_htmx_gets_the_form_alone(site: Site) -> None:
    fragment = site.buyer.get(f"/payments/new?order={ORDER}", headers=HTMX)
    assert "<form" in fragment.text
    assert "<html" not in fragment.text
    assert "HX-Request" in fragment.headers["Vary"]


def test_a_paid_order_leads_to_its_page(site: Site) -> None:
    answer = send(site)
    assert (answer.status_code, answer.location) == (303, PAID_PAGE)
    assert site.shop.payment().status == "authorized"


def test_htmx_is_led_there_too(site: Site) -> None:
    answer = send(site, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, PAID_PAGE)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_declined_card_shows_the_form_again_with_the_reason(
    site: Site, headers: dict[str, str]
) -> None:
    answer = send(site, "chargeDeclinedInsufficientFunds", headers)
    assert answer.status_code == 400
    assert "Your card has insufficient funds" in answer.text
    assert '<form class="form' in answer.text
    assert ("<html" in answer.text) == (not headers)


def test_a_form_that_is_sent_twice_pays_once(site: Site) -> None:
    for _ in range(2):
        assert send(site, idempotencyKey="k" * 20).status_code == 303
    assert len(site.shop.payment().attempts) == 1


def test_a_question_of_the_bank_leads_there(site: Site) -> None:
    answer = send(site, "threeDSecure2Required")
    assert answer.status_code == 303
    assert answer.location.startswith(f"{site.shop.emulator.url}/3d-secure/")
    again = site.buyer.get(f"/payments/new?order={ORDER}")
    assert answer.location in again.text
    assert "<form class" not in again.text
    fragment = send(site, headers=HTMX)
    assert fragment.headers["HX-Redirect"] == answer.location


def test_the_bank_sends_the_buyer_back_to_the_order(site: Site) -> None:
    send(site, "threeDSecure2Required")
    back = site.shop.at_the_bank(site.shop.payment(), "complete").headers["Location"]
    assert back.startswith(f"http://shop.test/payments/return/{ORDER}?")
    answer = site.buyer.get(back.removeprefix("http://shop.test"))
    assert (answer.status_code, answer.location) == (303, PAID_PAGE)
    assert site.shop.payment().status == "authorized"


def test_who_fails_at_the_bank_gets_the_form_again(site: Site) -> None:
    send(site, "threeDSecure2Required")
    site.shop.at_the_bank(site.shop.payment(), "fail")
    # What the address says is not believed.
    answer = site.buyer.get(f"/payments/return/{ORDER}?redirect_status=succeeded")
    assert answer.status_code == 400
    assert "did not confirm that it was you" in answer.text
    assert '<form class="form' in answer.text


def test_who_comes_back_without_an_answer_waits_at_the_order(site: Site) -> None:
    send(site, "threeDSecure2Required")
    answer = site.buyer.get(f"/payments/return/{ORDER}?redirect_status=succeeded")
    assert (answer.status_code, answer.location) == (303, ORDER_PAGE)
    assert site.shop.payment().status == "requires_action"


def test_an_answer_that_does_not_come_leads_to_the_order(site: Site) -> None:
    site.shop.fault(CONFIRM, kind="drop", when="after")
    assert send(site).location == ORDER_PAGE
    assert "Confirming your payment" in site.buyer.get(f"/payments/new?order={ORDER}").text


def test_a_cancelled_order_shows_no_form(site: Site) -> None:
    site.shop.orders.cancel()
    site.shop.exchange()
    answer = send(site)
    assert answer.status_code == 400
    assert "This order was cancelled" in answer.text
    assert '<form class="form' not in answer.text


def test_stripe_away_is_said(site: Site) -> None:
    site.shop.fault(INTENTS, kind="drop")
    assert send(site).status_code == 503


def test_who_is_not_signed_in_signs_in_first(site: Site) -> None:
    answer = site.visitor.get(f"/payments/new?order={ORDER}")
    assert answer.status_code == 303
    assert answer.location.startswith("/account/signin?next=/payments/new")
    assert site.visitor.post("/payments", data={}).status_code == 303


def test_somebody_elses_order_is_not_shown(site: Site) -> None:
    form = {"orderId": ORDER, "token": "tok_visa"}
    assert site.stranger.get(f"/payments/new?order={ORDER}").status_code == 403
    assert site.stranger.post("/payments", data=form).status_code == 403
    assert site.stranger.get(f"/payments/return/{ORDER}").status_code == 403
    assert site.shop.payment().attempts == ()


@pytest.mark.parametrize("path", ["/payments/new", "/payments/new?order="])
def test_the_form_of_no_order(site: Site, path: str) -> None:
    assert site.buyer.get(path).status_code in (400, 404)


def test_another_site_can_not_send_the_form(site: Site) -> None:
    for headers in ({"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        assert send(site, headers=headers).status_code == 403
    assert site.shop.payment().attempts == ()


def test_a_form_may_only_lead_to_this_site_and_to_the_bank(site: Site) -> None:
    page = site.buyer.get(f"/payments/new?order={ORDER}")
    policy = page.headers["Content-Security-Policy"]
    assert f"form-action 'self' {site.shop.emulator.url}" in policy
    assert policy.count(site.shop.emulator.url) == 1
    assert "script-src 'self';" in policy


# --- in the page of the order ---------------------------------------------------------------------


IN_ORDER = {**HTMX, "HX-Current-URL": f"http://shop.test{ORDER_PAGE}"}


def test_in_the_page_of_the_order_the_form_becomes_the_wait(site: Site) -> None:
    answer = send(site, headers=IN_ORDER)
    assert answer.status_code == 200
    assert "HX-Redirect" not in answer.headers
    assert "Confirming your payment" in answer.text
    assert f'hx-get="{ORDER_PAGE}?version=0" hx-target="#order"' in answer.text
    assert site.shop.payment().status == "authorized"


def test_elsewhere_nothing_asks_for_a_page_that_is_not_there(site: Site) -> None:
    send(site)
    page = site.buyer.get(f"/payments/new?order={ORDER}")
    assert "Confirming your payment" in page.text
    assert 'hx-target="#order"' not in page.text


def test_another_card_in_a_form_of_earlier_gets_a_new_form(site: Site) -> None:
    key = "k" * 20
    send(site, "chargeDeclined", idempotencyKey=key)
    answer = send(site, "visa", idempotencyKey=key)
    assert answer.status_code == 422
    assert '<form class="form' in answer.text
    assert f'value="{key}"' not in answer.text
    assert len(site.shop.payment().attempts) == 1


# --- with a key of the real Stripe ----------------------------------------------------------------


@pytest.fixture
def real(site: Site) -> Site:
    """The pages as they are with a Stripe behind them; the service keeps to the emulator."""
    settings = site.app.extensions["settings"]
    keys = {"stripe_api_base": "", "stripe_publishable_key": "pk_test_x"}
    site.app.extensions["settings"] = settings.model_copy(update=keys)
    return site


def test_stripes_own_form_is_on_the_payment_page_alone(real: Site) -> None:
    page = real.buyer.get(f"/payments/new?order={ORDER}")
    assert 'data-stripe-key="pk_test_x"' in page.text
    assert 'data-amount="3900" data-currency="usd"' in page.text
    assert '<script src="https://js.stripe.com/v3/" defer></script>' in page.text
    assert "tok_" not in page.text
    rules = dict(rule.split(" ", 1) for rule in page.headers["Content-Security-Policy"].split("; "))
    assert rules["script-src"] == "'self' https://js.stripe.com https://*.js.stripe.com"
    assert rules["connect-src"] == "'self' https://api.stripe.com"
    assert "https://hooks.stripe.com" in rules["frame-src"]
    assert rules["form-action"] == "'self' https://hooks.stripe.com"
    assert "'unsafe" not in page.headers["Content-Security-Policy"]


def test_in_the_page_of_the_order_there_is_a_link_to_it(real: Site) -> None:
    fragment = real.buyer.get(f"/payments/new?order={ORDER}", headers=IN_ORDER)
    assert f'href="/payments/new?order={ORDER}"' in fragment.text
    assert "<form" not in fragment.text


def test_what_its_form_sends_is_paid_by_the_same_code(real: Site) -> None:
    form = {"orderId": ORDER, "paymentMethod": "pm_card_visa", "idempotencyKey": "k" * 20}
    answers = [real.buyer.post("/payments", data=form) for _ in range(2)]
    assert [(a.status_code, a.location) for a in answers] == [(303, PAID_PAGE)] * 2
    assert len(real.shop.payment().attempts) == 1


def test_a_declined_payment_method_shows_its_form_again(real: Site) -> None:
    form = {"orderId": ORDER, "paymentMethod": "pm_card_chargeDeclined"}
    answer = real.buyer.post("/payments", data=form)
    assert answer.status_code == 400
    assert "Your card was declined" in answer.text
    assert "js.stripe.com" in answer.headers["Content-Security-Policy"]
    assert 'name="paymentMethod" value=""' in answer.text


def test_without_a_form_of_stripes_a_live_key_is_refused(site: Site) -> None:
    known = site.app.extensions["settings"].model_dump()
    live = {"stripe_key": "sk_live_x", "stripe_publishable_key": ""}
    with pytest.raises(ValidationError, match="STRIPE_PUBLISHABLE_KEY"):
        Settings(**{**known, **live})
