"""The JSON door."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.errors import AutoReconnect
from werkzeug.test import TestResponse

from apps.orders import create_app
from apps.orders.api import MOST_UNITS
from apps.orders.store import Orders as OrderStore
from shared import patience
from tests.identity import identity, sign
from tests.orders.world import BUYER, OTHER, PAIR, TICKET, World, settings, user

UNKNOWN = "0de2000000000000000000ff"


@pytest.fixture
def app(memory: World, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setattr(patience, "PATIENCE", 0)
    memory.sells(20)
    return create_app(settings(), memory.service, identity())


@pytest.fixture
def buyer(app: Flask) -> FlaskClient:
    return signed_in(app, BUYER)


@pytest.fixture
def other(app: Flask) -> FlaskClient:
    return signed_in(app, OTHER)


def signed_in(app: Flask, user_id: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie("session", sign(user_id))
    return client


def order_of(client: FlaskClient, **body: Any) -> Any:
    answer = client.post("/api/orders", json={"ticketId": TICKET, **body})
    assert answer.status_code == 201, answer.text
    return answer.json


def problems(answer: TestResponse) -> list[tuple[str | None, str]]:
    assert answer.json is not None
    assert set(answer.json) == {"errors"}
    return [(error.get("field"), error["message"]) for error in answer.json["errors"]]


# --- reserving ------------------------------------------------------------------------------------


def test_a_new_order(buyer: FlaskClient) -> None:
    answer = buyer.post("/api/orders", json={"ticketId": TICKET, "quantity": 2})
    assert answer.status_code == 201
    order = answer.json
    assert order is not None
    assert len(order.pop("id")) == 24
    assert order == {
        "status": "created",
        "userId": BUYER,
        "quantity": 2,
        "total": 39,
        "currency": "usd",
        "expiresAt": "2027-05-01T20:15:00.000Z",
        "version": 0,
        "ticket": {"id": TICKET, "title": "Concert", "price": 19.5, "version": 0},
    }


def test_one_unit_unless_more_are_asked_for(buyer: FlaskClient) -> None:
    assert order_of(buyer)["quantity"] == 1


def test_a_client_without_cookies(app: Flask) -> None:
    headers = {"Authorization": f"Bearer {sign(BUYER)}"}
    answer = app.test_client().post("/api/orders", json={"ticketId": TICKET}, headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("ticketId", "ticketId is required")]),
        ({"ticketId": ""}, [("ticketId", "ticketId is required")]),
        ({"ticketId": 7}, [("ticketId", "ticketId must be a text")]),
        ({"ticketId": None}, [("ticketId", "ticketId must be a text")]),
        ({"ticketId": {"$ne": ""}}, [("ticketId", "ticketId must be a text")]),
        ({"ticketId": TICKET, "quantity": 0}, [("quantity", "quantity must be at least 1")]),
        ({"ticketId": TICKET, "quantity": -1}, [("quantity", "quantity must be at least 1")]),
        (
            {"ticketId": TICKET, "quantity": MOST_UNITS + 1},
            [("quantity", f"quantity must be at most {MOST_UNITS}")],
        ),
        ({"ticketId": TICKET, "quantity": "2"}, [("quantity", "quantity must be a whole number")]),
        ({"ticketId": TICKET, "quantity": 1.5}, [("quantity", "quantity must be a whole number")]),
        ({"ticketId": TICKET, "quantity": True}, [("quantity", "quantity must be a whole number")]),
        ({"ticketId": TICKET, "quantity": None}, [("quantity", "quantity must be a whole number")]),
        (
            {"quantity": []},
            [
                ("ticketId", "ticketId is required"),
                ("quantity", "quantity must be a whole number"),
            ],
        ),
    ],
    ids=str,
)
def test_wrong_fields(buyer: FlaskClient, memory: World, body: Any, expected: Any) -> None:
    answer = buyer.post("/api/orders", json=body)
    assert answer.status_code == 400
    assert problems(answer) == expected
    assert memory.orders() == []


@pytest.mark.parametrize("body", ["", "no JSON", "[]", '"text"', "null", "{", '{"ticketId": NaN}'])
def test_a_body_that_is_no_object(buyer: FlaskClient, body: str) -> None:
    answer = buyer.post("/api/orders", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert "JSON" in problems(answer)[0][1]


def test_nobody_sets_what_is_not_theirs(buyer: FlaskClient) -> None:
    order = order_of(buyer, status="complete", userId=OTHER, total=0, version=9, reason="buyer")
    assert (order["status"], order["userId"], order["version"]) == ("created", BUYER, 0)
    assert order["total"] == 19.5


@pytest.mark.parametrize("ticket_id", ["x", "71c4e70", TICKET.upper(), "../etc", TICKET + "0"])
def test_a_malformed_ticket_id(buyer: FlaskClient, ticket_id: str) -> None:
    answer = buyer.post("/api/orders", json={"ticketId": ticket_id})
    assert (answer.status_code, problems(answer)) == (404, [(None, "Not found")])


def test_an_unknown_ticket_may_be_on_its_way(buyer: FlaskClient) -> None:
    answer = buyer.post("/api/orders", json={"ticketId": UNKNOWN})
    assert (answer.status_code, answer.headers["Retry-After"]) == (404, "1")


def test_sold_out(buyer: FlaskClient, other: FlaskClient) -> None:
    order_of(other, quantity=10)
    order_of(other, quantity=8)
    answer = buyer.post("/api/orders", json={"ticketId": TICKET, "quantity": 3})
    assert (answer.status_code, problems(answer)) == (400, [("quantity", "Only 2 left")])
    order_of(other, quantity=2)
    answer = buyer.post("/api/orders", json={"ticketId": TICKET})
    assert (answer.status_code, problems(answer)) == (400, [(None, "Sold out")])


def test_more_than_one_person_may_have(buyer: FlaskClient, memory: World) -> None:
    memory.sells(50, limit_per_person=4)
    order_of(buyer, quantity=3)
    answer = buyer.post("/api/orders", json={"ticketId": TICKET, "quantity": 2})
    left = "quantity must be at most 1: you have 3 already, and one person may have at most 4"
    assert (answer.status_code, problems(answer)) == (400, [("quantity", left)])
    assert order_of(buyer, quantity=1)["quantity"] == 1


def test_a_reserved_ticket(buyer: FlaskClient, other: FlaskClient, memory: World) -> None:
    memory.sells(1)
    order_of(other)
    answer = buyer.post("/api/orders", json={"ticketId": TICKET})
    assert answer.status_code == 400
    assert problems(answer) == [(None, "Ticket is already reserved")]


def test_the_same_key(buyer: FlaskClient, other: FlaskClient) -> None:
    headers, body = {"Idempotency-Key": "one"}, {"ticketId": TICKET}
    first = buyer.post("/api/orders", json=body, headers=headers)
    again = buyer.post("/api/orders", json={**body, "quantity": 1}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    changed = buyer.post("/api/orders", json={**body, "quantity": 2}, headers=headers)
    assert changed.status_code == 422
    assert problems(changed)[0][0] == "Idempotency-Key"
    others = other.post("/api/orders", json=body, headers=headers)
    assert first.json is not None
    assert others.json is not None
    assert others.json["id"] != first.json["id"]


@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
def test_a_key_that_can_not_be_one(buyer: FlaskClient, key: str) -> None:
    headers = {"Idempotency-Key": key}
    answer = buyer.post("/api/orders", json={"ticketId": TICKET}, headers=headers)
    assert (answer.status_code, problems(answer)[0][0]) == (400, "Idempotency-Key")


# --- who may --------------------------------------------------------------------------------------

ROUTES = [
    ("POST", "/api/orders"),
    ("GET", "/api/orders"),
    ("GET", f"/api/orders/{UNKNOWN}"),
    ("DELETE", f"/api/orders/{UNKNOWN}"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_who_is_not_signed_in(app: Flask, method: str, path: str) -> None:
    answer = app.test_client().open(path, method=method, json={"ticketId": TICKET})
    assert (answer.status_code, problems(answer)) == (401, [(None, "Not signed in")])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_other_peoples_orders(
    buyer: FlaskClient, other: FlaskClient, memory: World, method: str
) -> None:
    order = order_of(buyer)
    answer = other.open(f"/api/orders/{order['id']}", method=method)
    assert answer.status_code == 403
    assert problems(answer) == [(None, "This is somebody else's order")]
    assert memory.orders()[0].status == "created"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("order_id", [UNKNOWN, "x", "%00", UNKNOWN.upper(), UNKNOWN + "0"])
def test_orders_that_are_not_there(buyer: FlaskClient, method: str, order_id: str) -> None:
    answer = buyer.open(f"/api/orders/{order_id}", method=method)
    assert answer.status_code == 404
    assert problems(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_requests_from_other_sites(
    buyer: FlaskClient, memory: World, headers: dict[str, str]
) -> None:
    order = order_of(buyer)
    created = buyer.post("/api/orders", json={"ticketId": TICKET}, headers=headers)
    deleted = buyer.delete(f"/api/orders/{order['id']}", headers=headers)
    assert (created.status_code, deleted.status_code) == (403, 403)
    assert [order.status for order in memory.orders()] == ["created"]


# --- looking and cancelling -----------------------------------------------------------------------


def test_one_order(buyer: FlaskClient) -> None:
    order = order_of(buyer)
    answer = buyer.get(f"/api/orders/{order['id']}")
    assert (answer.status_code, answer.json) == (200, order)
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_a_cancelled_and_a_refunded_order_say(buyer: FlaskClient, memory: World) -> None:
    cancelled, sold = order_of(buyer), order_of(buyer)
    buyer.delete(f"/api/orders/{cancelled['id']}")
    memory.service.commit(sold["id"], PAIR)
    memory.service.complete(sold["id"], PAIR)
    memory.service.refund(sold["id"], PAIR, 550)
    assert buyer.get(f"/api/orders/{cancelled['id']}").json == {
        **cancelled,
        "status": "cancelled",
        "reason": "buyer",
        "version": 1,
    }
    assert buyer.get(f"/api/orders/{sold['id']}").json == {
        **sold,
        "status": "complete",
        "refunded": 5.5,
        "version": 3,
    }


def test_cancelling(buyer: FlaskClient, memory: World) -> None:
    order = order_of(buyer, quantity=3)
    for _ in range(2):
        answer = buyer.delete(f"/api/orders/{order['id']}")
        assert (answer.status_code, answer.data) == (204, b"")
    assert memory.free() == 20


def test_what_is_being_paid_or_paid_can_not_be_cancelled(buyer: FlaskClient, memory: World) -> None:
    order = order_of(buyer)
    memory.service.commit(order["id"], PAIR)
    answer = buyer.delete(f"/api/orders/{order['id']}")
    assert (answer.status_code, "being confirmed" in problems(answer)[0][1]) == (400, True)
    memory.service.complete(order["id"], PAIR)
    answer = buyer.delete(f"/api/orders/{order['id']}")
    assert (answer.status_code, "paid" in problems(answer)[0][1]) == (400, True)


@pytest.mark.parametrize(
    ("path", "method"), [("/api/orders", "PUT"), (f"/api/orders/{UNKNOWN}", "POST")]
)
def test_a_wrong_method(buyer: FlaskClient, path: str, method: str) -> None:
    answer = buyer.open(path, method=method)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


# --- lists ----------------------------------------------------------------------------------------


def listed(client: FlaskClient, path: str) -> tuple[list[str], str | None]:
    """The ids of a page, and the address of the next one."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    link = answer.headers.get("Link")
    if link is None:
        return [order["id"] for order in answer.json], None
    address, _, relation = link.partition("; ")
    assert relation == 'rel="next"'
    return [order["id"] for order in answer.json], address.strip("<>")


