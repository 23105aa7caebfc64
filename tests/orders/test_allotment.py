"""Blocks follow the quantity that the seller wants, whoever crashes or sleeps meanwhile."""

import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from apps.orders import allotment, store
from apps.orders.handlers import EventHandlers
from apps.orders.service import Orders
from apps.orders.units import Units
from shared.events import AvailabilityChanged, OrderCreated, TicketUpdated
from tests.orders.threads import at_once
from tests.orders.watched import Call, Crash, Meanwhile, Watcher, watched
from tests.orders.world import OTHER, TICKET, World, memory_store, ticket_data, user, wish


def capacities(world: World) -> list[int]:
    return [block["capacity"] for block in world.blocks()]


def another(world: World, watcher: Watcher) -> EventHandlers:
    """The handlers of another worker, whose calls a test watches."""
    return world.handlers_of(world.process(watched(world.store, watcher)))


def writes_to(collection: str) -> Any:
    return lambda call: call.writes and call.collection == collection


def claims(block: str) -> Callable[[Call], bool]:
    return lambda call: writes_to("blocks")(call) and call.arguments[0]["_id"] == block


def notes_the_end(call: Call) -> bool:
    return writes_to("tickets")(call) and "blocks" in call.arguments[1].get("$set", {})


def breaks() -> None:
    raise AutoReconnect


def moves_capacity(call: Call) -> bool:
    return call.name == "update_one" and "capacity" in call.arguments[1].get("$inc", {})


def test_a_new_ticket(small: World) -> None:
    small.sells(10)
    assert capacities(small) == [4, 4, 2]
    assert all(block["open"] for block in small.blocks())
    small.assert_sound()


def test_growth_and_shrinking(small: World) -> None:
    for quantity in (3, 9, 5, 1, 12, 12):
        small.sells(quantity)
        assert small.capacity() == small.free() == quantity
        small.assert_sound()


def test_growth_beside_what_is_taken(small: World) -> None:
    small.sells(3)
    order = small.reserves(2)
    small.sells(7)
    assert (capacities(small), small.free()) == ([4, 3], 5)
    assert small.reserves(5).blocks != order.blocks


def test_shrinking_below_what_is_taken_follows_each_release(small: World) -> None:
    small.sells(8)
    orders = [small.reserves(2) for _ in range(3)]
    small.sells(3)
    assert (small.capacity(), small.free()) == (6, 0)
    for order, left in zip(orders, (4, 3, 3), strict=True):
        small.service.expire(order.id)
        assert small.order(order).status == "created"
        small.service.cancel(user(), order.id)
        assert small.capacity() == left
    assert small.free() == 3
    small.drain()
    small.assert_sound()


def test_a_shrunken_ticket_without_free_units_is_not_written_again_and_again(small: World) -> None:
    small.sells(8)
    small.reserves(8)
    small.sells(3)
    small.drain()
    calls: list[Call] = []

    def remember(call: Call) -> object:
        calls.append(call)
        return call.do()

    small.process(watched(small.store, remember)).allotment.allot(TICKET)
    assert not [call for call in calls if call.writes]


def test_withdrawal_closes_and_a_return_opens(small: World) -> None:
    small.sells(8)
    small.sells(8, withdrawn=True)
    assert not any(block["open"] for block in small.blocks())
    small.sells(8)
    assert all(block["open"] for block in small.blocks())
    small.assert_sound()


def test_older_and_repeated_events_change_nothing(small: World) -> None:
    old, new = small.says_ticket(quantity=9), small.says_ticket(quantity=5)
    for event in (new, old, new, old):
        small.handlers.on_ticket(event)
    assert small.capacity() == 5
    assert [block["ticket_version"] for block in small.blocks()] == [1, 1]


def test_a_higher_epoch_is_newer_than_any_version(small: World) -> None:
    small.sells(3)
    small.sells(4)
    small.handlers.on_ticket(
        TicketUpdated(data=ticket_data(quantity=2), epoch=1, version=0),
    )
    assert small.capacity() == 2


# --- crashes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("quantities", [(10,), (3, 14), (14, 3)], ids=str)
def test_a_crash_at_any_write_is_made_good_by_the_next_delivery(
    quantities: tuple[int, ...], after: bool
) -> None:
    for number in range(100):
        crash = Crash(number, after=after)
        with memory_store() as database:
            _crash_and_recover(World(database, block_size=4), quantities, crash)
        if not crash.happened:
            assert number > 3
            return
    pytest.fail("it writes for ever")


