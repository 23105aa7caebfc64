"""What can be done with accounts and sessions. Pages and JSON both come through here."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apps.auth import models
from apps.auth.apitokens import ApiTokens
from apps.auth.auditing import Audit
from apps.auth.models import (
    Account,
    InvalidCredentials,
    LastAdmin,
    LinkSpent,
    Session,
    WrongPassword,
)
from apps.auth.passwords import Passwords
from apps.auth.store import Accounts as AccountStore
from apps.auth.store import Sessions
from apps.auth.tokens import Signer
from shared import logs
from shared.auditlog import Entry
from shared.errors import NotFound, NotSignedIn
from shared.people import ADMIN, User
from shared.revocations import LIFETIME

log = logs.get(__name__)

RENEW_AFTER = timedelta(hours=1)
NOTED_AFTER = timedelta(minutes=5)
MOST_SESSIONS = 100  # of one person at a time


@dataclass(frozen=True)
class SignedIn:
    """An account with a session that has just begun, and the token that proves it."""

    account: Account
    token: str


@dataclass(frozen=True)
class Accounts:
    accounts: AccountStore
    sessions: Sessions
    tokens: ApiTokens
    audit: Audit
    signer: Signer
    verify_email: bool
    passwords: Passwords = field(default_factory=Passwords)

    def sign_up(self, email: str, password: str, device: str = "") -> SignedIn:
        """Open an account and sign in to it. Raises EmailInUse."""
        password_hash = self.passwords.hash(password)
        verified = not self.verify_email
        account, _ = models.register(email, password_hash, verified=verified, now=_now())
        self.accounts.add(account)
        self.audit.note("account.created", account.id)
        log.info("signed up", user=account.id)
        return self.begin(account, device)

    def check(self, email: str, password: str) -> Account:
        """Whose address and password this is. Raises InvalidCredentials, after the same work."""
        account = self.accounts.by_email(email)
        known_hash = account.password_hash if account else None
        matches = self.passwords.matches(known_hash, password)
        if account is None or not matches or not account.may_sign_in:
            self._note_failure(email, account, matches=matches)
            raise InvalidCredentials
        return self._strengthen(account, password)

    def _note_failure(self, email: str, account: Account | None, *, matches: bool) -> None:
        """For the audit log; an address that nobody has is not kept, as it may be a password."""
        if account is None:
            target = f"address:{self.audit.unknown(email)}"
            return self.audit.failed("sign-in.failed", target, "no such account")
        reason = "account disabled" if matches else "wrong password"
        return self.audit.failed("sign-in.failed", f"user:{account.id}", reason)

    def begin(self, account: Account, device: str = "") -> SignedIn:
        """Begin a session. Raises InvalidCredentials where the account changed since `check`."""
        session = models.begin(account.id, _now(), LIFETIME, device)
        self.sessions.aggregates.insert(session, None)
        # Whoever changes a password ends the sessions that they find. This one may be too new
        # to be found, so it looks for the change itself.
        current = self.accounts.aggregates.find(account.id)
        same = current and current.password_hash == account.password_hash
        if current is None or not same or not current.may_sign_in:
            self._revoke(session.id)
            raise InvalidCredentials
        for oldest in self.sessions.open_of(account.id, _now())[MOST_SESSIONS:]:
            self._revoke(oldest.id)
        self.audit.note("session.begun", account.id)
        return SignedIn(account, self.signer.issue(current, session))

    def renewed(self, user: User) -> str | None:
        """A new token for a session in use, when the one shown is not fresh or true any more."""
        account = self.accounts.aggregates.find(user.id)
        if account is None or not account.may_sign_in:
            return None
        told = (user.email, user.verified, user.role)
        is_true = told == (account.email, account.verified, account.role)
        if is_true and _now() - user.issued_at < RENEW_AFTER:
            self._use(user.session_id)
            return None
        session = self.sessions.aggregates.update(
            user.session_id, lambda session: models.renew(session, _now(), LIFETIME)
        )
        return self.signer.issue(account, session) if session.is_open(_now()) else None

    def _use(self, session_id: str) -> None:
        """Note that a session is in use, now and then."""
        session = self.sessions.aggregates.find(session_id)
        if session and (session.used_at is None or _now() - session.used_at > NOTED_AFTER):
            self.sessions.aggregates.update(session_id, lambda found: models.use(found, _now()))

    # --- signing out

    def sign_out(self, user: User) -> None:
        """End the session of this token, everywhere."""
        self._revoke(user.session_id)

    def end_session(self, user: User, session_id: str) -> None:
        """End one of a person's own sessions. Raises NotFound."""
        session = self.sessions.aggregates.find(session_id)
        if session is None or session.user_id != user.id:
            raise NotFound
        self._revoke(session_id)

    def sign_out_elsewhere(self, user: User) -> int:
        """End a person's other sessions; returns how many there were."""
        others = [each for each in self.open_sessions(user) if each.id != user.session_id]
        for session in others:
            self._revoke(session.id)
        return len(others)

    def sign_out_everywhere(self, user_id: str) -> None:
        """End every session and every API token of a person."""
        for session in self.sessions.open_of(user_id, _now()):
            self._revoke(session.id)
        self.tokens.revoke_all(user_id, _now())

    # --- one's own account

    def own(self, user: User) -> Account:
        account = self.accounts.aggregates.find(user.id)
        if account is None or not account.may_sign_in:
            raise NotSignedIn
        return account

    def of_generation(self, key: str, generation: int) -> Account:
        """The account that a link was made for. Raises LinkSpent once it has moved on."""
        account = self.accounts.aggregates.find(key)
        if account is None or account.generation != generation or not account.may_sign_in:
            raise LinkSpent
        return account

    def open_sessions(self, user: User) -> list[Session]:
        return self.sessions.open_of(user.id, _now())

    def confirm_password(self, user: User, password: str, field: str = "password") -> Account:
        """Whether it is really them. Raises WrongPassword."""
        account = self.own(user)
        if not self.passwords.matches(account.password_hash, password):
            self.audit.failed("password.wrong", f"user:{account.id}")
            raise WrongPassword(field=field)
        return account

    def change_password(self, user: User, old: str, new: str) -> None:
        """Set another password and end the other sessions. Raises WrongPassword."""
        account = self.confirm_password(user, old, "old")
        password_hash = self.passwords.hash(new)
        self.sign_out_elsewhere(user)  # also after a crash before the next one
        self.accounts.aggregates.update(
            account.id,
            lambda found: models.with_password(found, password_hash, account.generation),
        )
        self.sign_out_elsewhere(user)
        self.audit.note("password.changed", user.id)
        log.info("password changed", user=user.id)

    # --- for operators

    def set_disabled(self, user_id: str, *, disabled: bool, entry: Entry | None = None) -> Account:
        """Shut somebody out everywhere, or let them in again. Raises NotFound.

        `entry` is what an admin's request says for the audit log; a command says nothing.
        """
        kind = "account.disabled" if disabled else "account.enabled"
        try:
            if entry:
                self.audit.log.add(entry)
            account = self.accounts.aggregates.update(
                user_id, lambda found: models.disable(found, disabled=disabled)
            )
        except KeyError:
            raise NotFound from None
        if disabled:
            self.sign_out_everywhere(user_id)
        if entry is None:
            self.audit.by_operator(kind, user_id)
        log.info(kind, user=user_id)
        return account

    def set_role(self, user_id: str, role: str) -> Account:
        """Who loses rights is signed out, because tokens tell the role.

        Raises NotFound, and LastAdmin where nobody would be left who has the rights.
        """
        before = self.accounts.aggregates.find(user_id)
        if before is None or before.deleted:
            raise NotFound
        account = self._give(user_id, role) if role == ADMIN else self.step_down(before, role)
        if role != ADMIN:  # also where a crash kept the last call from it
            for session in self.sessions.open_of(user_id, _now()):
                self._revoke(session.id)
        self.audit.by_operator("role.given", user_id, role)
        log.info("role given", user=user_id, role=role)
        return account

    def step_down(self, account: Account, role: str = "user") -> Account:
        """Take an admin's rights. Raises LastAdmin, also when the last two go in one moment."""
        is_needed = account.role == ADMIN and account.may_sign_in
        if is_needed and not self.accounts.active_admins(but=account.id):
            raise LastAdmin
        after = self._give(account.id, role)
        if is_needed and not self.accounts.active_admins():
            self._give(account.id, ADMIN)
            raise LastAdmin
        return after

    def _give(self, user_id: str, role: str) -> Account:
        return self.accounts.aggregates.update(user_id, lambda found: models.with_role(found, role))

    def drop_factor(self, user_id: str) -> Account:
        """For somebody who lost their app and their recovery codes, and has shown who they are."""
        account = self.accounts.aggregates.update(
            user_id, lambda found: models.with_factor(found, None)
        )
        self.audit.by_operator("factor.off", user_id)
        log.info("second factor off", user=user_id)
        return account

    def _revoke(self, session_id: str) -> None:
        self.sessions.aggregates.update(session_id, lambda session: models.revoke(session, _now()))

    def _strengthen(self, account: Account, password: str) -> Account:
        """Hash the password anew where the parameters have changed since."""
        old = account.password_hash
        if not self.passwords.is_outdated(old):
            return account
        new = self.passwords.hash(password)
        current = self.accounts.aggregates.update(
            account.id, lambda found: models.with_hash(found, old, new)
        )
        if current.generation != account.generation:
            raise InvalidCredentials  # changed meanwhile, so it may be another password
        return current


def _now() -> datetime:
    return datetime.now(UTC)
