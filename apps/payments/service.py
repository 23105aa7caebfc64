"""What can be done with payments. `settle` alone moves money; everything else leads to it."""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from apps.payments import changes, models, settling
from apps.payments.errands import Errands
from apps.payments.gateway import Doubt, Gateway
from apps.payments.models import Intent, Method, Payment
from apps.payments.settling import Move
from apps.payments.store import Payments as Store
from shared import logs
from shared.errors import NotHereYet
from shared.events import OrderCreated, OrderEvent
from shared.mongo import is_temporary
from shared.outbox import Aggregates
from shared.patience import wait_for
from shared.people import User

log = logs.get(__name__)

MOVES = 8  # that one call of `settle` makes at the most; the reconciler goes on later

# What a webhook could tell that our own record does not say yet.
_NEWS: dict[str, Callable[[Intent], bool]] = {
    "payment_intent.amount_capturable_updated": lambda known: known.status != "requires_capture",
    "payment_intent.succeeded": lambda known: known.status != "succeeded",
    "payment_intent.payment_failed": lambda known: known.status != "requires_payment_method",
    "payment_intent.canceled": lambda known: known.status != "canceled",
    "payment_intent.requires_action": lambda known: known.status != "requires_action",
    "charge.refunded": lambda known: _may_be_refunded(known),
    "charge.refund.updated": lambda known: known.refunded > 0,
    "refund.failed": lambda known: known.refunded > 0,
}


