"""Looking after one's own account: password, sessions, data, leaving."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from apps.auth import models
from apps.auth.models import InvalidCredentials

from .conftest import PASSWORD, World, current, errors_of, post, token_of

Build = Callable[..., World]
ADA = "ada@example.com"


def sign_in(world: World, password: str = PASSWORD, agent: str = "curl/8") -> FlaskClient:
    client = world.client()
    body = {"email": ADA, "password": password}
    answer = client.post("/api/users/signin", json=body, headers={"User-Agent": agent})
    assert answer.status_code == 200, answer.text
    return client


def change(client: FlaskClient, old: str, new: str) -> TestResponse:
    return client.put("/api/users/password", json={"old": old, "password": new})


class Crash(BaseException):
    """The process dies here."""


def dies_after_the_write(world: World, patch: pytest.MonkeyPatch) -> None:
    """The next change of an account is stored, and nothing after it happens."""
    accounts = world.service.accounts.aggregates
    update = accounts.update

    def store_and_die(key: str, transition: Any) -> Any:
        patch.setattr(accounts, "update", update)
        update(key, transition)
        raise Crash

    patch.setattr(accounts, "update", store_and_die)


# --- the password ---------------------------------------------------------------------------------


def test_a_changed_password_counts_and_ends_the_other_sessions(world: World) -> None:
    here = world.sign_up()
    there = sign_in(world)
    assert change(here, PASSWORD, "a new password").status_code == 200
    assert current(here) is not None
    assert current(there) is None
    answer = post(world.client(), "signin", email=ADA, password=PASSWORD)
    assert errors_of(answer) == [(None, "Invalid credentials")]
    sign_in(world, "a new password")


def test_a_crash_after_a_new_password_leaves_nobody_else_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = world.sign_up(), sign_in(world)
    dies_after_the_write(world, monkeypatch)
    with pytest.raises(Crash):
        change(here, PASSWORD, "a new password")
    assert current(there) is None
    assert current(here) is not None


def test_a_new_password_needs_the_old_one(world: World) -> None:
    here, there = world.sign_up(), sign_in(world)
    answer = change(here, "not the old one", "a new password")
    assert errors_of(answer) == [("old", "That is not your password")]
    assert current(there) is not None
    sign_in(world)


def test_guesses_of_the_old_password_are_limited(build: Build) -> None:
    world = build(rate_limits=True)
    client = world.sign_up()
    answers = [change(client, "wrong one", "a new password").status_code for _ in range(11)]
    assert answers == [400] * 10 + [429]
    assert client.delete("/api/users/account", json={"password": PASSWORD}).status_code == 429


def test_the_page_of_the_password(world: World) -> None:
    client = world.sign_up()
    assert ADA in client.get("/account/password").text
    wrong = client.post("/account/password", data={"old": "wrong one", "password": "short"})
    assert wrong.status_code == 400
    form = {"old": PASSWORD, "password": "a new password"}
    assert client.post("/account/password", data=form).status_code == 303
    assert "Your password is changed" in client.get("/account").text
    sign_in(world, "a new password")


def test_a_sign_in_that_overlaps_a_change_of_the_password_opens_nothing(world: World) -> None:
    """The password was checked before the change, and the session begins after it."""
    client = world.sign_up()
    checked = world.service.check(ADA, PASSWORD)
    change(client, PASSWORD, "a new password")
    with pytest.raises(InvalidCredentials):
        world.service.begin(checked)
    assert len(world.service.sessions.open_of(checked.id, datetime.now(UTC))) == 1


# --- sessions -------------------------------------------------------------------------------------

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Safari/604.1"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0"


def devices(client: FlaskClient) -> dict[str, bool]:
    sessions = client.get("/api/users/sessions").json
    return {session["device"]: session["current"] for session in sessions}


def test_sessions_are_listed_with_their_device(world: World) -> None:
    world.sign_up()
    sign_in(world, agent=FIREFOX)
    sign_in(world, agent=EDGE)
    sign_in(world, agent="")
    here = sign_in(world, agent=SAFARI)
    known = devices(here)
    assert known.pop("Safari on iPhone") is True
    assert {"Firefox on Linux", "Edge on Windows", "Unknown device"} <= known.keys()
    assert not any(known.values())
    page = here.get("/account").text
    assert "Firefox on Linux" in page
    assert page.count("this one") == 1


def test_a_session_is_ended_alone(world: World) -> None:
    here = world.sign_up()
    other, third = sign_in(world, agent=FIREFOX), sign_in(world, agent=EDGE)
    [wanted] = [
        session["id"]
        for session in here.get("/api/users/sessions").json
        if session["device"] == "Firefox on Linux"
    ]
    assert here.delete(f"/api/users/sessions/{wanted}").status_code == 204
    assert [current(client) is None for client in (here, other, third)] == [False, True, False]
    assert "Firefox on Linux" not in devices(here)


def test_nobody_ends_the_session_of_somebody_else(world: World) -> None:
    ada, eve = world.sign_up(), world.sign_up("eve@example.com")
    [session] = ada.get("/api/users/sessions").json
    for path in (f"/api/users/sessions/{session['id']}", "/api/users/sessions/" + "0" * 24):
        assert eve.delete(path).status_code == 404
    assert eve.post(f"/account/sessions/{session['id']}/end").status_code == 404
    assert current(ada) is not None


def test_sign_out_everywhere_else_by_json(world: World) -> None:
    here, there = world.sign_up(), sign_in(world)
    assert here.delete("/api/users/sessions").status_code == 204
    assert current(here) is not None
    assert current(there) is None


def test_when_a_session_was_used_is_noted_now_and_then(world: World) -> None:
    client = world.sign_up()
    sessions = world.service.sessions.aggregates
    [session] = world.service.sessions.open_of(world.account().id, datetime.now(UTC))
    writes = sessions.collection.find_one({"_id": session.id})["rev"]
    client.get("/account")
    assert sessions.collection.find_one({"_id": session.id})["rev"] == writes
    old = datetime.now(UTC) - timedelta(minutes=6)
    sessions.collection.update_one({"_id": session.id}, {"$set": {"used_at": old}})
    client.get("/account")
    used = client.get("/api/users/sessions").json[0]["usedAt"]
    assert datetime.fromisoformat(used) > old + timedelta(minutes=5)


# --- roles and shutting out -----------------------------------------------------------------------


def test_who_loses_the_role_of_an_admin_is_signed_out(world: World) -> None:
    client = world.sign_up()
    key = world.account().id
    world.service.set_role(key, "admin")
    another_admin(world)
    client.get("/account")
    world.service.set_role(key, "user")
    assert current(client) is None
    assert world.account().role == "user"


def test_taking_the_role_again_ends_what_a_crash_left_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sign_up()
    key = world.account().id
    world.service.set_role(key, "admin")
    another_admin(world)
    client = sign_in(world)
    dies_after_the_write(world, monkeypatch)
    with pytest.raises(Crash):
        world.service.set_role(key, "user")
    world.service.set_role(key, "user")
    assert current(client) is None, "its token still tells of an admin"


def test_a_new_admin_is_one_at_the_next_look(world: World) -> None:
    client = world.sign_up()
    before = token_of(client)
    world.service.set_role(world.account().id, "admin")
    client.get("/api/users/currentuser")
    assert token_of(client) != before


def test_a_disabled_account_is_out_everywhere_until_it_is_enabled(world: World) -> None:
    client, key = world.sign_up(), world.account().id
    world.service.set_disabled(key, disabled=True)
    assert current(client) is None
    answer = post(world.client(), "signin", email=ADA, password=PASSWORD)
    assert errors_of(answer) == [(None, "Invalid credentials")]
    world.service.set_disabled(key, disabled=False)
    sign_in(world)


def another_admin(world: World) -> None:
    world.sign_up("bob@example.com")
    world.service.set_role(world.account("bob@example.com").id, "admin")


# --- taking data along, and leaving ---------------------------------------------------------------


def test_the_export_has_all_but_secrets(world: World) -> None:
    client = world.sign_up()
    post(client, "tokens", name="laptop", scopes=["read"])
    answer = client.get("/account/export")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="account.json"'
    assert answer.json["account"]["email"] == ADA
    assert [token["name"] for token in answer.json["tokens"]] == ["laptop"]
    assert len(answer.json["sessions"]) == 1
    assert "argon2" not in answer.text
    assert token_of(client) not in answer.text
    assert client.get("/api/users/export").json["account"] == answer.json["account"]


def test_a_deleted_account_leaves_an_id(build: Build) -> None:
    world = build(verify_email=True)
    here = world.sign_up()
    there = sign_in(world, agent=FIREFOX)
    token = post(here, "tokens", name="laptop", scopes=["read"]).json["token"]
    key = world.account().id
    assert here.delete("/api/users/account", json={"password": PASSWORD}).status_code == 204
    assert [current(client) for client in (here, there)] == [None, None]
    assert current(world.client(), Authorization=f"Bearer {token}") is None
    assert world.mails() == [], "the letter to the address is not sent any more"
    database = world.databases["auth"]
    kept = [doc for name in database.list_collection_names() for doc in database[name].find()]
    for document in kept:
        document.pop("outbox", None)  # emptied as soon as the stream has them
    assert key in repr(kept)
    for trace in (ADA, "argon2", "Firefox"):
        assert trace not in repr(kept)


def test_a_crash_while_leaving_keeps_nothing_personal(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards nobody could sign in to have the rest removed."""
    world = build(verify_email=True)
    client = world.sign_up()
    dies_after_the_write(world, monkeypatch)
    with pytest.raises(Crash):
        client.delete("/api/users/account", json={"password": PASSWORD})
    assert world.mails() == []
    assert [found["device"] for found in world.databases["auth"]["sessions"].find()] == [""]


