"""One Stripe and one database server for all tests; each test begins with both empty."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from shared.mongo import Store
from tests import servers
from tests.payments.shop import Shop, Site
from tests.stripe.emulator import Emulator

_numbers = itertools.count()


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoClient[dict[str, Any]]]:
    with (
        servers.mongo_server(tmp_path_factory.mktemp("mongo") / "data") as uri,
        servers.connect(uri) as client,
    ):
        yield client


@pytest.fixture
def database(mongo: MongoClient[dict[str, Any]]) -> Iterator[Store]:
    name = f"payments-{next(_numbers)}"
    yield mongo[name]
    mongo.drop_database(name)


@pytest.fixture(scope="session")
def one_stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("stripe"), None)
    yield emulator
    assert emulator.end() == 0


@pytest.fixture
def stripe(one_stripe: Emulator) -> Emulator:
    one_stripe.control(reset="everything")
    return one_stripe


@pytest.fixture
def shop(database: Store, stripe: Emulator) -> Shop:
    """A shop in which an order has just been placed, and payments knows of it."""
    shop = Shop(database, stripe)
    shop.exchange()
    return shop


@pytest.fixture
def site(shop: Shop) -> Site:
    """That shop on the web."""
    return Site(shop)
