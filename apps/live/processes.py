"""The process of this service: what it is made of."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import FrameType

from prometheus_client import Gauge
from starlette.applications import Starlette

from apps.live import create_app
from apps.live.config import Settings
from apps.live.hub import Hub, Shares
from apps.live.topics import concerned
from shared import logs
from shared.bus import TOLD, Bus
from shared.config import load
from shared.identity import Identity
from shared.people import User
from shared.process import Process

log = logs.get(__name__)

SUBJECTS = ["ticket.*", "order.*", "payment.*", TOLD]
SESSIONS = 0.5  # seconds between two looks for sessions that have ended

_streams = Gauge("live_streams", "Pages that are open now")


def web() -> Starlette:
    settings = load(Settings)
    process = Process("live", settings).start()
    shares = Shares(settings.most_per_person, settings.most_per_address)
    hub = Hub(settings.most_streams, shares if settings.rate_limits else None)
    _streams.set_function(lambda: len(hub))
    process.serve_ops({"revocations": process.revocations_known, "web": process.listens})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        say_goodbye_at_the_end(hub)
        follow(process.bus, hub)
        watch = asyncio.create_task(end_sessions(hub, process.identity))
        yield
        watch.cancel()

    return create_app(settings, hub, process.identity, lifespan)


def follow(bus: Bus, hub: Hub) -> None:
    """Tell the hub, on this loop, what the bus says on its own."""
    loop = asyncio.get_running_loop()

    def hear(subject: str, payload: bytes) -> None:
        try:
            keys = concerned(subject, payload)
        except ValueError as error:
            log.warning("unreadable message", subject=subject, error=str(error))
            return
        loop.call_soon_threadsafe(hub.changed, keys)

    bus.listen(SUBJECTS, hear)


async def end_sessions(hub: Hub, identity: Identity) -> None:
    """End the streams of sessions that were revoked or have expired."""

    def ended(user: User) -> bool:
        return user.expires_at <= datetime.now(UTC) or identity.revocations.covers(user)

    while True:
        await asyncio.sleep(SESSIONS)
        hub.end_sessions(ended)


def say_goodbye_at_the_end(hub: Hub) -> None:
    """When the process is to end, end all streams, so that pages turn to another process.

    The server ends when the last response is written, and a stream never is by itself. The server
    listens on the loop, which hears of signals through a file, so this handler comes in addition.
    """
    loop = asyncio.get_running_loop()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        loop.call_soon_threadsafe(hub.close)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
