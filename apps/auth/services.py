"""What both doors of auth can do, put together."""

from dataclasses import dataclass

from apps.auth.admins import Admins
from apps.auth.config import Settings
from apps.auth.factors import Factors
from apps.auth.keyring import Keyring
from apps.auth.leaving import Leaving
from apps.auth.letters import Letters
from apps.auth.links import Links
from apps.auth.mail import Mailbox
from apps.auth.service import Accounts


@dataclass(frozen=True)
class Services:
    accounts: Accounts
    letters: Letters
    factors: Factors
    keyring: Keyring
    leaving: Leaving
    admins: Admins


def assemble(settings: Settings, accounts: Accounts, mailbox: Mailbox) -> Services:
    links = Links(settings.jwt_key, settings.jwt_key_previous)
    return Services(
        accounts,
        Letters(accounts, links, mailbox, settings.public_url.rstrip("/")),
        Factors(accounts, links),
        Keyring(accounts),
        Leaving(accounts, mailbox),
        Admins(accounts),
    )
