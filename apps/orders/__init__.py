"""Orders: reservations, orders, and how much of each ticket is free."""

from typing import TYPE_CHECKING

from apps.orders.config import Settings
from apps.orders.service import Orders

if TYPE_CHECKING:
    from flask import Flask

    from shared.identity import Identity


def create_app(settings: Settings, service: Orders, person: "Identity") -> "Flask":
    # Imported here, because a worker has no use for the web and saves its memory.
    from apps.orders import admin, api, papers, selling, views
    from apps.orders.documents.codes import Codes
    from shared import openapi, web

    app = web.create(__name__, "/orders", settings, person, scope="buy")
    app.extensions["service"] = service
    app.register_blueprint(api.blueprint)
    app.extensions["codes"] = Codes(settings.secret_key, settings.public_url)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(papers.blueprint)
    app.register_blueprint(selling.blueprint)
    app.register_blueprint(admin.blueprint)
    openapi.init_app(app, "/api/orders", "Orders")
    return app
