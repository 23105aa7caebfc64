"""What tickets does when it hears of something. The tables are its documentation."""

from dataclasses import dataclass

from apps.tickets.models import Stock
from apps.tickets.service import Tickets
from shared.bus import Tell, tell_nobody
from shared.events import AvailabilityChanged, Event
from shared.worker import Handlers


@dataclass(frozen=True)
class EventHandlers:
    tickets: Tickets
    tell: Tell = tell_nobody

    def on_availability(self, events: list[AvailabilityChanged]) -> None:
        """Of what comes together, only the newest of each ticket is stored and told."""
        newest = {
            event.data.ticket_id: event for event in sorted(events, key=lambda event: event.order)
        }
        self.tickets.restock_all({key: _stock(event) for key, event in newest.items()})
        for ticket_id in newest:
            self.tell(f"ticket:{ticket_id}", None)

    def rebuild_availability(self, event: AvailabilityChanged) -> None:
        self.tickets.restock(event.data.ticket_id, _stock(event), rebuild=True)

    @property
    def replicas(self) -> Handlers:
        return {AvailabilityChanged: self.rebuild_availability}


HEARD: list[type[Event]] = [AvailabilityChanged]


def _stock(event: AvailabilityChanged) -> Stock:
    data = event.data
    return Stock(event.epoch, event.version, data.capacity, data.available, data.order_id)
