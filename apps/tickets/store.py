"""Tickets in MongoDB."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from apps.tickets import models
from apps.tickets.models import Span, Ticket
from apps.tickets.shelf import Shelf
from shared.auditlog import Trail
from shared.mongo import Document, Store
from shared.outbox import Aggregates
from shared.relay import Relay

Sort = Literal["newest", "price", "-price", "date"]


@dataclass(frozen=True)
class Search:
    """What a reader of the list looks for."""

    sort: Sort = "newest"
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    lowest: int | None = None  # hundredths, of any currency
    highest: int | None = None

    @property
    def filters(self) -> bool:
        limits = (self.since, self.until, self.lowest, self.highest)
        return bool(self.text) or any(limit is not None for limit in limits)


@dataclass(frozen=True)
class Page:
    """Tickets of a list, and the place after which the next page begins, if there is one."""

    tickets: list[Ticket]
    following: int | None


class Tickets:
    def __init__(self, store: Store, relay: Relay | None = None) -> None:
        self._tickets = store["tickets"]
        self.aggregates = Aggregates(self._tickets, Ticket, models.public, relay)
        self.trail = Trail(store, relay)
        self._shelves: dict[Sort, Shelf] = {
            "newest": Shelf(self._tickets, "newest", descending=True),
            "price": Shelf(self._tickets, "price"),
            "-price": Shelf(self._tickets, "price", descending=True),
            "date": Shelf(self._tickets, "date"),
        }

    def ensure_indexes(self) -> None:
        self.aggregates.ensure_indexes()
        self.trail.ensure_indexes()
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

    def on_sale(self, search: Search, now: datetime, after: int | None, limit: int) -> Page:
        """What can be bought now and is looked for.

        A page of few matches in a long list may end early: then it has a next one all the same.
        """
        shelf = self._shelves[search.sort]
        spans = {
            "date": models.dates(search.since, search.until, now),
            "price": models.prices(search.lowest, search.highest),
        }
        span = spans.pop(search.sort.lstrip("-"), Span())
        also: Document = {f"listed.{name}": _within(other) for name, other in spans.items()}
        if search.text:
            also["search"] = {"$regex": re.escape(search.text.casefold())}
        reading = (shelf.sift if search.filters else shelf.read)(after, limit + 1, span, also)
        found = reading.found
        following = shelf.place(found[limit - 1]) if len(found) > limit else reading.stopped_at
        return self._page(found[:limit], following)

    def past(self, now: datetime, limit: int) -> list[str]:
        """Ids of tickets that are listed although their time has come."""
        condition = {"listed.date": {"$lt": models.dates(None, None, now).low}}
        found = self._tickets.find(condition, {"_id": 1}).sort("listed.date", 1).limit(limit)
        return [document["_id"] for document in found]

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


def _within(span: Span) -> Document:
    return {"$gte": span.low, "$lt": span.high}
