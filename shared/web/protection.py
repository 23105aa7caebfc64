"""What stands between a request and the views, and between their answer and the connection."""

from collections.abc import Callable, Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any

from flask import request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

from shared import identity
from shared.config import Settings
from shared.errors import Forbidden
from shared.web.refusals import SAFE_METHODS

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]

LEFTOVER = 1024 * 1024  # bytes; far beyond what the gateway lets through
AT_ONCE = 64 * 1024  # bytes


def refuse_other_origins(settings: Settings) -> Callable[[], None]:
    """A browser says where a request comes from; clients without a browser say nothing."""
    schemes = ("https",) if settings.secure else ("http", "https")

    def check() -> None:
        if request.method in SAFE_METHODS or identity.bearer_token(request):
            return
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site is not None:
            allowed = site in {"same-origin", "none"}
        else:
            own = {f"{scheme}://{request.host}" for scheme in schemes}
            allowed = origin is None or origin in own
        if not allowed:
            raise Forbidden("This request came from another site")

    return check


def refuse_beyond_scope(unsafe: str | None) -> Callable[[], None]:
    """An API token needs `read` to look at something, and the app's own scope to change it."""

    def check() -> None:
        user = identity.who() if identity.bearer_token(request) else None
        if user is None or user.scopes is None:
            return
        scope = "read" if request.method in SAFE_METHODS else unsafe
        if scope not in user.scopes:
            raise Forbidden(f"This API token lacks the scope {scope}" if scope else None)

    return check


class Protected:
    """WSGI: gives every answer of an app the headers that it has not set itself."""

    def __init__(self, app: "WSGIApplication", headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = [(name.lower(), (name, value)) for name, value in headers.items()]

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        def start(status: str, headers: Headers, error: "OptExcInfo | None" = None) -> Any:
            own = {name.lower() for name, _ in headers}
            more = [header for name, header in self._headers if name not in own]
            return start_response(status, [*headers, *more], error)

        return self._app(environ, start)


class ReadToTheEnd:
    """WSGI: reads what an app has left of a request's body, such as one that it refused unseen.

    The server closes a connection with an unread body, after the answer. The gateway may have
    sent another request on it by then, and somebody who posts a form would be told 502: seen for
    one in 2,000 refused requests on two busy cores.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if not has_body(environ):
            return self._app(environ, start_response)
        body = get_input_stream(environ)  # ends where the body does, which not every server's does
        environ["wsgi.input"], environ["wsgi.input_terminated"] = body, True
        answer = self._app(environ, start_response)
        _discard(body)
        return answer


def has_body(environ: "WSGIEnvironment") -> bool:
    """Whether something comes with a request that must be read, whatever its answer is."""
    return environ.get("CONTENT_LENGTH", "") not in ("", "0")


def _discard(body: IO[bytes]) -> None:
    try:
        for _ in range(LEFTOVER // AT_ONCE):
            if not body.read(AT_ONCE):
                return
    except ClientDisconnected:
        return  # the connection is closed already
