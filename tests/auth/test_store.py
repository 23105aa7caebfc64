"""What is stored, and what the database itself refuses."""

from datetime import UTC, datetime, timedelta

import mongomock
import pytest

from apps.auth import models
from apps.auth.models import Account, EmailInUse
from apps.auth.store import Accounts, Sessions

NOW = datetime.now(UTC).replace(microsecond=0)
LIFETIME = timedelta(hours=12)


def an_account(email: str = "ada@example.com") -> Account:
    return models.register(email, "hash", verified=True, now=NOW)[0]


def test_an_account_is_found_by_its_address_with_its_event_in_the_outbox() -> None:
    store = mongomock.MongoClient(tz_aware=True)["auth"]
    accounts = Accounts(store)
    account = accounts.add(an_account())
    assert accounts.by_email("ada@example.com") == account
    [entry] = store["accounts"].find_one({"_id": account.id})["outbox"]
    assert (entry["subject"], entry["version"], entry["data"]["id"]) == (
        "user.created",
        0,
        account.id,
    )


def test_the_database_refuses_an_address_twice_even_when_nobody_made_the_index() -> None:
    accounts = Accounts(mongomock.MongoClient(tz_aware=True)["auth"])
    accounts.add(an_account())
    with pytest.raises(EmailInUse):
        accounts.add(an_account())


def test_revoking_changes_state_and_outbox_in_one_document() -> None:
    store = mongomock.MongoClient(tz_aware=True)["auth"]
    sessions = Sessions(store)
    session = sessions.aggregates.insert(models.begin("u" * 24, NOW, LIFETIME), None)
    for _ in range(2):
        sessions.aggregates.update(session.id, lambda current: models.revoke(current, NOW))
    document = store["sessions"].find_one({"_id": session.id})
    assert document["revoked_at"] == NOW
    assert [entry["data"]["id"] for entry in document["outbox"]] == [session.id]
    assert document["version"] == 1


def test_only_open_sessions_of_the_person_count() -> None:
    sessions = Sessions(mongomock.MongoClient(tz_aware=True)["auth"])
    sessions.ensure_indexes()
    mine, revoked, theirs = (
        sessions.aggregates.insert(models.begin(user, NOW, LIFETIME), None)
        for user in ("me", "me", "they")
    )
    sessions.aggregates.update(revoked.id, lambda current: models.revoke(current, NOW))
    assert [each.id for each in sessions.open_of("me", NOW)] == [mine.id]
    assert sessions.open_of("me", NOW + LIFETIME) == []
    assert sessions.is_open(theirs.id, NOW)
    assert not sessions.is_open(revoked.id, NOW)
    assert not sessions.is_open("unknown", NOW)
