"""The audit log: everything that people with rights did, and all that matters for security.

Entries are added and read; nothing here changes or removes one before its time.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime

from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from shared import auditlog
from shared.auditlog import Entry, Strangers
from shared.events import AuditRecorded
from shared.mongo import Document, Store

KEPT = 400 * 86_400  # seconds: more than a year, so that the same week of last year can be compared

KINDS = {
    "account.created": "account opened",
    "session.begun": "signed in",
    "sign-in.failed": "sign-in failed",
    "password.wrong": "wrong password while signed in",
    "password.changed": "password changed",
    "password.reset-asked": "link to reset the password sent",
    "password.reset": "password reset by link",
    "email.verified": "address confirmed",
    "email.changed": "address changed",
    "factor.on": "second factor on",
    "factor.off": "second factor off",
    "factor.recovery-used": "recovery code used",
    "token.made": "API token made",
    "token.revoked": "API token revoked",
    "account.deleted": "account deleted",
    "account.disabled": "account disabled",
    "account.enabled": "account enabled",
    "role.given": "role given",
    "ticket.withdrawn": "ticket withdrawn by an admin",
    "order.refunded": "order refunded by an admin",
    "webhook.refused": "webhook with a wrong signature",
    "audit.exported": "audit log exported",
    auditlog.LEFT_OUT: "entries left out",
}


@dataclass(frozen=True)
class Search:
    """What is looked for: all of it must be so."""

    person: str = ""  # an id: who did it, or to whose account it was done
    kind: str = ""
    target: str = ""  # the id of what it was done to
    since: datetime | None = None
    until: datetime | None = None


class AuditLog:
    def __init__(self, store: Store) -> None:
        self._log = store["audit"]

    def ensure_indexes(self) -> None:
        self._log.create_index([("place", DESCENDING)])
        for name in ("people", "kind", "target_id"):
            self._log.create_index([(name, 1), ("place", DESCENDING)])
        self._log.create_index("at", expireAfterSeconds=KEPT)

    def add(self, entry: Entry) -> None:
        """Keep an entry, once by its id."""
        try:
            self._log.insert_one(_document(entry))
        except DuplicateKeyError:
            return

    def keep(self, event: AuditRecorded) -> None:
        """What another service has noted."""
        self.add(auditlog.from_event(event))

    def page(self, search: Search, after: int | None, limit: int) -> tuple[list[Entry], int | None]:
        """The newest entries before a place, and the place where the next ones begin."""
        found = list(self._find(search, after).limit(limit + 1))
        following = found[limit - 1]["place"] if len(found) > limit else None
        return [_entry(document) for document in found[:limit]], following

    def every(self, search: Search) -> Iterator[Entry]:
        """All of them, newest first, as they are read."""
        with self._find(search, None) as found:
            yield from map(_entry, found)

    def _find(self, search: Search, after: int | None):
        condition: Document = {
            name: value
            for name, value in (
                ("people", search.person),
                ("kind", search.kind),
                ("target_id", search.target),
            )
            if value
        }
        place: Document = {}
        if search.since:
            place["$gte"] = _place(search.since)
        ends = [_place(search.until)] if search.until else []
        if ends := [*ends, *([after] if after is not None else [])]:
            place["$lt"] = min(ends)
        if place:
            condition["place"] = place
        return self._log.find(condition).sort("place", DESCENDING)


@dataclass
class Audit:
    """Notes what happens here. Of strangers only as much is kept as there is room for."""

    log: AuditLog
    secret: str
    strangers: Strangers = field(init=False)

    def __post_init__(self) -> None:
        self.strangers = Strangers(self.log.add)

    def note(self, kind: str, user_id: str, target: str = "", reason: str = "") -> None:
        """Somebody did something, to their own account unless there is a target."""
        self.log.add(_made(kind, user_id, target or f"user:{user_id}", reason))

    def by_operator(self, kind: str, user_id: str, reason: str = "") -> None:
        """A command did something to an account."""
        self.log.add(_made(kind, "", f"user:{user_id}", reason))

    def failed(self, kind: str, target: str, reason: str = "") -> None:
        """Somebody could not show who they are."""
        self.strangers.add(_made(kind, "", target, reason))

    def unknown(self, email: str) -> str:
        """An address that nobody has, so that its entries can be found without keeping it.

        What is typed there may well be a password.
        """
        return hmac.digest(self.secret.encode(), email.encode(), "sha256").hex()[:24]


def _made(kind: str, actor: str, target: str, reason: str) -> Entry:
    return auditlog.entry(kind, actor, target, _address(), reason)


def _address() -> str:
    # Imported here, because a worker has no use for the web and saves its memory.
    from flask import has_request_context

    from shared.admin import address

    return address() if has_request_context() else "command line"


def _place(at: datetime, key: str = "00000") -> int:
    """By time, and by chance among those of one millisecond."""
    return int(at.timestamp() * 1000) << 20 | int(key[:5], 16)


def _document(entry: Entry) -> Document:
    kind, _, target_id = entry.target.partition(":")
    people = {entry.actor} | ({target_id} if kind in ("user", "address") else set[str]())
    return {
        "_id": entry.id,
        **{each.name: getattr(entry, each.name) for each in fields(Entry) if each.name != "id"},
        "people": sorted(people - {""}),
        "target_id": target_id,
        "place": _place(entry.at, entry.id),
    }


def _entry(document: Document) -> Entry:
    names = [each.name for each in fields(Entry) if each.name != "id"]
    return Entry(id=document["_id"], **{name: document[name] for name in names})
