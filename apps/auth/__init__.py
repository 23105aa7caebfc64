"""Auth: accounts, sessions, and the only key that signs who somebody is."""

from flask import Flask

from apps.auth import api, views
from apps.auth.config import Settings
from apps.auth.limits import Limits
from apps.auth.service import Accounts
from shared import openapi, web
from shared.identity import Identity


def create_app(settings: Settings, service: Accounts, person: Identity) -> Flask:
    app = web.create(__name__, "/account", settings, person)
    app.extensions["settings"] = settings
    app.extensions["service"] = service
    app.extensions["limits"] = Limits(app, settings)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(views.blueprint)
    openapi.init_app(app, "/api/users", "Users")
    return app
