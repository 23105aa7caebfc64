"""What an operator can have a service do: say everything again, or rebuild its replicas."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared import logs
from shared.bus import Bus
from shared.events import Event, parse
from shared.outbox import Aggregates
from shared.relay import Relay
from shared.worker import Handlers

log = logs.get(__name__)

FLUSH = 30.0  # seconds that announcements may take; what is left is swept by the worker

Announce = Callable[[Any], tuple[Any, type[Event] | None]]


@dataclass(frozen=True)
class Upkeep:
    """`announcements` says each aggregate again; `replicas` takes an event as the newest word."""

    bus: Bus
    relay: Relay | None = None
    announcements: list[tuple[Aggregates[Any], Announce]] = field(default_factory=list[Any])
    replicas: Handlers = field(default_factory=dict[type[Event], Callable[[Any], None]])
    on_restore: Callable[[], None] | None = None

    def resync(self) -> int:
        """Announce the state of every aggregate that this service owns; returns how many."""
        count = 0
        for aggregates, announce in self.announcements:
            for key in aggregates.ids():
                before = aggregates.version(key)
                count += aggregates.update(key, announce).version != before
        if self.relay:
            self._flush(self.relay)
        return count

    def restored(self) -> int:
        """Announce everything as the new truth, after the database came back from a backup."""
        for aggregates, _ in self.announcements:
            aggregates.begin_epoch()
        if self.on_restore:
            self.on_restore()
        return self.resync()

    def _flush(self, relay: Relay) -> None:
        deadline = time.monotonic() + FLUSH
        while relay.busy and time.monotonic() < deadline:
            time.sleep(0.05)

    def replay(self) -> int:
        """Rebuild the replicas from the newest event of each aggregate; returns how many."""
        if not self.replicas:
            return 0
        newest = self.bus.run(self._newest())
        for event in newest.values():
            self.replicas[type(event)](event)
        return len(newest)

    async def _newest(self) -> dict[str, Event]:
        newest: dict[str, Event] = {}
        subjects = [kind.subject_name for kind in self.replicas]
        async for message in self.bus.read(subjects=subjects):
            if message is None:
                break
            try:
                event = parse(message.payload)
            except ValueError as error:
                log.error("unreadable event", sequence=message.sequence, error=str(error))
                continue
            known = newest.get(event.aggregate)
            if known is None or event.order > known.order:
                newest[event.aggregate] = event
        return newest
