"""What is the same for everyone is built once and kept for a moment, so that a rush costs little.

Nothing tells this process when another one has changed something. So what is kept dies young, and
who changes something gets a mark that outlives it: until the mark ends, this person is given only
what is read for them. That holds with any number of processes, on any number of machines, and
when events are late.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from flask import Response, request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

T = TypeVar("T")

LIFETIME = 1.0  # seconds from the beginning of its making, after which something is made anew
GRACE = 1.0  # seconds more in which it is still given out while somebody makes it anew
MARK = "fresh"
MARKED = 5  # seconds for which a mark lasts: longer than anything is kept
MOST = 200  # things that are kept in a process; a page of the list takes about 20 KB

_SHARED = "ticketing.same_for_everyone"
# Who sends one of these asks for something else than everyone, or for the latest.
_OWN_WISHES = (
    "HTTP_AUTHORIZATION",
    "HTTP_CACHE_CONTROL",
    "HTTP_HX_REQUEST",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_RANGE",
)


class _Made(Generic[T]):
    def __init__(self, what: T, since: float) -> None:
        self.what, self.until, self.dies = what, since + LIFETIME, since + LIFETIME + GRACE


class Ready(Generic[T]):
    """Things that were made lately, by key."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._made: OrderedDict[Hashable, _Made[T]] = OrderedDict()
        self._lock = threading.Lock()
        self._changes = 0

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made lately, else what is made now."""
        found = self.find(key)
        if found is not None:
            return found
        begun = self.begin()
        made = make()
        self.keep(key, made, begun)
        return made

    def find(self, key: Hashable) -> T | None:
        """What was made lately; None sends one caller to make it anew, others still get it."""
        now = self._now()
        with self._lock:
            found = self._made.get(key)
            if found is None or now >= found.dies:
                return None
            if now >= found.until:
                found.until = found.dies
                return None
            return found.what

    def begin(self) -> tuple[int, float]:
        """To be called before something is read that is to be kept."""
        return self._changes, self._now()

    def keep(self, key: Hashable, what: T, begun: tuple[int, float]) -> None:
        changes, since = begun
        with self._lock:
            if changes != self._changes:  # what was read may be from before the change
                return
            self._made[key] = _Made(what, since)
            self._made.move_to_end(key)
            if len(self._made) > MOST:
                self._made.popitem(last=False)

    def forget(self) -> None:
        """Something was changed: nothing that was read before is given out any more."""
        with self._lock:
            self._changes += 1
            self._made.clear()


class _Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes


class ReadyAnswers:
    """Stands before an app, gives out the answers that its views have marked, and marks writers."""

    def __init__(self, app: "WSGIApplication", *, secure: bool) -> None:
        self._app = app
        self._answers: Ready[_Answer] = Ready()
        self.parts: Ready[Any] = Ready()
        cookie = f"{MARK}=1; Max-Age={MARKED}; Path=/; HttpOnly; SameSite=Lax"
        self._mark = ("Set-Cookie", cookie + ("; Secure" if secure else ""))

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS"):
            return self._change(environ, start_response)
        if environ["REQUEST_METHOD"] != "GET" or wants_latest(environ):
            return self._app(environ, start_response)
        key = (environ["PATH_INFO"], environ["QUERY_STRING"])
        answer = self._answers.find(key)
        if answer is None:
            return self._make(key, environ, start_response)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _make(
        self, key: Hashable, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        begun = self._answers.begin()
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def listen(status: str, headers: list[tuple[str, str]], error: object = None) -> object:
            said[:] = [(status, headers)]
            return start_response(status, headers, error)  # pyright: ignore[reportArgumentType]

        body = self._app(environ, listen)  # pyright: ignore[reportArgumentType]
        if not environ.get(_SHARED):
            return body
        whole = b"".join(body)
        if close := getattr(body, "close", None):
            close()
        status, headers = said[0]
        self._answers.keep(key, _Answer(status, headers, whole), begun)
        return [whole]

    def _change(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        def mark(status: str, headers: list[tuple[str, str]], error: object = None) -> object:
            marked = [*headers, self._mark] if "HTTP_COOKIE" in environ else headers
            return start_response(status, marked, error)  # pyright: ignore[reportArgumentType]

        try:
            return self._app(environ, mark)  # pyright: ignore[reportArgumentType]
        finally:
            self._answers.forget()
            self.parts.forget()


def wants_latest(environ: "WSGIEnvironment") -> bool:
    """Whether somebody must not be given what was read for others a moment ago."""
    if not environ.keys().isdisjoint(_OWN_WISHES):
        return True
    return f"{MARK}=" in environ.get("HTTP_COOKIE", "")


def same_for_everyone(response: Response) -> Response:
    """Mark an answer that depends on nothing but its path and query."""
    request.environ[_SHARED] = True
    return response
