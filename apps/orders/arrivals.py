"""Tickets of which orders hears for the first time, many at once.

What `Allotment` does block by block, for tickets whose blocks others may know and change, is here
a few writes for all of them together: a third of the database's time. They come in the
order that its rules ask for (docs/adr/0003-allotment.md). The replica is stored as that of a run
that has begun, then the blocks are stored with all their units, then the run ends. A later run
claims as many blocks at least, so nothing that is late here can add units behind its back: its
insert meets a block that is there already. Whatever anybody else has begun is left to a run.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from apps.orders.blocks import Blocks
from apps.orders.store import TicketEvent, Tickets
from apps.orders.units import Availability, blocks_needed, ticket_of
from shared.events import AvailabilityChanged
from shared.outbox import Aggregates


@dataclass
class Arrivals:
    tickets: Tickets
    blocks: Blocks
    announced: Aggregates[Availability]

    def take_in(self, events: Iterable[TicketEvent]) -> set[str]:
        """Put new tickets on sale and tell of them; the ids of the events that are done with."""
        newest: dict[str, TicketEvent] = {}
        for event in sorted(events, key=lambda event: event.order):
            newest[event.data.id] = event
        new = self._without_known(newest)
        fence = int(time.time())  # above every fence that a lost replica's blocks may carry
        reach = {
            key: blocks_needed(one.data.quantity, self.blocks.size) for key, one in new.items()
        }
        for key in self.tickets.begin_new(list(new.values()), reach, fence):
            del new[key]
        for block in self.blocks.insert_new(list(new.values()), fence):
            new.pop(ticket_of(block), None)
        self._end(new, reach, fence)
        self._announce(new)
        return {event.id for event in new.values()}

    def _without_known(self, events: dict[str, TicketEvent]) -> dict[str, TicketEvent]:
        """Those of which nothing is here: neither the replica, nor blocks, which may outlive it."""
        known = set(self.tickets.find_all(events))
        unknown = {key: event for key, event in events.items() if key not in known}
        first = self.blocks.read_all(dict.fromkeys(unknown, 1))
        return {key: event for key, event in unknown.items() if not first[key]}

    def _end(self, new: dict[str, TicketEvent], reach: dict[str, int], fence: int) -> None:
        alike: defaultdict[int, list[str]] = defaultdict(list)
        for key in new:
            alike[reach[key]].append(key)
        for blocks, keys in alike.items():
            self.tickets.end_new(keys, fence, blocks)

    def _announce(self, new: dict[str, TicketEvent]) -> None:
        """All is free as long as nobody else has told of it; who takes units tells anew."""
        documents = [
            self.announced.new_document(
                Availability(key, 0, event.data.quantity, event.data.quantity), AvailabilityChanged
            )
            for key, event in new.items()
        ]
        self.announced.insert_many(documents)
