"""The floor of writes: bare pymongo calls, only those that an operation can't do without.

`python -m bench.barewrites` does them in several threads for a while, reading what to do from
standard input, and prints the time that each operation took, in milliseconds, as JSON. Documents
are copies of what the services have stored, under ids of their own, in a database of their own.
"""

import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from shared import mongo
from shared.config import MongoSettings
from shared.mongo import Document, Store

TEMPLATES = "templates"  # the collection that holds the documents to copy, by collection


@dataclass(frozen=True)
class Task:
    """What one process is told."""

    uris: Mapping[str, str]  # of the servers, by service
    database: str
    operation: str
    threads: int
    seconds: float
    first: int  # of the units that this process takes
    units: int  # that a block has
    blocks: list[str]
    together: bool  # whether blocks are emptied one after the other, or all taken from in turn


class Writer:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._stores = {
            name: mongo.connect(MongoSettings(mongo_uri=uri, mongo_db=task.database), name)
            for name, uri in task.uris.items()
        }
        self._numbers = count(task.first)
        self._templates = {
            found["_id"]: found["document"]
            for store in self._stores.values()
            for found in store[TEMPLATES].find()
        }

    def ticket(self) -> None:
        """One write: the ticket, with its event."""
        self._insert("tickets", "tickets")

    def order(self) -> str:
        """Two writes: units out of a block, and the order, with its event."""
        order_id = secrets.token_hex(12)
        entry = {**self._templates["taken"], "order_id": order_id}
        self._stores["orders"]["blocks"].update_one(
            {"_id": self._block(), "open": True, "available": {"$gte": 1}},
            {"$inc": {"available": -1, "rev": 1}, "$push": {"taken": entry}},
        )
        self._insert("orders", "orders", order_id)
        return order_id

    def purchase(self) -> None:
        """Eight writes: the two of an order; the payment, its attempt, the order committed, the
        money authorised and captured, the order complete."""
        order_id = self.order()
        self._insert("payments", "payments", order_id)
        attempts = self._templates["payments"]["attempts"]
        self._set("payments", order_id, attempts=attempts)
        self._set("payments", order_id, intent=self._templates["payments"]["intent"])
        self._set("orders", order_id, status="awaiting:payment")
        self._set("payments", order_id, attempts=attempts, settle_at=None)
        self._set("orders", order_id, status="complete")

    def _block(self) -> str:
        number, blocks = next(self._numbers), self._task.blocks
        place = number // self._task.units if self._task.together else number
        return blocks[place % len(blocks)]

    def _insert(self, service: str, collection: str, key: str = "") -> None:
        key = key or secrets.token_hex(12)
        document = {**self._templates[collection], "_id": key}
        if "payment_id" in document:
            document["payment_id"] = key
        self._stores[service][collection].insert_one(document)

    def _set(self, service: str, key: str, **values: Any) -> None:
        self._stores[service][service].update_one(
            {"_id": key}, {"$set": values, "$inc": {"rev": 1, "version": 1}}
        )


def run(operation: Callable[[], object], threads: int, seconds: float) -> list[float]:
    """Repeat an operation in so many threads for so long; how long each took, in milliseconds."""
    times: list[float] = []
    deadline = time.perf_counter() + seconds

    def repeat() -> None:
        while (begun := time.perf_counter()) < deadline:
            operation()
            times.append((time.perf_counter() - begun) * 1000)

    running = [threading.Thread(target=repeat) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return times


def main() -> None:
    task = Task(**json.load(sys.stdin))
    writer = Writer(task)
    operation: Callable[[], object] = getattr(writer, task.operation)
    operation()  # the first one opens connections
    json.dump(run(operation, task.threads, task.seconds), sys.stdout)


def keep_templates(store: Store, documents: Mapping[str, Document]) -> None:
    """Keep documents where the processes that copy them find them."""
    store[TEMPLATES].insert_many(
        [{"_id": name, "document": document} for name, document in documents.items()]
    )


if __name__ == "__main__":
    main()
