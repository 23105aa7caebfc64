"""A payment compares an order with its PaymentIntent at Stripe and says what must happen next."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from shared.errors import Forbidden, KeyReused, NotFound, Refused, TooMany
from shared.events import (
    Event,
    OrderEvent,
    PaymentCompleted,
    PaymentCreated,
    PaymentData,
    PaymentFailed,
    PaymentRefunded,
)

RETRY = timedelta(seconds=5)  # after which a move that did not come to its end is made again
LISTEN = timedelta(seconds=15)  # for the order's answer, before saying again what it must know
LOOK = timedelta(seconds=30)  # between two looks at a buyer who is busy at their bank

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


@dataclass(frozen=True)
class Intent:
    """The PaymentIntent, as Stripe last told; `number` counts those that died before it."""

    id: str
    number: int
    status: IntentStatus
    client_secret: str
    captured: int = 0
    refunded: int = 0
    error: str | None = None
    redirect_url: str | None = None


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

Change = tuple[Payment, type[Event] | None]


# --- what happens to a payment --------------------------------------------------------------------


def learn(payment: Payment, event: OrderEvent, now: datetime, *, rebuild: bool = False) -> Change:
    """Store what the order says, if it is newer, and when what follows from it is overdue.

    A rebuild also stores the same version once more.
    """
    known = (payment.order.epoch, payment.order.version)
    if event.order < known or (event.order == known and not rebuild):
        return payment, None
    payment = replace(payment, order=order_from(event))
    return replace(payment, settle_at=look_again_at(payment, now)), None


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
    )


def may_begin(payment: Payment) -> bool:
    """Whether a new attempt may be made; no while an earlier one is, or may be, alive.

    Raises NotPayable for an order that is over.
    """
    if payment.order.status == "cancelled":
        raise NotPayable("This order was cancelled")
    if payment.order.status != "created":
        return False
    # An intent that lost its authorisation is about to be cancelled: the next one is a new one.
    return payment.attempt is None or needs_intent(payment) or payment.attempt.state == "declined"


def needs_intent(payment: Payment) -> bool:
    return payment.intent is None or payment.intent.status == "canceled"


def next_number(payment: Payment) -> int:
    return payment.intent.number + 1 if payment.intent else 1


def require_attempt_left(payment: Payment, most: int | None) -> None:
    if most is not None and len(payment.attempts) >= most:
        raise TooManyAttempts


def begin(
    payment: Payment,
    fresh: Intent | None,
    method: Method,
    keys: tuple[str | None, str],
    now: datetime,
) -> Change:
    """Note a new attempt, with its intent, before Stripe is asked to confirm it."""
    if not may_begin(payment):
        return payment, None
    if needs_intent(payment):
        if fresh is None or fresh.number != next_number(payment):
            return payment, None
        payment = replace(payment, intent=fresh)
    attempt = Attempt(
        n=len(payment.attempts) + 1, method=method, state="started", key=keys[0], key_hash=keys[1]
    )
    return _changed(payment, now, attempts=(*payment.attempts, attempt)), None


def observe(payment: Payment, seen: Intent, now: datetime, *, answer_to: int = 0) -> Change:
    """Take in what Stripe says of the intent.

    `answer_to` is the attempt whose own confirmation or capture returned this: only that, and no
    look from aside, which may be old, can say that it failed.
    """
    intent = payment.intent
    if intent is None or intent.id != seen.id or intent.status == "canceled":
        return payment, None
    if intent.status == "succeeded":  # money is the end of an intent: what says less is older
        return _observe_refund(payment, intent, seen, now)
    if seen.status == "succeeded":
        return _changed(payment, now, intent=seen, state="authorized"), PaymentCompleted
    if seen.status == "canceled":
        return _changed(payment, now, intent=seen, state="lost"), PaymentFailed
    return _observe_attempt(payment, intent, seen, now, answer_to)


def _observe_refund(payment: Payment, intent: Intent, seen: Intent, now: datetime) -> Change:
    if seen.status != "succeeded" or seen.refunded <= intent.refunded:
        return payment, None
    return _changed(payment, now, intent=seen), PaymentRefunded


def _observe_attempt(
    payment: Payment, intent: Intent, seen: Intent, now: datetime, answer_to: int
) -> Change:
    attempt = payment.attempt
    if attempt is None:
        return payment, None
    state = _state_seen(attempt, seen, answer=attempt.n == answer_to)
    if state is None or (state == attempt.state and seen == intent):
        return payment, None
    is_news = state == "authorized" and attempt.state != state and not _left_behind(payment)
    return _changed(payment, now, intent=seen, state=state), PaymentCreated if is_news else None


def _state_seen(attempt: Attempt, seen: Intent, *, answer: bool) -> AttemptState | None:
    """The state of the attempt that the intent's status tells of; None when it tells nothing."""
    if seen.status == "requires_capture":
        return "authorized"
    if attempt.state == "authorized" and seen.status == "requires_payment_method" and answer:
        return "lost"
    if attempt.state not in ("started", "action") or (attempt.state == "started" and not answer):
        return None
    return _SEEN.get(seen.status)


_SEEN: dict[IntentStatus, AttemptState] = {
    "requires_action": "action",
    "requires_payment_method": "declined",
}


