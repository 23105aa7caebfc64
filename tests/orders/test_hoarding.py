"""Nobody holds more than they can mean to pay, and nobody reserves faster than people can."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from apps.orders import hoarding
from apps.orders.desk import Reservation
from apps.orders.hoarding import TooFast, TooManyOpen
from shared.mongo import Store
from tests.orders.threads import at_once
from tests.orders.world import BUYER, HOLD, OTHER, TICKET, World, user

ELSEWHERE = "71c4e7000000000000000002"


@pytest.fixture
def strict(store: Store) -> World:
    """The service on the real server, with its limits on."""
    world = World(store, limits=True)
    world.sells(50)
    return world


def place(world: World, key: str | None = None, ticket: str = TICKET, who: str = BUYER) -> str:
    return world.service.place(user(who), ticket, 1, key).id


def test_five_unpaid_orders_of_one_ticket(strict: World) -> None:
    for _ in range(5):
        place(strict)
    with pytest.raises(TooManyOpen) as refused:
        place(strict)
    assert (refused.value.status, refused.value.retry_after) == (429, 60)
    assert strict.free() == 45


def test_other_people_and_other_tickets_are_not_concerned(strict: World) -> None:
    strict.sells(5, ticket_id=ELSEWHERE)
    for _ in range(5):
        place(strict)
    place(strict, who=OTHER)
    place(strict, ticket=ELSEWHERE)


def test_what_is_cancelled_or_has_expired_does_not_count(strict: World) -> None:
    held = [place(strict) for _ in range(5)]
    strict.service.cancel(user(), held[0])
    place(strict)
    strict.clock.pass_by(HOLD + timedelta(seconds=1))
    strict.service.sweep_expired()
    for _ in range(5):
        place(strict)


def test_a_repeat_of_the_last_one_finds_it(strict: World) -> None:
    for number in range(5):
        place(strict, f"key {number}")
    again = place(strict, "key 4")
    assert strict.service.get(user(), again).key == "key 4"
    with pytest.raises(TooManyOpen):
        place(strict, "key 5")


def test_asking_all_at_once_gives_no_more(strict: World) -> None:
    results = at_once([partial(place, strict) for _ in range(16)])
    kinds = Counter(type(result) for result in results)
    assert kinds == {str: 5, TooManyOpen: 11}
    assert strict.free() == 45


def test_two_clicks_at_once_are_one_order(strict: World) -> None:
    for number in range(4):
        place(strict, f"key {number}")
    results = at_once([partial(place, strict, "the fifth") for _ in range(6)])
    assert len(set(map(str, results))) == 1
    assert strict.free() == 45


def test_repeats_in_one_group_are_refused_together(strict: World) -> None:
    ticket = strict.service.tickets.find(TICKET)
    assert ticket is not None
    held = [strict.service.get(user(), place(strict, f"key {number}")) for number in range(5)]
    sixth = replace(held[0], key="the sixth", blocks=())
    group = [Reservation(ticket, replace(sixth, id=f"{number:024}")) for number in range(2)]
    strict.service.desk.reserve(TICKET, group)
    assert [type(one.result) for one in group] == [TooManyOpen, TooManyOpen]


def test_sending_one_request_twice_gets_nobody_past_the_count(strict: World) -> None:
    for _ in range(5):
        place(strict)
    results = at_once([partial(place, strict, "the sixth") for _ in range(6)])
    assert {type(result) for result in results} == {TooManyOpen}
    assert strict.free() == 45


def test_only_so_many_in_a_minute(strict: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hoarding, "MOST_A_MINUTE", 3)
    for _ in range(3):
        strict.service.cancel(user(), place(strict))
    with pytest.raises(TooFast):
        place(strict)
    place(strict, who=OTHER)
    strict.clock.pass_by(timedelta(seconds=61))
    place(strict)


def test_limits_can_be_off(world: World) -> None:
    world.sells(50)
    for _ in range(35):
        place(world)
