"""A payment compares an order with its PaymentIntent at Stripe and says what must happen next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.errors import Forbidden, KeyReused, NotFound, Refused, TooMany
from shared.events import (
    OrderEvent,
    PaymentData,
)

AttemptState = Literal["started", "action", "authorized", "declined", "lost"]
IntentStatus = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "succeeded",
    "canceled",
]
Status = Literal[
    "new", "processing", "requires_action", "declined", "authorized", "paid", "failed", "refunded"
]


class NotPayable(Refused):
    message = "This order can't be paid"


class TooManyAttempts(TooMany):
    """Whoever tries stolen cards tries many."""

    message = "Too many cards were declined for this order; reserve the ticket again"


class Declined(Refused):
    message = "The card was declined"


class NotRefundable(Refused):
    message = "This payment can't be refunded"


@dataclass(frozen=True)
class Pair:
    """What an order commits to: this payment, by this attempt."""

    payment_id: str
    attempt: int


@dataclass(frozen=True)
class Order:
    """What payments knows of the order: a replica."""

    epoch: int
    version: int
    status: str
    user_id: str
    title: str
    quantity: int
    amount: int
    currency: str
    expires_at: datetime
    reason: str | None = None
    payment: Pair | None = None
    refunded: int = 0
    returned: int = 0

    @property
    def refunds(self) -> tuple[int, int]:
        return self.refunded + self.returned, self.returned


@dataclass(frozen=True)
class Intent:
    """The PaymentIntent, as Stripe last told; `number` counts those that died before it."""

    id: str
    number: int
    status: IntentStatus
    client_secret: str
    captured: int = 0
    refunded: int = 0  # what is with the buyer now
    returned: int = 0  # what Stripe could not deliver, and gave back to us
    error: str | None = None
    redirect_url: str | None = None

    @property
    def refunds(self) -> tuple[int, int]:
        """Rises with all that happens to refunds, so that it tells an older look from a newer."""
        return self.refunded + self.returned, self.returned


@dataclass(frozen=True)
class Method:
    """How the buyer pays: a token or a payment method, made by Stripe's form."""

    kind: Literal["token", "payment_method"]
    value: str


@dataclass(frozen=True)
class Attempt:
    n: int
    method: Method
    state: AttemptState
    error: str | None = None
    key: str | None = None
    key_hash: str | None = None


@dataclass(frozen=True)
class Wish:
    """That everything be given back: an admin's, kept until it is so and after."""

    id: str  # of its entry in the audit log
    asked_by: str
    asked_at: datetime
    reason: str
    returned: int = 0  # of the intent, when this was asked for


@dataclass(frozen=True)
class Payment:
    """Everything about paying one order; `id` is the order's."""

    id: str
    version: int
    payment_id: str
    order: Order
    created_at: datetime
    updated_at: datetime
    intent: Intent | None = None
    attempts: tuple[Attempt, ...] = ()
    settle_at: datetime | None = None
    wish: Wish | None = None
    refusals: int = 0  # of a refund by Stripe, in a row

    @property
    def refund_failed(self) -> bool:
        """Whether money came back that a buyer was to get, and no admin has said: once more."""
        intent, known = self.intent, self.wish.returned if self.wish else 0
        return intent is not None and intent.returned > known and intent.refunded < intent.captured

    @property
    def attempt(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def status(self) -> Status:
        """The payment in one word."""
        intent, attempt = self.intent, self.attempt
        if intent is None or attempt is None:
            return "new"
        if intent.status == "succeeded":
            return "refunded" if intent.refunded >= intent.captured else "paid"
        if intent.status == "canceled":
            return "failed"
        return _STATUS[attempt.state]


_STATUS: dict[AttemptState, Status] = {
    "started": "processing",
    "action": "requires_action",
    "authorized": "authorized",
    "declined": "declined",
    "lost": "failed",
}


def order_from(event: OrderEvent) -> Order:
    data = event.data
    pair = data.payment and Pair(data.payment.payment_id, data.payment.attempt)
    return Order(
        epoch=event.epoch,
        version=event.version,
        status=data.status,
        reason=data.reason,
        user_id=data.user_id,
        title=data.ticket.title,
        quantity=data.quantity,
        amount=data.amount,
        currency=data.currency,
        expires_at=data.expires_at,
        payment=pair,
        refunded=data.refunded,
        returned=data.returned,
    )


# --- what others see ------------------------------------------------------------------------------


def public(payment: Payment) -> PaymentData:
    """What the payment's events say."""
    intent = payment.intent
    return PaymentData(
        id=payment.payment_id,
        order_id=payment.id,
        user_id=payment.order.user_id,
        attempt=_attempt_meant(payment),
        status=payment.status,
        amount=payment.order.amount,
        currency=payment.order.currency,
        captured=intent.captured if intent else 0,
        refunded=intent.refunded if intent else 0,
        returned=intent.returned if intent else 0,
    )


def _attempt_meant(payment: Payment) -> int:
    """The attempt that the order counts on; before it does so, the last one."""
    pair = payment.order.payment
    if pair and pair.payment_id == payment.payment_id:
        return pair.attempt
    return len(payment.attempts)


def require_under_way(payment: Payment) -> Payment:
    """The payment, unless it came to nothing. Raises Declined with the reason, or NotPayable."""
    if payment.order.status == "cancelled":
        raise NotPayable("This order was cancelled")
    if payment.status == "declined":
        raise Declined(payment.attempt.error if payment.attempt else None)
    if payment.status == "failed":
        raise NotPayable("The payment did not go through and nothing was charged; pay again")
    return payment


def require_buyer(payment: Payment | None, user_id: str) -> Payment:
    """The payment, if this person pays it. Raises NotFound or Forbidden."""
    if payment is None:
        raise NotFound
    if payment.order.user_id != user_id:
        raise Forbidden("This is somebody else's order")
    return payment


def attempt_with_key(payment: Payment, key: str, key_hash: str) -> Attempt | None:
    """The attempt made under an Idempotency-Key. Raises KeyReused for another request's key."""
    for attempt in payment.attempts:
        if attempt.key == key:
            if attempt.key_hash != key_hash:
                raise KeyReused(field="Idempotency-Key")
            return attempt
    return None
