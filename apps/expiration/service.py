"""Keeps alarms in step with orders, and fills Redis again after it lost them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apps.expiration.alarms import Alarms
from shared import logs
from shared.bus import Bus
from shared.events import (
    Event,
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

TOGETHER = 500  # orders whose alarms are set together when all are
MARGIN = timedelta(minutes=10)  # beyond a hold's length, when orders are read again


@dataclass
class Expiration:
    alarms: Alarms
    bus: Bus
    hold: timedelta

    def on_orders(self, events: Iterable[OrderEvent]) -> None:
        """An alarm stands while its order can expire, and only then."""
        newest: dict[str, OrderEvent] = {}
        for event in events:
            _keep_newest(newest, event)
        self._follow([event.data for event in newest.values()])

    def _follow(self, orders: list[OrderData]) -> None:
        self.alarms.set({o.id: o.expires_at for o in orders if o.status == "created"})
        self.alarms.clear([order.id for order in orders if order.status != "created"])

    def ring(self, order_id: str) -> None:
        """Tell that an order's time is up. Raises when the stream did not store it."""
        event = ExpirationComplete(data=ExpirationData(order_id=order_id))
        self.bus.publish_all([event.to_dict()])

    def refill(self) -> None:
        """Set the alarms of all recent orders again when Redis has forgotten them."""
        if self.alarms.remembers():
            return
        newest = self.bus.run(self._recent_orders())
        orders = [event.data for event in newest.values()]
        for first in range(0, len(orders), TOGETHER):
            self._follow(orders[first : first + TOGETHER])
        self.alarms.remember()
        log.info("alarms set again from the stream", orders=len(orders))

    async def _recent_orders(self) -> dict[str, OrderEvent]:
        """The newest event of each order that may still be waiting for its time."""
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
            if isinstance(event, OrderEvent):
                _keep_newest(newest, event)
        return newest


def _keep_newest(newest: dict[str, OrderEvent], event: OrderEvent) -> None:
    known = newest.get(event.data.id)
    if known is None or event.order > known.order:
        newest[event.data.id] = event


KINDS: list[type[Event]] = [OrderCreated, OrderAwaitingPayment, OrderCompleted, OrderCancelled]
SUBJECTS = [kind.subject_name for kind in KINDS]
