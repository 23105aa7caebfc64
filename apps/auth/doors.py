"""What the JSON door and the pages share: who may come in, and how often they may knock."""

import re

from flask import current_app, request

from apps.auth.inputs import Credentials, NewAccount, SecondStep
from apps.auth.limits import (
    CODE,
    PASSWORD_AGAIN,
    count_letter,
    count_sign_in,
    count_sign_up,
    forgive_sign_in,
)
from apps.auth.models import Account
from apps.auth.service import SignedIn
from apps.auth.services import Services
from shared.errors import Forbidden
from shared.identity import require_user, who
from shared.limits import Limits
from shared.people import User

# All that an API token may ask of auth. Everything else here manages the account.
OPEN_TO_PROGRAMS = {
    "api.current_user",
    "api.keys",
    "openapi.document",
    "openapi.page",
    "ui.static",
}


def services() -> Services:
    return current_app.extensions["services"]


def limits() -> Limits:
    return current_app.extensions["limits"]


def refuse_programs() -> None:
    """Who finds an API token must not be able to change the account, or to make more tokens."""
    if request.endpoint in OPEN_TO_PROGRAMS:
        return
    user = who() if "Authorization" in request.headers else None
    if user and user.scopes is not None:
        raise Forbidden("An API token can't be used to manage the account")


# --- coming in ------------------------------------------------------------------------------------


def join(wanted: NewAccount, after: str = "/") -> SignedIn:
    """Open an account; the link in its first letter leads on `after`."""
    count_sign_up(limits())
    signed_in = services().accounts.sign_up(wanted.email, wanted.password, device())
    services().letters.welcome(signed_in.account, after)
    return signed_in


def enter(shown: Credentials) -> SignedIn:
    """Sign in: a guess counts, the right password does not. Raises CodeNeeded."""
    count_sign_in(limits(), shown.email)
    account = services().accounts.check(shown.email, shown.password)
    forgive_sign_in(limits(), shown.email)
    return _with_code(account, shown.code)


def enter_second_step(shown: SecondStep) -> SignedIn:
    """Sign in with the code alone, after the password was right."""
    return _with_code(services().factors.first_step(shown.step), shown.code)


def _with_code(account: Account, code: str | None) -> SignedIn:
    if account.factor and code:
        limits().count(CODE, account.id)
    services().factors.require(account, code)
    if account.factor:
        limits().forgive(CODE, account.id)
    return services().accounts.begin(account, device())


# --- being in -------------------------------------------------------------------------------------


def owner_with_password() -> User:
    """The person whose password is about to be asked once more; guesses are counted."""
    user = require_user()
    limits().count(PASSWORD_AGAIN, user.id)
    return user


def count_mail_to(address: str) -> None:
    """Nobody's mailbox is filled from here."""
    count_letter(limits(), address)


def ask_to_verify(after: str = "/") -> None:
    user = require_user()
    count_mail_to(user.email)
    services().letters.ask_to_verify(user, after)


def ask_to_reset(email: str) -> None:
    count_mail_to(email)
    services().letters.ask_to_reset(email)


_BROWSERS = [
    *(("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome")),
    *(("Safari", "Safari"), ("curl", "curl"), ("python", "Python")),
]
_SYSTEMS = [
    *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows")),
    *(("Mac OS", "Mac"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
]


def device() -> str:
    """What somebody signs in with, as they know it; the header itself is not kept."""
    agent = request.headers.get("User-Agent", "")

    def first(names: list[tuple[str, str]]) -> str:
        found = (name for mark, name in names if re.search(mark, agent, re.IGNORECASE))
        return next(found, "")

    browser, system = first(_BROWSERS), first(_SYSTEMS)
    return " on ".join(name for name in (browser, system) if name) or "Unknown device"
