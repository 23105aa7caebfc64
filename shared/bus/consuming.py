"""Durable consumers: messages in, and what their handler made of them."""

# nats-py is typed in part only; everything outside gets whole types from here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import time
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from shared import logs
from shared.bus.connection import TROUBLE, Connection
from shared.bus.messages import Ack, Consumer, Dead, Message, Nak, Outcome
from shared.bus.reading import message_of
from shared.events import STREAM

log = logs.get(__name__)

LONGEST_REST = 0.7  # seconds; what is told after it is still told within a second or so
ACK_WAIT = 30.0  # seconds until an event whose handler died is delivered again


@dataclass(frozen=True)
class Consuming:
    """One loop that hands a consumer's messages to its handler, for as long as the bus lives."""

    bus: Connection
    consumer: Consumer

    async def run(self) -> None:
        while True:
            await self.bus.until_ready()
            try:
                subscription = await self._bind()
                while True:
                    await self._pull(subscription)
            except TROUBLE as error:
                self._interrupted(repr(error))
                await asyncio.sleep(1)
            except Exception as error:
                log.error("consumer interrupted", durable=self.consumer.durable, exc_info=error)
                await asyncio.sleep(1)

    def _interrupted(self, reason: str) -> None:
        log.warning("consumer interrupted", durable=self.consumer.durable, error=reason)

    async def _bind(self) -> JetStreamContext.PullSubscription:
        """(Re)create stream and consumer where they have vanished; update a changed filter."""
        await self.bus.ensure_streams()
        durable = self.consumer.durable
        await self.bus.jetstream.add_consumer(
            STREAM,
            ConsumerConfig(
                durable_name=durable,
                filter_subjects=self.consumer.subjects,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT,
                max_deliver=-1,
                max_ack_pending=2_000,
            ),
        )
        return await self.bus.jetstream.pull_subscribe_bind(durable=durable, stream=STREAM)

    async def _pull(self, subscription: JetStreamContext.PullSubscription) -> None:
        consumer = self.consumer
        try:
            received = await self.bus.fetch(subscription, 1)
        except TimeoutError:
            # Raises when it vanished.
            await self.bus.jetstream.consumer_info(STREAM, consumer.durable)
            return
        if consumer.batch > 1:
            received += await _rest(subscription, consumer.batch - 1, consumer.linger)
        begun = time.monotonic()
        # Leaving cancels the waiting, not the work.
        await asyncio.shield(self.bus.keep_in_hand(self._work(received)))
        took = time.monotonic() - begun
        await asyncio.sleep(min(consumer.rest * took, LONGEST_REST))

    async def _work(self, received: list[Msg]) -> None:
        messages = [message_of(msg) for msg in received]
        outcomes = await self.bus.in_thread(self.consumer.handle, messages)
        for msg, message, outcome in zip(received, messages, outcomes, strict=True):
            await self._conclude(msg, message, outcome)

    async def _conclude(self, msg: Msg, message: Message, outcome: Outcome) -> None:
        match outcome:
            case Ack():
                await msg.ack()
            case Nak(delay):
                await msg.nak(delay=delay)
            case Dead(reason):
                await self._bury(message, reason)
                await msg.ack()

    async def _bury(self, message: Message, reason: str) -> None:
        durable = self.consumer.durable
        headers = {
            "Nats-Msg-Id": f"{durable}:{message.sequence}",
            "Reason": " ".join(reason.split())[:1_000],
            "Subject": message.subject,
            "Sequence": str(message.sequence),
        }
        await self.bus.jetstream.publish(f"dead.{durable}", message.payload, headers=headers)


async def _rest(
    subscription: JetStreamContext.PullSubscription, batch: int, linger: float
) -> list[Msg]:
    try:
        return await subscription.fetch(batch, timeout=linger)
    except TimeoutError:
        return []