def wish_refund(payment: Payment, wish: Wish, now: datetime) -> Change:
    """Note that all is to be given back; `settle` does it. The same wish again changes nothing.

    Raises NotRefundable where no money was taken, or none is left, or it is going back already.
    """
    intent = payment.intent
    if payment.wish and payment.wish.id == wish.id:
        return payment, None
    if intent is None or intent.status != "succeeded":
        raise NotRefundable("Only a payment that was captured can be refunded")
    if intent.refunded >= intent.captured:
        raise NotRefundable("Everything was given back already")
    if payment.wish or payment.order.status == "cancelled":
        raise NotRefundable("The money is on its way back already")
    return _changed(replace(payment, wish=wish), now), None


def resync(payment: Payment, now: datetime) -> Change:
    """Announce the state to everybody, where there is one that was ever announced."""
    dead = payment.intent is not None and payment.intent.status == "canceled"
    if not dead and payment.status not in ("authorized", "paid", "refunded"):
        return payment, None
    return _changed(payment, now), _announcement(payment)


def say_again(payment: Payment, now: datetime) -> Change:
    """Announce the state once more, to an order that has not answered."""
    if next_move(payment, now) != "say again":  # somebody else was faster
        return payment, None
    return _changed(payment, now), _announcement(payment)


def _announcement(payment: Payment) -> type[Event]:
    """The event that tells where a payment stands."""
    intent, order = payment.intent, payment.order
    if intent and intent.status == "succeeded":
        only_refund = order.status == "complete" and order.refunded < intent.refunded
        return PaymentRefunded if only_refund else PaymentCompleted
    dead = intent is None or intent.status == "canceled"
    return PaymentFailed if dead or _left_behind(payment) else PaymentCreated


def postpone(payment: Payment, now: datetime) -> Change:
    """A move did not work out now: others come first, then it is made again."""
    if payment.settle_at is None or payment.settle_at > now:
        return payment, None
    return replace(payment, settle_at=now + RETRY), None


def rest(payment: Payment, now: datetime) -> Change:
    """Nothing more to do for now: note when to look again, if at all."""
    wanted, noted = look_again_at(payment, now), payment.settle_at
    if wanted is None and noted is None:
        return payment, None
    if wanted and noted and noted > now:
        return payment, None
    return replace(payment, settle_at=wanted), None


def _changed(
    payment: Payment,
    now: datetime,
    *,
    intent: Intent | None = None,
    state: AttemptState | None = None,
    attempts: tuple[Attempt, ...] | None = None,
) -> Payment:
    attempts = payment.attempts if attempts is None else attempts
    if state and attempts:
        error = (intent.error if intent else None) if state == "declined" else None
        attempts = (*attempts[:-1], replace(attempts[-1], state=state, error=error))
    changed = replace(payment, intent=intent or payment.intent, attempts=attempts, updated_at=now)
    return replace(changed, settle_at=look_again_at(changed, now))


# --- what must happen next ------------------------------------------------------------------------

Stage = Literal["confirm", "capture", "cancel", "refund", "listen", "watch", "rest"]
Move = Literal["confirm", "capture", "cancel", "refund", "say again", "look", "rest"]


def stage(payment: Payment) -> Stage:
    """Where order and intent stand to each other, whatever the time is."""
    current = _stage(payment)
    # An order that counts on an attempt of the past can't expire: it must hear that it is over.
    return "listen" if current in ("rest", "watch") and _left_behind(payment) else current


def _stage(payment: Payment) -> Stage:
    intent, attempt, order = payment.intent, payment.attempt, payment.order
    if intent is None or attempt is None:
        return "rest"
    if intent.status == "canceled":
        return "listen" if _committed(payment) else "rest"
    if order.status == "cancelled":
        return _undoing(intent)
    if intent.status == "succeeded":
        if payment.wish and order.status == "complete" and intent.refunded < intent.captured:
            return "refund"
        known = order.status == "complete" and order.refunded >= intent.refunded
        return "rest" if known else "listen"
    if attempt.state == "authorized":
        return "capture" if _committed(payment) else "listen"
    return _STAGES[attempt.state]


_STAGES: dict[AttemptState, Stage] = {
    "lost": "cancel",
    "started": "confirm",
    "action": "watch",
    "declined": "rest",
}


def next_move(payment: Payment, now: datetime) -> Move:
    """What brings order and intent together; asking for it again and again does no harm."""
    current = stage(payment)
    if current == "listen":
        return "say again" if payment.updated_at <= now - LISTEN else "rest"
    if current == "confirm":  # the request that began the attempt is given time to do it itself
        return "confirm" if payment.updated_at <= now - RETRY else "rest"
    if current == "watch":
        return "look" if payment.updated_at <= now - LOOK else "rest"
    return current


def look_again_at(payment: Payment, now: datetime) -> datetime | None:
    """When the reconciler must come back, should nobody else; None when all is at rest."""
    delay = {"rest": None, "listen": LISTEN, "watch": LOOK}.get(stage(payment), RETRY)
    return None if delay is None else now + delay


def _undoing(intent: Intent) -> Stage:
    if intent.status != "succeeded":
        return "cancel"
    return "refund" if intent.refunded < intent.captured else "rest"


def _committed(payment: Payment) -> bool:
    """Whether the order waits for the capture of just this attempt."""
    if payment.order.status != "awaiting:payment" or payment.attempt is None:
        return False
    return payment.order.payment == Pair(payment.payment_id, payment.attempt.n)


def _left_behind(payment: Payment) -> bool:
    """Whether the order waits for the capture of an attempt after which another was made.

    A late or repeated PaymentCreated commits an order to an attempt that is over already.
    """
    pair = payment.order.payment
    if payment.order.status != "awaiting:payment" or pair is None:
        return False
    return pair.payment_id == payment.payment_id and pair.attempt < len(payment.attempts)


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
