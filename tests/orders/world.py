"""An orders service to be tested: a clock that is moved by hand, and the promises it must keep."""

import json
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import mongomock

from apps.orders import processes
from apps.orders.blocks import Wish
from apps.orders.config import Settings
from apps.orders.handlers import OWN, EventHandlers
from apps.orders.models import Order, Pair
from apps.orders.service import Orders
from shared.bus import Tell, tell_nobody
from shared.events import (
    AvailabilityChanged,
    Event,
    ExpirationComplete,
    ExpirationData,
    PaymentData,
    TicketCreated,
    TicketData,
    TicketUpdated,
    parse,
)
from shared.mongo import Store
from shared.people import User

TICKET = "71c4e7000000000000000001"
SELLER = "5e11e5000000000000000001"
BUYER = "b0ee50000000000000000001"
OTHER = "b0ee50000000000000000002"
HOLD = timedelta(minutes=15)
LIVE = ("created", "awaiting:payment", "complete")
START = datetime(2027, 5, 1, 20, tzinfo=UTC)
PAIR = Pair("9a1d00000000000000000001", 1)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def pass_by(self, time: timedelta) -> None:
        self.time += time


def settings(block_size: int = 100, *, limits: bool = False) -> Settings:
    return Settings(
        embedded=True,  # which alone may turn limits off
        rate_limits=limits,
        nats_url="nats://unused",
        mongo_uri="mongodb://unused",
        auth_url="http://unused",
        public_url="http://localhost",
        secret_key="a secret of the tests",
        hold_seconds=int(HOLD.total_seconds()),
        block_size=block_size,
    )


def user(user_id: str = BUYER) -> User:
    return User(user_id, f"{user_id}@example.com", "session", START, START + timedelta(hours=12))


def wish(order_id: str, units: int = 1, until: datetime = START + HOLD) -> Wish:
    return Wish(order_id, units, until)


def ticket_data(ticket_id: str = TICKET, **changes: Any) -> TicketData:
    known: dict[str, Any] = {
        "id": ticket_id,
        "user_id": SELLER,
        "title": "Concert",
        "unit_amount": 1950,
        "currency": "usd",
        "quantity": 1,
        "withdrawn": False,
    }
    return TicketData(**{**known, **changes})


def payment_data(order: Order, pair: Pair = PAIR, refunded: int = 0) -> PaymentData:
    return PaymentData(
        id=pair.payment_id,
        order_id=order.id,
        user_id=order.user_id,
        attempt=pair.attempt,
        status="authorised",
        amount=order.amount,
        currency=order.currency,
        captured=0,
        refunded=refunded,
    )


@contextmanager
def memory_store() -> Generator[Store, None, None]:
    """A database in memory: quick, and for one thread only."""
    with mongomock.MongoClient(tz_aware=True) as client:
        yield client["orders"]


