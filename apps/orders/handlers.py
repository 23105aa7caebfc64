"""What orders does when it hears of something. The tables at the end are its documentation."""

from collections.abc import Callable
from dataclasses import dataclass

from apps.orders.models import Pair
from apps.orders.onsale import Ticket
from apps.orders.service import Orders
from shared import logs
from shared.bus import Tell, tell_nobody
from shared.events import (
    Event,
    ExpirationComplete,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderEvent,
    PaymentCompleted,
    PaymentCreated,
    PaymentEvent,
    PaymentFailed,
    PaymentRefunded,
    TicketCreated,
    TicketUpdated,
    UserCreated,
    UserUpdated,
)
from shared.mongo import Document
from shared.worker import Handlers

log = logs.get(__name__)


@dataclass(frozen=True)
class EventHandlers:
    orders: Orders
    publish: Callable[[list[Document]], None]
    tell: Tell = tell_nobody

    def on_tickets(self, events: list[TicketCreated | TicketUpdated]) -> None:
        """New ones are taken in together; each of the others is followed."""
        done = self.orders.arrivals.take_in(events)
        for event in events:
            if event.id in done:
                self.tell("sales", event.data.user_id)
            else:
                self.on_ticket(event)

    def on_ticket(self, event: TicketCreated | TicketUpdated) -> None:
        self._follow(self.orders.tickets.save(event))
        self.tell("sales", event.data.user_id)

    def rebuild_ticket(self, event: TicketCreated | TicketUpdated) -> None:
        """Take the event as the truth about its ticket, even where its version is known."""
        self._follow(self.orders.tickets.save(event, rebuild=True))

    def _follow(self, ticket: Ticket) -> None:
        self.orders.allotment.allot(ticket.id)
        if ticket.withdrawn:
            self.orders.cancel_withdrawn(ticket.id)
        self.orders.allotment.announce(ticket.id)

    def on_payment_created(self, event: PaymentCreated) -> None:
        self.orders.commit(event.data.order_id, _pair(event))

    def on_payment_completed(self, event: PaymentCompleted) -> None:
        self.orders.complete(event.data.order_id, _pair(event))

    def on_payment_failed(self, event: PaymentFailed) -> None:
        self.orders.payment_failed(event.data.order_id, _pair(event))

    def on_payment_refunded(self, event: PaymentRefunded) -> None:
        data = event.data
        self.orders.refund(data.order_id, _pair(event), data.refunded, data.returned)

    def on_expiration_complete(self, event: ExpirationComplete) -> None:
        try:
            self.orders.expire(event.data.order_id)
        except KeyError:
            # Nothing is lost with it: an alarm only reminds of what the sweep would end anyway.
            log.warning("an alarm for no order", order=event.data.order_id)

    def on_own_orders(self, events: list[OrderEvent]) -> None:
        """Tell everyone what is free now: once for each ticket, however many orders it had.

        Also its seller's pages, which say what is held.
        """
        for event in events:
            if isinstance(event, OrderCancelled):
                self.orders.release_by_id(event.data.id)
        ids = {event.data.ticket.id for event in events}
        tickets = self.orders.tickets.find_all(ids).values()
        for ticket in tickets:
            if ticket.withdrawn:
                self.orders.cancel_withdrawn(ticket.id)
        # Acknowledged only once the stream has them: a crash before that repeats all of it.
        self.publish(self.orders.allotment.announcements(_touched(events)))
        for seller_id in {ticket.user_id for ticket in tickets}:
            self.tell("sales", seller_id)

    def on_sold(self, events: list[OrderEvent]) -> None:
        """Count the sales again that these orders belong to."""
        self.orders.sales.count({event.data.id for event in events}, self.tell)

    def on_user(self, event: UserCreated | UserUpdated) -> None:
        self.orders.people.save(event)

    @property
    def table(self) -> Handlers:
        return {
            PaymentCreated: self.on_payment_created,
            PaymentCompleted: self.on_payment_completed,
            PaymentFailed: self.on_payment_failed,
            PaymentRefunded: self.on_payment_refunded,
            ExpirationComplete: self.on_expiration_complete,
            UserCreated: self.on_user,
            UserUpdated: self.on_user,
        }

    @property
    def replicas(self) -> Handlers:
        return {
            TicketCreated: self.rebuild_ticket,
            TicketUpdated: self.rebuild_ticket,
            UserCreated: self.on_user,
            UserUpdated: self.on_user,
        }


TICKETS: list[type[Event]] = [TicketCreated, TicketUpdated]
# Heard from ourselves, so that an announcement survives a crash between an order and its telling.
OWN: list[type[Event]] = [OrderCreated, OrderCancelled]
SOLD: list[type[Event]] = [OrderCompleted]


def _touched(events: list[OrderEvent]) -> dict[str, set[str] | None]:
    """The blocks of each ticket that these orders took from; None where an event is too old."""
    touched: dict[str, set[str] | None] = {}
    for event in events:
        blocks = touched.setdefault(event.data.ticket.id, set())
        if blocks is not None and event.data.blocks:
            blocks.update(event.data.blocks)
        else:
            touched[event.data.ticket.id] = None
    return touched


def _pair(event: PaymentEvent) -> Pair:
    return Pair(event.data.id, event.data.attempt)
