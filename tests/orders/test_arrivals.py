"""New tickets that are taken in together, whoever crashes, sleeps or is faster meanwhile."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from apps.orders import store
from apps.orders.handlers import EventHandlers
from apps.orders.store import TicketEvent
from shared.events import AvailabilityChanged, TicketCreated
from tests.orders.watched import WRITES, Call, Crash, Meanwhile, Watcher, watched
from tests.orders.world import SELLER, TICKET, World, ticket_data, user

OTHERS = ["71c4e700000000000000000b", "71c4e700000000000000000c"]
KINDS = [*WRITES, "update_many"]  # of writes that are made here
STEPS = ["tickets", "blocks", "tickets", "availability"]  # what is written to, in order


def new_ones(world: World) -> list[TicketEvent]:
    return [world.says_ticket(key, quantity=10) for key in (TICKET, *OTHERS)]


def worker(world: World, watcher: Watcher) -> EventHandlers:
    return world.handlers_of(world.process(watched(world.store, watcher)))


def nth_write(number: int) -> Any:
    """Whether a call is the write of that number."""
    seen: list[Call] = []

    def meant(call: Call) -> bool:
        if call.name in KINDS:
            seen.append(call)
        return call.name in KINDS and len(seen) == number + 1

    return meant


def assert_on_sale(world: World, *keys: str, quantity: int = 10) -> None:
    world.drain()
    world.assert_sound()
    for key in keys or (TICKET, *OTHERS):
        assert (world.free(key), world.capacity(key)) == (quantity, quantity)
        ticket = world.service.tickets.find(key)
        assert ticket
        assert (ticket.blocks, ticket.allotted) == (len(world.blocks(key)), True)


def test_many_take_few_writes(small: World) -> None:
    writes: list[str] = []

    def note(call: Call) -> Any:
        if call.name in KINDS:
            writes.append(call.collection)
        return call.do()

    worker(small, note).on_tickets(new_ones(small))
    assert writes == STEPS
    assert [block["capacity"] for block in small.blocks()] == [4, 4, 2]
    assert_on_sale(small)
    assert {event.data.ticket_id for event in small.events(AvailabilityChanged)} == {
        TICKET,
        *OTHERS,
    }
    assert small.reserves(3).status == "created"


def test_nothing_new_writes_nothing_new(small: World) -> None:
    events = new_ones(small)
    for _ in range(2):
        small.handlers.on_tickets(events)
    assert [ticket["rev"] for ticket in small.store["tickets"].find({"unallotted": True})] == []
    assert len(small.events(AvailabilityChanged)) == 3
    assert_on_sale(small)


def test_of_several_events_the_newest_counts(small: World) -> None:
    first, second = small.says_ticket(quantity=10), small.says_ticket(quantity=6)
    small.handlers.on_tickets([second, first])
    assert_on_sale(small, TICKET, quantity=6)


def test_one_that_was_withdrawn_before_it_was_heard_of(small: World) -> None:
    small.handlers.on_tickets([small.says_ticket(quantity=10, withdrawn=True)])
    assert not any(block["open"] for block in small.blocks())
    assert_on_sale(small, TICKET)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_crash_is_made_good_when_the_events_come_again(
    small: World, number: int, after: bool
) -> None:
    events, meant = new_ones(small), nth_write(number)

    def crash(call: Call) -> Any:
        if not meant(call):
            return call.do()
        if after:
            call.do()
        raise AutoReconnect(call.collection)

    with pytest.raises(AutoReconnect):
        worker(small, crash).on_tickets(events)
    small.handlers_of(small.process()).on_tickets(events)
    small.sweep()
    assert_on_sale(small)


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_sweep_in_between(small: World, number: int) -> None:
    """It finds a run that has begun and does it itself; who began it may be long dead."""
    meanwhile = Meanwhile(nth_write(number), small.process().sweep_unallotted)
    worker(small, meanwhile).on_tickets(new_ones(small))
    assert meanwhile.happened
    assert_on_sale(small)


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_another_worker_in_between(small: World, number: int) -> None:
    events = new_ones(small)
    meanwhile = Meanwhile(nth_write(number), lambda: small.handlers.on_tickets(events))
    worker(small, meanwhile).on_tickets(events)
    assert meanwhile.happened
    assert_on_sale(small)


@pytest.mark.parametrize("quantity", [3, 10, 25])
@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_newer_event_in_between(small: World, number: int, quantity: int) -> None:
    """Blocks that come late must not add to what a later run made of the ticket."""
    first, newer = small.says_ticket(quantity=10), small.says_ticket(quantity=quantity)
    meanwhile = Meanwhile(nth_write(number), lambda: small.handlers.on_tickets([newer]))
    worker(small, meanwhile).on_tickets([first])
    assert meanwhile.happened
    small.sweep()
    assert_on_sale(small, TICKET, quantity=quantity)


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_one_that_is_withdrawn_in_between(small: World, number: int) -> None:
    first, withdrawn = (
        small.says_ticket(quantity=10),
        small.says_ticket(quantity=10, withdrawn=True),
    )
    meanwhile = Meanwhile(nth_write(number), lambda: small.handlers.on_tickets([withdrawn]))
    worker(small, meanwhile).on_tickets([first])
    small.sweep()
    assert not any(block["open"] for block in small.blocks())
    assert_on_sale(small, TICKET)


def test_what_is_bought_before_it_is_told_of(small: World) -> None:
    def buys() -> None:
        small.reserves(4)
        small.drain()

    meanwhile = Meanwhile(nth_write(STEPS.index("availability")), buys)
    worker(small, meanwhile).on_tickets(new_ones(small))
    assert meanwhile.happened
    small.drain()
    small.assert_sound()
    assert small.free() == 6


def test_a_lost_replica_finds_its_blocks_again(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those beyond what the ticket needs today, and what was taken from them."""
    small.sells(20)
    small.reserves(9)
    small.store["tickets"].delete_many({})
    monkeypatch.setattr(store, "time", SimpleNamespace(time=lambda: time.time() + 60))
    shrunk = small.says_ticket(quantity=10)
    small.handlers.on_tickets([shrunk])
    assert (small.capacity(), small.free()) == (10, 1)
    small.drain()
    small.assert_sound()


def test_one_of_many_that_is_known_does_not_hinder_the_others(small: World) -> None:
    events = new_ones(small)
    small.handlers.on_tickets(events[1:2])
    small.handlers.on_tickets(events)
    assert_on_sale(small)


def test_their_sellers_are_told(small: World) -> None:
    told: list[tuple[str, str | None, int]] = []

    def tell(topic: str, user_id: str | None) -> None:
        told.append((topic, user_id, len(small.service.sellers.offers(user(SELLER)))))

    event = TicketCreated(data=ticket_data(quantity=3))
    small.handlers_of(small.service, tell).on_tickets([event])
    assert told == [("sales", SELLER, 1)]


def test_the_crash_of_the_whole_worker_leaves_the_rest_to_the_sweep(small: World) -> None:
    crash = Crash(1, after=False)
    with pytest.raises(AutoReconnect):
        worker(small, crash).on_tickets(new_ones(small))
    assert small.store["blocks"].count_documents({}) == 0
    small.recover()
    assert_on_sale(small)
