"""One policy for what goes wrong: trouble passes, mistakes are put aside, nothing ends the loop."""

import json
import threading
from collections.abc import Callable
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from prometheus_client import REGISTRY
from pymongo.errors import (
    AutoReconnect,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from shared import logs
from shared.bus import Ack, Bus, Consumer, Dead, Message, Nak, Outcome
from shared.errors import Conflict, Refused, Unavailable
from shared.events import UserCreated, UserUpdated
from shared.worker import Job, Worker, batch_consumer, consumer
from tests.shared.accounts import created
from tests.shared.nats_server import NatsServer
from tests.waiting import wait_until

TROUBLE = [
    AutoReconnect("away"),
    NetworkTimeout("slow"),
    ServerSelectionTimeoutError("nobody"),
    ExecutionTimeout("slow"),
    WaitQueueTimeoutError("busy"),
    WriteConcernError("not enough copies"),
    OperationFailure("stepping down", code=189),
    OperationFailure("shutting down", code=91),
    nats.errors.TimeoutError(),
    nats.errors.ConnectionClosedError(),
    nats.js.errors.ServiceUnavailableError(),
    ConnectionRefusedError("away"),
    TimeoutError(),
    Unavailable(),
    Conflict(),
]
MISTAKES = [KeyError("missing"), OperationFailure("no such field", code=9), Refused("impossible")]


def name(error: Exception) -> str:
    return repr(error)


def message(user_id: str = "u1", *, sequence: int = 1, deliveries: int = 1) -> Message:
    payload = created(user_id).to_json().encode()
    return Message("user.created", payload, sequence, deliveries)


def unreadable(sequence: int = 9) -> Message:
    return Message("user.created", b'{"subject": "user.created"}', sequence)


def raising(error: Exception) -> Callable[[Any], None]:
    def handle(_: Any) -> None:
        raise error

    return handle


def outcome(consumer: Consumer, message: Message) -> Outcome:
    (outcome,) = consumer.handle([message])
    return outcome


# --- one by one -----------------------------------------------------------------------------------


def test_each_event_goes_to_its_handler():
    got: list[Any] = []
    tested = consumer("tests", {UserCreated: got.append, UserUpdated: pytest.fail})
    assert tested.subjects == ["user.created", "user.updated"]
    assert outcome(tested, message("u7")) == Ack()
    assert [(type(event), event.data.id) for event in got] == [(UserCreated, "u7")]


@pytest.mark.parametrize("error", TROUBLE, ids=name)
def test_temporary_trouble_waits_for_ever_with_growing_delay(error: Exception):
    tested = consumer("tests", {UserCreated: raising(error)})
    outcomes = [outcome(tested, message(deliveries=n)) for n in range(1, 30)]
    delays = [each.delay for each in outcomes if isinstance(each, Nak)]
    assert len(delays) == len(outcomes)
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.4, 15.0)


@pytest.mark.parametrize("error", MISTAKES, ids=name)
def test_a_mistake_is_tried_five_times_and_then_put_aside(error: Exception):
    tested = consumer("tests", {UserCreated: raising(error)})
    outcomes = [outcome(tested, message(deliveries=n)) for n in range(1, 6)]
    assert all(isinstance(each, Nak) for each in outcomes[:4])
    assert outcomes[4] == Dead(f"{type(error).__name__}: {error}")


def test_trouble_in_between_does_not_count_as_a_try():
    errors = iter([KeyError("x")] * 4 + [AutoReconnect("away")] * 20 + [KeyError("x")])

    def handle(_: Any) -> None:
        raise next(errors)

    tested = consumer("tests", {UserCreated: handle})
    outcomes = [outcome(tested, message()) for _ in range(25)]
    assert all(isinstance(each, Nak) for each in outcomes[:24])
    assert isinstance(outcomes[24], Dead)


def test_tries_are_counted_for_each_event():
    tested = consumer("tests", {UserCreated: raising(KeyError("x"))})
    for sequence in range(1, 5):
        for _ in range(4):
            assert isinstance(outcome(tested, message(sequence=sequence)), Nak)
    assert isinstance(outcome(tested, message(sequence=1)), Dead)
    assert isinstance(outcome(tested, message(sequence=1)), Nak)  # as after `events retry`


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"{}",
        b'{"subject": "nobody.knows", "data": {}}',
        b'{"subject": "user.created"}',
        b'{"subject": "user.created", "data": {"id": 7}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda payload: payload[:30].decode(errors="replace"),
)
def test_what_can_not_be_read_is_put_aside_at_once(payload: bytes):
    tested = consumer("tests", {UserCreated: pytest.fail})
    result = outcome(tested, Message("user.created", payload, 1))
    assert isinstance(result, Dead)
    assert result.reason.startswith("unreadable: ")


