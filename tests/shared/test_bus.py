"""The bus on a real NATS: nothing acknowledged is lost, and whatever vanishes is made again."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from shared import bus as bus_module
from shared.bus import (
    Ack,
    Bus,
    Consumer,
    Dead,
    Message,
    Nak,
    Outcome,
    connect_once,
    connection,
    consuming,
    is_trouble,
)
from tests.shared.conftest import MakeBus
from tests.shared.nats_server import NatsServer
from tests.waiting import wait_until

SUBJECT = "user.updated"
Answer = Callable[[Message], Outcome]


class Inbox:
    """A handler that notes what comes, and answers as it is told."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.messages: list[Message] = []
        self.batches: list[int] = []
        self._answer: Answer = answer or (lambda _: Ack())

    def __call__(self, messages: list[Message]) -> list[Outcome]:
        self.messages += messages
        self.batches.append(len(messages))
        return [self._answer(message) for message in messages]

    @property
    def texts(self) -> list[str]:
        return [message.payload.decode() for message in self.messages]

    def wait_for(self, *texts: str) -> None:
        wait_until(lambda: set(self.texts) >= set(texts), f"{texts} in {self.texts}")


def publish(bus: Bus, *texts: str, subject: str = SUBJECT) -> None:
    for text in texts:
        bus.run(bus.publish(subject, text.encode(), text), 10)


def consumer(inbox: Inbox, durable: str = "tests", **options: Any) -> Consumer:
    return Consumer(durable, [SUBJECT], inbox, **options)


def texts_in(bus: Bus, **options: Any) -> list[str]:
    """The payloads that the stream holds."""

    async def read() -> list[str]:
        return [m.payload.decode() async for m in bus.read(**options) if m is not None]

    return bus.run(read(), 10)


def pending(nats_server: NatsServer, durable: str = "tests") -> int:
    """Messages that were handed out and not acknowledged yet, or not handed out at all."""
    info = nats_server.ask(lambda js: js.consumer_info("EVENTS", durable))
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


# --- consuming ------------------------------------------------------------------------------------


def test_a_durable_consumer_gets_everything_that_was_and_that_comes(
    bus: Bus, nats_server: NatsServer
):
    inbox = Inbox()
    publish(bus, *(f"before {n}" for n in range(20)))
    bus.consume(consumer(inbox))
    publish(bus, *(f"after {n}" for n in range(20)))
    wait_until(lambda: len(inbox.messages) >= 40, "40 messages")
    wait_until(lambda: pending(nats_server) == 0, "all to be acknowledged")
    assert sorted(inbox.texts) == sorted(
        [f"before {n}" for n in range(20)] + [f"after {n}" for n in range(20)]
    )
    assert {message.deliveries for message in inbox.messages} == {1}
    assert sorted(message.sequence for message in inbox.messages) == list(range(1, 41))


def test_a_consumer_gets_its_own_subjects_only(bus: Bus):
    inbox = Inbox()
    bus.consume(Consumer("tests", ["user.created", "session.revoked"], inbox))
    publish(bus, "other")
    publish(bus, "first", subject="user.created")
    publish(bus, "second", subject="session.revoked")
    inbox.wait_for("first", "second")
    assert "other" not in inbox.texts


def test_the_next_process_goes_on_where_the_last_one_stopped(make_bus: MakeBus):
    first, second = Inbox(), Inbox()
    bus = make_bus()
    bus.consume(consumer(first))
    publish(bus, "one")
    first.wait_for("one")
    bus.close()
    other = make_bus()
    publish(other, "two")
    other.consume(consumer(second))
    second.wait_for("two")
    assert second.texts == ["two"]


def test_another_list_of_subjects_takes_effect_on_an_existing_consumer(make_bus: MakeBus):
    first, second = Inbox(), Inbox()
    bus = make_bus()
    bus.consume(consumer(first))
    publish(bus, "one")
    first.wait_for("one")
    bus.close()
    other = make_bus()
    other.consume(Consumer("tests", [SUBJECT, "user.created"], second))
    publish(other, "new kind", subject="user.created")
    second.wait_for("new kind")


def test_two_services_each_get_everything(bus: Bus):
    one, two = Inbox(), Inbox()
    bus.consume(consumer(one, "one"))
    bus.consume(consumer(two, "two"))
    publish(bus, "a", "b")
    one.wait_for("a", "b")
    two.wait_for("a", "b")


