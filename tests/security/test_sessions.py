"""Attacks on who somebody is: forged, stolen, kept and renamed tokens."""

from collections.abc import Callable

import jwt
import pytest

from tests.security.forger import STRANGER, Claims, Forger, hours, new_id, public_jwk
from tests.system.http import Answer, Client
from tests.system.world import PASSWORD, Person, World
from tests.waiting import wait_until

NOBODY = "0" * 24
Make = Callable[[Forger, Claims], str]

# One protected route of every service.
DOORS = {
    "auth": ("GET", "/api/users/sessions"),
    "tickets": ("DELETE", f"/api/tickets/{NOBODY}"),
    "orders": ("GET", "/api/orders"),
    "payments": ("GET", f"/api/payments/{NOBODY}"),
    "live": ("GET", "/live?topic=orders"),
}


def knock(client: Client, service: str) -> Answer:
    method, path = DOORS[service]
    return client.send("HEAD" if service == "live" else method, path)


def with_cookie(world: World, token: str) -> Client:
    return Client(world.stack.url, {"session": token})


def with_header(world: World, token: str) -> Client:
    return Client(world.stack.url, headers={"Authorization": f"Bearer {token}"})


FORGED: dict[str, Make] = {
    "be_anybody_with_alg_none": lambda f, c: f.by_hand({"alg": "none", "kid": f.key_id}, c),
    "be_anybody_with_alg_None": lambda f, c: f.by_hand({"alg": "None", "kid": f.key_id}, c),
    "sign_with_the_public_key_as_hs256": Forger.by_public_key,
    "sign_with_a_key_of_their_own": Forger.sign_as_stranger,
    "bring_the_key_in_the_header": lambda f, c: f.sign_as_stranger(c, jwk=public_jwk(STRANGER)),
    "name_an_address_for_the_key": lambda f, c: f.sign_as_stranger(c, jku="http://127.0.0.1:1/k"),
    "name_a_file_as_the_key": lambda f, c: f.sign_as_stranger(c, kid="../../../../dev/null"),
    "name_an_unknown_key": lambda f, c: f.sign_as_stranger(c, kid="stranger"),
    "name_no_key": lambda f, c: f.by_hand({"alg": "EdDSA"}, c, b"x" * 64),
    "name_a_key_by_an_operator": lambda f, c: f.by_hand(
        {"alg": "EdDSA", "kid": {"$ne": ""}}, c, b"x" * 64
    ),
    "leave_the_signature_out": lambda f, c: f.sign(c).rpartition(".")[0] + ".",
    "change_what_was_signed": lambda f, c: swapped(f, c),
    "use_an_expired_session": lambda f, c: f.sign({**c, "exp": hours(-1)}),
    "use_a_session_without_an_end": lambda f, c: f.sign(_without(c, "exp")),
    "use_a_session_that_can_not_be_revoked": lambda f, c: f.sign(_without(c, "sid")),
    "use_a_token_of_another_issuer": lambda f, c: f.sign({**c, "iss": "evil"}),
    "use_a_token_made_for_another_system": lambda f, c: f.sign({**c, "aud": "another"}),
    "use_a_token_from_the_future": lambda f, c: f.sign({**c, "iat": hours(2), "nbf": hours(1)}),
    "demand_an_extension": lambda f, c: f.sign_as_stranger(c, crit=["b64"], b64=False),
    "crash_the_reader_with_rubbish": lambda _forger, _claims: "a.b.c" * 200,
}


def _without(claims: Claims, name: str) -> Claims:
    return {key: value for key, value in claims.items() if key != name}


def swapped(forger: Forger, claims: Claims) -> str:
    header, _, signature = forger.sign(claims).split(".")
    other = forger.sign({**claims, "sub": new_id(), "role": "admin"}).split(".")[1]
    return f"{header}.{other}.{signature}"


@pytest.mark.parametrize("want", FORGED)
def test_an_attacker_wants_to(world: World, forger: Forger, victim: Person, want: str):
    token = FORGED[want](forger, forger.claims(victim))
    for service in DOORS:
        assert knock(with_cookie(world, token), service).status == 401, service
        assert knock(with_header(world, token), service).status == 401, service


def test_a_token_as_auth_signs_it_is_taken(world: World, forger: Forger, victim: Person):
    """Otherwise the refusals above would show nothing."""
    token = forger.sign(forger.claims(victim))
    for service in DOORS:
        assert knock(with_cookie(world, token), service).status in (200, 404), service


@pytest.mark.parametrize("service", DOORS)
def test_an_attacker_wants_to_go_on_with_a_stolen_cookie_after_sign_out(world: World, service: str):
    person = world.person()
    stolen = with_cookie(world, person.cookies["session"])
    person.post("/api/users/signout").expect(200)
    wait_until(lambda: knock(stolen, service).status == 401, "the end of the session", 1.0)


