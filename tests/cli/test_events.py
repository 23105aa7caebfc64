"""Looking at the stream and mending it: on a NATS of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.bus import Bus, Consumer, Dead, Message, Outcome
from shared.events import UserCreated, parse
from shared.worker import consumer
from tests.cli.command import Result, inside, ticketing
from tests.shared.accounts import created
from tests.shared.nats_server import NatsServer
from tests.waiting import wait_until

USER = {
    "id": "u1",
    "verified": False,
    "disabled": False,
    "deleted": False,
    "email": None,
    "role": "user",
}


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.kill()


@pytest.fixture
def bus(nats_server: NatsServer) -> Iterator[Bus]:
    bus = Bus(nats_server.url, "tests").start()
    bus.wait_ready(10)
    yield bus
    bus.close()


def events(nats_server: NatsServer, *words: str) -> Result:
    return inside("events", *words, env={"NATS_URL": nats_server.url})


def publish(bus: Bus, subject: str, payload: bytes, name: str) -> None:
    bus.run(bus.publish(subject, payload, name), 10)


def publish_users(bus: Bus, *users: str) -> None:
    for user in users:
        event = created(user, version=3, epoch=1)
        publish(bus, event.subject, event.to_json().encode(), event.id)


# --- tail, publish --------------------------------------------------------------------------------


def test_tail_prints_what_was_published_and_stops_at_the_end(bus: Bus, nats_server: NatsServer):
    publish_users(bus, "ada", "grace")
    publish(bus, "ticket.created", b"not an event", "bad")
    first, second, third = events(nats_server, "tail", "--once", "--since", "1h").expect(0).lines
    time, sequence, subject, version, data = first.split("  ", 4)
    assert time.endswith("Z")
    assert (sequence, subject, version) == ("1", "user.created", "v1.3")
    assert json.loads(data) == {**USER, "id": "ada"}
    assert '"grace"' in second
    assert third.startswith("3  ticket.created  unreadable: ")


def test_tail_shows_only_the_subjects_that_were_asked_for(bus: Bus, nats_server: NatsServer):
    publish_users(bus, "ada")
    publish(bus, "ticket.created", b"not an event", "bad")
    words = ("tail", "--once", "--since", "1h", "--subject")
    assert len(events(nats_server, *words, "user.*").expect(0).lines) == 1
    assert len(events(nats_server, *words, "order.*").expect(0).lines) == 0


def test_the_program_itself_does_the_same(bus: Bus, nats_server: NatsServer):
    publish_users(bus, "ada")
    env = {"NATS_URL": nats_server.url}
    (line,) = ticketing("events", "tail", "--once", "--since", "1h", env=env).expect(0).lines
    assert '"ada"' in line
    refused = ticketing("events", "publish", "user.created", "{}", env=env).expect(1)
    assert refused.err.startswith("data.id: Field required")


@pytest.mark.parametrize("since", ["x", "5", "5y", "", "1e999d"])
def test_tail_says_how_a_time_is_written(nats_server: NatsServer, since: str):
    refused = events(nats_server, "tail", "--once", f"--since={since}").expect(1)
    assert "give a number and one of s, m, h, d, such as 10m" in refused.err


@pytest.mark.parametrize("subject", ["a b", "", "order..created", ">.order"])
def test_tail_refuses_what_is_no_subject(bus: Bus, nats_server: NatsServer, subject: str):
    refused = events(nats_server, "tail", "--once", f"--subject={subject}")
    assert refused.code in (1, 2)
    assert "subject" in refused.err


def test_publish_puts_an_event_into_the_stream(bus: Bus, nats_server: NatsServer):
    words = ("publish", "user.created", json.dumps(USER), "--version", "4", "--epoch", "2")
    done = events(nats_server, *words).expect(0)
    message = nats_server.ask(lambda js: js.get_msg("EVENTS", 1))
    assert message.data is not None
    event = parse(message.data)
    assert (event.subject, event.epoch, event.version) == ("user.created", 2, 4)
    assert done.out == f"published user.created {event.id}\n"
    assert json.loads(message.data)["data"] == USER


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{", "data is not JSON: "),
        ("", "data is not JSON: "),
        ("[]", "data: "),
        ("{}", "data.id: Field required"),
        (json.dumps({**USER, "verified": "perhaps"}), "data.verified: "),
        (json.dumps({**USER, "id": 7}), "data.id: "),
    ],
)
def test_publish_refuses_what_nobody_could_read(
    bus: Bus, nats_server: NatsServer, data: str, said: str
):
    refused = events(nats_server, "publish", "user.created", data).expect(1)
    assert refused.err.startswith(said)
    assert nats_server.count() == 0


# --- dead, retry ----------------------------------------------------------------------------------


def bury(bus: Bus, nats_server: NatsServer, payloads: dict[str, bytes]) -> None:
    """Have a consumer put these aside, as one does that can't read them."""
    broken = Consumer("broken", ["user.created"], _refuse)
    bus.consume(broken)
    for name, payload in payloads.items():
        publish(bus, "user.created", payload, name)
    wait_until(lambda: nats_server.count("DEAD") == len(payloads), "the dead letters")


