"""The connection to NATS, on an event loop in a thread of its own."""

# nats-py is typed in part only; everything outside gets whole types from here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

import nats.errors
import nats.js.errors
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig

from shared import logs
from shared.bus.messages import Message
from shared.events import STREAM, STREAM_SUBJECTS

T = TypeVar("T")
log = logs.get(__name__)

DEAD_STREAM = "DEAD"
PUBLISH_TIMEOUT = 2.0  # seconds; publishes in flight while the server dies never resolve
PULL_TIMEOUT = 5.0  # seconds; a pull that a restarting server forgot is asked again after this
CANCEL_AGAIN = 0.1  # seconds
DAY = 86_400

TROUBLE = (nats.errors.Error, nats.js.errors.Error, OSError, asyncio.TimeoutError)


class Connection:
    """Is always being made: nothing here fails because NATS is away."""

    def __init__(self, url: str, name: str, replicas: int = 1) -> None:
        self._url, self._name, self._replicas = url, name, replicas
        # A purchase is some thirty messages: this loop takes a sixth off what all of it costs.
        self._loop = uvloop.new_event_loop()
        self._client = Client()
        self.jetstream = self._client.jetstream(timeout=PUBLISH_TIMEOUT)
        self._ready, self._over = asyncio.Event(), asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[list[Msg]]] = set()
        self._handlers = ThreadPoolExecutor(16, thread_name_prefix="handler")
        self._thread = threading.Thread(target=self._serve, name="bus", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        self.spawn(self._connect())
        return self

    def close(self, timeout: float = 4.0) -> None:
        """Ask for nothing more, let the events in hand be finished, then leave."""
        if self._loop.is_closed():
            return
        try:
            self.run(self._leave(), timeout)
        except (*TROUBLE, RuntimeError) as error:  # the loop's, where the server has hung up
            log.warning("left with events in hand; they come again", error=repr(error))
        self._handlers.shutdown(wait=False)
        self.call_soon(self._over.set)
        self._thread.join(timeout)

    async def _leave(self) -> None:
        try:
            await self._stop_running()
            await asyncio.gather(*self._in_hand, return_exceptions=True)
            # Not `drain`: it waits for messages to be counted off, which a pull does not do.
            if self._client.is_connected:
                await self._client.flush(1)
        finally:
            await self._client.close()

    async def _stop_running(self) -> None:
        """Cancel again what goes on: Python 3.11's `wait_for`, in which nats-py waits, forgets a
        cancellation that comes together with what it waits for.
        """
        while running := list(self._running):
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=CANCEL_AGAIN)

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

    async def until_ready(self) -> None:
        """Wait for the server, on the bus's loop."""
        await self._ready.wait()

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
            except TROUBLE as error:
                log.warning("nats is away", error=repr(error))
                await asyncio.sleep(1)

    # --- work in hand, which is finished before leaving -------------------------------------------

    async def in_thread(self, handle: Callable[[list[Message]], T], messages: list[Message]) -> T:
        """Run a handler where it may block."""
        return await self._loop.run_in_executor(self._handlers, handle, messages)

    def keep_in_hand(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something that leaving waits for."""
        task = asyncio.create_task(work)
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)
        return task

    # --- what the server is asked -----------------------------------------------------------------

    async def _ask_again(self) -> None:
        """A server that restarted has forgotten who waits for messages: ask again at once."""
        for task in list(self._asking):
            task.cancel()

    async def fetch(self, subscription: JetStreamContext.PullSubscription, batch: int) -> list[Msg]:
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

    async def publish(self, subject: str, payload: bytes, message_id: str) -> None:
        """Store one message; returns when the stream has it. Raises what `is_trouble` knows."""
        await self.until_ready()
        await asyncio.wait_for(
            self.jetstream.publish(subject, payload, headers={"Nats-Msg-Id": message_id}),
            PUBLISH_TIMEOUT + 0.5,
        )

    async def ensure_streams(self) -> None:
        """Create the streams where they are missing, and let older ones take new subjects.

        Called at start, and after somebody deleted them.
        """
        for name, subjects, age in (
            (STREAM, STREAM_SUBJECTS, 30 * DAY),
            (DEAD_STREAM, ["dead.*"], 90 * DAY),
        ):
            try:
                config = (await self.jetstream.stream_info(name)).config
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
            else:
                # Only ever more: a process of the last release must not take subjects away.
                if missing := set(subjects) - set(config.subjects or []):
                    config.subjects = [*(config.subjects or []), *sorted(missing)]
                    await self.jetstream.update_stream(config)


async def _log_error(error: Exception) -> None:
    log.warning("nats", error=repr(error))


def _report(future: "Future[None]") -> None:
    if not future.cancelled() and (error := future.exception()):
        log.error("background work ended", error=repr(error), exc_info=error)
