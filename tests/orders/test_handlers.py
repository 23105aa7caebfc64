"""Events in, effects out: once, twice, late, or in another order."""

import itertools

import pytest

from apps.orders import handlers
from apps.orders.models import Order, Pair
from shared.events import (
    AvailabilityChanged,
    Event,
    ExpirationComplete,
    OrderAwaitingPayment,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderEvent,
    PaymentCompleted,
    PaymentCreated,
    PaymentFailed,
    PaymentRefunded,
    TicketCreated,
    TicketUpdated,
    UserCreated,
    UserUpdated,
)
from shared.mongo import Document
from tests.orders.world import (
    HOLD,
    OTHER,
    PAIR,
    SELLER,
    World,
    memory_store,
    payment_data,
    ticket_data,
    user,
)


def hears(world: World, *events: Event) -> None:
    """Through the table, as the worker does it."""
    for event in events:
        if isinstance(event, TicketCreated | TicketUpdated):
            world.handlers.on_tickets([event])
        else:
            world.handlers.table[type(event)](event)


def announced(world: World) -> list[tuple[int, int]]:
    """Version and free units of each announcement."""
    return [
        (event.version, event.data.available)
        for event in world.events(AvailabilityChanged)
        if isinstance(event, AvailabilityChanged)
    ]


def payment(kind: type[Event], order: Order, pair: Pair = PAIR, refunded: int = 0) -> Event:
    return kind.model_validate({"data": payment_data(order, pair, refunded)})


def test_what_is_heard() -> None:
    with memory_store() as store:
        heard = set(World(store).handlers.table)
    assert heard == {
        PaymentCreated,
        PaymentCompleted,
        PaymentFailed,
        PaymentRefunded,
        ExpirationComplete,
        UserCreated,
        UserUpdated,
    }
    assert set(handlers.TICKETS) == {TicketCreated, TicketUpdated}
    assert set(handlers.OWN) == {OrderCreated, OrderCancelled}
    assert set(handlers.SOLD) == {OrderCompleted}


def test_the_seller_is_told_of_reservations_once_they_can_be_seen(memory: World) -> None:
    memory.sells(5)
    memory.reserves(2)
    told: list[tuple[str, str | None, int]] = []

    def tell(topic: str, user_id: str | None) -> None:
        (offer,) = memory.service.sellers.offers(user(SELLER))
        told.append((topic, user_id, offer.held))

    heard = [event for event in memory.events(OrderCreated) if isinstance(event, OrderEvent)]
    memory.handlers_of(memory.service, tell).on_own_orders(heard)
    assert told == [("sales", SELLER, 2)]


def test_a_sale(memory: World) -> None:
    memory.sells(1)
    order = memory.reserves()
    hears(memory, payment(PaymentCreated, order))
    assert memory.order(order).status == "awaiting:payment"
    hears(memory, payment(PaymentCompleted, order))
    assert memory.order(order).status == "complete"
    hears(memory, payment(PaymentRefunded, order, refunded=1950))
    assert memory.order(order).refunded == 1950
    said = memory.said_of(order)
    assert said == ["OrderCreated", "OrderAwaitingPayment", "OrderCompleted", "OrderCompleted"]


