"""The JSON contract as clients see it, and what the gateway lets through."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.system.http import Answer
from tests.system.world import CAREFUL_CARD, Person, World

HEX = re.compile(r"[0-9a-f]{24}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TICKET = {"id", "title", "price", "currency", "quantity", "available", "userId", "version"}
ORDER = {
    "id", "status", "userId", "quantity", "total", "currency", "expiresAt", "version", "ticket",
}  # fmt: skip
FULL = {"venue": "Pier 9", "startsAt": "2031-05-01T20:00:00.000Z", "description": "Bring a coat."}


def test_a_ticket_has_exactly_the_keys_of_the_contract(seller: Person):
    ticket = seller.post("/api/tickets", {"title": "Small", "price": 20.5}).expect(201).json
    assert ticket.keys() == TICKET
    assert HEX.fullmatch(ticket["id"])
    assert ticket == {
        **ticket,
        "title": "Small",
        "price": 20.5,
        "currency": "usd",
        "quantity": 1,
        "available": 1,
        "userId": seller.id,
        "version": 0,
    }
    assert seller.get(f"/api/tickets/{ticket['id']}").expect(200).json.keys() == TICKET


def test_what_a_seller_adds_comes_back_as_it_was(seller: Person):
    ticket = seller.sells(**FULL)
    assert ticket.keys() == TICKET | FULL.keys()
    assert {name: ticket[name] for name in FULL} == FULL


def test_a_reserved_ticket_names_its_order(seller: Person, buyer: Person):
    ticket = seller.sells()
    order = buyer.reserves(ticket)
    reserved = seller.sees_ticket(ticket, available=0)
    assert reserved.keys() == TICKET | {"orderId"}
    buyer.cancels(order).expect(204)
    assert seller.sees_ticket(ticket, available=1).keys() == TICKET


def test_an_order_has_exactly_the_keys_of_the_contract(seller: Person, buyer: Person):
    ticket = seller.sells(price=20, quantity=3)
    answer = buyer.asks_for(ticket, 2).expect(201)
    order = answer.json
    assert order.keys() == ORDER
    assert TIME.fullmatch(order["expiresAt"])
    assert datetime.fromisoformat(order["expiresAt"]) > datetime.now(UTC)
    assert order == {
        **order,
        "status": "created",
        "userId": buyer.id,
        "quantity": 2,
        "total": 40,
        "currency": "usd",
        "version": 0,
        "ticket": {"id": ticket["id"], "title": ticket["title"], "price": 20, "version": 0},
    }
    buyer.cancels(order).expect(204)
    cancelled = buyer.order(order)
    assert cancelled.keys() == ORDER | {"reason"}
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "buyer")
    assert buyer.get("/api/orders").json[0] == cancelled


@pytest.mark.parametrize(("price", "text"), [(20, "20"), (20.5, "20.5"), (19.99, "19.99")])
def test_amounts_are_written_the_same_everywhere(
    seller: Person, buyer: Person, price: float, text: str
):
    def amount(answer: Answer, name: str) -> str:
        (found,) = re.findall(rf'"{name}":([0-9.]+)', answer.text)
        return found

    created = seller.post("/api/tickets", {"title": "Exact", "price": price}).expect(201)
    assert amount(created, "price") == text
    reserved = buyer.asks_for(created.json).expect(201)
    assert amount(reserved, "total") == text
    assert amount(reserved, "price") == text
    paid = buyer.pays(reserved.json)
    assert amount(buyer.get(f"/api/payments/{paid['id']}").expect(200), "amount") == text


def test_a_payment_has_exactly_the_keys_of_the_contract(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    paid = buyer.pays(order)
    assert paid.keys() == {"id", "status"}
    assert HEX.fullmatch(paid["id"])
    payment = buyer.sees_payment(paid, status="paid")
    assert payment == {
        "id": paid["id"],
        "orderId": order["id"],
        "status": "paid",
        "amount": 20,
        "currency": "usd",
    }


def test_a_payment_that_asks_the_bank_says_where(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    answer = buyer.offers_card(order, CAREFUL_CARD).expect(202).json
    assert answer.keys() == {"id", "status", "clientSecret", "redirectUrl"}
    assert answer["status"] == "requires_action"


def test_an_account_has_exactly_the_keys_of_the_contract(world: World):
    body = {"email": "keys@example.com", "password": "correct horse battery"}
    visitor = world.visitor()
    answer = visitor.post("/api/users/signup", body).expect(201)
    assert answer.json.keys() == {"id", "email"}
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert visitor.post("/api/users/signout").expect(200).json == {}


def test_the_list_is_paged_by_link(seller: Person, world: World):
    for number in range(3):
        seller.sells(title=f"Paged {number}", quantity=2)
    visitor, seen = world.visitor(), list[str]()
    path: str | None = "/api/tickets?limit=2&q=Paged"
    while path:
        page = visitor.get(path).expect(200)
        assert len(page.json) <= 2
        seen += [ticket["title"] for ticket in page.json]
        match = re.fullmatch(r'<(.+)>; rel="next"', page.headers.get("link", ""))
        path = match[1] if match else None
    assert seen == ["Paged 2", "Paged 1", "Paged 0"]


def test_a_change_is_based_on_the_version_that_was_seen(seller: Person):
    ticket = seller.sells(quantity=2)
    path = f"/api/tickets/{ticket['id']}"
    tag = seller.get(path).headers["etag"]
    assert re.fullmatch(r'"0-\d+"', tag)
    body = {"title": "Newer", "price": 30, "quantity": 2}
    changed = seller.put(path, body, If_Match=tag).expect(200)
    assert changed.json["version"] == 1
    seller.put(path, body, If_Match=tag).expect(412)
    assert seller.get(path).json["version"] == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/tickets/x"),
        ("GET", f"/api/tickets/{'0' * 24}"),
        ("GET", "/api/orders/x"),
        ("GET", f"/api/orders/{'0' * 24}"),
        ("DELETE", f"/api/orders/{'0' * 24}"),
        ("GET", f"/api/payments/{'0' * 24}"),
        ("DELETE", f"/api/tickets/{'0' * 24}"),
    ],
)
def test_what_is_not_there_is_not_found(buyer: Person, method: str, path: str):
    answer = buyer.send(method, path).expect(404)
    assert answer.json.keys() == {"errors"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/users/signup", {"POST"}),
        ("/api/tickets", {"GET", "HEAD", "POST"}),
        ("/api/orders", {"GET", "HEAD", "POST"}),
        ("/api/payments", {"POST"}),
    ],
)
def test_a_wrong_method_says_which_are_right(buyer: Person, path: str, allowed: set[str]):
    answer = buyer.send("PATCH", path).expect(405)
    assert set(answer.headers["allow"].split(", ")) == allowed | {"OPTIONS"}
    assert answer.json.keys() == {"errors"}


@pytest.mark.parametrize(
    "path", ["/api/users/signin", "/api/tickets", "/api/orders", "/api/payments"]
)
@pytest.mark.parametrize("body", ["no json", "[]", '{"price": NaN}'])
def test_every_service_refuses_what_is_no_object(seller: Person, path: str, body: str):
    answer = seller.send("POST", path, body).expect(400)
    assert answer.message.startswith("The body must be ")


# --- the gateway ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize(
    "prefix", ["", "/api/users", "/api/tickets", "/api/orders", "/api/payments", "/account"]
)
def test_health_and_metrics_are_not_reachable(world: World, prefix: str, path: str):
    answer = world.visitor().get(prefix + path)
    assert answer.status in (303, 401, 404)
    assert '"checks"' not in answer.text
    assert "# TYPE" not in answer.text


@pytest.mark.parametrize("path", ["/api", "/api/expiration", "/control", "/v1/payment_intents"])
def test_nothing_else_is_routed(world: World, path: str):
    world.visitor().get(path).expect(404)


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("users", "/api/users/signup"),
        ("tickets", "/api/tickets/{ticket_id}"),
        ("orders", "/api/orders/{order_id}"),
        ("payments", "/api/payments"),
    ],
)
def test_every_service_documents_its_routes(world: World, service: str, path: str):
    document: Any = world.visitor().get(f"/api/{service}/openapi.json").expect(200).json
    assert document["openapi"].startswith("3.")
    assert path in document["paths"]
    page = world.visitor().get(f"/api/{service}/docs").expect(200)
    assert path in page.text


def test_one_page_documents_them_all(world: World):
    page = world.visitor().get("/api/docs").expect(200)
    for service in ("users", "tickets", "orders", "payments"):
        assert f"/api/{service}/docs" in page.text
