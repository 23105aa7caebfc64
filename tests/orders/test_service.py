"""What can be done with orders, on a real server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from apps.orders import models, onsale, store
from apps.orders.desk import Request, Reservation
from apps.orders.models import Order
from shared import patience
from shared.errors import Forbidden, KeyReused, NotFound, NotHereYet, Refused
from tests.orders.threads import at_once
from tests.orders.watched import Call, Meanwhile, watched
from tests.orders.world import (
    BUYER,
    HOLD,
    LIVE,
    OTHER,
    PAIR,
    SELLER,
    START,
    TICKET,
    World,
    user,
    wish,
)

SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on its way in these tests."""
    monkeypatch.setattr(patience, "PATIENCE", 0)


# --- reserving ------------------------------------------------------------------------------------


def test_a_new_order(world: World) -> None:
    world.sells(3)
    order = world.reserves(2)
    assert order == world.order(order)
    assert (order.status, order.version, order.user_id) == ("created", 0, BUYER)
    assert (order.quantity, order.amount, order.currency) == (2, 3900, "usd")
    assert (order.created_at, order.expires_at) == (START, START + HOLD)
    assert order.ticket == onsale.Ordered(TICKET, "Concert", 1950, 0, SELLER)
    assert world.said_of(order) == ["OrderCreated"]
    assert world.free() == 1


def test_the_price_is_that_of_the_reservation(world: World) -> None:
    world.sells(3)
    order = world.reserves()
    world.sells(3, unit_amount=9900)
    assert world.order(order).amount == 1950
    assert world.reserves().amount == 9900


@pytest.mark.parametrize(
    ("on_sale", "reserved", "wanted", "message"),
    [
        (1, 1, 1, "Ticket is already reserved"),
        (1, 0, 2, "Only 1 left"),
        (3, 3, 1, "Sold out"),
        (3, 1, 3, "Only 2 left"),
    ],
)
def test_there_are_not_enough(
    world: World, on_sale: int, reserved: int, wanted: int, message: str
) -> None:
    world.sells(on_sale)
    if reserved:
        world.reserves(reserved, buyer=OTHER)
    with pytest.raises(Refused, match=message) as refused:
        world.reserves(wanted)
    assert refused.value.status == 400
    assert refused.value.field == ("quantity" if "left" in message else None)
    world.drain()
    world.assert_sound()


def test_a_withdrawn_ticket(world: World) -> None:
    world.sells(3)
    world.sells(3, withdrawn=True)
    with pytest.raises(onsale.NotOnSale):
        world.reserves()


def test_a_ticket_that_is_withdrawn_while_somebody_reserves(world: World) -> None:
    world.sells(3)
    withdraws = Meanwhile(
        lambda call: call.writes and call.collection == "blocks",
        lambda: world.sells(3, withdrawn=True),
    )
    with pytest.raises(onsale.NotOnSale):
        world.process(watched(world.store, withdraws)).place(user(), TICKET, 1, None)
    assert withdraws.happened


def test_an_order_that_is_stored_after_its_ticket_was_withdrawn(world: World) -> None:
    world.sells(3)
    withdraws = Meanwhile(_inserts_order, lambda: world.sells(3, withdrawn=True))
    order = world.process(watched(world.store, withdraws)).place(user(), TICKET, 1, None)
    assert withdraws.happened
    world.drain()
    assert (world.order(order).status, world.order(order).reason) == ("cancelled", "seller")
    world.assert_sound()


def test_an_unknown_ticket(world: World) -> None:
    with pytest.raises(NotHereYet) as refused:
        world.reserves()
    assert (refused.value.status, refused.value.retry_after) == (404, 1)


def test_a_ticket_whose_event_is_on_its_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 20)
    looks: list[Call] = []

    def arrives_after_two_looks(call: Call) -> object:
        found = call.do()
        if call.collection == "tickets":
            looks.append(call)
            if len(looks) == 2:
                world.sells(1)
        return found

    web = world.process(watched(world.store, arrives_after_two_looks))
    assert web.place(user(), TICKET, 1, None).status == "created"


def test_those_who_want_too_much_do_not_hinder_the_others_of_their_group(world: World) -> None:
    world.sells(3)
    reservations = [
        Reservation(_ticket(world), _order(world, number, quantity))
        for number, quantity in enumerate((5, 1, 4, 2, 1))
    ]
    world.service.desk.reserve(TICKET, reservations)
    assert [_outcome(r) for r in reservations] == [
        "Sold out",
        "created",
        "Sold out",
        "created",
        "Sold out",
    ]
    world.drain()
    world.assert_sound()


