"""Passwords: argon2id with the parameters of the day, a few at a time."""

import threading
import unicodedata
from collections.abc import Generator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from shared.errors import Unavailable

# OWASP's setting for small machines: 19 MiB, two passes, one lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
AT_ONCE = 2
PATIENCE = 5.0  # seconds that a request waits for its turn


class Passwords:
    """Each hash costs memory and a core, so a rush waits in line instead of taking the machine."""

    def __init__(self, hasher: PasswordHasher = HASHER, patience: float = PATIENCE) -> None:
        self._hasher, self._patience = hasher, patience
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._nobodys = hasher.hash("the hash that an unknown address is checked against")

    def hash(self, password: str) -> str:
        with self._turn():
            return self._hasher.hash(_normal(password))

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password. Without any hash the answer is no, after the same work."""
        with self._turn():
            try:
                self._hasher.verify(password_hash or self._nobodys, _normal(password))
            except (VerifyMismatchError, InvalidHashError):
                return False
        return password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)

    @contextmanager
    def _turn(self) -> Generator[None]:
        if not self._turns.acquire(timeout=self._patience):
            raise Unavailable
        try:
            yield
        finally:
            self._turns.release()


def _normal(password: str) -> str:
    """One form for the same characters, which different keyboards compose differently."""
    return unicodedata.normalize("NFKC", password)
