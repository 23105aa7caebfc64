"""Reads what Stripe says: every PaymentIntent of ours, with its refunds."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import stripe
from stripe import StripeClient

from ticketing.audit.facts import Facts, Intent

PAGE = 100  # the most that Stripe gives at once
GIVEN_BACK = {"succeeded", "pending", "requires_action"}  # refunds that count


@dataclass
class Refunds:
    """What was given back of one intent, and what became of the last attempt at it."""

    amount: int = 0
    last: str | None = None


class Bank:
    def __init__(self, key: str, base: str) -> None:
        self.client = StripeClient(
            key, base_addresses={"api": base} if base else {}, max_network_retries=3
        )

    def read(self, facts: Facts) -> None:
        """Fill in every intent that carries one of our orders."""
        refunds = self._refunds()
        for intent in self._all():
            _note(facts, _fact(intent, refunds[intent.id]))

    def read_again(self, facts: Facts, ids: Iterable[str]) -> None:
        """Fill in these intents as they are now."""
        for ident in ids:
            intent = self.client.v1.payment_intents.retrieve(ident, {"expand": ["latest_charge"]})
            _note(facts, _fact(intent, self._refunds(ident)[ident]))

    def _all(self) -> Iterator[stripe.PaymentIntent]:
        pages = self.client.v1.payment_intents.list(
            {"limit": PAGE, "expand": ["data.latest_charge"]}
        )
        for intent in pages.auto_paging_iter():
            if intent.metadata and "order_id" in intent.metadata:
                yield intent

    def _refunds(self, intent: str | None = None) -> dict[str, Refunds]:
        """The refunds of each intent; Stripe lists the newest first."""
        found = self.client.v1.refunds.list(
            {"limit": PAGE, "payment_intent": intent} if intent else {"limit": PAGE}
        )
        refunds: dict[str, Refunds] = defaultdict(Refunds)
        for refund in found.auto_paging_iter():
            known = refunds[str(refund.payment_intent)]
            known.last = known.last or refund.status
            if refund.status in GIVEN_BACK:
                known.amount += refund.amount
        return refunds


def _note(facts: Facts, intent: Intent) -> None:
    facts.intents.setdefault(intent.order_id, []).append(intent)


def _fact(intent: stripe.PaymentIntent, refunds: Refunds) -> Intent:
    charge = intent.latest_charge
    charged = isinstance(charge, stripe.Charge)
    return Intent(
        id=intent.id,
        order_id=(intent.metadata or {})["order_id"],
        status=intent.status,
        amount=intent.amount,
        currency=intent.currency,
        captured=intent.amount_received,
        refunded=refunds.amount,
        refund_failed=refunds.last == "failed",
        authorised_at=datetime.fromtimestamp(charge.created, UTC) if charged else None,
    )
