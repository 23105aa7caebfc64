"""The processes of this service: what each is made of."""

from typing import Any

from flask import Flask

from apps.auth import create_app, models
from apps.auth.config import Settings
from apps.auth.service import Accounts
from apps.auth.store import Accounts as AccountStore
from apps.auth.store import Sessions
from apps.auth.tokens import Doorkeeper, Signer
from shared.config import load
from shared.mongo import Store as Database
from shared.outbox import Aggregates
from shared.process import Process
from shared.relay import Relay
from shared.upkeep import Announce, Upkeep
from shared.worker import Job, Worker


def accounts(settings: Settings, store: Database, relay: Relay | None) -> Accounts:
    return Accounts(
        AccountStore(store, relay),
        Sessions(store, relay),
        Signer(settings.jwt_key),
        settings.verify_email,
    )


def web() -> Flask:
    settings = load(Settings)
    process = Process("auth", settings).start()
    service = accounts(settings, process.store, process.relay)
    process.ensure_indexes(service.ensure_indexes)
    process.serve_ops({})
    return create_app(settings, service, Doorkeeper(service.signer, service.sessions.is_open))


def upkeep() -> Upkeep:
    settings = load(Settings)
    process = Process("auth", settings).start()
    service = accounts(settings, process.store, process.relay)
    announcements: list[tuple[Aggregates[Any], Announce]] = [
        (service.accounts.aggregates, models.announce),
        (service.sessions.aggregates, models.announce_revoked),
    ]
    return Upkeep(process.bus, process.relay, announcements)


def worker() -> Worker:
    settings = load(Settings)
    process = Process("auth", settings).start()
    service = accounts(settings, process.store, process.relay)
    process.ensure_indexes(service.ensure_indexes)
    process.serve_ops({})
    return Worker(process.bus, [], [Job("outbox", 1.0, lambda: process.sweep(service.aggregates))])
