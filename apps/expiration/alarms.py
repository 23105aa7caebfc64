"""Alarms in Huey, on Redis: the only module that knows them.

They may be late or lost: the orders service sweeps what is overdue. What is here makes expiry
prompt, not certain.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from huey import RedisHuey
from huey.serializer import SignedSerializer
from redis import Redis
from redis.exceptions import RedisError

from shared.errors import Unavailable

RETRIES = 20  # of an alarm that could not be heard because NATS is away
RETRY_DELAY = 2  # seconds between them
AFTERWARDS = timedelta(hours=1)  # how long a set alarm is remembered past its time


class Alarms:
    def __init__(self, redis_url: str, secret_key: str) -> None:
        self.huey: Any = RedisHuey(
            "expiration",
            url=redis_url,
            serializer=SignedSerializer(secret=secret_key),
            results=False,
        )
        self._redis: Redis = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)  # pyright: ignore[reportUnknownMemberType]
        self._task: Any = None

    def when_one_rings(self, announce: Callable[[str], None]) -> None:
        """Say what an alarm does; each process that sets or rings them says it once."""

        def ring(order_id: str) -> None:
            announce(order_id)

        decorate = self.huey.task(name="ring", retries=RETRIES, retry_delay=RETRY_DELAY)
        self._task = decorate(ring)

    def set(self, order_id: str, at: datetime) -> None:
        """Set an order's alarm, unless it is set already. Raises Unavailable without Redis."""
        with _translated():
            if self._redis.exists(_mark(order_id)):
                return
            # Scheduled first and noted second: a crash in between rings twice, which is harmless.
            self._task.schedule(args=(order_id,), eta=at, id=order_id)
            end = max(at, datetime.now(UTC)) + AFTERWARDS
            self._redis.set(_mark(order_id), "1", exat=int(end.timestamp()))

    def clear(self, order_id: str) -> None:
        """Turn an order's alarm off. Raises Unavailable without Redis."""
        with _translated():
            if self._redis.delete(_mark(order_id)):
                self.huey.revoke_by_id(order_id, revoke_once=True)

    def pending(self) -> int:
        """How many alarms wait for their time."""
        with _translated():
            return int(self.huey.scheduled_count())

    def remembers(self) -> bool:
        """Whether Redis still is the one that was filled; no after it lost everything."""
        with _translated():
            return bool(self._redis.exists(_MARKER))

    def remember(self) -> None:
        with _translated():
            self._redis.set(_MARKER, datetime.now(UTC).isoformat())

    def ping(self) -> None:
        self._redis.ping()  # pyright: ignore[reportUnknownMemberType]


_MARKER = "expiration:filled"


def _mark(order_id: str) -> str:
    return f"expiration:alarm:{order_id}"


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable(f"Redis: {error}") from error
