"""What sellers see of their sales, kept ready so that looking at it reads little.

Orders are counted by the block that they took their first unit from: at most a hundred of them. A
ticket's tally is the sum of its blocks. Both are made anew from what is true rather than changed
by a difference, so that an event may come twice or late. Whoever counts notes the `rev` first and
writes only if nobody has written since: what was counted later never gives way to what was counted
earlier. The event that asks for a count is acknowledged after it, and so comes again after a crash.
"""

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import TypeAdapter
from pymongo.errors import DuplicateKeyError

from apps.orders import counts
from apps.orders.blocks import Blocks
from apps.orders.counts import Count
from apps.orders.models import Order
from apps.orders.store import Orders as Store
from apps.orders.units import block_id, ticket_of
from shared.bus import Tell
from shared.errors import Conflict
from shared.mongo import Document, Documents, at_rev, find_all
from shared.mongo import Store as Database
from shared.worker import for_each

ATTEMPTS = 20  # lost races for one count; each loss means that another process has counted

_ADAPTER = TypeAdapter(Count)

CountAll = Callable[[list[str]], dict[str, Document]]


class Sales:
    def __init__(self, database: Database, orders: Store, blocks: Blocks) -> None:
        self._orders, self._blocks = orders, blocks
        self._shelves = database["shelves"]
        self._tallies = database["tallies"]

    def ensure_indexes(self) -> None:
        self._shelves.create_index("ticket_id")
        self._tallies.create_index("seller_id")

    # --- counting ---------------------------------------------------------------------------------

    def count(self, order_ids: Iterable[str], tell: Tell) -> None:
        """Count the blocks again which some orders belong to, and let their sellers' pages know.

        Raises Conflict when others count the same again and again.
        """
        blocks = {
            order.blocks[0].block: order.ticket.seller_id
            for order in self._orders.read(order_ids)
            if order.blocks and order.ticket.seller_id
        }
        sellers = {ticket_of(block): seller_id for block, seller_id in blocks.items()}
        _write_all(self._shelves, list(blocks), self._count_blocks)
        _write_all(self._tallies, list(sellers), lambda tickets: self._add_up(tickets, sellers))
        for seller_id in sellers.values():
            tell("sales", seller_id)

    def _count_blocks(self, blocks: list[str]) -> dict[str, Document]:
        """What is in these blocks; without those of which an order can't be read."""
        holders = self._blocks.holders(blocks)
        found = self._orders.documents(order for held in holders.values() for order in held)
        counted: dict[str, Document] = {}

        def count(block: str) -> None:
            orders = self._counted_with(block, map(found.get, holders.get(block, [])))
            state: Document = _ADAPTER.dump_python(counts.count(orders))
            counted[block] = {"ticket_id": ticket_of(block), **state}

        for_each(blocks, count)
        return counted

    def _counted_with(self, block: str, found: Iterable[Document | None]) -> list[Order]:
        """Those of these orders that took their first unit from the block."""
        orders = [self._orders.aggregates.load(document) for document in found if document]
        return [order for order in orders if order.blocks and order.blocks[0].block == block]

    def orders_of(self, block: str) -> list[Order]:
        """The orders that are counted with a block."""
        held = self._blocks.holders([block]).get(block, [])
        return self._counted_with(block, self._orders.documents(held).values())

    def _add_up(self, tickets: list[str], sellers: dict[str, str]) -> dict[str, Document]:
        """The sums of these tickets' blocks."""
        shelves: dict[str, dict[int, Count]] = {ticket_id: {} for ticket_id in tickets}
        for shelf in self._shelves.find({"ticket_id": {"$in": tickets}}):
            number = int(shelf["_id"].partition(":")[2])
            shelves[shelf["ticket_id"]][number] = _count(shelf)
        return {key: {"seller_id": sellers[key], **_sum(one)} for key, one in shelves.items()}

    # --- looking ----------------------------------------------------------------------------------

    def of_seller(self, user_id: str) -> dict[str, Count]:
        """The tally of each ticket that a person sells, where there is one."""
        found = self._tallies.find({"seller_id": user_id}, {"shelves": 0})
        return {tally["_id"]: _count(tally) for tally in found}

    def of_ticket(self, ticket_id: str) -> Count:
        found = self._tallies.find_one({"_id": ticket_id})
        return _count(found) if found else Count()

    def blocks_of(self, ticket_id: str) -> list[str]:
        """The blocks of which something was sold, the latest first."""
        found = self._tallies.find_one({"_id": ticket_id}, {"shelves": 1}) or {}
        return [block_id(ticket_id, number) for number in reversed(found.get("shelves", []))]

    def buyers(self, block: str) -> list[Order]:
        """The paid orders of a block, the latest first."""
        paid = (order for order in self.orders_of(block) if order.status == "complete")
        return sorted(paid, key=lambda order: (order.paid_time, order.id), reverse=True)


def _write_all(collection: Documents, keys: list[str], count: CountAll) -> None:
    """Count these keys and write that down; again, where somebody else wrote meanwhile."""
    for _ in range(ATTEMPTS):
        if not keys:
            return
        found = find_all(collection, keys, {"rev": 1})
        revs: dict[str, int] = {document["_id"]: document["rev"] for document in found}
        counted = count(keys)
        keys = [
            key
            for key, state in counted.items()
            if not _write(collection, key, revs.get(key), state)
        ]
    if keys:
        raise Conflict


def _write(collection: Documents, key: str, rev: int | None, state: Document) -> bool:
    """Write a count down, unless somebody wrote one since `rev` was read."""
    if rev is None:
        try:
            collection.insert_one({"_id": key, "rev": 0, **state})
        except DuplicateKeyError:
            return False
        return True
    change = {"$set": state, "$inc": {"rev": 1}}
    return bool(collection.update_one(at_rev(key, rev), change).modified_count)


def _sum(shelves: dict[int, Count]) -> Document:
    """A ticket's tally, and the numbers of the blocks of which something was sold."""
    state: dict[str, Any] = _ADAPTER.dump_python(counts.total(shelves.values()))
    return {**state, "shelves": sorted(n for n, one in shelves.items() if one.orders)}


def _count(found: Document) -> Count:
    names = Count.__dataclass_fields__.keys() & found.keys()
    return Count(**{name: found[name] for name in names})
