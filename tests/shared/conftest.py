"""Real servers for each test: a NATS of its own, and a database of its own on one server."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.bus import Bus, connection
from shared.mongo import Documents, Store
from shared.outbox import Aggregates
from shared.relay import Relay
from tests.servers import connect, mongo_server
from tests.shared.accounts import Account, public
from tests.shared.nats_server import NatsServer

MakeBus = Callable[[], Bus]


@pytest.fixture(scope="package", autouse=True)
def _plain_logs() -> Iterator[None]:
    """Failures are provoked here by the dozen; drawing each one takes most of a second."""
    before = structlog.get_config()
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    yield
    structlog.configure(**before)


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.kill()


@pytest.fixture
def make_bus(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBus]:
    """Makes connections that are closed with the test."""
    # What a restarted server forgot is asked again after this; tests do not wait five seconds.
    monkeypatch.setattr(connection, "PULL_TIMEOUT", 0.5)
    buses: list[Bus] = []

    def make() -> Bus:
        buses.append(Bus(nats_server.url, "tests").start())
        return buses[-1]

    yield make
    for bus in buses:
        bus.close()


@pytest.fixture
def bus(make_bus: MakeBus) -> Bus:
    bus = make_bus()
    bus.wait_ready(10)
    return bus


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mongo_server(tmp_path_factory.mktemp("mongo") / "data") as uri:
        yield uri


@pytest.fixture
def store(mongo_uri: str) -> Iterator[Store]:
    with connect(mongo_uri) as client:
        yield client[f"test_{secrets.token_hex(6)}"]


@pytest.fixture
def collection(store: Store) -> Documents:
    return store["accounts"]


@pytest.fixture
def accounts(collection: Documents) -> Aggregates[Account]:
    """Aggregates that nobody publishes: their events stay in the outbox."""
    accounts = Aggregates(collection, Account, public)
    accounts.ensure_indexes()
    return accounts


@pytest.fixture
def relay(bus: Bus) -> Relay:
    return Relay(bus)


@pytest.fixture
def published(collection: Documents, relay: Relay) -> Aggregates[Any]:
    """Aggregates of the same collection whose events are published at once."""
    return Aggregates(collection, Account, public, relay)
