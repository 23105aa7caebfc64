"""Charges and refunds: what happened to the money of a PaymentIntent."""

from dev.stripe import cards
from dev.stripe.errors import Json, invalid
from dev.stripe.ids import new_id
from dev.stripe.money import amount_text


def new_charge(intent: Json, method: Json, now: int, *, capture: bool) -> Json:
    """An authorised charge, or with `capture` one that is paid already."""
    card = method["card"]
    amount = intent["amount"]
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": amount,
        "amount_captured": amount if capture else 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "captured": capture,
        "created": now,
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": intent["metadata"],
        "outcome": {
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {
            "card": {key: card[key] for key in ("brand", "exp_month", "exp_year", "last4")},
            "type": "card",
        },
        "receipt_email": intent["receipt_email"],
        "refunded": False,
        "status": "succeeded",
    }


def failed(charge: Json, decline: cards.Decline) -> Json:
    return charge | {
        "amount_captured": 0,
        "captured": False,
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": {
            "network_status": "declined_by_network",
            "reason": decline.decline_code,
            "risk_level": "normal",
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        },
        "paid": False,
        "status": "failed",
    }


def released(charge: Json) -> Json:
    """Stripe shows money that was authorised and never captured as refunded."""
    return charge | {"amount_refunded": charge["amount"], "refunded": True}


def refund(charge: Json, params: Json, status: str, now: int) -> tuple[Json, Json]:
    """Give money back: the charge afterwards, and the refund."""
    amount = params.get("amount")
    left = charge["amount_captured"] - charge["amount_refunded"]
    _check_refund(charge, left, amount)
    given = left if amount is None else amount
    total = charge["amount_refunded"] + given
    after = charge | {"amount_refunded": total, "refunded": total == charge["amount_captured"]}
    return after, {
        "id": new_id("re"),
        "object": "refund",
        "amount": given,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": params.get("metadata", {}),
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def refund_ended(charge: Json, refund: Json, status: str) -> tuple[Json, Json]:
    """What becomes of a refund days later: one that failed is taken off the charge again."""
    if refund["status"] == status:
        raise invalid(f"Nothing more happens to the refund {refund['id']}.")
    if status != "failed":
        return charge, refund | {"status": status}
    total = charge["amount_refunded"] - refund["amount"]
    after = charge | {"amount_refunded": total, "refunded": False}
    return after, refund | {"status": status, "failure_reason": "expired_or_canceled_card"}


def _check_refund(charge: Json, left: int, amount: int | None) -> None:
    if not charge["captured"]:
        raise invalid(
            f"This uncaptured Charge was created by a PaymentIntent ({charge['payment_intent']}). "
            "You must cancel the PaymentIntent to reverse the authorization instead of refunding "
            "the Charge directly.",
        )
    if left == 0:
        raise invalid(
            f"Charge {charge['id']} has already been refunded.", None, "charge_already_refunded"
        )
    if amount is not None and amount > left:
        asked, rest = (amount_text(value, charge["currency"]) for value in (amount, left))
        raise invalid(
            f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})",
            "amount",
            "amount_too_large",
        )
