"""What every web process does alike: input, errors, fragments, and the protections of a browser."""

from flask import Flask, g, request
from htmx_flask import Htmx
from werkzeug.middleware.proxy_fix import ProxyFix

from shared import identity, logs, ui
from shared.config import Settings
from shared.headers import content_policy, protective
from shared.web.answers import (
    NOTICES,
    Notices,
    current_page,
    for_one_reader,
    kept,
    local_path,
    render,
    see_other,
    sign_in_url,
    wants_fragment,
)
from shared.web.protection import (
    Protected,
    ReadToTheEnd,
    refuse_beyond_scope,
    refuse_other_origins,
)
from shared.web.reading import (
    MAX_BODY,
    MAX_KEY,
    body,
    form,
    idempotency_key,
    new_key,
    query,
    refuse_what_is_no_text,
    require_id,
    validate,
)
from shared.web.refusals import translate

__all__ = [
    "MAX_BODY",
    "MAX_KEY",
    "body",
    "content_policy",
    "create",
    "current_page",
    "for_one_reader",
    "form",
    "idempotency_key",
    "kept",
    "local_path",
    "new_key",
    "query",
    "render",
    "require_id",
    "see_other",
    "sign_in_url",
    "validate",
    "wants_fragment",
]


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
        SESSION_COOKIE_NAME=NOTICES,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure,
    )
    app.session_interface = Notices()
    app.json.sort_keys = False  # pyright: ignore[reportAttributeAccessIssue] - Flask's default provider has it
    # A redirect to the merged path would name the host that the client claims to have asked.
    app.url_map.merge_slashes = False
    # One hop, which is the gateway: what a client says of its own address is not taken.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)
    headers = protective(secure=settings.secure, form_targets=form_targets)
    app.wsgi_app = Protected(app.wsgi_app, headers)
    app.wsgi_app = ReadToTheEnd(app.wsgi_app)
    Htmx(app)
    identity.init_app(app, settings, person)
    ui.init_app(app, prefix)
    app.before_request(_begin)
    app.before_request(refuse_what_is_no_text)
    app.before_request(refuse_other_origins(settings))
    app.before_request(refuse_beyond_scope(scope))
    app.teardown_request(_end)
    app.register_error_handler(Exception, translate)
    return app


def _begin() -> None:
    trace = logs.trace(request.environ.get("HTTP_TRACEPARENT"))
    trace.__enter__()
    g.trace = trace


def _end(_error: BaseException | None) -> None:
    if trace := g.pop("trace", None):
        trace.__exit__(None, None, None)
