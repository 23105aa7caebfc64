"""API tokens: shown once, good for what they say, until they end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient

from apps.auth.apitokens import MOST
from shared.events import SessionRevoked
from shared.revocations import Revocations

from .conftest import PASSWORD, World, current, errors_of, post

Build = Callable[..., World]


def grant(client: FlaskClient, scopes: tuple[str, ...] = ("read",), days: int = 30) -> Any:
    answer = post(client, "tokens", name="laptop", scopes=list(scopes), days=days)
    assert answer.status_code == 201, answer.text
    return answer.json


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_says_what_it_may_do_and_until_when(world: World) -> None:
    made = grant(world.sign_up(), ("buy", "read"), days=7)
    claims = jwt.decode(made["token"], options={"verify_signature": False})
    assert claims["scopes"] == made["scopes"] == ["read", "buy"]
    assert claims["sid"] == made["id"]
    assert abs(claims["exp"] - claims["iat"] - 7 * 86_400) < 5
    assert current(world.client(), **bearer(made["token"]))["email"] == "ada@example.com"


def test_it_never_has_the_rights_of_an_admin(world: World) -> None:
    client = world.sign_up()
    world.service.set_role(world.account().id, "admin")
    claims = jwt.decode(grant(client)["token"], options={"verify_signature": False})
    assert "role" not in claims


def test_it_is_shown_once_and_stored_nowhere(world: World) -> None:
    client = world.sign_up()
    token = grant(client)["token"]
    [listed] = client.get("/api/users/tokens").json
    assert listed["name"] == "laptop"
    assert "token" not in listed
    assert token.rpartition(".")[2] not in repr(list(world.databases["auth"]["tokens"].find()))
    assert token not in client.get("/account/tokens").text


NOT_FOR_PROGRAMS = [
    ("GET", "/account"),
    ("GET", "/account/export"),
    ("GET", "/api/users/export"),
    ("GET", "/api/users/sessions"),
    ("DELETE", "/api/users/sessions"),
    ("GET", "/api/users/tokens"),
    ("POST", "/api/users/tokens"),
    ("PUT", "/api/users/password"),
    ("POST", "/api/users/email"),
    ("POST", "/api/users/verification"),
    ("POST", "/api/users/factor/setup"),
    ("PUT", "/api/users/factor"),
    ("DELETE", "/api/users/factor"),
    ("DELETE", "/api/users/account"),
    ("POST", "/api/users/signout"),
    ("POST", "/account/delete"),
]


@pytest.mark.parametrize(("method", "path"), NOT_FOR_PROGRAMS)
def test_it_never_manages_the_account(world: World, method: str, path: str) -> None:
    token = grant(world.sign_up(), ("read", "sell", "buy"))["token"]
    body = {"password": PASSWORD, "old": PASSWORD, "email": "eve@example.com"}
    answer = world.client().open(path, method=method, json=body, headers=bearer(token))
    assert answer.status_code == 403
    assert world.account()


def test_in_a_cookie_it_is_nobody_s(world: World) -> None:
    client = world.client()
    client.set_cookie("session", grant(world.sign_up())["token"])
    assert current(client) is None


def test_without_the_scope_to_read_it_reads_nothing(world: World) -> None:
    token = grant(world.sign_up(), ("buy",))["token"]
    answer = world.client().get("/api/users/currentuser", headers=bearer(token))
    assert errors_of(answer) == [(None, "This API token lacks the scope read")]


def test_a_revoked_token_is_nobody_s_and_says_until_when(world: World) -> None:
    client = world.sign_up()
    made = grant(client, days=90)
    assert client.delete(f"/api/users/tokens/{made['id']}").status_code == 204
    assert current(world.client(), **bearer(made["token"])) is None
    assert client.get("/api/users/tokens").json == []
    [entry] = world.databases["auth"]["tokens"].find_one()["outbox"]
    event = SessionRevoked.from_dict(entry)
    assert event.data.until is not None
    assert event.data.until > datetime.now(UTC) + timedelta(days=89)


def test_a_revocation_is_said_again_until_the_token_has_expired(world: World) -> None:
    client = world.sign_up()
    made, _ = grant(client, days=1), grant(client)
    client.delete(f"/api/users/tokens/{made['id']}")
    tokens, now = world.service.tokens, datetime.now(UTC)

    def said() -> int:
        found = world.databases["auth"]["tokens"].find()
        return sum(len(document["outbox"]) for document in found)

    tokens.say_again(now + timedelta(hours=3))
    assert said() == 1
    tokens.say_again(now + timedelta(hours=4, minutes=1))
    tokens.say_again(now + timedelta(hours=5))
    assert said() == 2
    tokens.say_again(now + timedelta(hours=25))
    assert said() == 2


def test_who_starts_later_knows_of_it_from_what_is_said_again(world: World) -> None:
    """Web processes read half a day back; the revocation itself may be weeks old."""
    client = world.sign_up()
    made = grant(client, days=90)
    client.delete(f"/api/users/tokens/{made['id']}")
    [entry] = world.databases["auth"]["tokens"].find_one()["outbox"]
    long_ago = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    entry["data"]["revokedAt"] = long_ago
    revocations = Revocations()
    revocations.add(SessionRevoked.from_dict(entry))
    assert made["id"] in revocations._sessions


def test_nobody_revokes_the_token_of_somebody_else(world: World) -> None:
    ada, eve = world.sign_up(), world.sign_up("eve@example.com")
    made = grant(ada)
    for path in (made["id"], "0" * 24, "x"):
        assert eve.delete(f"/api/users/tokens/{path}").status_code == 404
    assert eve.post(f"/account/tokens/{made['id']}/revoke").status_code == 404
    assert current(world.client(), **bearer(made["token"])) is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 61),
        ("name", {"$gt": ""}),
        ("scopes", []),
        ("scopes", ["admin"]),
        ("scopes", "read"),
        ("scopes", [["read"]]),
        ("scopes", None),
        ("scopes", {"read": 1}),
        ("days", 0),
        ("days", 91),
        ("days", "7"),
        ("days", 1.5),
    ],
)
def test_a_wrong_wish_is_a_field_error(world: World, field: str, value: object) -> None:
    wish = {"name": "laptop", "scopes": ["read"], "days": 7, field: value}
    answer = post(world.sign_up(), "tokens", **wish)
    assert answer.status_code == 400
    assert errors_of(answer)[0][0] == field


def test_there_are_only_so_many(world: World) -> None:
    client = world.sign_up()
    for _ in range(MOST):
        grant(client)
    answer = post(client, "tokens", name="laptop", scopes=["read"])
    assert answer.status_code == 400


def test_a_reset_ends_tokens_and_a_change_of_the_password_does_not(world: World) -> None:
    client = world.sign_up()
    token = grant(client)["token"]
    client.put("/api/users/password", json={"old": PASSWORD, "password": "a new password"})
    assert current(world.client(), **bearer(token)) is not None
    post(world.client(), "password/forgotten", email="ada@example.com")
    post(world.client(), "password/reset", token=world.link_token(), password="the third one")
    assert current(world.client(), **bearer(token)) is None


def test_tokens_by_form(world: World) -> None:
    client = world.sign_up()
    assert "None yet" in client.get("/account/tokens").text
    wrong = client.post("/account/tokens", data={"name": "laptop", "days": "7"})
    assert wrong.status_code == 400
    assert "It must name at least one of read, sell, buy." in wrong.text
    form = {"name": "laptop", "days": "7", "scopes": ["read", "sell"]}
    made = client.post("/account/tokens", data=form)
    token = made.text.partition('aria-label="The token">')[2].partition("<")[0]
    assert current(world.client(), **bearer(token)) is not None
    [listed] = client.get("/api/users/tokens").json
    assert listed["scopes"] == ["read", "sell"]
    assert client.post(f"/account/tokens/{listed['id']}/revoke").status_code == 303
    assert current(world.client(), **bearer(token)) is None


def test_the_previous_key_verifies_and_signs_nothing(build: Build) -> None:
    old = build()
    token = grant(old.sign_up())["token"]
    new_key = "a new secret of the tests, long enough"
    rotated = build(jwt_key=new_key, jwt_key_previous=old.settings.jwt_key)
    assert current(rotated.client(), **bearer(token)) is not None
    assert [key["kid"] for key in rotated.client().get("/api/users/jwks.json").json["keys"]] == [
        rotated.service.signer.key_id,
        old.service.signer.key_id,
    ]
    client = rotated.sign_up("new@example.com")
    header = jwt.get_unverified_header(grant(client)["token"])
    assert header["kid"] == rotated.service.signer.key_id
    retired = build(jwt_key=new_key)
    assert current(retired.client(), **bearer(token)) is None
