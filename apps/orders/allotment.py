"""Blocks follow the quantity that the seller wants, and everyone is told what is free.

Each run that changes capacities first claims every block with a number ("fence") higher than that
of any run before, and then changes only blocks that it still owns. So two runs can never both add
the same missing units, however long one of them was paused (docs/adr/0003-allotment.md).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from pymongo.errors import DuplicateKeyError

from apps.orders.blocks import Blocks
from apps.orders.onsale import Ticket
from apps.orders.store import Tickets
from apps.orders.units import Availability, block_ids, blocks_needed, moves
from shared.events import AvailabilityChanged, Event
from shared.outbox import Aggregates

Change = tuple[Availability, type[Event] | None]
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
            count = self._blocks_to_claim(ticket)
            fence = self.tickets.begin_allotting(ticket, count)
            if fence is not None:
                self._run(ticket, count, fence)
                return

    def _blocks_to_claim(self, ticket: Ticket) -> int:
        known = ticket.reach or self.blocks.existing(ticket.id)
        return max(known, blocks_needed(ticket.quantity, self.blocks.size))

    def _nothing_to_do(self, ticket: Ticket) -> bool:
        """Whether a shrunken ticket still has nothing free that could be taken out."""
        if ticket.blocks < max(ticket.reach, blocks_needed(ticket.quantity, self.blocks.size)):
            return False
        if not self.blocks.follow(ticket):
            return False
        blocks = self.blocks.read(ticket.id, ticket.blocks)
        excess = sum(block.capacity for block in blocks) > ticket.quantity
        return excess and not any(block.available for block in blocks)

    def _run(self, ticket: Ticket, count: int, fence: int) -> None:
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
        """A shrunken ticket gives up units as they come back.

        A run that has not reached all blocks yet is left alone: were each release to begin another
        one, none would ever come to its end.
        """
        ticket = self.tickets.find(ticket_id)
        if ticket and not ticket.allotted and self.blocks.follow(ticket):
            self.allot(ticket_id)

    def announce(self, ticket_id: str) -> None:
        """Tell everyone what is free of a ticket, if that has changed since it was last told."""
        self.announce_all([ticket_id])

    def announce_all(self, ticket_ids: Collection[str]) -> None:
        """The same of several tickets, which are read together."""
        known = self.announced.documents(ticket_ids)
        counted = self._count_all([self.announced.load(document) for document in known.values()])
        for ticket_id in ticket_ids:
            try:
                self.announced.update(
                    ticket_id, self._tell_first(counted.get(ticket_id)), known.get(ticket_id)
                )
            except KeyError:
                self._announce_first(ticket_id)

    def _tell_first(self, counted: Availability | None) -> Callable[[Availability], Change]:
        """News of what was counted already; whoever loses a race with it counts again."""
        ready = [counted] if counted else []
        return lambda last: _told(last, ready.pop() if ready else self._count(last))

    def again(self, last: Availability) -> Change:
        """Tell it in any case, for whoever lost what was told."""
        return self._count(last), AvailabilityChanged

    def _announce_first(self, ticket_id: str) -> None:
        nothing = Availability(ticket_id, 0, -1, -1)
        first, event = _told(nothing, self._count(nothing))
        if event is None:
            return
        try:
            self.announced.insert(first, event)
        except DuplicateKeyError:
            self.announce(ticket_id)

    def _count(self, last: Availability) -> Availability:
        return self._count_all([last])[last.id]

    def _count_all(self, told: list[Availability]) -> dict[str, Availability]:
        """Read after what was told last was read, and stored only if nobody stored in between: so
        the newest version never says less than what was true before it."""
        tickets = self.tickets.find_all([last.id for last in told]) if told else {}
        sizes = {ticket.id: ticket.blocks for ticket in tickets.values() if ticket.blocks}
        blocks = self.blocks.read_all(sizes) if sizes else {}
        single = {key: sizes[key] for key in sizes if tickets[key].quantity == 1}
        takers = self.blocks.takers(single) if single else {}
        return {
            last.id: replace(
                last,
                capacity=sum(block.capacity for block in blocks[last.id]),
                available=sum(block.available for block in blocks[last.id]),
                order_id=takers.get(last.id),
            )
            if last.id in sizes
            else last
            for last in told
        }


def _told(last: Availability, current: Availability) -> Change:
    """Without news there is a write all the same: whoever counted earlier must count again."""
    return current, AvailabilityChanged if current != last else None