def test_a_batch_holds_what_arrives_within_its_time(bus: Bus):
    inbox = Inbox()
    publish(bus, *(str(n) for n in range(30)))
    bus.consume(consumer(inbox, batch=20, linger=0.2, loops=1))
    wait_until(lambda: len(inbox.messages) == 30, "all messages")
    assert inbox.batches[0] == 20


def test_no_consumer_rests_for_long(bus: Bus):
    inbox = Inbox()
    bus.consume(consumer(inbox, loops=1, rest=10**9))
    for text in ("one", "two"):
        publish(bus, text)
        inbox.wait_for(*inbox.texts, text)


def test_a_consumer_that_rests_takes_nothing_and_leaves_at_once(
    make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consuming, "LONGEST_REST", 10**9)
    bus, resting, other = make_bus(), Inbox(), Inbox()
    bus.consume(consumer(resting, "resting", loops=1, rest=10**9))
    bus.consume(consumer(other, "other"))
    publish(bus, "one")
    resting.wait_for("one")
    publish(bus, "two", "three")
    other.wait_for("one", "two", "three")
    bus.close()
    assert resting.texts == ["one"]
    bus = make_bus()
    bus.consume(consumer(resting, "resting"))
    resting.wait_for("one", "two", "three")


# --- outcomes -------------------------------------------------------------------------------------


def test_a_refused_message_comes_again_after_its_delay(bus: Bus):
    times: list[datetime] = []

    def later(message: Message) -> Outcome:
        times.append(datetime.now(UTC))
        return Nak(0.5) if message.deliveries == 1 else Ack()

    inbox = Inbox(later)
    bus.consume(consumer(inbox))
    publish(bus, "patience")
    wait_until(lambda: len(inbox.messages) == 2, "the second delivery")
    assert [message.deliveries for message in inbox.messages] == [1, 2]
    assert times[1] - times[0] >= timedelta(seconds=0.45)


def test_a_refused_message_does_not_hold_up_the_others(bus: Bus):
    inbox = Inbox(lambda message: Nak(60) if message.payload == b"bad" else Ack())
    bus.consume(consumer(inbox, loops=1))
    publish(bus, "bad", "good")
    inbox.wait_for("bad", "good")


def test_a_dead_letter_keeps_the_payload_the_reason_and_its_origin(
    bus: Bus, nats_server: NatsServer
):
    inbox = Inbox(lambda _: Dead("broken:\n  not a number"))
    bus.consume(consumer(inbox))
    publish(bus, "poison")
    wait_until(lambda: nats_server.count("DEAD") == 1, "the dead letter")
    letter = nats_server.ask(lambda js: js.get_msg("DEAD", 1))
    assert (letter.subject, letter.data) == ("dead.tests", b"poison")
    assert letter.headers == {
        "Nats-Msg-Id": "tests:1",
        "Reason": "broken: not a number",
        "Subject": SUBJECT,
        "Sequence": "1",
    }
    wait_until(lambda: pending(nats_server) == 0, "the event to be acknowledged")


def test_a_very_long_reason_is_cut(bus: Bus, nats_server: NatsServer):
    bus.consume(consumer(Inbox(lambda _: Dead("é" * 5_000))))
    publish(bus, "poison")
    wait_until(lambda: nats_server.count("DEAD") == 1, "the dead letter")

    async def reasons() -> list[str]:
        return [letter.headers["Reason"] async for letter in bus.read("DEAD") if letter]

    assert bus.run(reasons(), 10) == ["é" * 1_000]


def test_a_handler_that_dies_without_an_answer_gets_the_message_again(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consuming, "ACK_WAIT", 1.0)

    def forget_once(message: Message) -> Outcome:
        return Hopeless() if message.deliveries == 1 else Ack()  # pyright: ignore[reportReturnType]

    inbox = Inbox(forget_once)
    bus.consume(consumer(inbox))
    publish(bus, "again")
    wait_until(lambda: len(inbox.messages) == 2, "the second delivery")


class Hopeless:
    """No outcome that the bus knows, so that nothing is acknowledged."""


# --- what vanishes --------------------------------------------------------------------------------


def test_a_deleted_stream_is_made_again_and_consumption_goes_on(bus: Bus, nats_server: NatsServer):
    inbox = Inbox()
    bus.consume(consumer(inbox))
    publish(bus, "before")
    inbox.wait_for("before")
    nats_server.ask(lambda js: js.delete_stream("EVENTS"))
    wait_until(lambda: bool(_published(bus, "after")), "the stream to be there again")
    inbox.wait_for("after")


