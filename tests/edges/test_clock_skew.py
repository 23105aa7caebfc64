"""Clocks of different machines that differ by a few seconds, on the orders service alone."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from apps.orders.service import Orders
from tests.orders.world import BUYER, HOLD, PAIR, TICKET, Clock, World, memory_store, user, wish

SKEW = timedelta(seconds=5)


@pytest.fixture
def world() -> Iterator[World]:
    with memory_store() as store:
        yield World(store)


def another(world: World, skew: timedelta) -> Orders:
    """One more process of the service, on a machine whose clock is wrong."""
    process = world.process()
    process.clock = Clock()
    process.clock.pass_by(world.clock.time - process.clock.time + skew)
    return process


def test_a_clock_ahead_frees_no_units_that_are_just_being_taken(world: World) -> None:
    """Its sweep finds units whose order is stored a moment later."""
    world.sells(1)
    order_id = "0" * 24
    until = world.clock.now() + SKEW
    world.service.blocks.take(TICKET, 1, [wish(order_id, until=until)])
    another(world, SKEW).sweep_orphans()
    assert world.store["orders"].count_documents({}) == 0
    assert world.store["blocks"].find_one({})["available"] == 0  # type: ignore[index]


@pytest.mark.parametrize("skew", [-SKEW, SKEW])
def test_an_order_ends_within_the_skew_of_its_time(world: World, skew: timedelta) -> None:
    world.sells(1)
    order = world.service.place(user(), TICKET, 1, None)
    other = another(world, skew)
    other.clock.pass_by(HOLD - SKEW - timedelta(seconds=1))
    other.sweep_expired()
    assert world.service.get(user(), order.id).status == "created"
    other.clock.pass_by(2 * SKEW + timedelta(seconds=2))
    other.sweep_expired()
    assert world.service.get(user(), order.id).status == "cancelled"


def test_who_was_ended_too_early_is_not_charged(world: World) -> None:
    """The payment finds the order cancelled: it is told so, and lets the card go."""
    world.sells(1)
    order = world.service.place(user(BUYER), TICKET, 1, None)
    early = another(world, HOLD)
    early.sweep_expired()
    before = world.service.store.aggregates.version(order.id)
    assert before is not None
    world.service.commit(order.id, PAIR)
    assert world.service.get(user(), order.id).status == "cancelled"
    assert world.service.store.aggregates.version(order.id) == before + 1
