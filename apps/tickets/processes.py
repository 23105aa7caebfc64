"""The processes of this service: what each is made of."""

from typing import TYPE_CHECKING, Any

from apps.tickets import create_app, handlers, models
from apps.tickets.config import Settings
from apps.tickets.service import Tickets
from apps.tickets.store import Tickets as Store
from shared import auditlog
from shared.config import load
from shared.outbox import Aggregates
from shared.process import Process
from shared.upkeep import Announce, Upkeep
from shared.worker import Job, Worker, batch_consumer

if TYPE_CHECKING:
    from flask import Flask

GATHER = 0.02  # seconds; what is said of a ticket meanwhile is stored once
REST = 4  # times as long as that took, the database is left to those who sell and look


def web() -> "Flask":
    settings = load(Settings)
    process = Process("tickets", settings).start()
    service = Tickets(Store(process.store, process.relay))
    process.ensure_indexes(service.store.ensure_indexes)
    process.serve_ops({"revocations": process.revocations_known, "web": process.listens})
    return create_app(settings, service, process.identity)


def upkeep() -> Upkeep:
    settings = load(Settings)
    process = Process("tickets", settings).start()
    service = Tickets(Store(process.store, process.relay))
    announcements: list[tuple[Aggregates[Any], Announce]] = [
        (service.store.aggregates, models.announce),
        (service.store.trail.aggregates, auditlog.announce),
    ]
    replicas = handlers.EventHandlers(service).replicas
    return Upkeep(process.bus, process.relay, announcements, replicas)


def worker() -> Worker:
    settings = load(Settings)
    process = Process("tickets", settings).start()
    service = Tickets(Store(process.store, process.relay))
    process.ensure_indexes(service.store.ensure_indexes)
    process.serve_ops({})
    events = handlers.EventHandlers(service, process.bus.tell)
    return Worker(
        process.bus,
        [batch_consumer("tickets", handlers.HEARD, events.on_availability, GATHER, REST)],
        [
            Job("outbox", 1.0, lambda: process.sweep(service.aggregates)),
            Job("past", 30.0, service.clear_past),
        ],
    )
