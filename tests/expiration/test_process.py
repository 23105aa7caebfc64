"""The worker and Huey's consumer as processes: from an order to its alarm, and a clean end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from dev.stack.ports import free_port
from shared.bus import Bus
from shared.events import OrderCreated
from tests.expiration.conftest import SECRET_KEY, order_event
from tests.expiration.test_service import ORDER, rung, say
from tests.shared.nats_server import NatsServer
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def processes(
    redis_url: str, redis: Redis, nats_server: NatsServer, tmp_path: Path
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    nats_server.start()
    environment = {
        **os.environ,
        "NATS_URL": nats_server.url,
        "REDIS_URL": redis_url,
        "AUTH_URL": "http://127.0.0.1:9",
        "PUBLIC_URL": "http://127.0.0.1:9",
        "SECRET_KEY": SECRET_KEY,
        "STATE_DIR": str(tmp_path),
    }
    started: list[subprocess.Popen[bytes]] = []
    with (tmp_path / "processes.log").open("wb") as log:
        for command in (["worker", "expiration"], ["alarms"]):
            own = {**environment, "OPS_PORT": str(free_port())}
            words = [sys.executable, "-m", "ticketing", *command]
            started.append(subprocess.Popen(words, cwd=ROOT, env=own, stdout=log, stderr=log))
        yield started
        for process in started:
            process.kill()
            process.wait()


def test_an_unpaid_order_is_told_when_its_time_is_up(
    processes: list["subprocess.Popen[bytes]"], bus: Bus, redis: Redis
) -> None:
    bus.wait_ready(10)
    wait_until(lambda: redis.exists("expiration:filled"), "the worker to fill Redis", 20)
    expires_at = datetime.now(UTC) + timedelta(seconds=0.7)
    say(bus, order_event(OrderCreated, "created", ORDER, expires_at))
    wait_until(lambda: rung(bus), "the alarm", 10)
    assert datetime.now(UTC) >= expires_at
    assert rung(bus) == [ORDER]

    began = time.monotonic()
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(5) for process in processes] == [0, 0]
    assert time.monotonic() - began < 5
