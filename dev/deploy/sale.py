"""A sale over HTTP, as a buyer and a seller see it: what must work wherever the system runs."""

import http.client
import json
import secrets
import time
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from dev.seed import PASSWORD, SELLER

SECONDS = 30.0  # until what follows from a request must have happened


class SaleError(Exception):
    """The system answered otherwise than it must; the text says what was asked."""


class Person:
    """Somebody with an account and a connection that is kept open, as browsers do."""

    def __init__(self, base: str) -> None:
        self._address = urlsplit(base).netloc
        self._connection = http.client.HTTPConnection(self._address, timeout=20)
        self._cookies: SimpleCookie = SimpleCookie()

    def signs_up(self) -> "Person":
        account = {"email": f"{secrets.token_hex(6)}@example.com", "password": secrets.token_hex(8)}
        self.must(201, "POST", "/api/users/signup", account)
        return self

    def signs_in_to_sell(self) -> "Person":
        """As the demo seller: a new one would have to confirm an address first."""
        self.must(200, "POST", "/api/users/signin", {"email": SELLER, "password": PASSWORD})
        return self

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        kept = "; ".join(f"{cookie.key}={cookie.value}" for cookie in self._cookies.values())
        headers = {"Cookie": kept} if kept else {}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        headers |= {"Idempotency-Key": key} if key else {}
        payload = json.dumps(body) if body is not None else None
        self._connection.request(method, path, payload, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self._cookies.load(cookie)
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(text) if is_json else text.decode()

    def must(self, status: int, method: str, path: str, body: Any = None) -> Any:
        found, answer = self.ask(method, path, body)
        if found != status:
            raise SaleError(f"{method} {path}: {found} instead of {status}: {answer}")
        return answer

    def until(self, path: str, name: str, value: Any) -> None:
        deadline = time.monotonic() + SECONDS
        while (found := self.must(200, "GET", path)[name]) != value:
            if time.monotonic() > deadline:
                raise SaleError(f"{path}: {name} is {found!r} and not {value!r}")
            time.sleep(0.1)

    def close(self) -> None:
        self._connection.close()

    def reserve(self, ticket: str) -> str:
        """Reserve a ticket that may be so new that orders has not heard of it yet."""
        deadline = time.monotonic() + SECONDS
        while True:
            status, order = self.ask("POST", "/api/orders", {"ticketId": ticket})
            if status == 201:
                return order["id"]
            if status != 404 or time.monotonic() > deadline:
                raise SaleError(f"POST /api/orders: {status} instead of 201: {order}")
            time.sleep(1)


def put_on_sale(seller: Person, quantity: int = 1) -> str:
    ticket = {"title": "Check", "price": 19.99, "quantity": quantity}
    return seller.must(201, "POST", "/api/tickets", ticket)["id"]


def sell(base: str) -> None:
    """One ticket: reserved, refused to another, declined, paid, complete. Raises SaleError."""
    seller, buyer = Person(base).signs_in_to_sell(), Person(base).signs_up()
    ticket = put_on_sale(seller)
    order = buyer.reserve(ticket)
    seller.must(400, "POST", "/api/orders", {"ticketId": ticket})
    declined = {"orderId": order, "token": "tok_chargeDeclined"}
    buyer.must(400, "POST", "/api/payments", declined)
    paid = buyer.must(201, "POST", "/api/payments", {"orderId": order, "token": "tok_visa"})
    buyer.until(f"/api/orders/{order}", "status", "complete")
    buyer.until(f"/api/payments/{paid['id']}", "amount", 19.99)
    seller.until(f"/api/tickets/{ticket}", "available", 0)
    _cancel(seller, buyer)
    for person in (seller, buyer):
        person.close()


def _cancel(seller: Person, buyer: Person) -> None:
    """A reservation that is given up can be bought by somebody else."""
    ticket = put_on_sale(seller)
    order = buyer.reserve(ticket)
    buyer.must(204, "DELETE", f"/api/orders/{order}")
    seller.must(201, "POST", "/api/orders", {"ticketId": ticket})
