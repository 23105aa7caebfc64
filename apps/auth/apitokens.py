"""Personal API tokens: for programs, with a name, with scopes, with an end, shown once."""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from shared.errors import Refused
from shared.events import Event, SessionData, SessionRevoked
from shared.mongo import Document, Store
from shared.outbox import Aggregates
from shared.relay import Relay

SCOPES = {"read": "see what you see", "sell": "put on sale and change", "buy": "reserve and pay"}
LONGEST_DAYS = 90
MOST = 20  # tokens of one person at a time
SAID_AGAIN = timedelta(hours=4)  # other services read the last twelve hours when they start


class TooManyTokens(Refused):
    message = f"You have {MOST} tokens; revoke one first"


@dataclass(frozen=True)
class ApiToken:
    """One token. Its text is kept nowhere; the digest tells whose a found one is."""

    id: str
    version: int
    user_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    digest: str = ""
    revoked_at: datetime | None = None
    said_at: datetime | None = None  # when the revocation was announced last
    slot: str | None = None  # one of those that a person has; nobody else's token is in it

    def is_open(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


def grant(user_id: str, name: str, scopes: tuple[str, ...], now: datetime, days: int) -> ApiToken:
    return ApiToken(
        secrets.token_hex(12), 0, user_id, name, scopes, now, now + timedelta(days=days)
    )


def digest(text: str) -> str:
    """Enough for a text that holds a signature: nobody can guess it."""
    return hashlib.sha256(text.encode()).hexdigest()


def revoke(token: ApiToken, now: datetime) -> tuple[ApiToken, type[Event] | None]:
    if token.revoked_at is not None:
        return token, None
    return replace(token, revoked_at=now, said_at=now, slot=None), SessionRevoked


def announce(token: ApiToken) -> tuple[ApiToken, type[Event] | None]:
    """Say a revocation again; of others nobody needs to know."""
    return token, SessionRevoked if token.revoked_at else None


def say_again(token: ApiToken, now: datetime) -> tuple[ApiToken, type[Event] | None]:
    return replace(token, said_at=now), SessionRevoked


def public(token: ApiToken) -> SessionData:
    """Only a revoked token is announced, so the time is always there."""
    if token.revoked_at is None:
        raise ValueError(f"token {token.id} is not revoked")
    return SessionData(
        id=token.id, user_id=token.user_id, revoked_at=token.revoked_at, until=token.expires_at
    )


class ApiTokens:
    def __init__(self, store: Store, relay: Relay | None = None) -> None:
        self.aggregates = Aggregates(store["tokens"], ApiToken, public, relay)
        self._indexed = False

    def ensure_indexes(self) -> None:
        self.aggregates.ensure_indexes()
        tokens = self.aggregates.collection
        tokens.create_index([("user_id", 1), ("created_at", DESCENDING)])
        tokens.create_index("said_at")
        tokens.create_index("digest")
        tokens.create_index("expires_at", expireAfterSeconds=86_400)
        tokens.create_index(
            "slot", unique=True, partialFilterExpression={"slot": {"$type": "string"}}
        )
        self._indexed = True

    def add(self, token: ApiToken, now: datetime) -> ApiToken:
        """Store a new token in a slot of its own. Raises TooManyTokens."""
        if not self._indexed:  # Without the index two tokens could share one slot.
            self.ensure_indexes()
        self._leave_slots(token.user_id, now)
        for number in range(MOST):
            try:
                return self.aggregates.insert(
                    replace(token, slot=f"{token.user_id}:{number}"), None
                )
            except DuplicateKeyError:
                continue
        raise TooManyTokens

    def _leave_slots(self, user_id: str, now: datetime) -> None:
        """What has expired makes room."""
        expired = {"user_id": user_id, "expires_at": {"$lte": now}, "slot": {"$ne": None}}
        self.aggregates.collection.update_many(
            expired, {"$set": {"slot": None}, "$inc": {"rev": 1}}
        )

    def is_open(self, token_id: str, now: datetime) -> bool:
        token = self.aggregates.find(token_id)
        return token is not None and token.is_open(now)

    def open_of(self, user_id: str, now: datetime) -> list[ApiToken]:
        """A person's tokens that still count, the newest first."""
        condition: Document = {"user_id": user_id, "expires_at": {"$gt": now}, "revoked_at": None}
        found = map(self.aggregates.load, self.aggregates.collection.find(condition))
        return sorted(found, key=lambda token: token.created_at, reverse=True)

    def revoke(self, token_id: str, now: datetime) -> None:
        self.aggregates.update(token_id, lambda token: revoke(token, now))

    def revoke_all(self, user_id: str, now: datetime) -> None:
        for token in self.open_of(user_id, now):
            self.revoke(token.id, now)

    def say_again(self, now: datetime) -> None:
        """Announce what was revoked and has not expired, before anybody can have forgotten it."""
        condition: Document = {"said_at": {"$lte": now - SAID_AGAIN}, "expires_at": {"$gt": now}}
        waiting = self.aggregates.collection.find(condition, {"_id": 1}).limit(1_000)
        for document in list(waiting):
            self.aggregates.update(document["_id"], lambda token: say_again(token, now))
