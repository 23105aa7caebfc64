"""Entries of the audit log on their way: noted once, and bounded where strangers cause them."""

import mongomock
import pytest

from shared import auditlog
from shared.auditlog import LEFT_OUT, Entry, Strangers, Trail, announce, entry, from_event, key_id
from shared.events import AuditRecorded, parse


def made(kind: str = "sign-in.failed") -> Entry:
    return entry(kind, "", "user:1", "192.0.2.7", "why")


def test_an_entry_is_noted_once_and_told() -> None:
    database = mongomock.MongoClient(tz_aware=True)["any"]
    trail = Trail(database)
    trail.ensure_indexes()
    one = made()
    trail.add(one)
    trail.add(one)
    (document,) = database["audit"].find()
    (told,) = document["outbox"]
    event = AuditRecorded.from_dict(told)
    assert parse(event.to_json()) == event
    assert from_event(event) == one


def test_an_entry_that_auth_lost_is_said_again() -> None:
    """As `events resync` does; auth knows it by its id."""
    database = mongomock.MongoClient(tz_aware=True)["any"]
    trail, one = Trail(database), made()
    trail.add(one)
    trail.aggregates.update(one.id, announce)
    (document,) = database["audit"].find()
    assert [told["data"]["id"] for told in document["outbox"]] == [one.id] * 2
    assert len({told["id"] for told in document["outbox"]}) == 2


def test_the_same_parts_give_the_same_id_and_others_another() -> None:
    assert key_id("a", "b") == key_id("a", "b")
    assert len({key_id("a", "b"), key_id("ab", ""), key_id("a", "c")}) == 3
    assert len(key_id("a")) == 24


def test_strangers_fill_only_so_much_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    time = 0.0
    monkeypatch.setattr(auditlog.time, "monotonic", lambda: time)
    kept: list[Entry] = []
    strangers = Strangers(kept.append, most=3)
    for _ in range(10):
        strangers.add(made())
    assert [each.kind for each in kept] == [*["sign-in.failed"] * 3, LEFT_OUT]
    time = auditlog.HOUR
    strangers.add(made())
    assert [each.kind for each in kept[4:]] == ["sign-in.failed"]
