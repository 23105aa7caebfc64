"""People who sell and buy, in the words that the tests use."""

import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any, TypeVar

from tests.system.http import Answer, Client
from tests.waiting import wait_until

T = TypeVar("T")
P = TypeVar("P")

PASSWORD = "correct horse battery"
GOOD_CARD = "tok_visa"
DECLINED_CARD = "tok_chargeDeclined"
POOR_CARD = "tok_chargeDeclinedInsufficientFunds"
CAREFUL_CARD = "tok_threeDSecure2Required"
Json = dict[str, Any]


@dataclass
class Person(Client):
    """Somebody with an account."""

    email: str = ""
    id: str = ""

    # --- selling

    def sells(self, **details: object) -> Json:
        """Put a ticket on sale."""
        return self.post("/api/tickets", offer(**details)).expect(201).json

    def edits(self, ticket: Json, **details: object) -> Answer:
        return self.put(f"/api/tickets/{ticket['id']}", offer(**details))

    def availability(self, ticket: Json) -> str:
        """Which announcement of orders the ticket shows."""
        tag = self.get(f"/api/tickets/{ticket['id']}").expect(200).headers["etag"]
        return tag.strip('"').partition("-")[2]

    def withdraws(self, ticket: Json) -> None:
        self.delete(f"/api/tickets/{ticket['id']}").expect(204)

    # --- buying

    def asks_for(self, ticket: Json, quantity: int = 1, **headers: str) -> Answer:
        """Try to reserve."""
        body = {"ticketId": ticket["id"], "quantity": quantity}
        return self.post("/api/orders", body, **headers)

    def reserves(self, ticket: Json, quantity: int = 1) -> Json:
        """Reserve, as soon as orders knows the ticket; one request does not wait for long."""
        answer = _once_known(lambda: self.asks_for(ticket, quantity), "orders to know the ticket")
        return answer.expect(201).json

    def offers_card(self, order: Json, card: str = GOOD_CARD, **headers: str) -> Answer:
        """Try to pay, as soon as payments knows the order."""
        body = {"orderId": order["id"], "token": card}
        return _once_known(
            lambda: self.post("/api/payments", body, **headers), "payments to know the order"
        )

    def pays(self, order: Json, card: str = GOOD_CARD) -> Json:
        return self.offers_card(order, card).expect(201).json

    def cancels(self, order: Json) -> Answer:
        return self.delete(f"/api/orders/{order['id']}")

    def order(self, order: Json) -> Json:
        return self.get(f"/api/orders/{order['id']}").expect(200).json

    def payment(self, paid: Json) -> Json:
        return self.get(f"/api/payments/{paid['id']}").expect(200).json

    # --- waiting

    def sees_order(self, order: Json, seconds: float = 15.0, **wanted: object) -> Json:
        """The order, once it looks as wanted."""
        return _seen(lambda: self.order(order), wanted, seconds)

    def sees_payment(self, paid: Json, seconds: float = 15.0, **wanted: object) -> Json:
        return _seen(lambda: self.payment(paid), wanted, seconds)

    def sees_ticket(self, ticket: Json, seconds: float = 15.0, **wanted: object) -> Json:
        return _seen(lambda: self.get(f"/api/tickets/{ticket['id']}").json, wanted, seconds)


def _once_known(ask: Callable[[], Answer], what: str) -> Answer:
    """The answer, once it is not 404 any more."""

    def known() -> Answer | None:
        answer = ask()
        return None if answer.status == 404 else answer

    return wait_until(known, what)


def _seen(look: Callable[[], Json], wanted: Json, seconds: float) -> Json:
    last: Json = {}

    def there() -> Json | None:
        last.clear()
        last.update(look())
        return last if all(last.get(name) == value for name, value in wanted.items()) else None

    try:
        return dict(wait_until(there, f"{wanted}", seconds) or {})
    except AssertionError:
        raise AssertionError(f"not within {seconds} s: {wanted}; last seen: {last}") from None


def offer(**details: object) -> Json:
    return {"title": "A concert", "price": 20, **details}


@dataclass(frozen=True)
class Elsewhere:
    """A system of which nothing is known but its address."""

    url: str


@dataclass
class World:
    """A running system, and the people who use it."""

    stack: Any  # a Stack; Elsewhere for tests that need nothing but the address
    _crowd: list[Person] = field(default_factory=list[Person])

    def visitor(self) -> Client:
        return Client(self.stack.url)

    def person(self) -> Person:
        """Somebody who has just signed up."""
        email = f"{secrets.token_hex(6)}@example.com"
        person = Person(self.stack.url, email=email)
        account = person.post("/api/users/signup", {"email": email, "password": PASSWORD})
        person.id = account.expect(201).json["id"]
        return person

    def known(self, email: str, password: str) -> Person:
        """Somebody who has an account already."""
        person = Person(self.stack.url, email=email)
        account = person.post("/api/users/signin", {"email": email, "password": password})
        person.id = account.expect(200).json["id"]
        return person

    def until_answered(
        self, ask: Callable[[], Answer], status: int, seconds: float = 15.0
    ) -> Answer:
        """Ask again and again, until the answer has this status."""
        answers: list[Answer] = []

        def right() -> bool:
            answers.append(ask())
            return answers[-1].status == status

        wait_until(right, f"status {status}", seconds)
        return answers[-1]

    def crowd(self, count: int) -> list[Person]:
        """So many different people; the same ones each time, as signing up is slow on purpose."""
        missing = count - len(self._crowd)
        with ThreadPoolExecutor(4) as pool:
            self._crowd += pool.map(lambda _: self.person(), range(missing))
        return self._crowd[:count]


def at_once(act: Callable[[P], T], people: Iterable[P]) -> list[T]:
    """Everybody does it at the same instant."""
    crowd = list(people)
    ready = Barrier(len(crowd))

    def together(one: P) -> T:
        ready.wait(30)
        return act(one)

    with ThreadPoolExecutor(len(crowd)) as pool:
        return list(pool.map(together, crowd))
