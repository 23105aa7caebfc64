"""What can be done with accounts and sessions. Pages and JSON both come through here."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apps.auth import models
from apps.auth.models import Account, InvalidCredentials
from apps.auth.passwords import Passwords
from apps.auth.store import Accounts as AccountStore
from apps.auth.store import Sessions
from apps.auth.tokens import Signer
from shared import logs
from shared.errors import NotSignedIn
from shared.identity import LIFETIME
from shared.people import User

log = logs.get(__name__)

RENEW_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class SignedIn:
    """An account with a session that has just begun, and the token that proves it."""

    account: Account
    token: str


@dataclass(frozen=True)
class Profile:
    """What people see of their own account."""

    account: Account
    sessions: int


@dataclass(frozen=True)
class Accounts:
    accounts: AccountStore
    sessions: Sessions
    signer: Signer
    verify_email: bool
    passwords: Passwords = field(default_factory=Passwords)

    def sign_up(self, email: str, password: str) -> SignedIn:
        """Open an account and sign in to it. Raises EmailInUse."""
        password_hash = self.passwords.hash(password)
        verified = not self.verify_email
        account, _ = models.register(email, password_hash, verified=verified, now=_now())
        self.accounts.add(account)
        log.info("signed up", user=account.id)
        return self._begin(account)

    def sign_in(self, email: str, password: str) -> SignedIn:
        """Begin a session. Raises InvalidCredentials, always after the same work."""
        account = self.accounts.by_email(email)
        known_hash = account.password_hash if account else None
        matches = self.passwords.matches(known_hash, password)
        if account is None or not matches or not account.may_sign_in:
            raise InvalidCredentials
        self._strengthen(account, password)
        return self._begin(account)

    def renewed(self, user: User) -> str | None:
        """A new token for a session that is in use, when the one shown is not fresh any more."""
        if datetime.now(UTC) - user.issued_at < RENEW_AFTER:
            return None
        account = self.accounts.aggregates.find(user.id)
        if account is None or not account.may_sign_in:
            return None
        session = self.sessions.aggregates.update(
            user.session_id, lambda session: models.renew(session, _now(), LIFETIME)
        )
        return self.signer.issue(account, session) if session.is_open(_now()) else None

    def sign_out(self, user: User) -> None:
        """End the session of this token, everywhere."""
        self._revoke(user.session_id)

    def sign_out_elsewhere(self, user: User) -> int:
        """End a person's other sessions; returns how many there were."""
        others = [key for key in self.sessions.open_of(user.id, _now()) if key != user.session_id]
        for session_id in others:
            self._revoke(session_id)
        return len(others)

    def profile(self, user: User) -> Profile:
        account = self.accounts.aggregates.find(user.id)
        if account is None:
            raise NotSignedIn
        return Profile(account, len(self.sessions.open_of(user.id, _now())))

    def _begin(self, account: Account) -> SignedIn:
        session = models.begin(account.id, _now(), LIFETIME)
        self.sessions.aggregates.insert(session, None)
        return SignedIn(account, self.signer.issue(account, session))

    def _revoke(self, session_id: str) -> None:
        self.sessions.aggregates.update(session_id, lambda session: models.revoke(session, _now()))

    def _strengthen(self, account: Account, password: str) -> None:
        """Hash the password anew where the parameters have changed since."""
        old = account.password_hash
        if self.passwords.is_outdated(old):
            new = self.passwords.hash(password)
            self.accounts.aggregates.update(
                account.id, lambda account: models.with_hash(account, old, new)
            )


def _now() -> datetime:
    return datetime.now(UTC)
