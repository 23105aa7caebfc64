"""The processes of this service: what each is made of."""

from typing import TYPE_CHECKING, Any

from apps.payments import changes, create_app, handlers
from apps.payments.config import Settings
from apps.payments.gateway import Gateway
from apps.payments.service import Payments
from apps.payments.store import Payments as Store
from shared import auditlog
from shared.config import load
from shared.outbox import Aggregates
from shared.process import Process
from shared.upkeep import Announce, Upkeep
from shared.worker import Job, Worker, batch_consumer, consumer

if TYPE_CHECKING:
    from flask import Flask


MOST_ATTEMPTS = 10  # to pay one order
TOGETHER = 0.005  # seconds; orders that are heard of meanwhile are stored by one write


def payments(settings: Settings, process: Process) -> Payments:
    gateway = Gateway(
        settings.stripe_key,
        settings.stripe_api_base,
        settings.stripe_webhook_secret,
        return_url=f"{settings.public_url}/payments/return/",
    )
    most = MOST_ATTEMPTS if settings.rate_limits else None
    return Payments(Store(process.store, process.relay), gateway, most_attempts=most)


def web() -> "Flask":
    settings = load(Settings)
    process = Process("payments", settings).start()
    service = payments(settings, process)
    process.ensure_indexes(service.store.ensure_indexes)
    process.serve_ops({"revocations": process.revocations_known, "web": process.listens})
    return create_app(settings, service, process.identity)


def upkeep() -> Upkeep:
    settings = load(Settings)
    process = Process("payments", settings).start()
    service = payments(settings, process)
    announcements: list[tuple[Aggregates[Any], Announce]] = [
        (service.store.aggregates, lambda payment: changes.resync(payment, service.now())),
        (service.store.trail.aggregates, auditlog.announce),
    ]
    return Upkeep(process.bus, process.relay, announcements, handlers.replicas(service))


def worker() -> Worker:
    settings = load(Settings)
    process = Process("payments", settings).start()
    service = payments(settings, process)
    process.ensure_indexes(service.store.ensure_indexes)
    process.serve_ops({})
    return Worker(
        process.bus,
        [
            batch_consumer("payments-new", handlers.NEW, service.hear_of_new, TOGETHER),
            consumer("payments", handlers.table(service)),
        ],
        [
            Job("outbox", 1.0, lambda: process.sweep(service.aggregates)),
            Job("reconcile", 1.0, service.reconcile),
        ],
    )
