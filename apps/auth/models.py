"""Accounts and sessions, and what may happen to them."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.errors import Refused
from shared.events import Event, SessionData, SessionRevoked, UserCreated, UserData, UserUpdated


class EmailInUse(Refused):
    message = "Email in use"
    field = "email"


class InvalidCredentials(Refused):
    """Says nothing about which of the two is wrong."""

    message = "Invalid credentials"


@dataclass(frozen=True)
class Account:
    """Somebody who buys or sells. `email` is lower case and unique."""

    id: str
    version: int
    email: str
    password_hash: str
    created_at: datetime
    verified: bool
    disabled: bool = False
    deleted: bool = False

    @property
    def may_sign_in(self) -> bool:
        return not (self.disabled or self.deleted)


@dataclass(frozen=True)
class Session:
    """One sign-in, on one device, until it expires or is revoked."""

    id: str
    version: int
    user_id: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


# --- transitions ----------------------------------------------------------------------------------


def register(
    email: str, password_hash: str, *, verified: bool, now: datetime
) -> tuple[Account, type[Event]]:
    """A new account."""
    account = Account(secrets.token_hex(12), 0, email, password_hash, now, verified)
    return account, UserCreated


def with_hash(account: Account, old: str, new: str) -> tuple[Account, None]:
    """The same password under newer parameters, unless it was changed meanwhile."""
    return (replace(account, password_hash=new) if account.password_hash == old else account), None


def begin(user_id: str, now: datetime, lifetime: timedelta) -> Session:
    """A new session; nobody needs to hear of it."""
    return Session(secrets.token_hex(12), 0, user_id, now, now + lifetime)


def renew(session: Session, now: datetime, lifetime: timedelta) -> tuple[Session, None]:
    """More time for a session that is in use; none for one that has ended."""
    if not session.is_open(now):
        return session, None
    return replace(session, expires_at=now + lifetime), None


def revoke(session: Session, now: datetime) -> tuple[Session, type[Event] | None]:
    """End a session before its time. One that has been revoked stays as it is."""
    if session.revoked_at is not None:
        return session, None
    return replace(session, revoked_at=now), SessionRevoked


def announce(account: Account) -> tuple[Account, type[Event]]:
    """Say what an account is, for whoever lost it."""
    return account, UserUpdated


def announce_revoked(session: Session) -> tuple[Session, type[Event] | None]:
    """Say again that a session was ended; of others nobody needs to know."""
    return session, SessionRevoked if session.revoked_at else None


# --- what events say ------------------------------------------------------------------------------


def public_account(account: Account) -> UserData:
    return UserData(
        id=account.id,
        verified=account.verified,
        disabled=account.disabled,
        deleted=account.deleted,
    )


def public_session(session: Session) -> SessionData:
    """Only a revoked session is announced, so the time is always there."""
    if session.revoked_at is None:
        raise ValueError(f"session {session.id} is not revoked")
    return SessionData(id=session.id, user_id=session.user_id, revoked_at=session.revoked_at)
