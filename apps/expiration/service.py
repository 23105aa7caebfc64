"""Keeps alarms in step with orders, and fills Redis again after it lost them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apps.expiration.alarms import Alarms
from shared import logs
from shared.bus import Bus
from shared.events import (
    ExpirationComplete,
    ExpirationData,
    OrderAwaitingPayment,
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderData,
    OrderEvent,
    parse,
)

log = logs.get(__name__)

HEARD = 5.0  # seconds that the stream may take to store an announcement
MARGIN = timedelta(minutes=10)  # beyond a hold's length, when orders are read again


@dataclass
class Expiration:
    alarms: Alarms
    bus: Bus
    hold: timedelta

    def on_order(self, event: OrderEvent) -> None:
        """An alarm stands while its order can expire, and only then."""
        self._follow(event.data)

    def _follow(self, order: OrderData) -> None:
        if order.status == "created":
            self.alarms.set(order.id, order.expires_at)
        else:
            self.alarms.clear(order.id)

    def ring(self, order_id: str) -> None:
        """Tell that an order's time is up. Raises when the stream did not store it."""
        event = ExpirationComplete(data=ExpirationData(order_id=order_id))
        publish = self.bus.publish(event.subject, event.to_json().encode(), event.id)
        # Given up where it waits, or it would still be said each time that it was tried.
        self.bus.run(asyncio.wait_for(publish, HEARD))

    def refill(self) -> None:
        """Set the alarms of all recent orders again when Redis has forgotten them."""
        if self.alarms.remembers():
            return
        orders = self.bus.run(self._recent_orders())
        for order in orders.values():
            self._follow(order)
        self.alarms.remember()
        log.info("alarms set again from the stream", orders=len(orders))

    async def _recent_orders(self) -> dict[str, OrderData]:
        """The newest state of each order that may still be waiting for its time."""
        since = datetime.now(UTC) - self.hold - MARGIN
        newest: dict[str, OrderEvent] = {}
        async for message in self.bus.read(subjects=SUBJECTS, since=since):
            if message is None:
                break
            try:
                event = parse(message.payload)
            except ValueError as error:
                log.warning("unreadable event", sequence=message.sequence, error=str(error))
                continue
            if not isinstance(event, OrderEvent):
                continue
            known = newest.get(event.data.id)
            if known is None or event.order > known.order:
                newest[event.data.id] = event
        return {key: event.data for key, event in newest.items()}


KINDS = (OrderCreated, OrderAwaitingPayment, OrderCompleted, OrderCancelled)
SUBJECTS = [kind.subject_name for kind in KINDS]
