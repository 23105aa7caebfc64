"""What sellers see of their sales, kept ready so that looking at it reads little.

Orders are counted by the block that they took their first unit from: at most a hundred of them. A
ticket's tally is the sum of its blocks. Both are made anew from what is true rather than changed
by a difference, so that an event may come twice or late. `due` stays until a count is written down
that began after it was asked for, which `rev` tells; a block's also until its sum is asked for.
"""

import time
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pymongo import UpdateOne

from apps.orders import counts
from apps.orders.blocks import Blocks
from apps.orders.counts import Count
from apps.orders.models import Order
from apps.orders.store import Orders as Store
from apps.orders.units import block_id, ticket_of
from shared.bus import Tell
from shared.mongo import Document, Documents
from shared.mongo import Store as Database
from shared.worker import for_each

ROUND = 50  # blocks or tickets that are counted at once
REST = 4  # times as long as it has counted, a process leaves the database to others

_ADAPTER = TypeAdapter(Count)
_DONE: Document = {"$unset": {"due": ""}}
_ASKED: Document = {"ticket_id": 1, "seller_id": 1, "rev": 1}


class Sales:
    def __init__(self, database: Database, orders: Store, blocks: Blocks) -> None:
        self._orders, self._blocks = orders, blocks
        self._shelves = database["shelves"]
        self._tallies = database["tallies"]
        self.rest = REST
        self._rest_until = 0.0

    def ensure_indexes(self) -> None:
        self._shelves.create_index("ticket_id")
        self._shelves.create_index("due", sparse=True)
        self._tallies.create_index("seller_id")
        self._tallies.create_index("due", sparse=True)

    # --- counting ---------------------------------------------------------------------------------

    def note(self, order_ids: Iterable[str]) -> None:
        """Ask that the blocks be counted again which some orders belong to."""
        blocks = {
            order.blocks[0].block: order.ticket.seller_id
            for order in self._orders.read(order_ids)
            if order.blocks and order.ticket.seller_id
        }
        _require(
            self._shelves,
            {
                block: {"ticket_id": ticket_of(block), "seller_id": seller_id}
                for block, seller_id in blocks.items()
            },
        )

    def catch_up(self, tell: Tell) -> None:
        """Count what was asked for, as far as that leaves the database time for those who buy."""
        begun = time.monotonic()
        if begun < self._rest_until:
            return
        if due := list(self._shelves.find({"due": True}, _ASKED).limit(ROUND)):
            counted = self._count_blocks({shelf["_id"]: shelf["rev"] for shelf in due})
            _require(self._tallies, {s["ticket_id"]: {"seller_id": s["seller_id"]} for s in due})
            _write_all(self._shelves, {block: (rev, _DONE) for block, rev in counted.items()})
        if due := list(self._tallies.find({"due": True}, _ASKED).limit(ROUND)):
            self._add_up(due)
            for tally in due:
                tell("sales", tally["seller_id"])
        ended = time.monotonic()
        self._rest_until = ended + self.rest * (ended - begun)

    def _count_blocks(self, due: dict[str, int]) -> dict[str, int]:
        """Write down what is in these blocks. They stay due; with what `rev`, is returned."""
        holders = self._blocks.holders(due)
        found = self._orders.documents(order for held in holders.values() for order in held)
        counted: dict[str, int] = {}

        def count(block: str) -> None:
            orders = self._counted_with(block, map(found.get, holders.get(block, [])))
            state = _ADAPTER.dump_python(counts.count(orders))
            if _write(self._shelves, block, due[block], {"$set": state}):
                counted[block] = due[block] + 1

        for_each(due, count)
        return counted

    def _counted_with(self, block: str, found: Iterable[Document | None]) -> list[Order]:
        """Those of these orders that took their first unit from the block."""
        orders = [self._orders.aggregates.load(document) for document in found if document]
        return [order for order in orders if order.blocks and order.blocks[0].block == block]

    def orders_of(self, block: str) -> list[Order]:
        """The orders that are counted with a block."""
        held = self._blocks.holders([block]).get(block, [])
        return self._counted_with(block, self._orders.documents(held).values())

    def _add_up(self, due: list[Document]) -> None:
        """Sum up these tallies, unless more was counted meanwhile: then they stay due."""
        shelves: dict[str, dict[int, Count]] = {tally["_id"]: {} for tally in due}
        for shelf in self._shelves.find({"ticket_id": {"$in": list(shelves)}}):
            number = int(shelf["_id"].partition(":")[2])
            shelves[shelf["ticket_id"]][number] = _count(shelf)
        sums = {key: {"$set": _sum(counted), **_DONE} for key, counted in shelves.items()}
        _write_all(self._tallies, {t["_id"]: (t["rev"], sums[t["_id"]]) for t in due})

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


def _require(collection: Documents, wanted: dict[str, Document]) -> None:
    """Ask for new counts, also of whoever is just writing down what was true before."""
    asked = [
        UpdateOne({"_id": key}, {"$set": {**of, "due": True}, "$inc": {"rev": 1}}, upsert=True)
        for key, of in wanted.items()
    ]
    if asked:
        collection.bulk_write(asked, ordered=False)


def _write(collection: Documents, key: str, rev: int, change: Document) -> bool:
    """Write something down, unless a new count was asked for since `rev` was read."""
    return bool(collection.update_one(*_guarded(key, rev, change)).modified_count)


def _write_all(collection: Documents, changes: dict[str, tuple[int, Document]]) -> None:
    """The same for several, where nobody needs to know which of them were refused."""
    if changes:
        writes = [UpdateOne(*_guarded(key, *change)) for key, change in changes.items()]
        collection.bulk_write(writes, ordered=False)


def _guarded(key: str, rev: int, change: Document) -> tuple[Document, Document]:
    return {"_id": key, "rev": rev}, {**change, "$inc": {"rev": 1}}


def _sum(shelves: dict[int, Count]) -> Document:
    """A ticket's tally, and the numbers of the blocks of which something was sold."""
    state: dict[str, Any] = _ADAPTER.dump_python(counts.total(shelves.values()))
    return {**state, "shelves": sorted(n for n, one in shelves.items() if one.orders)}


def _count(found: Document) -> Count:
    names = Count.__dataclass_fields__.keys() & found.keys()
    return Count(**{name: found[name] for name in names})
