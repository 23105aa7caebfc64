"""Say everything again, or rebuild what others said: from real outboxes and a real stream."""

from dataclasses import replace
from typing import Any

from shared.bus import Bus
from shared.events import Event, UserCreated, UserUpdated, parse
from shared.mongo import Documents
from shared.outbox import Aggregates
from shared.relay import Relay
from shared.upkeep import Upkeep
from tests.shared.accounts import Account, Change, created, new
from tests.shared.nats_server import NatsServer


def say_again(account: Account) -> Change:
    return replace(account), UserUpdated


def say_only_verified(account: Account) -> Change:
    return (replace(account), UserUpdated) if account.verified else (account, None)


def publish(bus: Bus, *events: Event) -> None:
    for event in events:
        bus.run(bus.publish(event.subject, event.to_json().encode(), event.id), 10)


def events_in(bus: Bus) -> list[tuple[str, int]]:
    async def read() -> list[tuple[str, int]]:
        events = [parse(m.payload) async for m in bus.read() if m is not None]
        return sorted((event.aggregate, event.version) for event in events)

    return bus.run(read(), 10)


def test_resync_announces_every_aggregate_with_a_new_version(
    accounts: Aggregates[Account],
    published: Aggregates[Account],
    collection: Documents,
    bus: Bus,
    relay: Relay,
):
    known = [accounts.insert(new(), None) for _ in range(5)]
    upkeep = Upkeep(bus, relay, [(published, say_again)])
    assert upkeep.resync() == 5
    assert events_in(bus) == sorted((f"user:{account.id}", 1) for account in known)
    assert collection.count_documents({"outbox.id": {"$gt": ""}}) == 0
    assert upkeep.resync() == 5
    assert (
        events_in(bus)[:2]
        == sorted((f"user:{account.id}", n) for account in known for n in (1, 2))[:2]
    )


def test_resync_counts_only_what_it_announced(
    accounts: Aggregates[Account], published: Aggregates[Account], bus: Bus, relay: Relay
):
    accounts.insert(new(), None)
    accounts.insert(replace(new(), verified=True), None)
    assert Upkeep(bus, relay, [(published, say_only_verified)]).resync() == 1


def test_a_service_that_owns_nothing_has_nothing_to_say(bus: Bus):
    assert Upkeep(bus).resync() == 0


def test_resync_fills_a_stream_that_was_deleted(
    published: Aggregates[Account], bus: Bus, relay: Relay, nats_server: NatsServer
):
    account = published.insert(new(), UserCreated)
    nats_server.ask(lambda js: js.delete_stream("EVENTS"))
    bus.run(bus.ensure_streams(), 10)
    assert Upkeep(bus, relay, [(published, say_again)]).resync() == 1
    assert (f"user:{account.id}", 1) in events_in(bus)


def test_replay_hands_over_the_newest_event_of_each_aggregate(bus: Bus):
    publish(bus, created("a", 0), created("b", 0), created("a", 2), created("a", 1))
    got: list[tuple[str, int]] = []

    def keep(event: Any) -> None:
        got.append((event.data.id, event.version))

    assert Upkeep(bus, replicas={UserCreated: keep, UserUpdated: keep}).replay() == 2
    assert sorted(got) == [("a", 2), ("b", 0)]


def test_in_a_replay_a_later_epoch_counts_as_newer(bus: Bus):
    publish(bus, created("a", 7, epoch=0), created("a", 3, epoch=1), created("a", 9, epoch=0))
    got: list[tuple[int, int]] = []
    Upkeep(bus, replicas={UserCreated: lambda event: got.append(event.order)}).replay()
    assert got == [(1, 3)]


def test_a_replay_passes_over_what_it_can_not_read(bus: Bus):
    publish(bus, created("a"))
    bus.run(bus.publish("user.created", b"not an event", "bad"), 10)
    got: list[str] = []
    upkeep = Upkeep(bus, replicas={UserCreated: lambda event: got.append(event.data.id)})
    assert upkeep.replay() == 1
    assert got == ["a"]


def test_a_service_that_remembers_nothing_has_nothing_to_rebuild(bus: Bus):
    publish(bus, created("a"))
    assert Upkeep(bus).replay() == 0


def test_a_replay_of_an_empty_stream_rebuilds_nothing(bus: Bus):
    assert Upkeep(bus, replicas={UserCreated: lambda _: None}).replay() == 0
