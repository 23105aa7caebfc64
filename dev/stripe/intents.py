"""The state machine of PaymentIntents: pure moves from one state to the next.

A move returns an `Outcome` and refuses an illegal state by raising; it saves nothing itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dev.stripe import cards, charges
from dev.stripe.errors import ApiError, CardError, Json, doc_url, illegal_move, unexpected_state
from dev.stripe.ids import new_id

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = ("requires_payment_method", "requires_capture", *CONFIRMABLE[1:])
CAPTURABLE = ("requires_capture",)

AUTHENTICATION_FAILED = (
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or "
    "a new PaymentMethod to attempt to fulfill this PaymentIntent again."
)
CAPTURE_REFUSED = cards.Decline(
    "card_declined", "generic_decline", "The bank refused to capture the authorised amount."
)


@dataclass(frozen=True)
class Outcome:
    """What a move leads to: objects to save, events to send, and the error of a refused card."""

    intent: Json
    others: tuple[Json, ...] = ()
    events: tuple[tuple[str, Json], ...] = field(default=())
    error: CardError | None = None


def create(params: Mapping[str, Any], method: Json | None, now: int) -> Outcome:
    intent_id = new_id("pi")
    types = params.get("allowed_payment_method_types")
    automatic = params.get("automatic_payment_methods", {"enabled": types is None})
    intent: Json = {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": types,
        "amount": params["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", **automatic}
        if automatic["enabled"]
        else None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.get("capture_method", "automatic_async"),
        "client_secret": f"{intent_id}_{new_id('secret')}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": params["currency"],
        "customer": None,
        "description": params.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": params.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": method["id"] if method else None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": types or ["card"],
        "processing": None,
        "receipt_email": params.get("receipt_email"),
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": params.get("statement_descriptor_suffix"),
        "status": "requires_confirmation" if method else "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }
    return Outcome(intent, events=(("payment_intent.created", intent),))


def update(intent: Json, params: Mapping[str, Any], method: Json | None) -> Outcome:
    """Change metadata at any time, what is to be paid only before it is."""
    sensitive = [name for name in ("amount", "currency", "payment_method") if name in params]
    if sensitive and intent["status"] not in CONFIRMABLE:
        name = sensitive[0]
        start = f"This PaymentIntent's {name} could not be updated"
        raise illegal_move(intent, start, "updated", CONFIRMABLE)
    changed = intent | {key: params[key] for key in params if key != "metadata"}
    if "metadata" in params:
        merged = intent["metadata"] | params["metadata"]
        changed["metadata"] = {key: value for key, value in merged.items() if value}
    if method:
        changed |= {"payment_method": method["id"], "next_action": None}
        changed["status"] = "requires_confirmation"
    return Outcome(changed)


def confirm(
    intent: Json, method: Json | None, return_url: str | None, public_url: str, now: int
) -> Outcome:
    _check_confirmable(intent, method, return_url)
    assert method is not None  # noqa: S101 - the check above raised otherwise
    tried = intent | {
        "payment_method": method["id"],
        "last_payment_error": None,
        "next_action": None,
    }
    if cards.of(method).authenticate:
        return _challenge(tried, return_url, public_url, now)
    return _charge(tried, method, now)


def _check_confirmable(intent: Json, method: Json | None, return_url: str | None) -> None:
    if intent["status"] == "succeeded":
        raise unexpected_state(
            intent,
            "You cannot confirm this PaymentIntent because it has already succeeded after being "
            "previously confirmed.",
        )
    if intent["status"] not in CONFIRMABLE:
        raise illegal_move(
            intent, "You cannot confirm this PaymentIntent", "confirmed", CONFIRMABLE
        )
    if method is None:
        raise unexpected_state(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
            "either update the PaymentIntent with a payment method and then confirm it again, or "
            "confirm it again directly with a payment method or ConfirmationToken.",
        )
    automatic = intent["automatic_payment_methods"]
    if automatic and automatic["allow_redirects"] == "always" and not return_url:
        raise ApiError(
            400,
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. "
            "Because some of these payment methods might redirect your customer off of your page, "
            "you must provide a `return_url`. If you don't want to accept redirect-based payment "
            "methods, set `automatic_payment_methods[enabled]` to `true` and "
            "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents "
            "and Payment Intents.",
        )


def _challenge(intent: Json, return_url: str | None, public_url: str, now: int) -> Outcome:
    """Send the buyer to the bank's page; without a way back only Stripe.js could show it."""
    attempt_id = new_id("auth")
    url = f"{public_url}/3d-secure/{attempt_id}"
    attempt: Json = {
        "id": attempt_id,
        "object": "authentication",
        "created": now,
        "payment_intent": intent["id"],
        "return_url": return_url,
        "result": None,
    }
    action: Json = {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url},
    }
    if return_url:
        redirect = {"url": url, "return_url": return_url}
        action = {"type": "redirect_to_url", "redirect_to_url": redirect}
    waiting = intent | {"status": "requires_action", "next_action": action}
    return Outcome(waiting, (attempt,), (("payment_intent.requires_action", waiting),))


