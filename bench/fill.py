"""Much data at once, written straight into the databases in the shape in which services keep it.

Nobody is told of it, so the web process that answers from these data is started again afterwards.
"""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from apps.orders.models import Order
from apps.orders.onsale import Ordered
from apps.orders.store import Orders
from apps.orders.units import Units, block_id
from apps.tickets import models
from apps.tickets.models import Details, Stock
from apps.tickets.store import Tickets
from bench.ground import Ground
from bench.people import Person
from shared.mongo import Document

TOGETHER = 1_000  # documents in one write
APART = timedelta(minutes=5)  # between two orders of one person


def tickets(ground: Ground, count: int) -> None:
    """As many tickets on sale as are missing until there are so many."""
    store = Tickets(ground.stores["tickets"])
    now = datetime.now(UTC)
    missing = count - store.aggregates.collection.estimated_document_count()
    for start in range(0, missing, TOGETHER):
        made = [_ticket(ground, start + n, now) for n in range(min(TOGETHER, missing - start))]
        store.aggregates.insert_many([store.aggregates.new_document(one, None) for one in made])
    ground.restart("tickets-web")


def _ticket(ground: Ground, number: int, now: datetime) -> models.Ticket:
    seller = ground.people[number % len(ground.people)]
    details = Details(
        f"Concert {number}", 2_000 + number % 5_000, "usd", 100, "Chamber Hall, Riverside",
        now + timedelta(days=30, minutes=number),
    )  # fmt: skip
    created = now - timedelta(seconds=number)
    ticket, _ = models.create(secrets.token_hex(12), seller.id, details, created)
    return models.restock(ticket, Stock(0, 0, 100, 100))[0]


def orders(ground: Ground, ticket: str, buyer: Person, count: int) -> None:
    """As many paid orders of one person for one ticket as are missing until there are so many."""
    store = Orders(ground.stores["orders"])
    now = datetime.now(UTC)
    missing = count - store.aggregates.collection.count_documents({"user_id": buyer.id})
    blocks = ground.stores["orders"]["blocks"]
    untouched = _untouched(ground, ticket)
    while missing > 0:
        block, units = next(untouched)
        made = [
            _order(ground, ticket, buyer, block, now - n * APART)
            for n in range(min(units, missing))
        ]
        taken = [{"order_id": one.id, "units": 1, "until": one.expires_at} for one in made]
        change = {"$set": {"taken": taken}, "$inc": {"available": -len(made), "rev": 1}}
        blocks.update_one({"_id": block}, change)
        store.aggregates.insert_many([store.aggregates.new_document(one, None) for one in made])
        missing -= len(made)
        now -= len(made) * APART
    ground.restart("orders-web")


def _untouched(ground: Ground, ticket: str) -> Iterator[tuple[str, int]]:
    """Blocks that nobody has taken anything from, and how many units each has."""
    blocks = ground.stores["orders"]["blocks"]
    known = ground.stores["orders"]["tickets"].find_one({"_id": ticket}, {"blocks": 1})
    for number in range(known["blocks"] if known else 0):
        block: Document = blocks.find_one({"_id": block_id(ticket, number)}) or {"taken": True}
        if not block["taken"]:
            yield block["_id"], block["available"]


def _order(ground: Ground, ticket: str, buyer: Person, block: str, now: datetime) -> Order:
    terms = Ordered(ticket, "Concert of much ordered", 2_000, 0, ground.seller.id)
    return Order(
        id=secrets.token_hex(12), version=2, status="complete", user_id=buyer.id, quantity=1,
        amount=2_000, currency="usd", ticket=terms, blocks=(Units(block, 1),), created_at=now,
        expires_at=now + timedelta(minutes=15), updated_at=now, paid_at=now,
    )  # fmt: skip
