"""What sellers see: counts that follow the orders, who bought, and tables for spreadsheets."""

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.errors import AutoReconnect

from apps.orders import create_app, handlers
from apps.orders.chart import HEIGHT, WIDTH, chart
from apps.orders.counts import Count, count, last_days
from apps.orders.models import Order
from shared.bus import tell_nobody
from shared.errors import Conflict
from shared.events import OrderEvent, UserCreated, UserData, UserUpdated
from tests.identity import identity, sign
from tests.orders.watched import Call, Crash, Meanwhile, watched
from tests.orders.world import BUYER, OTHER, PAIR, SELLER, START, TICKET, World, settings, user

HTMX = {"HX-Request": "true"}


def hear(world: World) -> None:
    """Every sale."""
    heard = [event for event in world.events(*handlers.SOLD) if isinstance(event, OrderEvent)]
    world.handlers.on_sold(heard)


def tally(world: World) -> Count:
    return world.service.sales.of_ticket(TICKET)


def held_units(world: World) -> int:
    world.drain()
    return world.service.sellers.offer(user(SELLER), TICKET).held


def says_person(
    world: World, email: str | None, version: int, user_id: str = BUYER, *, deleted: bool = False
) -> None:
    data = UserData(id=user_id, verified=True, disabled=False, deleted=deleted, email=email)
    kind = UserUpdated if version else UserCreated
    world.handlers.table[kind](kind(data=data, version=version))


def buys(world: World, quantity: int = 1, buyer: str = BUYER) -> Order:
    order = world.reserves(quantity, buyer)
    world.service.complete(order.id, PAIR)
    return world.order(order)


# --- counting -------------------------------------------------------------------------------------


def test_counts_follow_the_orders(small: World) -> None:
    small.sells(20)
    held, sold, cancelled = small.reserves(2), buys(small, 6), small.reserves()
    small.service.expire(cancelled.id)
    small.passes(small.service.hold)
    small.service.expire(cancelled.id)
    hear(small)
    assert (held_units(small), tally(small).sold, tally(small).orders) == (2, 6, 1)
    small.service.expire(held.id)
    small.service.refund(sold.id, PAIR, 500)
    hear(small)
    after = tally(small)
    assert held_units(small) == 0
    assert (after.money, after.refunded) == ({"usd": 6 * 1950 - 500}, {"usd": 500})
    assert after.days == {"2027-05-01": 6}


def test_events_that_come_twice_or_late_count_once(small: World) -> None:
    small.sells(20)
    for _ in range(3):
        buys(small, 3)
    for _ in range(2):
        hear(small)
    assert tally(small).sold == 9
    assert tally(small) == count(small.orders())


@pytest.mark.parametrize("collection", ["shelves", "tallies"])
def test_who_counted_what_was_true_before_counts_again(small: World, collection: str) -> None:
    """A worker has read, and stands still before it writes while another one counts more."""
    small.sells(4)
    first = buys(small)
    small.service.sales.count([first.id], tell_nobody)

    def more() -> None:
        small.service.sales.count([buys(small, 2).id], tell_nobody)

    def writes_down(call: Call) -> bool:
        return call.writes and call.collection == collection

    slow = Meanwhile(writes_down, more)
    small.process(watched(small.store, slow)).sales.count([first.id], tell_nobody)
    assert slow.happened
    assert tally(small).sold == 3


@pytest.mark.parametrize("collection", ["shelves", "tallies"])
def test_two_who_count_something_for_the_first_time(small: World, collection: str) -> None:
    small.sells(4)
    first = buys(small)

    def more() -> None:
        small.service.sales.count([buys(small, 2).id], tell_nobody)

    def writes_down(call: Call) -> bool:
        return call.writes and call.collection == collection

    slow = Meanwhile(writes_down, more)
    small.process(watched(small.store, slow)).sales.count([first.id], tell_nobody)
    assert slow.happened
    assert tally(small).sold == 3


