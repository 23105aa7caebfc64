"""The pages: the card form, which the order's page embeds, and the way back from the bank."""

from typing import Annotated
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, request
from pydantic import Field
from werkzeug.wrappers import Response as BaseResponse

from apps.payments.api import PaymentIn, service
from apps.payments.config import Settings
from apps.payments.models import Payment
from shared import web
from shared.errors import FieldError, Refused
from shared.fields import Input, Text
from shared.identity import require_user

blueprint = Blueprint("views", __name__, template_folder="templates")

PAYABLE = ("new", "declined", "failed")
TRY_AGAIN = (400, 422)  # declined, not payable, or a form of earlier with another card
STRIPE_JS = "https://js.stripe.com https://*.js.stripe.com"
STRIPE_API = "https://api.stripe.com"
STRIPE_PAGES = "https://hooks.stripe.com"  # where banks ask their customers


class OrderIn(Input):
    order: Annotated[Text, Field(max_length=64)]


@blueprint.before_request
def only_for_people_signed_in() -> None:
    require_user()


@blueprint.get("/payments/new")
def new() -> BaseResponse:
    order_id = web.require_id(web.query(OrderIn).order)
    return _form(service().wait_for(require_user(), order_id))


@blueprint.post("/payments")
def create() -> BaseResponse:
    wanted = web.form(PaymentIn)
    user, order_id = require_user(), web.require_id(wanted.order_id)
    try:
        payment = service().pay(user, order_id, wanted.method, web.idempotency_key())
    except Refused as refused:
        if refused.status not in TRY_AGAIN:
            raise
        return _form(service().wait_for(user, order_id), refused.errors, refused.status)
    if payment.status == "requires_action" and payment.intent and payment.intent.redirect_url:
        return web.see_other(payment.intent.redirect_url)
    if _embedded():  # the order's page goes on by itself
        return _form(payment)
    return web.see_other(_order_page(payment))


@blueprint.get("/payments/return/<order_id>")
def back(order_id: str) -> BaseResponse:
    """From the bank's page: what it says in the address is not trusted, Stripe is asked."""
    payment = service().returned(require_user(), web.require_id(order_id))
    if payment.status == "declined":
        error = payment.attempt.error if payment.attempt else None
        return _form(payment, [FieldError(error or "The bank did not confirm the payment")], 400)
    return web.see_other(_order_page(payment))


def _order_page(payment: Payment) -> str:
    """The order, told of the bank's yes, as the event that says so may still be on its way."""
    return f"/orders/{payment.id}{'?paid=1' if payment.status in ('authorized', 'paid') else ''}"


def _form(payment: Payment, errors: list[FieldError] | None = None, status: int = 200) -> Response:
    settings: Settings = current_app.extensions["settings"]
    response = web.render(
        "payments/new.html",
        block="form",
        status=status,
        payment=payment,
        payable=payment.order.status != "cancelled" and payment.status in PAYABLE,
        errors=errors or [],
        key=web.new_key(),
        card_form=settings.card_form,
        stripe_key=settings.stripe_publishable_key,
        embedded=_embedded(),
    )
    if settings.card_form == "element":
        response.headers["Content-Security-Policy"] = web.content_policy(
            STRIPE_PAGES, script=STRIPE_JS, frame=f"{STRIPE_JS} {STRIPE_PAGES}", connect=STRIPE_API
        )
    return web.kept(response)


def _embedded() -> bool:
    """Whether the form stands in the order's page, which goes on by itself once it is paid."""
    current = urlsplit(request.headers.get("HX-Current-URL", ""))
    return web.wants_fragment() and current.path.startswith("/orders/")
