"""What the streams have kept, read without consuming it."""

# nats-py is typed in part only; everything outside gets whole types from here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Any

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy

from shared import logs
from shared.bus.connection import TROUBLE, Connection
from shared.bus.messages import Message

log = logs.get(__name__)


async def read(
    bus: Connection, stream: str, subjects: list[str] | None, since: datetime | int, follow: bool
) -> AsyncIterator[Message | None]:
    """As `Bus.read`."""
    start, known = since, None
    while True:
        try:
            await bus.until_ready()
            made = (await bus.jetstream.stream_info(stream)).created
            if made != known:  # a stream that was made anew counts its messages anew
                start, known = since, made
            async for message in _read_once(bus, stream, subjects, start):
                if message is not None:
                    start = message.sequence + 1
                yield message
                if message is None and not follow:
                    return
        except TROUBLE as error:
            if not follow:
                raise
            log.warning("reading interrupted", error=repr(error))
            await asyncio.sleep(0.2)


async def _read_once(
    bus: Connection, stream: str, subjects: list[str] | None, start: datetime | int
) -> AsyncIterator[Message | None]:
    info = await bus.jetstream.add_consumer(
        stream,
        ConsumerConfig(
            filter_subjects=subjects,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=60,
            mem_storage=True,
            num_replicas=1,
            **_from(start),
        ),
    )
    subscription = await bus.jetstream.pull_subscribe_bind(consumer=info.name, stream=stream)
    try:
        async for message in _pulled(bus, stream, info, subscription):
            yield message
    finally:
        with suppress(*TROUBLE):  # a connection that is gone has forgotten it already
            await subscription.unsubscribe()


async def _pulled(
    bus: Connection,
    stream: str,
    info: ConsumerInfo,
    subscription: JetStreamContext.PullSubscription,
) -> AsyncIterator[Message | None]:
    pending = info.num_pending or 0
    if not pending:
        yield None
    while True:
        try:
            received = await bus.fetch(subscription, min(pending, 200) or 1)
        except TimeoutError:
            await bus.jetstream.consumer_info(stream, info.name)  # raises when it vanished
            continue
        for msg in received:
            yield message_of(msg)
        pending = max(pending - len(received), 0)
        if not pending:
            yield None


def _from(start: datetime | int) -> dict[str, Any]:
    if isinstance(start, int):
        return {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": start}
    return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": start}


def message_of(msg: Msg) -> Message:
    place = msg.metadata
    return Message(
        msg.subject,
        msg.data,
        place.sequence.stream,
        place.num_delivered or 1,
        dict(msg.headers or {}),
    )
