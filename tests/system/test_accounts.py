"""Signing in and out, through the gateway."""

import os
import secrets
import subprocess
import sys

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


@pytest.mark.parametrize("service", ASKING)
def test_a_revoked_api_token_is_worthless_everywhere_within_a_second(world: World, service: str):
    person = world.person()
    wish = {"name": "a program", "scopes": ["read", "sell", "buy"]}
    made = person.post("/api/users/tokens", wish).expect(201).json
    program = Client(person.url, headers={"Authorization": f"Bearer {made['token']}"})
    method, path = ASKING[service]
    assert program.send(method, path).status in (200, 404)
    person.delete(f"/api/users/tokens/{made['id']}").expect(204)
    wait_until(lambda: program.send(method, path).status == 401, "the end of the token", 1.0)
    person.get("/api/orders").expect(200)


def test_a_token_that_may_only_read_neither_sells_nor_buys(world: World):
    person, seller = world.person(), world.person()
    wish = {"name": "a display", "scopes": ["read"]}
    made = person.post("/api/users/tokens", wish).expect(201).json
    display = Client(person.url, headers={"Authorization": f"Bearer {made['token']}"})
    display.get("/api/orders").expect(200)
    body = {"ticketId": seller.sells()["id"]}
    for path in ("/api/tickets", "/api/orders", "/api/payments"):
        display.post(path, body).expect(403)
    display.get("/api/users/export").expect(403)


def test_mails_land_where_make_up_says(world: World):
    person = world.person()
    world.visitor().post("/api/users/password/forgotten", {"email": person.email}).expect(202)
    folder = world.stack.home.path / "mails"
    wait_until(lambda: [*folder.glob("*.eml")], "the mail")
    assert str(folder) in world.stack.printed
    wait_until(lambda: person.email in world.visitor().get("/account/mails").text, "the page")


def test_what_an_operator_does_counts_everywhere(world: World):
    person = world.person()
    env = {**os.environ, **world.stack.parts["auth-worker"].env}

    def accounts(*words: str) -> int:
        command = (sys.executable, "-m", "ticketing", "accounts", *words)
        return subprocess.run(command, env=env, capture_output=True, check=False).returncode

    assert accounts("verify", "nobody@example.com") == 1
    assert accounts("grant-admin", person.email.upper()) == 0
    assert accounts("disable", person.email) == 0
    wait_until(lambda: person.get("/api/orders").status == 401, "the end of the session")
    body = {"email": person.email, "password": PASSWORD}
    person.post("/api/users/signin", body).expect(400)
    assert accounts("enable", person.email) == 0
    person.post("/api/users/signin", body).expect(200)
