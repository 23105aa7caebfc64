"""The connection breaks at each write in turn, before or after its effect; sweeps repair the rest.

In memory, because one thread is enough: the real server's part is in the other tests.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from pymongo.errors import AutoReconnect

from apps.orders import service
from apps.orders.models import Order
from apps.orders.service import Orders
from shared.errors import Refused
from tests.orders.watched import Crash, watched
from tests.orders.world import HOLD, LIVE, PAIR, TICKET, World, memory_store, user, wish

GRACE = service.ORPHAN_GRACE
ORPHAN = "0de200000000000000000001"


@dataclass
class Scene:
    """A ticket of ten units in blocks of four, and an order of six in two of them."""

    world: World
    order: Order

    def act(self, what: "Act", process: Orders) -> None:
        try:
            what(self, process)
        except Refused:
            return  # a refusal is an outcome, and leaves things sound as well


Act = Callable[[Scene, Orders], object]


def reserve(_scene: Scene, process: Orders) -> None:
    process.place(user(), TICKET, 4, "a key")


def reserve_too_much(_scene: Scene, process: Orders) -> None:
    process.place(user(), TICKET, 5, None)


def cancel(scene: Scene, process: Orders) -> None:
    process.cancel(user(), scene.order.id)


def cancel_what_was_shrunk(scene: Scene, process: Orders) -> None:
    scene.world.sells(3)
    process.cancel(user(), scene.order.id)


def expire(scene: Scene, process: Orders) -> None:
    scene.world.passes(HOLD)
    process.sweep_expired()


def commit_and_fail(scene: Scene, process: Orders) -> None:
    process.commit(scene.order.id, PAIR)
    scene.world.passes(HOLD)
    process.payment_failed(scene.order.id, PAIR)


def sell_and_refund(scene: Scene, process: Orders) -> None:
    process.commit(scene.order.id, PAIR)
    process.complete(scene.order.id, PAIR)
    process.refund(scene.order.id, PAIR, 100)


def withdraw(scene: Scene, process: Orders) -> None:
    """Its event is delivered until a worker has acknowledged it."""
    event = scene.world.says_ticket(quantity=10, withdrawn=True)
    try:
        scene.world.handlers_of(process).on_ticket(event)
    except AutoReconnect:
        scene.world.handlers.on_ticket(event)
        raise


def bury_orphans(scene: Scene, process: Orders) -> None:
    scene.world.service.commit(scene.order.id, PAIR)
    scene.world.service.blocks.take(TICKET, 3, [wish(ORPHAN, 4)])
    scene.world.passes(HOLD + GRACE)
    process.sweep_orphans()


ACTS: list[Act] = [
    reserve,
    reserve_too_much,
    cancel,
    cancel_what_was_shrunk,
    expire,
    commit_and_fail,
    sell_and_refund,
    withdraw,
    bury_orphans,
]
at_every_act = pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
on_either_side = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def crashes(act: Act, *, after: bool, then: Callable[[Scene], None]) -> int:
    """Act once for each write that the act has, and look at what is left; how many there were."""
    for number in range(100):
        crash = Crash(number, after=after)
        with memory_store() as store:
            world = World(store, block_size=4)
            world.sells(10)
            scene = Scene(world, world.reserves(6))
            try:
                scene.act(act, world.process(watched(store, crash)))
            except AutoReconnect:
                assert crash.happened
            if not crash.happened:
                return number
            world.assert_blocks_add_up()
            then(scene)
    pytest.fail("it writes for ever")


@at_every_act
@on_either_side
def test_everything_is_sound_once_all_holds_are_over(act: Act, after: bool) -> None:
    def then(scene: Scene) -> None:
        scene.world.recover()
        scene.world.passes(HOLD + GRACE)
        scene.world.recover()
        scene.world.assert_sound()

    assert crashes(act, after=after, then=then) >= 2


@pytest.mark.parametrize(
    "act", [act for act in ACTS if act not in (reserve, reserve_too_much)], ids=lambda a: a.__name__
)
@on_either_side
def test_only_units_without_an_order_have_to_wait_for_the_end_of_a_hold(
    act: Act, after: bool
) -> None:
    def then(scene: Scene) -> None:
        scene.world.recover()
        scene.world.assert_sound()

    assert crashes(act, after=after, then=then) >= 2


@on_either_side
def test_a_buyer_who_asks_again_with_the_same_key_has_one_order(after: bool) -> None:
    def then(scene: Scene) -> None:
        world = scene.world
        try:
            again = world.reserves(4, key="a key")
        except Refused:
            # The units of the first try wait for the end of their hold.
            world.passes(HOLD + GRACE)
            world.recover()
            again = world.reserves(4, key="a key")
        assert [o.id for o in world.orders() if o.key == "a key"] == [again.id]
        world.drain()
        world.passes(HOLD + GRACE)
        world.recover()
        world.assert_sound()

    assert crashes(reserve, after=after, then=then) >= 2


@on_either_side
def test_no_acknowledged_step_is_undone_by_a_crash_in_a_later_one(after: bool) -> None:
    """What the buyer was told stays true: a committed order is never given up by a sweep."""

    def pay(scene: Scene, process: Orders) -> None:
        scene.world.service.commit(scene.order.id, PAIR)
        scene.world.passes(HOLD + GRACE)
        process.sweep_expired()
        process.sweep_orphans()
        process.complete(scene.order.id, PAIR)

    def then(scene: Scene) -> None:
        scene.world.recover()
        assert scene.world.order(scene.order).status in LIVE
        scene.world.assert_sound()

    assert crashes(pay, after=after, then=then) == 3  # the sale, and a note in each of its blocks
