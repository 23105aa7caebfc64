"""Stripe's card form in a browser, with a script of our own in the place of Stripe's."""

import re
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route
from werkzeug.serving import make_server

from tests.identity import sign
from tests.payments.conftest import (  # noqa: F401 - a shop without the rest of the system
    database,
    mongo,
    one_stripe,
    shop,
    site,
    stripe,
)
from tests.payments.market import BUYER, ORDER
from tests.payments.shop import Site

# What Stripe documents of its script, as far as the page uses it.
STRIPE_JS = """
window.seen = [];
window.Stripe = (key) => {
  seen.push(["Stripe", key]);
  return {
    elements: (options) => {
      seen.push(["elements", options]);
      return {
        create: (kind) => ({
          on: (name, call) => name === "ready" && setTimeout(call),
          mount: (place) => {
            document.querySelector(place).innerHTML = '<label>Card <input id="typed"></label>';
            seen.push(["mount", kind]);
          },
        }),
        submit: async () => {
          const typed = document.getElementById("typed").value;
          return typed ? {} : { error: { message: "Your card number is incomplete." } };
        },
      };
    },
    createPaymentMethod: async () => {
      const typed = document.getElementById("typed").value;
      if (typed === "broken") return { error: { message: "Your card is not supported." } };
      return { paymentMethod: { id: typed } };
    },
  };
};
"""


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Site:
    """A site with a real Stripe behind it, as far as its pages know."""
    shown: Site = request.getfixturevalue("site")
    keys = {"stripe_api_base": "", "stripe_publishable_key": "pk_test_x"}
    known = shown.app.extensions["settings"]
    shown.app.extensions["settings"] = known.model_copy(update=keys)
    return shown


@pytest.fixture
def page(real: Site, chromium: Browser) -> Iterator[Page]:
    """The payment page, as the buyer sees it."""
    server = make_server("127.0.0.1", 0, real.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    context = chromium.new_context()
    context.add_cookies([{"name": "session", "value": sign(BUYER), "url": url}])
    opened = context.new_page()
    opened.route("https://js.stripe.com/**", _stripe_js)
    opened.goto(f"{url}/payments/new?order={ORDER}")
    yield opened
    context.close()
    server.shutdown()
    server.server_close()


def _stripe_js(route: Route) -> None:
    route.fulfill(content_type="text/javascript", body=STRIPE_JS)


def pay(page: Page, card: str) -> None:
    page.fill("#typed", card)
    page.click("button:has-text('Pay 39.00 USD')")


def test_the_form_is_made_for_the_order(page: Page) -> None:
    page.wait_for_selector("#card-form button:enabled")
    seen = dict(page.evaluate("() => seen"))
    assert seen["Stripe"] == "pk_test_x"
    assert seen["mount"] == "payment"
    options = {name: seen["elements"][name] for name in ("mode", "amount", "currency")}
    assert options == {"mode": "payment", "amount": 3900, "currency": "usd"}
    assert seen["elements"]["captureMethod"] == "manual"
    assert seen["elements"]["paymentMethodCreation"] == "manual"


def test_what_stripe_gives_back_is_sent_once(page: Page, real: Site) -> None:
    posted: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            posted.append(urlsplit(request.url).path)

    page.on("request", note)
    pay(page, "pm_card_visa")
    page.wait_for_url(re.compile(rf"/orders/{ORDER}\?paid=1$"))
    assert posted == ["/payments"]
    assert [attempt.method.value for attempt in real.shop.payment().attempts] == ["pm_card_visa"]


@pytest.mark.parametrize(
    ("typed", "says"), [("", "card number is incomplete"), ("broken", "card is not supported")]
)
def test_what_stripe_refuses_is_said_and_can_be_mended(
    page: Page, real: Site, typed: str, says: str
) -> None:
    pay(page, typed)
    page.wait_for_selector(f"#card-problem:has-text('{says}')")
    assert real.shop.payment().attempts == ()
    pay(page, "pm_card_chargeDeclined")
    page.wait_for_selector(".notice.bad:has-text('Your card was declined')")
    pay(page, "pm_card_visa")
    page.wait_for_url(re.compile(rf"/orders/{ORDER}\?paid=1$"))
    assert len(real.shop.payment().attempts) == 2


def test_without_stripes_script_the_page_says_so(page: Page) -> None:
    page.unroute("https://js.stripe.com/**")
    page.route("https://js.stripe.com/**", lambda route: route.abort())
    page.reload()
    page.wait_for_selector("#card-problem:has-text('could not be loaded')")
    assert page.is_disabled("#card-form button")
