"""Nobody has more of a ticket than its seller allows, whoever asks when and how often."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from apps.orders.desk import Reservation
from apps.orders.models import Order
from apps.orders.onsale import SoldOut
from apps.orders.shares import OverLimit
from tests.orders.threads import at_once
from tests.orders.watched import Call, Meanwhile, watched
from tests.orders.world import BUYER, HOLD, OTHER, PAIR, TICKET, World, user

ELSEWHERE = "71c4e7000000000000000002"


def pay(world: World, order: Order) -> Order:
    world.service.commit(order.id, PAIR)
    world.service.complete(order.id, PAIR)
    return world.order(order)


def units(world: World, buyer: str = BUYER) -> int:
    return sum(o.quantity for o in world.orders() if o.user_id == buyer and o.status != "cancelled")


def test_all_orders_of_a_person_count_together(world: World) -> None:
    world.sells(50, limit_per_person=4)
    pay(world, world.reserves(3))
    with pytest.raises(OverLimit) as refused:
        world.reserves(2)
    assert (refused.value.status, refused.value.field) == (400, "quantity")
    assert str(refused.value) == (
        "quantity must be at most 1: you have 3 already, and one person may have at most 4"
    )
    world.reserves(1)
    with pytest.raises(OverLimit, match="None left for you: you have 4 already"):
        world.reserves(1)
    assert world.free() == 46
    world.recover()
    world.assert_sound()


def test_the_first_order_is_told_the_limit(world: World) -> None:
    world.sells(50, limit_per_person=4)
    with pytest.raises(OverLimit) as refused:
        world.reserves(5)
    assert str(refused.value) == "quantity must be at most 4: one person may have at most 4"


def test_other_people_and_other_tickets_are_not_concerned(world: World) -> None:
    world.sells(50, limit_per_person=1)
    world.sells(50, ELSEWHERE)
    world.reserves()
    world.reserves(buyer=OTHER)
    for _ in range(3):
        world.service.place(user(), ELSEWHERE, 10, None)


def test_what_was_cancelled_or_has_expired_does_not_count(world: World) -> None:
    world.sells(50, limit_per_person=2)
    order = world.reserves(2)
    world.service.cancel(user(), order.id)
    world.reserves(2)
    world.passes(HOLD + timedelta(seconds=1))
    world.service.sweep_expired()
    world.reserves(2)


def test_what_was_refunded_in_part_counts_until_all_of_it_was(world: World) -> None:
    world.sells(50, limit_per_person=2)
    order = pay(world, world.reserves(2))
    world.service.refund(order.id, PAIR, order.amount - 1)
    with pytest.raises(OverLimit):
        world.reserves()
    world.service.refund(order.id, PAIR, order.amount)
    world.reserves(2)


def test_a_changed_limit_leaves_orders_alone_and_counts_them(world: World) -> None:
    world.sells(50)
    before = world.reserves(3)
    world.sells(50, limit_per_person=2)
    assert world.order(before).status == "created"
    with pytest.raises(OverLimit, match="you have 3 already, and one person may have at most 2"):
        world.reserves()
    world.sells(50, limit_per_person=5)
    world.reserves(2)
    with pytest.raises(OverLimit):
        world.reserves()
    world.sells(50)
    world.reserves(10)
    assert world.order(before) == before


def test_shares_beyond_a_lowered_limit_take_the_place_of_others(world: World) -> None:
    world.sells(50, limit_per_person=4)
    orders = [world.reserves() for _ in range(4)]
    for order in orders[:2]:
        world.service.cancel(user(), order.id)
    world.sells(50, limit_per_person=3)
    world.reserves()
    with pytest.raises(OverLimit):
        world.reserves()
    assert units(world) == 3


def test_asking_all_at_once_gives_no_more(world: World) -> None:
    world.sells(50, limit_per_person=4)
    results = at_once([world.reserves for _ in range(12)])
    assert Counter(map(type, results)) == {Order: 4, OverLimit: 8}
    assert world.free() == 46


def test_asking_several_processes_at_once_gives_no_more(world: World) -> None:
    world.sells(50, limit_per_person=5)
    processes = [world.process() for _ in range(4)]
    asked = [partial(p.place, user(), TICKET, n, None) for p in processes for n in (1, 2, 3)]
    results = at_once(asked)
    assert {type(result) for result in results} <= {Order, OverLimit}
    assert 3 <= units(world) <= 5
    assert world.free() == 50 - units(world)
    world.recover()
    world.assert_sound()


@pytest.mark.parametrize(("limit", "second"), [(4, Order), (1, OverLimit)])
def test_whoever_is_overtaken_by_another_process_is_counted_again(
    world: World, limit: int, second: type[object]
) -> None:
    world.sells(50, limit_per_person=limit)
    between = Meanwhile(lambda call: call.collection == "orders" and call.writes, world.reserves)
    other = world.process(watched(world.store, between))
    (result,) = at_once([lambda: other.place(user(), TICKET, 1, None)])
    assert between.happened
    assert type(result) is second
    assert units(world) == world.capacity() - world.free() == min(limit, 2)
    shares = [share for order in world.orders() for share in order.shares or ()]
    assert sorted(shares) == [f"{TICKET}:{BUYER}:{number}" for number in range(min(limit, 2))]


def test_a_request_that_is_sent_several_times_counts_once(world: World) -> None:
    world.sells(50, limit_per_person=2)
    again = [partial(world.reserves, 2, key="one request") for _ in range(6)]
    orders = {order.id for order in at_once(again) if isinstance(order, Order)}
    assert len(orders) == 1
    assert world.reserves(2, key="one request").id in orders
    with pytest.raises(OverLimit):
        world.reserves(key="another")


def test_repeats_in_one_group_are_one_request(world: World) -> None:
    world.sells(50, limit_per_person=3)
    ticket = world.service.tickets.find(TICKET)
    assert ticket is not None
    first = replace(world.reserves(key="known"), shares=None, blocks=())
    keys = ("one", "one", "two", "one", "two")
    group = [
        Reservation(ticket, replace(first, id=f"{number:024}", key=key))
        for number, key in enumerate(keys)
    ]
    world.service.desk.reserve(TICKET, group)
    results = [one.result for one in group]
    assert [one.key if isinstance(one, Order) else one for one in results] == list(keys)
    assert {one.id for one in world.orders()} == {first.id, group[0].order.id, group[2].order.id}
    over = [Reservation(ticket, replace(first, id=f"{n:024}", key="three")) for n in (7, 8)]
    world.service.desk.reserve(TICKET, over)
    assert {type(one.result) for one in over} == {OverLimit}
    assert world.free() == 47


def test_a_refused_request_has_no_shares(world: World) -> None:
    world.sells(2, limit_per_person=2)
    world.reserves(2, buyer=OTHER)
    with pytest.raises(SoldOut):
        world.reserves(1)
    world.sells(4, limit_per_person=2)
    world.reserves(2)


def test_a_replica_of_before_has_no_limit_until_a_resync(memory: World) -> None:
    memory.sells(50, limit_per_person=1)
    event = memory.says_ticket(quantity=50, limit_per_person=1)
    memory.handlers.on_ticket(event)
    memory.store["tickets"].update_many({}, {"$unset": {"limit_per_person": ""}})
    memory.reserves(2)
    memory.handlers.rebuild_ticket(event)
    with pytest.raises(OverLimit):
        memory.reserves()


def test_counting_reads_only_what_is_counted(world: World) -> None:
    world.sells(80, limit_per_person=1)
    for number in range(20):
        world.reserves(buyer=f"{number:024}")
    read: list[int] = []

    def explain(call: Call) -> Any:
        if (call.collection, call.name) == ("orders", "find"):
            plan = world.store["orders"].find(*call.arguments).explain()
            read.append(plan["executionStats"]["totalDocsExamined"])
        return call.do()

    other = world.process(watched(world.store, explain))
    other.place(user(), TICKET, 1, None)
    assert read == [0]
    with pytest.raises(OverLimit):
        other.place(user(), TICKET, 1, None)
    assert read == [0, 1]
