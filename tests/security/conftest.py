"""One running system for all attacks, and the people in it."""

from collections.abc import Iterator

import pytest

from dev.stack import Stack
from tests.security.forger import Forger
from tests.security.operators import new_admin
from tests.system.world import Json, Person, World


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env = {"SEED": "0", "RATE_LIMITS": "0", "VERIFY_EMAIL": "0"}
    with Stack(tmp_path_factory.mktemp("security") / "data", env) as stack:
        yield stack


@pytest.fixture(scope="session")
def world(stack: Stack) -> World:
    return World(stack)


@pytest.fixture(scope="session")
def forger(stack: Stack) -> Forger:
    return Forger(stack.parts["auth-web"].env["JWT_KEY"])


@pytest.fixture(scope="session")
def seller(world: World) -> Person:
    return world.person()


@pytest.fixture(scope="session")
def victim(world: World) -> Person:
    """Buys things."""
    return world.person()


@pytest.fixture(scope="session")
def attacker(world: World) -> Person:
    """Has an account like anybody."""
    return world.person()


@pytest.fixture(scope="session")
def admin(world: World) -> Person:
    return new_admin(world)


@pytest.fixture(scope="session")
def ticket(seller: Person) -> Json:
    """Enough for everybody."""
    return seller.sells(title="Plenty", quantity=1_000)


@pytest.fixture(scope="session")
def paid(victim: Person, ticket: Json) -> Json:
    """An order of the victim's, paid, with the id of its payment."""
    order = victim.reserves(ticket)
    payment = victim.pays(order)
    return {**victim.sees_order(order, status="complete"), "payment": payment["id"]}
