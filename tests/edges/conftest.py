"""One system for all edges; each test has tickets and orders of its own."""

from collections.abc import Iterator

import pytest

from .shop import Shop, opened


@pytest.fixture(scope="session")
def shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("edges")) as shop:
        yield shop
        assert shop.violations() == []


@pytest.fixture
def shop(shared_shop: Shop) -> Iterator[Shop]:
    yield shared_shop
    shared_shop.bank(reset="behaviour")
