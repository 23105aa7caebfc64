"""Who is asking, said without Flask, which would take five times as long as the answer itself."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.http import parse_cookie

from apps.auth.tokens import Doorkeeper
from shared.people import User
from shared.ready import Ready
from shared.web.protection import has_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/api/users/currentuser"
Headers = list[tuple[str, str]]
Looked = Ready[tuple[str | None]]


def current(user: User | None) -> dict[str, dict[str, str] | None]:
    return {"currentUser": {"id": user.id, "email": user.email} if user else None}


def looked_at(user: User) -> tuple[str, str, object]:
    """By which it is known that somebody's cookie was looked at lately, and what came of it."""
    return "renewed", user.session_id, user.issued_at


class WhoAsks:
    """WSGI: answers for people whose cookie was looked at a moment ago, and is to stay as it is.

    It knows somebody as the app does, revocations included, and takes its headers from the app's
    own last answer. Whoever it does not know, and who asks in another way, is left to the app.
    """

    def __init__(
        self, app: "WSGIApplication", person: Doorkeeper, cookie: str, looked: Looked
    ) -> None:
        self._app, self._person, self._cookie, self._looked = app, person, cookie, looked
        self._headers: Headers = []

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "GET" or has_body(environ):
            return self._app(environ, start_response)
        user = self._known(environ) if self._headers else None
        if user is None:
            return self._ask_app(environ, start_response)
        body = json.dumps(current(user), separators=(",", ":")).encode() + b"\n"
        start_response("200 OK", [*self._headers, ("Content-Length", str(len(body)))])
        return [body]

    def _known(self, environ: "WSGIEnvironment") -> User | None:
        if "HTTP_AUTHORIZATION" in environ:
            return None
        token = parse_cookie(environ).get(self._cookie, "")
        user = self._person.at_a_glance(token) if token else None
        stays = user and self._looked.peek(looked_at(user)) == (None,)
        return user if stays else None

    def _ask_app(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        def listen(status: str, headers: Headers, error: object = None) -> object:
            names = {name.lower() for name, _ in headers}
            if status == "200 OK" and "set-cookie" not in names:
                self._headers = [each for each in headers if each[0].lower() != "content-length"]
            return start_response(status, headers, error)  # pyright: ignore[reportArgumentType]

        return self._app(environ, listen)  # pyright: ignore[reportArgumentType]
