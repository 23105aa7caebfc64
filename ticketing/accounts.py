"""`ticketing accounts`: what an operator does with accounts. It needs the settings of auth."""

import argparse
import secrets
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from shared.errors import Refused

if TYPE_CHECKING:
    from apps.auth.models import Account
    from apps.auth.service import Accounts

Change = Callable[["Accounts", "Account"], object]


def add_commands(commands: Any) -> None:
    accounts = commands.add_parser("accounts", help="confirm, promote or disable accounts")
    actions = accounts.add_subparsers(required=True, metavar="action")
    for name, text, change in _ACTIONS:
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("email", nargs="+")
        action.set_defaults(run=_run, change=change)
    key = actions.add_parser("new-key", help="print a new JWT_KEY and how to change over to it")
    key.set_defaults(run=_new_key)


def _verify(service: "Accounts", account: "Account") -> object:
    from apps.auth import models

    return service.accounts.aggregates.update(account.id, models.verify)


_ACTIONS: list[tuple[str, str, Change]] = [
    ("verify", "take addresses as confirmed, without a mail", _verify),
    ("grant-admin", "make somebody an admin", lambda s, who: s.set_role(who.id, "admin")),
    ("revoke-admin", "make an admin a user again", lambda s, who: s.set_role(who.id, "user")),
    ("disable", "shut somebody out", lambda s, who: s.set_disabled(who.id, disabled=True)),
    ("enable", "let them in again", lambda s, who: s.set_disabled(who.id, disabled=False)),
    ("drop-factor", "turn a lost second factor off", lambda s, who: s.drop_factor(who.id)),
]


def _run(arguments: argparse.Namespace) -> int:
    from apps.auth.processes import operator

    try:
        service = operator()
        done = [_change(service, email, arguments.change) for email in arguments.email]
    except PyMongoError as error:
        sys.exit(f"the database does not answer: {error}")
    return 0 if all(done) else 1


def _change(service: "Accounts", email: str, change: Change) -> bool:
    account = service.accounts.by_email(email.lower())
    if account is None:
        print(f"there is no account {email}", file=sys.stderr)
        return False
    try:
        change(service, account)
    except Refused as refused:
        print(f"{email}: {refused}", file=sys.stderr)
        return False
    print(f"done: {email}")
    return True


def _new_key(arguments: argparse.Namespace) -> int:
    del arguments
    print(f"JWT_KEY={secrets.token_hex(32)}")
    print(
        "1. Give auth this JWT_KEY, and the one it has now as JWT_KEY_PREVIOUS; restart it.\n"
        "   The new key signs from then on, and what the old one signed stays good.\n"
        "2. After 90 days, when the last API token of the old key has expired, take\n"
        "   JWT_KEY_PREVIOUS away. If the old key leaked, do that at once: everybody signs in\n"
        "   again, and within an hour no service knows the old key.",
        file=sys.stderr,
    )
    return 0
