"""What is kept for a moment: built once for many, never shown to who has just changed something."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from apps.tickets import create_app
from apps.tickets.config import Settings
from apps.tickets.service import Tickets
from apps.tickets.store import Page
from shared.events import SessionData, SessionRevoked
from shared.identity import Identity
from shared.people import User
from shared.web import ready
from tests.identity import identity, sign
from tests.tickets.conftest import SELLER, Person

TICKET = {"title": "A night out", "price": 20, "quantity": 3}


@pytest.fixture(autouse=True)
def kept_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, nothing dies of age between two requests."""
    monkeypatch.setattr(ready, "LIFETIME", 3600.0)


@pytest.fixture
def other(settings: Settings, service: Tickets) -> Flask:
    """Another process of the same service, on the same database."""
    return create_app(settings, service, identity())


@pytest.fixture
def reads(service: Tickets, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each time that the list is read from the database."""
    seen: list[str] = []
    browse = service.browse

    def noting(*asked: Any) -> Page:
        seen.append("list")
        return browse(*asked)

    monkeypatch.setattr(service, "browse", noting)
    return seen


@pytest.mark.parametrize("path", ["/api/tickets", "/api/tickets?limit=5", "/", "/tickets?q=night"])
def test_what_many_ask_for_is_read_once(
    path: str, visitor: FlaskClient, stranger: FlaskClient, reads: list[str]
) -> None:
    first = visitor.get(path)
    again = stranger.get(path)
    assert first.status_code == again.status_code == 200
    assert reads == ["list"]


def test_what_is_given_out_again_is_the_same_answer(
    seller: FlaskClient, visitor: FlaskClient
) -> None:
    ticket = seller.post("/api/tickets", json=TICKET).json
    assert ticket
    first, again = (visitor.get(f"/api/tickets/{ticket['id']}") for _ in range(2))
    assert again.data == first.data
    assert list(again.headers) == list(first.headers)
    assert again.headers["ETag"]


@pytest.mark.parametrize("path", ["/", "/api/tickets"])
def test_a_body_is_read_even_where_the_answer_is_kept(path: str, visitor: FlaskClient) -> None:
    visitor.get(path)
    sent = BytesIO(b"x" * 100)
    assert visitor.get(path, input_stream=sent, content_length=100).status_code == 200
    assert sent.tell() == 100


def test_a_kept_page_says_who_looks_at_it(seller: FlaskClient, visitor: FlaskClient) -> None:
    assert "Sign up" in visitor.get("/").text
    assert "Sign up" not in seller.get("/").text
    assert "Sign up" in visitor.get("/").text


def test_a_kept_page_marks_the_path_that_it_is_asked_for_by(visitor: FlaskClient) -> None:
    current = '<a href="/" aria-current="page">'
    assert current in visitor.get("/").text
    assert current not in visitor.get("/tickets").text


def test_a_kept_page_knows_nobody_whose_session_has_ended(
    settings: Settings, service: Tickets
) -> None:
    known = identity()
    client = Person(create_app(settings, service, known), SELLER).client
    assert "Sign up" not in client.get("/").text
    user = user_of_cookie(known, client)
    end = SessionData(id=user.session_id, user_id=user.id, revoked_at=datetime.now(UTC))
    known.revocations.add(SessionRevoked(data=end))
    assert "Sign up" in client.get("/").text


def test_a_kept_page_takes_no_api_token_for_a_person(app: Flask, visitor: FlaskClient) -> None:
    visitor.get("/")
    visitor.set_cookie("session", sign(SELLER, scopes=["read"]))
    assert "Sign up" in visitor.get("/").text


def user_of_cookie(known: Identity, client: FlaskClient) -> User:
    cookie = client.get_cookie("session")
    user = known.user(cookie.value) if cookie else None
    assert user
    return user


def test_notices_are_for_one_reader(visitor: FlaskClient, stranger: FlaskClient) -> None:
    visitor.get("/")
    with visitor.session_transaction() as session:
        session["_flashes"] = [("good", "Only for you")]
    assert "Only for you" in visitor.get("/").text
    assert "Only for you" not in visitor.get("/").text
    assert "Only for you" not in stranger.get("/").text


def test_nothing_that_is_typed_is_taken_for_a_part_of_the_frame(
    seller: FlaskClient, visitor: FlaskClient
) -> None:
    for title in ("<!--the visitor-->", "<!--the time-->"):
        assert seller.post("/api/tickets", json={**TICKET, "title": title}).status_code == 201
    for _ in range(2):
        assert visitor.get("/?q=<!--the visitor-->").text.count("Sign up") == 1


def test_other_questions_get_other_answers(seller: FlaskClient, visitor: FlaskClient) -> None:
    seller.post("/api/tickets", json=TICKET)
    assert len(visitor.get("/api/tickets").json or []) == 1
    assert visitor.get("/api/tickets?q=elsewhere").json == []


@pytest.mark.parametrize("path", ["/api/tickets", "/"])
def test_in_the_process_of_a_change_everybody_sees_it(
    path: str, seller: FlaskClient, visitor: FlaskClient
) -> None:
    assert "A night out" not in visitor.get(path).text
    seller.post("/api/tickets", json=TICKET)
    assert "A night out" in visitor.get(path).text


@pytest.mark.parametrize("path", ["/api/tickets", "/"])
def test_who_changes_something_sees_it_in_every_process(
    path: str, app: Flask, other: Flask
) -> None:
    here, there = Person(app, SELLER).client, Person(other, SELLER).client
    assert "A night out" not in there.get(path).text
    answer = here.post("/api/tickets", json=TICKET)
    # The other process goes on giving out what it has; only the mark keeps the seller from it.
    assert "A night out" not in there.get(path).text
    _carry_over(answer.headers.getlist("Set-Cookie"), there)
    assert "A night out" in there.get(path).text


@pytest.mark.parametrize("path", ["/api/tickets/{}", "/tickets/{}"])
def test_a_change_of_one_ticket_is_seen_in_every_process(
    path: str, app: Flask, other: Flask
) -> None:
    here, there = Person(app, SELLER).client, Person(other, SELLER).client
    ticket = here.post("/api/tickets", json=TICKET).json
    assert ticket
    path = path.format(ticket["id"])
    assert "A night out" in there.get(path).text
    answer = here.put(f"/api/tickets/{ticket['id']}", json={**TICKET, "title": "A long night"})
    _carry_over(answer.headers.getlist("Set-Cookie"), there)
    assert "A long night" in there.get(path).text


def _carry_over(cookies: list[str], browser: FlaskClient) -> None:
    """What a browser does with the cookies of an answer, whichever process it came from."""
    for cookie in cookies:
        name, value = cookie.partition(";")[0].split("=", 1)
        browser.set_cookie(name, value)


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache-Control": "no-cache"},
        {"HX-Request": "true"},
        {"If-None-Match": '"1-1"'},
    ],
)
def test_who_wants_the_latest_gets_it(
    headers: dict[str, str], app: Flask, other: Flask, visitor: FlaskClient
) -> None:
    ticket = Person(app, SELLER).client.post("/api/tickets", json=TICKET).json
    assert ticket
    path = f"/api/tickets/{ticket['id']}"
    assert visitor.get(path).json == ticket
    changed = Person(other, SELLER).client.put(path, json={**TICKET, "title": "A long night"}).json
    assert visitor.get(path).json == ticket
    assert visitor.get(path, headers=headers).json == changed


def test_a_program_is_given_the_latest(app: Flask, other: Flask, seller: FlaskClient) -> None:
    """It keeps no cookies, so nothing could tell that it has changed something."""
    ticket = seller.post("/api/tickets", json=TICKET).json
    assert ticket
    path = f"/api/tickets/{ticket['id']}"
    cookie = seller.get_cookie("session")
    assert cookie
    program = app.test_client()
    bearer = {"Authorization": f"Bearer {cookie.value}"}
    program.get(path)
    other.test_client().put(path, json={**TICKET, "title": "A long night"}, headers=bearer)
    answer = program.get(path, headers=bearer).json
    assert answer
    assert answer["title"] == "A long night"


def test_a_mark_is_for_browsers_that_changed_something(app: Flask, seller: FlaskClient) -> None:
    answer = seller.post("/api/tickets", json=TICKET)
    marks = [c for c in answer.headers.getlist("Set-Cookie") if c.startswith("fresh=")]
    assert marks == ["fresh=1; Max-Age=5; Path=/; HttpOnly; SameSite=Lax"]
    assert "Set-Cookie" not in seller.get("/api/tickets").headers
    assert "Set-Cookie" not in app.test_client().post("/api/tickets", json=TICKET).headers


def test_under_tls_the_mark_is_for_tls_only(settings: Settings, service: Tickets) -> None:
    secure = Settings(**{**settings.model_dump(), "public_url": "https://tickets.example"})
    browser = create_app(secure, service, identity()).test_client()
    browser.set_cookie("__Host-session", sign(SELLER))
    cookie = browser.post("/api/tickets", json=TICKET).headers["Set-Cookie"]
    assert cookie.endswith("; Secure")
