"""Reads the services' databases: whole collections in batches, or only some documents again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import islice
from typing import Any

from pymongo import MongoClient

from shared.mongo import Document, Documents, Store
from ticketing.audit.facts import Block, Entry, Facts, Offer, Order, Payment, Stock, Terms, Waiting

BATCH = 1_000  # ids in one question

# Which aggregates publish events, and under which name the stream knows them.
PUBLISHING = {
    ("auth", "accounts"): "user",
    ("auth", "sessions"): "session",
    ("auth", "tokens"): "session",
    ("tickets", "audit"): "audit",
    ("payments", "audit"): "audit",
    ("tickets", "tickets"): "ticket",
    ("orders", "orders"): "order",
    ("orders", "availability"): "availability",
    ("payments", "payments"): "payment",
}

# Of these only the version matters.
_ONLY_HEADS = [key for key, kind in PUBLISHING.items() if kind in ("user", "session", "audit")]

Ids = frozenset[str] | None  # None: everything


class Databases:
    """The databases of all services, for reading."""

    def __init__(self, uris: Mapping[str, str]) -> None:
        self._stores: dict[str, Store] = {}
        for name, uri in uris.items():
            client: MongoClient[Document] = MongoClient(
                uri,
                appname="ticketing-audit",
                tz_aware=True,
                readConcernLevel="majority",
                serverSelectionTimeoutMS=5_000,
            )
            self._stores[name] = client.get_default_database(name)

    def close(self) -> None:
        for store in self._stores.values():
            store.client.close()

    def collection(self, service: str, name: str) -> Documents:
        return self._stores[service][name]

    def read(self, facts: Facts, ids: Ids = None) -> None:
        """Fill in what the databases say; of everything, or of these documents."""
        self._read_tickets(facts, ids)
        self._read_orders(facts, ids)
        self._read_payments(facts, ids)
        for service, name in _ONLY_HEADS:
            for document in self._find(service, name, ids, {}):
                _note_head(facts, PUBLISHING[service, name], document)
        facts.waiting = list(self.waiting())

    def _read_tickets(self, facts: Facts, ids: Ids) -> None:
        fields = dict.fromkeys([*_OFFER, "stock"], 1)
        for document in self._find("tickets", "tickets", ids, fields):
            facts.offers[document["_id"]] = _offer(document)
            stock = document.get("stock")
            facts.stocks[document["_id"]] = _stock(stock) if stock else None
            _note_head(facts, "ticket", document)

    def _read_orders(self, facts: Facts, ids: Ids) -> None:
        for document in self._find("orders", "orders", ids, _ORDER_FIELDS):
            facts.orders[document["_id"]] = _order(document)
            _note_head(facts, "order", document)
        for block in self._blocks(facts, ids):
            facts.blocks.setdefault(block.ticket_id, []).append(block)
        for document in self._find("orders", "tickets", ids, dict.fromkeys(_OFFER, 1)):
            facts.followed[document["_id"]] = _offer(document)
        for document in self._find("orders", "availability", ids, dict.fromkeys(_STOCK, 1)):
            facts.announced[document["_id"]] = _stock(document)
            _note_head(facts, "availability", document)

    def _blocks(self, facts: Facts, ids: Ids) -> Iterator[Block]:
        blocks = self.collection("orders", "blocks")
        if ids is None:
            yield from map(_block, blocks.find({}, _BLOCK_FIELDS))
            return
        for ticket in ids | {order.ticket_id for order in facts.orders.values()}:
            own = {"_id": {"$gte": f"{ticket}:", "$lt": f"{ticket};"}}
            yield from map(_block, blocks.find(own, _BLOCK_FIELDS))

    def _read_payments(self, facts: Facts, ids: Ids) -> None:
        for document in self._find("payments", "payments", ids, _PAYMENT_FIELDS):
            facts.payments[document["_id"]] = _payment(document)
            _note_head(facts, "payment", document)

    def _find(
        self, service: str, name: str, ids: Ids, fields: Mapping[str, int]
    ) -> Iterator[Document]:
        collection = self.collection(service, name)
        wanted = {"epoch": 1, "version": 1, **fields}
        if ids is None:
            yield from collection.find({}, wanted)
            return
        for some in _batches(ids):
            yield from collection.find({"_id": {"$in": some}}, wanted)

    def waiting(self) -> Iterator[Waiting]:
        """Every event that an outbox holds."""
        for (service, name), kind in PUBLISHING.items():
            held = self.collection(service, name).find({"outbox.id": {"$gt": ""}}, {"outbox": 1})
            for document in held:
                for entry in document["outbox"]:
                    yield Waiting(
                        f"{kind}:{document['_id']}",
                        entry["id"],
                        entry["subject"],
                        (entry["epoch"], entry["version"]),
                    )


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(sorted(ids))
    while some := list(islice(remaining, BATCH)):
        yield some


def _note_head(facts: Facts, kind: str, document: Document) -> None:
    facts.heads[f"{kind}:{document['_id']}"] = (document["epoch"], document["version"])


_OFFER = [each.name for each in fields(Offer) if each.name not in ("epoch", "version")]
_STOCK = ["capacity", "available", "order_id"]
_ORDER_FIELDS = dict.fromkeys(
    [
        *("status", "reason", "user_id", "quantity", "amount", "currency", "expires_at"),
        *("payment", "ticket.id", "ticket.title", "blocks", "updated_at", "refunded"),
        "release_pending",
    ],
    1,
)
_BLOCK_FIELDS = dict.fromkeys(
    ["capacity", "available", "taken", "open", "ticket_epoch", "ticket_version"], 1
)
_PAYMENT_FIELDS = dict.fromkeys(
    [
        *("payment_id", "order", "settle_at", "attempts.n", "attempts.state"),
        *("intent.id", "intent.status", "intent.captured", "intent.refunded"),
        "wish.asked_at",
    ],
    1,
)


def _offer(document: Document) -> Offer:
    return Offer(**{each.name: document[each.name] for each in fields(Offer)})


def _stock(document: Mapping[str, Any]) -> Stock:
    return Stock(
        document["epoch"],
        document["version"],
        document["capacity"],
        document["available"],
        document.get("order_id"),
    )


def _order(document: Document) -> Order:
    return Order(
        id=document["_id"],
        terms=_terms(document, document["ticket"]["title"]),
        ticket_id=document["ticket"]["id"],
        blocks=tuple((part["block"], part["units"]) for part in document["blocks"]),
        updated_at=document["updated_at"],
        release_pending=bool(document.get("release_pending")),
    )


def _terms(found: Mapping[str, Any], title: str) -> Terms:
    pair = found.get("payment")
    return Terms(
        epoch=found["epoch"],
        version=found["version"],
        status=found["status"],
        reason=found.get("reason"),
        user_id=found["user_id"],
        title=title,
        quantity=found["quantity"],
        amount=found["amount"],
        currency=found["currency"],
        expires_at=found["expires_at"],
        payment=(pair["payment_id"], pair["attempt"]) if pair else None,
        refunded=found.get("refunded", 0),
    )


def _block(document: Document) -> Block:
    entries = document["taken"]
    return Block(
        id=document["_id"],
        capacity=document["capacity"],
        available=document["available"],
        taken=tuple(Entry(e["order_id"], e["units"], e["until"]) for e in entries),
        open=document["open"],
        stamp=(document["ticket_epoch"], document["ticket_version"]),
    )


def _payment(document: Document) -> Payment:
    intent: Document = document.get("intent") or {}
    attempts: list[Document] = document.get("attempts") or []
    wish: Document = document.get("wish") or {}
    return Payment(
        id=document["_id"],
        payment_id=document["payment_id"],
        order=_terms(document["order"], document["order"]["title"]),
        intent_id=intent.get("id"),
        intent_status=intent.get("status", ""),
        captured=intent.get("captured", 0),
        refunded=intent.get("refunded", 0),
        attempts=len(attempts),
        state=attempts[-1]["state"] if attempts else "",
        settle_at=document.get("settle_at"),
        wished_at=wish.get("asked_at"),
    )
