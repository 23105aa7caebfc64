"""What may happen to a payment: a change gives the new state, and the event that tells of it."""

from dataclasses import replace
from datetime import datetime

from apps.payments.models import (
    Attempt,
    AttemptState,
    Intent,
    IntentStatus,
    Method,
    NotPayable,
    NotRefundable,
    Payment,
    TooManyAttempts,
    Wish,
    order_from,
)
from apps.payments.settling import RETRY, left_behind, look_again_at, next_move, stage
from shared.events import (
    Event,
    OrderEvent,
    PaymentCompleted,
    PaymentCreated,
    PaymentFailed,
    PaymentRefunded,
)

Change = tuple[Payment, type[Event] | None]


def learn(payment: Payment, event: OrderEvent, now: datetime, *, rebuild: bool = False) -> Change:
    """Store what the order says, if it is newer, and when what follows from it is overdue.

    A rebuild also stores the same version once more.
    """
    known = (payment.order.epoch, payment.order.version)
    if event.order < known or (event.order == known and not rebuild):
        return payment, None
    payment = replace(payment, order=order_from(event))
    return replace(payment, settle_at=look_again_at(payment, now)), None


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
    if seen.status != "succeeded" or seen.refunds <= intent.refunds:
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
    is_news = state == "authorized" and attempt.state != state and not left_behind(payment)
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
    A refund that failed is tried again by a new wish, and only so: the next would fail, too.
    """
    intent = payment.intent
    if payment.wish and payment.wish.id == wish.id:
        return payment, None
    if intent is None or intent.status != "succeeded":
        raise NotRefundable("Only a payment that was captured can be refunded")
    if intent.refunded >= intent.captured:
        raise NotRefundable("Everything was given back already")
    if (payment.wish or payment.order.status == "cancelled") and not payment.refund_failed:
        raise NotRefundable("The money is on its way back already")
    return _changed(replace(payment, wish=replace(wish, returned=intent.returned)), now), None


def refuse_refund(payment: Payment, now: datetime) -> Change:
    """Stripe does not give the money back: it is asked again, but less and less often."""
    if stage(payment) != "refund":
        return payment, None
    payment = replace(payment, refusals=payment.refusals + 1)
    return replace(payment, settle_at=look_again_at(payment, now)), None


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
        only_refund = order.status == "complete" and order.refunds < intent.refunds
        return PaymentRefunded if only_refund else PaymentCompleted
    dead = intent is None or intent.status == "canceled"
    return PaymentFailed if dead or left_behind(payment) else PaymentCreated


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
    changed = replace(payment, intent=intent or payment.intent, attempts=attempts, refusals=0)
    changed = replace(changed, updated_at=now)
    return replace(changed, settle_at=look_again_at(changed, now))
