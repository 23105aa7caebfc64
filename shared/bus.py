"""NATS JetStream: the only module that knows it. Runs on an event loop in a thread of its own."""

# nats-py is typed in part only; everything outside gets whole types from here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StorageType, StreamConfig

from shared import logs
from shared.events import STREAM, STREAM_SUBJECTS

T = TypeVar("T")
log = logs.get(__name__)

DEAD_STREAM = "DEAD"
TOLD = "live.changed"  # subject of what `tell` says; no stream keeps it
PUBLISH_TIMEOUT = 2.0  # seconds; publishes in flight while the server dies never resolve
PULL_TIMEOUT = 5.0  # seconds; a pull that a restarting server forgot is asked again after this
PATIENCE = 5.0  # seconds that a command-line program waits for a connection
ACK_WAIT = 30.0  # seconds until an event whose handler died is delivered again
DAY = 86_400

_TROUBLE = (nats.errors.Error, nats.js.errors.Error, OSError, asyncio.TimeoutError)


@dataclass(frozen=True)
class Message:
    """What was stored: the payload, its place in the stream, and its headers."""

    subject: str
    payload: bytes
    sequence: int
    deliveries: int = 1
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Ack:
    """The handler did its work, or decided that there is none to do."""


@dataclass(frozen=True)
class Nak:
    """Deliver again after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class Dead:
    """Put aside for a person, with the reason."""

    reason: str


Outcome = Ack | Nak | Dead
Handler = Callable[[list[Message]], list[Outcome]]
Listener = Callable[[str, bytes], None]
Tell = Callable[[str, str | None], None]  # as `Bus.tell`


def tell_nobody(topic: str, user_id: str | None) -> None:
    """Where nobody looks at a page yet: a rebuild, or a test without NATS."""
    del topic, user_id


@dataclass(frozen=True)
class Consumer:
    """A durable pull consumer. `handle` gets up to `batch` messages that arrive within `linger`."""

    durable: str
    subjects: list[str]
    handle: Handler
    loops: int = 4
    batch: int = 1
    linger: float = 0.0


class Bus:
    """A connection that is always being made: nothing here fails because NATS is away."""

    def __init__(self, url: str, name: str, replicas: int = 1) -> None:
        self._url, self._name, self._replicas = url, name, replicas
        self._loop = asyncio.new_event_loop()
        self._client = Client()
        self._ready, self._over = asyncio.Event(), asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[list[Msg]]] = set()
        self._handlers = ThreadPoolExecutor(16, thread_name_prefix="handler")
        self._thread = threading.Thread(target=self._serve, name="bus", daemon=True)

    # --- the connection -------------------------------------------------------------------------

    def start(self) -> "Bus":
        self._thread.start()
        self.spawn(self._connect())
        return self

    def close(self, timeout: float = 4.0) -> None:
        """Ask for nothing more, let the events in hand be finished, then leave."""
        if self._loop.is_closed():
            return
        try:
            self.run(self._leave(), timeout)
        except _TROUBLE as error:
            log.warning("left with events in hand; they come again", error=repr(error))
        self._handlers.shutdown(wait=False)
        self.call_soon(self._over.set)
        self._thread.join(timeout)

    async def _leave(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, *self._in_hand, return_exceptions=True)
        try:
            # Not `drain`: it waits for messages to be counted off, which a pull does not do.
            if self._client.is_connected:
                await self._client.flush(1)
        finally:
            await self._client.close()

    def _serve(self) -> None:
        """Run the loop until the bus is closed; what still runs on it then is cancelled."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._over.wait())

    @property
    def connected(self) -> bool:
        return self._client.is_connected and self._ready.is_set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on the bus's loop for as long as it likes."""
        future = asyncio.run_coroutine_threadsafe(self._track(work), self._loop)
        future.add_done_callback(_report)

    async def _track(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._running.add(task)
        try:
            await work
        finally:
            self._running.discard(task)

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the bus's loop, from any thread, without waiting; not once closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine on the bus's loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def wait_ready(self, timeout: float) -> None:
        """Block until the server is reached. Raises TimeoutError."""
        self.run(asyncio.wait_for(self._ready.wait(), timeout))

    async def _connect(self) -> None:
        while not self._ready.is_set():
            try:
                if not self._client.is_connected:
                    await self._client.connect(
                        self._url,
                        name=self._name,
                        max_reconnect_attempts=-1,
                        reconnect_time_wait=1,
                        connect_timeout=2,
                        error_cb=_log_error,
                        reconnected_cb=self._ask_again,
                    )
                await self.ensure_streams()
                self._ready.set()
            except _TROUBLE as error:
                log.warning("nats is away", error=repr(error))
                await asyncio.sleep(1)

    async def _ask_again(self) -> None:
        """A server that restarted has forgotten who waits for messages: ask again at once."""
        for task in list(self._asking):
            task.cancel()

    async def _fetch(
        self, subscription: JetStreamContext.PullSubscription, batch: int
    ) -> list[Msg]:
        """Messages, as soon as there is one. Raises TimeoutError when there is none for a while."""
        asking = asyncio.create_task(subscription.fetch(batch, timeout=PULL_TIMEOUT))
        self._asking.add(asking)
        try:
            return await asking
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own and own.cancelling():  # it is us who are to leave, not the question
                raise
            raise TimeoutError from None
        finally:
            self._asking.discard(asking)

    @property
    def jetstream(self) -> JetStreamContext:
        return self._client.jetstream(timeout=PUBLISH_TIMEOUT)

    async def ensure_streams(self) -> None:
        """Create the streams where they are missing: at start, and after somebody deleted them."""
        for name, subjects, age in (
            (STREAM, STREAM_SUBJECTS, 30 * DAY),
            (DEAD_STREAM, ["dead.*"], 90 * DAY),
        ):
            try:
                await self.jetstream.stream_info(name)
            except nats.js.errors.NotFoundError:
                await self.jetstream.add_stream(
                    StreamConfig(
                        name=name,
                        subjects=subjects,
                        storage=StorageType.FILE,
                        max_age=age,
                        max_bytes=10_000_000_000,
                        num_replicas=self._replicas,
                        duplicate_window=120,
                    )
                )

    # --- publishing -----------------------------------------------------------------------------

    async def publish(self, subject: str, payload: bytes, message_id: str) -> None:
        """Store one message; returns when the stream has it. Raises what `is_trouble` knows."""
        await self._ready.wait()
        await asyncio.wait_for(
            self.jetstream.publish(subject, payload, headers={"Nats-Msg-Id": message_id}),
            PUBLISH_TIMEOUT + 0.5,
        )

    def tell(self, topic: str, user_id: str | None = None) -> None:
        """Let open pages know, everybody's or one person's, that what they show has changed.

        Nobody waits for it and nothing keeps it: pages also look by themselves now and then.
        """
        if self.connected:
            payload = json.dumps({"topic": topic, "userId": user_id}).encode()
            self.spawn(self._client.publish(TOLD, payload))

    # --- listening ------------------------------------------------------------------------------

    def listen(self, subjects: list[str], hear: Listener) -> None:
        """Give `hear` each message from now on, on the bus's own thread; none are kept for it."""
        self.spawn(self._listen(subjects, hear))

    async def _listen(self, subjects: list[str], hear: Listener) -> None:
        async def heard(msg: Msg) -> None:
            hear(msg.subject, msg.data)

        await self._ready.wait()
        for subject in subjects:  # the client itself subscribes again after a reconnection
            await self._client.subscribe(subject, cb=heard)

    # --- consuming ------------------------------------------------------------------------------

    def consume(self, consumer: Consumer) -> None:
        """Hand the consumer's messages to its handler until the bus is closed."""
        for _ in range(consumer.loops):
            self.spawn(self._consume(consumer))

    async def _consume(self, consumer: Consumer) -> None:
        while True:
            await self._ready.wait()
            try:
                subscription = await self._bind(consumer)
                while True:
                    await self._pull(consumer, subscription)
            except _TROUBLE as error:
                log.warning("consumer interrupted", durable=consumer.durable, error=repr(error))
                await asyncio.sleep(1)
            except Exception as error:
                log.error("consumer interrupted", durable=consumer.durable, exc_info=error)
                await asyncio.sleep(1)

    async def _bind(self, consumer: Consumer) -> JetStreamContext.PullSubscription:
        """(Re)create stream and consumer where they have vanished; update a changed filter."""
        await self.ensure_streams()
        await self.jetstream.add_consumer(
            STREAM,
            ConsumerConfig(
                durable_name=consumer.durable,
                filter_subjects=consumer.subjects,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT,
                max_deliver=-1,
                max_ack_pending=2_000,
            ),
        )
        return await self.jetstream.pull_subscribe_bind(durable=consumer.durable, stream=STREAM)

    async def _pull(
        self, consumer: Consumer, subscription: JetStreamContext.PullSubscription
    ) -> None:
        try:
            received = await self._fetch(subscription, 1)
        except TimeoutError:
            await self.jetstream.consumer_info(STREAM, consumer.durable)  # raises when it vanished
            return
        if consumer.batch > 1:
            received += await _rest(subscription, consumer.batch - 1, consumer.linger)
        work = asyncio.create_task(self._work(consumer, received))
        self._in_hand.add(work)
        work.add_done_callback(self._in_hand.discard)
        await asyncio.shield(work)  # leaving cancels the waiting, not the work

    async def _work(self, consumer: Consumer, received: list[Msg]) -> None:
        messages = [_message(msg) for msg in received]
        outcomes = await asyncio.get_running_loop().run_in_executor(
            self._handlers, consumer.handle, messages
        )
        for msg, message, outcome in zip(received, messages, outcomes, strict=True):
            await self._conclude(consumer.durable, msg, message, outcome)

    async def _conclude(self, durable: str, msg: Msg, message: Message, outcome: Outcome) -> None:
        match outcome:
            case Ack():
                await msg.ack()
            case Nak(delay):
                await msg.nak(delay=delay)
            case Dead(reason):
                await self._bury(durable, message, reason)
                await msg.ack()

    async def _bury(self, durable: str, message: Message, reason: str) -> None:
        headers = {
            "Nats-Msg-Id": f"{durable}:{message.sequence}",
            "Reason": " ".join(reason.split())[:1_000],
            "Subject": message.subject,
            "Sequence": str(message.sequence),
        }
        await self.jetstream.publish(f"dead.{durable}", message.payload, headers=headers)

    # --- reading history ------------------------------------------------------------------------

    async def read(
        self,
        stream: str = STREAM,
        subjects: list[str] | None = None,
        since: datetime | int = 1,
        follow: bool = False,
    ) -> AsyncIterator[Message | None]:
        """Every stored message from a time or a sequence on, without consuming it.

        Yields None each time the end is reached, and stops there unless `follow`.
        """
        start = since
        while True:
            try:
                async for message in self._read_once(stream, subjects, start):
                    if message is not None:
                        start = message.sequence + 1
                    yield message
                    if message is None and not follow:
                        return
            except _TROUBLE as error:
                if not follow:
                    raise
                log.warning("reading interrupted", error=repr(error))
                await asyncio.sleep(0.2)

    async def _read_once(
        self, stream: str, subjects: list[str] | None, start: datetime | int
    ) -> AsyncIterator[Message | None]:
        await self._ready.wait()
        info = await self.jetstream.add_consumer(
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
        subscription = await self.jetstream.pull_subscribe_bind(consumer=info.name, stream=stream)
        pending = info.num_pending or 0
        if not pending:
            yield None
        while True:
            try:
                received = await self._fetch(subscription, min(pending, 200) or 1)
            except TimeoutError:
                await self.jetstream.consumer_info(stream, info.name)  # raises when it vanished
                continue
            for msg in received:
                yield _message(msg)
            pending = max(pending - len(received), 0)
            if not pending:
                yield None


def is_trouble(error: BaseException) -> bool:
    """Whether NATS, not the work, is to blame, so that trying again later helps."""
    return isinstance(error, _TROUBLE)


async def _rest(
    subscription: JetStreamContext.PullSubscription, batch: int, linger: float
) -> list[Msg]:
    try:
        return await subscription.fetch(batch, timeout=linger)
    except TimeoutError:
        return []


def _from(start: datetime | int) -> dict[str, Any]:
    if isinstance(start, int):
        return {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": start}
    return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": start}


def _message(msg: Msg) -> Message:
    place = msg.metadata
    return Message(
        msg.subject,
        msg.data,
        place.sequence.stream,
        place.num_delivered or 1,
        dict(msg.headers or {}),
    )


async def _log_error(error: Exception) -> None:
    log.warning("nats", error=repr(error))


def _report(future: "Future[None]") -> None:
    if not future.cancelled() and (error := future.exception()):
        log.error("background work ended", error=repr(error), exc_info=error)


def connect_once(url: str, name: str) -> Bus:
    """A bus for a command-line program: raises TimeoutError when NATS can't be reached."""
    bus = Bus(url, name).start()
    try:
        bus.wait_ready(PATIENCE)
    except TimeoutError:
        bus.close()
        raise
    return bus
