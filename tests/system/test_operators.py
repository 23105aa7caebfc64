"""What an operator does to a running system, with each service's own settings."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from shared.bus import DEAD_STREAM, Bus
from tests.cli.command import Result, ticketing
from tests.system.world import Person, World
from tests.waiting import wait_until

SERVICES = ["auth", "tickets", "orders", "payments", "expiration"]


def events(world: World, service: str, *words: str) -> Result:
    return ticketing("events", *words, env=world.stack.parts[f"{service}-worker"].env)


def count(result: Result) -> int:
    """The number in what resync and replay say."""
    (line,) = result.expect(0).lines
    return int(line.split()[1])


@pytest.fixture
def databases(world: World) -> Iterator[dict[str, Any]]:
    clients = {
        service: MongoClient[dict[str, Any]](world.stack.parts[f"{service}-web"].env["MONGO_URI"])
        for service in SERVICES
        if service != "expiration"
    }
    yield {service: client[service] for service, client in clients.items()}
    for client in clients.values():
        client.close()


@pytest.fixture
def bus(world: World) -> Iterator[Bus]:
    bus = Bus(world.stack.parts["nats"].url, "tests").start()
    bus.wait_ready(10)
    yield bus
    bus.close()


def test_a_sale_can_be_followed_in_the_stream(world: World, seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    buyer.pays(order)
    buyer.sees_order(order, status="complete")

    def subjects() -> list[str]:
        lines = events(world, "orders", "tail", "--once", "--since", "2m").expect(0).lines
        return [line.split("  ")[2] for line in lines if order["id"] in line]

    seen = subjects()
    steps = ["order.created", "payment.created", "order.awaiting-payment", "payment.completed"]
    positions = [seen.index(step) for step in (*steps, "order.completed")]
    assert positions == sorted(positions)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_can_be_told_to_say_everything_again(
    world: World, seller: Person, buyer: Person, service: str
):
    order = buyer.reserves(seller.sells())
    buyer.pays(order)
    buyer.sees_order(order, status="complete")
    said = events(world, service, "resync", service).expect(0)
    assert said.out.startswith(f"{service}: ")
    assert said.out.endswith(" aggregates announced\n")
    assert (count(said) > 0) == (service != "expiration")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_can_be_told_to_rebuild_its_replicas(
    world: World, seller: Person, buyer: Person, service: str
):
    buyer.cancels(buyer.reserves(seller.sells()))
    said = events(world, service, "replay", service).expect(0)
    assert said.out.endswith("replicas rebuilt from EVENTS\n")
    assert (count(said) > 0) == (service != "auth")


def test_a_lost_replica_is_rebuilt_from_the_stream(
    world: World, seller: Person, buyer: Person, databases: dict[str, Any]
):
    ticket = seller.sells(quantity=3)
    buyer.cancels(buyer.reserves(ticket))
    lost = databases["orders"]["tickets"].delete_one({"_id": ticket["id"]})
    assert lost.deleted_count == 1
    buyer.asks_for(ticket).expect(404)
    assert count(events(world, "orders", "replay", "orders")) > 0
    buyer.cancels(buyer.reserves(ticket)).expect(204)
    buyer.sees_ticket(ticket, available=3)


def test_a_lost_replica_is_healed_by_its_owner_saying_everything_again(
    world: World, seller: Person, buyer: Person, databases: dict[str, Any]
):
    order = buyer.reserves(seller.sells())
    buyer.offers_card(order, "tok_chargeDeclined").expect(400)
    lost = databases["payments"]["payments"].delete_one({"_id": order["id"]})
    assert lost.deleted_count == 1
    assert count(events(world, "orders", "resync", "orders")) > 0
    wait_until(
        lambda: databases["payments"]["payments"].find_one({"_id": order["id"]}), "the replica"
    )
    buyer.cancels(order)


def test_a_poisonous_message_is_put_aside_by_everyone_and_sales_go_on(
    world: World, seller: Person, buyer: Person, bus: Bus
):
    bus.run(bus.publish("order.created", b'{"subject": "order.created"}', "poison"), 10)
    try:

        def refused_by() -> set[str]:
            lines = events(world, "orders", "dead").expect(0).lines
            assert all("  order.created  unreadable: " in line for line in lines[:-1])
            return {line.split("  ")[1] for line in lines[:-1]}

        wait_until(lambda: len(refused_by()) >= 3, "orders, payments and expiration to refuse", 20)
        assert {"payments-new", "expiration"} <= refused_by()
        order = buyer.reserves(seller.sells())
        buyer.pays(order)
        buyer.sees_order(order, status="complete")
        assert count(events(world, "payments", "replay", "payments")) > 0
        again = events(world, "orders", "retry", "all").expect(0)
        assert len(again.lines) >= 3
    finally:
        bus.run(bus.jetstream.purge_stream(DEAD_STREAM), 10)


def test_an_event_published_by_hand_has_its_effect(world: World, seller: Person, buyer: Person):
    ticket = seller.sells(quantity=2)
    buyer.cancels(buyer.reserves(ticket))
    data = {
        "id": ticket["id"],
        "userId": seller.id,
        "title": "By hand",
        "unitAmount": 700,
        "currency": "usd",
        "quantity": 2,
        "withdrawn": False,
    }
    words = ("publish", "ticket.updated", json.dumps(data), "--version", "9")
    assert events(world, "tickets", *words).expect(0).out.startswith("published ticket.updated ")

    def price() -> float:
        order = buyer.reserves(ticket)
        buyer.cancels(order)
        return order["total"]

    wait_until(lambda: price() == 7, "orders to hear of the new price")
