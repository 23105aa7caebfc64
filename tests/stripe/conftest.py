"""One emulator for all tests, reset before each; those that kill it get their own."""

import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.stripe.emulator import Emulator, Payments, Receiver, Webhook, wait_for


@pytest.fixture(scope="session")
def shared_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = self.rfile.read(int(self.headers["Content-Length"])).decode()
            receiver.received.append(Webhook(payload, self.headers["Stripe-Signature"]))
            self.send_response(receiver.status_for(payload))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/api/payments/webhook"
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture
def receiver(shared_receiver: Receiver) -> Receiver:
    shared_receiver.received.clear()
    shared_receiver.refusals.clear()
    return shared_receiver


@pytest.fixture(scope="session")
def shared_emulator(
    tmp_path_factory: pytest.TempPathFactory, shared_receiver: Receiver
) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("stripe"), shared_receiver.url)
    yield emulator
    assert emulator.end() == 0


@pytest.fixture
def emulator(shared_emulator: Emulator) -> Emulator:
    shared_emulator.control(reset="everything")
    # A request that the test before left at the gate is still on its way out.
    wait_for(lambda: shared_emulator.state()["waiting"] == 0, "the gate is empty")
    return shared_emulator


@pytest.fixture
def payments(emulator: Emulator) -> Payments:
    return Payments(emulator.client())


@pytest.fixture
def own_emulator(tmp_path: Path, receiver: Receiver) -> Iterator[Emulator]:
    """An emulator that a test may kill."""
    emulator = Emulator(tmp_path, receiver.url)
    yield emulator
    if emulator.process.poll() is None:
        emulator.end(signal.SIGKILL)
