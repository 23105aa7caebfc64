"""The story of a few things, read from the stream by time."""

from datetime import UTC, datetime, timedelta

import pytest

from shared import story
from shared.bus import Bus
from shared.errors import Unavailable
from shared.events import Event, ExpirationComplete, ExpirationData, PaymentCreated, PaymentData
from shared.story import AROUND, History, Span, widened
from tests.shared.conftest import MakeBus
from tests.shared.nats_server import NatsServer

ORDER, OTHER = "0c0e00000000000000000001", "0c0e00000000000000000002"
ABOUT = {f"payment:{ORDER}", f"expiration:{ORDER}"}
SUBJECTS = ["payment.*", "expiration.*"]
NOW = datetime.now(UTC)


def payment(order_id: str, version: int, **changes: int) -> Event:
    data = PaymentData(
        id="pay",
        order_id=order_id,
        user_id="buyer",
        attempt=1,
        status="authorized" if version == 0 else "paid",
        amount=100,
        currency="usd",
        captured=changes.get("captured", 0),
        refunded=0,
    )
    return PaymentCreated(data=data, version=version, time=NOW + timedelta(seconds=version))


def publish(bus: Bus, *events: Event) -> None:
    for event in events:
        payload = event.to_json().encode()
        bus.run(bus.publish(event.subject, payload, event.id))


def test_only_what_these_things_said_is_told_in_order(make_bus: MakeBus) -> None:
    bus = make_bus()
    alarm = ExpirationComplete(data=ExpirationData(order_id=ORDER), time=NOW - timedelta(seconds=1))
    publish(bus, payment(ORDER, 0), payment(OTHER, 0), payment(ORDER, 1, captured=100), alarm)
    bus.run(bus.publish("payment.nonsense", ORDER.encode(), "n"))
    told = History(bus).story(ABOUT, SUBJECTS, [Span(NOW, NOW)])
    assert [(each.event.subject, each.event.version) for each in told.told] == [
        *(("expiration.complete", 0), ("payment.created", 0), ("payment.created", 1)),
    ]
    assert told.told[2].changes == ("status: authorized → paid", "captured: 0 → 100")
    assert "amount: 100" in told.told[1].changes
    assert told.whole


def test_what_came_long_after_is_not_read(make_bus: MakeBus) -> None:
    bus = make_bus()
    late = payment(ORDER, 1).model_copy(update={"time": NOW + 2 * AROUND})
    publish(bus, payment(ORDER, 0), late)
    (told,) = History(bus).story(ABOUT, SUBJECTS, [Span(NOW, NOW)]).told
    assert told.event.version == 0


def test_a_span_with_too_much_in_it_is_cut_and_says_so(
    make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MOST", 2)
    bus = make_bus()
    publish(bus, payment(OTHER, 0), payment(ORDER, 0), payment(ORDER, 1))
    told = History(bus).story(ABOUT, SUBJECTS, [Span(NOW, NOW)])
    assert ([each.event.version for each in told.told], told.whole) == ([0], False)


def test_without_nats_it_says_so(
    make_bus: MakeBus, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "PATIENCE", 0.2)
    bus = make_bus()
    nats_server.kill()
    with pytest.raises(Unavailable):
        History(bus).story(ABOUT, SUBJECTS, [Span(NOW, NOW)])


def test_times_that_meet_are_read_once() -> None:
    later, much_later = NOW + AROUND, NOW + 10 * AROUND
    assert widened([Span(much_later, much_later), Span(later, later), Span(NOW, NOW)]) == [
        Span(NOW - AROUND, later + AROUND),
        Span(much_later - AROUND, much_later + AROUND),
    ]
