"""Webhooks: signed as Stripe signs them, sent again with growing delay until they are taken."""

import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from dev.stripe.store import Delivery, Store

THREADS = 4
TIMEOUT = 10
LONGEST_WAIT = 60
GIVE_UP_AFTER = 3 * 24 * 3600


@dataclass(frozen=True)
class Target:
    """Where webhooks go; `first_wait` seconds pass before the first retry, then twice as many."""

    url: str
    secret: str
    first_wait: float


def signature(payload: str, secret: str, timestamp: int) -> str:
    digest = hmac.new(secret.encode(), f"{timestamp}.{payload}".encode(), hashlib.sha256)
    return f"t={timestamp},v1={digest.hexdigest()}"


class Courier:
    """Delivers what is due. Events of one PaymentIntent go one after the other."""

    def __init__(self, store: Store, target: Target) -> None:
        self._store = store
        self._target = target
        self._news = threading.Condition()
        self._busy: set[str] = set()

    def start(self) -> None:
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"courier-{number}", daemon=True).start()

    def wake(self) -> None:
        with self._news:
            self._news.notify()

    def _work(self) -> None:
        while True:
            delivery = self._claim()
            try:
                self._deliver(delivery)
            finally:
                self._release(delivery)

    def _claim(self) -> Delivery:
        """Sleep until a delivery is due and make it this thread's."""
        with self._news:
            while True:
                with self._store.reading() as session:
                    delivery = session.next_delivery(list(self._busy))
                wait = delivery.due - time.time() if delivery else None
                if delivery and wait is not None and wait <= 0:
                    self._busy.add(delivery.intent)
                    return delivery
                self._news.wait(wait)

    def _release(self, delivery: Delivery) -> None:
        with self._news:
            self._busy.discard(delivery.intent)
            self._news.notify()

    def _deliver(self, delivery: Delivery) -> None:
        taken, answer = self._post(delivery.body)
        now = time.time()
        state, due = "delivered", delivery.due
        if not taken:
            wait = min(self._target.first_wait * 2**delivery.attempts, LONGEST_WAIT)
            too_old = now - json.loads(delivery.body)["created"] > GIVE_UP_AFTER
            state, due = ("failed" if too_old else "pending"), now + wait
        with self._store.transaction() as session:
            session.note_delivery(delivery, state, due, answer)

    def _post(self, payload: str) -> tuple[bool, str]:
        target = urlsplit(self._target.url)
        connect = HTTPSConnection if target.scheme == "https" else HTTPConnection
        connection = connect(target.netloc, timeout=TIMEOUT)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(payload, self._target.secret, int(time.time())),
            "User-Agent": "Stripe/1.0 (development emulator)",
        }
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        try:
            connection.request("POST", path, payload.encode(), headers)
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            return False, f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        return 200 <= status < 300, str(status)
