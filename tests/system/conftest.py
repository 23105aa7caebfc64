"""One real stack for all system tests: every server, every service, the gateway.

With SYSTEM_URL the tests that need nothing but an address ask the system there, such as the one
in containers. It has its limits on, so people share what they may do in a minute.
"""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from dev import seed
from dev.stack import Stack
from tests.system.world import Elsewhere, Person, World

HOLD = 5  # seconds that a reservation lasts here
SYSTEM_URL = os.environ.get("SYSTEM_URL")
MANY = 4  # people who take turns as the buyer of a system elsewhere


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack | Elsewhere]:
    if SYSTEM_URL:
        yield Elsewhere(SYSTEM_URL)
        return
    env = {"HOLD_SECONDS": str(HOLD), "SEED": "0", "RATE_LIMITS": "0", "VERIFY_EMAIL": "0"}
    with Stack(tmp_path_factory.mktemp("system") / "data", env) as stack:
        yield stack


@pytest.fixture(scope="session")
def world(stack: Stack | Elsewhere) -> World:
    return World(stack)


@pytest.fixture(scope="session")
def seller(world: World) -> Person:
    """Elsewhere the one of the demo data, as selling needs a confirmed address."""
    return world.known(seed.SELLER, seed.PASSWORD) if SYSTEM_URL else world.person()


@pytest.fixture(scope="session")
def next_buyer(world: World) -> Callable[[], Person]:
    people = itertools.cycle([world.person() for _ in range(MANY if SYSTEM_URL else 1)])
    return lambda: next(people)


@pytest.fixture
def buyer(next_buyer: Callable[[], Person]) -> Person:
    return next_buyer()


@pytest.fixture(scope="session")
def other(world: World) -> Person:
    return world.person()
