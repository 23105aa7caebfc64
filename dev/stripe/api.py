"""The endpoints: what each accepts and what it does. The table is at the bottom."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.stripe import cards, charges, intents, money
from dev.stripe.errors import Json, invalid
from dev.stripe.operation import Operation
from dev.stripe.params import (
    Spec,
    array_of,
    boolean,
    clearable,
    hash_of,
    integer,
    metadata,
    missing,
    moment,
    one_of,
    positive,
    text,
    url,
)
from dev.stripe.store import Filter

ABANDONED = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")


def create_intent(op: Operation, params: Json) -> Json:
    params["currency"] = params["currency"].lower()
    money.check(params["amount"], params["currency"])
    method = op.method_given(params)
    intent = op.apply(intents.create(params, method, op.now))
    if not params.get("confirm"):
        return intent
    return op.apply(
        intents.confirm(intent, method, params.get("return_url"), op.public_url, op.now)
    )


def update_intent(op: Operation, params: Json, ident: str) -> Json:
    intent = op.intent(ident)
    if "currency" in params:
        params["currency"] = params["currency"].lower()
    if "amount" in params or "currency" in params:
        merged = intent | params
        money.check(merged["amount"], merged["currency"])
    method = op.method_given(params)
    changes = {name: params[name] for name in params if name not in ("expand", *PAYING)}
    if method:
        changes["payment_method"] = method["id"]
    return op.apply(intents.update(intent, changes, method))


def confirm_intent(op: Operation, params: Json, ident: str) -> Json:
    intent = op.intent(ident)
    method = op.method_given(params) or op.method_of(intent)
    return op.apply(
        intents.confirm(intent, method, params.get("return_url"), op.public_url, op.now)
    )


def capture_intent(op: Operation, params: Json, ident: str) -> Json:
    intent = op.intent(ident)
    charge, method = op.charge_of(intent), op.method_of(intent)
    return op.apply(intents.capture(intent, charge, method, params.get("amount_to_capture")))


def cancel_intent(op: Operation, params: Json, ident: str) -> Json:
    intent = op.intent(ident)
    reason = params.get("cancellation_reason")
    return op.apply(intents.cancel(intent, op.charge_of(intent), reason, op.now))


def expire_authorisation(op: Operation, ident: str) -> Json:
    """Not an endpoint of Stripe: what its clock does after seven days."""
    intent = op.intent(ident)
    return op.apply(intents.expire(intent, op.charge_of(intent), op.now))


def create_payment_method(op: Operation, params: Json) -> Json:
    if "card" not in params:
        raise missing("card")
    return op.new_method(params)


def create_refund(op: Operation, params: Json) -> Json:
    charge = _charge_to_refund(op, params)
    status, _ = _card_of(op, charge).refunds
    after, refund = charges.refund(charge, params, status, op.now)
    op.session.save(after)
    op.session.save(refund)
    op.announce("refund.created", refund, charge["payment_intent"])
    op.announce("charge.refunded", after, charge["payment_intent"])
    return refund


def end_refund(op: Operation, ident: str) -> Json:
    """Not an endpoint of Stripe: what the banks say of a refund days later."""
    refund = op.get("refund", ident, "id")
    charge = op.get("charge", refund["charge"], "charge")
    _, status = _card_of(op, charge).refunds
    after, ended = charges.refund_ended(charge, refund, status)
    op.session.save(after)
    op.session.save(ended)
    for kind in ("refund.updated", "charge.refund.updated", "refund.failed"):
        if status == "failed" or kind != "refund.failed":
            op.announce(kind, ended, charge["payment_intent"])
    return ended


def _card_of(op: Operation, charge: Json) -> cards.Card:
    return cards.of(op.get("payment_method", charge["payment_method"], "payment_method"))


def _charge_to_refund(op: Operation, params: Json) -> Json:
    if "charge" in params:
        return op.get("charge", params["charge"], "charge")
    if "payment_intent" not in params:
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or "
            "charge.",
        )
    intent = op.get("payment_intent", params["payment_intent"], "payment_intent")
    charge = op.charge_of(intent)
    if charge is None or charge["status"] != "succeeded":
        raise invalid(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        )
    return charge


def retrieve(kind: str) -> Callable[[Operation, Json, str], Json]:
    def run(op: Operation, params: Json, ident: str) -> Json:  # noqa: ARG001 - one signature
        return op.get(kind, ident, "intent" if kind == "payment_intent" else "id")

    return run


def listing(kind: str, path: str) -> Callable[[Operation, Json], Json]:
    def run(op: Operation, params: Json) -> Json:
        for cursor in ("starting_after", "ending_before"):
            if cursor in params:
                op.get(kind, params[cursor], cursor)
        types = params.get("types", [params["type"]] if "type" in params else [])
        wanted = Filter(
            kind,
            min(params.get("limit", 10), 100),
            params.get("starting_after"),
            params.get("ending_before"),
            params.get("payment_intent"),
            types,
            params.get("created"),
        )
        data, has_more = op.session.page(wanted)
        return {"object": "list", "data": data, "has_more": has_more, "url": path}

    return run


EXPAND: Spec = {"expand": array_of(text)}
CARD = hash_of(
    {"token": text, "number": text, "exp_month": integer, "exp_year": integer, "cvc": text}
)
ADDRESS = hash_of(
    dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), clearable)
)
METHOD: Spec = {
    "type": one_of("card"),
    "card": CARD,
    "billing_details": hash_of(
        {"address": ADDRESS, "email": clearable, "name": clearable, "phone": clearable}
    ),
    "metadata": metadata,
}
PAYING: Spec = {
    "payment_method": text,
    "payment_method_data": hash_of(METHOD, ("type", "card")),
}
DESCRIBING: Spec = {
    "description": clearable,
    "metadata": metadata,
    "receipt_email": clearable,
    "statement_descriptor_suffix": clearable,
}
AUTOMATIC = hash_of(
    {"enabled": boolean, "allow_redirects": one_of("always", "never")}, ("enabled",)
)
CREATE: Spec = {
    "amount": positive,
    "currency": text,
    "automatic_payment_methods": AUTOMATIC,
    "capture_method": one_of("automatic", "automatic_async", "manual"),
    "confirm": boolean,
    "allowed_payment_method_types": array_of(one_of("card")),
    "return_url": url,
    **PAYING,
    **DESCRIBING,
}
UPDATE: Spec = {"amount": positive, "currency": text, **PAYING, **DESCRIBING}
REFUND: Spec = {
    "amount": positive,
    "charge": text,
    "metadata": metadata,
    "payment_intent": text,
    "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
}
PAGE: Spec = {
    "created": moment,
    "ending_before": text,
    "limit": positive,
    "starting_after": text,
}


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    run: Callable[..., Json]
    accepts: Spec = field(default_factory=dict[str, Any])
    required: Sequence[str] = ()


_INTENTS = "/v1/payment_intents"
ENDPOINTS = (
    Endpoint("POST", _INTENTS, create_intent, CREATE, ("amount", "currency")),
    Endpoint("GET", _INTENTS, listing("payment_intent", _INTENTS), PAGE),
    Endpoint("GET", f"{_INTENTS}/<ident>", retrieve("payment_intent")),
    Endpoint("POST", f"{_INTENTS}/<ident>", update_intent, UPDATE),
    Endpoint("POST", f"{_INTENTS}/<ident>/confirm", confirm_intent, PAYING | {"return_url": url}),
    Endpoint(
        "POST", f"{_INTENTS}/<ident>/capture", capture_intent, {"amount_to_capture": positive}
    ),
    Endpoint(
        "POST",
        f"{_INTENTS}/<ident>/cancel",
        cancel_intent,
        {"cancellation_reason": one_of(*ABANDONED)},
    ),
    Endpoint("POST", "/v1/payment_methods", create_payment_method, METHOD, ("type",)),
    Endpoint("GET", "/v1/payment_methods/<ident>", retrieve("payment_method")),
    Endpoint(
        "GET", "/v1/charges", listing("charge", "/v1/charges"), PAGE | {"payment_intent": text}
    ),
    Endpoint("GET", "/v1/charges/<ident>", retrieve("charge")),
    Endpoint("POST", "/v1/refunds", create_refund, REFUND),
    Endpoint(
        "GET", "/v1/refunds", listing("refund", "/v1/refunds"), PAGE | {"payment_intent": text}
    ),
    Endpoint("GET", "/v1/refunds/<ident>", retrieve("refund")),
    Endpoint(
        "GET",
        "/v1/events",
        listing("event", "/v1/events"),
        PAGE | {"type": text, "types": array_of(text)},
    ),
    Endpoint("GET", "/v1/events/<ident>", retrieve("event")),
)
