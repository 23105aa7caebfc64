"""Orders: reservations, orders, and how much of each ticket is free."""

from flask import Flask

from apps.orders import api, views
from apps.orders.config import Settings
from apps.orders.service import Orders
from shared import openapi, web
from shared.identity import Identity


def create_app(settings: Settings, service: Orders, person: Identity) -> Flask:
    app = web.create(__name__, "/orders", settings, person)
    app.extensions["service"] = service
    app.register_blueprint(api.blueprint)
    app.register_blueprint(views.blueprint)
    openapi.init_app(app, "/api/orders", "Orders")
    return app
