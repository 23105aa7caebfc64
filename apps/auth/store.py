"""Accounts and sessions in MongoDB."""

from collections.abc import Iterable
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from apps.auth import models
from apps.auth.models import Account, EmailInUse, Session
from shared.events import UserCreated
from shared.mongo import Document, Store
from shared.outbox import Aggregates
from shared.people import ADMIN
from shared.relay import Relay

KEPT = 86_400  # seconds for which an expired session is kept


class Accounts:
    def __init__(self, store: Store, relay: Relay | None = None) -> None:
        self.aggregates = Aggregates(store["accounts"], Account, models.public_account, relay)
        self._indexed = False

    def ensure_indexes(self) -> None:
        self.aggregates.ensure_indexes()
        self.aggregates.collection.create_index("email", unique=True)
        self.aggregates.collection.create_index("role")
        self._indexed = True

    def add(self, account: Account) -> Account:
        """Store a new account. Raises EmailInUse."""
        if not self._indexed:  # Without the index two people could share one address.
            self.ensure_indexes()
        try:
            return self.aggregates.insert(account, UserCreated)
        except DuplicateKeyError:
            raise EmailInUse from None

    def change_email(self, key: str, email: str, generation: int) -> Account:
        """Raises EmailInUse where another account has it, LinkSpent after another change."""
        try:
            return self.aggregates.update(
                key, lambda account: models.with_email(account, email, generation)
            )
        except DuplicateKeyError:
            raise EmailInUse from None

    def active_admins(self, but: str = "") -> list[Account]:
        """Those who have the role and can sign in, `but` for one."""
        admins = map(self.aggregates.load, self.aggregates.collection.find({"role": ADMIN}))
        return [account for account in admins if account.may_sign_in and account.id != but]

    def emails(self, ids: Iterable[str]) -> dict[str, str]:
        """The addresses of these people, as far as they have one."""
        condition: Document = {"_id": {"$in": list(set(ids))}, "deleted": False}
        found = self.aggregates.collection.find(condition, {"email": 1})
        return {document["_id"]: document["email"] for document in found}

    def by_email(self, email: str) -> Account | None:
        return self.aggregates.find_by({"email": email})


class Sessions:
    def __init__(self, store: Store, relay: Relay | None = None) -> None:
        self.aggregates = Aggregates(store["sessions"], Session, models.public_session, relay)

    def ensure_indexes(self) -> None:
        self.aggregates.ensure_indexes()
        sessions = self.aggregates.collection
        sessions.create_index([("user_id", 1), ("expires_at", 1)])
        sessions.create_index("expires_at", expireAfterSeconds=KEPT)

    def is_open(self, session_id: str, now: datetime) -> bool:
        session = self.aggregates.find(session_id)
        return session is not None and session.is_open(now)

    def open_of(self, user_id: str, now: datetime) -> list[Session]:
        """A person's sessions that still count, the one used last first."""
        condition: Document = {"user_id": user_id, "expires_at": {"$gt": now}, "revoked_at": None}
        found = map(self.aggregates.load, self.aggregates.collection.find(condition))
        return sorted(found, key=lambda each: each.used_at or each.created_at, reverse=True)

    def forget_devices(self, user_id: str) -> None:
        """What a deleted account leaves until its sessions expire says nothing of a person."""
        self.aggregates.collection.update_many(
            {"user_id": user_id}, {"$set": {"device": ""}, "$inc": {"rev": 1}}
        )
