"""Blocks follow the quantity that the seller wants, and everyone is told what is free.

Each run that changes capacities first claims every block with a number ("fence") higher than that
of any run before, and then changes only blocks that it still owns. So two runs can never both add
the same missing units, however long one of them was paused (docs/adr/0003-allotment.md).
"""

from dataclasses import dataclass, replace

from pymongo.errors import DuplicateKeyError

from apps.orders.blocks import Blocks
from apps.orders.models import Availability, Ticket, block_ids, blocks_needed, moves
from apps.orders.store import Tickets
from shared.events import AvailabilityChanged, Event
from shared.outbox import Aggregates

ROUNDS = 20  # looks at blocks that buyers keep changing, before the sweep goes on later


@dataclass
class Allotment:
    tickets: Tickets
    blocks: Blocks
    announced: Aggregates[Availability]

    def allot(self, ticket_id: str) -> None:
        """Bring the blocks of a ticket to the wanted quantity, as far as units are free."""
        while True:
            ticket = self.tickets.find(ticket_id)
            if ticket is None or ticket.allotted or self._nothing_to_do(ticket):
                return
            fence = self.tickets.begin_allotting(ticket)
            if fence is not None:
                self._run(ticket, fence)
                return

    def _nothing_to_do(self, ticket: Ticket) -> bool:
        """Whether a shrunken ticket still has nothing free that could be taken out."""
        if ticket.blocks < blocks_needed(ticket.quantity, self.blocks.size):
            return False
        if not self.blocks.follow(ticket):
            return False
        blocks = self.blocks.read(ticket.id, ticket.blocks)
        excess = sum(block.capacity for block in blocks) > ticket.quantity
        return excess and not any(block.available for block in blocks)

    def _run(self, ticket: Ticket, fence: int) -> None:
        known = ticket.blocks or self.blocks.existing(ticket.id)
        count = max(known, blocks_needed(ticket.quantity, self.blocks.size))
        stamp = {
            "open": not ticket.withdrawn,
            "ticket_epoch": ticket.epoch,
            "ticket_version": ticket.version,
        }
        ids = block_ids(ticket.id, count)
        if all(self.blocks.stamp(block, fence, stamp) for block in ids):
            complete = self._balance(ticket, count, fence)
            self.tickets.end_allotting(ticket.id, fence, count, complete=complete)

    def _balance(self, ticket: Ticket, count: int, fence: int) -> bool:
        """Move capacity until the sum is right; False when what is taken stands in the way."""
        for _ in range(ROUNDS):
            blocks = self.blocks.read(ticket.id, count)
            if sum(block.capacity for block in blocks) == ticket.quantity:
                return True
            wanted = moves(blocks, ticket.quantity, self.blocks.size)
            if not wanted:
                return False
            for move in wanted:
                self.blocks.move(move, fence)
        return False

    def after_release(self, ticket_id: str) -> None:
        """A shrunken ticket gives up units as they come back."""
        ticket = self.tickets.find(ticket_id)
        if ticket and not ticket.allotted:
            self.allot(ticket_id)

    def announce(self, ticket_id: str, *, again: bool = False) -> None:
        """Tell everyone what is free of a ticket, if that has changed since it was last told."""
        ticket = self.tickets.find(ticket_id)
        if ticket is None or not ticket.blocks:
            return
        try:
            self.announced.update(ticket_id, lambda last: self._sum(ticket, last, again))
        except KeyError:
            self._announce_first(ticket)

    def _announce_first(self, ticket: Ticket) -> None:
        first, _ = self._sum(ticket, Availability(ticket.id, 0, -1, -1), again=False)
        try:
            self.announced.insert(first, AvailabilityChanged)
        except DuplicateKeyError:
            self.announce(ticket.id)

    def _sum(
        self, ticket: Ticket, last: Availability, again: bool
    ) -> tuple[Availability, type[Event] | None]:
        """Read after `last` was read and stored only if that is still the last: so the newest
        version never says less than what was true before it."""
        blocks = self.blocks.read(ticket.id, ticket.blocks)
        current = replace(
            last,
            capacity=sum(block.capacity for block in blocks),
            available=sum(block.available for block in blocks),
            order_id=self.blocks.holder(ticket.id) if ticket.quantity == 1 else None,
        )
        if current == last and not again:
            return last, None
        return current, AvailabilityChanged
