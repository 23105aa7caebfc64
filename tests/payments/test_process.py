"""The worker as a process: from an event to the money, and a clean end at any time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from dev.stack.ports import free_port
from shared.bus import Bus
from shared.events import Event, PaymentCompleted, parse
from tests.payments.market import AMOUNT
from tests.payments.shop import INTENTS, Shop
from tests.shared.nats_server import NatsServer
from tests.stripe.emulator import SECRET
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
CAPTURE = f"{INTENTS}/*/capture"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    server = NatsServer(tmp_path / "nats").start()
    bus = Bus(server.url, "tests").start()
    bus.wait_ready(10)
    yield bus
    bus.close()
    server.kill()


@contextmanager
def worker(
    shop: Shop, mongo: MongoClient[dict[str, Any]], bus: Bus, folder: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    host, port = mongo.address or ("", 0)
    environment = {
        **os.environ,
        "MONGO_URI": f"mongodb://{host}:{port}/?directConnection=true&retryWrites=false",
        "MONGO_DB": shop.database.name,
        "NATS_URL": bus._url,
        "STRIPE_KEY": "sk_test_x",
        "STRIPE_API_BASE": shop.emulator.url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "AUTH_URL": "http://127.0.0.1:9",
        "PUBLIC_URL": "http://127.0.0.1:9",
        "SECRET_KEY": "a secret of the tests",
        "STATE_DIR": str(folder),
        "OPS_PORT": str(free_port()),
    }
    with (folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "ticketing", "worker", "payments"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def said(bus: Bus, kind: type[Event]) -> list[Event]:
    async def read() -> list[Event]:
        found: list[Event] = []
        async for message in bus.read(subjects=[kind.subject_name]):
            if message is None:
                break
            found.append(parse(message.payload))
        return found

    return bus.run(read(), 10)


def test_a_worker_that_is_stopped_in_the_middle_of_a_capture(
    shop: Shop, mongo: MongoClient[dict[str, Any]], bus: Bus, tmp_path: Path
) -> None:
    shop.pay()
    shop.orders.hear(shop.said()[0])
    event = shop.orders.said[-1]
    bus.run(bus.publish(event.subject, event.to_json().encode(), event.id), 5)
    shop.emulator.control(fault={"kind": "slow", "seconds": 30, "path": CAPTURE, "times": 1})
    with worker(shop, mongo, bus, tmp_path) as process:
        wait_until(lambda: shop.emulator.state()["waiting"], "the capture to be asked for", 20)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(8) == 0
        assert time.monotonic() - began < 5
    assert shop.net() == 0
    shop.emulator.control(reset="behaviour")
    with worker(shop, mongo, bus, tmp_path):
        wait_until(lambda: shop.payment().status == "paid", "the next worker to capture", 20)
        (completed,) = wait_until(lambda: said(bus, PaymentCompleted), "it to be said", 10)
    assert json.loads(completed.to_json())["data"]["captured"] == AMOUNT
    assert (shop.net(), shop.authorisations()) == (AMOUNT, 1)
