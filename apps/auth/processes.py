"""The processes of this service: what each is made of."""

from typing import TYPE_CHECKING, Any

from apps.auth import create_app, models
from apps.auth.config import Settings
from apps.auth.store import Accounts as AccountStore
from apps.auth.store import Sessions
from shared.config import load
from shared.outbox import Aggregates
from shared.process import Process
from shared.upkeep import Announce, Upkeep
from shared.worker import Job, Worker

if TYPE_CHECKING:
    from flask import Flask


def web() -> "Flask":
    # Imported here, because a worker has no use for the web and saves its memory.
    from apps.auth.service import Accounts
    from apps.auth.tokens import Doorkeeper, Signer

    settings = load(Settings)
    process = Process("auth", settings).start()
    accounts, sessions = _stores(process)
    service = Accounts(accounts, sessions, Signer(settings.jwt_key), settings.verify_email)
    process.serve_ops({"web": process.listens})
    return create_app(settings, service, Doorkeeper(service.signer, sessions.is_open))


def _stores(process: Process) -> tuple[AccountStore, Sessions]:
    accounts = AccountStore(process.store, process.relay)
    sessions = Sessions(process.store, process.relay)

    def ensure_indexes() -> None:
        accounts.ensure_indexes()
        sessions.ensure_indexes()

    process.ensure_indexes(ensure_indexes)
    return accounts, sessions


def upkeep() -> Upkeep:
    process = Process("auth", load(Settings)).start()
    accounts, sessions = _stores(process)
    announcements: list[tuple[Aggregates[Any], Announce]] = [
        (accounts.aggregates, models.announce),
        (sessions.aggregates, models.announce_revoked),
    ]
    return Upkeep(process.bus, process.relay, announcements)


def worker() -> Worker:
    process = Process("auth", load(Settings)).start()
    aggregates = [store.aggregates for store in _stores(process)]
    process.serve_ops({})
    return Worker(process.bus, [], [Job("outbox", 1.0, lambda: process.sweep(aggregates))])
