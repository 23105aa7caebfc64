"""The gateway: which path reaches which service, and what must never get through."""

import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from dev.stack import Stack
from dev.stack.settings import ROOT
from tests.waiting import wait_until

APPS = ("auth", "tickets", "orders")  # payments is left down on purpose


class Answer(http.server.BaseHTTPRequestHandler):
    """Says which service it stands for and what it was sent."""

    def do_GET(self):
        lines = [self.server.name, *(f"{k}: {v}" for k, v in self.headers.items())]
        self.respond("\n".join(lines) + "\n" * 2000)

    def respond(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Tests are silent."""


class Backend(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, name: str, port: int):
        self.name = name
        super().__init__(("127.0.0.1", port), Answer)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *args):
        self.shutdown()
        self.server_close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def streaming(port: int) -> Iterator[None]:
    """The live service's stand-in."""
    command = [sys.executable, "-m", "granian", "tests.stack.streaming:app", "--port", str(port)]
    command += ["--interface", "asgi", "--loop", "asyncio", "--log-level", "warning"]
    with subprocess.Popen(command, cwd=ROOT) as server:
        wait_until(lambda: listens(port), "the stand-in to listen")
        try:
            yield
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data: Path = tmp_path_factory.mktemp("gateway")
    with ExitStack() as opened:
        stack = opened.enter_context(Stack(data / "data", only=["gateway"]))
        for app in APPS:
            opened.enter_context(Backend(app, stack.ports[f"{app}-web"]))
        opened.enter_context(streaming(stack.ports["live-web"]))
        yield stack


def get(stack: Stack, path: str, **headers: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize(
    ("path", "app"),
    [
        ("/", "tickets"),
        ("/?page=2", "tickets"),
        ("/tickets", "tickets"),
        ("/tickets/abc/edit", "tickets"),
        ("/tickets/static/app.css", "tickets"),
        ("/api/tickets", "tickets"),
        ("/api/tickets/abc", "tickets"),
        ("/api/docs", "tickets"),
        ("/api/docs/openapi.json", "tickets"),
        ("/account", "auth"),
        ("/account/sign-in", "auth"),
        ("/api/users", "auth"),
        ("/api/users/signin", "auth"),
        ("/api/users/jwks.json", "auth"),
        ("/orders", "orders"),
        ("/orders/abc", "orders"),
        ("/api/orders", "orders"),
        ("/api/orders/abc", "orders"),
        ("/live?topic=sales", "live"),
    ],
)
def test_a_path_reaches_its_service(gateway: Stack, path: str, app: str):
    status, text = get(gateway, path)
    assert (status, text.splitlines()[0]) == (200, app)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/healthz",
        "/readyz",
        "/tickets/../metrics",
        "/dashboard/",
        "/api/rawdata",
        "/ping",
        "/api",
        "/api/",
        "/accounts",
        "/ticketsandmore",
        "/api/usersandmore",
        "/expiration",
        "/live/",
        "/index.html",
    ],
)
def test_everything_else_is_not_found(gateway: Stack, path: str):
    assert get(gateway, path)[0] == 404


def test_a_service_that_is_down_is_told_at_once_and_the_others_go_on(gateway: Stack):
    begun = time.monotonic()
    assert get(gateway, "/api/payments")[0] == 502
    assert get(gateway, "/payments/abc")[0] == 502
    assert time.monotonic() - begun < 2
    assert get(gateway, "/")[0] == 200


def test_what_a_sender_says_of_its_own_address_is_not_believed(gateway: Stack):
    lies = {
        "X-Forwarded-For": "6.6.6.6",
        "X_Forwarded_For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "6.6.6.6",
        "X-Forwarded-Prefix": "/6.6.6.6",
        "X-Real-Ip": "6.6.6.6",
        "Sec_Fetch_Site": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
    }
    text = get(gateway, "/", **lies)[1]
    assert "6.6.6.6" not in text
    assert "X-Forwarded-For: 127.0.0.1" in text
    assert "X-Forwarded-Proto: http\n" in text


@pytest.mark.parametrize("path", ["/tickets/%2f..%2fmetrics", "/tickets/%00", "/tickets/%5c.."])
def test_a_path_that_can_be_read_in_two_ways_is_refused(gateway: Stack, path: str):
    assert get(gateway, path)[0] == 400


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_no_service_would_take_is_refused(gateway: Stack, chunked: bool):
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    parts = [b"x" * 20_000] * 10
    body = iter(parts) if chunked else b"".join(parts)
    connection.request("POST", "/api/orders", body, encode_chunked=chunked)
    assert connection.getresponse().status == 413
    connection.close()


def test_long_answers_are_compressed(gateway: Stack):
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("GET", "/", headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert answer.getheader("Content-Encoding") == "gzip"
    assert len(answer.read()) < 1000
    connection.close()


def test_a_stream_passes_line_by_line_and_uncompressed(gateway: Stack):
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    connection.request("GET", "/live?topic=/stream", headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert answer.getheader("Content-Encoding") is None
    assert answer.getheader("Protocol") == "2"  # so that streams share connections
    assert answer.readline() == b"data: first\n"
    connection.close()
