"""Tickets: what is on sale, and the pages that people find it on."""

from functools import partial
from typing import TYPE_CHECKING

from apps.tickets.config import Settings
from apps.tickets.service import Tickets

if TYPE_CHECKING:
    from flask import Flask

    from shared.identity import Identity


def create_app(settings: Settings, service: Tickets, person: "Identity") -> "Flask":
    # Imported here, because a worker has no use for the web and saves its memory.
    from apps.tickets import admin, api, views, views_form
    from shared import identity, openapi, web
    from shared.web.ready import ReadyAnswers

    app = web.create(__name__, "/tickets", settings, person, scope="sell")
    app.extensions["service"] = service
    visitor = partial(identity.visitor, identity=person, cookie=identity.cookie_name(settings))
    app.wsgi_app = ReadyAnswers(app.wsgi_app, visitor, secure=settings.secure)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(views_form.blueprint)
    app.register_blueprint(admin.blueprint)
    openapi.init_app(app, "/api/tickets", "Tickets")
    return app
