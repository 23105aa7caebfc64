"""Taking one's data along, and leaving."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.auth import models
from apps.auth.apitokens import ApiToken
from apps.auth.mail import Mailbox
from apps.auth.models import Session
from apps.auth.service import Accounts
from shared import logs
from shared.people import ADMIN, User

log = logs.get(__name__)


@dataclass(frozen=True)
class Leaving:
    service: Accounts
    mailbox: Mailbox

    def export(self, user: User) -> dict[str, Any]:
        """Everything that is kept here of a person, but for the secrets that protect it."""
        account = self.service.own(user)
        now = datetime.now(UTC)
        return {
            "account": {
                "id": account.id,
                "email": account.email,
                "verified": account.verified,
                "role": account.role,
                "createdAt": _iso(account.created_at),
                "secondFactor": account.factor is not None,
            },
            "sessions": [_session(each) for each in self.service.open_sessions(user)],
            "tokens": [_token(each) for each in self.service.tokens.open_of(user.id, now)],
            "elsewhere": {
                "orders": "/api/orders",
                "tickets on sale": "/tickets/mine",
            },
            "exportedAt": _iso(now),
        }

    def delete(self, user: User, password: str) -> None:
        """Remove a person: what stays is an id. Raises WrongPassword or LastAdmin."""
        account = self.service.confirm_password(user, password)
        if account.role == ADMIN:
            self.service.step_down(account)
        email = account.email
        # Once before, so that a crash leaves somebody who can sign in and do it again, and once
        # after, for a session that was begun in between.
        self._clear_away(user.id, email)
        self.service.accounts.aggregates.update(user.id, models.delete)
        self._clear_away(user.id, email)
        self.service.audit.note("account.deleted", user.id)
        log.info("account deleted", user=user.id)

    def _clear_away(self, user_id: str, email: str) -> None:
        self.service.sign_out_everywhere(user_id)
        self.service.sessions.forget_devices(user_id)
        self.mailbox.forget(email)


def _session(session: Session) -> dict[str, Any]:
    return {
        "createdAt": _iso(session.created_at),
        "usedAt": _iso(session.used_at or session.created_at),
        "expiresAt": _iso(session.expires_at),
        "device": session.device,
    }


def _token(token: ApiToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "scopes": list(token.scopes),
        "createdAt": _iso(token.created_at),
        "expiresAt": _iso(token.expires_at),
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