@pytest.mark.parametrize(
    "order_of_events", list(itertools.permutations([PaymentCreated, PaymentCompleted])), ids=str
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_sale_whatever_comes_first_and_however_often(
    memory: World, order_of_events: tuple[type[Event], ...], times: int
) -> None:
    memory.sells(1)
    order = memory.reserves()
    for kind in order_of_events:
        hears(memory, *[payment(kind, order)] * times)
    assert memory.order(order).status == "complete"
    memory.drain()
    memory.assert_sound()


def test_a_payment_created_again_is_answered_again(memory: World) -> None:
    """Payments may have lost the answer, and must know that it may capture."""
    memory.sells(1)
    order = memory.reserves()
    hears(memory, *[payment(PaymentCreated, order)] * 2)
    assert len(memory.events(OrderAwaitingPayment)) == 2


def test_the_failure_of_an_earlier_attempt_comes_late(memory: World) -> None:
    memory.sells(1)
    order, second = memory.reserves(), Pair(PAIR.payment_id, 2)
    hears(memory, payment(PaymentCreated, order), payment(PaymentFailed, order))
    hears(memory, payment(PaymentCreated, order, second), payment(PaymentFailed, order))
    assert memory.order(order).payment == second
    assert memory.order(order).status == "awaiting:payment"


def test_a_failed_payment_past_the_hold_frees_the_units(memory: World) -> None:
    memory.sells(1)
    order = memory.reserves()
    hears(memory, payment(PaymentCreated, order))
    memory.passes(HOLD)
    hears(memory, *[payment(PaymentFailed, order)] * 2)
    assert (memory.order(order).reason, memory.free()) == ("payment", 1)
    assert len(memory.events(OrderCancelled)) == 1


def test_a_payment_for_a_cancelled_order_is_answered_each_time(memory: World) -> None:
    memory.sells(1)
    order = memory.reserves()
    memory.service.cancel(user(), order.id)
    hears(memory, *[payment(PaymentCreated, order), payment(PaymentCompleted, order)] * 2)
    assert memory.order(order).status == "cancelled"
    assert len(memory.events(OrderCancelled)) == 5
    assert not memory.events(OrderCompleted)


def test_an_alarm_that_is_early_late_or_doubled(memory: World) -> None:
    memory.sells(1)
    order = memory.reserves()
    memory.alarm(order)
    assert memory.order(order).status == "created"
    memory.passes(HOLD)
    memory.alarm(order)
    memory.alarm(order)
    assert memory.said_of(order) == ["OrderCreated", "OrderCancelled"]
    assert memory.free() == 1


def test_tickets_whatever_comes_first(memory: World) -> None:
    events = [memory.says_ticket(quantity=quantity) for quantity in (3, 150, 40)]
    for number, order_of_events in enumerate(itertools.permutations([*events, events[0]])):
        with memory_store() as store:
            world = World(store)
            hears(world, *order_of_events)
            assert world.capacity() == 40, number
            world.assert_sound()


def test_a_ticket_that_is_withdrawn_and_comes_back_in_the_wrong_order(memory: World) -> None:
    memory.sells(2)
    order = memory.reserves()
    withdrawn = memory.says_ticket(quantity=2, withdrawn=True)
    back = memory.says_ticket(quantity=2)
    hears(memory, back, withdrawn)
    assert memory.order(order).status == "created"
    assert memory.reserves(buyer=OTHER).status == "created"


def test_a_withdrawal_heard_again_cancels_what_slipped_in(memory: World) -> None:
    memory.sells(2)
    order = memory.reserves()
    withdrawn = memory.says_ticket(quantity=2, withdrawn=True)
    memory.service.tickets.save(withdrawn)  # and then the worker died
    hears(memory, withdrawn)
    assert memory.order(order).reason == "seller"
    assert not any(block["open"] for block in memory.blocks())
    memory.drain()
    memory.assert_sound()


def test_rebuilding_a_replica_takes_the_same_version_again(memory: World) -> None:
    memory.sells(2)
    event = TicketCreated(data=ticket_data(quantity=3))
    hears(memory, event)
    assert memory.capacity() == 2
    memory.handlers.replicas[TicketCreated](event)
    assert memory.capacity() == 3
    memory.assert_sound()


# --- our own orders -------------------------------------------------------------------------------


def test_many_orders_are_announced_at_once(memory: World) -> None:
    memory.sells(9)
    for _ in range(4):
        memory.reserves()
    memory.drain()
    assert announced(memory) == [(0, 9), (1, 5)]


def test_each_ticket_of_a_batch_is_announced(memory: World) -> None:
    other = "71c4e7000000000000000002"
    memory.sells(2)
    memory.sells(3, ticket_id=other)
    memory.reserves()
    memory.service.place(user(), other, 1, None)
    memory.drain()
    memory.assert_sound()
    assert len(announced(memory)) == 4


def test_an_order_heard_again_is_told_again(memory: World) -> None:
    """Nobody knows whether what was stored before has been told."""
    memory.sells(9)
    memory.reserves()
    own = [event for event in memory.events() if isinstance(event, OrderCreated)]

    def dies(_events: list[Document]) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        handlers.EventHandlers(memory.service, dies).on_own_orders(own)  # type: ignore[arg-type]
    assert announced(memory) == [(0, 9)]
    for _ in range(2):
        memory.handlers.on_own_orders(own)  # type: ignore[arg-type]
    assert announced(memory) == [(0, 9), (2, 8), (3, 8)]
    memory.assert_sound()


def test_nothing_of_what_is_told_of_orders_waits_in_an_outbox(memory: World) -> None:
    """The handler has told it; from there it would be told, and taken out, once more."""
    memory.sells(9)
    memory.reserves()
    memory.drain()
    assert [event["version"] for event in memory.published] == [1]
    stored = memory.store["availability"].find_one({})
    assert stored
    assert [entry["version"] for entry in stored["outbox"]] == [0]  # of its arrival


def test_a_cancelled_order_is_released_by_whoever_hears_of_it(memory: World) -> None:
    """The process that cancelled it died before it gave the units back."""
    memory.sells(1)
    order = memory.reserves()
    memory.drain()
    memory.service.release = lambda _order: None  # type: ignore[method-assign]
    memory.service.cancel(user(), order.id)
    assert memory.free() == 0
    memory.service = memory.process()
    memory.drain()
    assert announced(memory)[-1] == (2, 1)
    memory.assert_sound()


def test_an_order_event_of_an_unknown_ticket(memory: World) -> None:
    """After a restore from a backup: nothing to announce, and nothing to fail about."""
    memory.sells(1)
    order = memory.reserves()
    memory.service.cancel(user(), order.id)
    own = [event for event in memory.events() if isinstance(event, OrderCreated | OrderCancelled)]
    for name in ("tickets", "blocks", "orders", "availability"):
        memory.store[name].delete_many({})
    memory.handlers.on_own_orders(own)  # type: ignore[arg-type]
    assert not announced(memory)


def test_an_alarm_for_an_order_that_is_not_there_is_let_go(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with memory_store() as store:
        hears(World(store), ExpirationComplete.model_validate({"data": {"orderId": "0" * 24}}))
    assert "an alarm for no order" in capsys.readouterr().out
