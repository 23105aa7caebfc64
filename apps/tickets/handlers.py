"""What tickets does when it hears of something. The tables are its documentation."""

from dataclasses import dataclass

from apps.tickets.models import Stock
from apps.tickets.service import Tickets
from shared.bus import Tell, tell_nobody
from shared.events import AvailabilityChanged
from shared.worker import Handlers


@dataclass(frozen=True)
class EventHandlers:
    tickets: Tickets
    tell: Tell = tell_nobody

    def on_availability_changed(self, event: AvailabilityChanged) -> None:
        self.tickets.restock(event.data.ticket_id, _stock(event))
        self.tell(f"ticket:{event.data.ticket_id}", None)

    def rebuild_availability(self, event: AvailabilityChanged) -> None:
        self.tickets.restock(event.data.ticket_id, _stock(event), rebuild=True)

    @property
    def table(self) -> Handlers:
        return {AvailabilityChanged: self.on_availability_changed}

    @property
    def replicas(self) -> Handlers:
        return {AvailabilityChanged: self.rebuild_availability}


def _stock(event: AvailabilityChanged) -> Stock:
    data = event.data
    return Stock(event.epoch, event.version, data.capacity, data.available, data.order_id)
