"""What every web process does alike: input, errors, fragments, and the protections of a browser."""

import json
import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from flask import Flask, Response, g, jsonify, make_response, redirect, request
from flask import render_template as render_page
from htmx_flask import Htmx
from jinja2_fragments.flask import render_block
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as BaseResponse

from shared import identity, logs, ui
from shared.config import Settings
from shared.errors import (
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    Refused,
    Unavailable,
    error_body,
)
from shared.fields import ID_PATTERN, explain
from shared.mongo import is_temporary

M = TypeVar("M", bound=BaseModel)
log = logs.get(__name__)

MAX_BODY = 64 * 1024  # bytes; no request of ours comes near it
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
MAX_KEY = 255  # characters of an Idempotency-Key, as at Stripe


def create(
    name: str,
    prefix: str,
    settings: Settings,
    person: identity.Identity,
    form_targets: str = "",
    scope: str | None = None,
) -> Flask:
    """A Flask app with everything that the services share. `prefix` is its path for static files.

    `form_targets` names the outside origins that a form's answer may redirect to; `scope` is
    what an API token needs for requests that change something, and without one none may.
    """
    app = Flask(name, static_folder=None)
    app.config.update(  # pyright: ignore[reportUnknownMemberType]
        MAX_CONTENT_LENGTH=MAX_BODY,
        SECRET_KEY=settings.secret_key,
        # Flask's own session carries notices to the next page; who is signed in is not in it.
        SESSION_COOKIE_NAME="notices",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure,
    )
    app.json.sort_keys = False  # pyright: ignore[reportAttributeAccessIssue] - Flask's default provider has it
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)
    Htmx(app)
    identity.init_app(app, settings, person)
    ui.init_app(app, prefix)
    app.before_request(_begin)
    app.before_request(_refuse_other_origins)
    app.before_request(_refuse_beyond_scope(scope))
    app.after_request(_protect(settings, form_targets))
    app.teardown_request(_end)
    app.register_error_handler(Exception, _translate)
    return app


# --- input ----------------------------------------------------------------------------------------


def body(model: type[M]) -> M:
    """The JSON body as a model. Raises InvalidInput that names each wrong field."""
    try:
        text = request.get_data().decode()
        values = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidInput([FieldError("The body must be valid JSON")]) from None
    if not isinstance(values, dict):
        raise InvalidInput([FieldError("The body must be a JSON object")])
    return validate(model, values)  # pyright: ignore[reportUnknownArgumentType] - JSON is untyped


def form(model: type[M]) -> M:
    """The posted form as a model. Raises InvalidInput that names each wrong field."""
    return validate(model, request.form.to_dict(), form=True)


def query(model: type[M]) -> M:
    """The query string as a model. Raises InvalidInput that names each wrong field."""
    return validate(model, request.args.to_dict(), form=True)


def validate(model: type[M], values: dict[str, Any], *, form: bool = False) -> M:
    try:
        return model.model_validate(values, context={"form": form})
    except ValidationError as error:
        raise InvalidInput(_field_errors(error)) from None


def _field_errors(error: ValidationError) -> list[FieldError]:
    return [
        FieldError(explain(dict(problem)), ".".join(str(part) for part in problem["loc"]) or None)
        for problem in error.errors()
    ]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def require_id(value: str) -> str:
    """An id from the path. Raises NotFound where it can't be one."""
    if not ID_PATTERN.fullmatch(value):
        raise NotFound
    return value


def idempotency_key() -> str | None:
    """The request's Idempotency-Key: a header of clients, a hidden field of forms."""
    key = request.headers.get("Idempotency-Key") or request.form.get("idempotencyKey")
    if key and (len(key) > MAX_KEY or not key.isprintable()):
        message = f"Idempotency-Key must be at most {MAX_KEY} printable characters"
        raise InvalidInput([FieldError(message, "Idempotency-Key")])
    return key or None


def new_key() -> str:
    """A key for the hidden field of a form that must have its effect once."""
    return secrets.token_urlsafe(16)