def authenticated(intent: Json, method: Json, now: int) -> Outcome:
    """The buyer proved who they are at the bank's page: charge the card."""
    return _charge(intent | {"next_action": None}, method, now)


def not_authenticated(intent: Json, method: Json) -> Outcome:
    error: Json = {
        "type": "invalid_request_error",
        "code": "payment_intent_authentication_failure",
        "doc_url": doc_url("payment_intent_authentication_failure"),
        "message": AUTHENTICATION_FAILED,
        "payment_method": method,
    }
    return _failed(intent, error, ())


def _charge(intent: Json, method: Json, now: int) -> Outcome:
    card = cards.of(method)
    capture = intent["capture_method"] != "manual"
    charge = charges.new_charge(intent, method, now, capture=capture)
    if card.decline:
        return _declined(intent, method, charges.failed(charge, card.decline), card.decline)
    paid = intent | {
        "latest_charge": charge["id"],
        "status": "succeeded" if capture else "requires_capture",
        "amount_received": intent["amount"] if capture else 0,
        "amount_capturable": 0 if capture else intent["amount"],
    }
    news = "payment_intent.succeeded" if capture else "payment_intent.amount_capturable_updated"
    return Outcome(paid, (charge,), (("charge.succeeded", charge), (news, paid)))


def _declined(intent: Json, method: Json, charge: Json, decline: cards.Decline) -> Outcome:
    error = CardError(
        402,
        decline.message,
        kind="card_error",
        code=decline.code,
        param=decline.param,
        decline_code=decline.decline_code,
        charge=charge["id"],
        payment_method=method,
    )
    failed = _failed(intent | {"latest_charge": charge["id"]}, error.fields.copy(), (charge,))
    error.fields["payment_intent"] = failed.intent
    return Outcome(failed.intent, failed.others, failed.events, error)


def _failed(intent: Json, error: Json, others: tuple[Json, ...]) -> Outcome:
    failed = intent | {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "amount_capturable": 0,
        "last_payment_error": error,
    }
    events = [("charge.failed", charge) for charge in others]
    return Outcome(failed, others, (*events, ("payment_intent.payment_failed", failed)), None)


def capture(intent: Json, charge: Json | None, method: Json | None, amount: int | None) -> Outcome:
    """Take the authorised money, or the asked part of it; the rest is released."""
    if intent["status"] == "succeeded":
        message = "This PaymentIntent could not be captured because it has already been captured."
        raise unexpected_state(intent, message)
    if intent["status"] not in CAPTURABLE or charge is None or method is None:
        start = "This PaymentIntent could not be captured"
        raise illegal_move(intent, start, "captured", CAPTURABLE)
    taken = intent["amount_capturable"] if amount is None else amount
    if taken > intent["amount_capturable"]:
        raise ApiError(
            400,
            f"The amount to capture ({taken}) is greater than the amount that can be captured "
            f"({intent['amount_capturable']}).",
            code="amount_too_large",
            param="amount_to_capture",
            payment_intent=intent,
        )
    if cards.of(method).capture_refused:
        refused = charges.failed(charge, CAPTURE_REFUSED)
        return _declined(intent, method, refused, CAPTURE_REFUSED)
    captured = charge | {"amount_captured": taken, "captured": True}
    done = intent | {"status": "succeeded", "amount_capturable": 0, "amount_received": taken}
    events = (("charge.captured", captured), ("payment_intent.succeeded", done))
    return Outcome(done, (captured,), events)


def cancel(intent: Json, charge: Json | None, reason: str | None, now: int) -> Outcome:
    return _cancelled(intent, charge, reason, "charge.refunded", now)


def expire(intent: Json, charge: Json | None, now: int) -> Outcome:
    """What Stripe does by itself when an authorisation has not been captured in time."""
    if intent["status"] not in CAPTURABLE:
        start = "The authorisation of this PaymentIntent could not expire"
        raise illegal_move(intent, start, "expired", CAPTURABLE)
    return _cancelled(intent, charge, "automatic", "charge.expired", now)


def _cancelled(
    intent: Json, charge: Json | None, reason: str | None, release: str, now: int
) -> Outcome:
    if intent["status"] not in CANCELABLE:
        raise illegal_move(intent, "You cannot cancel this PaymentIntent", "canceled", CANCELABLE)
    freed = ()
    if charge and intent["status"] == "requires_capture":
        freed = (charges.released(charge),)
    ended = intent | {
        "status": "canceled",
        "canceled_at": now,
        "cancellation_reason": reason,
        "amount_capturable": 0,
        "next_action": None,
    }
    events = [(release, released) for released in freed]
    return Outcome(ended, freed, (*events, ("payment_intent.canceled", ended)))
