"""NATS JetStream: the only package that knows it. Everything else sees a `Bus` and its messages."""

# nats-py is typed in part only; everything outside gets whole types from here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from nats.aio.msg import Msg

from shared.bus.connection import DEAD_STREAM, TROUBLE, Connection
from shared.bus.consuming import Consuming
from shared.bus.messages import (
    Ack,
    Consumer,
    Dead,
    Handler,
    Listener,
    Message,
    Nak,
    Outcome,
    Tell,
    tell_nobody,
)
from shared.bus.reading import read
from shared.events import STREAM

__all__ = [
    "DEAD_STREAM",
    "TOLD",
    "Ack",
    "Bus",
    "Consumer",
    "Dead",
    "Handler",
    "Message",
    "Nak",
    "Outcome",
    "Tell",
    "connect_once",
    "is_trouble",
    "tell_nobody",
]

TOLD = "live.changed"  # subject of what `tell` says; no stream keeps it
PATIENCE = 5.0  # seconds that a command-line program waits for a connection
HEARD = 5.0  # seconds that the stream may take to store what somebody waits for


class Bus(Connection):
    """A connection that is always being made: nothing here fails because NATS is away."""

    def tell(self, topic: str, user_id: str | None = None) -> None:
        """Let open pages know, everybody's or one person's, that what they show has changed.

        Nobody waits for it and nothing keeps it: pages also look by themselves now and then.
        """
        if self.connected:
            payload = json.dumps({"topic": topic, "userId": user_id}).encode()
            self.spawn(self._client.publish(TOLD, payload))

    def publish_all(self, events: Iterable[dict[str, Any]]) -> None:
        """Store events; returns when the stream has all of them. Raises what `is_trouble` knows."""
        self.run(self._publish_all(list(events)))

    async def _publish_all(self, events: list[dict[str, Any]]) -> None:
        # Given up where it waits, or it would still be said each time that it was tried.
        async with asyncio.timeout(HEARD):
            await asyncio.gather(*map(self.publish_event, events))

    async def publish_event(self, event: dict[str, Any]) -> None:
        """Store one; returns when the stream has it. Raises what `is_trouble` knows."""
        await self.publish(event["subject"], json.dumps(event).encode(), event["id"])

    def listen(self, subjects: list[str], hear: Listener) -> None:
        """Give `hear` each message from now on, on the bus's own thread; none are kept for it."""
        self.spawn(self._listen(subjects, hear))

    async def _listen(self, subjects: list[str], hear: Listener) -> None:
        async def heard(msg: Msg) -> None:
            hear(msg.subject, msg.data)

        await self._ready.wait()
        for subject in subjects:  # the client itself subscribes again after a reconnection
            await self._client.subscribe(subject, cb=heard)

    def consume(self, consumer: Consumer) -> None:
        """Hand the consumer's messages to its handler until the bus is closed."""
        for _ in range(consumer.loops):
            self.spawn(Consuming(self, consumer).run())

    def read(
        self,
        stream: str = STREAM,
        subjects: list[str] | None = None,
        since: datetime | int = 1,
        follow: bool = False,
    ) -> AsyncIterator[Message | None]:
        """Every stored message from a time or a sequence on, without consuming it.

        Yields None each time the end is reached, and stops there unless `follow`.
        """
        return read(self, stream, subjects, since, follow)


def is_trouble(error: BaseException) -> bool:
    """Whether NATS, not the work, is to blame, so that trying again later helps."""
    return isinstance(error, TROUBLE)


def connect_once(url: str, name: str) -> Bus:
    """A bus for a command-line program: raises TimeoutError when NATS can't be reached."""
    bus = Bus(url, name).start()
    try:
        bus.wait_ready(PATIENCE)
    except TimeoutError:
        bus.close()
        raise
    return bus
