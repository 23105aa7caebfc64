"""One database server for the run, a database of its own for each test."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from shared.mongo import Store
from tests import servers
from tests.orders.world import World, memory_store

_numbers = itertools.count()


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoClient[dict[str, Any]]]:
    with (
        servers.mongo_server(tmp_path_factory.mktemp("mongo") / "data") as uri,
        servers.connect(uri) as client,
    ):
        yield client


@pytest.fixture
def store(client: MongoClient[dict[str, Any]]) -> Iterator[Store]:
    """An empty database on the real server."""
    name = f"orders-{next(_numbers)}"
    yield client[name]
    client.drop_database(name)


@pytest.fixture
def world(store: Store) -> World:
    """The service on the real server."""
    return World(store)


@pytest.fixture
def small(store: Store) -> World:
    """The service on the real server, with blocks of four units."""
    return World(store, block_size=4)


@pytest.fixture
def memory() -> Iterator[World]:
    """The service on a database in memory."""
    with memory_store() as store:
        yield World(store)
