"""Orders, and what orders knows of tickets, in MongoDB."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from apps.orders import models
from apps.orders.models import Order
from apps.orders.onsale import Ticket
from apps.orders.units import Availability
from shared.events import AvailabilityData, TicketCreated, TicketUpdated
from shared.mongo import TOGETHER, Document, Store, at_rev, find_all, insert_new
from shared.outbox import Aggregates
from shared.relay import Relay

SPANS = (timedelta(days=1), timedelta(days=30))  # before all earlier orders of a person
SWEEP = 500  # documents that one round of a sweep takes on
RECENT = 500  # orders of a person that are looked at for what is coming up
SELLS = 2_000  # tickets of one seller that are counted together


_KEPT = (
    "user_id",
    "title",
    "unit_amount",
    "currency",
    "quantity",
    "withdrawn",
    "venue",
    "starts_at",
    "limit_per_person",
)

TicketEvent = TicketCreated | TicketUpdated


class Orders:
    def __init__(self, store: Store, relay: Relay | None = None) -> None:
        self.aggregates = Aggregates(store["orders"], Order, models.public, relay)
        self._orders = store["orders"]

    def ensure_indexes(self) -> None:
        self.aggregates.ensure_indexes()
        self._orders.create_index([("user_id", 1), ("created_at", -1), ("_id", -1)])
        self._orders.create_index([("status", 1), ("expires_at", 1)])
        self._orders.create_index([("ticket.id", 1), ("user_id", 1)])
        self._orders.create_index(
            "shares", unique=True, partialFilterExpression={"shares": {"$type": "string"}}
        )
        self._orders.create_index("release_pending", sparse=True)
        self._orders.create_index(
            [("user_id", 1), ("key", 1)],
            unique=True,
            partialFilterExpression={"key": {"$type": "string"}},
        )

    def by_key(self, user_id: str, key: str) -> Order | None:
        return self.aggregates.find_by({"user_id": user_id, "key": key})

    def of_user(self, user_id: str, after: tuple[datetime, str] | None, limit: int) -> list[Order]:
        """A person's orders, newest first, from a position on."""
        orders: list[Order] = []
        for span in _spans(after[0] if after else None):
            condition: Document = {"user_id": user_id, "created_at": span}
            with self._orders.find(condition).sort([("created_at", -1), ("_id", -1)]) as found:
                read = map(self.aggregates.load, found)
                older = (o for o in read if not after or (o.created_at, o.id) < after)
                orders += islice(older, limit - len(orders))
            if len(orders) == limit:
                break
        return orders

    def live_of_user(self, user_id: str) -> list[Order]:
        """The latest of a person's orders that are not cancelled."""
        orders = self.of_user(user_id, None, RECENT)
        return [order for order in orders if order.status != "cancelled"]

    def read(self, ids: Iterable[str]) -> list[Order]:
        """Those of these orders that exist."""
        return [self.aggregates.load(document) for document in self.documents(ids).values()]

    def documents(self, ids: Iterable[str]) -> dict[str, Document]:
        """The same as they are stored, for who must not stumble over one that can't be read."""
        found = find_all(self._orders, ids)
        return {document["_id"]: document for document in found}

    def overdue(self, now: datetime) -> list[str]:
        """Unpaid orders whose time has passed."""
        return self._ids({"status": "created", "expires_at": {"$lte": now}})

    def unfinished(self, since: datetime) -> list[str]:
        """Orders that have waited for their payment's capture since that time.

        Few wait at all, so that their status finds them; another index would cost each write 8 %.
        """
        return self._ids({"status": "awaiting:payment", "updated_at": {"$lte": since}})

    def unreleased(self) -> list[str]:
        """Cancelled orders whose units are not known to be back."""
        return self._ids({"release_pending": True})

    def open_of_ticket(self, ticket_id: str) -> list[str]:
        """What of a ticket may still be cancelled.

        All its orders are looked at: an index by status would cost each write 8 %, for withdrawals.
        """
        found = self._orders.find({"ticket.id": ticket_id}, {"status": 1})
        return list(islice((o["_id"] for o in found if o["status"] == "created"), SWEEP))

    def lately_of(
        self, user_ids: set[str], since: datetime
    ) -> Iterator[tuple[str, str, str, datetime]]:
        """Person, ticket, status and time of what these people ordered since then."""
        condition: Document = {"user_id": {"$in": list(user_ids)}, "created_at": {"$gt": since}}
        wanted = {"user_id": 1, "ticket.id": 1, "status": 1, "created_at": 1}
        for found in self._orders.find(condition, wanted):
            yield found["user_id"], found["ticket"]["id"], found["status"], found["created_at"]

    def of_people(self, ticket_id: str, user_ids: set[str]) -> list[Order]:
        """What these people ordered of a ticket.

        The condition has no status, as with one the embedded server would read every order.
        """
        found = self._orders.find({"ticket.id": ticket_id, "user_id": {"$in": sorted(user_ids)}})
        return [self.aggregates.load(document) for document in found]

    def statuses(self, ids: Iterable[str]) -> dict[str, str]:
        """The status of each of these orders that exists."""
        found = find_all(self._orders, ids, {"status": 1})
        return {document["_id"]: document["status"] for document in found}

    def _ids(self, condition: Document) -> list[str]:
        return [found["_id"] for found in self._orders.find(condition, {"_id": 1}).limit(SWEEP)]


