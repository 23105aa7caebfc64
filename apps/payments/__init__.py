"""Payments: everything at Stripe: authorise, capture, cancel, refund."""

from typing import TYPE_CHECKING

from apps.payments.config import Settings
from apps.payments.service import Payments

if TYPE_CHECKING:
    from flask import Flask

    from shared.identity import Identity


def create_app(settings: Settings, service: Payments, person: "Identity") -> "Flask":
    # Imported here, because a worker has no use for the web and saves its memory.
    from apps.payments import admin, api, views
    from shared import openapi, web

    bank = settings.stripe_api_base or views.STRIPE_PAGES
    app = web.create(__name__, "/payments", settings, person, form_targets=bank, scope="buy")
    app.extensions["service"] = service
    app.extensions["settings"] = settings
    app.register_blueprint(api.blueprint)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(admin.blueprint)
    openapi.init_app(app, "/api/payments", "Payments")
    return app