def test_what_readers_do_not_know_yet_does_not_make_an_event_unreadable():
    envelope = created("u1").to_dict()
    envelope["data"]["fromANewerRelease"] = 1
    got: list[Any] = []
    tested = consumer("tests", {UserCreated: got.append})
    payload = json.dumps({**envelope, "newer": True}).encode()
    assert outcome(tested, Message("user.created", payload, 1)) == Ack()
    assert got[0].data.id == "u1"


def test_the_trace_of_the_event_is_the_trace_of_its_handler():
    traces: list[str] = []
    tested = consumer("tests", {UserCreated: lambda _: traces.append(logs.current_trace())})
    event = created("u1").model_copy(update={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    outcome(tested, Message("user.created", event.to_json().encode(), 1))
    assert traces == [event.traceparent]


def test_outcomes_are_counted_by_subject():
    def count() -> float:
        labels = {"subject": "user.created", "outcome": "dead"}
        return REGISTRY.get_sample_value("events_handled_total", labels) or 0

    before = count()
    outcome(consumer("tests", {UserCreated: pytest.fail}), unreadable())
    assert count() == before + 1


# --- batches --------------------------------------------------------------------------------------


class Desk:
    """Takes batches; an event of the user `bad` is a mistake."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def handle(self, events: list[Any]) -> None:
        if any(event.data.id == "bad" for event in events):
            raise KeyError("bad")
        self.done += [event.data.id for event in events]


def batch(handle: Callable[[list[Any]], None]) -> Consumer:
    return batch_consumer("tests", [UserCreated], handle, linger=0.1)


def test_a_batch_is_handled_together():
    desk = Desk()
    assert batch(desk.handle).handle([message("a"), message("b")]) == [Ack(), Ack()]
    assert desk.done == ["a", "b"]


def test_an_unreadable_event_does_not_spoil_its_batch():
    desk = Desk()
    first, second, third = batch(desk.handle).handle([message("a"), unreadable(), message("b")])
    assert (first, third) == (Ack(), Ack())
    assert isinstance(second, Dead)
    assert desk.done == ["a", "b"]


def test_trouble_makes_a_whole_batch_wait():
    outcomes = batch(raising(AutoReconnect("away"))).handle([message("a"), message("b")])
    assert [type(each) for each in outcomes] == [Nak, Nak]


def test_a_mistake_in_a_batch_puts_aside_only_the_event_that_makes_it():
    desk = Desk()
    tested = batch(desk.handle)
    good = {"a", "b"}
    for _ in range(5):
        messages = [message("a"), message("bad", sequence=2), message("b", sequence=3)]
        outcomes = tested.handle(messages)
        assert (outcomes[0], outcomes[2]) == (Ack(), Ack())
    assert isinstance(outcomes[1], Dead)
    assert set(desk.done) == good


# --- the process ----------------------------------------------------------------------------------


def test_a_worker_handles_events_until_it_is_told_to_stop(bus: Bus, nats_server: NatsServer):
    got: list[str] = []
    stop = threading.Event()
    handlers = {UserCreated: lambda event: got.append(event.data.id)}
    worker = Worker(bus, [consumer("tests", handlers)])
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        for user in ("u1", "u2"):
            event = created(user)
            bus.run(bus.publish(event.subject, event.to_json().encode(), event.id), 10)
        wait_until(lambda: sorted(got) == ["u1", "u2"], "both events")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_an_unreadable_event_ends_in_the_dead_letters_and_the_next_is_handled(
    bus: Bus, nats_server: NatsServer
):
    got: list[str] = []
    bus.consume(consumer("tests", {UserCreated: lambda event: got.append(event.data.id)}))
    bus.run(bus.publish("user.created", b"not an event", "bad"), 10)
    event = created("good")
    bus.run(bus.publish(event.subject, event.to_json().encode(), event.id), 10)
    wait_until(lambda: got == ["good"], "the good event")
    wait_until(lambda: nats_server.count("DEAD") == 1, "the dead letter")


def test_a_job_that_fails_is_reported_and_runs_again(bus: Bus):
    rounds: list[int] = []
    stop = threading.Event()

    def failing() -> None:
        rounds.append(1)
        raise [KeyError("mine"), AutoReconnect("away")][len(rounds) % 2]

    def failed() -> float:
        return REGISTRY.get_sample_value("jobs_failed_total", {"job": "failing"}) or 0

    before = failed()
    worker = Worker(bus, [], [Job("failing", 0.01, failing)])
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    wait_until(lambda: len(rounds) >= 4, "the job to run again and again")
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert failed() - before >= 3
