"""The JSON door, as clients and attackers use it."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient

from apps.auth.tokens import Overheard
from shared.events import SessionData, SessionRevoked

from .conftest import PASSWORD, World, current, errors_of, post, token_of


def test_signing_up_signs_in(world: World) -> None:
    client = world.client()
    answer = post(client, "signup", email="ada@example.com", password=PASSWORD)
    assert answer.status_code == 201
    assert set(answer.json) == {"id", "email"}
    assert current(client) == answer.json


def test_signing_in_again_elsewhere(world: World) -> None:
    ada = world.sign_up()
    elsewhere = world.client()
    answer = post(elsewhere, "signin", email="ada@example.com", password=PASSWORD)
    assert answer.status_code == 200
    assert current(elsewhere) == current(ada) == answer.json


def test_nobody_is_null(world: World) -> None:
    assert current(world.client()) is None


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(build: Callable[..., World]) -> None:
    answer = post(build().client(), "signup", email="ada@example.com", password=PASSWORD)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("session=")
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"):
        assert attribute in cookie
    assert "Secure" not in cookie


def test_under_tls_the_cookie_is_secure_and_bound_to_the_host(build: Callable[..., World]) -> None:
    world = build(public_url="https://tickets.example.com")
    answer = post(world.client(), "signup", email="ada@example.com", password=PASSWORD)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


def test_clients_without_cookies_send_the_token(world: World) -> None:
    token = token_of(world.sign_up())
    assert current(world.client(), Authorization=f"Bearer {token}")["email"] == "ada@example.com"


# --- addresses and passwords ----------------------------------------------------------------------


@pytest.mark.parametrize("again", ["ada@example.com", "ADA@Example.com", "  ada@example.COM "])
def test_an_address_has_one_account_however_it_is_written(world: World, again: str) -> None:
    world.sign_up("Ada@Example.com")
    answer = post(world.client(), "signup", email=again, password=PASSWORD)
    assert answer.status_code == 400
    assert errors_of(answer) == [("email", "Email in use")]
    assert post(world.client(), "signin", email=again, password=PASSWORD).status_code == 200


NOT_ADDRESSES = [
    {"$gt": ""},
    ["ada@example.com"],
    None,
    7,
    True,
    "",
    "ada",
    "ada@",
    "@example.com",
    "ada@localhost",
    "ada@@example.com",
    "ada@example..com",
    ".ada@example.com",
    "ada.@example.com",
    "ada@-example.com",
    "ada@10.0.0.1",
    "ada lovelace@example.com",
    "ada@example.com\nBcc: all@example.com",
    "ada\x00@example.com",
    "\u212aate@example.com",  # the Kelvin sign, whose lower case is the letter k
    "ada\ud800@example.com",
    "a" * 65 + "@example.com",
    "a@" + "b" * 60 + ("." + "c" * 60) * 4 + ".com",
    "a" * 50_000,
]


@pytest.mark.parametrize("email", NOT_ADDRESSES, ids=range(len(NOT_ADDRESSES)))
@pytest.mark.parametrize("command", ["signup", "signin"])
def test_what_is_no_address_is_a_field_error(world: World, command: str, email: object) -> None:
    answer = post(world.client(), command, email=email, password=PASSWORD)
    assert answer.status_code == 400
    assert [field for field, _ in errors_of(answer)] == ["email"]


@pytest.mark.parametrize(
    "email", ["a.b+tag@sub.example.co.uk", "o'neil@example.ie", "x@xn--bcher-kva.example"]
)
def test_unusual_addresses_are_fine(world: World, email: str) -> None:
    world.sign_up(email)


NOT_PASSWORDS = [{"$ne": None}, [PASSWORD], None, 12345678, True, "", "1234567", "x" * 129]
NOT_PASSWORDS += ["nul\x00 in the middle", "half a character \ud800"]


@pytest.mark.parametrize("password", NOT_PASSWORDS, ids=range(len(NOT_PASSWORDS)))
def test_what_is_no_password_is_a_field_error(world: World, password: object) -> None:
    answer = post(world.client(), "signup", email="ada@example.com", password=password)
    assert answer.status_code == 400
    assert [field for field, _ in errors_of(answer)] == ["password"]


@pytest.mark.parametrize("password", ["8 letter", "x" * 128, "  spaces around  ", "pässwörd\u2728"])
def test_a_password_is_kept_exactly(world: World, password: str) -> None:
    world.sign_up(password=password)
    client = world.client()
    assert post(client, "signin", email="ada@example.com", password=password).status_code == 200
    if password.strip() != password:
        answer = post(client, "signin", email="ada@example.com", password=password.strip())
        assert answer.status_code == 400


def test_a_password_composed_by_another_keyboard_is_the_same(world: World) -> None:
    world.sign_up(password="mañana mañana")
    answer = post(
        world.client(), "signin", email="ada@example.com", password="man\u0303ana man\u0303ana"
    )
    assert answer.status_code == 200


def test_both_fields_are_named_when_both_are_wrong(world: World) -> None:
    answer = world.client().post("/api/users/signup", json={})
    assert errors_of(answer) == [
        ("email", "email is required"),
        ("password", "password is required"),
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"[" * 60_000, b"\xff"])
def test_what_is_no_object_is_refused_with_a_reason(world: World, body: bytes) -> None:
    answer = world.client().post("/api/users/signin", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert "JSON" in answer.json["errors"][0]["message"]


def test_nobody_sets_what_is_not_theirs(world: World) -> None:
    client = world.client()
    chosen = "c" * 24
    answer = post(
        client,
        "signup",
        email="ada@example.com",
        password=PASSWORD,
        id=chosen,
        _id=chosen,
        verified=True,
        version=7,
        passwordHash="x",
    )
    assert answer.status_code == 201
    assert answer.json["id"] != chosen
    stored = world.service.accounts.by_email("ada@example.com")
    assert stored is not None
    assert (stored.version, stored.password_hash[:10]) == (0, "$argon2id$")


def test_addresses_are_unverified_unless_the_stack_skips_checks(
    build: Callable[..., World],
) -> None:
    world = build(verify_email=True)
    world.sign_up()
    account = world.service.accounts.by_email("ada@example.com")
    assert account is not None
    assert not account.verified


# --- signing in -----------------------------------------------------------------------------------


def test_an_unknown_address_gets_the_same_answer_after_the_same_work(world: World) -> None:
    world.sign_up()
    answers = []
    for email in ("ada@example.com", "nobody@example.com"):
        before = world.hasher.checked
        answer = post(world.client(), "signin", email=email, password="wrong password")
        answers.append((answer.status_code, answer.json, world.hasher.checked - before))
    assert answers[0] == answers[1] == (400, {"errors": [{"message": "Invalid credentials"}]}, 1)


def test_the_password_that_unknown_addresses_are_checked_against_opens_nothing(
    world: World,
) -> None:
    secret = "the hash that an unknown address is checked against"
    answer = post(world.client(), "signin", email="nobody@example.com", password=secret)
    assert errors_of(answer) == [(None, "Invalid credentials")]


def test_a_disabled_account_can_not_sign_in(world: World) -> None:
    world.sign_up()
    world.service.accounts.aggregates.collection.update_one({}, {"$set": {"disabled": True}})
    answer = post(world.client(), "signin", email="ada@example.com", password=PASSWORD)
    assert errors_of(answer) == [(None, "Invalid credentials")]


def test_signing_in_hashes_anew_when_the_parameters_have_changed(
    build: Callable[..., World],
) -> None:
    build(passes=1).sign_up()
    later = build(passes=2)
    answer = post(later.client(), "signin", email="ada@example.com", password=PASSWORD)
    assert answer.status_code == 200
    account = later.service.accounts.by_email("ada@example.com")
    assert account is not None
    assert "t=2" in account.password_hash
    answer = post(later.client(), "signin", email="ada@example.com", password=PASSWORD)
    assert answer.status_code == 200


def test_a_rush_waits_in_line_and_is_then_told_to_come_back(world: World) -> None:
    turns = world.service.passwords._turns
    with turns, turns:
        answer = post(world.client(), "signin", email="ada@example.com", password=PASSWORD)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert post(world.client(), "signin", email="a@b.co", password=PASSWORD).status_code == 400


# --- signing out ----------------------------------------------------------------------------------


def test_a_cookie_is_worthless_after_sign_out(world: World) -> None:
    client = world.sign_up()
    stolen = token_of(client)
    answer = post(client, "signout")
    assert (answer.status_code, answer.json) == (200, {})
    assert client.get_cookie("session") is None
    thief = world.client()
    thief.set_cookie("session", stolen)
    assert current(thief) is None
    assert current(world.client(), Authorization=f"Bearer {stolen}") is None


def test_who_only_looks_is_known_without_a_question(
    build: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(up_to_date=True, lately=3600)
    client = world.sign_up()
    assert current(client) is not None
    monkeypatch.setattr(world.service.sessions, "is_open", None)
    monkeypatch.setattr(world.service.accounts, "aggregates", None)
    assert current(client) is not None


def test_who_asks_again_is_answered_alike_and_without_the_app(
    build: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(up_to_date=True, lately=3600)
    client = world.sign_up()
    first = client.get("/api/users/currentuser")
    monkeypatch.setattr(world.app, "full_dispatch_request", None)
    again = client.get("/api/users/currentuser")
    assert (again.status, again.json) == (first.status, first.json)
    assert again.data == first.data
    assert dict(again.headers) == dict(first.headers)


def test_a_body_is_read_even_where_who_asks_is_known(build: Callable[..., World]) -> None:
    client = build(up_to_date=True, lately=3600).sign_up()
    assert current(client) is not None
    sent = BytesIO(b"x" * 100)
    client.get("/api/users/currentuser", input_stream=sent, content_length=100)
    assert sent.tell() == 100


@pytest.mark.parametrize("lately", [0, 3600])
def test_who_asks_at_a_glance_must_still_be_somebody(
    build: Callable[..., World], lately: float
) -> None:
    world = build(up_to_date=True, lately=lately)
    first, second = world.sign_up(), world.sign_up("another@example.com")
    for client in (first, second, first, second):
        assert current(client) is not None
    thief, stranger = world.client(), world.client()
    thief.set_cookie("session", token_of(first))
    assert current(thief) == current(first) != current(second)
    assert current(stranger) is None
    end = SessionData(id=session_of(first), user_id="", revoked_at=datetime.now(UTC))
    world.revocations.add(SessionRevoked(data=end))
    assert current(thief) is current(first) is None
    assert current(second) is not None


def session_of(client: FlaskClient) -> str:
    return jwt.decode(token_of(client), options={"verify_signature": False})["sid"]


def test_a_cookie_that_must_be_renewed_is_not_answered_at_a_glance(
    build: Callable[..., World],
) -> None:
    world = build(up_to_date=True, lately=3600)
    client = world.sign_up()
    assert current(client) is not None
    old = token_of(client)
    world.service.accounts.aggregates.collection.update_one({}, {"$set": {"role": "admin"}})
    post(world.client(), "signout")  # after a change in this process everybody is looked at anew
    for _ in range(2):
        client.set_cookie("session", old)
        assert current(client) is not None
        assert token_of(client) != old


def test_who_is_not_told_of_revocations_asks(build: Callable[..., World]) -> None:
    for up_to_date, known in ((True, True), (False, False)):
        world = build(up_to_date=up_to_date, lately=3600)
        client = world.sign_up(f"{up_to_date}@example.com".lower())
        world.service.sessions.aggregates.collection.delete_many({})
        assert (current(client) is not None) is known


def test_who_changes_something_is_asked_for_in_any_case(build: Callable[..., World]) -> None:
    world = build(up_to_date=True)
    client = world.sign_up()
    world.service.sessions.aggregates.collection.delete_many({})
    answer = client.delete("/api/users/sessions")
    assert answer.status_code == 401


class _Bus:
    """Takes events and tells nobody."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        work.close()

    def call_soon(self, *_: object) -> None: ...


