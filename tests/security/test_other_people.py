"""Attacks on what belongs to somebody else: by id, by guessing, by saying more than one may."""

import base64
import json
import re
import socket
import time
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest

from tests.security.forger import new_id
from tests.system.http import Answer, Client
from tests.system.world import PASSWORD, Json, Person, World, offer

NOBODY = "0" * 24


# --- other people's things ------------------------------------------------------------------------


OF_THE_BUYER: dict[str, tuple[str, str]] = {
    "read_an_order": ("GET", "/api/orders/{id}"),
    "open_an_order": ("GET", "/orders/{id}"),
    "read_a_receipt": ("GET", "/orders/{id}/receipt"),
    "print_a_receipt": ("GET", "/orders/{id}/receipt.pdf"),
    "use_the_tickets": ("GET", "/orders/{id}/tickets"),
    "print_the_tickets": ("GET", "/orders/{id}/tickets.pdf"),
    "know_the_date": ("GET", "/orders/{id}/calendar.ics"),
    "cancel_an_order": ("DELETE", "/api/orders/{id}"),
    "cancel_an_order_by_form": ("POST", "/orders/{id}/cancel"),
    "read_a_payment": ("GET", "/api/payments/{payment}"),
    "see_the_card_form": ("GET", "/payments/new?order={id}"),
    "come_back_from_the_bank": ("GET", "/payments/return/{id}"),
    "read_the_story_of_an_order": ("GET", "/orders/admin/{id}/story"),
    "look_it_up_as_an_admin": ("GET", "/orders/admin/{id}"),
    "look_the_payment_up_as_an_admin": ("GET", "/payments/admin/{payment}"),
    "refund_it_to_themselves": ("POST", "/payments/admin/{id}/refund"),
}


@pytest.mark.parametrize("want", OF_THE_BUYER)
def test_an_attacker_wants_to(attacker: Person, seller: Person, paid: Json, want: str):
    method, path = OF_THE_BUYER[want]
    for person in (attacker, seller):
        answer = person.send(method, path.format(**paid)).expect(403)
        assert paid["ticket"]["title"] not in answer.text


def test_an_attacker_wants_somebody_else_to_have_paid(attacker: Person, paid: Json):
    assert "somebody else's" in attacker.offers_card(paid).expect(403).message


OF_THE_SELLER: dict[str, tuple[str, str]] = {
    "change_the_price": ("PUT", "/api/tickets/{id}"),
    "withdraw_a_rivals_ticket": ("DELETE", "/api/tickets/{id}"),
    "open_the_form": ("GET", "/tickets/{id}/edit"),
    "see_the_withdrawal": ("GET", "/tickets/{id}/withdraw"),
    "withdraw_by_form": ("POST", "/tickets/{id}/withdraw"),
    "withdraw_as_an_admin": ("POST", "/tickets/admin/{id}/withdraw"),
    "see_how_a_rival_sells": ("GET", "/orders/sales/{id}"),
    "download_a_rivals_buyers": ("GET", "/orders/sales/{id}/buyers.csv"),
}


@pytest.mark.parametrize("want", OF_THE_SELLER)
def test_an_attacker_among_sellers_wants_to(
    attacker: Person, victim: Person, seller: Person, ticket: Json, paid: Json, want: str
):
    del paid  # there is a buyer to be found
    method, path = OF_THE_SELLER[want]
    body = None if method == "GET" else json.dumps(offer(price=1))
    answer = attacker.send(method, path.format(**ticket), body)
    assert answer.status in (403, 404)
    assert victim.email not in answer.text
    assert seller.get(f"/api/tickets/{ticket['id']}").json["price"] == ticket["price"]


def test_an_attacker_wants_the_buyers_of_all_sellers(attacker: Person, victim: Person, paid: Json):
    for path in ("/orders/sales", "/orders/sales.csv"):
        answer = attacker.get(path).expect(200)
        assert victim.email not in answer.text
        assert paid["id"] not in answer.text


def test_an_attacker_wants_to_end_the_session_of_somebody_else(attacker: Person, victim: Person):
    [session, *_] = victim.get("/api/users/sessions").expect(200).json
    attacker.delete(f"/api/users/sessions/{session['id']}").expect(404)
    attacker.submit(f"/account/sessions/{session['id']}/end", {})
    victim.get("/api/orders").expect(200)