def test_an_attacker_wants_to_stay_after_the_password_was_changed(world: World):
    person = world.person()
    attacker = Client(person.url)
    attacker.post("/api/users/signin", {"email": person.email, "password": PASSWORD}).expect(200)
    change = {"old": PASSWORD, "password": "another horse battery"}
    person.put("/api/users/password", change).expect(200)
    for service in DOORS:
        wait_until(lambda s=service: knock(attacker, s).status == 401, "the end", 1.0)
    person.get("/api/orders").expect(200)


def test_an_attacker_wants_to_choose_the_session_that_a_victim_signs_in_to(
    world: World, attacker: Person
):
    victim = world.person()
    fixed = Client(world.stack.url, dict(attacker.cookies))
    fixed.post("/api/users/signin", {"email": victim.email, "password": PASSWORD}).expect(200)
    mine, theirs = (
        jwt.decode(who.cookies["session"], options={"verify_signature": False})
        for who in (attacker, fixed)
    )
    assert (theirs["sub"], mine["sub"]) == (victim.id, attacker.id)
    assert theirs["sid"] != mine["sid"]


def test_an_attacker_wants_a_script_to_read_the_session(world: World):
    cookie = _signs_in(world).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def _signs_in(world: World) -> Answer:
    person = world.person()
    body = {"email": person.email, "password": PASSWORD}
    return world.visitor().post("/api/users/signin", body).expect(200)


def test_an_attacker_wants_to_forge_the_notices_cookie(world: World, victim: Person):
    """It is signed, and nothing but notices is in it."""
    cookies = {**victim.cookies, "notices": "eyJfZmxhc2hlcyI6W10sInVzZXIiOiJhZG1pbiJ9.AAAA.BBBB"}
    page = Client(victim.url, cookies).get("/tickets/mine").expect(200)
    assert "admin" not in page.text.lower()


# --- API tokens -----------------------------------------------------------------------------------


def granted(person: Person, *scopes: str) -> str:
    wanted = {"name": "test", "scopes": scopes, "days": 1}
    return person.post("/api/users/tokens", wanted).expect(201).json["token"]


SCOPES: dict[str, tuple[str, str, str]] = {
    "reserve_with_a_token_to_read": ("read", "POST", "/api/orders"),
    "sell_with_a_token_to_buy": ("buy", "POST", "/api/tickets"),
    "pay_with_a_token_to_sell": ("sell", "POST", "/api/payments"),
    "read_orders_with_a_token_to_buy": ("buy", "GET", "/api/orders"),
    "listen_with_a_token_to_sell": ("sell", "HEAD", "/live?topic=orders"),
    "make_more_tokens_with_a_token": ("read", "POST", "/api/users/tokens"),
    "change_the_password_with_a_token": ("sell", "PUT", "/api/users/password"),
    "delete_the_account_with_a_token": ("buy", "DELETE", "/api/users/account"),
    "read_the_sessions_with_a_token": ("read", "GET", "/api/users/sessions"),
    "take_all_data_along_with_a_token": ("read", "GET", "/api/users/export"),
    "open_the_admin_area_with_a_token": ("read", "GET", f"/orders/admin/{NOBODY}"),
}


@pytest.mark.parametrize("want", SCOPES)
def test_an_attacker_with_a_token_wants_to(world: World, victim: Person, want: str):
    scope, method, path = SCOPES[want]
    token = granted(victim, scope)
    body = None if method in ("GET", "HEAD") else "{}"
    assert with_header(world, token).send(method, path, body).status == 403


@pytest.mark.parametrize("service", DOORS)
def test_an_attacker_wants_to_use_an_api_token_as_a_cookie(
    world: World, victim: Person, service: str
):
    """In a cookie nobody would look at its scopes."""
    token = granted(victim, "read", "sell", "buy")
    assert knock(with_cookie(world, token), service).status == 401


def test_an_attacker_wants_to_use_a_revoked_api_token(world: World, victim: Person):
    made = victim.post("/api/users/tokens", {"name": "x", "scopes": ["read"], "days": 1})
    client = with_header(world, made.expect(201).json["token"])
    client.get("/api/orders").expect(200)
    victim.delete(f"/api/users/tokens/{made.json['id']}").expect(204)
    wait_until(lambda: client.get("/api/orders").status == 401, "the end of the token", 1.0)


def test_an_attacker_wants_to_see_an_api_token_again(victim: Person):
    token = granted(victim, "read")
    listed = victim.get("/api/users/tokens").expect(200).text
    page = victim.get("/account/tokens").expect(200).text
    exported = victim.get("/api/users/export").expect(200).text
    for text in (listed, page, exported):
        assert token not in text
        assert token.rpartition(".")[2] not in text