def _ticket(world: World) -> onsale.Ticket:
    ticket = world.service.tickets.find(TICKET)
    assert ticket is not None
    return ticket


def _order(world: World, number: int, quantity: int, key: str | None = None) -> Order:
    request = Request(f"{number:024x}", quantity, key, "hash")
    return world.service.desk._new_order(_ticket(world), request)


def _outcome(reservation: Reservation) -> str:
    result = reservation.result
    assert result is not None
    return result.status if isinstance(result, Order) else str(result)


def test_fifty_buyers_and_one_ticket(world: World) -> None:
    world.sells(1)
    processes = [world.process() for _ in range(3)]
    results = at_once(
        [
            lambda number=number: processes[number % 3].place(  # type: ignore[misc]
                user(f"{number:024x}"), TICKET, 1, None
            )
            for number in range(50)
        ]
    )
    won = [result for result in results if isinstance(result, Order)]
    assert [order.id for order in won] == [order.id for order in world.orders()]
    assert len(won) == 1
    refused = {type(result) for result in results if not isinstance(result, Order)}
    assert refused == {onsale.TicketReserved}
    world.drain()
    world.assert_sound()


def test_everybody_gets_a_ticket_while_there_are_enough(small: World) -> None:
    small.sells(30)
    processes = [small.process() for _ in range(2)]
    results = at_once(
        [
            lambda number=number: processes[number % 2].place(  # type: ignore[misc]
                user(f"{number:024x}"), TICKET, 1, None
            )
            for number in range(30)
        ]
    )
    assert [result for result in results if not isinstance(result, Order)] == []
    small.drain()
    small.assert_sound()


# --- the same key ---------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_order(world: World) -> None:
    world.sells(5)
    first, again = world.reserves(2, key="k"), world.reserves(2, key="k")
    assert first == again
    assert (len(world.orders()), world.free()) == (1, 3)


def test_the_same_key_gives_the_order_as_it_is_today(world: World) -> None:
    world.sells(1)
    first = world.reserves(key="k")
    world.service.cancel(user(), first.id)
    world.sells(1, withdrawn=True)
    assert world.reserves(key="k").status == "cancelled"


def test_a_key_with_another_body(world: World) -> None:
    world.sells(5)
    world.reserves(2, key="k")
    with pytest.raises(KeyReused) as refused:
        world.reserves(1, key="k")
    assert (refused.value.status, world.free()) == (422, 3)


def test_keys_belong_to_people(world: World) -> None:
    world.sells(5)
    mine, others = world.reserves(key="k"), world.reserves(key="k", buyer=OTHER)
    assert mine.id != others.id


def test_without_a_key_each_request_is_an_order(world: World) -> None:
    world.sells(5)
    assert world.reserves().id != world.reserves().id


def test_twenty_requests_with_one_key_at_once(world: World) -> None:
    world.sells(30)
    processes = [world.process() for _ in range(4)]
    results = at_once(
        [
            lambda number=number: processes[number % 4].place(user(), TICKET, 1, "k")  # type: ignore[misc]
            for number in range(20)
        ]
    )
    assert {result.id for result in results if isinstance(result, Order)} == {
        order.id for order in world.orders()
    }
    assert [result for result in results if not isinstance(result, Order)] == []
    assert (len(world.orders()), world.free()) == (1, 29)
    world.drain()
    world.assert_sound()


def test_twenty_clicks_on_the_last_ticket(world: World) -> None:
    world.sells(1)
    web = world.process()
    results = at_once([lambda: web.place(user(), TICKET, 1, "k") for _ in range(20)])
    (order,) = world.orders()
    assert results == [order] * 20


def test_the_loser_of_a_key_gives_its_units_back_and_says_so(small: World) -> None:
    """What is free is announced while the loser still holds its units."""
    small.sells(9)
    small.reserves(3, key="k")

    def gives_back(call: Call) -> bool:
        return call.collection == "blocks" and call.writes and "$pull" in call.arguments[1]

    counts = Meanwhile(gives_back, small.drain)
    web = small.process(watched(small.store, counts))
    loser = Reservation(_ticket(small), _order_of_key(small, "k"))
    web.desk.reserve(TICKET, [loser])
    assert counts.happened
    assert loser.result == small.orders()[0]
    small.drain()
    small.assert_sound()


