"""Events travel from outboxes to the stream, and leave the outbox once the stream has them."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from shared import relay as relay_module
from shared.bus import Bus
from shared.events import UserCreated, UserUpdated
from shared.mongo import Documents
from shared.outbox import Aggregates
from shared.relay import Relay
from tests.shared.accounts import Account, new, public, visit_aloud
from tests.shared.conftest import MakeBus
from tests.shared.nats_server import NatsServer
from tests.waiting import wait_until

Accounts = Aggregates[Account]


def outbox(collection: Documents, account: Account) -> list[dict[str, Any]]:
    document = collection.find_one({"_id": account.id})
    assert document is not None
    return document["outbox"]


def make_older(collection: Documents, account: Account, seconds: float) -> None:
    time = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    collection.update_one({"_id": account.id}, {"$set": {"outbox.0.time": time}})


def test_an_event_is_published_and_then_taken_out(
    published: Accounts, collection: Documents, nats_server: NatsServer
):
    account = published.insert(new(), UserCreated)
    wait_until(lambda: outbox(collection, account) == [], "the outbox to be empty")
    message = nats_server.ask(lambda js: js.get_msg("EVENTS", 1))
    assert message.data is not None
    event = json.loads(message.data)
    assert event["data"]["id"] == account.id
    assert message.subject == event["subject"] == "user.created"
    assert message.headers == {"Nats-Msg-Id": event["id"]}


def test_every_event_of_a_busy_aggregate_arrives_once(
    published: Accounts, collection: Documents, nats_server: NatsServer
):
    account = published.insert(new(), UserCreated)
    for _ in range(30):
        published.update(account.id, visit_aloud)
    wait_until(lambda: outbox(collection, account) == [], "the outbox to be empty")
    assert nats_server.count() == 31


def test_while_nats_is_away_events_stay_and_the_sweep_brings_them(
    published: Accounts,
    collection: Documents,
    relay: Relay,
    nats_server: NatsServer,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("shared.bus.connection.PUBLISH_TIMEOUT", 0.2)
    nats_server.kill()
    account = published.insert(new(), UserCreated)
    wait_until(lambda: not relay.busy, "the relay to give up for now")
    assert len(outbox(collection, account)) == 1
    nats_server.start()
    make_older(collection, account, 2)

    def swept() -> bool:
        relay.sweep(collection)
        return outbox(collection, account) == []

    wait_until(swept, "the sweep to deliver")
    assert nats_server.count() == 1


def test_a_process_that_starts_before_nats_publishes_when_it_comes(
    accounts: Accounts, collection: Documents, nats_server: NatsServer, make_bus: MakeBus
):
    nats_server.kill()
    early = Aggregates(collection, Account, public, Relay(make_bus()))
    account = early.insert(new(), UserCreated)
    assert len(outbox(collection, account)) == 1
    nats_server.start()
    wait_until(lambda: outbox(collection, account) == [], "the outbox to be empty")


def test_what_a_crash_left_is_swept_once_it_is_older_than_a_second(
    accounts: Accounts, collection: Documents, relay: Relay, nats_server: NatsServer
):
    young, old = (accounts.insert(new(), UserCreated) for _ in range(2))
    make_older(collection, young, -30)
    make_older(collection, old, 1.5)
    relay.sweep(collection)
    wait_until(lambda: outbox(collection, old) == [], "the old one to be published")
    wait_until(lambda: not relay.busy, "the relay to finish")
    assert len(outbox(collection, young)) == 1
    assert nats_server.count() == 1


def test_the_sweep_finds_outboxes_by_their_index(accounts: Accounts, collection: Documents):
    indexes = collection.index_information().values()
    assert any(index["key"] == [("outbox.id", 1)] and index["sparse"] for index in indexes)


def test_an_event_published_twice_is_in_the_stream_once(
    published: Accounts, collection: Documents, relay: Relay, nats_server: NatsServer
):
    account = published.insert(new(), UserCreated)
    (entry,) = published.new_document(account, UserCreated)["outbox"]
    for _ in range(2):  # as after a crash between publishing and taking out
        collection.update_one({"_id": account.id}, {"$push": {"outbox": entry}})
        relay.send(collection, account.id, entry)
        wait_until(lambda: outbox(collection, account) == [], "the outbox to be empty")
        wait_until(lambda: not relay.busy, "the relay to finish")
    assert nats_server.count() == 2  # the account's own event, and this one


def test_a_database_away_at_the_end_only_means_that_it_is_sent_again(
    accounts: Accounts, collection: Documents, relay: Relay, nats_server: NatsServer
):
    class Away:
        def update_many(self, *_: object, **__: object) -> None:
            raise AutoReconnect("away")

    account = accounts.insert(new(), UserCreated)
    (entry,) = outbox(collection, account)
    relay.send(Away(), account.id, entry)  # pyright: ignore[reportArgumentType]
    wait_until(lambda: not relay.busy, "the relay to finish")
    assert outbox(collection, account) == [entry]
    relay.send(collection, account.id, entry)
    wait_until(lambda: outbox(collection, account) == [], "the outbox to be empty")
    assert nats_server.count() == 1


def test_what_does_not_fit_waits_for_the_sweep(
    published: Accounts,
    collection: Documents,
    relay: Relay,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(relay_module, "LIMIT", 0)
    account = published.insert(new(), UserCreated)
    assert not relay.busy
    assert len(outbox(collection, account)) == 1
    monkeypatch.setattr(relay_module, "LIMIT", 10)
    make_older(collection, account, 2)
    relay.sweep(collection)
    wait_until(lambda: outbox(collection, account) == [], "the outbox to be empty")


def test_only_the_published_entry_is_taken_out(
    accounts: Accounts, collection: Documents, relay: Relay, bus: Bus
):
    account = accounts.insert(new(), UserCreated)
    accounts.update(account.id, lambda current: (current, UserUpdated))
    first, second = outbox(collection, account)
    relay.send(collection, account.id, second)
    wait_until(lambda: not relay.busy, "the relay to finish")
    assert outbox(collection, account) == [first]


def test_no_event_waits_until_those_before_it_are_taken_out(
    collection: Documents,
    published: Accounts,
    nats_server: NatsServer,
    monkeypatch: pytest.MonkeyPatch,
):
    """A database with much to do takes its time for that, while another service needs to hear."""
    free = threading.Event()
    take_out = relay_module._take_out

    def wait(parcels: list[relay_module.Parcel]) -> None:
        assert free.wait(20)
        take_out(parcels)

    monkeypatch.setattr(relay_module, "_take_out", wait)
    first = published.insert(new(), UserCreated)
    wait_until(lambda: nats_server.count() == 1, "the first event")
    second = published.insert(new(), UserCreated)
    wait_until(lambda: nats_server.count() == 2, "the second event")
    assert len(outbox(collection, first)) == 1
    free.set()
    for account in (first, second):
        wait_until(lambda a=account: outbox(collection, a) == [], "the outboxes to be empty")