def test_who_always_loses_lets_the_event_come_again(small: World) -> None:
    small.sells(4)
    order = buys(small)
    small.service.sales.count([order.id], tell_nobody)

    def others_are_faster(call: Call) -> Any:
        if call.writes and call.collection == "tallies":
            small.service.sales.count([order.id], tell_nobody)
        return call.do()

    loser = small.process(watched(small.store, others_are_faster)).sales
    with pytest.raises(Conflict):
        loser.count([order.id], tell_nobody)


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_in_between_is_made_good_when_the_event_comes_again(
    small: World, number: int, after: bool
) -> None:
    small.sells(4)
    order = buys(small)
    crash = Crash(number, after)
    with pytest.raises(AutoReconnect):
        small.process(watched(small.store, crash)).sales.count([order.id], tell_nobody)
    assert crash.happened
    small.process().sales.count([order.id], tell_nobody)
    assert tally(small) == count(small.orders())


def test_an_order_that_cannot_be_read_leaves_out_its_block_alone(small: World) -> None:
    small.sells(8)
    orders = [buys(small, 4), buys(small, 4)]
    small.store["orders"].update_one({"_id": orders[0].id}, {"$set": {"quantity": "many"}})
    blocks = [order.blocks[0].block for order in orders]
    counted = small.service.sales._count_blocks(blocks)
    assert list(counted) == blocks[1:]


def test_the_seller_is_told_once_it_is_counted(memory: World) -> None:
    memory.sells(5)
    told: list[tuple[str, str | None, int]] = []
    memory.service.sales.count(
        [buys(memory).id, buys(memory).id],
        lambda topic, user: told.append((topic, user, tally(memory).sold)),
    )
    assert told == [("sales", SELLER, 2)]


def test_looking_at_sales_reads_little(small: World) -> None:
    """As many documents as the ticket has blocks are never read to show a page."""
    small.sells(40)
    for _ in range(10):
        buys(small, 4)
    hear(small)
    calls: list[str] = []

    def note(call: Call) -> bool:
        calls.append(call.collection)
        return False

    process = small.process(watched(small.store, Meanwhile(note, lambda: None)))
    process.sellers.offers(user(SELLER))
    assert sorted(set(calls)) == ["availability", "tallies", "tickets"]
    calls.clear()
    offer = process.sellers.offer(user(SELLER), TICKET)
    process.sellers.buyers(offer.ticket, None, 1)
    assert calls.count("orders") == calls.count("blocks") == 1


# --- addresses ------------------------------------------------------------------------------------


def test_the_newest_address_counts(memory: World) -> None:
    says_person(memory, "old@example.com", 0)
    says_person(memory, "new@example.com", 2)
    says_person(memory, "late@example.com", 1)
    assert memory.service.people.emails([BUYER, OTHER]) == {BUYER: "new@example.com"}


def test_a_deleted_account_has_no_address_any_more(memory: World) -> None:
    says_person(memory, "buyer@example.com", 0)
    says_person(memory, None, 2, deleted=True)
    says_person(memory, "buyer@example.com", 1)
    assert memory.service.people.emails([BUYER]) == {}
    assert "buyer@example.com" not in str(list(memory.store["people"].find()))


# --- pages ----------------------------------------------------------------------------------------


@pytest.fixture
def app(memory: World) -> Flask:
    memory.sells(20, title="Concert")
    says_person(memory, "=cmd@example.com", 0)
    return create_app(settings(), memory.service, identity())


def client(app: Flask, user_id: str = SELLER) -> FlaskClient:
    browser = app.test_client()
    browser.set_cookie("session", sign(user_id))
    return browser


def test_the_dashboard(app: Flask, memory: World) -> None:
    buys(memory, 3)
    memory.reserves(2)
    memory.drain()
    hear(memory)
    page = client(app).get("/orders/sales").text
    shown = dict(re.findall(r"<dt>([^<]+)</dt>\s*<dd>([^<]+)<", page))
    assert shown == {
        "On sale now": "15",
        "Held, not paid yet": "2",
        "Sold": "3",
        "Money": "58.50 USD",
    }
    assert f'href="/orders/sales/{TICKET}"' in page
    assert "3 sold in the last 30 days, most on 1 May: 3." in page
    assert "style=" not in page


def test_nothing_on_sale(app: Flask) -> None:
    assert "Nothing on sale yet" in client(app, OTHER).get("/orders/sales").text


