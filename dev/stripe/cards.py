"""The test cards that Stripe documents, one of our own, and the payment methods made of them."""

import time
from dataclasses import dataclass
from typing import NoReturn

from dev.stripe.errors import ApiError, Json
from dev.stripe.ids import new_id


@dataclass(frozen=True)
class Decline:
    """How a bank says no: the fields of the card error."""

    code: str
    decline_code: str
    message: str
    param: str | None = None


@dataclass(frozen=True)
class Card:
    """A test card; `pm_card_<name>` and `tok_<name>` stand for it, and so does its number."""

    number: str
    names: tuple[str, ...]
    decline: Decline | None = None
    authenticate: bool = False
    capture_refused: bool = False
    seconds: float = 0  # that its bank takes to answer
    refunds: tuple[str, str] = ("succeeded", "succeeded")  # their status at first, and at last
    brand: str = "visa"

    @property
    def key(self) -> str:
        """What a payment method remembers of its card, in place of the number."""
        return self.names[0]


DECLINED = Decline("card_declined", "generic_decline", "Your card was declined.")
NO_FUNDS = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
LOST = Decline("card_declined", "lost_card", "Your card was declined.")
STOLEN = Decline("card_declined", "stolen_card", "Your card was declined.")
TOO_OFTEN = Decline(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount "
    "limit.",
)
EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.", "exp_month")
WRONG_CVC = Decline(
    "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.", "cvc"
)
BANK_TROUBLE = Decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
)

CARDS = (
    Card("4242424242424242", ("visa",)),
    Card("4000056655665556", ("visa_debit",)),
    Card("5555555555554444", ("mastercard",), brand="mastercard"),
    Card("378282246310005", ("amex",), brand="amex"),
    Card("4000000000000002", ("visa_chargeDeclined", "chargeDeclined"), DECLINED),
    Card(
        "4000000000009995",
        ("visa_chargeDeclinedInsufficientFunds", "chargeDeclinedInsufficientFunds"),
        NO_FUNDS,
    ),
    Card("4000000000009987", ("visa_chargeDeclinedLostCard", "chargeDeclinedLostCard"), LOST),
    Card("4000000000009979", ("visa_chargeDeclinedStolenCard", "chargeDeclinedStolenCard"), STOLEN),
    Card("4000000000000069", ("chargeDeclinedExpiredCard",), EXPIRED),
    Card("4000000000000127", ("chargeDeclinedIncorrectCvc",), WRONG_CVC),
    Card("4000000000000119", ("chargeDeclinedProcessingError",), BANK_TROUBLE),
    Card("4000000000006975", ("visa_chargeDeclinedVelocityLimitExceeded",), TOO_OFTEN),
    Card("4000000000003220", ("threeDSecure2Required",), authenticate=True),
    Card("4000002500003155", ("authenticationRequiredOnSetup",), authenticate=True),
    Card("4000002760003184", ("authenticationRequired",), authenticate=True),
    Card("4000008400001629", ("threeDSecureRequiredChargeDeclined",), DECLINED, authenticate=True),
    Card(
        "4000008260003178",
        ("authenticationRequiredChargeDeclinedInsufficientFunds",),
        NO_FUNDS,
        authenticate=True,
    ),
    Card("4000000000007726", ("pendingRefund",), refunds=("pending", "succeeded")),
    Card("4000000000005126", ("refundFail",), refunds=("succeeded", "failed")),
    # Stripe has no card whose capture fails, and none whose bank is slow; these are ours.
    Card("4000009999990008", ("captureRefused",), capture_refused=True),
    Card("4000009999990016", ("slow",), seconds=4),
)
BY_KEY = {card.key: card for card in CARDS}
BY_NUMBER = {card.number: card for card in CARDS}
BY_PAYMENT_METHOD = {f"pm_card_{name}": card for card in CARDS for name in card.names}
BY_TOKEN = {f"tok_{name}": card for card in CARDS for name in card.names}


def of(method: Json) -> Card:
    return BY_KEY[method["card"]["fingerprint"]]


def seconds(given: Json) -> float:
    """How long the bank of the card in a request takes, where the request names it at once."""
    try:
        card = BY_TOKEN.get(given["payment_method_data"]["card"]["token"])
    except (LookupError, TypeError):
        card = BY_PAYMENT_METHOD.get(given.get("payment_method", ""))
    return card.seconds if card else 0


def from_details(given: Json) -> Card:
    """The card behind `card[token]`, or behind a number with its expiry and security code."""
    if "token" in given:
        return _by_token(given["token"])
    number = "".join(given.get("number", "").split())
    _check_number(number)
    _check_expiry(given)
    if "cvc" in given and not (given["cvc"].isdecimal() and len(given["cvc"]) in (3, 4)):
        _reject("invalid_cvc", "Your card's security code is invalid.", "cvc")
    return BY_NUMBER[number]


def _by_token(token: str) -> Card:
    if token not in BY_TOKEN:
        raise ApiError(
            400, f"No such token: '{token}'", code="resource_missing", param="card[token]"
        )
    return BY_TOKEN[token]


def _check_number(number: str) -> None:
    if not number.isdecimal() or not _luhn(number):
        _reject("incorrect_number", "Your card number is incorrect.", "number")
    if number not in BY_NUMBER:
        _reject(
            "card_declined",
            "Your card was declined. Your request was in test mode, but used a non test card.",
            "",
            "test_mode_live_card",
        )


def _check_expiry(given: Json) -> None:
    now = time.gmtime()
    month, year = given.get("exp_month", 0), given.get("exp_year", 0)
    year += 2000 if 0 < year < 100 else 0
    if not 1 <= month <= 12:
        _reject("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month")
    if (year, month) < (now.tm_year, now.tm_mon) or year > now.tm_year + 50:
        _reject("invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year")


def _reject(code: str, message: str, param: str, decline_code: str | None = None) -> NoReturn:
    raise ApiError(
        402, message, code=code, param=param, kind="card_error", decline_code=decline_code
    )


def _luhn(number: str) -> bool:
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(number))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def payment_method(card: Card, now: int, details: Json, billing: Json) -> Json:
    year = details.get("exp_year", time.gmtime(now).tm_year + 1)
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": None, "email": None, "name": None, "phone": None, "tax_id": None, **billing,
        },
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "unchecked",
            },
            "country": "US",
            "display_brand": card.brand,
            "exp_month": details.get("exp_month", 12),
            "exp_year": year + 2000 if year < 100 else year,
            "fingerprint": card.key,
            "funding": "credit",
            "generated_from": None,
            "last4": card.number[-4:],
            "networks": {"available": [card.brand], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": now,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }  # fmt: skip
