"""What can be done with orders. Pages, JSON, events and sweeps all come through here."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from apps.orders import models
from apps.orders.allotment import Allotment
from apps.orders.blocks import Blocks, Wish
from apps.orders.groupcommit import GroupCommit
from apps.orders.models import Order, Pair, Reason, Ticket
from apps.orders.store import Orders as Store
from apps.orders.store import Tickets
from shared import logs
from shared.errors import KeyReused, NotHereYet, Refused
from shared.events import OrderCancelled, OrderCreated
from shared.mongo import Document
from shared.outbox import Aggregates
from shared.patience import wait_for
from shared.people import User
from shared.worker import for_each

log = logs.get(__name__)

GROUP = 100  # reservations for one ticket that share a write at the most
SAY_AGAIN = timedelta(seconds=15)  # after which an order that waits for its capture says so again
SCAN_ALL = timedelta(minutes=10)  # between two looks for orphans among everything that is taken
LONG_AGO = datetime.min.replace(tzinfo=UTC)
ORPHAN_GRACE = timedelta(seconds=10)  # more than clocks of different machines differ


@dataclass
class Reservation:
    """A new order on its way through the group commit, and what became of it."""

    ticket: Ticket
    order: Order
    result: Order | Refused | None = None


@dataclass
class Orders:
    store: Store
    tickets: Tickets
    blocks: Blocks
    allotment: Allotment
    hold: timedelta
    clock: "Clock" = field(default_factory=lambda: Clock())

    def __post_init__(self) -> None:
        self._desk = GroupCommit(self._reserve, GROUP)
        self._scanned_until = LONG_AGO
        self._scanned_all: datetime | None = None

    @property
    def aggregates(self) -> list[Aggregates[Any]]:
        """Everything here that says what it does."""
        return [self.store.aggregates, self.allotment.announced]

    def ensure_indexes(self) -> None:
        self.store.ensure_indexes()
        self.tickets.ensure_indexes()
        self.blocks.ensure_indexes()
        self.allotment.announced.ensure_indexes()

    # --- what buyers do ---------------------------------------------------------------------------

    def place(self, user: User, ticket_id: str, quantity: int, key: str | None) -> Order:
        """Reserve units of a ticket. The same key gives the same order again."""
        key_hash = _hash({"ticketId": ticket_id, "quantity": quantity})
        if key and (earlier := self._earlier(user.id, key, key_hash)):
            return earlier
        ticket = self._wait_for_ticket(ticket_id)
        ticket.require_on_sale()
        order = self._new_order(user, ticket, quantity)
        if key:
            order = models.with_key(order, key, key_hash)
        reservation = Reservation(ticket, order)
        self._desk.run(ticket.id, reservation)
        if isinstance(reservation.result, Order):
            return reservation.result
        raise reservation.result or Refused

    def _earlier(self, user_id: str, key: str, key_hash: str) -> Order | None:
        earlier = self.store.by_key(user_id, key)
        if earlier and earlier.key_hash != key_hash:
            raise KeyReused(field="Idempotency-Key")
        return earlier

    def _wait_for_ticket(self, ticket_id: str) -> Ticket:
        """The ticket, once its event has arrived and its units can be taken."""

        def usable() -> Ticket | None:
            ticket = self.tickets.find(ticket_id)
            return ticket if ticket and ticket.blocks else None

        ticket = wait_for(ticket_id, usable)
        if ticket is None:
            raise NotHereYet("There is no such ticket")
        return ticket

    def _new_order(self, user: User, ticket: Ticket, quantity: int) -> Order:
        now = self.clock.now()
        return Order(
            id=secrets.token_hex(12),
            version=0,
            status="created",
            user_id=user.id,
            quantity=quantity,
            amount=ticket.unit_amount * quantity,
            currency=ticket.currency,
            ticket=models.ordered(ticket),
            blocks=(),
            created_at=now,
            expires_at=now + self.hold,
            updated_at=now,
        )

    def _reserve(self, ticket_id: str, reservations: list[Reservation]) -> None:
        """Take units for all reservations in one write, then store their orders in another."""
        wishes = {
            r.order.id: Wish(r.order.id, r.order.quantity, r.order.expires_at) for r in reservations
        }
        count = max(r.ticket.blocks for r in reservations)
        self.blocks.take(ticket_id, count, list(wishes.values()))
        for reservation in reservations:
            taken = tuple(wishes[reservation.order.id].taken)
            reservation.order = models.with_blocks(reservation.order, taken)
        losers = self._insert([r for r in reservations if r.order.blocks])
        self._refuse([r for r in reservations if not r.order.blocks])
        if losers or any(wish.returned for wish in wishes.values()):
            # Somebody may have counted what was free while units were held here for a moment.
            self.allotment.announce(ticket_id)

    def _insert(self, served: list[Reservation]) -> set[str]:
        """Store the orders; the ids of those that another one stood in the way of."""
        if not served:
            return set()
        aggregates = self.store.aggregates
        documents = [aggregates.new_document(r.order, OrderCreated) for r in served]
        refused = aggregates.insert_many(documents)
        for reservation in served:
            order = reservation.order
            if order.id in refused:
                self._put_back(order)
                reservation.result = self._winner(order, models.SoldOut())
            else:
                reservation.result = order
        return refused

    def _winner(self, order: Order, otherwise: Refused) -> Order | Refused:
        """The order that was first under the same key; without one, why this one was not stored."""
        try:
            earlier = order.key and self._earlier(order.user_id, order.key, order.key_hash or "")
        except KeyReused as reused:
            return reused
        return earlier or otherwise

    def _refuse(self, left_out: list[Reservation]) -> None:
        """Say why there are no units, from one look for everybody who asked."""
        if not left_out:
            return
        ticket = self.tickets.find(left_out[0].ticket.id) or left_out[0].ticket
        left = sum(b.available for b in self.blocks.read(ticket.id, ticket.blocks, only_open=True))
        for reservation in left_out:
            refusal = models.refusal(ticket, left, reservation.order.quantity)
            # A double click on the last unit: the second request finds what the first one took.
            reservation.result = self._winner(reservation.order, refusal)

    def get(self, user: User, order_id: str) -> Order:
        """The buyer's order. Raises NotFound or Forbidden."""
        return models.require_buyer(self.store.aggregates.find(order_id), user.id)

    def of_user(self, user: User, after: tuple[datetime, str] | None, limit: int) -> list[Order]:
        return self.store.of_user(user.id, after, limit)

    def cancel(self, user: User, order_id: str) -> Order:
        """The buyer changes their mind before paying. Again: nothing more happens."""
        self.get(user, order_id)
        return self._cancel(order_id, "buyer")

    def _cancel(self, order_id: str, reason: Reason) -> Order:
        order = self.store.aggregates.update(
            order_id, lambda order: models.cancel(order, reason, self.clock.now())
        )
        self.release(order)
        return order

    # --- what payments report ---------------------------------------------------------------------

    def commit(self, order_id: str, pair: Pair) -> None:
        self.store.aggregates.update(
            order_id, lambda order: models.commit(order, pair, self.clock.now())
        )

    def complete(self, order_id: str, pair: Pair) -> None:
        self.store.aggregates.update(
            order_id, lambda order: models.complete(order, pair, self.clock.now())
        )

    def payment_failed(self, order_id: str, pair: Pair) -> None:
        order = self.store.aggregates.update(
            order_id, lambda order: models.payment_failed(order, pair, self.clock.now())
        )
        self.release(order)

    def refund(self, order_id: str, pair: Pair, amount: int) -> None:
        self.store.aggregates.update(
            order_id, lambda order: models.refund(order, pair, amount, self.clock.now())
        )

    # --- time -------------------------------------------------------------------------------------

    def expire(self, order_id: str) -> None:
        """Cancel the order if it is unpaid and its time has passed."""
        order = self.store.aggregates.update(
            order_id, lambda order: models.expire(order, self.clock.now())
        )
        self.release(order)

    def hold_again(self) -> None:
        """After a restore, hold what is unpaid as long as if it were new."""
        until = self.clock.now() + self.hold
        while ids := self.store.overdue(until - timedelta(milliseconds=1)):
            for order_id in ids:
                self.store.aggregates.update(
                    order_id, lambda order: models.hold_again(order, until)
                )

    def sweep_expired(self) -> None:
        """The guarantee behind the alarms: every overdue order ends, whoever forgot it."""
        for_each(self.store.overdue(self.clock.now()), self.expire)

    def sweep_unreleased(self) -> None:
        """Finish what a crash left between cancelling an order and giving its units back."""
        for_each(self.store.unreleased(), self.release_by_id)

    def sweep_unfinished(self) -> None:
        """Say again that a capture is due where payments has been silent for too long."""
        for_each(self.store.unfinished(self.clock.now() - SAY_AGAIN), self._remind)

    def _remind(self, order_id: str) -> None:
        self.store.aggregates.update(
            order_id, lambda order: models.remind(order, self.clock.now(), SAY_AGAIN)
        )

    def sweep_unallotted(self) -> None:
        """Go on where blocks could not follow their ticket yet."""
        for_each(self.tickets.unallotted(), self._allot)

    def _allot(self, ticket_id: str) -> None:
        self.allotment.allot(ticket_id)
        self.allotment.announce(ticket_id)

    def sweep_orphans(self) -> None:
        """Free units that were taken for an order which was never stored.

        Most rounds look only at what has ended since the last one. The first one of a process,
        and one now and then, look at everything: a paused process may write entries of long ago.
        """
        now = self.clock.now()
        everything = self._scanned_all is None or now - self._scanned_all >= SCAN_ALL
        after = LONG_AGO if everything else self._scanned_until
        for block, entries in self.blocks.entries_until(after, now - ORPHAN_GRACE):
            self._bury_orphans(block, entries)
        self._scanned_until = now - ORPHAN_GRACE
        if everything:
            self._scanned_all = now

    def _bury_orphans(self, block: str, entries: list[Document]) -> None:
        known = self.store.statuses(entry["order_id"] for entry in entries)
        orphans = [e for e in entries if known.get(e["order_id"], "cancelled") == "cancelled"]
        for entry in orphans:
            self._bury(block, entry["order_id"], entry["units"])
        if orphans:
            self.allotment.announce(models.ticket_of(block))

    def _bury(self, block: str, order_id: str, units: int) -> None:
        """Make sure that the order can never come to life, then free its units."""
        tombstone = models.tombstone(order_id, block, units, self.clock.now())
        try:
            self.store.aggregates.insert(tombstone, OrderCancelled)
        except DuplicateKeyError:
            log.info("orphan had an order", order=order_id)
        order = self.store.aggregates.find(order_id)
        if order and order.status == "cancelled":
            self._put_back(tombstone)
            self.release(order)

    # --- giving units back ------------------------------------------------------------------------

    def release_by_id(self, order_id: str) -> None:
        if order := self.store.aggregates.find(order_id):
            self.release(order)

    def release(self, order: Order) -> None:
        """Give a cancelled order's units back. Safe to repeat, and to be interrupted."""
        if not order.release_pending:
            return
        self._put_back(order)
        self.store.aggregates.update(order.id, models.released)

    def _put_back(self, order: Order) -> None:
        for part in order.blocks:
            self.blocks.release(order.id, part)
        self.allotment.after_release(order.ticket.id)

    # --- what is on sale --------------------------------------------------------------------------

    def cancel_withdrawn(self, ticket_id: str) -> None:
        """Cancel what is reserved but not paid of a ticket that was taken off sale."""
        for order_id in self.store.open_of_ticket(ticket_id):
            self._cancel_for_seller(order_id)

    def _cancel_for_seller(self, order_id: str) -> None:
        try:
            self._cancel(order_id, "seller")
        except (models.OrderPaid, models.PaymentInProgress):
            log.info("paid orders outlive a withdrawal", order=order_id)


class Clock:
    """The time, in the milliseconds that MongoDB stores; tests put another one in its place."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _hash(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
