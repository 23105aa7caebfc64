"""The real process with a real NATS: what is said there reaches the right pages in a moment."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from dev.stack.ports import free_port
from shared.bus import Bus
from shared.events import (
    Event,
    OrderCreated,
    OrderData,
    OrderedTicket,
    SessionData,
    SessionRevoked,
    TicketData,
    TicketUpdated,
)
from tests.identity import public_key, sign
from tests.live.page import Page
from tests.shared.nats_server import NatsServer
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
TICKET, ORDER = "71cce7000000000000000001", "0d0e00000000000000000001"
BUYER, SELLER, OTHER = (
    "b07e50000000000000000001",
    "5e11e7000000000000000001",
    "07e400000000000000000001",
)
BARRIER = "ticket:ffffffffffffffffffffffff"  # told last: what did not come before it does not come


@dataclass
class Live:
    port: int
    ops_port: int
    process: "subprocess.Popen[bytes]"
    pages: list[Page] = field(default_factory=list[Page])

    def page(self, *topics: str, token: str = "") -> Page:
        page = self.try_page(*topics, token=token)
        assert page.status == 200
        return page

    def try_page(self, *topics: str, token: str = "") -> Page:
        self.pages.append(Page(self.port, *topics, BARRIER, token=token))
        return self.pages[-1]

    def close_pages(self) -> None:
        while self.pages:
            self.pages.pop().close()

    @property
    def is_ready(self) -> bool:
        assert self.process.poll() is None, "the process ended while it was starting"
        connection = HTTPConnection("127.0.0.1", self.ops_port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            with connection.getresponse() as answer:
                return answer.status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        url = f"http://127.0.0.1:{self.ops_port}/metrics"
        with urllib.request.urlopen(url, timeout=2) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


class Keys(http.server.BaseHTTPRequestHandler):
    """Auth, as far as it is needed here."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": [public_key()]}).encode())

    def log_message(self, *_: object) -> None:
        """Tests are silent."""


@pytest.fixture(scope="module")
def auth() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("live") / "nats").start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def start(
    auth: str, nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Live]]:
    started: list[subprocess.Popen[bytes]] = []
    folder = tmp_path_factory.mktemp("state")

    def begin(**settings: str) -> Live:
        port, ops_port = free_port(), free_port()
        environment = {
            **os.environ,
            "NATS_URL": nats_server.url,
            "AUTH_URL": auth,
            "PUBLIC_URL": "http://tickets.test",
            "SECRET_KEY": "0123456789abcdef",
            "STATE_DIR": str(folder),
            "PORT": str(port),
            "OPS_PORT": str(ops_port),
            **settings,
        }
        words = [sys.executable, "-m", "ticketing", "web", "live"]
        with (folder / "live.log").open("ab") as log:
            process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log)
        started.append(process)
        live = Live(port, ops_port, process)
        wait_until(lambda: live.is_ready, "the process to be ready", 30)
        return live

    yield begin
    for process in started:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def process(start: Callable[..., Live]) -> Live:
    return start()


@pytest.fixture
def live(process: Live) -> Iterator[Live]:
    yield process
    process.close_pages()


@pytest.fixture
def bus(nats_server: NatsServer) -> Iterator[Bus]:
    bus = Bus(nats_server.url, "tests").start()
    bus.wait_ready(10)
    yield bus
    bus.close()


def say(bus: Bus, event: Event) -> None:
    bus.run(bus.publish(event.subject, event.to_json().encode(), event.id), 10)


def sold(order_id: str = ORDER, buyer: str = BUYER, seller: str = SELLER) -> Event:
    ticket = OrderedTicket(id=TICKET, title="A", unit_amount=1, version=0, seller_id=seller)
    return OrderCreated(
        data=OrderData(
            id=order_id,
            user_id=buyer,
            status="created",
            reason=None,
            quantity=1,
            amount=1,
            currency="usd",
            expires_at=datetime.now(UTC) + timedelta(minutes=15),
            ticket=ticket,
            payment=None,
            refunded=0,
        )
    )


def edited() -> Event:
    data = TicketData(
        id=TICKET,
        user_id=SELLER,
        title="A",
        unit_amount=1,
        currency="usd",
        quantity=1,
        withdrawn=False,
    )
    return TicketUpdated(data=data)


