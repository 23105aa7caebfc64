"""Blocks follow the quantity that the seller wants, and everyone is told what is free.

Each run that changes capacities first claims every block with a number ("fence") higher than that
of any run before, and then changes only blocks that it still owns. So two runs can never both add
the same missing units, however long one of them was paused (docs/adr/0003-allotment.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pymongo.errors import DuplicateKeyError

from apps.orders.blocks import Blocks
from apps.orders.onsale import Ticket
from apps.orders.store import Tickets
from apps.orders.units import Availability, Block, block_ids, blocks_needed, moves, number_of
from shared.events import AvailabilityChanged, Event
from shared.mongo import Document
from shared.outbox import Aggregates

Change = tuple[Availability, type[Event] | None]
Touched = Mapping[str, set[str] | None]  # blocks of a ticket that changed; None: any of them
_NOTHING: Touched = {}
ANEW = 50  # announcements of a ticket, of which one counts all its blocks
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
        try:
            self.announced.update(ticket_id, lambda last: _told(last, self._count(last)))
        except KeyError:
            self._announce_first(ticket_id)

    def announcements(self, touched: Touched) -> list[Document]:
        """Events that say what is free of several tickets, for the caller to publish.

        They pass by the outboxes. Nobody knows whether an earlier one was published, so there is
        one of each ticket, news or not. Of each ticket only the blocks are read that changed since
        it was told last, where that is enough (docs/adr/0004-availability-from-own-events.md).
        """
        known = self.announced.documents(touched)
        told = [self.announced.load(document) for document in known.values()]
        counted = self._count_all(told, touched)
        events: list[Document] = []
        for ticket_id in touched:
            tell = self._tell(counted.get(ticket_id))
            try:
                self.announced.update(ticket_id, tell, known.get(ticket_id), events)
            except KeyError:
                self._announce_first(ticket_id)
        return events

    def _tell(self, counted: Availability | None) -> Callable[[Availability], Change]:
        """What was counted already; whoever loses a race with it counts again."""
        ready = [counted] if counted else []
        return lambda last: (ready.pop() if ready else self._count(last), AvailabilityChanged)

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

    def _count_all(
        self, told: list[Availability], touched: Touched = _NOTHING
    ) -> dict[str, Availability]:
        """Read after what was told last was read, and stored only if nobody stored in between: so
        the newest version never says less than what was true before it."""
        tickets = self.tickets.find_all([last.id for last in told]) if told else {}
        # Which blocks of each ticket; none of them means all.
        parts = {
            last.id: self._part(tickets[last.id], last, touched.get(last.id))
            for last in told
            if last.id in tickets and tickets[last.id].blocks
        }
        wanted = {key: part or block_ids(key, tickets[key].blocks) for key, part in parts.items()}
        found = self.blocks.find_all(block for ids in wanted.values() for block in ids)
        single = {key: tickets[key].blocks for key in parts if tickets[key].quantity == 1}
        takers = self.blocks.takers(single) if single else {}
        counted = {last.id: last for last in told}
        for key, part in parts.items():
            blocks = [found[block] for block in wanted[key] if block in found]
            base = counted[key] if part else replace(counted[key], capacity=0, free=())
            counted[key] = _counted(base, tickets[key], blocks, takers.get(key))
        return counted

    def _part(self, ticket: Ticket, last: Availability, touched: set[str] | None) -> set[str]:
        """The blocks that changed since `last`, if nothing else can have; none where it can.

        Now and then, and when little is left, all are read anyway: whoever takes units and gives
        them back may die before it tells of it.
        """
        at_rest = ticket.allotted and last.run == ticket.rev and len(last.free) == ticket.blocks
        if touched and at_rest and last.available > self.blocks.size and last.version % ANEW:
            return touched
        return set()


def _counted(
    base: Availability, ticket: Ticket, blocks: list[Block], order_id: str | None
) -> Availability:
    """What was known of a ticket, with these blocks as they are now."""
    free = dict(enumerate(base.free)) | {number_of(block.id): block.available for block in blocks}
    return replace(
        base,
        capacity=base.capacity or sum(block.capacity for block in blocks),
        available=sum(free.values()),
        order_id=order_id,
        free=tuple(free[number] for number in sorted(free)),
        run=ticket.rev if ticket.allotted else None,
    )


def _told(last: Availability, current: Availability) -> Change:
    """Without news there is a write all the same: whoever counted earlier must count again."""
    return current, AvailabilityChanged if current.said != last.said else None
