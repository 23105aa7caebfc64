"""Alarms in Huey, on Redis: the only module that knows them.

They may be late or lost: the orders service sweeps what is overdue. What is here makes expiry
prompt, not certain.
"""

import secrets
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from huey import RedisHuey
from huey.serializer import SignedSerializer
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.errors import Unavailable

RETRIES = 20  # of an alarm that could not be heard because NATS is away
RETRY_DELAY = 2  # seconds between them
PATIENCE = 3.0  # seconds with Redis; whoever waits is asked again later, so nobody is held up long
AFTERWARDS = timedelta(hours=1)  # how long a set alarm is remembered past its time


class Alarms:
    def __init__(self, redis_url: str, secret_key: str) -> None:
        pool = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            redis_url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 1),
        )
        self.huey: Any = RedisHuey(
            "expiration",
            connection_pool=pool,
            serializer=SignedSerializer(secret=secret_key),
            results=False,
        )
        self._redis = Redis(connection_pool=pool)
        self._task: Any = None

    def when_one_rings(self, announce: Callable[[str], None]) -> None:
        """Say what an alarm does; each process that sets or rings them says it once."""

        def ring(order_id: str, _number: str = "") -> None:
            announce(order_id)

        decorate = self.huey.task(name="ring", retries=RETRIES, retry_delay=RETRY_DELAY)
        self._task = decorate(ring)

    def set(self, alarms: Mapping[str, datetime]) -> None:
        """Set orders' alarms, but none twice. Raises Unavailable without Redis."""
        with _translated():
            marked = self._for_each(alarms, lambda ask, order_id: ask.exists(_mark(order_id)))
            fresh = {key: at for key, at in alarms.items() if not marked[key]}
            for order_id, at in fresh.items():
                # To where it waits, not into the queue, from which a consumer would put it there:
                # that costs as much again. With a number of its own, as the same alarm once more
                # would be taken for the one before it, which may have been turned off.
                number = secrets.token_hex(4)
                self.huey.add_schedule(self._task.s(order_id, number, eta=at, id=order_id))
            # Noted only now: a crash before it makes them ring twice, which is harmless.
            self._for_each(fresh, lambda ask, order_id: _note(ask, order_id, fresh[order_id]))

    def clear(self, order_ids: Collection[str]) -> None:
        """Turn orders' alarms off. Raises Unavailable without Redis."""
        with _translated():
            times = self._for_each(order_ids, lambda ask, order_id: ask.getdel(_mark(order_id)))
            now = datetime.now(UTC).timestamp()
            for order_id, at in times.items():
                # Huey keeps what it is told to revoke until it comes by; what has rung never does.
                if at is not None and float(at) > now:
                    self.huey.revoke_by_id(order_id, revoke_once=True)

    def _for_each(
        self, order_ids: Collection[str], ask: Callable[[Any, str], object]
    ) -> dict[str, Any]:
        """Ask Redis about several orders at once; its answers by their ids."""
        if not order_ids:
            return {}
        redis: Any = self._redis
        pipeline = redis.pipeline(transaction=False)
        for order_id in order_ids:
            ask(pipeline, order_id)
        return dict(zip(order_ids, pipeline.execute(), strict=True))

    def pending(self) -> int:
        """How many alarms wait for their time."""
        with _translated():
            # Those whose time has come are in the queue until somebody rings them.
            return int(self.huey.scheduled_count()) + int(self.huey.pending_count())

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


def _note(pipeline: Any, order_id: str, at: datetime) -> None:
    end = max(at, datetime.now(UTC)) + AFTERWARDS
    pipeline.set(_mark(order_id), at.timestamp(), exat=int(end.timestamp()))


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable(f"Redis: {error}") from error
