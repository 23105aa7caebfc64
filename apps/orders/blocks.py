"""The units of tickets in MongoDB. Every change of a block is one atomic, conditional write.

A block says what is free and who took what; whether something may be given back is decided by the
order's state alone.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from apps.orders.onsale import Ticket
from apps.orders.units import Block, Move, Units, block_ids, blocks_needed, moves, ticket_of
from shared.events import TicketCreated, TicketUpdated
from shared.mongo import TOGETHER, Document, Store, at_rev, find_all, insert_new

ROUNDS = 20  # races lost for one block before others are tried
_REMEMBERED = 20_000  # blocks whose free units a process remembers


@dataclass
class Wish:
    """One reservation that wants units; `taken` grows while blocks are asked."""

    order_id: str
    units: int
    until: datetime
    taken: list[Units] = field(default_factory=list[Units])
    returned: bool = False  # whether it held units for a moment, which others may have missed

    @property
    def missing(self) -> int:
        return self.units - sum(part.units for part in self.taken)


@dataclass(frozen=True)
class Ended:
    """The entries of a block whose time has ended, and when the next one's does."""

    block: str
    rev: int
    entries: list[Document]
    noted: datetime | None
    following: datetime | None


class Blocks:
    def __init__(self, store: Store, size: int) -> None:
        self.size = size
        self._blocks = store["blocks"]
        self._free: OrderedDict[str, int] = OrderedDict()  # guesses; only a write decides

    def ensure_indexes(self) -> None:
        """`look_at` is the earliest end of an entry that nobody has looked at since. An index of
        all ends would be written anew with each reservation, which takes twice as long in a block
        of which much is taken; and most ends that have passed are those of paid orders."""
        self._blocks.create_index("look_at", sparse=True)

    # --- taking -----------------------------------------------------------------------------------

    def take(self, ticket_id: str, count: int, wishes: list[Wish]) -> None:
        """Give each wish all its units or none, first come, first served."""
        self._fill(block_ids(ticket_id, count), wishes)
        waiting = self._unserved(wishes)
        while waiting:
            # What looked full to this process may have been released elsewhere, and who wanted
            # too much has kept units from those behind: look once more for whoever is first now.
            free = self._look(ticket_id, count)
            first, *_ = waiting
            waiting = [wish for wish in waiting if wish.units <= sum(free.values())]
            self._fill(list(free), waiting)
            waiting = [wish for wish in self._unserved(waiting) if wish is not first]

    def _unserved(self, wishes: list[Wish]) -> list[Wish]:
        """Those who did not get everything; what they got is given back."""
        unserved = [wish for wish in wishes if wish.missing]
        for wish in unserved:
            self._give_back(wish)
        return unserved

    def _fill(self, ids: list[str], wishes: list[Wish]) -> None:
        for block in ids:
            waiting = [wish for wish in wishes if wish.missing]
            if not waiting:
                return
            self._take_from(block, waiting)

    def _look(self, ticket_id: str, count: int) -> dict[str, int]:
        """The blocks that have something free right now, and how much."""
        blocks = self.read(ticket_id, count, only_open=True)
        for block in blocks:
            self._guess(block.id, block.available)
        return {block.id: block.available for block in blocks if block.available}

    def _take_from(self, block: str, wishes: list[Wish]) -> None:
        for _ in range(ROUNDS):
            shares = _share(wishes, self._free.get(block, self.size))
            if not shares:
                return
            if self._write_taken(block, shares):
                for wish, units in shares:
                    wish.taken.append(Units(block, units))
                return
            self._guess(block, self._read_free(block))

    def _write_taken(self, block: str, shares: list[tuple[Wish, int]]) -> bool:
        total = sum(units for _, units in shares)
        condition: Document = {
            "_id": block,
            "open": True,
            "available": {"$gte": total},
            "taken.order_id": {"$nin": [wish.order_id for wish, _ in shares]},
        }
        entries = [
            {"order_id": wish.order_id, "units": units, "until": wish.until}
            for wish, units in shares
        ]
        change: Document = {
            "$inc": {"available": -total, "rev": 1},
            "$push": {"taken": {"$each": entries}},
            "$min": {"look_at": min(wish.until for wish, _ in shares)},
        }
        if not self._blocks.update_one(condition, change).modified_count:
            return False
        if (free := self._free.get(block)) is not None:
            self._guess(block, free - total)
        return True

    def _read_free(self, block: str) -> int:
        found = self._blocks.find_one({"_id": block}, {"available": 1, "open": 1})
        return found["available"] if found and found["open"] else 0

    def _guess(self, block: str, free: int) -> None:
        self._free[block] = free
        while len(self._free) > _REMEMBERED:
            self._free.popitem(last=False)

    def _give_back(self, wish: Wish) -> None:
        for part in wish.taken:
            self.release(wish.order_id, part)
            wish.returned = True
        wish.taken.clear()

    # --- giving back ------------------------------------------------------------------------------

    def release(self, order_id: str, part: Units) -> None:
        """Put an order's units back into a block; a second time does nothing."""
        self._blocks.update_one(
            {
                "_id": part.block,
                "taken": {"$elemMatch": {"order_id": order_id, "units": part.units}},
            },
            {
                "$inc": {"available": part.units, "rev": 1},
                "$pull": {"taken": {"order_id": order_id}},
            },
        )
        self._free.pop(part.block, None)

    def ended(self, latest: datetime, *, everywhere: bool = False) -> Iterator[Ended]:
        """Blocks with entries that have ended and were not looked at since; or all blocks."""
        noted: Document = {"look_at": {"$lte": latest}}
        condition: Document = {"taken": {"$ne": []}} if everywhere else noted
        for block in self._blocks.find(condition, {"taken": 1, "look_at": 1, "rev": 1}):
            since = None if everywhere else block["look_at"]
            ended = [entry for entry in block["taken"] if entry["until"] <= latest]
            new = [entry for entry in ended if since is None or entry["until"] >= since]
            later = [entry["until"] for entry in block["taken"] if entry["until"] > latest]
            following = min(later, default=None)
            yield Ended(block["_id"], block["rev"], new, block.get("look_at"), following)

    def looked_at(self, ended: Ended) -> None:
        """Come back when the next entry ends; soon, where the block was changed meanwhile."""
        if ended.following == ended.noted:
            return
        noted: Document = {"look_at": ended.following}
        change: Document = {"$set": noted} if ended.following else {"$unset": {"look_at": ""}}
        self._blocks.update_one(at_rev(ended.block, ended.rev), change)

    # --- capacity ---------------------------------------------------------------------------------

    def read(self, ticket_id: str, count: int, *, only_open: bool = False) -> list[Block]:
        """The ticket's blocks in order."""
        return self.read_all({ticket_id: count}, only_open=only_open)[ticket_id]

    def read_all(
        self, tickets: dict[str, int], *, only_open: bool = False
    ) -> dict[str, list[Block]]:
        """The blocks of several tickets, of which the number is given."""
        ids = {key: block_ids(key, count) for key, count in tickets.items()}
        listed = (block for blocks in ids.values() for block in blocks)
        found = self.find_all(listed, only_open=only_open)
        return {
            key: [found[block] for block in blocks if block in found] for key, blocks in ids.items()
        }

    def find_all(self, ids: Iterable[str], *, only_open: bool = False) -> dict[str, Block]:
        """Those of these blocks that exist."""
        fields = {"capacity": 1, "available": 1, "open": 1}
        return {
            block["_id"]: Block(block["_id"], block["capacity"], block["available"])
            for block in find_all(self._blocks, ids, fields)
            if block["open"] or not only_open
        }

    def existing(self, ticket_id: str) -> int:
        """How many blocks a ticket has, for a replica that does not know.

        They are made in their order. Asking for a range of ids would read every block there is on
        the embedded server.
        """
        known = 0
        while True:
            ids = block_ids(ticket_id, known + TOGETHER)[known:]
            found = sum(1 for _ in find_all(self._blocks, ids, {"_id": 1}))
            known += found
            if found < len(ids):
                return known

    def follow(self, ticket: Ticket) -> bool:
        """Whether all blocks carry the ticket's version."""
        wanted = {"ticket_epoch": 1, "ticket_version": 1}
        stamps = find_all(self._blocks, block_ids(ticket.id, ticket.blocks), wanted)
        found = [(stamp["ticket_epoch"], stamp["ticket_version"]) for stamp in stamps]
        return found == [(ticket.epoch, ticket.version)] * ticket.blocks

    def takers(self, tickets: dict[str, int]) -> dict[str, str]:
        """The orders that took the only units of tickets, which a shrunken one may have anywhere.

        The number of each ticket's blocks is given.
        """
        ids = (block_ids(key, count) for key, count in tickets.items())
        holders = self.holders(block for listed in ids for block in listed)
        return {ticket_of(block): orders[0] for block, orders in holders.items() if orders}

    def holders(self, blocks: Iterable[str]) -> dict[str, list[str]]:
        """The orders that took units of each of these blocks."""
        found = find_all(self._blocks, blocks, {"taken.order_id": 1})
        return {block["_id"]: [entry["order_id"] for entry in block["taken"]] for block in found}

    def stamp(self, block: str, fence: int, values: dict[str, Any]) -> bool:
        """Claim a block for one run of `allot`; False when a newer run has claimed it."""
        new: Document = {"capacity": 0, "available": 0, "taken": [], "rev": 0}
        try:
            self._blocks.update_one(
                {"_id": block, "fence": {"$lt": fence}},
                {"$set": {"fence": fence, **values}, "$setOnInsert": new},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        self._free.pop(block, None)
        return True

    def insert_new(self, tickets: Iterable[TicketCreated | TicketUpdated], fence: int) -> set[str]:
        """All blocks of new tickets, with all their units; the ids of those that exist already."""
        return insert_new(
            self._blocks, [block for ticket in tickets for block in self._new_ones(ticket, fence)]
        )

    def _new_ones(self, event: TicketCreated | TicketUpdated, fence: int) -> Iterator[Document]:
        ticket = event.data
        ids = block_ids(ticket.id, blocks_needed(ticket.quantity, self.size))
        for full in moves([Block(key, 0, 0) for key in ids], ticket.quantity, self.size):
            yield {
                "_id": full.block,
                "fence": fence,
                "open": not ticket.withdrawn,
                "ticket_epoch": event.epoch,
                "ticket_version": event.version,
                "capacity": full.units,
                "available": full.units,
                "taken": [],
                "rev": 0,
            }

    def move(self, move: Move, fence: int) -> bool:
        """Change a block's capacity; False when a newer run claimed it or units were taken."""
        condition: Document = {
            "_id": move.block,
            "fence": fence,
            "available": {"$gte": -move.units},
        }
        change = {"$inc": {"capacity": move.units, "available": move.units, "rev": 1}}
        done = bool(self._blocks.update_one(condition, change).modified_count)
        self._free.pop(move.block, None)
        return done


def _share(wishes: list[Wish], free: int) -> list[tuple[Wish, int]]:
    """Who gets how many of the free units."""
    shares: list[tuple[Wish, int]] = []
    for wish in wishes:
        units = min(wish.missing, free)
        if units > 0:
            shares.append((wish, units))
            free -= units
    return shares
