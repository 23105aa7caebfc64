"""The way of people: plain form posts without any JavaScript, and the same with htmx."""

import re
import secrets

import pytest

from tests.system.http import Answer, Client
from tests.system.world import DECLINED_CARD, GOOD_CARD, PASSWORD, Person, World
from tests.waiting import wait_until

HTMX = {"HX-Request": "true"}


def signs_up(world: World) -> Client:
    browser = world.visitor()
    fields = browser.get("/account/signup").expect(200).form("/account/signup")
    fields |= {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    answer = browser.submit("/account/signup", fields).expect(303)
    assert answer.location == "/"
    return browser


def puts_on_sale(browser: Client, **details: str) -> str:
    """Returns the address of the ticket's page."""
    fields = browser.get("/tickets/new").expect(200).form("/tickets")
    fields |= {"title": "A play & a <b>dinner</b>", "price": "20.50", **details}
    return browser.submit("/tickets", fields).expect(303).location


def reserves(browser: Client, ticket: str) -> str:
    """Returns the address of the order's page."""
    fields = browser.get(ticket).expect(200).form("/orders")
    return browser.submit("/orders", fields).expect(303).location


def payment_form(browser: Client, order: str) -> dict[str, str]:
    page = browser.get(order).expect(200)
    (link,) = set(re.findall(r'href="(/payments/new\?order=[0-9a-f]{24})"', page.text))
    return browser.get(link).expect(200).form("/payments")


def is_paid(browser: Client, order: str) -> None:
    wait_until(lambda: "Paid. See you there!" in browser.get(order).text, "the order to be paid")


def test_a_sale_by_forms_alone(world: World):
    seller, buyer = signs_up(world), signs_up(world)
    ticket = puts_on_sale(seller)
    page = buyer.get(ticket).expect(200)
    assert "A play &amp; a &lt;b&gt;dinner&lt;/b&gt;" in page.text
    order = reserves(buyer, ticket)
    page = buyer.get(order).expect(200)
    assert "20.50 USD" in page.text
    fields = payment_form(buyer, order) | {"token": GOOD_CARD}
    assert buyer.submit("/payments", fields).expect(303).location == f"{order}?paid=1"
    is_paid(buyer, order)
    listed = buyer.get("/orders").expect(200)
    assert f'href="{order}"' in listed.text
    assert "Paid" in listed.text


def test_a_declined_card_shows_the_form_again_with_the_reason(world: World, seller: Person):
    buyer = signs_up(world)
    order = reserves(buyer, f"/tickets/{seller.sells()['id']}")
    fields = payment_form(buyer, order)
    page = buyer.submit("/payments", fields | {"token": DECLINED_CARD}).expect(400)
    assert "Your card was declined." in page.text
    again = page.form("/payments") | {"token": GOOD_CARD}
    assert again["idempotencyKey"] != fields["idempotencyKey"]
    buyer.submit("/payments", again).expect(303)
    is_paid(buyer, order)


def test_a_form_sent_twice_has_its_effect_once(world: World, seller: Person):
    buyer = signs_up(world)
    fields = buyer.get(f"/tickets/{seller.sells(quantity=3)['id']}").form("/orders")
    first, second = (buyer.submit("/orders", fields).expect(303) for _ in range(2))
    assert first.location == second.location
    buyer.submit(f"{first.location}/cancel", {}).expect(303)
    assert "You cancelled this reservation" in buyer.get(first.location).text


def test_what_was_typed_stays_in_a_refused_form(world: World):
    seller = signs_up(world)
    fields = seller.get("/tickets/new").form("/tickets")
    page = seller.submit("/tickets", fields | {"title": "Mine", "price": "0.3"}).expect(400)
    kept = page.form("/tickets")
    assert (kept["title"], kept["price"]) == ("Mine", "0.3")
    assert "must be at least 0.50 USD" in page.text
    seller.submit("/tickets", kept | {"price": "3"}).expect(303)


def test_somebody_not_signed_in_comes_back_to_where_they_were(world: World, seller: Person):
    ticket = f"/tickets/{seller.sells()['id']}"
    account = world.person()
    browser = world.visitor()
    page = browser.get(ticket).expect(200)
    assert f'href="/account/signin?next={ticket}"' in page.text
    assert browser.get("/orders").expect(303).location == "/account/signin?next=/orders"
    form = browser.get(f"/account/signin?next={ticket}").form("/account/signin")
    wrong = browser.submit("/account/signin", form | {"email": account.email, "password": "x" * 9})
    assert "Invalid credentials" in wrong.expect(400).text
    form = wrong.form("/account/signin") | {"email": account.email, "password": PASSWORD}
    assert browser.submit("/account/signin", form).expect(303).location == ticket
    assert account.email in browser.get("/").text


@pytest.mark.parametrize("path", ["/", "/tickets", "/account/signin", "/account/signup"])
def test_pages_for_everybody_are_there(world: World, path: str):
    page = world.visitor().get(path).expect(200)
    assert "<!doctype html>" in page.text
    for asset in re.findall(r'(?:href|src)="(/[^"]+/static/[^"#]+)', page.text):
        world.visitor().get(asset).expect(200)


# --- with htmx ------------------------------------------------------------------------------------


def fragment(answer: Answer) -> str:
    assert "<html" not in answer.text
    assert "HX-Request" in answer.headers["vary"]
    return answer.text


def test_the_payment_form_is_a_fragment_of_its_page(world: World, seller: Person):
    buyer = signs_up(world)
    order = reserves(buyer, f"/tickets/{seller.sells()['id']}")
    path = f"/payments/new?order={order.rpartition('/')[2]}"
    form = buyer.get(path, **HTMX).expect(200)
    assert fragment(form)
    fields = form.form("/payments")
    declined = buyer.submit("/payments", fields | {"token": DECLINED_CARD}, **HTMX).expect(400)
    assert "Your card was declined." in fragment(declined)
    paid = declined.form("/payments") | {"token": GOOD_CARD}
    answer = buyer.submit("/payments", paid, **HTMX).expect(200)
    assert answer.headers["hx-redirect"] == f"{order}?paid=1"
    is_paid(buyer, order)


def test_an_open_order_page_changes_by_itself(world: World, seller: Person):
    buyer = signs_up(world)
    order = reserves(buyer, f"/tickets/{seller.sells()['id']}")
    page = buyer.get(order).text
    (poll,) = re.findall(r'hx-get="(/orders/[0-9a-f]+\?version=\d+)"', page)
    buyer.get(poll, **HTMX).expect(204)
    fields = payment_form(buyer, order) | {"token": GOOD_CARD}
    buyer.submit("/payments", fields).expect(303)
    wait_until(lambda: "Paid. See you there!" in buyer.get(poll, **HTMX).text, "the news")
    assert fragment(buyer.get(poll, **HTMX).expect(200))


def test_an_open_ticket_page_notices_that_somebody_was_faster(
    world: World, seller: Person, buyer: Person
):
    ticket = seller.sells()
    page = f"/tickets/{ticket['id']}"
    reader = signs_up(world)
    (poll,) = re.findall(r'hx-get="(/tickets/[0-9a-f]+\?seen=[0-9-]+)"', reader.get(page).text)
    reader.get(poll, **HTMX).expect(204)
    order = buyer.reserves(ticket)
    wait_until(lambda: "Reserved" in reader.get(poll, **HTMX).text, "the news")
    assert fragment(reader.get(poll, **HTMX).expect(200))
    buyer.cancels(order)


def test_searching_answers_with_the_results_alone(world: World, seller: Person):
    name = f"Rare {secrets.token_hex(4)}"
    seller.sells(title=name, quantity=2)
    results = world.visitor().get(f"/tickets?q={name.replace(' ', '+')}", **HTMX).expect(200)
    assert fragment(results).count(name) == 1


# --- refused --------------------------------------------------------------------------------------


def test_a_form_of_another_site_has_no_effect(world: World, seller: Person):
    buyer = signs_up(world)
    ticket = seller.sells()
    fields = buyer.get(f"/tickets/{ticket['id']}").form("/orders")
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    buyer.submit("/orders", fields, **evil).expect(403)
    assert seller.sees_ticket(ticket)["available"] == 1


def test_an_unknown_page_says_so_in_the_common_look(world: World):
    page = world.visitor().get("/tickets/nothing-like-that").expect(404)
    assert "Browse tickets" in page.text