def _crash_and_recover(world: World, quantities: tuple[int, ...], crash: Crash) -> None:
    *before, last = quantities
    for quantity in before:
        world.sells(quantity)
    event = world.says_ticket(quantity=last)
    try:
        another(world, crash).on_ticket(event)
    except AutoReconnect:
        world.assert_blocks_add_up()
    world.recover()
    world.handlers.on_ticket(event)
    world.assert_sound()
    assert world.capacity() == last


def test_a_paused_run_adds_no_unit_after_another_one_has_finished(small: World) -> None:
    """The old run has decided what to add, sleeps, and wakes when the work is done."""
    small.sells(3)
    event = small.says_ticket(quantity=10)
    elsewhere = Meanwhile(moves_capacity, lambda: small.handlers.on_ticket(event))
    another(small, elsewhere).on_ticket(event)
    assert elsewhere.happened
    assert (small.capacity(), small.free()) == (10, 10)
    small.assert_sound()


def test_an_older_run_does_not_tick_off_what_a_newer_event_wants(small: World) -> None:
    """The worker that stored the newer event died before it could allot anything."""
    small.sells(3)
    older, newer = small.says_ticket(quantity=5), small.says_ticket(quantity=7)
    elsewhere = Meanwhile(notes_the_end, lambda: small.service.tickets.save(newer))
    another(small, elsewhere).on_ticket(older)
    assert elsewhere.happened
    small.recover()
    assert small.capacity() == 7
    small.assert_sound()


def test_a_paused_run_adds_no_block_behind_those_of_a_later_run(small: World) -> None:
    """The old run wanted a third block; the newer one, which shrinks, needs only one."""
    small.sells(6)
    grown, shrunk = small.says_ticket(quantity=11), small.says_ticket(quantity=2)
    elsewhere = Meanwhile(claims(f"{TICKET}:2"), lambda: small.handlers.on_ticket(shrunk))
    another(small, elsewhere).on_ticket(grown)
    assert elsewhere.happened
    small.handlers.on_ticket(shrunk)
    assert small.capacity() == 2
    small.assert_sound()


def test_growth_that_crashed_is_taken_back_by_a_smaller_quantity(small: World) -> None:
    """The new block has its units, and the crash came before that was noted."""
    small.sells(6)
    grown, shrunk = small.says_ticket(quantity=11), small.says_ticket(quantity=2)
    with pytest.raises(AutoReconnect):
        another(small, Meanwhile(notes_the_end, breaks)).on_ticket(grown)
    assert small.capacity() == 11
    small.handlers.on_ticket(shrunk)
    assert small.capacity() == 2
    small.assert_sound()


def test_a_block_that_was_never_noted_is_not_forgotten_by_the_sweep(small: World) -> None:
    """As before, but what is known is taken, and the smaller quantity crashes half-way too."""
    small.sells(8)
    small.reserves(8)
    grown, shrunk = small.says_ticket(quantity=11), small.says_ticket(quantity=2)
    with pytest.raises(AutoReconnect):
        another(small, Meanwhile(notes_the_end, breaks)).on_ticket(grown)
    with pytest.raises(AutoReconnect):
        another(small, Meanwhile(claims(f"{TICKET}:2"), breaks)).on_ticket(shrunk)
    small.recover()
    assert (small.capacity(), small.free()) == (8, 0)


def test_a_paused_run_does_not_reopen_what_was_withdrawn_meanwhile(small: World) -> None:
    small.sells(3)
    grown = small.says_ticket(quantity=10)
    withdrawn = small.says_ticket(quantity=10, withdrawn=True)

    elsewhere = Meanwhile(claims(f"{TICKET}:2"), lambda: small.handlers.on_ticket(withdrawn))
    another(small, elsewhere).on_ticket(grown)
    assert elsewhere.happened
    assert not any(block["open"] for block in small.blocks())
    small.assert_sound()


def test_a_paused_run_makes_no_block_behind_the_back_of_a_smaller_one(small: World) -> None:
    small.sells(3)
    grown, shrunken = small.says_ticket(quantity=10), small.says_ticket(quantity=3)

    def claims_second_block(call: Call) -> bool:
        return writes_to("blocks")(call) and call.arguments[0]["_id"].endswith(":1")

    elsewhere = Meanwhile(claims_second_block, lambda: small.handlers.on_ticket(shrunken))
    another(small, elsewhere).on_ticket(grown)
    assert elsewhere.happened
    assert sum(block["capacity"] for block in small.blocks()) == 3
    assert {block["ticket_version"] for block in small.blocks()} == {shrunken.version}
    small.assert_sound()