def test_an_attacker_wants_to_end_the_token_of_somebody_else(attacker: Person, victim: Person):
    made = victim.post("/api/users/tokens", {"name": "x", "scopes": ["read"], "days": 1}).json
    attacker.delete(f"/api/users/tokens/{made['id']}").expect(404)
    assert made["id"] in victim.get("/api/users/tokens").text


def test_an_attacker_wants_the_list_of_somebody_else(attacker: Person, victim: Person, paid: Json):
    for query in (f"?userId={victim.id}", f"?user_id={victim.id}", "?userId[$ne]=x"):
        assert paid["id"] not in attacker.get(f"/api/orders{query}").text
        assert paid["id"] not in attacker.get(f"/orders{query}").text


def test_an_attacker_wants_the_answer_to_the_key_of_somebody_else(
    attacker: Person, victim: Person, ticket: Json
):
    key = new_id()
    theirs = victim.asks_for(ticket, Idempotency_Key=key).expect(201).json
    mine = attacker.asks_for(ticket, Idempotency_Key=key).expect(201).json
    assert (mine["id"] != theirs["id"], mine["userId"]) == (True, attacker.id)
    victim.cancels(theirs).expect(204)
    attacker.cancels(mine).expect(204)


# --- guessing -------------------------------------------------------------------------------------


GUESSES = (
    "../users", "%2e%2e%2fusers", "{}", '{"$ne":""}', "[$ne]=1", "null", "undefined", "0", "-1",
    "A" * 24, "0" * 25, "0" * 23, "0" * 24 + "%0a", "%00" * 24, "*", "'or'1'='1", "admin",
)  # fmt: skip


@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("path", ["/api/orders/", "/api/payments/", "/api/tickets/", "/orders/"])
def test_an_attacker_wants_to_guess_an_id(attacker: Person, path: str, guess: str):
    assert attacker.send("GET", path + guess.replace(" ", "%20")).status in (400, 403, 404, 405)


def test_an_attacker_wants_ids_in_a_row(attacker: Person, ticket: Json):
    orders = [attacker.reserves(ticket) for _ in range(3)]
    numbers = [int(order["id"], 16) for order in orders]
    assert all(len(order["id"]) == 24 for order in orders)
    assert all(abs(a - b) > 2**40 for a, b in pairwise(numbers))
    for order in orders:
        attacker.cancels(order).expect(204)


def test_an_attacker_wants_to_forge_the_code_at_the_door(attacker: Person):
    forged = base64.urlsafe_b64encode(b'{"order": 1}').decode().rstrip("=")
    for code in ("0" * 24, forged, f"{forged}.AAAA", "x" * 400):
        answer = attacker.get(f"/orders/check/{code}")
        assert answer.status in (400, 403, 404)


@pytest.mark.parametrize("cursor", ["x", "WzBd.AAAA", "%5B%5D", "x" * 5_000, "{cursor}x"])
@pytest.mark.parametrize("path", ["/api/tickets", "/api/orders", "/tickets", "/orders?show=all"])
def test_an_attacker_wants_to_forge_a_cursor(
    attacker: Person, seller: Person, path: str, cursor: str
):
    for number in range(2):
        seller.sells(title=f"Cursor {number}", quantity=2)
    link = attacker.get("/api/tickets?limit=1").headers["link"]
    [real] = re.findall("after=([^&>]+)", link)
    mark = "&" if "?" in path else "?"
    attacker.get(f"{path}{mark}after={cursor.format(cursor=real)}").expect(400)
    if "tickets" not in path:
        attacker.get(f"{path}{mark}after={real}").expect(400)  # of another list


