"""Tickets: what is on sale, and the pages that people find it on."""

from flask import Flask

from apps.tickets import api, views
from apps.tickets.config import Settings
from apps.tickets.service import Tickets
from shared import openapi, web
from shared.identity import Identity


def create_app(settings: Settings, service: Tickets, person: Identity) -> Flask:
    app = web.create(__name__, "/tickets", settings, person)
    app.extensions["service"] = service
    app.register_blueprint(api.blueprint)
    app.register_blueprint(views.blueprint)
    openapi.init_app(app, "/api/tickets", "Tickets")
    return app