def test_a_session_that_ends_here_is_over_before_the_stream_tells(
    build: Callable[..., World],
) -> None:
    world = build(up_to_date=True)
    bus: Any = _Bus()
    relay = Overheard(bus, world.revocations)
    world.service.sessions.aggregates._relay = relay
    world.service.accounts.aggregates._relay = relay
    client = world.sign_up()
    thief = world.client()
    thief.set_cookie("session", token_of(client))
    post(client, "signout")
    assert current(thief) is None
    other = world.client()
    post(other, "signin", email="ada@example.com", password=PASSWORD)
    assert current(other) is not None


def test_signing_out_announces_the_session_and_leaves_the_others(world: World) -> None:
    here = world.sign_up()
    there = world.client()
    post(there, "signin", email="ada@example.com", password=PASSWORD)
    post(here, "signout")
    assert current(there) is not None
    announced = [
        entry
        for document in world.service.sessions.aggregates.collection.find()
        for entry in document["outbox"]
    ]
    assert [entry["subject"] for entry in announced] == ["session.revoked"]
    assert announced[0]["data"]["userId"] == current(there)["id"]


def test_anyone_may_sign_out_as_often_as_they_like(world: World) -> None:
    client = world.sign_up()
    for _ in range(3):
        assert post(client, "signout").status_code == 200


