"""Auth: accounts, sessions, and the only key that signs who somebody is."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

    from apps.auth.config import Settings
    from apps.auth.services import Services
    from apps.auth.tokens import Doorkeeper


SESSIONS = 10_000  # of which is known when they were looked at
LATELY = 2.0  # seconds for which nobody looks again whether a cookie needs to be renewed


def create_app(
    settings: "Settings", services: "Services", person: "Doorkeeper", lately: float = LATELY
) -> "Flask":
    # Imported here, because a worker has no use for the web and saves its memory.
    from pathlib import Path

    from apps.auth import (
        admin,
        api,
        api_account,
        asking,
        doors,
        views,
        views_account,
        views_letters,
        views_mails,
        views_safety,
    )
    from shared import openapi, web
    from shared.identity import cookie_name
    from shared.limits import Limits
    from shared.ready import Ready
    from shared.web.ready import forget_after_changes

    app = web.create(__name__, "/account", settings, person)
    app.extensions["settings"] = settings
    app.extensions["services"] = services
    app.extensions["lately"] = looked = Ready[Any](lately, SESSIONS)
    forget_after_changes(app, looked)
    app.wsgi_app = asking.WhoAsks(app.wsgi_app, person, cookie_name(settings), looked)
    app.extensions["limits"] = Limits(settings.redis_url, enabled=settings.rate_limits)
    app.before_request(doors.refuse_programs)
    for door in (api, api_account, views, views_account, views_letters, views_safety):
        app.register_blueprint(door.blueprint)
    if settings.embedded and settings.mail_dir:
        app.register_blueprint(views_mails.blueprint(Path(settings.mail_dir)))
    app.register_blueprint(admin.blueprint)
    openapi.init_app(app, "/api/users", "Users")
    return app