def _published(bus: Bus, text: str) -> bool:
    try:
        publish(bus, text)
    except Exception as error:
        if not is_trouble(error):
            raise
        return False
    return True


def test_a_deleted_consumer_is_made_again(bus: Bus, nats_server: NatsServer):
    inbox = Inbox()
    bus.consume(consumer(inbox))
    publish(bus, "before")
    inbox.wait_for("before")
    nats_server.ask(lambda js: js.delete_consumer("EVENTS", "tests"))
    publish(bus, "after")
    inbox.wait_for("after")


def test_a_killed_nats_loses_nothing_that_it_acknowledged(bus: Bus, nats_server: NatsServer):
    inbox, acknowledged, stop = Inbox(), list[str](), threading.Event()
    bus.consume(consumer(inbox))

    def keep_publishing() -> None:
        number = 0
        while not stop.is_set():
            if _published(bus, f"message {number}"):
                acknowledged.append(f"message {number}")
                number += 1

    publisher = threading.Thread(target=keep_publishing)
    publisher.start()
    try:
        wait_until(lambda: len(acknowledged) > 50, "the publisher to be under way")
        nats_server.restart()
        known = len(acknowledged)
        wait_until(lambda: len(acknowledged) > known + 50, "publishing to go on", 20)
    finally:
        stop.set()
        publisher.join()
    assert set(texts_in(bus)) >= set(acknowledged)
    wait_until(lambda: set(inbox.texts) >= set(acknowledged), "everything to be consumed", 20)


def test_a_bus_starts_without_nats_and_works_when_it_comes(
    nats_server: NatsServer, make_bus: MakeBus
):
    nats_server.kill()
    bus, inbox = make_bus(), Inbox()
    bus.consume(consumer(inbox))
    assert not bus.connected
    with pytest.raises(TimeoutError):
        bus.wait_ready(0.1)
    nats_server.start()
    bus.wait_ready(10)
    assert bus.connected
    publish(bus, "at last")
    inbox.wait_for("at last")


def test_a_lost_connection_is_seen(bus: Bus, nats_server: NatsServer):
    assert bus.connected
    nats_server.kill()
    wait_until(lambda: not bus.connected, "the loss to be noticed")
    nats_server.start()
    wait_until(lambda: bus.connected, "the connection to be back")


def test_publishing_while_nats_is_away_is_known_trouble(
    bus: Bus, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "PUBLISH_TIMEOUT", 0.2)
    nats_server.kill()
    assert not _published(bus, "lost")
    assert not is_trouble(KeyError("mine"))


def test_a_command_line_gives_up_when_nats_is_away(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
):
    nats_server.kill()
    monkeypatch.setattr(bus_module, "PATIENCE", 0.2)
    with pytest.raises(TimeoutError):
        connect_once(nats_server.url, "tests")


# --- reading history ------------------------------------------------------------------------------


def test_history_is_read_from_the_beginning_a_sequence_or_a_time(bus: Bus):
    publish(bus, "one", "two")
    publish(bus, "three", subject="user.created")
    assert texts_in(bus) == ["one", "two", "three"]
    assert texts_in(bus, since=2) == ["two", "three"]
    assert texts_in(bus, subjects=["user.created"]) == ["three"]
    assert texts_in(bus, since=datetime.now(UTC) - timedelta(minutes=1)) == ["one", "two", "three"]
    assert texts_in(bus, since=datetime.now(UTC) + timedelta(minutes=1)) == []


def test_a_long_history_is_read_whole_and_in_order(bus: Bus):
    async def publish_all() -> None:
        await asyncio.gather(*(bus.publish(SUBJECT, str(n).encode(), str(n)) for n in range(450)))

    bus.run(publish_all(), 20)
    assert sorted(texts_in(bus), key=int) == [str(n) for n in range(450)]


class Follower:
    """Reads on and on; None in `seen` is the end as it was then."""

    def __init__(self, bus: Bus) -> None:
        self.seen: list[str | None] = []
        bus.spawn(self._follow(bus))

    async def _follow(self, bus: Bus) -> None:
        async for message in bus.read(follow=True):
            self.seen.append(message.payload.decode() if message else None)

    def wait_for(self, *expected: str) -> None:
        wait_until(lambda: tuple(filter(None, self.seen)) == expected, f"{expected}", 15)


