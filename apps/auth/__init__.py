"""Auth: accounts, sessions, and the only key that signs who somebody is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from apps.auth.config import Settings
    from apps.auth.service import Accounts
    from shared.identity import Identity


def create_app(settings: "Settings", service: "Accounts", person: "Identity") -> "Flask":
    # Imported here, because a worker has no use for the web and saves its memory.
    from apps.auth import api, views
    from shared import openapi, web
    from shared.limits import Limits

    app = web.create(__name__, "/account", settings, person)
    app.extensions["settings"] = settings
    app.extensions["service"] = service
    app.extensions["limits"] = Limits(settings.redis_url, enabled=settings.rate_limits)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(views.blueprint)
    openapi.init_app(app, "/api/users", "Users")
    return app
