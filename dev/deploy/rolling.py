"""Replaces the web server of orders while people buy, and counts the requests that fail."""

import secrets
import threading
from collections import Counter
from typing import Any

from dev.deploy.commands import CommandError, run
from dev.deploy.engine import Engine, wait
from dev.deploy.sale import Person, put_on_sale

BUYERS = 4
SERVICE = "orders"
FIRST, AGAIN = "at once", "when repeated"
# Who reserves too fast is told so, and that is an answer as well.
ANSWERED = ("200", "201", "204", "429")
# The gateway lost its connection, or the service says that its database is busy.
PASSING = ("502", "503", "ConnectionResetError", "RemoteDisconnected")


class Buyers:
    """People who reserve, look and give up, again and again."""

    def __init__(self, base: str) -> None:
        self._base = base
        seller = Person(base).signs_in_to_sell()
        self._ticket = put_on_sale(seller, quantity=1000)
        self._stop = threading.Event()
        self.answers: Counter[str] = Counter()
        self.trouble: Counter[str] = Counter()
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._buy) for _ in range(BUYERS)]

    def __enter__(self) -> "Buyers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _buy(self) -> None:
        person = Person(self._base).signs_up()
        while not self._stop.wait(0.02):
            body = {"ticketId": self._ticket}
            # The key makes a repetition harmless, as every client is told to send one.
            order = self._ask(person, "POST", "/api/orders", body, secrets.token_hex(8))
            if isinstance(order, dict) and "id" in order:
                self._ask(person, "GET", f"/api/orders/{order['id']}")
                self._ask(person, "DELETE", f"/api/orders/{order['id']}")
            else:
                self._ask(person, "GET", "/api/orders")
        person.close()

    def _ask(
        self, person: Person, method: str, path: str, body: object = None, key: str = ""
    ) -> Any:
        """Ask, and once more where that may help; count how it went."""
        for outcome in (FIRST, AGAIN):
            status, answer = _attempt(person, method, path, body, key)
            if status in ANSWERED:
                self.answers[outcome] += 1
                return answer
            self.trouble[f"{method} {status}"] += 1
            if status not in PASSING:
                break
            self._stop.wait(1)
        self.failed.append(f"{method} {path}: {status}")
        return None


def _attempt(person: Person, method: str, path: str, body: object, key: str) -> tuple[str, Any]:
    try:
        status, answer = person.ask(method, path, body, key)
    except OSError as error:
        person.close()
        return type(error).__name__, None
    return str(status), answer


def roll(engine: Engine, base: str) -> str:
    """Start a second container, wait until it is ready, take the first away. Says what happened."""
    (old,) = engine.containers(SERVICE)
    scale = ("up", "-d", "--no-build", "--no-recreate", "--no-deps", "--scale", f"{SERVICE}=2")
    with Buyers(base) as buyers:
        engine.compose(*scale, SERVICE)
        wait("the second container is healthy", lambda: _healthy(engine) == 2)
        _let_buy(buyers, 50)
        run("docker", "stop", old)
        run("docker", "rm", old)
        _let_buy(buyers, 100)
    if buyers.failed:
        raise CommandError(f"{len(buyers.failed)} requests failed: {', '.join(buyers.failed[:5])}")
    first, again = buyers.answers[FIRST], buyers.answers[AGAIN]
    trouble = ", ".join(f"{count} {what}" for what, count in buyers.trouble.items())
    return (
        f"{first} requests at once, {again} when repeated ({trouble or 'no trouble'}), none failed"
    )


def _healthy(engine: Engine) -> int:
    return sum(engine.is_healthy(container) for container in engine.containers(SERVICE))


def _let_buy(buyers: Buyers, count: int) -> None:
    begun = buyers.answers[FIRST]
    wait(f"{count} more requests", lambda: buyers.answers[FIRST] > begun + count)
