"""Pages, their fragments, and where a browser goes next."""

from typing import Any
from urllib.parse import quote, urlsplit

from flask import Flask, Response, make_response, redirect, request
from flask import render_template as render_page
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from itsdangerous import URLSafeTimedSerializer
from jinja2_fragments.flask import render_block
from werkzeug.wrappers import Response as BaseResponse

NOTICES = "notices"  # the cookie that carries them to the next page


def wants_fragment() -> bool:
    """Whether htmx asks for a part of a page rather than for the page."""
    htmx = request.htmx  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] - from htmx-flask
    return bool(htmx) and not htmx.history_restore_request and not htmx.boosted  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def render(template: str, block: str = "content", status: int = 200, **context: Any) -> Response:
    """A page, or for htmx only the named block of the same template."""
    text = (
        render_block(template, block, **context)
        if wants_fragment()
        else render_page(template, **context)
    )
    return for_one_reader(make_response(text, status))


def for_one_reader(response: Response) -> Response:
    """Nobody else may be given it, nor the same reader once more."""
    response.headers["Vary"] = "HX-Request, Cookie"
    response.headers["Cache-Control"] = "no-store"
    return response


def kept(response: Response) -> Response:
    """Let a browser keep the answer to a post, as it can't ask for that again on the way back.

    Never for a page with a secret in it: the browser may write this one to its disk.
    """
    if request.method == "POST":
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers["Vary"] = "HX-Request"
    return response


class Notices(SecureCookieSessionInterface):
    """Flask's session, which carries notices to the next page; most requests have none."""

    def __init__(self) -> None:
        self._signing: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Made once, as every request asks for it."""
        self._signing = self._signing or super().get_signing_serializer(app)
        return self._signing

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not session and not session.modified:
            return
        varies = response.headers.getlist("Vary")
        super().save_session(app, session, response)
        if not response.cache_control.no_store:
            # What is kept would be lost with the first new cookie, such as that of a sign-in.
            response.headers.setlist("Vary", varies)


def see_other(url: str) -> BaseResponse:
    """Send the browser on after a post, so that reload and back repeat nothing."""
    if wants_fragment():
        response = make_response("", 200)
        response.headers["HX-Redirect"] = url
        return response
    return redirect(url, 303)


def sign_in_url() -> str:
    """Where to sign in, and come back to the page that asked for it."""
    here = request.full_path.rstrip("?") if request.method == "GET" else "/"
    if wants_fragment():
        here = current_page()
    return f"/account/signin?next={quote(here)}"


def current_page() -> str:
    """The path and query of the page that htmx asks from; the start where it names none."""
    try:
        current = urlsplit(request.headers.get("HX-Current-URL", "/"))
    except ValueError:  # not from htmx
        return "/"
    return local_path(f"{current.path}?{current.query}".rstrip("?"))


def local_path(url: str | None, default: str = "/") -> str:
    """A path on this site to send somebody to; anything else becomes the default."""
    if not url or not url.startswith("/") or url.startswith("//") or "\\" in url:
        return default
    return url if url.isprintable() else default
