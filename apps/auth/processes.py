"""The processes of this service: what each is made of."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.auth import apitokens, create_app, mail, models
from apps.auth.apitokens import ApiTokens
from apps.auth.auditing import Audit, AuditLog
from apps.auth.config import Settings
from apps.auth.mail import Deliver, Mailbox
from apps.auth.store import Accounts as AccountStore
from apps.auth.store import Sessions
from shared import logs
from shared.config import load
from shared.events import AuditRecorded
from shared.outbox import Aggregates
from shared.process import Process
from shared.relay import Relay
from shared.upkeep import Announce, Upkeep
from shared.worker import Job, Worker, consumer

if TYPE_CHECKING:
    from flask import Flask

    from apps.auth.service import Accounts

log = logs.get(__name__)


@dataclass(frozen=True)
class _Stores:
    process: Process
    settings: Settings
    relay: Relay | None

    @cached_property
    def accounts(self) -> AccountStore:
        return AccountStore(self.process.store, self.relay)

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.process.store, self.relay)

    @cached_property
    def tokens(self) -> ApiTokens:
        return ApiTokens(self.process.store, self.relay)

    @cached_property
    def audit(self) -> AuditLog:
        return AuditLog(self.process.store)

    @cached_property
    def mailbox(self) -> Mailbox:
        return Mailbox(self.process.store, self.settings.mail_from)

    def ensure_indexes(self) -> "_Stores":
        def ensure() -> None:
            for store in (self.accounts, self.sessions, self.tokens, self.audit):
                store.ensure_indexes()
            self.mailbox.ensure_indexes()

        self.process.ensure_indexes(ensure)
        return self

    @property
    def service(self) -> "Accounts":
        # Imported here, because a worker has no use for keys and hashes and saves its memory.
        from apps.auth.service import Accounts
        from apps.auth.tokens import Signer

        settings = self.settings
        signer = Signer(settings.jwt_key, settings.jwt_key_previous)
        audit = Audit(self.audit, settings.secret_key)
        stores = (self.accounts, self.sessions, self.tokens, audit)
        return Accounts(*stores, signer, settings.verify_email)

    def is_open(self, session_id: str, now: datetime) -> bool:
        return self.sessions.is_open(session_id, now) or self.tokens.is_open(session_id, now)


def _stores() -> _Stores:
    settings = load(Settings)
    process = Process("auth", settings).start()
    return _Stores(process, settings, process.relay)


def web() -> "Flask":
    from apps.auth.services import assemble
    from apps.auth.tokens import Doorkeeper, Overheard
    from shared.revocations import Revocations

    settings = load(Settings)
    process = Process("auth", settings).start()
    revocations = Revocations().follow(process.bus)
    stores = _Stores(process, settings, Overheard(process.bus, revocations)).ensure_indexes()
    services = assemble(settings, stores.service, stores.mailbox)
    process.serve_ops({"web": process.listens})

    def up_to_date() -> bool:
        return revocations.complete and process.bus.connected

    person = Doorkeeper(services.accounts.signer, stores.is_open, revocations, up_to_date)
    return create_app(settings, services, person)


def operator() -> "Accounts":
    """For commands. What they change is announced by the worker, so they need no NATS."""
    settings = load(Settings)
    return _Stores(Process("auth", settings).start(), settings, None).service


def upkeep() -> Upkeep:
    stores = _stores().ensure_indexes()
    announcements: list[tuple[Aggregates[Any], Announce]] = [
        (stores.accounts.aggregates, models.announce),
        (stores.sessions.aggregates, models.announce_revoked),
        (stores.tokens.aggregates, apitokens.announce),
    ]
    return Upkeep(stores.process.bus, stores.process.relay, announcements)


def worker() -> Worker:
    stores = _stores().ensure_indexes()
    process = stores.process
    kinds = [store.aggregates for store in (stores.accounts, stores.sessions, stores.tokens)]
    process.serve_ops({})
    jobs = [
        Job("outbox", 1.0, lambda: process.sweep(kinds)),
        Job("revoked", 60.0, lambda: stores.tokens.say_again(datetime.now(UTC))),
    ]
    if deliver := _deliver(stores.settings):
        jobs.append(Job("mail", 0.5, lambda: stores.mailbox.sweep(deliver)))
    else:
        log.warning("mails wait in the database: neither SMTP_URL nor MAIL_DIR is set")
    return Worker(process.bus, [consumer("auth", {AuditRecorded: stores.audit.keep})], jobs)


def _deliver(settings: Settings) -> Deliver | None:
    if settings.smtp_url:
        return mail.to_server(settings.smtp_url)
    return mail.to_folder(Path(settings.mail_dir)) if settings.mail_dir else None
