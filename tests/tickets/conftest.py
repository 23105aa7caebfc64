"""A tickets service on a database in memory, and people who use it."""

from dataclasses import dataclass

import mongomock
import pytest
from flask import Flask
from flask.testing import FlaskClient

from apps.tickets import create_app
from apps.tickets.config import Settings
from apps.tickets.service import Tickets
from apps.tickets.store import Tickets as Store
from tests.identity import identity, sign

SELLER = "5e11e5000000000000000001"
STRANGER = "57ea26e50000000000000002"


@dataclass
class Person:
    """Makes requests as somebody, or as nobody."""

    app: Flask
    user_id: str = ""

    @property
    def client(self) -> FlaskClient:
        client = self.app.test_client()
        if self.user_id:
            client.set_cookie("session", sign(self.user_id))
        return client


@pytest.fixture
def store() -> Store:
    store = Store(mongomock.MongoClient(tz_aware=True)["tickets"])
    store.ensure_indexes()
    return store


@pytest.fixture
def service(store: Store) -> Tickets:
    return Tickets(store)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        nats_url="nats://unused",
        mongo_uri="mongodb://unused",
        auth_url="http://unused",
        public_url="http://localhost",
        secret_key="a secret of the tests",
    )


@pytest.fixture
def app(settings: Settings, service: Tickets) -> Flask:
    return create_app(settings, service, identity())


@pytest.fixture
def seller(app: Flask) -> FlaskClient:
    return Person(app, SELLER).client


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return Person(app, STRANGER).client


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    return Person(app).client
