"""Accounts and sessions, and what may happen to them."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.errors import Refused
from shared.events import Event, SessionData, SessionRevoked, UserCreated, UserData, UserUpdated

GRACE = timedelta(minutes=5)


class EmailInUse(Refused):
    message = "Email in use"
    field = "email"


class InvalidCredentials(Refused):
    """Says nothing about which of the two is wrong."""

    message = "Invalid credentials"


class WrongPassword(Refused):
    """Somebody who is signed in was asked for their password once more."""

    message = "That is not your password"
    field = "password"


class LastAdmin(Refused):
    status = 409
    message = "Nobody else could look after this installation then; make another admin first"


class LinkSpent(Refused):
    message = "This link was used, replaced or has expired; ask for a new one"
    field = "token"


class AlreadyVerified(Refused):
    message = "Your address is confirmed already"


@dataclass(frozen=True)
class Factor:
    """A second factor: the secret of an app, the last code that was used, recovery codes."""

    secret: str
    last_step: int  # codes of this half minute and before are spent
    recovery: tuple[str, ...]  # hashes; each is good once


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
    role: str = "user"
    # Counts what links sent by mail rely on: each of them is for one generation.
    generation: int = 0
    factor: Factor | None = None

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
    device: str = ""
    used_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


Transition = Callable[[Account], tuple[Account, type[Event] | None]]

# --- accounts -------------------------------------------------------------------------------------


def register(
    email: str, password_hash: str, *, verified: bool, now: datetime
) -> tuple[Account, type[Event]]:
    """A new account."""
    account = Account(secrets.token_hex(12), 0, email, password_hash, now, verified)
    return account, UserCreated


def with_hash(account: Account, old: str, new: str) -> tuple[Account, None]:
    """The same password under newer parameters, unless it was changed meanwhile."""
    return (replace(account, password_hash=new) if account.password_hash == old else account), None


def verify(account: Account, generation: int | None = None) -> tuple[Account, type[Event] | None]:
    """The address is theirs. Without a generation an operator says so."""
    if account.verified and generation is None:
        return account, None
    _require(account, generation)
    after = replace(account, verified=True, generation=account.generation + 1)
    return after, UserUpdated


def with_password(
    account: Account, password_hash: str, generation: int | None = None
) -> tuple[Account, None]:
    """Another password; links that were sent before are dead."""
    _require(account, generation)
    generation = account.generation + 1
    return replace(account, password_hash=password_hash, generation=generation), None


def with_email(account: Account, email: str, generation: int) -> tuple[Account, type[Event]]:
    """Another address, which its owner has confirmed."""
    _require(account, generation)
    generation = account.generation + 1
    return replace(account, email=email, verified=True, generation=generation), UserUpdated


def with_role(account: Account, role: str) -> tuple[Account, type[Event] | None]:
    return (account, None) if account.role == role else (replace(account, role=role), UserUpdated)


def with_factor(account: Account, factor: Factor | None) -> tuple[Account, None]:
    return replace(account, factor=factor), None


def disable(account: Account, *, disabled: bool) -> tuple[Account, type[Event] | None]:
    """Shut somebody out, or let them in again."""
    if account.disabled == disabled or account.deleted:
        return account, None
    return replace(account, disabled=disabled), UserUpdated


def delete(account: Account) -> tuple[Account, type[Event] | None]:
    """Nothing stays but the id, which orders and tickets refer to."""
    if account.deleted:
        return account, None
    nobody = replace(account, email=f"deleted:{account.id}", password_hash="", factor=None)
    generation = account.generation + 1
    return replace(nobody, deleted=True, verified=False, generation=generation), UserUpdated


def _require(account: Account, generation: int | None) -> None:
    if account.deleted or generation not in (None, account.generation):
        raise LinkSpent


def announce(account: Account) -> tuple[Account, type[Event]]:
    """Say what an account is, for whoever lost it."""
    return account, UserUpdated


# --- sessions -------------------------------------------------------------------------------------


def begin(user_id: str, now: datetime, lifetime: timedelta, device: str = "") -> Session:
    """A new session; nobody needs to hear of it."""
    return Session(
        secrets.token_hex(12), 0, user_id, now, now + lifetime, device=device, used_at=now
    )


def renew(session: Session, now: datetime, lifetime: timedelta) -> tuple[Session, None]:
    """More time for a session that is in use; none for one that has ended."""
    if not session.is_open(now):
        return session, None
    return replace(session, expires_at=now + lifetime, used_at=now), None


def use(session: Session, now: datetime) -> tuple[Session, None]:
    return (replace(session, used_at=now) if session.is_open(now) else session), None


def revoke(session: Session, now: datetime) -> tuple[Session, type[Event] | None]:
    """End a session before its time. One that has been revoked stays as it is."""
    if session.revoked_at is not None:
        return session, None
    return replace(session, revoked_at=now), SessionRevoked


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
        email=None if account.deleted else account.email,
        role=account.role,
    )


def public_session(session: Session) -> SessionData:
    """Only a revoked session is announced, so the time is always there."""
    if session.revoked_at is None:
        raise ValueError(f"session {session.id} is not revoked")
    return SessionData(
        id=session.id,
        user_id=session.user_id,
        revoked_at=session.revoked_at,
        # A token is issued for as long as its session, or a moment longer by clocks that differ.
        until=session.expires_at + GRACE,
    )
