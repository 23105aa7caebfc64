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
        for block, seller_id in blocks.items():
            of = {"ticket_id": ticket_of(block), "seller_id": seller_id}
            _require(self._shelves, block, of)

    def catch_up(self, tell: Tell) -> None:
        """Count what was asked for, as far as that leaves the database time for those who buy."""
        begun = time.monotonic()
        if begun < self._rest_until:
            return
        due = list(self._shelves.find({"due": True}, {"ticket_id": 1, "seller_id": 1}).limit(ROUND))
        counted = self._count_blocks([shelf["_id"] for shelf in due])
        for ticket_id, seller_id in {s["ticket_id"]: s["seller_id"] for s in due}.items():
            _require(self._tallies, ticket_id, {"seller_id": seller_id})
        for block, rev in counted.items():
            _write(self._shelves, block, rev, _DONE)
        self._add_up(tell)
        ended = time.monotonic()
        self._rest_until = ended + self.rest * (ended - begun)

    def _count_blocks(self, blocks: list[str]) -> dict[str, int]:
        """Write down what is in these blocks. They stay due; with what `rev`, is returned."""
        counted: dict[str, int] = {}

        def count(block: str) -> None:
            rev = _rev(self._shelves, block)
            state = _ADAPTER.dump_python(counts.count(self.orders_of(block)))
            if _write(self._shelves, block, rev, {"$set": state}):
                counted[block] = rev + 1

        for_each(blocks, count)
        return counted

    def orders_of(self, block: str) -> list[Order]:
        """The orders that are counted with a block: those that took their first unit there."""
        orders = self._orders.read(self._blocks.holders(block))
        return [order for order in orders if order.blocks and order.blocks[0].block == block]

    def _add_up(self, tell: Tell) -> None:
        """Sum up the tickets of which something was counted, and let their sellers' pages know."""
        due = self._tallies.find({"due": True}, {"seller_id": 1}).limit(ROUND)
        sellers = {found["_id"]: found["seller_id"] for found in due}

        def add(ticket_id: str) -> None:
            self._add_up_ticket(ticket_id)
            tell("sales", sellers[ticket_id])

        for_each(sellers, add)

    def _add_up_ticket(self, ticket_id: str) -> None:
        rev = _rev(self._tallies, ticket_id)
        found = list(self._shelves.find({"ticket_id": ticket_id}))
        shelves = {int(shelf["_id"].partition(":")[2]): _count(shelf) for shelf in found}
        state: dict[str, Any] = _ADAPTER.dump_python(counts.total(shelves.values()))
        state["shelves"] = sorted(n for n, one in shelves.items() if one.orders)
        _write(self._tallies, ticket_id, rev, {"$set": state, **_DONE})

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


def _require(collection: Documents, key: str, of: Document) -> None:
    """Ask for a new count, also of whoever is just writing down what was true before."""
    change: Document = {"$set": {**of, "due": True}, "$inc": {"rev": 1}}
    collection.update_one({"_id": key}, change, upsert=True)


def _rev(collection: Documents, key: str) -> int:
    found = collection.find_one({"_id": key}, {"rev": 1})
    return found["rev"] if found else 0


def _write(collection: Documents, key: str, rev: int, change: Document) -> bool:
    """Write something down, unless a new count was asked for since `rev` was read."""
    guard = {"_id": key, "rev": rev}
    return bool(collection.update_one(guard, {**change, "$inc": {"rev": 1}}).modified_count)


def _count(found: Document) -> Count:
    names = Count.__dataclass_fields__.keys() & found.keys()
    return Count(**{name: found[name] for name in names})
