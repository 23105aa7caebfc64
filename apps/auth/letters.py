"""What is written to people, and what follows when they open the link in it."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from apps.auth import models
from apps.auth.links import Links
from apps.auth.mail import Letter, Mailbox
from apps.auth.models import Account, AlreadyVerified, EmailInUse
from apps.auth.service import Accounts
from shared import logs
from shared.people import User

log = logs.get(__name__)

VERIFICATION, RESET, NEW_EMAIL = "verify", "reset", "email"
GOOD_FOR = {
    VERIFICATION: timedelta(days=3),
    RESET: timedelta(hours=1),
    NEW_EMAIL: timedelta(hours=24),
}
LONGEST_WAY = 200  # of an address to go on to: what a stranger typed must not fill a letter
PATHS = {
    VERIFICATION: "/account/verify",
    RESET: "/account/reset",
    NEW_EMAIL: "/account/email/confirm",
}


@dataclass(frozen=True)
class Letters:
    """Every link names the account's generation, which its use raises: so it is good once."""

    service: Accounts
    links: Links
    mailbox: Mailbox
    url: str

    def welcome(self, account: Account, after: str = "/") -> None:
        """Ask a new account to confirm its address, unless nobody needs to, and go on `after`."""
        if not account.verified:
            self._send(account, VERIFICATION, account.email, _verification, after)

    def ask_to_verify(self, user: User, after: str = "/") -> None:
        """The same once more. Raises AlreadyVerified."""
        account = self.service.own(user)
        if account.verified:
            raise AlreadyVerified
        self.welcome(account, after)

    def verify(self, token: str) -> Account:
        """The address is confirmed. Raises LinkSpent."""
        key, generation, _ = self.opened(VERIFICATION, token)
        account = self.service.accounts.aggregates.update(
            key, lambda account: models.verify(account, generation)
        )
        self.service.audit.note("email.verified", key)
        log.info("address confirmed", user=key)
        return account

    def ask_to_reset(self, email: str) -> None:
        """Send a link to set a new password, if there is such an account; tell nobody whether."""
        account = self.service.accounts.by_email(email)
        if account and account.may_sign_in:
            self.service.audit.failed("password.reset-asked", f"user:{account.id}")
            self._send(account, RESET, account.email, _reset)

    def reset(self, token: str, password: str) -> Account:
        """Set a new password, and end every session. Raises LinkSpent."""
        key, generation, _ = self.opened(RESET, token)
        password_hash = self.service.passwords.hash(password)
        self.service.sign_out_everywhere(key)  # also after a crash before the next one
        account = self.service.accounts.aggregates.update(
            key, lambda account: models.with_password(account, password_hash, generation)
        )
        self.service.sign_out_everywhere(key)
        self.mailbox.post(account.email, _password_changed(self.url))
        self.service.audit.note("password.reset", key)
        log.info("password reset", user=key)
        return account

    def ask_for_email(self, user: User, email: str, password: str) -> None:
        """Write to a new address, which counts once its link was opened. Raises WrongPassword."""
        account = self.service.confirm_password(user, password)
        if self.service.accounts.by_email(email):
            raise EmailInUse
        self._send(account, NEW_EMAIL, email, _new_email)

    def change_email(self, token: str) -> Account:
        """The new address counts from now on. Raises LinkSpent, EmailInUse."""
        key, generation, email = self.opened(NEW_EMAIL, token)
        before = self.service.accounts.aggregates.find(key)
        account = self.service.accounts.change_email(key, email, generation)
        if before:
            self.mailbox.post(before.email, _email_changed(self.url))
        self.service.audit.note("email.changed", key)
        log.info("address changed", user=key)
        return account

    def opened(self, purpose: str, token: str) -> tuple[str, int, str]:
        """Whose link it is, and for which address. Raises LinkSpent also when it was used."""
        key, generation, email = self.links.read(purpose, token, GOOD_FOR[purpose])
        self.service.of_generation(key, generation)
        return key, generation, email

    def _send(
        self, account: Account, purpose: str, to: str, letter: "_Text", after: str = "/"
    ) -> None:
        asked = {"token": self.links.sign(purpose, account.id, account.generation, to)}
        if after != "/" and len(after) <= LONGEST_WAY:
            asked["next"] = after
        self.mailbox.post(to, letter(f"{self.url}{PATHS[purpose]}?{urlencode(asked)}"))


class _Text:
    """A letter with a link in it."""

    def __init__(self, subject: str, text: str) -> None:
        self._subject, self._text = subject, text

    def __call__(self, link: str) -> Letter:
        return Letter(self._subject, f"{self._text.format(link=link)}\n")


_verification = _Text(
    "Confirm your e-mail address",
    "Welcome to Ticketing.\n\nPlease confirm that this is your address:\n\n{link}\n\n"
    "The link is good for three days and for one use. If you have not opened an account,\n"
    "do nothing: somebody mistyped their address.",
)
_reset = _Text(
    "Set a new password",
    "Somebody, hopefully you, wants to set a new password for this account:\n\n{link}\n\n"
    "The link is good for one hour and for one use. If it was not you, do nothing:\n"
    "your password stays as it is.",
)
_new_email = _Text(
    "Confirm your new e-mail address",
    "This is to become the address of an account at Ticketing. Please confirm it:\n\n{link}\n\n"
    "The link is good for a day and for one use. If you know nothing of this, do nothing.",
)
_password_changed = _Text(
    "Your password was changed",
    "The password of your account was changed, and everybody was signed out.\n\n"
    "If that was not you, set a new one at once: {link}/account/forgotten",
)
_email_changed = _Text(
    "Your e-mail address was changed",
    "Your account has another e-mail address now, and this one is no longer used.\n\n"
    "If that was not you, ask the operator of {link} for help.",
)
