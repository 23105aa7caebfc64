"""An aggregate to test with; its events are auth's, which are the smallest ones."""

import secrets
from dataclasses import dataclass, replace

from shared.events import Event, UserCreated, UserData, UserUpdated

Change = tuple["Account", type[Event] | None]


@dataclass(frozen=True)
class Account:
    id: str
    version: int = 0
    email: str = ""
    verified: bool = False
    visits: int = 0
    tags: tuple[str, ...] = ()


def public(account: Account) -> UserData:
    return UserData(id=account.id, verified=account.verified, disabled=False, deleted=False)


def new(email: str = "") -> Account:
    return Account(secrets.token_hex(12), email=email)


def verify(account: Account) -> Change:
    return replace(account, verified=True), UserUpdated


def visit(account: Account) -> Change:
    """A change that nobody else needs to hear of."""
    return replace(account, visits=account.visits + 1), None


def visit_aloud(account: Account) -> Change:
    return replace(account, visits=account.visits + 1), UserUpdated


def created(user_id: str, version: int = 0, epoch: int = 0) -> UserCreated:
    data = UserData(id=user_id, verified=False, disabled=False, deleted=False)
    return UserCreated(data=data, version=version, epoch=epoch)
