"""Payments: everything at Stripe: authorise, capture, cancel, refund."""

from flask import Flask

from apps.payments import api, views
from apps.payments.config import Settings
from apps.payments.service import Payments
from shared import openapi, web
from shared.identity import Identity

STRIPE_PAGES = "https://hooks.stripe.com"  # where banks ask their customers


def create_app(settings: Settings, service: Payments, person: Identity) -> Flask:
    bank = settings.stripe_api_base or STRIPE_PAGES
    app = web.create(__name__, "/payments", settings, person, form_targets=bank)
    app.extensions["service"] = service
    app.register_blueprint(api.blueprint)
    app.register_blueprint(views.blueprint)
    openapi.init_app(app, "/api/payments", "Payments")
    return app
