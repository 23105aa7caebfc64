"""How an order and its PaymentIntent stand to each other, and what must happen next."""

from datetime import datetime, timedelta
from typing import Literal

from apps.payments.models import AttemptState, Intent, Pair, Payment

RETRY = timedelta(seconds=5)  # after which a move that did not come to its end is made again
DOUBLINGS = 10  # of that time while Stripe goes on refusing a refund: up to an hour and a half
LISTEN = timedelta(seconds=15)  # for the order's answer, before saying again what it must know
LOOK = timedelta(seconds=30)  # between two looks at a buyer who is busy at their bank

Stage = Literal["confirm", "capture", "cancel", "refund", "listen", "watch", "rest"]
Move = Literal["confirm", "capture", "cancel", "refund", "say again", "look", "rest"]


def stage(payment: Payment) -> Stage:
    """Where order and intent stand to each other, whatever the time is."""
    current = _stage(payment)
    # An order that counts on an attempt of the past can't expire: it must hear that it is over.
    waits = current in ("rest", "watch", "confirm")  # and Stripe may refuse to confirm for a day
    return "listen" if waits and left_behind(payment) else current


def _stage(payment: Payment) -> Stage:
    intent, attempt, order = payment.intent, payment.attempt, payment.order
    if intent is None or attempt is None:
        return "rest"
    if intent.status == "canceled":
        return "listen" if committed(payment) else "rest"
    if order.status == "cancelled":
        return _undoing(payment, intent)
    if intent.status == "succeeded":
        if payment.wish and order.status == "complete" and _owed(payment, intent):
            return "refund"
        known = order.status == "complete" and order.refunds >= intent.refunds
        return "rest" if known else "listen"
    if attempt.state == "authorized":
        return "capture" if committed(payment) else "listen"
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
    refused: timedelta = RETRY * 2 ** min(payment.refusals, DOUBLINGS)
    delays = {"rest": None, "listen": LISTEN, "watch": LOOK, "refund": refused}
    delay = delays.get(stage(payment), RETRY)
    return None if delay is None else now + delay


def _undoing(payment: Payment, intent: Intent) -> Stage:
    if intent.status != "succeeded":
        return "cancel"
    return "refund" if _owed(payment, intent) else "rest"


def _owed(payment: Payment, intent: Intent) -> bool:
    """Whether there is something to give back; what came back from there waits for a person."""
    return intent.refunded < intent.captured and not payment.refund_failed


def committed(payment: Payment) -> bool:
    """Whether the order waits for the capture of just this attempt."""
    if payment.order.status != "awaiting:payment" or payment.attempt is None:
        return False
    return payment.order.payment == Pair(payment.payment_id, payment.attempt.n)


def left_behind(payment: Payment) -> bool:
    """Whether the order waits for the capture of an attempt after which another was made.

    A late or repeated PaymentCreated commits an order to an attempt that is over already.
    """
    pair = payment.order.payment
    if payment.order.status != "awaiting:payment" or pair is None:
        return False
    return pair.payment_id == payment.payment_id and pair.attempt < len(payment.attempts)