def _refuse(messages: list[Message]) -> list[Outcome]:
    return [Dead("KeyError: 'a colour'") for _ in messages]


def test_without_dead_events_there_is_nothing_to_list(bus: Bus, nats_server: NatsServer):
    assert events(nats_server, "dead").expect(0).lines == ["0 dead events"]
    assert events(nats_server, "retry", "all").expect(0).lines == []


def test_dead_lists_who_refused_what_and_why(bus: Bus, nats_server: NatsServer):
    bury(bus, nats_server, {"one": b"1"})
    assert events(nats_server, "dead").expect(0).lines == [
        "1  broken  user.created  KeyError: 'a colour'",
        "1 dead event",
    ]


def test_an_unreadable_message_ends_among_the_dead(bus: Bus, nats_server: NatsServer):
    bus.consume(consumer("tests", {UserCreated: lambda _: None}))
    publish(bus, "user.created", b"not an event", "bad")
    wait_until(lambda: nats_server.count("DEAD") == 1, "the dead letter")
    listed, count = events(nats_server, "dead").expect(0).lines
    assert listed.startswith("1  tests  user.created  unreadable: ")
    assert count == "1 dead event"


def test_retry_publishes_again_once_the_cause_is_mended(bus: Bus, nats_server: NatsServer):
    bury(bus, nats_server, {"one": b"1", "two": b"2"})
    done = events(nats_server, "retry", "2").expect(0)
    assert done.out == "published 2 again\n"
    assert nats_server.ask(lambda js: js.get_msg("EVENTS", 3)).data == b"2"
    left = events(nats_server, "dead").expect(0).lines
    # The consumer is as broken as before, so the event comes back under a new number.
    assert [line.split()[0] for line in left[:-1]] in (["1"], ["1", "3"])
    wait_until(lambda: nats_server.count("DEAD") == 2, "it to be refused again")


def test_retry_all_publishes_each_of_them(bus: Bus, nats_server: NatsServer):
    payloads = {str(number): str(number).encode() for number in range(3)}
    bury(bus, nats_server, payloads)
    done = events(nats_server, "retry", "all").expect(0)
    assert done.lines == [f"published {number} again" for number in (1, 2, 3)]
    assert nats_server.count() == 6


@pytest.mark.parametrize("sequence", ["7", "x", "-1", "1x"])
def test_retry_names_what_is_not_there(bus: Bus, nats_server: NatsServer, sequence: str):
    bury(bus, nats_server, {"one": b"1"})
    refused = events(nats_server, "retry", "--", sequence).expect(1)
    assert refused.err == f"there is no dead event {sequence}\n"
    assert nats_server.count() == 1


def test_retry_does_what_it_can_and_names_the_rest(bus: Bus, nats_server: NatsServer):
    bury(bus, nats_server, {"one": b"1"})
    done = events(nats_server, "retry", "7", "1").expect(1)
    assert done.out == "published 1 again\n"
    assert done.err == "there is no dead event 7\n"
