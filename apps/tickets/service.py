"""What can be done with tickets. Pages, JSON and events all come through here."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from apps.tickets import models
from apps.tickets.models import Details, Stock, Ticket
from apps.tickets.store import Page, Search
from apps.tickets.store import Tickets as Store
from shared import logs
from shared.auditlog import Entry
from shared.errors import KeyReused, NotFound
from shared.mongo import Document
from shared.outbox import Aggregates
from shared.people import User

log = logs.get(__name__)

_CLEARED_AT_ONCE = 200  # past tickets in one round, so that a round stays short


def _now() -> datetime:
    """The time, in the milliseconds that MongoDB stores."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass
class Tickets:
    store: Store
    now: Callable[[], datetime] = _now

    @property
    def aggregates(self) -> list[Aggregates[Any]]:
        """Everything here that says what it does."""
        return [self.store.aggregates, self.store.trail.aggregates]

    # --- what anyone may see ----------------------------------------------------------------------

    def get(self, ticket_id: str) -> Ticket:
        ticket = self.store.aggregates.find(ticket_id)
        if ticket is None:
            raise NotFound
        return ticket

    def browse(self, search: Search, after: int | None, limit: int) -> Page:
        return self.store.on_sale(search, self.now(), after, limit)

    # --- what sellers do --------------------------------------------------------------------------

    def mine(self, user: User, after: int | None, limit: int) -> Page:
        return self.store.of_seller(user.id, after, limit)

    def get_own(self, user: User, ticket_id: str) -> Ticket:
        return models.require_seller(self.store.aggregates.find(ticket_id), user.id)

    def create(self, user: User, details: Details, key: str | None) -> Ticket:
        """Put a ticket on sale. The same key gives the same ticket again."""
        ticket, event = models.create(secrets.token_hex(12), user.id, details, self.now())
        if key:
            ticket = models.with_key(ticket, key, _digest(details))
        try:
            return self.store.aggregates.insert(ticket, event)
        except DuplicateKeyError:
            earlier = self.store.by_key(user.id, key) if key else None
            if earlier is None:
                raise
        if earlier.key_hash != ticket.key_hash:
            raise KeyReused(field="Idempotency-Key")
        return earlier

    def edit(
        self,
        user: User,
        ticket_id: str,
        change: Callable[[Details], Details],
        expected: int | None,
        key: str | None,
        key_hash: str,
    ) -> Ticket:
        """Change a ticket's details; `expected` is the version that the seller saw."""

        def transition(ticket: Ticket) -> models.Change:
            details = change(models.require_seller(ticket, user.id).details)
            if key:
                return models.edit_once(ticket, details, expected, self.now(), key, key_hash)
            return models.edit(ticket, details, expected, self.now())

        return self._change(ticket_id, transition)

    def withdraw(self, user: User, ticket_id: str) -> Ticket:
        def transition(ticket: Ticket) -> models.Change:
            return models.withdraw(models.require_seller(ticket, user.id), self.now())

        return self._change(ticket_id, transition)

    def withdraw_for_admin(self, ticket_id: str, entry: Entry) -> Ticket:
        """The same whoever sells it; noted first for the audit log, with the reason."""
        ticket = self.get(ticket_id)
        if ticket.withdrawn:
            return ticket
        self.store.trail.add(entry)
        return self._change(ticket_id, lambda found: models.withdraw(found, self.now()))

    def _change(self, ticket_id: str, transition: Callable[[Ticket], models.Change]) -> Ticket:
        try:
            return self.store.aggregates.update(ticket_id, transition)
        except KeyError:
            raise NotFound from None

    # --- what time does ---------------------------------------------------------------------------

    def clear_past(self) -> None:
        """Take what has begun out of the list. Readers do not see it in any case."""
        now = self.now()
        for ticket_id in self.store.past(now, _CLEARED_AT_ONCE):
            self._change(ticket_id, lambda ticket: models.clear_past(ticket, now))

    # --- what orders says -------------------------------------------------------------------------

    def restock_all(self, stocks: Mapping[str, Stock]) -> None:
        """Note how much is free of tickets, which are read together."""
        known = self.store.aggregates.documents(stocks)
        for ticket_id, stock in stocks.items():
            self.restock(ticket_id, stock, known=known.get(ticket_id))

    def restock(
        self,
        ticket_id: str,
        stock: Stock,
        *,
        rebuild: bool = False,
        known: Document | None = None,
    ) -> None:
        """Note how much is free. A ticket that is not here, after a restore, is no trouble."""

        def transition(ticket: Ticket) -> models.Change:
            return models.restock(ticket, stock, rebuild=rebuild)

        try:
            self.store.aggregates.update(ticket_id, transition, known)
        except KeyError:
            log.warning("availability of an unknown ticket", ticket=ticket_id)


def _digest(details: Details) -> str:
    body = json.dumps(asdict(details), sort_keys=True, default=datetime.isoformat)
    return hashlib.sha256(body.encode()).hexdigest()
