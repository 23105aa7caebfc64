"""One Valkey for all tests, emptied before each; a NATS for those that need it."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from apps.expiration.alarms import Alarms
from apps.expiration.service import Expiration
from shared.bus import Bus
from shared.events import OrderData, OrderedTicket, OrderEvent
from tests.expiration.valkey import valkey_server
from tests.shared.nats_server import NatsServer

HOLD = timedelta(minutes=15)
SECRET_KEY = "a secret of the tests"
_versions = itertools.count()


def order_event(
    kind: type[OrderEvent], status: str, order_id: str = "", expires_at: datetime | None = None
) -> OrderEvent:
    """What orders says; each is newer than the one before."""
    data = OrderData(
        id=order_id or secrets.token_hex(12),
        user_id="b0ee50000000000000000001",
        status=status,
        reason=None,
        quantity=1,
        amount=1950,
        currency="usd",
        expires_at=expires_at or datetime.now(UTC) + HOLD,
        ticket=OrderedTicket(id="71c4e7000000000000000001", title="", unit_amount=1950, version=0),
        payment=None,
        refunded=0,
    )
    return kind(data=data, version=next(_versions))


@dataclass
class Clockwork:
    """Alarms, and which of them have rung; time is what a test says it is."""

    alarms: Alarms
    redis: Redis
    rung: list[str] = field(default_factory=list[str])
    ring: Callable[[str], None] = field(init=False)

    def __post_init__(self) -> None:
        self.ring = self.rung.append
        self.alarms.when_one_rings(lambda order_id: self.ring(order_id))
        self.alarms.huey.storage.blocking = False  # an empty queue is told at once

    def rings_until(self, moment: datetime) -> list[str]:
        """What Huey's consumer would do at that moment; returns what has rung so far."""
        huey, now = self.alarms.huey, moment.astimezone(UTC).replace(tzinfo=None)
        while task := huey.dequeue():
            huey.execute(task, now)
        for task in huey.read_schedule(now):
            huey.execute(task, now)
        return self.rung


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        yield redis


def close(alarms: Alarms) -> None:
    alarms.huey.storage.pool.disconnect()


@pytest.fixture
def clockwork(redis_url: str, redis: Redis) -> Iterator[Clockwork]:
    clockwork = Clockwork(Alarms(redis_url, SECRET_KEY), redis)
    yield clockwork
    close(clockwork.alarms)


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    yield server
    server.kill()


@pytest.fixture
def bus(nats_server: NatsServer) -> Iterator[Bus]:
    """Already looking for a server, which the test may start later."""
    bus = Bus(nats_server.url, "tests").start()
    yield bus
    bus.close()


@pytest.fixture
def expiration(clockwork: Clockwork, nats_server: NatsServer, bus: Bus) -> Expiration:
    """The service on real servers; its alarms ring in the stream."""
    nats_server.start()
    bus.wait_ready(10)
    service = Expiration(clockwork.alarms, bus, HOLD)
    clockwork.ring = service.ring
    return service
