"""The admin area's part about payments: what is known of one, and giving it back."""

from flask import Response, current_app
from werkzeug.wrappers import Response as BaseResponse

from apps.payments import refunds
from apps.payments.api import service
from apps.payments.config import Settings
from apps.payments.models import Payment
from shared import admin, web
from shared.errors import FieldError, Refused

blueprint = admin.blueprint(__name__)

DASHBOARD = "https://dashboard.stripe.com"


@blueprint.get("/payments/admin/<key>")
def show(key: str) -> Response:
    """The payment with this id, of this order, or the latest of this person."""
    return _part(web.require_id(key))


@blueprint.post("/payments/admin/<order_id>/refund")
def refund(order_id: str) -> BaseResponse:
    order_id = web.require_id(order_id)
    try:
        asked = admin.action("order.refunded", f"order:{order_id}")
        refunds.refund(service(), order_id, asked)
    except Refused as refused:
        if refused.status != 400:
            raise
        return _part(order_id, refused.errors, refused.status)
    return admin.done("The refund is noted and on its way.", order_id)


def _part(key: str, errors: list[FieldError] | None = None, status: int = 200) -> Response:
    payment, others = refunds.find(service(), key)
    return admin.part(
        "payments/admin.html",
        status,
        payment=payment,
        others=others,
        at_stripe=_at_stripe(payment),
        errors=errors or [],
    )


def _at_stripe(payment: Payment | None) -> str | None:
    """The payment's page at Stripe; there is none in development."""
    settings: Settings = current_app.extensions["settings"]
    if payment is None or payment.intent is None or settings.stripe_api_base:
        return None
    test = "/test" if "_test_" in settings.stripe_key else ""
    return f"{DASHBOARD}{test}/payments/{payment.intent.id}"