# --- other sites and wrong doors ------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example", "Authorization": "Basic YTpi"},
    ],
)
@pytest.mark.parametrize("command", ["signin", "signup", "signout"])
def test_another_site_can_not_post(world: World, command: str, headers: dict[str, str]) -> None:
    client = world.sign_up()
    body = {"email": "eve@example.com", "password": PASSWORD}
    answer = client.post(f"/api/users/{command}", json=body, headers=headers)
    assert answer.status_code == 403
    assert current(client) is not None


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}],
)
def test_our_own_pages_and_clients_without_a_browser_can(
    world: World, headers: dict[str, str]
) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    answer = world.client().post("/api/users/signup", json=body, headers=headers)
    assert answer.status_code == 201


def test_a_wrong_method_is_a_405(world: World) -> None:
    answer = world.client().get("/api/users/signin")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.json["errors"]


def test_the_openapi_document_describes_every_route(world: World) -> None:
    described = world.client().get("/api/users/openapi.json").json["paths"]
    routes = {
        str(rule).replace("<", "{").replace(">", "}")
        for rule in world.app.url_map.iter_rules()
        if str(rule).startswith("/api/users/")
    }
    assert routes - set(described) == {"/api/users/openapi.json", "/api/users/docs"}
    assert len(described) > 15
    assert world.client().get("/api/users/docs").status_code == 200
