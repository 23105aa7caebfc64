"""Alarms follow orders, ring in the stream, and come back after Redis lost them."""

from datetime import UTC, datetime, timedelta

import pytest

import shared.bus
from apps.expiration import handlers
from apps.expiration.service import Expiration
from shared.bus import Bus
from shared.events import (
    Event,
    ExpirationComplete,
    OrderAwaitingPayment,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderEvent,
    parse,
)
from tests.expiration.conftest import HOLD, Clockwork, order_event
from tests.shared.nats_server import NatsServer

ORDER = "0c0e00000000000000000001"
OTHER = "0c0e00000000000000000002"
LATER = timedelta(days=1)


def hear(expiration: Expiration, *events: Event) -> None:
    table = handlers.table(expiration)
    for event in events:
        table[type(event)](event)


def say(bus: Bus, *events: Event) -> None:
    for event in events:
        bus.run(bus.publish(event.subject, event.to_json().encode(), event.id), 5)


def rung(bus: Bus) -> list[str]:
    """The orders whose alarms are in the stream."""

    async def read() -> list[str]:
        found: list[str] = []
        async for message in bus.read(subjects=[ExpirationComplete.subject_name]):
            if message is None:
                break
            event = parse(message.payload)
            assert isinstance(event, ExpirationComplete)
            found.append(event.data.order_id)
        return found

    return bus.run(read(), 10)


def test_an_order_that_waits_has_an_alarm_that_rings_in_the_stream(
    expiration: Expiration, clockwork: Clockwork
) -> None:
    hear(expiration, order_event(OrderCreated, "created", ORDER))
    clockwork.rings_until(datetime.now(UTC) + HOLD - timedelta(seconds=10))
    assert rung(expiration.bus) == []
    clockwork.rings_until(datetime.now(UTC) + HOLD)
    assert rung(expiration.bus) == [ORDER]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (OrderAwaitingPayment, "awaiting:payment"),
        (OrderCompleted, "complete"),
        (OrderCancelled, "cancelled"),
    ],
)
def test_an_order_that_can_not_expire_any_more_has_none(
    expiration: Expiration, clockwork: Clockwork, kind: type[OrderEvent], status: str
) -> None:
    hear(expiration, order_event(OrderCreated, "created", ORDER))
    hear(expiration, order_event(kind, status, ORDER))
    clockwork.rings_until(datetime.now(UTC) + LATER)
    assert rung(expiration.bus) == []


def test_an_order_whose_payment_failed_has_one_again(
    expiration: Expiration, clockwork: Clockwork
) -> None:
    hear(
        expiration,
        order_event(OrderCreated, "created", ORDER),
        order_event(OrderAwaitingPayment, "awaiting:payment", ORDER),
        order_event(OrderCreated, "created", ORDER),
    )
    clockwork.rings_until(datetime.now(UTC) + LATER)
    assert rung(expiration.bus) == [ORDER]


def test_of_several_events_that_come_together_the_newest_counts(
    expiration: Expiration, clockwork: Clockwork
) -> None:
    created, paid = (
        order_event(OrderCreated, "created", ORDER),
        order_event(OrderAwaitingPayment, "awaiting:payment", ORDER),
    )
    expiration.on_orders([paid, created, order_event(OrderCreated, "created", OTHER)])
    assert clockwork.alarms.pending() == 1
    clockwork.rings_until(datetime.now(UTC) + LATER)
    assert rung(expiration.bus) == [OTHER]


def test_an_event_that_comes_again_rings_once(expiration: Expiration, clockwork: Clockwork) -> None:
    hear(expiration, *[order_event(OrderCreated, "created", ORDER)] * 3)
    clockwork.rings_until(datetime.now(UTC) + LATER)
    assert rung(expiration.bus) == [ORDER]


def test_alarms_come_back_after_redis_lost_them(
    expiration: Expiration, clockwork: Clockwork
) -> None:
    committed, cancelled = "0c0e0000000000000000000a", "0c0e0000000000000000000b"
    say(
        expiration.bus,
        order_event(OrderCreated, "created", ORDER),
        order_event(OrderCreated, "created", committed),
        order_event(OrderAwaitingPayment, "awaiting:payment", committed),
        order_event(OrderCreated, "created", cancelled),
        order_event(OrderCancelled, "cancelled", cancelled),
        order_event(OrderCreated, "created", OTHER),
        order_event(OrderAwaitingPayment, "awaiting:payment", OTHER),
        order_event(OrderCreated, "created", OTHER),
    )
    expiration.refill()
    clockwork.redis.flushall()
    expiration.refill()
    assert expiration.alarms.pending() == 2
    clockwork.rings_until(datetime.now(UTC) + LATER)
    assert sorted(rung(expiration.bus)) == [ORDER, OTHER]


def test_an_older_event_that_was_stored_later_does_not_count(
    expiration: Expiration, clockwork: Clockwork
) -> None:
    created = order_event(OrderCreated, "created", ORDER)
    say(expiration.bus, order_event(OrderCancelled, "cancelled", ORDER), created)
    expiration.refill()
    assert expiration.alarms.pending() == 0
    assert clockwork.alarms.remembers()


def test_a_redis_that_remembers_is_left_alone(expiration: Expiration, clockwork: Clockwork) -> None:
    expiration.refill()
    say(expiration.bus, order_event(OrderCreated, "created", ORDER))
    expiration.refill()
    assert clockwork.alarms.pending() == 0


def test_an_unreadable_event_does_not_stop_the_refill(
    expiration: Expiration, clockwork: Clockwork
) -> None:
    bus = expiration.bus
    bus.run(bus.publish("order.created", b"{no event", "broken"), 5)
    say(bus, order_event(OrderCreated, "created", ORDER))
    expiration.refill()
    assert clockwork.alarms.pending() == 1
    assert clockwork.alarms.remembers()


def test_a_refill_that_was_interrupted_is_repeated(
    expiration: Expiration, clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(
        expiration.bus,
        order_event(OrderCreated, "created", ORDER),
        order_event(OrderCreated, "created", OTHER),
    )
    with monkeypatch.context() as patch:
        patch.setattr(clockwork.alarms, "remember", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            expiration.refill()
    expiration.refill()
    assert clockwork.alarms.pending() == 2


def test_a_ring_that_was_not_heard_is_not_heard_later(
    clockwork: Clockwork, nats_server: NatsServer, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Huey tries again, so each try that gave up must be over."""
    monkeypatch.setattr(shared.bus, "HEARD", 0.1)
    expiration = Expiration(clockwork.alarms, bus, HOLD)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            expiration.ring(ORDER)
    nats_server.start()
    bus.wait_ready(10)
    monkeypatch.setattr(shared.bus, "HEARD", 5.0)
    expiration.ring(OTHER)
    assert rung(bus) == [OTHER]