def test_the_address_of_a_deleted_account_is_free_again(world: World) -> None:
    client = world.sign_up()
    old = world.account().id
    client.delete("/api/users/account", json={"password": PASSWORD})
    assert post(world.client(), "signin", email=ADA, password=PASSWORD).status_code == 400
    world.sign_up()
    assert world.account().id != old


def test_deletion_needs_the_password(world: World) -> None:
    client = world.sign_up()
    for body in ({}, {"password": "wrong one"}, {"password": {"$ne": ""}}):
        answer = client.delete("/api/users/account", json=body)
        assert errors_of(answer)[0][0] == "password"
    assert current(client) is not None


def test_the_page_of_leaving(world: World) -> None:
    client = world.sign_up()
    assert "nobody can bring them back" in client.get("/account/delete").text
    assert client.post("/account/delete", data={"password": "wrong one"}).status_code == 400
    done = client.post("/account/delete", data={"password": PASSWORD})
    assert (done.status_code, done.headers["Location"]) == (303, "/")
    assert client.get_cookie("session") is None


def test_a_deleted_account_can_not_be_confirmed_or_promoted() -> None:
    now = datetime.now(UTC)
    gone, _ = models.delete(models.register(ADA, "hash", verified=False, now=now)[0])
    with pytest.raises(models.LinkSpent):
        models.verify(gone)
    assert models.disable(gone, disabled=True) == (gone, None)


OWN_PAGES = ["password", "email", "delete", "tokens", "second-factor", "export"]


@pytest.mark.parametrize("page", OWN_PAGES)
def test_one_s_own_pages_ask_to_sign_in(world: World, page: str) -> None:
    answer = world.client().get(f"/account/{page}")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/account/signin?next=/account/{page}"


def test_the_session_used_longest_ago_ends_when_there_are_too_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.auth.service.MOST_SESSIONS", 3)
    oldest, *others = clients = [world.sign_up()] + [signed_in_again(world) for _ in range(3)]
    assert current(oldest) is None
    assert all(current(client) for client in others)
    assert len(others[0].get("/api/users/sessions").json or ()) == 3
    signed_in_again(world)
    assert [current(client) is None for client in clients] == [True, True, False, False]


def signed_in_again(world: World) -> FlaskClient:
    client = world.client()
    answer = post(client, "signin", email="ada@example.com", password=PASSWORD)
    assert answer.status_code == 200
    return client
