"""A careful client: keeps its connection, retries under the same key, notes every answer."""

import http.client
import json
import threading
import time
from typing import Any

from dev.chaos.history import Answer, History

TIMEOUT = 12.0  # seconds; then the outcome is unknown and the request is sent again
PATIENCE = 90.0  # seconds that one thing is tried before it is given up
PASSWORD = "correct-horse-battery"


class GaveUpError(Exception):
    """No definite answer came in all the time that the client had."""


class Client:
    """One person at one device; only one thread may use it."""

    def __init__(self, port: int, who: str, history: History) -> None:
        self._port, self.who, self._history = port, who, history
        self._connection = self._new_connection()
        self.user = ""
        self.cookie = ""

    def _new_connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)

    def close(self) -> None:
        self._connection.close()

    def another(self, tab: str) -> "Client":
        """The same person in a second tab."""
        client = Client(self._port, f"{self.who}/{tab}", self._history)
        client.user, client.cookie = self.user, self.cookie
        return client

    def sign_up(self, email: str) -> None:
        """Open an account; one whose making was not acknowledged is signed in to."""
        account = {"email": email, "password": PASSWORD}
        answer = self.insist("POST", "/api/users/signup", account)
        if answer.status == 400:
            answer = self.insist("POST", "/api/users/signin", account)
        if not answer.ok:
            raise GaveUpError(f"{email} can't sign up: {answer}")
        self.user = str(answer.get("id"))

    def ask(
        self,
        method: str,
        path: str,
        sent: Any = None,
        key: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request, as it is; whatever comes back is noted."""
        begun = self._history.now
        status, body = self._exchange(method, path, sent, {**(headers or {}), **_keyed(key)})
        ended = self._history.now
        answer = Answer(self.who, self.user, method, path, key, sent, begun, ended, status, body)
        self._history.note(answer)
        return answer

    def insist(
        self,
        method: str,
        path: str,
        sent: Any = None,
        key: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Repeat a request until its outcome is known. Raises GaveUpError."""
        deadline = time.monotonic() + PATIENCE
        pause = 0.1
        while True:
            answer = self.ask(method, path, sent, key, headers)
            if answer.definite:
                return answer
            if time.monotonic() > deadline:
                raise GaveUpError(f"{method} {path}: {answer.status}")
            threading.Event().wait(pause)
            pause = min(pause * 2, 2.0)

    def _exchange(
        self, method: str, path: str, sent: Any, headers: dict[str, str]
    ) -> tuple[int, Any]:
        headers = {"Accept": "application/json", "Cookie": self.cookie, **headers}
        payload = None
        if sent is not None:
            payload, headers["Content-Type"] = json.dumps(sent), "application/json"
        try:
            self._connection.request(method, path, payload, headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = self._new_connection()
            return 0, repr(error)
        for fresh in response.headers.get_all("Set-Cookie", []):
            if fresh.partition("=")[0].endswith("session"):
                self.cookie = fresh.partition(";")[0]
        return response.status, _read(text)


def _keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


def _read(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text[:200].decode(errors="replace")
