"""An open page, over a real connection: it notes which topics it is told of."""

import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode

from tests.waiting import wait_until


class Page:
    def __init__(self, port: int, *topics: str, token: str = "") -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        query = urlencode([("topic", topic) for topic in topics])
        self._connection.request("GET", f"/live?{query}", headers=headers)
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.told: list[str] = []
        self.ended = threading.Event()
        self.complete = False  # whether the end was said, and not a broken connection
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError, HTTPException, ValueError):
            while line := self._answer.readline():
                if line.startswith(b"event: "):
                    self.told.append(line[7:].strip().decode())
            self.complete = True
        self.ended.set()

    def hears(self, topic: str, seconds: float = 1.0) -> None:
        wait_until(lambda: topic in self.told, f"{topic} in {self.told}", seconds)

    def close(self) -> None:
        with suppress(OSError):  # the other side may have been first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(5)
        self._answer.close()
        self._connection.close()