def test_an_event_that_comes_between_reading_and_storing_the_replica(small: World) -> None:
    small.sells(3)
    older, newer = small.says_ticket(quantity=5), small.says_ticket(quantity=7)
    elsewhere = Meanwhile(writes_to("tickets"), lambda: small.handlers.on_ticket(newer))
    another(small, elsewhere).on_ticket(older)
    assert elsewhere.happened
    assert small.capacity() == 7
    small.assert_sound()


def test_units_taken_while_they_are_being_taken_out(small: World) -> None:
    small.sells(8)
    event = small.says_ticket(quantity=2)
    elsewhere = Meanwhile(moves_capacity, lambda: small.reserves(5))
    another(small, elsewhere).on_ticket(event)
    assert elsewhere.happened
    assert (small.capacity(), small.free()) == (5, 0)
    small.drain()
    small.assert_sound()


def test_a_run_that_buyers_kept_from_its_end_is_finished_and_told_by_the_sweep(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.sells(8)
    monkeypatch.setattr(allotment, "ROUNDS", 0)
    small.sells(11)
    monkeypatch.undo()
    small.sweep()
    assert small.capacity() == 11
    small.assert_sound()


def test_two_workers_hear_of_many_changes_at_once(small: World) -> None:
    small.sells(6)
    events = [small.says_ticket(quantity=quantity) for quantity in (9, 2, 13, 5, 7)]
    workers = [small.handlers_of(small.process()) for _ in events]
    results = at_once(
        [
            lambda worker=worker, event=event: worker.on_ticket(event)  # type: ignore[misc]
            for worker, event in zip(workers, events, strict=True)
        ]
    )
    assert results == [None] * 5
    small.recover()
    assert small.capacity() == 7
    small.assert_sound()


def test_a_release_leaves_a_run_in_progress_alone(small: World) -> None:
    """Else many releases in an on-sale rush would keep every run from its end."""
    small.sells(8)
    order = small.reserves(2)
    claims: list[Call] = []

    def remember(call: Call) -> object:
        if writes_to("blocks")(call) and "fence" in call.arguments[0]:
            claims.append(call)
        return call.do()

    web = small.process(watched(small.store, remember))
    small.handlers.orders.tickets.save(small.says_ticket(quantity=12))
    web.cancel(user(), order.id)
    assert not claims


def test_a_lost_replica_finds_its_blocks_again(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.sells(10)
    small.reserves(3)
    small.store["tickets"].delete_many({})
    later = time.time() + 60
    monkeypatch.setattr(store, "time", SimpleNamespace(time=lambda: later))
    small.sells(6)
    assert (small.capacity(), small.free()) == (6, 3)
    small.drain()
    small.assert_sound()


# --- what is announced ----------------------------------------------------------------------------


def told(world: World) -> list[tuple[int, int, int, str | None]]:
    """Version, capacity, free units and holder of every announcement."""
    return [
        (event.version, event.data.capacity, event.data.available, event.data.order_id)
        for event in world.events(AvailabilityChanged)
        if isinstance(event, AvailabilityChanged)
    ]


def test_each_change_is_announced_once_with_a_rising_version(small: World) -> None:
    small.sells(5)
    small.sells(5, title="Another title")
    order = small.reserves(2)
    small.drain()
    small.service.cancel(user(), order.id)
    small.drain()
    assert told(small) == [(0, 5, 5, None), (1, 5, 3, None), (2, 5, 5, None)]


def test_the_holder_of_the_only_unit(small: World) -> None:
    small.sells(1)
    order = small.reserves()
    small.drain()
    assert told(small)[-1] == (1, 1, 0, order.id)


def test_the_holder_of_the_only_unit_left_in_a_later_block(small: World) -> None:
    small.sells(9)
    first, last = small.reserves(8), small.reserves(1, buyer=OTHER)
    small.service.cancel(user(), first.id)
    small.sells(1)
    assert small.capacity() == 1
    assert told(small)[-1][3] == last.id


Announce = Callable[[World, Orders, list[str]], None]


def one_by_one(_world: World, process: Orders, tickets: list[str]) -> None:
    for ticket in tickets:
        process.allotment.announce(ticket)


def together(world: World, process: Orders, tickets: list[str]) -> None:
    world.published += process.allotment.announcements(dict.fromkeys(tickets))


ways = pytest.mark.parametrize("announce", [one_by_one, together])


@ways
def test_who_counted_before_another_change_counts_again(small: World, announce: Announce) -> None:
    """What is free changes and changes back while somebody who counted in between sleeps."""
    small.sells(5)
    order = small.reserves(2)

    def changes_back() -> None:
        small.service.cancel(user(), order.id)
        small.drain()

    sleeps = Meanwhile(writes_to("availability"), changes_back)
    announce(small, another(small, sleeps).orders, [TICKET])
    assert sleeps.happened
    small.assert_sound()


@ways
@pytest.mark.parametrize("collection", ["availability", "tickets", "blocks"])
def test_who_read_before_a_ticket_grew_counts_all_its_blocks(
    small: World, collection: str, announce: Announce
) -> None:
    small.sells(4)
    small.reserves(1)

    def reads(call: Call) -> bool:
        return call.collection == collection and call.name.startswith("find")

    sleeps = Meanwhile(reads, lambda: small.sells(9))
    announce(small, another(small, sleeps).orders, [TICKET])
    assert sleeps.happened
    small.assert_sound()


def test_several_tickets_are_counted_together_and_told_one_by_one(small: World) -> None:
    """However many they are, they are read at once; a race for one of them concerns no other."""
    tickets = [f"71c4e700000000000000000{number}" for number in range(1, 6)]
    for number, ticket in enumerate(tickets):
        small.sells(1 + number, ticket)
        small.service.place(user(), ticket, 1, None)
    reads: list[str] = []

    def races(call: Call) -> bool:
        reads.extend([call.collection] if call.name.startswith("find") else [])
        return writes_to("availability")(call) and call.arguments[0]["_id"] == tickets[3]

    faster = Meanwhile(races, lambda: small.service.allotment.announce(tickets[3]))
    together(small, another(small, faster).orders, [*tickets, "0" * 24])
    assert faster.happened
    assert reads == ["availability", "tickets", "blocks", "blocks"]  # for all, before the race
    last = [small.service.allotment.announced.find(ticket) for ticket in tickets]
    assert [one and one.available for one in last] == [0, 1, 2, 3, 4]
    assert [bool(one and one.order_id) for one in last] == [True] + [False] * 4
    small.assert_sound()


def test_the_first_announcement_is_made_once(small: World) -> None:
    event = small.says_ticket(quantity=5)
    elsewhere = Meanwhile(writes_to("availability"), lambda: small.handlers.on_ticket(event))
    another(small, elsewhere).on_ticket(event)
    assert told(small) == [(0, 5, 5, None)]


def test_nothing_is_announced_of_an_unknown_ticket(small: World) -> None:
    small.service.allotment.announce(TICKET)
    assert not told(small)


def test_units_held_for_a_moment_are_announced_as_free_again(small: World) -> None:
    """Somebody who wants too much takes and gives back; meanwhile what is free is announced."""
    small.sells(5)
    small.drain()

    def gives_back(call: Call) -> bool:
        return writes_to("blocks")(call) and "$pull" in call.arguments[1]

    counts = Meanwhile(gives_back, lambda: small.service.allotment.announce(TICKET))
    web = small.process(watched(small.store, counts))
    with pytest.raises(Exception, match="Only 5 left"):
        web.place(user(), TICKET, 6, None)
    assert counts.happened
    small.drain()
    small.assert_sound()


def test_saying_it_again_tells_the_truth_of_today(small: World) -> None:
    small.sells(5)
    small.service.blocks.take(TICKET, 2, [wish("a", 2)])
    last = small.service.allotment.announced.find(TICKET)
    assert last is not None
    current, event = small.service.allotment.again(last)
    assert (current.id, current.said) == (TICKET, (5, 3, None))
    assert event is AvailabilityChanged


def test_orphans_of_several_blocks_are_all_announced(small: World) -> None:
    small.sells(8)
    small.service.blocks.take(TICKET, 2, [wish("0de200000000000000000001", 6)])
    small.service.allotment.announce(TICKET)
    small.passes(timedelta(minutes=16))

    def second_release(call: Call) -> bool:
        return (
            writes_to("blocks")(call)
            and "$pull" in call.arguments[1]
            and call.arguments[0]["_id"].endswith(":1")
        )

    counts = Meanwhile(second_release, small.drain)
    small.process(watched(small.store, counts)).sweep_orphans()
    assert counts.happened
    small.drain()
    small.assert_sound()


# --- counting only what changed -------------------------------------------------------------------


@pytest.fixture
def wide(small: World) -> World:
    """A ticket of ten blocks, of which all were counted once."""
    small.sells(40)
    small.reserves(1)
    small.drain()
    return small


def blocks_read(world: World, announce: Callable[[Orders], object]) -> int:
    """How many blocks another process reads to say what is free."""
    asked: list[str] = []

    def notes(call: Call) -> bool:
        if call.collection == "blocks" and call.name == "find":
            asked.extend(call.arguments[0]["_id"]["$in"])
        return False

    announce(another(world, Meanwhile(notes, lambda: None)).orders)
    return len(asked)


def listen(world: World) -> Callable[[Orders], object]:
    """Hear what orders said of itself and nobody has heard yet."""
    heard: list[Any] = [event for event in world.events() if world.is_new(event)]
    world.delivered.update(event.id for event in heard)
    return lambda process: world.handlers_of(process).on_own_orders(heard)


def test_only_blocks_that_changed_are_counted(wide: World) -> None:
    wide.reserves(6)  # what is left of the first block, and of the second one
    assert blocks_read(wide, listen(wide)) == 2
    assert told(wide)[-1] == (2, 40, 33, None)
    wide.assert_sound()


def test_what_is_given_back_is_counted_where_it_was_taken(wide: World) -> None:
    order = wide.reserves(6)
    wide.drain()
    wide.service.cancel(user(), order.id)
    assert blocks_read(wide, listen(wide)) == 2
    assert told(wide)[-1] == (3, 40, 39, None)
    wide.assert_sound()


def test_whoever_loses_the_race_begins_with_what_the_other_one_told(wide: World) -> None:
    """The other one told of a block that this one has not read."""
    wide.reserves(1)
    mine = listen(wide)
    wide.reserves(8, buyer=OTHER)
    sleeps = Meanwhile(writes_to("availability"), wide.drain)
    mine(another(wide, sleeps).orders)
    assert sleeps.happened
    wide.assert_sound()


@pytest.mark.parametrize("quantity", [44, 20])
def test_all_blocks_are_counted_after_the_seller_changed_the_quantity(
    wide: World, quantity: int
) -> None:
    """Nobody told of it yet: the worker died after it had moved the capacity."""
    wide.reserves(1)
    event = wide.says_ticket(quantity=quantity)
    wide.service.tickets.save(event)
    wide.service.allotment.allot(TICKET)
    assert blocks_read(wide, listen(wide)) >= 10
    wide.assert_sound()


def test_all_blocks_are_counted_after_a_count_while_capacity_was_moved(wide: World) -> None:
    wide.service.tickets.save(wide.says_ticket(quantity=36))
    wide.reserves(1)

    def moves_capacity(call: Call) -> bool:
        return writes_to("blocks")(call) and "capacity" in call.arguments[1].get("$inc", {})

    hears = listen(wide)
    counts = Meanwhile(moves_capacity, lambda: hears(wide.process()))
    another(wide, counts).orders.allotment.allot(TICKET)
    assert counts.happened
    wide.reserves(1)
    assert blocks_read(wide, listen(wide)) == 10
    wide.assert_sound()


def test_all_blocks_are_counted_for_an_event_from_before_it_named_them(wide: World) -> None:
    wide.reserves(1)
    wide.reserves(1)
    heard = [event for event in wide.events(OrderCreated) if wide.is_new(event)]
    first, second = heard
    assert isinstance(first, OrderCreated)
    older = first.model_copy(update={"data": first.data.model_copy(update={"blocks": ()})})
    handles = wide.handlers.on_own_orders
    assert blocks_read(wide, lambda p: wide.handlers_of(p).on_own_orders([older, second])) == 10  # type: ignore[list-item]
    handles([second])  # type: ignore[list-item]
    wide.assert_sound()


def test_all_blocks_are_counted_when_little_is_left(wide: World) -> None:
    wide.reserves(35)
    wide.drain()
    wide.reserves(1)
    assert blocks_read(wide, listen(wide)) == 10
    wide.assert_sound()


def test_all_blocks_are_counted_now_and_then(wide: World) -> None:
    """Somebody held units while they were counted, and died before it told that they are free."""
    wide.service.blocks.take(TICKET, 10, [wish("a", 6)])
    wide.service.allotment.announce(TICKET)
    for block in (0, 1):
        taken = Units(f"{TICKET}:{block}", 3)
        wide.service.blocks.release("a", taken)
    for _ in range(allotment.ANEW + 1):
        order = wide.reserves(1)
        wide.service.cancel(user(), order.id)
        listen(wide)(wide.service)
    wide.assert_sound()