def _may_be_refunded(known: Intent) -> bool:
    """Whether more may have gone back; also of a capture whose answer is still to be stored."""
    return known.status not in ("succeeded", "canceled") or known.refunded < known.captured


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass
class Payments:
    store: Store
    gateway: Gateway
    now: Callable[[], datetime] = _now
    errands: Errands = field(default_factory=Errands)
    most_attempts: int | None = None  # to pay one order; None: no limits

    @property
    def aggregates(self) -> list[Aggregates[Any]]:
        return [self.store.aggregates, self.store.trail.aggregates]

    # --- what buyers do ---------------------------------------------------------------------------

    def pay(self, user: User, order_id: str, method: Method, key: str | None) -> Payment:
        """Authorise the order's amount. While an attempt is alive, everyone gets that attempt.

        Raises Declined with the card's reason, NotPayable, TooManyAttempts, or NotHereYet.
        """
        key_hash = _hash({"orderId": order_id, **asdict(method)})
        payment = self.wait_for(user, order_id)
        if key and (again := self._earlier(user, key, key_hash)):
            return models.require_under_way(again)
        if changes.may_begin(payment):
            changes.require_attempt_left(payment, self.most_attempts)
            payment = self._begin(payment, method, (key, key_hash))
        if payment.order.status == "cancelled":
            self.settle_quietly(order_id)  # cancelled just now: let go what was authorised
        return models.require_under_way(payment)

    def _earlier(self, user: User, key: str, key_hash: str) -> Payment | None:
        """The payment that an attempt under the same key led to. Raises what it raised."""
        payment = self.store.by_key(user.id, key)
        attempt = payment and models.attempt_with_key(payment, key, key_hash)
        if payment and attempt and attempt.state == "declined":
            raise models.Declined(attempt.error)
        return payment

    def wait_for(self, user: User, order_id: str) -> Payment:
        """The order's payment, once the order's event has arrived."""
        payment = wait_for(order_id, lambda: self.store.aggregates.find(order_id))
        if payment is None:
            raise NotHereYet("There is no such order")
        return models.require_buyer(payment, user.id)

    def get(self, user: User, payment_id: str) -> Payment:
        """The buyer's payment. Raises NotFound or Forbidden."""
        return models.require_buyer(self.store.by_payment_id(payment_id), user.id)

    def returned(self, user: User, order_id: str) -> Payment:
        """The buyer is back from their bank: see what came of it."""
        models.require_buyer(self.store.aggregates.find(order_id), user.id)
        return self.settle(order_id, look=True)

    def _begin(self, payment: Payment, method: Method, keys: tuple[str | None, str]) -> Payment:
        """Note the attempt, then confirm it. Whoever loses a race finds the winner's attempt."""
        fresh = None
        if changes.needs_intent(payment):
            try:
                fresh = self.gateway.create(payment, changes.next_number(payment))
            except Doubt:
                # Stripe serves one at a time, and lets no other tab wait.
                if faster := wait_for(payment.id, lambda: self._begun_since(payment)):
                    return faster
                raise
        begun = self.store.aggregates.update(
            payment.id, lambda current: changes.begin(current, fresh, method, keys, self.now())
        )
        if len(begun.attempts) == len(payment.attempts) or begun.intent is None:
            return begun
        if begun.attempts[-1].method != method or begun.attempts[-1].key != keys[0]:
            return begun
        try:
            return self._confirm(begun, begun.intent)
        except Doubt:
            return begun  # the reconciler sends the same attempt again

    def _begun_since(self, payment: Payment) -> Payment | None:
        current = self.store.require(payment.id)
        return current if len(current.attempts) > len(payment.attempts) else None

    def _confirm(self, payment: Payment, intent: Intent) -> Payment:
        seen = self.gateway.confirm(payment, intent)
        return self._take_in(payment.id, seen, answer_to=payment.attempts[-1].n)

    # --- bringing both sides together -------------------------------------------------------------

    def settle(self, order_id: str, *, look: bool = False) -> Payment:
        """Make the moves that bring the order and its intent together, until none is left.

        Safe to call at any time, from anywhere, any number of times. Raises Doubt while Stripe does
        not answer; the reconciler comes back.
        """
        payment = self.store.require(order_id)
        if look and payment.intent:
            payment = self._take_in(order_id, self.gateway.read(payment.intent))
        for _ in range(MOVES):
            move = settling.next_move(payment, self.now())
            before, payment = payment, self._make(move, payment)
            if payment == before:
                if move == "refund":
                    self.store.aggregates.update(
                        order_id, lambda current: changes.refuse_refund(current, self.now())
                    )
                break
        if changes.rest(payment, self.now())[0] is payment:
            return payment  # whoever has changed it since has seen to that, too
        return self.store.aggregates.update(
            order_id, lambda current: changes.rest(current, self.now())
        )

    def _make(self, move: Move, payment: Payment) -> Payment:
        intent = payment.intent
        if move == "rest" or intent is None:
            return payment
        if move == "say again":
            return self.store.aggregates.update(
                payment.id, lambda current: changes.say_again(current, self.now())
            )
        if move == "confirm":
            return self._confirm_again(payment, intent)
        answer_to = payment.attempts[-1].n if move == "capture" else 0
        return self._take_in(payment.id, self._ask(move, intent), answer_to=answer_to)

    def _confirm_again(self, payment: Payment, intent: Intent) -> Payment:
        """Send the same attempt once more; should Stripe only repeat a failure, look for money."""
        try:
            return self._confirm(payment, intent)
        except Doubt:
            seen = self.gateway.read(intent)
            if seen.status != "requires_capture":
                raise
            return self._take_in(payment.id, seen)

    def _ask(self, move: Move, intent: Intent) -> Intent:
        match move:
            case "capture":
                return self.gateway.capture(intent)
            case "cancel":
                return self.gateway.cancel(intent)
            case "refund":
                return self.gateway.refund(intent)
            case _:
                return self.gateway.read(intent)

    def _take_in(self, order_id: str, seen: Intent, *, answer_to: int = 0) -> Payment:
        """Store what Stripe told, and what follows from it for others."""
        return self.store.aggregates.update(
            order_id,
            lambda current: changes.observe(current, seen, self.now(), answer_to=answer_to),
        )

    # --- what others report -----------------------------------------------------------------------

    def learn(self, event: OrderEvent) -> None:
        """Store the order's news; what follows from it, if anything, is done outside the event."""
        payment = self.store_order(event)
        if settling.next_move(payment, self.now()) != "rest":
            self.errands.submit(self.settle_quietly, payment.id)

    def hear_of_new(self, events: list[OrderCreated]) -> None:
        """Store the orders of these events, those that nobody has heard of in one write."""
        known = self.store.insert_many([self._new(event) for event in events])
        for event in events:
            if event.data.id in known:
                self.learn(event)

    def rebuild(self, event: OrderEvent) -> None:
        """Take the event as the truth about its order; the reconciler does what follows."""
        self.store_order(event, rebuild=True)

    def store_order(self, event: OrderEvent, *, rebuild: bool = False) -> Payment:
        if isinstance(event, OrderCreated):  # nearly always new, so it is not looked for first
            return self._add_replica(event) or self._update_replica(event, rebuild)
        try:
            return self._update_replica(event, rebuild)
        except KeyError:
            return self._add_replica(event) or self._update_replica(event, rebuild)

    def _add_replica(self, event: OrderEvent) -> Payment | None:
        """The payment of an order that was not heard of before; None when it was."""
        payment = self._new(event)
        return payment if self.store.insert(payment) else None

    def _update_replica(self, event: OrderEvent, rebuild: bool) -> Payment:
        return self.store.aggregates.update(
            event.data.id,
            lambda current: changes.learn(current, event, self.now(), rebuild=rebuild),
        )

    def _new(self, event: OrderEvent) -> Payment:
        now = self.now()
        return Payment(
            id=event.data.id,
            version=0,
            payment_id=secrets.token_hex(12),
            order=models.order_from(event),
            created_at=now,
            updated_at=now,
        )

    def settle_quietly(self, order_id: str) -> None:
        """Settle, and leave what does not work out now to the reconciler."""
        try:
            self.settle(order_id)
        except Exception as error:
            if is_temporary(error):
                return
            if isinstance(error, Doubt):
                log.warning("settling waits", order=order_id, error=str(error))
            else:
                log.error("settling failed", order=order_id, exc_info=error)
            self.store.aggregates.update(
                order_id, lambda current: changes.postpone(current, self.now())
            )

    def reconcile(self) -> None:
        """Go on with every payment whose next move is due, the longest overdue first."""
        due = self.store.due(self.now())
        for errand in [self.errands.submit(self.settle_quietly, order_id) for order_id in due]:
            errand.result()

    def webhook(self, payload: bytes, signature: str) -> None:
        """Stripe says that something happened: see what, at Stripe itself. Raises BadSignature."""
        notice = self.gateway.notice(payload, signature)
        self.store.keep_webhook(asdict(notice), self.now())
        news = _NEWS.get(notice.kind)
        payment = self.store.by_intent(notice.intent_id) if news and notice.intent_id else None
        if payment and payment.intent and news and news(payment.intent):
            self.settle(payment.id, look=True)


def _hash(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
