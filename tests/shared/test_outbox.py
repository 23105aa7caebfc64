"""The only way to save an aggregate is also the way to publish what happened."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError

from shared import outbox
from shared.errors import Conflict, Refused
from shared.events import UserCreated, UserUpdated, parse
from shared.mongo import Documents
from shared.outbox import Aggregates
from tests.shared.accounts import Account, Change, new, verify, visit, visit_aloud

Accounts = Aggregates[Account]


def stored(collection: Documents, account: Account) -> dict[str, Any]:
    document = collection.find_one({"_id": account.id})
    assert document is not None
    return document


def test_a_new_aggregate_is_stored_with_its_first_event(accounts: Accounts, collection: Documents):
    account = accounts.insert(new("ada@example.com"), UserCreated)
    document = stored(collection, account)
    assert (document["version"], document["rev"], document["epoch"]) == (0, 0, 0)
    assert document["email"] == "ada@example.com"
    (entry,) = document["outbox"]
    assert (entry["subject"], entry["version"]) == ("user.created", 0)
    assert entry["data"] == {
        "id": account.id,
        "verified": False,
        "disabled": False,
        "deleted": False,
        "email": None,
        "role": "user",
    }
    assert accounts.find(account.id) == account


def test_an_entry_of_the_outbox_is_the_event_that_readers_parse(
    accounts: Accounts, collection: Documents
):
    account = accounts.insert(new(), UserCreated)
    (entry,) = stored(collection, account)["outbox"]
    event = parse(json.dumps(entry))
    assert isinstance(event, UserCreated)
    assert event.data.id == account.id
    assert len(event.traceparent) == 55


def test_state_and_event_change_in_one_write(accounts: Accounts, collection: Documents):
    account = accounts.insert(new(), UserCreated)
    after = accounts.update(account.id, verify)
    document = stored(collection, account)
    assert after == replace(account, verified=True, version=1)
    assert document["verified"] is True
    assert [entry["version"] for entry in document["outbox"]] == [0, 1]
    assert [entry["subject"] for entry in document["outbox"]] == ["user.created", "user.updated"]
    assert document["outbox"][1]["data"]["verified"] is True


def test_the_version_rises_exactly_with_events_and_rev_with_every_write(
    accounts: Accounts, collection: Documents
):
    account = accounts.insert(new(), UserCreated)
    changes = [visit, visit_aloud, visit, visit, visit_aloud]
    for transition in changes:
        accounts.update(account.id, transition)
    document = stored(collection, account)
    assert (document["version"], document["rev"], document["visits"]) == (2, 5, 5)
    assert [entry["version"] for entry in document["outbox"]] == [0, 1, 2]
    assert accounts.version(account.id) == 2


def test_a_transition_that_changes_nothing_writes_nothing(
    accounts: Accounts, collection: Documents
):
    account = accounts.insert(new(), UserCreated)
    assert accounts.update(account.id, lambda current: (current, None)) == account
    assert stored(collection, account)["rev"] == 0


def test_saying_the_state_again_is_a_new_event_without_a_change(
    accounts: Accounts, collection: Documents
):
    account = accounts.insert(new(), UserCreated)
    assert accounts.update(account.id, lambda current: (current, UserUpdated)).version == 1
    first, second = stored(collection, account)["outbox"]
    assert first["id"] != second["id"]
    assert (second["version"], second["data"]) == (1, first["data"])


def test_a_refusal_of_the_transition_leaves_everything(accounts: Accounts, collection: Documents):
    account = accounts.insert(new(), UserCreated)
    before = stored(collection, account)

    def refuse(_: Account) -> Change:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        accounts.update(account.id, refuse)
    assert stored(collection, account) == before


def test_an_unknown_aggregate_is_a_key_error(accounts: Accounts):
    with pytest.raises(KeyError, match="nobody"):
        accounts.update("nobody", verify)
    assert accounts.find("nobody") is None
    assert accounts.version("nobody") is None


def test_a_lost_race_is_run_again_on_what_the_winner_stored(
    accounts: Accounts, collection: Documents
):
    account = accounts.insert(new(), UserCreated)
    seen: list[int] = []

    def overtaken_once(current: Account) -> Change:
        seen.append(current.visits)
        if len(seen) == 1:
            accounts.update(account.id, visit_aloud)
        return replace(current, tags=(*current.tags, "mine")), UserUpdated

    after = accounts.update(account.id, overtaken_once)
    assert seen == [0, 1]
    assert (after.visits, after.tags, after.version) == (1, ("mine",), 2)
    assert [entry["version"] for entry in stored(collection, account)["outbox"]] == [0, 1, 2]


def test_many_writers_lose_nothing(accounts: Accounts, collection: Documents):
    account = accounts.insert(new(), UserCreated)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: accounts.update(account.id, visit_aloud), range(40)))
    document = stored(collection, account)
    assert (document["visits"], document["version"], document["rev"]) == (40, 40, 40)
    assert [entry["version"] for entry in document["outbox"]] == list(range(41))
    assert len({entry["id"] for entry in document["outbox"]}) == 41


def test_a_writer_that_always_loses_says_so(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, collection: Documents
):
    monkeypatch.setattr(outbox, "ATTEMPTS", 3)
    account = accounts.insert(new(), UserCreated)

    def overtaken_always(current: Account) -> Change:
        accounts.update(account.id, visit)
        return verify(current)

    with pytest.raises(Conflict):
        accounts.update(account.id, overtaken_always)
    document = stored(collection, account)
    assert (document["verified"], document["visits"], document["version"]) == (False, 3, 0)


def test_the_epoch_of_a_restored_aggregate_is_in_its_events(
    accounts: Accounts, collection: Documents
):
    account = accounts.insert(new(), UserCreated)
    collection.update_one({"_id": account.id}, {"$set": {"epoch": 3}})
    accounts.update(account.id, verify)
    assert stored(collection, account)["outbox"][1]["epoch"] == 3


def test_a_unique_index_refuses_a_second_insert(accounts: Accounts, collection: Documents):
    collection.create_index("email", unique=True)
    accounts.insert(new("ada@example.com"), UserCreated)
    with pytest.raises(DuplicateKeyError):
        accounts.insert(new("ada@example.com"), UserCreated)
    assert collection.count_documents({}) == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_insert_many_stores_all_but_those_that_an_index_refuses(
    accounts: Accounts, collection: Documents, count: int
):
    collection.create_index("email", unique=True)
    accounts.insert(new("taken@example.com"), UserCreated)
    wanted = [new(f"{n}@example.com") for n in range(count - 1)] + [new("taken@example.com")]
    documents = [accounts.new_document(account, UserCreated) for account in wanted]
    assert accounts.insert_many(documents) == {wanted[-1].id}
    assert set(accounts.ids()) >= {account.id for account in wanted[:-1]}
    assert collection.count_documents({}) == count


def test_insert_many_names_the_one_whose_id_is_taken(accounts: Accounts, collection: Documents):
    first = accounts.insert(new("first@example.com"), UserCreated)
    others = [new("a@example.com"), new("b@example.com")]
    late = replace(first, email="late@example.com")
    documents = [accounts.new_document(each, UserCreated) for each in (others[0], late, others[1])]
    assert accounts.insert_many(documents) == {first.id}
    assert stored(collection, first)["email"] == "first@example.com"
    assert all(accounts.find(other.id) == other for other in others)


def test_reading_ignores_what_the_storage_adds(accounts: Accounts, collection: Documents):
    account = accounts.insert(new(), UserCreated)
    collection.update_one({"_id": account.id}, {"$set": {"from_a_newer_release": 1}})
    assert accounts.find(account.id) == account
    accounts.update(account.id, visit)
    assert stored(collection, account)["from_a_newer_release"] == 1
