"""Tickets in MongoDB."""

import re
from dataclasses import dataclass
from typing import Literal

from apps.tickets import models
from apps.tickets.models import Ticket
from apps.tickets.shelf import Shelf
from shared.mongo import Document, Store
from shared.outbox import Aggregates
from shared.relay import Relay

Sort = Literal["newest", "price", "-price", "date"]


@dataclass(frozen=True)
class Page:
    """Tickets of a list, and the place after which the next page begins, if there is one."""

    tickets: list[Ticket]
    following: int | None


class Tickets:
    def __init__(self, store: Store, relay: Relay | None = None) -> None:
        self._tickets = store["tickets"]
        self.aggregates = Aggregates(self._tickets, Ticket, models.public, relay)
        self._shelves: dict[Sort, Shelf] = {
            "newest": Shelf(self._tickets, "newest", descending=True),
            "price": Shelf(self._tickets, "price"),
            "-price": Shelf(self._tickets, "price", descending=True),
            "date": Shelf(self._tickets, "date"),
        }

    def ensure_indexes(self) -> None:
        self.aggregates.ensure_indexes()
        for name in ("newest", "price", "date"):
            # Sparse: what can't be bought has no place, so it costs no reader anything.
            self._tickets.create_index(f"listed.{name}", sparse=True)
        self._tickets.create_index([("user_id", 1), ("age", -1)])
        self._tickets.create_index(
            [("user_id", 1), ("key", 1)],
            unique=True,
            partialFilterExpression={"key": {"$type": "string"}},
        )

    def by_key(self, user_id: str, key: str) -> Ticket | None:
        return self.aggregates.find_by({"user_id": user_id, "key": key})

    def on_sale(self, sort: Sort, text: str, after: int | None, limit: int) -> Page:
        """What can be bought now; with `text`, only where title or venue contain it."""
        shelf = self._shelves[sort]
        if text:
            found = shelf.search(re.escape(text.casefold()), after, limit + 1)
        else:
            found = shelf.read(after, limit + 1)
        following = shelf.place(found[limit - 1]) if len(found) > limit else None
        return self._page(found[:limit], following)

    def of_seller(self, user_id: str, after: int | None, limit: int) -> Page:
        """Everything that a person sells or sold, the newest first."""
        condition: Document = {"user_id": user_id}
        if after is not None:
            condition["age"] = {"$lt": after}
        found = list(self._tickets.find(condition).sort("age", -1).limit(limit + 1))
        following = found[limit - 1]["age"] if len(found) > limit else None
        return self._page(found[:limit], following)

    def _page(self, documents: list[Document], following: int | None) -> Page:
        return Page([self.aggregates.load(document) for document in documents], following)
