"""What admins may do to accounts. It never leaves the installation without an admin."""

from dataclasses import dataclass
from datetime import UTC, datetime

from apps.auth.models import Account, LastAdmin
from apps.auth.service import Accounts
from shared.auditlog import Entry
from shared.errors import Conflict, NotFound, Refused


class NotYourself(Refused):
    message = "You can't shut yourself out"


class AccountDeleted(Refused):
    message = "This account was deleted by its owner"


@dataclass(frozen=True)
class Admins:
    service: Accounts

    def find(self, key: str) -> Account | None:
        return self.service.accounts.aggregates.find(key)

    def open_sessions(self, account: Account) -> int:
        return len(self.service.sessions.open_of(account.id, datetime.now(UTC)))

    def set_disabled(self, user_id: str, entry: Entry, *, disabled: bool, version: int) -> Account:
        """Shut somebody out everywhere, or let them in again; `version` is what the admin saw.

        Raises NotFound, Conflict, AccountDeleted, NotYourself or LastAdmin.
        """
        account = self.find(user_id)
        if account is None:
            raise NotFound
        if account.deleted:
            raise AccountDeleted
        if account.disabled == disabled:
            if disabled:  # what a crash may have kept the last call from
                self.service.sign_out_everywhere(user_id)
            return account
        if account.version != version:
            raise Conflict
        if not disabled:
            return self.service.set_disabled(user_id, disabled=False, entry=entry)
        return self._disable(account, entry)

    def _disable(self, account: Account, entry: Entry) -> Account:
        if account.id == entry.actor:
            raise NotYourself
        if not self._others(account.id):
            raise LastAdmin
        # Before as well, so that a crash in between leaves no session that was seen here.
        self.service.sign_out_everywhere(account.id)
        disabled = self.service.set_disabled(account.id, disabled=True, entry=entry)
        if not self.service.accounts.active_admins():
            # Two admins shut each other out in one moment.
            self.service.set_disabled(account.id, disabled=False)
            raise LastAdmin
        return disabled

    def _others(self, user_id: str) -> list[Account]:
        return self.service.accounts.active_admins(but=user_id)
