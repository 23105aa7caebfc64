"""The processes of this service: what each is made of."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from apps.orders import create_app, handlers, models
from apps.orders.allotment import Allotment
from apps.orders.blocks import Blocks
from apps.orders.config import Settings
from apps.orders.people import People
from apps.orders.sales import Sales
from apps.orders.service import Orders
from apps.orders.store import Orders as Store
from apps.orders.store import Tickets, availability
from shared.config import load
from shared.mongo import Store as Database
from shared.outbox import Aggregates
from shared.process import Process
from shared.relay import Relay
from shared.story import History
from shared.upkeep import Announce, Upkeep
from shared.worker import Job, Worker, batch_consumer, consumer

COALESCE = 0.05  # seconds; what changes of one ticket meanwhile is announced once
COUNT = 0.25  # seconds; sales of a block meanwhile are counted once
TAKE_IN_REST = 2  # times as long as it took to take in new tickets, the same
REST = 8  # times as long as it took to count or announce, the database is left to those who buy


if TYPE_CHECKING:
    from flask import Flask


def orders(settings: Settings, store: Database, relay: Relay | None) -> Orders:
    tickets, blocks = Tickets(store), Blocks(store, settings.block_size)
    allotment = Allotment(tickets, blocks, availability(store, relay))
    hold = timedelta(seconds=settings.hold_seconds)
    kept = Store(store, relay)
    return Orders(
        kept,
        tickets,
        blocks,
        allotment,
        hold,
        Sales(store, kept, blocks),
        People(store),
        most_open=settings.most_open_orders if settings.rate_limits else None,
    )


def web() -> "Flask":
    settings = load(Settings)
    process = Process("orders", settings).start()
    service = orders(settings, process.store, process.relay)
    process.ensure_indexes(service.ensure_indexes)
    process.serve_ops({"revocations": process.revocations_known, "web": process.listens})
    app = create_app(settings, service, process.identity)
    app.extensions["history"] = History(process.bus)
    return app


def upkeep() -> Upkeep:
    settings = load(Settings)
    process = Process("orders", settings).start()
    service = orders(settings, process.store, process.relay)
    announcements: list[tuple[Aggregates[Any], Announce]] = [
        (service.store.aggregates, lambda order: models.announce(order, order.updated_at)),
        (service.allotment.announced, service.allotment.again),
    ]
    replicas = handlers.EventHandlers(service, process.bus.publish_all).replicas
    first = service.hold_again  # before the sweep can end what was paid since the backup
    return Upkeep(process.bus, process.relay, announcements, replicas, first)


def worker() -> Worker:
    settings = load(Settings)
    process = Process("orders", settings).start()
    service = orders(settings, process.store, process.relay)
    process.ensure_indexes(service.ensure_indexes)
    process.serve_ops({})
    events = handlers.EventHandlers(service, process.bus.publish_all, process.bus.tell)
    return Worker(
        process.bus,
        [
            consumer("orders", events.table),
            batch_consumer(
                "orders-tickets", handlers.TICKETS, events.on_tickets, COALESCE, TAKE_IN_REST
            ),
            batch_consumer(
                "orders-availability", handlers.OWN, events.on_own_orders, COALESCE, REST
            ),
            batch_consumer("orders-sales", handlers.SOLD, events.on_sold, COUNT, REST),
        ],
        [
            Job("outbox", 1.0, lambda: process.sweep(service.aggregates)),
            Job("expired", 2.0, service.sweep_expired),
            Job("unreleased", 5.0, service.sweep_unreleased),
            Job("unfinished", 5.0, service.sweep_unfinished),
            Job("unallotted", 5.0, service.sweep_unallotted),
            Job("orphans", 10.0, service.sweep_orphans),
        ],
    )
