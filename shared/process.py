"""What the processes of a service have in common: logs, bus, database, relay, health, identity."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from shared import logs, ops
from shared.bus import Bus
from shared.config import DatabaseSettings, Settings

if TYPE_CHECKING:
    from shared.identity import Identity
    from shared.mongo import Store
    from shared.outbox import Aggregates
    from shared.relay import Relay
    from shared.worker import Worker

log = logs.get(__name__)


@dataclass(frozen=True)
class Process:
    """The connections of one process, each made when it is first asked for."""

    name: str
    settings: Settings

    @cached_property
    def bus(self) -> Bus:
        return Bus(self.settings.nats_url, self.name, self.settings.nats_replicas).start()

    @cached_property
    def store(self) -> "Store":
        # Imported here and below, because not every process has a database; it saves their memory.
        from shared import mongo

        assert isinstance(self.settings, DatabaseSettings)  # noqa: S101 - a programming error
        return mongo.connect(self.settings, self.name)

    @cached_property
    def indexed(self) -> threading.Event:
        """Set once every index is there; keys are not unique before."""
        return threading.Event()

    @cached_property
    def relay(self) -> "Relay":
        from shared.relay import Relay

        return Relay(self.bus)

    @cached_property
    def identity(self) -> "Identity":
        """Verifies with auth's published keys and the revocations in the stream."""
        # Imported here, because a worker has no use for the web and saves its memory.
        from shared.identity import Identity, RemoteKeys
        from shared.revocations import Revocations

        path = Path(self.settings.state_dir) / f"jwks-{self.name}.json"
        keys = RemoteKeys(f"{self.settings.auth_url}/api/users/jwks.json", path)
        return Identity(keys, Revocations().follow(self.bus))

    def start(self) -> "Process":
        logs.configure(self.name, self.settings.log_level, self.settings.log_format)
        return self

    def serve_ops(self, checks: ops.Checks) -> None:
        """Answer health and metrics; the checks of a database and of NATS are always there."""
        common: ops.Checks = {"nats": lambda: ops.require(self.bus.connected, "not connected")}
        if isinstance(self.settings, DatabaseSettings):
            from shared import mongo

            common["mongo"] = lambda: mongo.ping(self.store)
            common["indexes"] = lambda: ops.require(self.indexed.is_set(), "being made")
        ops.serve(self.settings.ops_host, self.settings.ops_port, {**common, **checks})

    def ensure_indexes(self, ensure: Callable[[], None]) -> None:
        """Create what queries rely on, in the background, as soon as the database answers."""
        from pymongo.errors import PyMongoError

        def keep_trying() -> None:
            while True:
                try:
                    ensure()
                    return self.indexed.set()
                except PyMongoError as error:
                    log.warning("indexes wait", error=repr(error))
                    time.sleep(1)

        threading.Thread(target=keep_trying, name="indexes", daemon=True).start()

    def sweep(self, aggregates: "Iterable[Aggregates[Any]]") -> None:
        """Publish what crashes left in outboxes."""
        for kind in aggregates:
            self.relay.sweep(kind.collection)

    def listens(self) -> None:
        """A check: whether the web server takes connections; it begins after the app is made."""
        host = "127.0.0.1" if self.settings.host in ("", "0.0.0.0") else self.settings.host  # noqa: S104 - asked, not bound
        socket.create_connection((host, self.settings.port), timeout=1).close()

    def revocations_known(self) -> None:
        """A check: whether every revoked session that still matters has been read."""
        ops.require(self.identity.revocations.complete, "reading revoked sessions")


def run(worker: "Worker") -> None:
    """Run a worker until SIGTERM or SIGINT; the events in hand are finished first."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    worker.run(stop)
    worker.bus.close()
