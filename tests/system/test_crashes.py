"""Whatever is killed: no acknowledged write is lost, and the system sells again."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from tests.system.http import Unanswered
from tests.system.world import Json, Person, World
from tests.waiting import wait_until

PAUSE = 0.15  # seconds between two sales; what was killed needs the machine to start again
APPS = ["auth", "tickets", "orders", "payments", "expiration"]
PARTS = [
    *(f"{app}-web" for app in (*APPS, "live")),
    *(f"{app}-worker" for app in APPS),
    *(f"{app}-db" for app in APPS if app != "expiration"),
    "alarms",
    "nats",
    "valkey",
    "stripe",
    "gateway",
]


@dataclass
class Trade:
    """Sells and buys all the time, and remembers what was acknowledged."""

    seller: Person
    buyer: Person
    tickets: list[Json] = field(default_factory=list[Json])
    orders: list[Json] = field(default_factory=list[Json])
    payments: list[Json] = field(default_factory=list[Json])

    def one_sale(self) -> None:
        made = self.seller.post("/api/tickets", {"title": "A concert", "price": 20})
        if made.status != 201:
            return
        self.tickets.append(made.json)
        reserved = self.buyer.asks_for(made.json)
        if reserved.status != 201:
            return
        self.orders.append(reserved.json)
        paid = self.buyer.offers_card(reserved.json)
        if paid.status == 201:
            self.payments.append({**paid.json, "orderId": reserved.json["id"]})

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(PAUSE):
            with suppress(Unanswered):  # not acknowledged, so it may be lost
                self.one_sale()


@pytest.fixture
def trade(seller: Person, buyer: Person) -> Iterator[Trade]:
    trade, stop = Trade(seller, buyer), threading.Event()
    thread = threading.Thread(target=trade.run, args=(stop,))
    thread.start()
    yield trade
    stop.set()
    thread.join(60)


@pytest.mark.parametrize("part", PARTS)
def test_a_kill_loses_no_acknowledged_write(world: World, trade: Trade, part: str):
    wait_until(lambda: len(trade.payments) >= 2, "trade to be under way", 30)
    world.stack.kill(part)
    world.stack.wait_ready(part)
    known = len(trade.payments)
    wait_until(lambda: len(trade.payments) > known, "the system to sell again", 30)
    everything_acknowledged_is_there(trade)


def everything_acknowledged_is_there(trade: Trade) -> None:
    for ticket in list(trade.tickets):
        trade.seller.get(f"/api/tickets/{ticket['id']}").expect(200)
    for order in list(trade.orders):
        assert trade.buyer.order(order)["total"] == 20
    for payment in list(trade.payments):
        wait_until(
            lambda payment=payment: is_fair(trade.buyer, payment), f"an end of {payment}", 30
        )
    newest = trade.payments[-1]["orderId"]
    ticket = trade.buyer.order({"id": newest})["ticket"]
    trade.seller.sees_ticket(ticket, available=0, orderId=newest)


def is_fair(buyer: Person, payment: Json) -> bool:
    """Paid and got it, or neither; both only after everything has settled."""
    order = buyer.order({"id": payment["orderId"]})["status"]
    state = buyer.payment(payment)["status"]
    return (order, state) in {
        ("complete", "paid"),
        ("cancelled", "failed"),
        ("cancelled", "refunded"),
    }
