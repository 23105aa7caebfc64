"""The pages: the card form, which the order's page embeds, and the way back from the bank."""

from typing import Annotated

from flask import Blueprint, Response, request
from pydantic import Field
from werkzeug.wrappers import Response as BaseResponse

from apps.payments.api import PaymentIn, service
from apps.payments.models import Payment
from shared import web
from shared.errors import FieldError, Refused
from shared.fields import Input, Text
from shared.identity import require_user

blueprint = Blueprint("views", __name__, template_folder="templates")


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
        if refused.status != 400:
            raise
        return _form(service().wait_for(user, order_id), refused.errors, refused.status)
    if payment.status == "requires_action" and payment.intent and payment.intent.redirect_url:
        return web.see_other(payment.intent.redirect_url)
    return web.see_other(f"/orders/{order_id}")


@blueprint.get("/payments/return/<order_id>")
def back(order_id: str) -> BaseResponse:
    """From the bank's page: what it says in the address is not trusted, Stripe is asked."""
    payment = service().returned(require_user(), web.require_id(order_id))
    if payment.status == "declined":
        error = payment.attempt.error if payment.attempt else None
        return _form(payment, [FieldError(error or "The bank did not confirm the payment")], 400)
    return web.see_other(f"/orders/{payment.id}")


def _form(payment: Payment, errors: list[FieldError] | None = None, status: int = 200) -> Response:
    return web.render(
        "payments/new.html",
        block="form",
        status=status,
        payment=payment,
        errors=errors or [],
        method=request.form.get("token", ""),
        key=web.new_key(),
    )