def test_my_orders_newest_first(buyer: FlaskClient, other: FlaskClient, memory: World) -> None:
    mine: list[str] = []
    for _ in range(3):
        mine.append(order_of(buyer)["id"])
        order_of(other)
        memory.passes(timedelta(seconds=1))
    assert listed(buyer, "/api/orders") == (mine[::-1], None)


def test_page_by_page(buyer: FlaskClient, memory: World) -> None:
    orders = [memory.service.place(user(), TICKET, 1, None) for _ in range(7)]
    wanted = [order.id for order in sorted(orders, key=lambda o: (o.created_at, o.id))][::-1]
    pages: list[list[str]] = []
    path: str | None = "/api/orders?limit=3"
    while path:
        page, path = listed(buyer, path)
        pages.append(page)
    assert pages == [wanted[:3], wanted[3:6], wanted[6:]]


def test_a_full_last_page_has_no_next_one(buyer: FlaskClient) -> None:
    for _ in range(2):
        order_of(buyer)
    assert listed(buyer, "/api/orders?limit=2")[1] is None


def test_many_orders_of_the_same_moment(buyer: FlaskClient, memory: World) -> None:
    """The list goes on behind more of them than any page has."""
    memory.sells(100)
    placed = {memory.service.place(user(), TICKET, 1, None).id for _ in range(60)}
    seen: list[str] = []
    path: str | None = "/api/orders?limit=5"
    while path:
        page, path = listed(buyer, path)
        seen += page
    assert (len(seen), set(seen)) == (60, placed)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("after=forged", "after"),
        ("after=WyIyMDI3Il0.AAAA", "after"),
    ],
)
def test_wrong_pages(buyer: FlaskClient, query: str, field: str) -> None:
    answer = buyer.get(f"/api/orders?{query}")
    assert (answer.status_code, problems(answer)[0][0]) == (400, field)


def test_the_document_describes_the_routes(buyer: FlaskClient) -> None:
    document = buyer.get("/api/orders/openapi.json").json
    assert document is not None
    assert {"/api/orders", "/api/orders/{order_id}"} <= set(document["paths"])


def test_a_database_that_is_away(buyer: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object) -> None:
        raise AutoReconnect

    monkeypatch.setattr(OrderStore, "of_user", away)
    answer = buyer.get("/api/orders")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