def told(world: World, who: Client, topics: list[str]) -> socket.socket:
    """An open stream, whose head has been read."""
    stream = socket.create_connection(("127.0.0.1", world.stack.port), 10)
    query = "&".join(f"topic={topic}" for topic in topics)
    cookie = f"session={who.cookies['session']}"
    stream.sendall(f"GET /live?{query} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
    _read_until(stream, b"retry:")
    return stream


def _read_until(stream: socket.socket, mark: bytes) -> bytes:
    text, deadline = b"", time.monotonic() + 10
    while mark not in text and time.monotonic() < deadline:
        text += stream.recv(4_096)
    assert mark in text
    return text


def test_an_attacker_wants_to_hear_of_other_peoples_orders(
    world: World, attacker: Person, victim: Person, seller: Person
):
    own = seller.sells(quantity=5)
    order = victim.reserves(own)
    seller.sees_ticket(own, available=4)
    topics = [f"order:{order['id']}", "orders", "sales", f"ticket:{own['id']}"]
    with closing(told(world, attacker, topics)) as stream:
        victim.cancels(order).expect(204)
        heard = _read_until(stream, f"ticket:{own['id']}".encode())
    assert b"order" not in heard
    assert b"sales" not in heard


# --- saying more than one may ---------------------------------------------------------------------


MORE: dict[str, Any] = {
    "id": NOBODY, "_id": NOBODY, "userId": NOBODY, "user_id": NOBODY, "version": 99, "rev": 99,
    "status": "complete", "reason": "refunded", "total": 0.5, "amount": 1, "price": 1,
    "expiresAt": "2099-01-01T00:00:00Z", "available": 0, "orderId": NOBODY, "withdrawn": True,
    "refunded": 1, "blocks": [], "outbox": [],
    "ticket": {"price": 1}, "$set": {"status": "complete"},
}  # fmt: skip


def test_an_attacker_wants_to_say_what_an_order_is(attacker: Person, ticket: Json):
    plain = attacker.reserves(ticket)
    order = attacker.post("/api/orders", {**MORE, "ticketId": ticket["id"]}).expect(201).json
    for name in ("status", "userId", "total", "version", "ticket"):
        assert order[name] == plain[name]
    assert order["id"] != NOBODY
    assert order["expiresAt"] < "2099"
    assert "reason" not in order
    for each in (plain, order):
        attacker.cancels(each).expect(204)


def test_an_attacker_wants_to_sell_in_the_name_of_somebody_else(attacker: Person, seller: Person):
    more = {**MORE, "title": "Mine", "price": 20, "userId": seller.id}
    made = attacker.post("/api/tickets", more).expect(201).json
    assert (made["userId"], made["version"], made["available"]) == (attacker.id, 0, 1)
    assert made["id"] != NOBODY
    assert "orderId" not in made
    more["version"] = 0
    changed = attacker.put(f"/api/tickets/{made['id']}", more).expect(200).json
    assert (changed["userId"], changed["version"]) == (attacker.id, 1)


@pytest.mark.parametrize("path", ["/api/users/signup", "/account/signup"])
def test_an_attacker_wants_to_sign_up_as_an_admin(world: World, path: str):
    visitor = world.visitor()
    account = {"email": f"{new_id()}@example.com", "password": PASSWORD}
    more: dict[str, Any] = {**MORE, "role": "admin", "isAdmin": True, "verified": True}
    if path.startswith("/api"):
        assert visitor.post(path, {**more, **account}).expect(201).json["id"] != NOBODY
    else:
        fields = {name: str(value) for name, value in more.items()}
        visitor.submit(path, {**fields, **account}).expect(303)
    for area in (f"/orders/admin/{NOBODY}", f"/tickets/admin/{NOBODY}"):
        visitor.get(area).expect(403)


# --- who has an account ---------------------------------------------------------------------------


def _same(known: Answer, unknown: Answer) -> None:
    differ = {"date", "content-length", "set-cookie"}
    assert (known.status, known.text) == (unknown.status, unknown.text)
    left, right = (
        {k: v for k, v in a.headers.items() if k not in differ} for a in (known, unknown)
    )
    assert left == right


def test_an_attacker_wants_to_know_by_sign_in_who_has_an_account(world: World, victim: Person):
    def tries(email: str) -> Answer:
        return world.visitor().post("/api/users/signin", {"email": email, "password": "x" * 12})

    _same(tries(victim.email), tries("nobody-at-all@example.com"))


def test_an_attacker_wants_to_know_by_a_reset_who_has_an_account(world: World, victim: Person):
    def tries(email: str) -> Answer:
        return world.visitor().post("/api/users/password/forgotten", {"email": email})

    _same(tries(victim.email), tries("nobody-at-all@example.com"))


def test_an_attacker_wants_to_use_a_made_up_link(world: World, forger: Any):
    for token in ("x", forger.sign({"sub": NOBODY}), "WyJhIl0.AAAA.BBBB", "x" * 3_000):
        body = {"token": token, "password": "correct horse"}
        world.visitor().post("/api/users/password/reset", body).expect(400)
        world.visitor().post("/api/users/verification/confirm", body).expect(400)
        world.visitor().post("/api/users/email/confirm", body).expect(400)
