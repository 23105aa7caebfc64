"""Backups: what comes back is what was there, and nothing is deleted by mistake."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from pymongo import MongoClient, monitoring
from pymongo.database import Database

from dev.stack.ports import free_port
from tests.cli.command import Result, inside
from tests.servers import connect, mongo_server
from ticketing.backup import TIME, dump

Store = Database[dict[str, Any]]

THINGS = [
    {"_id": "a", "when": datetime(2026, 1, 31, 3, 15, 0, 123000, tzinfo=UTC), "n": Int64(1)},
    {"_id": ObjectId("65a000000000000000000000"), "deep": [{"b": b"\0\xff"}, None, 1.5, True]},
    {"_id": 7, "price": Decimal128("19.99"), "text": "Žofín \N{SNOWMAN}"},
]
MANY = 2_500  # several batches


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mongo_server(tmp_path_factory.mktemp("backups") / "db") as uri:
        yield uri


@pytest.fixture
def store(uri: str) -> Iterator[Store]:
    with connect(uri) as client:
        store = client["orders"]
        store["things"].insert_many(THINGS)
        store["many"].insert_many([{"_id": number} for number in range(MANY)])
        yield store
        client.drop_database("orders")


def command(uri: str, *words: str) -> Result:
    # Nothing but the address, as the nightly job has it.
    return inside(*words, env={"MONGO_URI": uri})


def backup(uri: str, folder: Path, *words: str) -> Path:
    done = command(uri, "backup", "orders", f"--to={folder}", *words).expect(0)
    return Path(done.out.partition(": ")[0])


def restore(uri: str, folder: Path, *words: str) -> Result:
    return command(uri, "restore", "orders", f"--from={folder}", *words)


def content(store: Store) -> dict[str, Any]:
    return {name: list(store[name].find()) for name in store.list_collection_names()}


def test_everything_comes_back_as_it_was(uri: str, store: Store, tmp_path: Path):
    before = content(store)
    made = backup(uri, tmp_path)
    store["things"].update_one({"_id": "a"}, {"$set": {"n": 2}})
    store["later"].insert_one({"_id": 1})
    store.drop_collection("many")
    done = restore(uri, tmp_path, "--replace").expect(0)
    assert content(store) == before
    assert done.lines[0] == f"{made}: {MANY + 3} documents of many, things"
    assert done.lines[1] == "next: ticketing events restored orders"


class Reads(monitoring.CommandListener):
    """What is asked for at which read concern."""

    def __init__(self) -> None:
        self.levels: dict[str, str | None] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "find":
            concern = event.command.get("readConcern", {})
            self.levels[event.command["find"]] = concern.get("level")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def test_a_replica_set_is_read_as_it_was_at_one_moment(tmp_path: Path):
    reads = Reads()
    with (
        mongo_server(tmp_path / "db", alone=False) as uri,
        MongoClient[dict[str, Any]](uri, event_listeners=[reads]) as client,
    ):
        client["orders"]["things"].insert_many(THINGS)
        assert dump(client["orders"], tmp_path)["things"]["documents"] == len(THINGS)
    assert reads.levels == {"things": "snapshot"}


def test_only_the_owner_can_read_it(uri: str, store: Store, tmp_path: Path):
    made = backup(uri, tmp_path)
    for path in (made, *made.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_it_is_on_the_disk_before_it_has_its_name(
    uri: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(file: int) -> None:
        steps.append(Path(f"/proc/self/fd/{file}").readlink().name)
        fsync(file)

    def renamed(*paths: Path) -> None:
        steps.append("renamed")
        rename(*paths)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr("os.rename", renamed)
    final = backup(uri, tmp_path)
    before, after = steps[: steps.index("renamed")], steps[steps.index("renamed") + 1 :]
    files = {path.name for path in final.iterdir()}
    assert {"manifest.json", "many.bson.gz", "things.bson.gz"} == files == {*before[:-1]}
    assert before[-1] == f"{final.name}.part"
    assert after == [tmp_path.name]


def test_what_the_database_holds_is_not_deleted_unasked(uri: str, store: Store, tmp_path: Path):
    backup(uri, tmp_path)
    store["things"].delete_one({"_id": 7})
    before = content(store)
    refused = restore(uri, tmp_path).expect(1)
    assert refused.err == "orders: the database holds many, things; --replace deletes that\n"
    assert content(store) == before


def test_a_damaged_backup_is_refused_before_anything_is_deleted(
    uri: str, store: Store, tmp_path: Path
):
    file = backup(uri, tmp_path) / "things.bson.gz"
    file.write_bytes(file.read_bytes()[:-1])
    before = content(store)
    refused = restore(uri, tmp_path, "--replace").expect(1)
    assert refused.err == f"orders: {file} is damaged; nothing was changed\n"
    assert content(store) == before


def test_the_backup_of_another_service_is_refused(uri: str, store: Store, tmp_path: Path):
    made = backup(uri, tmp_path)
    made.rename(made.with_name(made.name.replace("orders", "tickets")))
    refused = command(uri, "restore", "tickets", f"--from={tmp_path}").expect(1)
    assert "is a backup of orders" in refused.err


def test_one_is_chosen_by_its_time_and_else_the_newest(uri: str, store: Store, tmp_path: Path):
    for number, time in enumerate(("20260101T031500Z", "20260102T031500Z")):
        store["things"].update_one({"_id": "a"}, {"$set": {"n": number}})
        backup(uri, tmp_path).rename(tmp_path / f"orders-{time}")
    (tmp_path / "orders-20260103T031500Z").mkdir()  # never finished
    restore(uri, tmp_path, "--replace").expect(0)
    assert store["things"].find_one({"_id": "a"}, {"_id": 0, "n": 1}) == {"n": 1}
    restore(uri, tmp_path, "--replace", "--at=20260101T031500Z").expect(0)
    assert store["things"].find_one({"_id": "a"}, {"_id": 0, "n": 1}) == {"n": 0}
    refused = restore(uri, tmp_path, "--at=20260103T031500Z").expect(1)
    assert refused.err.endswith("there are: orders-20260101T031500Z, orders-20260102T031500Z\n")


def test_old_ones_are_forgotten_but_never_the_only_one(uri: str, store: Store, tmp_path: Path):
    now = datetime.now(UTC)
    for days in (20, 15, 13):
        old = backup(uri, tmp_path)
        old.rename(tmp_path / f"orders-{(now - timedelta(days=days)).strftime(TIME)}")
    (tmp_path / "orders-20200101T031500Z.part").mkdir()
    under_way = tmp_path / f"orders-{(now - timedelta(hours=1)).strftime(TIME)}.part"
    under_way.mkdir()
    (tmp_path / "tickets-20200101T031500Z").mkdir()
    made = backup(uri, tmp_path, "--keep=14")
    kept = sorted(path.name for path in tmp_path.iterdir())
    recent = f"orders-{(now - timedelta(days=13)).strftime(TIME)}"
    assert kept == sorted([recent, under_way.name, made.name, "tickets-20200101T031500Z"])
    backup_again = backup(uri, tmp_path / "alone", "--keep=0")
    assert backup_again.exists()


def test_a_database_that_does_not_answer_leaves_no_backup(tmp_path: Path):
    nobody = f"mongodb://127.0.0.1:{free_port()}"
    refused = command(nobody, "backup", "orders", f"--to={tmp_path}").expect(1)
    assert refused.err.startswith("orders: ")
    assert not list(tmp_path.glob("*/manifest.json"))


def test_what_is_missing_is_named(tmp_path: Path):
    refused = inside("backup", "orders", f"--to={tmp_path}", env={}).expect(2)
    assert refused.err.startswith("setting MONGO_URI: ")
