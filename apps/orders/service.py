"""What can be done with orders. Pages, JSON, events and sweeps all come through here."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from apps.orders import agenda, models
from apps.orders.allotment import Allotment
from apps.orders.arrivals import Arrivals
from apps.orders.blocks import Blocks
from apps.orders.desk import Desk
from apps.orders.hoarding import Hoarding
from apps.orders.models import Order, Pair, Purchase, Reason
from apps.orders.people import People
from apps.orders.sales import Sales
from apps.orders.sellers import Sellers
from apps.orders.store import Orders as Store
from apps.orders.store import Tickets
from apps.orders.units import ticket_of
from shared import logs
from shared.events import OrderCancelled
from shared.mongo import Document
from shared.outbox import Aggregates
from shared.people import User
from shared.worker import for_each

log = logs.get(__name__)

SAY_AGAIN = timedelta(seconds=15)  # after which an order that waits for its capture says so again
LOOK_AGAIN = timedelta(minutes=10)  # between two looks for orphans among everything that is taken
ORPHAN_GRACE = timedelta(seconds=10)  # more than clocks of different machines differ


@dataclass
class Orders:
    store: Store
    tickets: Tickets
    blocks: Blocks
    allotment: Allotment
    hold: timedelta
    sales: Sales
    people: People
    clock: "Clock" = field(default_factory=lambda: Clock())
    most_open: int | None = None  # unpaid orders of one person for one ticket; None: no limits

    def __post_init__(self) -> None:
        self.desk = Desk(
            self.store,
            self.tickets,
            self.blocks,
            self.allotment,
            self.hold,
            lambda: self.clock.now(),
            Hoarding(self.store, self.hold, self.most_open),
        )
        self.arrivals = Arrivals(self.tickets, self.blocks, self.allotment.announced)
        self.sellers = Sellers(self.tickets, self.allotment.announced, self.sales, self.people)
        self._looked_everywhere: datetime | None = None

    @property
    def aggregates(self) -> list[Aggregates[Any]]:
        """Everything here that says what it does."""
        return [self.store.aggregates, self.allotment.announced]

    def ensure_indexes(self) -> None:
        self.store.ensure_indexes()
        self.tickets.ensure_indexes()
        self.blocks.ensure_indexes()
        self.allotment.announced.ensure_indexes()
        self.sales.ensure_indexes()

    # --- what buyers do ---------------------------------------------------------------------------

    def place(self, user: User, ticket_id: str, quantity: int, key: str | None) -> Order:
        """Reserve units of a ticket. The same key gives the same order again."""
        return self.desk.place(user, ticket_id, quantity, key)

    def get(self, user: User, order_id: str) -> Order:
        """The buyer's order. Raises NotFound or Forbidden."""
        return models.require_buyer(self.store.aggregates.find(order_id), user.id)

    def purchase(self, user: User, order_id: str) -> Purchase:
        """The buyer's order with its place and time. Raises NotFound or Forbidden."""
        return self.with_places([self.get(user, order_id)])[0]

    def with_places(self, orders: list[Order]) -> list[Purchase]:
        """A ticket's place and time may change after the sale, so they are never kept with it."""
        tickets = self.tickets.find_all({order.ticket.id for order in orders})
        known = [(order, tickets.get(order.ticket.id)) for order in orders]
        return [
            Purchase(order, ticket and ticket.venue, ticket and ticket.starts_at)
            for order, ticket in known
        ]

    def is_late(self, order: Order) -> bool:
        """Whether its time has passed, and only the sweep has not come by yet."""
        return order.is_open and order.expires_at <= self.clock.now()

    def tickets_of(self, user: User, order_id: str) -> Purchase:
        """The buyer's paid order with good tickets. Raises NotPaid or NoTickets."""
        purchase = self.purchase(user, order_id)
        models.require_tickets(purchase.order)
        return purchase

    def receipt_of(self, user: User, order_id: str) -> Purchase:
        """The buyer's paid order. Raises NotPaid."""
        purchase = self.purchase(user, order_id)
        models.require_paid(purchase.order)
        return purchase

    def checked(self, user: User, order_id: str) -> Purchase:
        """An order of which somebody shows a ticket, for its seller. Raises Forbidden."""
        order = models.require_seller(self.store.aggregates.find(order_id), user.id)
        return self.with_places([order])[0]

    def upcoming(self, user: User) -> list[Purchase]:
        """What a person still has to pay, then where they will go, the soonest first."""
        live = [order for order in self.store.live_of_user(user.id) if not order.is_refunded]
        return agenda.upcoming(self.with_places(live), self.clock.now())

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

    def refund(self, order_id: str, pair: Pair, amount: int, returned: int = 0) -> None:
        self.store.aggregates.update(
            order_id, lambda order: models.refund(order, pair, amount, self.clock.now(), returned)
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

        Most rounds look only at what has ended since the last one. The first one of a process, and
        one now and then, look everywhere, so that no note that is missing or wrong hides anything.
        """
        now = self.clock.now()
        everywhere = self._looked_everywhere is None or now - self._looked_everywhere >= LOOK_AGAIN
        for ended in self.blocks.ended(now - ORPHAN_GRACE, everywhere=everywhere):
            self._bury_orphans(ended.block, ended.entries)
            self.blocks.looked_at(ended)
        if everywhere:
            self._looked_everywhere = now

    def _bury_orphans(self, block: str, entries: list[Document]) -> None:
        known = self.store.statuses(entry["order_id"] for entry in entries)
        orphans = [e for e in entries if known.get(e["order_id"], "cancelled") == "cancelled"]
        for entry in orphans:
            self._bury(block, entry["order_id"], entry["units"])
        if orphans:
            self.allotment.announce(ticket_of(block))

    def _bury(self, block: str, order_id: str, units: int) -> None:
        """Make sure that the order can never come to life, then free its units."""
        tombstone = models.tombstone(order_id, block, units, self.clock.now())
        try:
            self.store.aggregates.insert(tombstone, OrderCancelled)
        except DuplicateKeyError:
            log.info("orphan had an order", order=order_id)
        order = self.store.aggregates.find(order_id)
        if order and order.status == "cancelled":
            self.desk.put_back(tombstone)
            self.release(order)

    # --- giving units back ------------------------------------------------------------------------

    def release_by_id(self, order_id: str) -> None:
        if order := self.store.aggregates.find(order_id):
            self.release(order)

    def release(self, order: Order) -> None:
        """Give a cancelled order's units back. Safe to repeat, and to be interrupted."""
        if not order.release_pending:
            return
        self.desk.put_back(order)
        self.store.aggregates.update(order.id, models.released)

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
