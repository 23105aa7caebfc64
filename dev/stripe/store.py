"""Everything the emulator knows, in one SQLite file; one transaction per request."""

import json
import sqlite3
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.stripe.errors import Json

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    object TEXT NOT NULL,
    intent TEXT,
    type TEXT,
    created INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (object, seq);
CREATE INDEX IF NOT EXISTS objects_by_intent ON objects (intent, object, seq);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    path TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    intent TEXT NOT NULL,
    due REAL NOT NULL,
    rank INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    answer TEXT
);
CREATE INDEX IF NOT EXISTS deliveries_pending ON deliveries (due, rank)
    WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);
"""
KEEP_ANSWERS = 24 * 3600


@dataclass(frozen=True)
class Answer:
    """A finished answer to a request with an idempotency key."""

    request: str
    path: str
    request_id: str
    status: int
    body: str


@dataclass(frozen=True)
class Delivery:
    """One attempt-to-be at telling the webhook about an event."""

    id: int
    event: str
    intent: str
    due: float
    attempts: int
    body: str


@dataclass(frozen=True)
class Filter:
    """Which objects a list shows, newest first."""

    kind: str
    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    intent: str | None = None
    types: Sequence[str] = ()
    created: Json | None = None


class Store:
    """The file. Exclusive: a second emulator on the same data is refused by SQLite."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            folder / "stripe.sqlite3", isolation_level=None, check_same_thread=False, timeout=1
        )
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)
        self._db.execute(
            "DELETE FROM answers WHERE created < ?", (int(time.time()) - KEEP_ANSWERS,)
        )

    @contextmanager
    def transaction(self) -> Generator["Session"]:
        """All or nothing: an exception that leaves the block undoes what was done in it."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("SAVEPOINT effects")
            try:
                yield Session(self._db)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def reading(self) -> Generator["Session"]:
        with self._lock:
            yield Session(self._db)

    def close(self) -> None:
        """For good: the lock stays taken, so that other threads wait for the end of the process."""
        self._lock.acquire()
        self._db.close()


class Session:
    """What can be read and written inside a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def undo(self) -> None:
        """Take back what the transaction wrote so far; it goes on."""
        self._db.execute("ROLLBACK TO effects")

    def find(self, kind: str, ident: str) -> Json | None:
        row = self._db.execute(
            "SELECT body FROM objects WHERE id = ? AND object = ?", (ident, kind)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def save(self, thing: Json, intent: str | None = None) -> None:
        self._db.execute(
            "INSERT INTO objects (id, object, intent, type, created, body)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (
                thing["id"],
                thing["object"],
                intent or thing.get("payment_intent"),
                thing.get("type"),
                thing["created"],
                json.dumps(thing),
            ),
        )

    def page(self, wanted: Filter) -> tuple[list[Json], bool]:
        """One page of objects, and whether there are more."""
        clauses, values = ["object = ?"], list[Any]([wanted.kind])
        if wanted.intent:
            clauses.append("intent = ?")
            values.append(wanted.intent)
        if wanted.types:
            clauses.append(f"type IN ({', '.join('?' * len(wanted.types))})")
            values += wanted.types
        for bound, sign in (("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")):
            if wanted.created and bound in wanted.created:
                clauses.append(f"created {sign} ?")
                values.append(wanted.created[bound])
        backwards = wanted.ending_before is not None
        for cursor, sign in ((wanted.starting_after, "<"), (wanted.ending_before, ">")):
            if cursor:
                clauses.append(f"seq {sign} (SELECT seq FROM objects WHERE id = ?)")  # noqa: S608
                values.append(cursor)
        rows = self._db.execute(
            f"SELECT body FROM objects WHERE {' AND '.join(clauses)}"  # noqa: S608 - no input in it
            f" ORDER BY seq {'ASC' if backwards else 'DESC'} LIMIT ?",
            (*values, wanted.limit + 1),
        ).fetchall()
        page = [json.loads(row[0]) for row in rows[: wanted.limit]]
        return page[::-1] if backwards else page, len(rows) > wanted.limit

    def recall(self, key: str) -> Answer | None:
        row = self._db.execute(
            "SELECT request, path, request_id, status, body FROM answers WHERE key = ?", (key,)
        ).fetchone()
        return Answer(*row) if row else None

    def remember(self, key: str, answer: Answer) -> None:
        self._db.execute(
            "INSERT INTO answers (request, path, request_id, status, body, key, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                answer.request,
                answer.path,
                answer.request_id,
                answer.status,
                answer.body,
                key,
                int(time.time()),
            ),
        )

    def schedule(self, event: str, intent: str, due: float, rank: int, state: str) -> None:
        self._db.execute(
            "INSERT INTO deliveries (event, intent, due, rank, state) VALUES (?, ?, ?, ?, ?)",
            (event, intent, due, rank, state),
        )

    def next_delivery(self, busy: Sequence[str]) -> Delivery | None:
        """The pending delivery that is due first, of an intent that nobody is delivering."""
        row = self._db.execute(
            "SELECT d.id, d.event, d.intent, d.due, d.attempts, o.body FROM deliveries d"  # noqa: S608 - no input in it
            " JOIN objects o ON o.id = d.event WHERE d.state = 'pending'"
            f" AND d.intent NOT IN ({', '.join('?' * len(busy))})"
            " ORDER BY d.due, d.rank, d.id LIMIT 1",
            busy,
        ).fetchone()
        return Delivery(*row) if row else None

    def note_delivery(self, delivery: Delivery, state: str, due: float, answer: str) -> None:
        self._db.execute(
            "UPDATE deliveries SET state = ?, due = ?, answer = ?, attempts = attempts + 1"
            " WHERE id = ?",
            (state, due, answer, delivery.id),
        )

    def deliveries_of(self, event: str) -> list[Json]:
        rows = self._db.execute(
            "SELECT state, attempts, due, answer FROM deliveries WHERE event = ? ORDER BY id",
            (event,),
        ).fetchall()
        return [
            {"state": state, "attempts": attempts, "due": due, "answer": answer}
            for state, attempts, due, answer in rows
        ]

    def count_pending(self) -> int:
        query = "SELECT count(*) FROM deliveries WHERE state = 'pending'"
        return self._db.execute(query).fetchone()[0]

    def wipe(self) -> None:
        for table in ("objects", "answers", "deliveries"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are right above
