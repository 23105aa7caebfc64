"""The pages: each is whole for a browser, and in part for htmx."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from apps.orders import create_app
from apps.orders.models import Order
from shared import patience
from tests.identity import identity, sign
from tests.orders.world import BUYER, HOLD, OTHER, PAIR, START, TICKET, World, settings, user

HTMX = {"HX-Request": "true"}
UNKNOWN = "0de2000000000000000000ff"


@pytest.fixture
def app(memory: World, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(patience, "PATIENCE", 0)
    memory.sells(20, title="Sofa <b>Concert</b>")
    return create_app(settings(), memory.service, identity())


@pytest.fixture
def buyer(app: Flask) -> FlaskClient:
    return signed_in(app, BUYER)


@pytest.fixture
def other(app: Flask) -> FlaskClient:
    return signed_in(app, OTHER)


@pytest.fixture
def order(app: Flask, memory: World) -> Order:
    return memory.reserves(2)


def signed_in(app: Flask, user_id: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie("session", sign(user_id))
    return client


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


# --- an order -------------------------------------------------------------------------------------


def test_a_reservation(buyer: FlaskClient, order: Order) -> None:
    text = page(buyer, f"/orders/{order.id}")
    assert "Sofa &lt;b&gt;Concert&lt;/b&gt;" in text
    assert "39.00 USD" in text
    assert 'data-countdown="2027-05-01T20:15:00.000Z"' in text
    assert re.search(r"Yours for</span> <span [^>]+>\d+ minutes, until Sat 1 May 2027, 20:15", text)
    assert f'href="/payments/new?order={order.id}"' in text
    assert f'action="/orders/{order.id}/cancel" method="post"' in text


def test_while_the_payment_is_confirmed(buyer: FlaskClient, order: Order, memory: World) -> None:
    memory.service.commit(order.id, PAIR)
    text = page(buyer, f"/orders/{order.id}")
    assert "Confirming your payment" in text
    assert "/cancel" not in text
    assert "/payments/new" not in text


def test_a_paid_order(buyer: FlaskClient, order: Order, memory: World) -> None:
    memory.service.complete(order.id, PAIR)
    text = page(buyer, f"/orders/{order.id}")
    assert "39.00 USD was charged" in text
    assert "/cancel" not in text
    assert f"sse:order:{order.id}, every 60s" in text, "a refund is seen without a reload"


@pytest.mark.parametrize(
    ("amount", "heading"), [(3900, "<h1>Refunded</h1>"), (500, "<h1>Paid. See you there!</h1>")]
)
def test_a_refunded_order(
    buyer: FlaskClient, order: Order, memory: World, amount: int, heading: str
) -> None:
    memory.service.complete(order.id, PAIR)
    memory.service.refund(order.id, PAIR, amount)
    text = page(buyer, f"/orders/{order.id}")
    assert heading in text
    assert f"{amount // 100}.00 USD went back" in text


def test_a_refund_that_did_not_arrive(buyer: FlaskClient, order: Order, memory: World) -> None:
    memory.service.complete(order.id, PAIR)
    memory.service.refund(order.id, PAIR, 0, 3900)
    text = page(buyer, f"/orders/{order.id}")
    assert "39.00 USD that we sent back did not reach your card" in text
    assert "was charged" not in text


def cancel_as_buyer(memory: World, order: Order) -> None:
    memory.service.cancel(user(), order.id)


def let_expire(memory: World, order: Order) -> None:
    memory.passes(HOLD)
    memory.service.expire(order.id)


def withdraw(memory: World, order: Order) -> None:
    memory.sells(20, withdrawn=True)


def fail_to_pay(memory: World, order: Order) -> None:
    memory.service.commit(order.id, PAIR)
    memory.passes(HOLD)
    memory.service.payment_failed(order.id, PAIR)


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (cancel_as_buyer, "You cancelled this reservation"),
        (let_expire, "Time is up"),
        (withdraw, "No longer on sale"),
        (fail_to_pay, "The payment did not go through"),
    ],
)
def test_a_cancelled_order(
    buyer: FlaskClient, order: Order, memory: World, end: object, says: str
) -> None:
    assert callable(end)
    end(memory, order)
    text = page(buyer, f"/orders/{order.id}")
    assert says in text
    assert f'href="/tickets/{TICKET}?quantity=2"' in text
    again = 'name="quantity" value="2"' in text
    assert again == (end is not withdraw)
    assert "/cancel" not in text


def test_the_page_asks_until_something_has_changed(
    buyer: FlaskClient, order: Order, memory: World
) -> None:
    asked = _asks(page(buyer, f"/orders/{order.id}"))
    assert buyer.get(asked, headers=HTMX).status_code == 204
    memory.service.commit(order.id, PAIR)
    changed = buyer.get(asked, headers=HTMX)
    assert changed.status_code == 200
    assert "Confirming your payment" in changed.text
    assert _asks(changed.text) != asked
    assert buyer.get(_asks(changed.text), headers=HTMX).status_code == 204


def _asks(text: str) -> str:
    """The address that the page asks, now and then."""
    found = re.search(r'hx-get="(/orders/[^"]*)"', text)
    assert found
    return found[1].replace("&amp;", "&")


def test_a_browser_always_gets_the_page(buyer: FlaskClient, order: Order) -> None:
    assert "<html" in page(buyer, f"/orders/{order.id}?version={order.version}")


def test_htmx_gets_the_part_that_changes(buyer: FlaskClient, order: Order) -> None:
    whole = buyer.get(f"/orders/{order.id}")
    part = buyer.get(f"/orders/{order.id}", headers=HTMX)
    assert "<html" in whole.text
    assert "<html" not in part.text
    assert part.text.strip() in whole.text
    assert 'id="order"' not in part.text  # it goes into that element
    assert "HX-Request" in whole.headers["Vary"]
    assert "HX-Request" in part.headers["Vary"]


def test_back_in_the_browser_shows_the_whole_page(buyer: FlaskClient, order: Order) -> None:
    headers = {**HTMX, "HX-History-Restore-Request": "true"}
    assert "<html" in buyer.get(f"/orders/{order.id}", headers=headers).text


# --- forms ----------------------------------------------------------------------------------------


def test_reserving_leads_to_the_order(buyer: FlaskClient, memory: World) -> None:
    form = {"ticketId": TICKET, "quantity": "3", "idempotencyKey": "one"}
    answers = [buyer.post("/orders", data=form) for _ in range(2)]
    (order,) = memory.orders()
    assert [(a.status_code, a.headers["Location"]) for a in answers] == [
        (303, f"/orders/{order.id}")
    ] * 2
    assert order.quantity == 3


def test_reserving_by_htmx(buyer: FlaskClient, memory: World) -> None:
    answer = buyer.post("/orders", data={"ticketId": TICKET}, headers=HTMX)
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == f"/orders/{memory.orders()[0].id}"


@pytest.mark.parametrize(
    ("form", "status", "says"),
    [
        ({"ticketId": TICKET, "quantity": "11"}, 400, "quantity must be at most 10"),
        ({"ticketId": TICKET, "quantity": "x"}, 400, "quantity must be a whole number"),
        ({"quantity": "1"}, 400, "ticketId is required"),
        ({"ticketId": "x"}, 404, "Not found"),
        ({"ticketId": UNKNOWN}, 404, "There is no such ticket"),
    ],
    ids=str,
)
def test_a_refused_form(
    buyer: FlaskClient, memory: World, form: dict[str, str], status: int, says: str
) -> None:
    whole = buyer.post("/orders", data=form)
    assert (whole.status_code, "<html" in whole.text) == (status, True)
    part = buyer.post("/orders", data=form, headers=HTMX)
    assert (part.status_code, "<html" in part.text) == (status, False)
    for answer in (whole, part):
        assert says.casefold() in answer.text.casefold()
    assert part.headers["HX-Retarget"] == "#notices"
    assert memory.orders() == []


def test_cancelling(buyer: FlaskClient, order: Order, memory: World) -> None:
    for _ in range(2):
        answer = buyer.post(f"/orders/{order.id}/cancel")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/orders/{order.id}")
    assert memory.order(order).reason == "buyer"
    assert memory.free() == 20


def test_cancelling_what_is_paid(buyer: FlaskClient, order: Order, memory: World) -> None:
    memory.service.complete(order.id, PAIR)
    answer = buyer.post(f"/orders/{order.id}/cancel")
    assert (answer.status_code, "paid order" in answer.text) == (400, True)


def test_a_form_on_another_site(buyer: FlaskClient, order: Order, memory: World) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    for path in ("/orders", f"/orders/{order.id}/cancel"):
        assert buyer.post(path, data={"ticketId": TICKET}, headers=headers).status_code == 403
    assert [found.status for found in memory.orders()] == ["created"]


# --- lists and people -----------------------------------------------------------------------------


def test_no_orders_yet(buyer: FlaskClient) -> None:
    for path in ("/orders", "/orders?show=all"):
        assert "You have not ordered anything yet" in page(buyer, path)


def test_what_comes_first_comes_up_first(buyer: FlaskClient, memory: World) -> None:
    """What waits for a payment, then by date, then without one; not what is over."""
    titles = ["paid", "late", "soon", "open", "over", "refunded"]
    days = {"late": 9, "soon": 3, "over": -1, "refunded": 1, "open": 20}
    for number, title in enumerate(titles):
        ticket = f"71c4e700000000000000000{number + 2}"
        starts_at = START + timedelta(days=days[title]) if title in days else None
        memory.sells(1, ticket, title=f"Show {title}", starts_at=starts_at)
        order = memory.service.place(user(), ticket, 1, None)
        if title != "open":
            memory.service.complete(order.id, PAIR)
        if title == "refunded":
            memory.service.refund(order.id, PAIR, order.amount)
    listed = re.findall(r">Show (\w+)<", page(buyer, "/orders"))
    assert listed == ["open", "soon", "late", "paid"]
    everything = re.findall(r">Show (\w+)<", page(buyer, "/orders?show=all"))
    assert sorted(everything) == sorted(titles)


def test_a_page_that_is_late_shows_that_time_is_up(
    buyer: FlaskClient, order: Order, memory: World
) -> None:
    """Also before the sweep has come by; a payment that was on its way still counts."""
    asked = _asks(page(buyer, f"/orders/{order.id}"))
    memory.passes(HOLD)
    late = buyer.get(asked, headers=HTMX)
    assert "Time is up" in late.text
    assert "/payments/new" not in late.text
    assert 'id="announcer" hx-swap-oob' in late.text
    assert buyer.get(_asks(late.text), headers=HTMX).status_code == 204
    memory.service.commit(order.id, PAIR)
    assert "Confirming your payment" in buyer.get(_asks(late.text), headers=HTMX).text


def test_who_comes_from_paying_is_not_asked_to_pay_again(
    buyer: FlaskClient, order: Order, memory: World
) -> None:
    text = page(buyer, f"/orders/{order.id}?paid=1")
    assert "Confirming your payment" in text
    assert '<noscript><meta http-equiv="refresh"' in text
    assert "/payments/new" not in text
    let_expire(memory, order)
    assert "Confirming" not in page(buyer, f"/orders/{order.id}?paid=1")


def test_trying_again_reserves_as_many_again(
    buyer: FlaskClient, order: Order, memory: World
) -> None:
    let_expire(memory, order)
    text = page(buyer, f"/orders/{order.id}")
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
    answers = [buyer.post("/orders", data=fields) for _ in range(2)]
    (again,) = [one for one in memory.orders() if one.status == "created"]
    assert [a.headers["Location"] for a in answers] == [f"/orders/{again.id}"] * 2
    assert (again.ticket.id, again.quantity) == (TICKET, 2)


def test_my_orders(buyer: FlaskClient, other: FlaskClient, order: Order, memory: World) -> None:
    others = memory.reserves(buyer=OTHER)
    text = page(buyer, "/orders")
    assert f'href="/orders/{order.id}"' in text
    assert "Not paid yet" in text
    assert others.id not in text


def test_older_orders(buyer: FlaskClient, memory: World) -> None:
    orders: list[Order] = []
    for _ in range(3):
        orders.append(memory.reserves())
        memory.passes(timedelta(seconds=1))
    first = page(buyer, "/orders?limit=2")
    link = re.search(r'href="([^"]*)" rel="next"', first)
    assert link
    second = page(buyer, link[1].replace("&amp;", "&"))
    assert orders[0].id not in first
    assert orders[0].id in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize("path", ["/orders", f"/orders/{UNKNOWN}"])
def test_who_is_not_signed_in_comes_back_after_signing_in(app: Flask, path: str) -> None:
    answer = app.test_client().get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/account/signin?next={path}")


def test_other_peoples_orders(other: FlaskClient, order: Order, memory: World) -> None:
    assert other.get(f"/orders/{order.id}").status_code == 403
    assert other.post(f"/orders/{order.id}/cancel").status_code == 403
    assert memory.order(order).status == "created"


@pytest.mark.parametrize("order_id", [UNKNOWN, "x", "new"])
def test_orders_that_are_not_there(buyer: FlaskClient, order_id: str) -> None:
    answer = buyer.get(f"/orders/{order_id}")
    assert (answer.status_code, "<html" in answer.text) == (404, True)
    assert buyer.post(f"/orders/{order_id}/cancel").status_code == 404
