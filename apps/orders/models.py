"""Orders: the rules, without any storage."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from apps.orders.onsale import Ordered
from apps.orders.units import Units, ticket_of
from shared.errors import Forbidden, NotFound, Refused
from shared.events import (
    Event,
    OrderAwaitingPayment,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderData,
    OrderedTicket,
    PaymentPair,
)

Status = Literal["created", "awaiting:payment", "complete", "cancelled"]
Verdict = Literal["Valid", "Refunded", "Cancelled", "Not paid"]
Reason = Literal["expired", "buyer", "seller", "payment", "refunded"]


class OrderPaid(Refused):
    message = "A paid order can't be cancelled"


class NotPaid(Refused):
    status = 404
    message = "This order is not paid, so there is nothing to print yet"


class NoTickets(Refused):
    status = 404
    message = "This order was refunded, so its tickets are no longer good"


class PaymentInProgress(Refused):
    message = "The payment of this order is being confirmed, so it can't be cancelled"


@dataclass(frozen=True)
class Pair:
    """The payment and the attempt that an order is committed to."""

    payment_id: str
    attempt: int


@dataclass(frozen=True)
class Order:
    id: str
    version: int
    status: Status
    user_id: str
    quantity: int
    amount: int
    currency: str
    ticket: Ordered
    blocks: tuple[Units, ...]
    created_at: datetime
    expires_at: datetime
    updated_at: datetime
    reason: Reason | None = None
    payment: Pair | None = None
    refunded: int = 0
    returned: int = 0  # what was sent back to the buyer, too, and did not arrive
    paid_at: datetime | None = None  # not known of what was paid before it was kept
    release_pending: bool | None = None
    key: str | None = None
    key_hash: str | None = None
    shares: tuple[str, ...] | None = None  # of a ticket whose seller limits what one person has

    @property
    def is_open(self) -> bool:
        """Whether it may still be cancelled by its buyer or by the clock."""
        return self.status == "created"

    @property
    def is_refunded(self) -> bool:
        """Whether all of its money went back, so that its tickets are good no more."""
        return self.reason == "refunded" or (self.amount > 0 and self.refunded >= self.amount)

    def verdict(self, unit: int) -> Verdict:
        """What is to be said of one of its units at the entrance."""
        if self.status == "cancelled" or unit > self.quantity:
            return "Refunded" if self.is_refunded else "Cancelled"
        if self.status != "complete":
            return "Not paid"
        return "Refunded" if self.is_refunded else "Valid"

    @property
    def paid_time(self) -> datetime:
        return self.paid_at or self.updated_at


@dataclass(frozen=True)
class Purchase:
    """An order as its buyer looks at it: with the place and the time as they are now."""

    order: Order
    venue: str | None = None
    starts_at: datetime | None = None


Change = tuple[Order, type[Event] | None]

_ANNOUNCEMENTS: dict[Status, type[Event]] = {
    "created": OrderCreated,
    "awaiting:payment": OrderAwaitingPayment,
    "complete": OrderCompleted,
    "cancelled": OrderCancelled,
}


def announce(order: Order, now: datetime) -> Change:
    """Say the state again, with a new version: heals what an event's loss left behind."""
    return replace(order, updated_at=now), _ANNOUNCEMENTS[order.status]


def hold_again(order: Order, until: datetime) -> Change:
    """After a restore: whether it was paid since the backup, payments will tell in time."""
    if order.status != "created" or order.expires_at >= until:
        return order, None
    return replace(order, expires_at=until), None


def remind(order: Order, now: datetime, after: timedelta) -> Change:
    """Say that the capture is due again, unless that was said a moment ago."""
    if order.status != "awaiting:payment" or order.updated_at > now - after:
        return order, None
    return announce(order, now)


def cancel(order: Order, reason: Reason, now: datetime) -> Change:
    """Give an order up, which no money stands behind yet; its units are free once released.

    Cancelling again changes nothing. Raises OrderPaid or PaymentInProgress.
    """
    if order.status == "cancelled":
        return order, None
    if order.status == "complete":
        raise OrderPaid
    if order.status == "awaiting:payment":
        raise PaymentInProgress
    return _cancelled(order, reason, now), OrderCancelled


def _cancelled(order: Order, reason: Reason, now: datetime) -> Order:
    cancelled = replace(order, status="cancelled", reason=reason, updated_at=now)
    return replace(cancelled, release_pending=True, shares=None)


def expire(order: Order, now: datetime) -> Change:
    """Cancel an unpaid order whose time has passed; the state decides, so others stay."""
    if order.status != "created" or order.expires_at > now:
        return order, None
    return cancel(order, "expired", now)


