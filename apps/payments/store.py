"""Payments in MongoDB: one document for each order, and the webhooks that were received."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from apps.payments import models
from apps.payments.models import Payment
from shared.auditlog import Strangers, Trail
from shared.mongo import Store as Database
from shared.outbox import Aggregates
from shared.relay import Relay

SWEEP = 200  # payments that one round of the reconciler takes on
LONG_AGO = datetime.min.replace(year=1970, tzinfo=UTC)
KEPT = 30 * 86_400  # seconds that received webhooks are kept


class Payments:
    def __init__(self, store: Database, relay: Relay | None = None) -> None:
        self.aggregates = Aggregates(store["payments"], Payment, models.public, relay)
        self._payments = store["payments"]
        self._webhooks = store["webhooks"]
        self.trail = Trail(store, relay)
        self.strangers = Strangers(self.trail.add)

    def ensure_indexes(self) -> None:
        self.aggregates.ensure_indexes()
        self.trail.ensure_indexes()
        self._payments.create_index("payment_id", unique=True)
        self._payments.create_index("intent.id", sparse=True)
        self._payments.create_index("settle_at")
        self._payments.create_index([("order.user_id", 1), ("attempts.key", 1)])
        self._webhooks.create_index("received_at", expireAfterSeconds=KEPT)

    def by_payment_id(self, payment_id: str) -> Payment | None:
        return self.aggregates.find_by({"payment_id": payment_id})

    def by_intent(self, intent_id: str) -> Payment | None:
        return self.aggregates.find_by({"intent.id": intent_id})

    def by_key(self, user_id: str, key: str) -> Payment | None:
        return self.aggregates.find_by({"order.user_id": user_id, "attempts.key": key})

    def of_buyer(self, user_id: str, limit: int) -> list[Payment]:
        """Some of a person's payments, the newest first."""
        # By the index of keys, whose first part is the person: few have very many payments.
        found = self._payments.find({"order.user_id": user_id}).sort("created_at", -1)
        return [self.aggregates.load(document) for document in found.limit(limit)]

    def insert(self, payment: Payment) -> bool:
        """Store a new payment; False when there is one already."""
        try:
            self.aggregates.insert(payment, None)
        except DuplicateKeyError:
            return False
        return True

    def insert_many(self, payments: list[Payment]) -> set[str]:
        """Store new payments; returns the orders of which there is one already."""
        return self.aggregates.insert_many(
            [self.aggregates.new_document(payment, None) for payment in payments]
        )

    def require(self, order_id: str) -> Payment:
        """The payment of an order. Raises KeyError."""
        payment = self.aggregates.find(order_id)
        if payment is None:
            raise KeyError(order_id)
        return payment

    def due(self, now: datetime) -> list[str]:
        """Payments whose next move is due, so that one which never works out holds up no other."""
        # Without a lower bound the embedded server reads each payment that waits for nothing.
        condition = {"settle_at": {"$gt": LONG_AGO, "$lte": now}}
        found = self._payments.find(condition, {"_id": 1}).sort("settle_at")
        return [payment["_id"] for payment in found.limit(SWEEP)]

    def keep_webhook(self, notice: dict[str, Any], now: datetime) -> None:
        """For people to look at; nothing depends on it."""
        with suppress(DuplicateKeyError):  # Stripe repeats itself
            self._webhooks.insert_one({"_id": notice["id"], **notice, "received_at": now})