class Tickets:
    """The replica of tickets. Its `rev` also numbers the runs that allot its blocks."""

    def __init__(self, store: Store) -> None:
        self._tickets = store["tickets"]

    def ensure_indexes(self) -> None:
        self._tickets.create_index("unallotted", sparse=True)
        self._tickets.create_index("user_id")

    def find(self, ticket_id: str) -> Ticket | None:
        found = self._tickets.find_one({"_id": ticket_id})
        return None if found is None else _ticket(found)

    def find_all(self, ids: Iterable[str]) -> dict[str, Ticket]:
        """Those of these tickets that are known, by their ids."""
        found = find_all(self._tickets, ids)
        return {document["_id"]: _ticket(document) for document in found}

    def of_seller(self, user_id: str) -> list[Ticket]:
        """What a person has put on sale, also what they withdrew."""
        return [_ticket(found) for found in self._tickets.find({"user_id": user_id}).limit(SELLS)]

    def save(self, event: TicketCreated | TicketUpdated, *, rebuild: bool = False) -> Ticket:
        """Store the event's data if it is newer than what is here; the ticket as it is then.

        A rebuild also stores the same version once more, whatever is here.
        """
        key, state = event.data.id, _state(event)
        while True:
            known = self.find(key)
            if known and not _is_news(event, known, rebuild=rebuild):
                return known
            if known is None:
                # A lost replica begins above every fence that its blocks may carry.
                rev = int(time.time())
                insert_new(
                    self._tickets, [{"_id": key, "blocks": 0, "reach": 0, "rev": rev, **state}]
                )
            elif self._replace(key, known.rev, state):
                rebuild = False

    def _replace(self, ticket_id: str, rev: int, state: dict[str, Any]) -> bool:
        change: Document = {"$set": state, "$inc": {"rev": 1}}
        return bool(self._tickets.update_one(at_rev(ticket_id, rev), change).modified_count)

    def begin_allotting(self, ticket: Ticket, blocks: int) -> int | None:
        """The fence of a new run, higher than any before; None when another one was first.

        Later runs claim at least as many blocks, so that this one can't make any behind their back.
        """
        change = {"$inc": {"rev": 1}, "$set": {"reach": blocks}}
        begun = self._tickets.update_one(at_rev(ticket.id, ticket.rev), change).modified_count
        return ticket.rev + 1 if begun else None

    def end_allotting(self, ticket_id: str, fence: int, blocks: int, *, complete: bool) -> None:
        """Note how many blocks may be used; the run is repeated later unless it was complete."""
        change: Document = {"$set": {"blocks": blocks}}
        if complete:
            change["$unset"] = {"unallotted": ""}
        self._tickets.update_one(at_rev(ticket_id, fence), change)

    def begin_new(
        self, events: Iterable[TicketEvent], reach: dict[str, int], fence: int
    ) -> set[str]:
        """Store new tickets, with a run for each that has begun; the ids of those known already."""
        return insert_new(
            self._tickets,
            [
                {
                    "_id": event.data.id,
                    "blocks": 0,
                    "reach": reach[event.data.id],
                    "rev": fence,
                    **_state(event),
                }
                for event in events
            ],
        )

    def end_new(self, ticket_ids: list[str], fence: int, blocks: int) -> None:
        """The same as `end_allotting`, for tickets that all have as many blocks."""
        change: Document = {"$set": {"blocks": blocks}, "$unset": {"unallotted": ""}}
        for first in range(0, len(ticket_ids), TOGETHER):
            some = ticket_ids[first : first + TOGETHER]
            self._tickets.update_many({"_id": {"$in": some}, "rev": fence}, change)

    def unallotted(self) -> list[str]:
        found = self._tickets.find({"unallotted": True}, {"_id": 1}).limit(SWEEP)
        return [document["_id"] for document in found]


def _spans(latest: datetime | None) -> Iterator[Document]:
    """Times from the latest on backwards, the first ones short.

    The embedded server reads all orders of a span, however few of them are wanted.
    """
    begin = latest or datetime.now(UTC)
    end: Document = {"$lte": latest} if latest else {}
    for span in SPANS:
        yield {"$gt": begin - span, **end}
        end = {"$lte": begin - span}
    yield end


def _state(event: TicketEvent) -> Document:
    """What is kept of a ticket, whose blocks do not follow it yet."""
    state = {name: getattr(event.data, name) for name in _KEPT}
    return {"epoch": event.epoch, "version": event.version, **state, "unallotted": True}


def _is_news(event: TicketCreated | TicketUpdated, known: Ticket, *, rebuild: bool) -> bool:
    current = (known.epoch, known.version)
    return event.order > current or (rebuild and event.order == current)


def availability(store: Store, relay: Relay | None) -> Aggregates[Availability]:
    """What was last announced of each ticket."""
    return Aggregates(store["availability"], Availability, _public_availability, relay)


def _public_availability(of: Availability) -> AvailabilityData:
    return AvailabilityData(
        ticket_id=of.id, capacity=of.capacity, available=of.available, order_id=of.order_id
    )


def _ticket(found: Document) -> Ticket:
    names = Ticket.__dataclass_fields__.keys() & found.keys()
    return Ticket(
        id=found["_id"],
        allotted="unallotted" not in found,
        **{name: found[name] for name in names},
    )