def _order_of_key(world: World, key: str) -> Order:
    """An order of the same request, by somebody who looked before the first one was stored."""
    first = world.service.store.by_key(BUYER, key)
    assert first is not None
    request = Request(BUYER, first.quantity, key, first.key_hash or "")
    return world.service.desk._new_order(_ticket(world), request)


def test_both_requests_of_a_key_in_one_group(world: World) -> None:
    world.sells(9)
    orders = [_order(world, 1, 2, key="k") for _ in range(2)]
    reservations = [Reservation(_ticket(world), order) for order in orders]
    world.service.desk.reserve(TICKET, reservations)
    assert reservations[0].result == reservations[1].result == world.orders()[0]
    world.drain()
    world.assert_sound()


# --- the end of an order --------------------------------------------------------------------------


def test_cancelling(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    for _ in range(2):
        assert world.service.cancel(user(), order.id).status == "cancelled"
    assert world.said_of(order) == ["OrderCreated", "OrderCancelled"]
    assert world.reserves(buyer=OTHER).status == "created"
    world.drain()
    world.assert_sound()


def test_only_the_buyer_may_look_or_cancel(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    for command in (world.service.get, world.service.cancel):
        with pytest.raises(Forbidden):
            command(user(OTHER), order.id)
        with pytest.raises(NotFound):
            command(user(), "0de2000000000000000000ff")
    assert world.service.get(user(), order.id) == order


def test_a_whole_sale(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    world.service.commit(order.id, PAIR)
    with pytest.raises(models.PaymentInProgress):
        world.service.cancel(user(), order.id)
    world.service.complete(order.id, PAIR)
    with pytest.raises(models.OrderPaid):
        world.service.cancel(user(), order.id)
    world.passes(HOLD)
    world.alarm(order)
    assert world.order(order).status == "complete"
    assert world.said_of(order) == ["OrderCreated", "OrderAwaitingPayment", "OrderCompleted"]
    world.recover()
    world.assert_sound()


def test_an_expiry_when_the_buyer_has_just_authorised(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    world.passes(HOLD)
    world.service.commit(order.id, PAIR)
    world.alarm(order)
    world.sweep()
    assert world.order(order).status == "awaiting:payment"


def test_a_payment_that_arrives_for_a_cancelled_order(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    world.service.cancel(user(), order.id)
    others = world.reserves(buyer=OTHER)
    world.service.commit(order.id, PAIR)
    world.service.complete(order.id, PAIR)
    assert world.order(order).status == "cancelled"
    assert world.said_of(order) == ["OrderCreated", *["OrderCancelled"] * 3]
    assert world.order(others).status == "created"
    world.drain()
    world.assert_sound()


def test_a_late_expiry_after_somebody_else_bought_the_ticket(world: World) -> None:
    world.sells(1)
    first = world.reserves()
    world.passes(HOLD)
    world.sweep()
    second = world.reserves(buyer=OTHER)
    world.alarm(first)
    world.service.release(world.order(first))
    assert world.free() == 0
    assert world.order(second).status == "created"


def test_a_hold_ends_at_its_time_and_not_before(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    world.passes(HOLD - MILLISECOND)
    world.alarm(order)
    world.sweep()
    assert world.order(order).status == "created"
    world.passes(MILLISECOND)
    world.alarm(order)
    assert (world.order(order).status, world.order(order).reason) == ("cancelled", "expired")
    assert world.free() == 1


def test_the_sweep_ends_what_no_alarm_ended(world: World) -> None:
    world.sells(3)
    orders = [world.reserves() for _ in range(3)]
    world.service.commit(orders[0].id, PAIR)
    world.passes(HOLD)
    world.service.sweep_expired()
    statuses = [world.order(order).status for order in orders]
    assert statuses == ["awaiting:payment", "cancelled", "cancelled"]


@pytest.mark.parametrize(
    ("passed", "status", "free"),
    [(HOLD - MILLISECOND, "created", 0), (HOLD, "cancelled", 1)],
)
def test_a_payment_that_fails(world: World, passed: timedelta, status: str, free: int) -> None:
    world.sells(1)
    order = world.reserves()
    world.service.commit(order.id, PAIR)
    world.passes(passed)
    world.service.payment_failed(order.id, PAIR)
    assert (world.order(order).status, world.free()) == (status, free)
    world.drain()
    world.assert_sound()


def test_a_refund_keeps_the_units_sold(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    world.service.commit(order.id, PAIR)
    world.service.complete(order.id, PAIR)
    world.service.refund(order.id, PAIR, 1950)
    assert (world.order(order).status, world.order(order).refunded) == ("complete", 1950)
    world.drain()
    world.assert_sound()


def test_an_order_that_waits_for_its_capture_says_so_now_and_then(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    world.service.commit(order.id, PAIR)
    said: list[int] = []
    for _ in range(7):
        world.service.sweep_unfinished()
        said.append(len(world.said_of(order)))
        world.passes(5 * SECOND)
    assert said == [2, 2, 2, 3, 3, 3, 4]


def test_after_a_restore_what_is_unpaid_is_held_again(world: World) -> None:
    """Payments may know of a payment that the backup does not."""
    world.sells(3)
    unpaid, committed, cancelled = (world.reserves() for _ in range(3))
    world.service.commit(committed.id, PAIR)
    world.service.cancel(user(), cancelled.id)
    world.passes(2 * HOLD)
    world.service.hold_again()
    world.sweep()
    assert world.order(unpaid).status == "created"
    assert world.order(unpaid).expires_at == START + 3 * HOLD
    assert world.order(committed).expires_at == START + HOLD
    assert world.order(cancelled).expires_at == START + HOLD
    world.passes(HOLD)
    world.sweep()
    assert world.order(unpaid).reason == "expired"


# --- withdrawal -----------------------------------------------------------------------------------


def test_withdrawal_cancels_what_is_not_paid(world: World) -> None:
    world.sells(4)
    reserved, committed, paid = (world.reserves() for _ in range(3))
    world.service.commit(committed.id, PAIR)
    world.service.complete(paid.id, PAIR)
    world.sells(4, withdrawn=True)
    statuses = [world.order(order).status for order in (reserved, committed, paid)]
    assert statuses == ["cancelled", "awaiting:payment", "complete"]
    assert world.order(reserved).reason == "seller"
    world.drain()
    world.assert_sound()


def test_withdrawal_reaches_more_orders_than_one_look_finds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SWEEP", 2)
    world.sells(7)
    orders = [world.reserves() for _ in range(7)]
    world.drain()
    world.sells(7, withdrawn=True)
    world.drain()
    assert {world.order(order).status for order in orders} == {"cancelled"}
    world.assert_sound()


def test_a_payment_that_fails_after_the_withdrawal(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    world.service.commit(order.id, PAIR)
    world.sells(1, withdrawn=True)
    world.service.payment_failed(order.id, PAIR)
    world.drain()
    assert world.order(order).reason == "seller"
    world.assert_sound()


def test_a_payment_that_comes_while_the_seller_withdraws(world: World) -> None:
    world.sells(1)
    order = world.reserves()
    pays = Meanwhile(
        lambda call: call.writes and call.collection == "orders",
        lambda: world.service.commit(order.id, PAIR),
    )
    withdrawing = world.process(watched(world.store, pays))
    withdrawing.cancel_withdrawn(TICKET)
    assert pays.happened
    assert world.order(order).status == "awaiting:payment"


# --- units without an order -----------------------------------------------------------------------

GRACE = timedelta(seconds=10)
ORPHAN = "0de200000000000000000001"


def _inserts_order(call: Call) -> bool:
    return call.collection == "orders" and call.name.startswith("insert")


def test_orphans_are_freed_after_their_time(small: World) -> None:
    small.sells(8)
    small.service.blocks.take(TICKET, 2, [wish(ORPHAN, 6)])
    small.passes(HOLD + GRACE - MILLISECOND)
    small.service.sweep_orphans()
    assert small.free() == 2
    small.passes(MILLISECOND)
    small.service.sweep_orphans()
    assert small.free() == 8
    stone = small.service.store.aggregates.find(ORPHAN)
    assert stone is not None
    assert (stone.status, stone.reason) == ("cancelled", "expired")
    small.drain()
    small.assert_sound()


def test_living_orders_are_no_orphans(world: World) -> None:
    world.sells(3)
    orders = [world.reserves() for _ in range(3)]
    for order in orders[:2]:
        world.service.commit(order.id, PAIR)
    world.service.complete(orders[0].id, PAIR)
    world.passes(HOLD + GRACE)
    world.service.sweep_orphans()
    assert world.free() == 0
    assert all(world.order(order).status in LIVE for order in orders)


@pytest.mark.parametrize("key", [None, "k"])
def test_an_order_that_comes_after_its_tombstone(small: World, key: str | None) -> None:
    """The web process sleeps between taking the units and storing the order."""
    small.sells(8)

    def much_later() -> None:
        small.passes(HOLD + GRACE)
        small.service.sweep_orphans()
        assert small.free() == 8

    sleeps = Meanwhile(_inserts_order, much_later)
    web = small.process(watched(small.store, sleeps))
    with pytest.raises(onsale.SoldOut):
        web.place(user(), TICKET, 6, key)
    assert sleeps.happened
    assert [order.status for order in small.orders()] == ["cancelled"]
    small.drain()
    small.assert_sound()


def test_an_order_that_comes_just_before_its_tombstone(small: World) -> None:
    small.sells(8)
    placed: list[Order] = []

    def stores_order() -> None:
        small.store["orders"].insert_one(document)
        placed.append(order)

    order = _order(small, 1, 6)
    asked = wish(order.id, 6, order.expires_at)
    small.service.blocks.take(TICKET, 2, [asked])
    order = models.with_blocks(order, tuple(asked.taken))
    document = small.service.store.aggregates.new_document(order, None)
    small.passes(HOLD + GRACE)
    first = Meanwhile(_inserts_order, stores_order)
    small.process(watched(small.store, first)).sweep_orphans()
    assert placed == [order]
    assert (small.order(order).status, small.free()) == ("created", 2)


def test_a_process_that_slept_before_it_took_units_and_then_died(world: World) -> None:
    """The sweep has long looked at the time at which this hold ended."""
    world.sells(1)
    world.passes(2 * HOLD)
    world.service.sweep_orphans()
    world.service.blocks.take(TICKET, 1, [wish(ORPHAN, 1, START + HOLD)])
    for _ in range(61):
        world.passes(10 * SECOND)
        world.service.sweep_orphans()
    assert world.free() == 1


def test_most_looks_for_orphans_are_short(world: World) -> None:
    world.sells(3)
    paid = world.reserves()
    world.service.complete(paid.id, PAIR)
    world.passes(HOLD + GRACE)
    looks: list[Call] = []

    def remember(call: Call) -> object:
        if call.collection == "orders":
            looks.append(call)
        return call.do()

    worker = world.process(watched(world.store, remember))
    worker.sweep_orphans()
    assert len(looks) == 1
    world.passes(10 * SECOND)
    worker.sweep_orphans()
    assert len(looks) == 1


def test_a_look_for_orphans_that_failed_is_repeated(world: World) -> None:
    world.sells(1)
    world.service.blocks.take(TICKET, 1, [wish(ORPHAN)])
    world.passes(HOLD + GRACE)

    def breaks() -> None:
        raise ConnectionError

    worker = world.process(watched(world.store, Meanwhile(_inserts_order, breaks)))
    with pytest.raises(ConnectionError):
        worker.sweep_orphans()
    world.passes(SECOND)
    worker.sweep_orphans()
    assert world.free() == 1


# --- lists ----------------------------------------------------------------------------------------


def test_orders_of_a_person_page_by_page(world: World) -> None:
    world.sells(9)
    orders: list[Order] = []
    for number in range(5):
        orders.append(world.reserves())
        world.reserves(buyer=OTHER) if number % 2 else world.passes(SECOND)
    newest_first = sorted(orders, key=lambda order: (order.created_at, order.id), reverse=True)
    seen: list[Order] = []
    after = None
    while page := world.service.of_user(user(), after, 2):
        seen += page
        after = page[-1].created_at, page[-1].id
    assert seen == newest_first


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_orders_of_many_years_page_by_page(world: World, limit: int) -> None:
    """They are read a span of time after the other: none is left out where two of them meet."""
    world.sells(12)
    now = datetime.now(UTC).replace(microsecond=0)
    edges = [timedelta(), *store.SPANS, timedelta(days=900)]
    times = [now - edge + step for edge in edges for step in (SECOND, timedelta(), -SECOND)]
    for time in times:
        order = world.reserves()
        world.store["orders"].update_one({"_id": order.id}, {"$set": {"created_at": time}})
    seen: list[datetime] = []
    after = None
    while page := world.service.of_user(user(), after, limit):
        seen += [order.created_at for order in page]
        after = page[-1].created_at, page[-1].id
    assert seen == sorted(times, reverse=True)


@pytest.mark.parametrize("command", ["commit", "complete", "payment_failed"])
def test_an_event_of_an_order_that_is_not_there_is_not_lost(world: World, command: str) -> None:
    """The worker puts it aside for a person instead of acknowledging it."""
    act: Callable[..., None] = getattr(world.service, command)
    with pytest.raises(KeyError):
        act("0de2000000000000000000ff", PAIR)
