"""What is the same for everyone is built once and kept for a moment, so that a rush costs little.

Nothing tells this process when another one has changed something. So what is kept dies young, and
who changes something gets a mark that outlives it: until the mark ends, this person is given only
what is read for them. That holds with any number of processes, on any number of machines, and
when events are late.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flask import Flask, Response, request

from shared.people import User
from shared.ready import Ready
from shared.web.answers import NOTICES
from shared.web.protection import has_body
from shared.web.refusals import SAFE_METHODS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]

LIFETIME = 1.0  # seconds; nothing is given out after twice that
MARK = "fresh"
MARKED = 5  # seconds for which a mark lasts: longer than anything is given out

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


class Framed(Protocol):
    """A body that is the same for everyone but for what it says of its reader."""

    def for_visitor(self, visitor: User | None) -> bytes: ...


class _Answer(NamedTuple):
    status: str
    headers: Headers  # of a framed body without its length
    body: bytes | Framed


class ReadyAnswers:
    """Stands before an app, gives out the answers that its views have marked, and marks writers."""

    def __init__(
        self,
        app: "WSGIApplication",
        visitor: Callable[["WSGIEnvironment"], User | None],
        *,
        secure: bool,
    ) -> None:
        self._app, self._visitor = app, visitor
        self._answers: Ready[_Answer] = Ready(LIFETIME)
        cookie = f"{MARK}=1; Max-Age={MARKED}; Path=/; HttpOnly; SameSite=Lax"
        self._mark = ("Set-Cookie", cookie + ("; Secure" if secure else ""))

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            return self._change(environ, start_response)
        if environ["REQUEST_METHOD"] != "GET" or _wants_own(environ):
            return self._app(environ, start_response)
        key = (environ["PATH_INFO"], environ["QUERY_STRING"])
        answer = self._answers.find(key)
        if answer is None:
            return self._make(key, environ, start_response)
        if isinstance(answer.body, bytes):
            start_response(answer.status, answer.headers)
            return [answer.body]
        body = answer.body.for_visitor(self._visitor(environ))
        start_response(answer.status, [*answer.headers, ("Content-Length", str(len(body)))])
        return [body]

    def _make(
        self, key: Hashable, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        begun = self._answers.begin()
        said: list[tuple[str, Headers]] = []

        def listen(status: str, headers: Headers, error: object = None) -> object:
            said[:] = [(status, headers)]
            return start_response(status, headers, error)  # pyright: ignore[reportArgumentType]

        body = self._app(environ, listen)  # pyright: ignore[reportArgumentType]
        shared: bool | Framed = environ.get(_SHARED, False)
        if not shared:
            return body
        whole = b"".join(body)
        if close := getattr(body, "close", None):
            close()
        self._answers.keep(key, _kept(*said[0], whole if shared is True else shared), begun)
        return [whole]

    def _change(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        def mark(status: str, headers: Headers, error: object = None) -> object:
            marked = [*headers, self._mark] if "HTTP_COOKIE" in environ else headers
            return start_response(status, marked, error)  # pyright: ignore[reportArgumentType]

        try:
            return self._app(environ, mark)  # pyright: ignore[reportArgumentType]
        finally:
            self._answers.forget()


def _kept(status: str, headers: Headers, body: bytes | Framed) -> _Answer:
    # A cookie would be for one reader; nobody marks an answer that sets one.
    rest = [header for header in headers if header[0].lower() != "set-cookie"]
    if not isinstance(body, bytes):
        rest = [header for header in rest if header[0].lower() != "content-length"]
    return _Answer(status, rest, body)


def forget_after_changes(app: Flask, ready: Ready[Any]) -> None:
    """Give out nothing that was read before a change made in this process."""

    def forget(_error: BaseException | None) -> None:
        if request.method not in SAFE_METHODS:
            ready.forget()

    app.teardown_request(forget)


def _wants_own(environ: "WSGIEnvironment") -> bool:
    """Whether somebody must not be given what was made for others a moment ago."""
    if has_body(environ) or not environ.keys().isdisjoint(_OWN_WISHES):
        return True
    cookies = environ.get("HTTP_COOKIE", "")
    return f"{MARK}=" in cookies or f"{NOTICES}=" in cookies


def same_for_everyone(response: Response, framed: Framed | None = None) -> Response:
    """Mark an answer that depends on nothing but its path and query, or, with a framed body, on
    these and on who asks."""
    request.environ[_SHARED] = framed or True
    return response