def test_everybody_hears_of_a_ticket_within_a_second(live: Live, bus: Bus) -> None:
    pages = [live.page(f"ticket:{TICKET}") for _ in range(3)]
    say(bus, edited())
    for page in pages:
        page.hears(f"ticket:{TICKET}", 1.0)


def test_what_a_service_tells_reaches_pages_too(live: Live, bus: Bus) -> None:
    page, sellers = live.page(f"ticket:{TICKET}"), live.page("sales", token=sign(SELLER))
    bus.tell(f"ticket:{TICKET}")
    page.hears(f"ticket:{TICKET}", 1.0)
    bus.tell("sales", SELLER)
    sellers.hears("sales", 1.0)


def test_nobody_learns_of_another_persons_order(live: Live, bus: Bus) -> None:
    mine = [f"order:{ORDER}", "orders", "sales"]
    buyer = live.page(*mine, token=sign(BUYER))
    seller = live.page(*mine, token=sign(SELLER))
    other = live.page(*mine, token=sign(OTHER))
    visitor = live.page(f"ticket:{TICKET}")
    say(bus, sold())
    buyer.hears(f"order:{ORDER}", 1.0)
    buyer.hears("orders", 1.0)
    seller.hears("sales", 1.0)
    bus.tell(BARRIER)
    for page in (buyer, seller, other, visitor):
        page.hears(BARRIER, 2.0)
    assert sorted(buyer.told) == sorted([f"order:{ORDER}", "orders", BARRIER])
    assert seller.told == ["sales", BARRIER]
    assert other.told == [BARRIER]
    assert visitor.told == [BARRIER]


def test_without_signing_in_there_are_tickets_only(live: Live) -> None:
    assert live.try_page(f"order:{ORDER}").status == 401
    late = sign(BUYER, lifetime=timedelta(seconds=-1))
    assert live.try_page("orders", token=late).status == 401


def test_the_streams_of_a_revoked_session_end_within_a_second(live: Live, bus: Bus) -> None:
    revoked, kept = sign(BUYER, session_id="revoked"), sign(BUYER)
    ending, going_on = live.page("orders", token=revoked), live.page("orders", token=kept)
    said = SessionData(id="revoked", user_id=BUYER, revoked_at=datetime.now(UTC))
    say(bus, SessionRevoked(data=said))
    assert ending.ended.wait(1.0)
    assert ending.complete
    assert live.try_page("orders", token=revoked).status == 401
    say(bus, sold())
    going_on.hears("orders", 1.0)


def test_a_session_that_runs_out_takes_its_stream_with_it(live: Live) -> None:
    page = live.page("orders", token=sign(BUYER, lifetime=timedelta(seconds=1)))
    assert page.ended.wait(3.0)


def test_messages_that_nobody_can_read_stop_nothing(live: Live, bus: Bus) -> None:
    page = live.page(f"ticket:{TICKET}")
    bus.run(bus.publish("order.created", b"{", "unreadable"), 10)
    say(bus, edited())
    page.hears(f"ticket:{TICKET}", 1.0)


def test_open_pages_are_counted_and_pages_that_left_are_not(live: Live) -> None:
    for _ in range(5):
        live.page(f"ticket:{TICKET}")
    wait_until(lambda: live.metric("live_streams") >= 5, "five pages")
    live.close_pages()
    wait_until(lambda: live.metric("live_streams") == 0, "no page", 5)


def test_pages_hear_again_after_nats_was_away(
    live: Live, bus: Bus, nats_server: NatsServer
) -> None:
    page = live.page(f"ticket:{TICKET}")
    nats_server.restart()
    wait_until(lambda: live.is_ready, "live to be connected again")
    wait_until(lambda: bus.connected, "the bus to be connected again")
    say(bus, edited())
    page.hears(f"ticket:{TICKET}", 5.0)


def test_at_the_end_streams_are_closed_and_the_process_leaves_at_once(
    start: Callable[..., Live],
) -> None:
    live = start(MOST_STREAMS="10")
    pages = [live.page(f"ticket:{TICKET}") for _ in range(10)]
    assert live.try_page(f"ticket:{TICKET}").status == 503
    begun = time.monotonic()
    live.process.send_signal(signal.SIGTERM)
    assert live.process.wait(5) == 0
    assert time.monotonic() - begun < 2
    for page in pages:
        assert page.ended.wait(1)
        assert page.complete
    live.close_pages()
