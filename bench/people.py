"""People who are signed in, many at once: stored as auth stores them, for signing up is slow."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.auth import models
from apps.auth.store import Accounts, Sessions
from apps.auth.tokens import Signer
from shared.events import UserCreated
from shared.mongo import Store
from shared.revocations import LIFETIME


@dataclass(frozen=True)
class Person:
    id: str
    token: str


def sign_in(store: Store, jwt_key: str, count: int) -> list[Person]:
    """So many new people. Auth's worker tells the others of them, as their events wait."""
    signer = Signer(jwt_key)
    now = datetime.now(UTC)
    accounts, sessions = Accounts(store).aggregates, Sessions(store).aggregates
    made = [
        models.register(f"{secrets.token_hex(8)}@example.com", "", verified=True, now=now)
        for _ in range(count)
    ]
    open_ones = [models.begin(account.id, now, LIFETIME) for account, _ in made]
    accounts.insert_many([accounts.new_document(account, UserCreated) for account, _ in made])
    sessions.insert_many([sessions.new_document(session, None) for session in open_ones])
    return [
        Person(account.id, signer.issue(account, session))
        for (account, _), session in zip(made, open_ones, strict=True)
    ]
