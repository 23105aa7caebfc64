"""The JSON door, and the one that Stripe knocks at."""

import re
from typing import Annotated, Any

from flask import Blueprint, Response, current_app, jsonify, request
from pydantic import Field, StringConstraints, model_validator

from apps.payments.gateway import BadSignature
from apps.payments.models import Method, Payment
from apps.payments.service import Payments
from shared import web
from shared.admin import address
from shared.auditlog import entry
from shared.fields import Input, Text, to_major
from shared.identity import require_user
from shared.openapi import IdempotencyHeaders, Output, Price, documented

blueprint = Blueprint("api", __name__)

_NAME = StringConstraints(max_length=255, pattern=re.compile(r"^[A-Za-z0-9_]+$"))


class PaymentIn(Input):
    order_id: Annotated[Text, Field(min_length=1, max_length=64)]
    token: Annotated[Text, _NAME] | None = None
    payment_method: Annotated[Text, _NAME] | None = None

    @model_validator(mode="after")
    def _one_method(self) -> "PaymentIn":
        if (self.token is None) == (self.payment_method is None):
            raise ValueError("give either token or paymentMethod")
        return self

    @property
    def method(self) -> Method:
        if self.token is not None:
            return Method("token", self.token)
        return Method("payment_method", self.payment_method or "")


class PaymentOut(Output):
    id: str
    order_id: str
    status: str
    amount: Price
    currency: str
    refunded: Price | None = None
    returned: Price | None = None


class PaidOut(Output):
    id: str
    status: str
    client_secret: str | None = None
    redirect_url: str | None = None


class ReceivedOut(Output):
    received: bool


def service() -> Payments:
    return current_app.extensions["service"]


@blueprint.post("/api/payments")
@documented(
    {201: PaidOut, 202: PaidOut},
    (400, 401, 403, 404, 422, 429),
    json=PaymentIn,
    headers=IdempotencyHeaders,
)
def create() -> tuple[Response, int]:
    """Pay an order: 201 once the card is authorised, 202 while the bank or the buyer is asked."""
    user = require_user()
    wanted = web.body(PaymentIn)
    order_id = web.require_id(wanted.order_id)
    payment = service().pay(user, order_id, wanted.method, web.idempotency_key())
    waiting = payment.status in ("processing", "requires_action")
    return jsonify(_paid(payment)), 202 if waiting else 201


@blueprint.get("/api/payments/<payment_id>")
@documented({200: PaymentOut}, (401, 403, 404))
def show(payment_id: str) -> Response:
    """One payment, for the buyer."""
    user = require_user()
    payment = service().get(user, web.require_id(payment_id))
    return jsonify(to_json(payment))


@blueprint.post("/api/payments/webhook")
@documented({200: ReceivedOut}, (400,))
def webhook() -> Response:
    """Stripe tells that something happened. Only a valid signature is listened to."""
    try:
        service().webhook(request.get_data(), request.headers.get("Stripe-Signature", ""))
    except BadSignature:
        service().store.strangers.add(entry("webhook.refused", "", "", address()))
        raise
    return jsonify(received=True)


def _paid(payment: Payment) -> dict[str, Any]:
    answer = PaidOut(id=payment.payment_id, status=payment.status)
    if payment.status == "requires_action" and payment.intent:
        extra = {
            "client_secret": payment.intent.client_secret,
            "redirect_url": payment.intent.redirect_url,
        }
        answer = answer.model_copy(update=extra)
    return answer.to_json()


def to_json(payment: Payment) -> dict[str, Any]:
    """A payment as its buyer sees it; money in major units."""
    order = payment.order
    intent = payment.intent
    refunded, returned = (intent.refunded, intent.returned) if intent else (0, 0)
    return PaymentOut(
        id=payment.payment_id,
        order_id=payment.id,
        status=payment.status,
        amount=to_major(order.amount, order.currency),
        currency=order.currency,
        refunded=to_major(refunded, order.currency) if refunded else None,
        returned=to_major(returned, order.currency) if returned else None,
    ).to_json()
