"""Signing in and out, through the gateway."""

import secrets

import pytest

from tests.system.http import Answer, Client
from tests.system.world import PASSWORD, Person, World
from tests.waiting import wait_until

NOBODY = "0" * 24


def test_an_account_is_one_session_everywhere(world: World):
    person = world.person()
    current = person.get("/api/users/currentuser").expect(200).json["currentUser"]
    assert current == {"id": person.id, "email": person.email}
    assert person.get("/api/orders").expect(200).json == []
    assert person.sells()["userId"] == person.id


def test_nobody_is_nobody(world: World):
    assert world.visitor().get("/api/users/currentuser").expect(200).json == {"currentUser": None}


def test_signing_in_again_finds_the_same_account(world: World):
    person = world.person()
    again = Person(person.url)
    body = {"email": person.email.upper(), "password": PASSWORD}
    answer = again.post("/api/users/signin", body).expect(200)
    assert answer.json == {"id": person.id, "email": person.email}
    refused = again.post("/api/users/signin", {**body, "password": "x" * 10}).expect(400)
    assert refused.message == "Invalid credentials"
    unknown = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    assert again.post("/api/users/signin", unknown).expect(400).message == "Invalid credentials"


def test_an_address_has_one_account(world: World):
    person = world.person()
    body = {"email": person.email.title(), "password": PASSWORD}
    assert world.visitor().post("/api/users/signup", body).expect(400).message == "Email in use"


ASKING: dict[str, tuple[str, str]] = {
    "orders": ("GET", "/api/orders"),
    "payments": ("GET", f"/api/payments/{NOBODY}"),
    "tickets": ("DELETE", f"/api/tickets/{NOBODY}"),
}


@pytest.mark.parametrize("service", ASKING)
def test_signing_out_ends_the_session_everywhere_within_a_second(world: World, service: str):
    person = world.person()
    stolen = Client(person.url, dict(person.cookies))
    bearer = Client(person.url, headers={"Authorization": f"Bearer {person.cookies['session']}"})

    def asks(client: Client) -> Answer:
        method, path = ASKING[service]
        return client.send(method, path)

    for client in (stolen, bearer):
        assert asks(client).status in (200, 404)
    person.post("/api/users/signout").expect(200)
    assert "session" not in person.cookies
    wait_until(lambda: asks(stolen).status == 401, "the stolen cookie to be worthless", 1.0)
    asks(bearer).expect(401)
    assert stolen.get("/api/users/currentuser").json == {"currentUser": None}


def test_signing_out_in_one_place_leaves_the_others(world: World):
    person = world.person()
    phone = Person(person.url)
    phone.post("/api/users/signin", {"email": person.email, "password": PASSWORD}).expect(200)
    gone = Client(person.url, dict(person.cookies))
    person.post("/api/users/signout").expect(200)
    wait_until(lambda: gone.get("/api/orders").status == 401, "the end of the session", 1.0)
    phone.get("/api/orders").expect(200)