def commit(order: Order, pair: Pair, now: datetime) -> Change:
    """A payment was authorised: from here on the order can't expire, and capture may follow.

    An order that is still `created` is committed even past its time. One that was cancelled
    says so again, so that payments lets the authorisation go.
    """
    if order.status == "created":
        committed = replace(order, status="awaiting:payment", payment=pair, updated_at=now)
        return committed, OrderAwaitingPayment
    if order.status == "cancelled":
        return announce(order, now)
    if order.status == "awaiting:payment" and order.payment == pair:
        return announce(order, now)
    return order, None


def complete(order: Order, pair: Pair, now: datetime) -> Change:
    """The money was captured. A cancelled order says so again, so that payments refunds."""
    if order.status == "cancelled":
        return announce(order, now)
    if order.status == "complete" or order.payment not in (None, pair):
        return order, None
    paid = replace(order, status="complete", payment=pair, paid_at=now, updated_at=now)
    return paid, OrderCompleted


def payment_failed(order: Order, pair: Pair, now: datetime) -> Change:
    """The intent that the order was committed to is dead: pay again, while time lasts."""
    if order.status != "awaiting:payment" or order.payment != pair:
        return order, None
    if order.expires_at <= now:
        return replace(_cancelled(order, "payment", now), payment=None), OrderCancelled
    return replace(order, status="created", payment=None, updated_at=now), OrderCreated


def refund(order: Order, pair: Pair, amount: int, now: datetime, returned: int = 0) -> Change:
    """Money went back, or came back from there, as only more of either can tell.

    The order stays what it is and shows the amount; units stay sold.
    """
    is_news = (amount + returned, returned) > (order.refunded + order.returned, order.returned)
    if order.payment != pair or not is_news or order.status == "created":
        return order, None
    refunded = replace(order, refunded=amount, returned=returned)
    return announce(replace(refunded, shares=None) if refunded.is_refunded else refunded, now)


def released(order: Order) -> Change:
    """All units are back in their blocks."""
    return (replace(order, release_pending=None) if order.release_pending else order), None


def with_key(order: Order, key: str, key_hash: str) -> Order:
    return replace(order, key=key, key_hash=key_hash)


def with_blocks(order: Order, blocks: tuple[Units, ...]) -> Order:
    return replace(order, blocks=blocks)


def tombstone(order_id: str, block: str, units: int, now: datetime) -> Order:
    """Stands where an order was never stored, so that it can't be stored any more."""
    return Order(
        id=order_id,
        version=0,
        status="cancelled",
        reason="expired",
        user_id="",
        quantity=units,
        amount=0,
        currency="",
        ticket=Ordered(ticket_of(block), "", 0, 0, ""),
        blocks=(Units(block, units),),
        created_at=now,
        expires_at=now,
        updated_at=now,
        release_pending=True,
    )


def public(order: Order) -> OrderData:
    """What the order's events say."""
    ticket = order.ticket
    return OrderData(
        id=order.id,
        user_id=order.user_id,
        status=order.status,
        reason=order.reason,
        quantity=order.quantity,
        amount=order.amount,
        currency=order.currency,
        expires_at=order.expires_at,
        ticket=OrderedTicket(
            id=ticket.id,
            title=ticket.title,
            unit_amount=ticket.unit_amount,
            version=ticket.version,
            seller_id=ticket.seller_id,
        ),
        payment=order.payment
        and PaymentPair(payment_id=order.payment.payment_id, attempt=order.payment.attempt),
        refunded=order.refunded,
        returned=order.returned,
        blocks=tuple(part.block for part in order.blocks),
    )


def require_paid(order: Order) -> Order:
    """The order, if it was paid. Raises NotPaid."""
    if order.status != "complete":
        raise NotPaid
    return order


def require_tickets(order: Order) -> Order:
    """The order, if its tickets are good. Raises NotPaid or NoTickets."""
    if require_paid(order).is_refunded:
        raise NoTickets
    return order


def require_seller(order: Order | None, user_id: str) -> Order:
    """The order, if this person sells what was ordered. Raises NotFound or Forbidden."""
    if order is None:
        raise NotFound
    if order.ticket.seller_id != user_id:
        raise Forbidden("Only who sells this ticket can check it")
    return order


def require_buyer(order: Order | None, user_id: str) -> Order:
    """The order, if it is this person's. Raises NotFound or Forbidden."""
    if order is None:
        raise NotFound
    if order.user_id != user_id:
        raise Forbidden("This is somebody else's order")
    return order