@dataclass
class World:
    """The service, its database, and the events that it said."""

    store: Store
    block_size: int = 100
    clock: Clock = field(default_factory=Clock)
    delivered: set[str] = field(default_factory=set[str])
    published: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    limits: bool = False

    def __post_init__(self) -> None:
        self.service = self.process()
        self.service.ensure_indexes()
        self.versions: Counter[str] = Counter()

    def process(self, store: Store | None = None) -> Orders:
        """One more process of the service: it remembers nothing of the others."""
        made = processes.orders(
            settings(self.block_size, limits=self.limits),
            self.store if store is None else store,
            None,
        )
        made.clock = self.clock
        return made

    # --- what happens -----------------------------------------------------------------------------

    def says_ticket(self, ticket_id: str = TICKET, **changes: Any) -> TicketCreated | TicketUpdated:
        """The next event of a ticket, as tickets would send it; not delivered yet."""
        self.versions[ticket_id] += 1
        version = self.versions[ticket_id] - 1
        kind = TicketUpdated if version else TicketCreated
        return kind(data=ticket_data(ticket_id, **changes), version=version)

    def sells(self, quantity: int = 1, ticket_id: str = TICKET, **changes: Any) -> None:
        """The seller says how many there are, and orders hears of it."""
        self.handlers.on_ticket(self.says_ticket(ticket_id, quantity=quantity, **changes))

    def reserves(self, quantity: int = 1, buyer: str = BUYER, key: str | None = None) -> Order:
        return self.service.place(user(buyer), TICKET, quantity, key)

    def passes(self, time: timedelta) -> None:
        self.clock.pass_by(time)

    @property
    def handlers(self) -> EventHandlers:
        return self.handlers_of(self.service)

    def handlers_of(self, process: Orders, tell: Tell = tell_nobody) -> EventHandlers:
        """What one process does with events; what it publishes itself is kept here."""
        return EventHandlers(process, self.published.extend, tell)

    def alarm(self, order: Order) -> None:
        self.handlers.on_expiration_complete(
            ExpirationComplete(data=ExpirationData(order_id=order.id))
        )

    def drain(self) -> None:
        """Deliver what orders hears from itself until nothing is new."""
        while heard := [event for event in self.events() if self.is_new(event)]:
            self.handlers.on_own_orders(heard)
            self.delivered.update(event.id for event in heard)

    def is_new(self, event: Event) -> bool:
        return type(event) in OWN and event.id not in self.delivered

    def recover(self) -> None:
        """What a restarted worker does by itself, until it finds nothing more to do."""
        self.service = self.process()
        self.sweep()
        self.drain()

    def sweep(self) -> None:
        service = self.service
        service.sweep_expired()
        service.sweep_unreleased()
        service.sweep_unfinished()
        service.sweep_unallotted()
        service.sweep_orphans()

    # --- what is stored ---------------------------------------------------------------------------

    def order(self, order: Order) -> Order:
        found = self.service.store.aggregates.find(order.id)
        assert found is not None
        return found

    def orders(self) -> list[Order]:
        load = self.service.store.aggregates.load
        return [load(document) for document in self.store["orders"].find()]

    def blocks(self, ticket_id: str = TICKET) -> list[dict[str, Any]]:
        found = self.store["blocks"].find({"_id": {"$regex": f"^{ticket_id}:"}})
        return sorted(found, key=lambda block: int(block["_id"].split(":")[1]))

    def free(self, ticket_id: str = TICKET) -> int:
        return sum(block["available"] for block in self.blocks(ticket_id))

    def capacity(self, ticket_id: str = TICKET) -> int:
        return sum(block["capacity"] for block in self.blocks(ticket_id))

    def taken(self) -> Counter[tuple[str, str]]:
        """Units by block and order, as the blocks say."""
        return Counter(
            {
                (block["_id"], entry["order_id"]): entry["units"]
                for block in self.store["blocks"].find()
                for entry in block["taken"]
            }
        )

    def events(self, *kinds: type[Event]) -> list[Event]:
        """What waits in the outboxes or was published, oldest first within each aggregate."""
        orders, told = (
            [_event(entry) for document in self.store[name].find() for entry in document["outbox"]]
            for name in ("orders", "availability")
        )
        told += map(_event, self.published)
        found = [*orders, *sorted(told, key=lambda event: event.order)]
        return [event for event in found if not kinds or type(event) in kinds]

    def said_of(self, order: Order) -> list[str]:
        """The names of an order's events in the order of their versions."""
        document = self.store["orders"].find_one({"_id": order.id})
        assert document is not None
        events = [_event(entry) for entry in document["outbox"]]
        assert [event.version for event in events] == list(range(len(events)))
        return [type(event).__name__ for event in events]

    # --- what must be true ------------------------------------------------------------------------

    def assert_blocks_add_up(self) -> None:
        """True after every single write."""
        for block in self.store["blocks"].find():
            taken = sum(entry["units"] for entry in block["taken"])
            assert taken + block["available"] == block["capacity"], block
            assert block["available"] >= 0, block
            assert block["capacity"] <= self.block_size, block
            holders = [entry["order_id"] for entry in block["taken"]]
            assert len(holders) == len(set(holders)), block

    def assert_cancelled_orders_hold_nothing(self) -> None:
        """True after any recovery, however long the holds still are."""
        cancelled = {order.id for order in self.orders() if order.status == "cancelled"}
        assert not cancelled & {order_id for _, order_id in self.taken()}

    def assert_sound(self) -> None:
        """True once everything that was interrupted has been finished."""
        self.assert_blocks_add_up()
        orders = self.orders()
        assert self.taken() == Counter(
            {
                (part.block, order.id): part.units
                for order in orders
                for part in order.blocks
                if order.status in LIVE
            }
        )
        for order in orders:
            assert not order.release_pending, order
            assert order.status != "created" or order.expires_at > self.clock.now(), order
            if order.status in LIVE:
                assert sum(part.units for part in order.blocks) == order.quantity, order
        for ticket in self.store["tickets"].find():
            self._assert_follows(ticket)

    def _assert_follows(self, ticket: dict[str, Any]) -> None:
        """Blocks have the quantity wanted, or all that is too much is taken; all know of it."""
        capacity, free = self.capacity(ticket["_id"]), self.free(ticket["_id"])
        all_taken = capacity > ticket["quantity"] and not free
        assert capacity == ticket["quantity"] or all_taken, ticket
        assert all(block["open"] != ticket["withdrawn"] for block in self.blocks(ticket["_id"]))
        told = self.store["availability"].find_one({"_id": ticket["_id"]})
        assert told is not None
        assert (told["capacity"], told["available"]) == (capacity, free), told
        said = {event.aggregate: event.order for event in self.events(AvailabilityChanged)}
        newest = said[f"availability:{ticket['_id']}"]
        assert newest == (told["epoch"], told["version"]), "stored, but not told"


def _event(entry: dict[str, Any]) -> Event:
    return parse(json.dumps(entry))
