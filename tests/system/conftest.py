"""One real stack for all system tests: every server, every service, the gateway."""

from collections.abc import Iterator

import pytest

from dev.stack import Stack
from tests.system.world import Person, World

HOLD = 5  # seconds that a reservation lasts here


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env = {"HOLD_SECONDS": str(HOLD), "SEED": "0", "RATE_LIMITS": "0", "VERIFY_EMAIL": "0"}
    with Stack(tmp_path_factory.mktemp("system") / "data", env) as stack:
        yield stack


@pytest.fixture(scope="session")
def world(stack: Stack) -> World:
    return World(stack)


@pytest.fixture(scope="session")
def seller(world: World) -> Person:
    return world.person()


@pytest.fixture(scope="session")
def buyer(world: World) -> Person:
    return world.person()


@pytest.fixture(scope="session")
def other(world: World) -> Person:
    return world.person()
