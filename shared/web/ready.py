"""What is the same for everyone is built once and kept for a moment, so that a rush costs little.

Nothing tells this process when another one has changed something. So what is kept dies young, and
who changes something gets a mark that outlives it: until the mark ends, this person is given only
what is read for them. That holds with any number of processes, on any number of machines, and
when events are late.
"""

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, Response, request

from shared.ready import Ready
from shared.web.refusals import SAFE_METHODS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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


class _Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes


class ReadyAnswers:
    """Stands before an app, gives out the answers that its views have marked, and marks writers."""

    def __init__(self, app: "WSGIApplication", *, secure: bool) -> None:
        self._app = app
        self._answers: Ready[_Answer] = Ready(LIFETIME)
        self.parts: Ready[Any] = Ready(LIFETIME)
        cookie = f"{MARK}=1; Max-Age={MARKED}; Path=/; HttpOnly; SameSite=Lax"
        self._mark = ("Set-Cookie", cookie + ("; Secure" if secure else ""))

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
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


def forget_after_changes(app: Flask, ready: Ready[Any]) -> None:
    """Give out nothing that was read before a change made in this process."""

    def forget(_error: BaseException | None) -> None:
        if request.method not in SAFE_METHODS:
            ready.forget()

    app.teardown_request(forget)


def wants_latest(environ: "WSGIEnvironment") -> bool:
    """Whether somebody must not be given what was read for others a moment ago."""
    if not environ.keys().isdisjoint(_OWN_WISHES):
        return True
    return f"{MARK}=" in environ.get("HTTP_COOKIE", "")


def same_for_everyone(response: Response) -> Response:
    """Mark an answer that depends on nothing but its path and query."""
    request.environ[_SHARED] = True
    return response
