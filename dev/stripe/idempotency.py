"""Idempotency keys: one execution per key, the same answer for whoever asks again."""

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from dev.stripe.errors import ApiError, Json
from dev.stripe.store import Answer


@dataclass(frozen=True)
class Keyed:
    """A request with a key: what must be the same when the key comes again."""

    key: str
    path: str
    request: str


def keyed(key: str, path: str, given: Json) -> Keyed:
    body = json.dumps([path, given], sort_keys=True)
    return Keyed(key, path, hashlib.sha256(body.encode()).hexdigest())


def check_same(request: Keyed, first: Answer) -> None:
    what = None
    if request.path != first.path:
        what = f"for the same endpoint they were first used for ('{first.path}')"
    elif request.request != first.request:
        what = "with the same parameters they were first used with"
    if what:
        raise ApiError(
            400,
            f"Keys for idempotent requests can only be used {what}. Try using a key other than "
            f"'{request.key}' if you meant to execute a different request.",
            kind="idempotency_error",
        )


class InFlight:
    """The keys of requests that are being worked on, by this process and so by none after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[str] = set()

    @contextmanager
    def claim(self, request: Keyed | None) -> Generator[None]:
        if request is None:
            yield
            return
        with self._lock:
            if request.key in self._keys:
                raise _in_use(request.key)
            self._keys.add(request.key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(request.key)


def _in_use(key: str) -> ApiError:
    return ApiError(
        409,
        "There is currently another in-progress request using this Idempotent Key (that probably "
        f"means you submitted twice, and the other request is still going through): {key}. "
        "Please try again later.",
        code="idempotency_key_in_use",
    )
