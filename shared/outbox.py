"""Aggregates in MongoDB: the only way to save one is also the way to publish what happened.

A document holds its aggregate's state, `rev` (counts writes), `version` (counts events), `epoch`
(raised by a restore) and `outbox` (events that the stream has not acknowledged yet).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from shared import logs
from shared.errors import Conflict
from shared.events import Data, Event
from shared.mongo import Document, Documents, at_rev, changed, find_all, insert_new
from shared.relay import Relay


class Aggregate(Protocol):
    """A frozen dataclass whose fields are what is stored."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...


A = TypeVar("A", bound=Aggregate)

ATTEMPTS = 50  # lost races for one document before giving up; each loss means that another won
_NOT_STATE = {"id", "version"}


class Aggregates(Generic[A]):
    """A collection of aggregates of one kind; `public` is what their events say of them."""

    def __init__(
        self,
        collection: Documents,
        kind: type[A],
        public: Callable[[A], Data],
        relay: Relay | None = None,
    ) -> None:
        self.collection, self._public, self._relay = collection, public, relay
        self._adapter: TypeAdapter[A] = TypeAdapter(kind)

    def ensure_indexes(self) -> None:
        self.collection.create_index("outbox.id", sparse=True)

    def find(self, key: str) -> A | None:
        return self.find_by({"_id": key})

    def find_by(self, condition: Document) -> A | None:
        document = self.collection.find_one(condition)
        return None if document is None else self.load(document)

    def ids(self) -> Iterator[str]:
        """The ids of all aggregates."""
        for document in self.collection.find({}, {"_id": 1}):
            yield document["_id"]

    def begin_epoch(self) -> None:
        """From now on every version counts as newer than any that was told before."""
        self.collection.update_many({}, {"$inc": {"epoch": 1, "rev": 1}})

    def version(self, key: str) -> int | None:
        """How many events an aggregate has had, counted from 0."""
        document = self.collection.find_one({"_id": key}, {"version": 1})
        return None if document is None else document["version"]

    def load(self, document: Document) -> A:
        return self._adapter.validate_python({**document, "id": document["_id"]})

    def new_document(self, aggregate: A, event: type[Event] | None) -> Document:
        """The document of an aggregate that is not stored yet, its first event in the outbox."""
        entries = [self._entry(aggregate, event, 0, 0)] if event else []
        head = {"_id": aggregate.id, "rev": 0, "epoch": 0, "version": 0, "outbox": entries}
        return {**head, **self._state(aggregate)}

    def insert(self, aggregate: A, event: type[Event] | None) -> A:
        """Store a new aggregate. Raises DuplicateKeyError where a unique index refuses it."""
        document = self.new_document(aggregate, event)
        self.collection.insert_one(document)
        self._announce(document["_id"], document["outbox"])
        return aggregate

    def insert_many(self, documents: list[Document]) -> set[str]:
        """Store several new documents; returns the ids of those that a unique index refused."""
        refused = insert_new(self.collection, documents)
        for document in documents:
            if document["_id"] not in refused:
                self._announce(document["_id"], document["outbox"])
        return refused

    def documents(self, keys: Iterable[str]) -> dict[str, Document]:
        """Those of these aggregates that exist, for `update` to begin with."""
        found = find_all(self.collection, keys)
        return {document["_id"]: document for document in found}

    def update(
        self,
        key: str,
        transition: Callable[[A], tuple[A, type[Event] | None]],
        known: Document | None = None,
        hand_over: list[Document] | None = None,
    ) -> A:
        """Apply a transition to the stored state, again and again until nobody was in between.

        It begins with a document that was read before, if one is given. The event goes to
        `hand_over` in place of the outbox, if that is given: for whoever can make it anew should it
        be lost, and publishes it. Raises KeyError when there is no such aggregate, and whatever the
        transition raises.
        """
        for _ in range(ATTEMPTS):
            document, known = known or self.collection.find_one({"_id": key}), None
            if document is None:
                raise KeyError(key)
            current = self.load(document)
            after, event = transition(current)
            if after is current and event is None:
                return current
            if self._store(document, self._state(current), after, event, hand_over):
                return self.load({**document, **self._state(after), **_counted(document, event)})
        raise Conflict

    def _store(
        self,
        document: Document,
        before: Document,
        after: A,
        event: type[Event] | None,
        hand_over: list[Document] | None,
    ) -> bool:
        """One atomic write of state and event, guarded by `rev`; False when the guard refused."""
        update: Document = {"$inc": {"rev": 1, "version": 1 if event else 0}}
        if state := changed(before, self._state(after)):
            update["$set"] = state
        entries: list[Document] = []
        if event:
            version = document["version"] + 1
            entries = [self._entry(after, event, document["epoch"], version)]
            if hand_over is None:
                update["$push"] = {"outbox": entries[0]}
        guard = at_rev(document["_id"], document["rev"])
        if not self.collection.update_one(guard, update).modified_count:
            return False
        if hand_over is None:
            self._announce(document["_id"], entries)
        else:
            hand_over += entries
        return True

    def _announce(self, key: str, entries: list[Document]) -> None:
        """Publish at once; a worker's sweep does it should this fail."""
        if self._relay:
            for entry in entries:
                self._relay.send(self.collection, key, entry)

    def _state(self, aggregate: A) -> Document:
        return self._adapter.dump_python(aggregate, exclude=_NOT_STATE)

    def _entry(self, aggregate: A, event: type[Event], epoch: int, version: int) -> Document:
        envelope = {
            "data": self._public(aggregate),
            "epoch": epoch,
            "version": version,
            "traceparent": logs.current_trace(),
        }
        return event.model_validate(envelope).to_dict()


def _counted(document: Document, event: type[Event] | None) -> Document:
    return {"rev": document["rev"] + 1, "version": document["version"] + (1 if event else 0)}