# --- output ---------------------------------------------------------------------------------------


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
    response = make_response(text, status)
    response.headers["Vary"] = "HX-Request, Cookie"
    response.headers["Cache-Control"] = "no-store"
    return response


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
        current = urlsplit(request.headers.get("HX-Current-URL", "/"))
        here = f"{current.path}?{current.query}".rstrip("?")
    return f"/account/signin?next={quote(here)}"


def local_path(url: str | None, default: str = "/") -> str:
    """A path on this site to send somebody to; anything else becomes the default."""
    if not url or not url.startswith("/") or url.startswith("//") or "\\" in url:
        return default
    return url if url.isprintable() else default


# --- errors ---------------------------------------------------------------------------------------


def _translate(error: Exception) -> BaseResponse:
    """Every exception as an answer: JSON under /api, otherwise a page or a fragment."""
    refused = _as_refused(error)
    if refused.status == 401 and not request.path.startswith("/api/"):
        return see_other(sign_in_url())
    if request.path.startswith("/api/"):
        response = jsonify(error_body(refused))
        response.status_code = refused.status
    else:
        response = render(
            "error.html",
            status=refused.status,
            code=refused.status,
            errors=refused.errors,
            page=refused.page,
        )
        if wants_fragment() and request.method not in SAFE_METHODS:
            # Above the page's content, so that a form that was sent keeps what is typed in it.
            response.headers["HX-Retarget"] = "#notices"
            response.headers["HX-Reswap"] = "innerHTML show:window:top"
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    if isinstance(error, HTTPException) and error.code == 405:
        response.headers["Allow"] = dict(error.get_headers()).get("Allow", "")
    return response


def _as_refused(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, HTTPException):
        refused = Refused(error.name)
        refused.status = error.code or 500
        return refused
    if is_temporary(error):
        log.warning("dependency away", path=request.path, error=repr(error))
        return Unavailable()
    log.error("request failed", path=request.path, exc_info=error)
    refused = Refused("Something went wrong on our side")
    refused.status = 500
    return refused


# --- protection -----------------------------------------------------------------------------------


def _begin() -> None:
    trace = logs.trace(request.headers.get("traceparent"))
    trace.__enter__()
    g.trace = trace


def _end(_error: BaseException | None) -> None:
    if trace := g.pop("trace", None):
        trace.__exit__(None, None, None)


def _refuse_other_origins() -> None:
    """A browser says where a request comes from; clients without a browser say nothing."""
    if request.method in SAFE_METHODS or identity.bearer_token(request):
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        allowed = origin is None or urlsplit(origin).netloc == request.host
    if not allowed:
        raise Forbidden("This request came from another site")


def content_policy(
    form_targets: str = "", *, script: str = "", frame: str = "'none'", connect: str = ""
) -> str:
    """What a page may load, and where its forms may lead: this site, and the origins given."""
    return (
        f"default-src 'none'; script-src {_own(script)}; style-src 'self'; "
        f"img-src 'self' data:; connect-src {_own(connect)}; font-src 'self'; "
        f"manifest-src 'self'; base-uri 'none'; frame-src {frame}; "
        f"frame-ancestors 'none'; form-action {_own(form_targets)}"
    )


def _own(origins: str) -> str:
    return f"'self' {origins}".strip()


def _refuse_beyond_scope(unsafe: str | None) -> Callable[[], None]:
    """An API token needs `read` to look at something, and the app's own scope to change it."""

    def check() -> None:
        user = identity.who() if identity.bearer_token(request) else None
        if user is None or user.scopes is None:
            return
        scope = "read" if request.method in SAFE_METHODS else unsafe
        if scope not in user.scopes:
            raise Forbidden(f"This API token lacks the scope {scope}" if scope else None)

    return check


def _protect(settings: Settings, form_targets: str) -> Any:
    policy = content_policy(form_targets)

    def protect(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", policy)
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Cache-Control", "no-store")
        if settings.secure:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        return response

    return protect
