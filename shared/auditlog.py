"""The audit log: who did what, on what, when, from where and why. Entries are only ever added.

Auth keeps the log. Every service notes its own entries here first, with their event in the outbox,
so that auth gets each at least once; auth stores each id once.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import Counter
from pymongo.errors import DuplicateKeyError

from shared import logs
from shared.events import AuditData, AuditRecorded, Event
from shared.mongo import Store
from shared.outbox import Aggregates
from shared.relay import Relay

log = logs.get(__name__)

DELIVERED_BY = 90 * 86_400  # seconds after which auth has it for sure, and it goes here
STRANGERS = 1_000  # entries an hour that strangers can cause in one process
HOUR = 3_600.0
LEFT_OUT = "log.limited"

_left_out = Counter("audit_left_out_total", "Entries of strangers beyond what is kept")


@dataclass(frozen=True)
class Entry:
    """One thing that happened. It holds no password, no token and nothing that somebody typed but
    the reason of an admin; people are named by their id."""

    id: str
    version: int
    kind: str
    at: datetime
    actor: str  # a person's id, or empty for a stranger
    target: str  # such as order:6f3c...
    address: str
    reason: str = ""


def entry(kind: str, actor: str, target: str, address: str, reason: str = "") -> Entry:
    now = datetime.now(UTC)
    return Entry(secrets.token_hex(12), 0, kind, now, actor, target, address, reason)


def key_id(*parts: str) -> str:
    """The id of an entry that is noted once, however often it is asked for."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def public(entry: Entry) -> AuditData:
    return AuditData(
        id=entry.id,
        kind=entry.kind,
        at=entry.at,
        actor=entry.actor,
        target=entry.target,
        address=entry.address,
        reason=entry.reason,
    )


def announce(entry: Entry) -> tuple[Entry, type[Event]]:
    """Say an entry again, for an auth that lost it."""
    return entry, AuditRecorded


def from_event(event: AuditRecorded) -> Entry:
    data = event.data
    return Entry(data.id, 0, data.kind, data.at, data.actor, data.target, data.address, data.reason)


class Trail:
    """What a service has to tell the audit log."""

    def __init__(self, store: Store, relay: Relay | None = None) -> None:
        self.aggregates = Aggregates(store["audit"], Entry, public, relay)

    def ensure_indexes(self) -> None:
        self.aggregates.ensure_indexes()
        self.aggregates.collection.create_index("at", expireAfterSeconds=DELIVERED_BY)

    def add(self, entry: Entry) -> None:
        """Note an entry, before what it tells of begins. The same id again changes nothing."""
        try:
            self.aggregates.insert(entry, AuditRecorded)
        except DuplicateKeyError:
            log.info("noted before", entry=entry.id)


class Strangers:
    """Adds what people cause who have proved nothing, as far as there is room.

    Limits of requests come first; this is the bound that holds whatever they let through: so many
    entries an hour and process. The last one says that the rest was left out; a metric counts it.
    """

    def __init__(self, add: Callable[[Entry], None], most: int = STRANGERS) -> None:
        self._add, self._most = add, most
        self._lock = threading.Lock()
        self._began, self._count = -HOUR, 0

    def add(self, entry: Entry) -> None:
        number = self._number()
        if number < self._most:
            self._add(entry)
            return
        _left_out.inc()
        if number == self._most:
            self._add(_limited(entry))

    def _number(self) -> int:
        """How many there were before this one, in this hour."""
        with self._lock:
            now = time.monotonic()
            if now - self._began >= HOUR:
                self._began, self._count = now, 0
            self._count += 1
            return self._count - 1


def _limited(first: Entry) -> Entry:
    reason = f"too many entries such as {first.kind}; the rest of this hour is left out"
    return entry(LEFT_OUT, "", "", first.address, reason)
