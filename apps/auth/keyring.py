"""What a person does with their API tokens."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from apps.auth import apitokens
from apps.auth.apitokens import ApiToken
from apps.auth.service import Accounts
from shared import logs
from shared.errors import NotFound, NotSignedIn
from shared.people import User

log = logs.get(__name__)


@dataclass(frozen=True)
class Keyring:
    service: Accounts

    def all(self, user: User) -> list[ApiToken]:
        return self.service.tokens.open_of(user.id, datetime.now(UTC))

    def grant(
        self, user: User, name: str, scopes: tuple[str, ...], days: int
    ) -> tuple[ApiToken, str]:
        """A new token, and its text, which is not kept. Raises TooManyTokens."""
        account = self.service.own(user)
        now = datetime.now(UTC)
        token = apitokens.grant(user.id, name, scopes, now, days)
        text = self.service.signer.issue_for_program(account, token)
        token = replace(token, digest=apitokens.digest(text))
        self.service.tokens.add(token, now)
        current = self.service.accounts.aggregates.find(user.id)
        if current is None or current.generation != account.generation or not current.may_sign_in:
            # The account was closed or its password reset, and that may have missed this token.
            self.service.tokens.revoke(token.id, datetime.now(UTC))
            raise NotSignedIn
        self.service.audit.note("token.made", user.id, f"token:{token.id}", " ".join(scopes))
        log.info("token granted", user=user.id, token=token.id)
        return token, text

    def revoke(self, user: User, token_id: str) -> None:
        """End a token everywhere. Raises NotFound."""
        token = self.service.tokens.aggregates.find(token_id)
        if token is None or token.user_id != user.id:
            raise NotFound
        self.service.tokens.revoke(token_id, datetime.now(UTC))
        self.service.audit.note("token.revoked", user.id, f"token:{token_id}")
        log.info("token revoked", user=user.id, token=token_id)
