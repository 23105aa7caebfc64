"""The processes of this service: what each is made of."""

from datetime import timedelta
from typing import TYPE_CHECKING

from apps.expiration import create_app, handlers
from apps.expiration.alarms import Alarms
from apps.expiration.config import Settings
from apps.expiration.service import KINDS, Expiration
from shared.config import load
from shared.process import Process
from shared.upkeep import Upkeep
from shared.worker import Job, Worker, batch_consumer

if TYPE_CHECKING:
    from flask import Flask

GATHER = 0.25  # seconds; orders that come meanwhile have their alarms set together
REST = 4  # times as long as that took, the machine is left to others
SHUTDOWN = 4  # seconds that alarms which ring right now may take


def expiration(settings: Settings, process: Process) -> Expiration:
    alarms = Alarms(settings.redis_url, settings.secret_key)
    service = Expiration(alarms, process.bus, timedelta(seconds=settings.hold_seconds))
    alarms.when_one_rings(service.ring)
    return service


def web() -> "Flask":
    settings = load(Settings)
    process = Process("expiration", settings).start()
    service = expiration(settings, process)
    process.serve_ops({"redis": service.alarms.ping, "web": process.listens})
    return create_app(service.alarms)


def worker() -> Worker:
    settings = load(Settings)
    process = Process("expiration", settings).start()
    service = expiration(settings, process)
    process.serve_ops({"redis": service.alarms.ping})
    return Worker(
        process.bus,
        [batch_consumer("expiration", KINDS, service.on_orders, GATHER, REST)],
        [Job("refill", 2.0, service.refill)],
    )


def upkeep() -> Upkeep:
    """Alarms are all that is here: a replay sets them again, and nothing is owned to resync."""
    settings = load(Settings)
    process = Process("expiration", settings).start()
    return Upkeep(process.bus, replicas=handlers.table(expiration(settings, process)))


def alarms() -> int:
    """The Huey consumer: rings the alarms whose time has come, until SIGTERM."""
    settings = load(Settings)
    process = Process("expiration", settings).start()
    service = expiration(settings, process)
    process.serve_ops({"redis": service.alarms.ping})
    options = {"workers": 2, "periodic": False, "max_delay": 1.0, "graceful_signal": "TERM"}
    service.alarms.huey.create_consumer(**options, shutdown_timeout=SHUTDOWN).run()
    return 0