def test_the_dashboard_in_pages(app: Flask, memory: World) -> None:
    for number in range(3):
        memory.sells(1, f"71c4e700000000000000000{number + 2}", title=f"Show {number}")
    first = client(app).get("/orders/sales?limit=2").text
    link = re.search(r'href="([^"]*)" rel="next"', first)
    assert link
    second = client(app).get(link[1].replace("&amp;", "&")).text
    listed = [re.findall(r'id="ticket-(\w+)"', page) for page in (first, second)]
    assert [len(page) for page in listed] == [2, 2]
    assert len(set(listed[0] + listed[1])) == 4
    # Everything counts on every page.
    assert ">23<" in first
    assert ">23<" in second


def test_the_buyers_of_a_ticket(app: Flask, memory: World) -> None:
    known, unknown = buys(memory, 2), buys(memory, 1, OTHER)
    memory.service.refund(unknown.id, PAIR, unknown.amount)
    hear(memory)
    page = client(app).get(f"/orders/sales/{TICKET}").text
    assert "=cmd@example.com" in page
    assert "No address" in page
    assert "Refunded" in page
    assert known.id in page
    fragment = client(app).get(f"/orders/sales/{TICKET}", headers=HTMX).text
    assert known.id in fragment
    assert "<html" not in fragment


def test_buyers_in_pages_the_latest_first(store: object, small: World) -> None:
    small.sells(12)
    orders: list[Order] = []
    for _ in range(3):
        orders.append(buys(small, 4))
        small.passes(timedelta(minutes=1))
    hear(small)
    browser = client(create_app(settings(4), small.service, identity()))
    path, seen = f"/orders/sales/{TICKET}?limit=1", []
    while path:
        page = browser.get(path).text
        seen += re.findall(r"Order <code>(\w+)</code>", page)
        link = re.search(r'href="([^"]*)" rel="next"', page)
        path = link[1].replace("&amp;", "&") if link else ""
    assert seen == [order.id for order in reversed(orders)]


@pytest.mark.parametrize("path", ["", "/buyers.csv"])
def test_only_the_seller_sees_the_buyers(app: Flask, memory: World, path: str) -> None:
    buys(memory)
    hear(memory)
    answer = client(app, OTHER).get(f"/orders/sales/{TICKET}{path}")
    assert answer.status_code == 403
    assert "example.com</a>" not in answer.text
    assert client(app).get(f"/orders/sales/{'0' * 24}{path}").status_code == 404
    assert app.test_client().get(f"/orders/sales/{TICKET}{path}").status_code == 303


@pytest.mark.parametrize("path", ["/orders/sales.csv", f"/orders/sales/{TICKET}/buyers.csv"])
def test_a_table_that_runs_no_formula(app: Flask, memory: World, path: str) -> None:
    memory.sells(20, title='@SUM(A1), "quoted"')
    order = buys(memory, 2)
    hear(memory)
    answer = client(app).get(path)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert rows == [
        {
            "Ticket": '\'@SUM(A1), "quoted"',
            "Buyer": "'=cmd@example.com",
            "Quantity": "2",
            "Total": "39",
            "Currency": "USD",
            "Refunded": "0",
            "Paid": "2027-05-01T20:00:00.000Z",
            "State": "paid",
            "Order": order.id,
        }
    ]


# --- the chart ------------------------------------------------------------------------------------


def test_bars_fit_and_the_highest_is_full() -> None:
    days = last_days({"2027-05-01": 10, "2027-04-30": 1, "2027-01-01": 99}, START.date(), 30)
    made = chart(days)
    assert [bar.units for bar in made.bars[-2:]] == [1, 10]
    assert sum(bar.units for bar in made.bars) == 11
    assert max(bar.height for bar in made.bars) == HEIGHT
    assert all(bar.y + bar.height == HEIGHT for bar in made.bars)
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in made.bars)


def test_a_chart_of_nothing() -> None:
    made = chart(last_days({}, START.date(), 30))
    assert made.summary == "Nothing was sold in the last 30 days."
    assert all(bar.height == 0 for bar in made.bars)