def test_a_follower_is_told_where_the_end_is_and_reads_on(bus: Bus):
    publish(bus, "one", "two")
    follower = Follower(bus)
    wait_until(lambda: follower.seen == ["one", "two", None], "the end")
    publish(bus, "three")
    wait_until(lambda: follower.seen == ["one", "two", None, "three", None], "the new end")


def test_a_follower_of_an_empty_stream_is_at_the_end_at_once(bus: Bus):
    follower = Follower(bus)
    wait_until(lambda: follower.seen == [None], "the end")


def test_a_follower_survives_a_restart_without_a_gap_or_a_repeat(bus: Bus, nats_server: NatsServer):
    publish(bus, "one")
    follower = Follower(bus)
    follower.wait_for("one")
    nats_server.restart()
    wait_until(lambda: _published(bus, "two"), "publishing to work again")
    follower.wait_for("one", "two")


def test_a_follower_reads_a_stream_that_was_made_anew_from_its_beginning(
    bus: Bus, nats_server: NatsServer
):
    """Its numbers begin again, so going on at the last one would miss everything for long."""
    publish(bus, "one", "two", "three")
    follower = Follower(bus)
    follower.wait_for("one", "two", "three")
    nats_server.ask(lambda js: js.delete_stream("EVENTS"))
    bus.run(bus.ensure_streams(), 10)
    publish(bus, "four")
    follower.wait_for("one", "two", "three", "four")


def test_reading_leaves_nothing_open(bus: Bus):
    """Admins read the history of orders in a process that lives for weeks."""
    publish(bus, "one", "two")
    before = len(bus._client._subs)  # pyright: ignore[reportPrivateUsage]

    async def first_only() -> None:
        async for _ in bus.read():
            return

    for _ in range(3):
        texts_in(bus)
        bus.run(first_only(), 10)
    wait_until(lambda: len(bus._client._subs) == before, "subscriptions to end", 5)  # pyright: ignore[reportPrivateUsage]


def test_reading_consumes_nothing(bus: Bus):
    publish(bus, "one")
    assert texts_in(bus) == ["one"]
    inbox = Inbox()
    bus.consume(consumer(inbox))
    inbox.wait_for("one")


# --- leaving --------------------------------------------------------------------------------------


def test_closing_finishes_and_acknowledges_what_is_in_hand(
    make_bus: MakeBus, nats_server: NatsServer
):
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: Message) -> Outcome:
        begun.set()
        assert go_on.wait(10)
        return Ack()

    bus, inbox = make_bus(), Inbox(slow)
    bus.consume(consumer(inbox, loops=1))
    publish(bus, "in hand", "still there")
    assert begun.wait(10)
    closing = threading.Thread(target=bus.close)
    closing.start()
    wait_until(lambda: not bus._running, "the bus to ask for nothing more")  # pyright: ignore[reportPrivateUsage]
    assert closing.is_alive()
    go_on.set()
    closing.join(10)
    assert not closing.is_alive()
    assert inbox.texts == ["in hand"]
    assert pending(nats_server) == 1


def test_closing_twice_or_without_nats_ends_in_time(nats_server: NatsServer, make_bus: MakeBus):
    nats_server.kill()
    bus = make_bus()
    with suppress(TimeoutError):
        bus.wait_ready(0.05)
    begun = datetime.now(UTC)
    bus.close()
    assert datetime.now(UTC) - begun < timedelta(seconds=3)


def test_closing_asks_again_who_has_not_heard_it(bus: Bus):
    heard = threading.Event()

    async def hard_of_hearing() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        heard.set()
        await asyncio.sleep(60)

    bus.spawn(hard_of_hearing())
    wait_until(lambda: bool(bus._running), "the work to begin")  # pyright: ignore[reportPrivateUsage]
    with structlog.testing.capture_logs() as logs:
        bus.close(10)
    assert heard.is_set()
    assert not logs


def test_closing_hangs_up_even_on_what_takes_too_long(bus: Bus):
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: Message) -> Outcome:
        begun.set()
        assert go_on.wait(10)
        return Ack()

    bus.consume(consumer(Inbox(slow)))
    publish(bus, "in hand")
    assert begun.wait(10)
    with structlog.testing.capture_logs() as logs:
        bus.close(0.2)
    go_on.set()
    assert [line["event"] for line in logs] == ["left with events in hand; they come again"]
    wait_until(lambda: bus._client.is_closed, "the connection to end")  # pyright: ignore[reportPrivateUsage]
