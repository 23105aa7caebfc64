"""Load without wrk: what is counted must be what a server answered."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from bench import client
from bench.load import request


class Echo(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.bodies: list[bytes] = []


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_every_answer_is_counted_by_its_status(server: Server):
    requests = [request("POST", "/201", {"n": 1}), request("POST", "/400", {"n": 2})]
    found = client.measure(server.server_port, requests, connections=4, seconds=0.3)
    assert found.requests == sum(found.statuses.values()) == len(server.bodies) > 0
    assert set(found.statuses) == {"201", "400"}
    assert found.errors == found.statuses["400"]
    assert 0 < found.p50 <= found.p95 <= found.p99
    assert set(server.bodies) == {b'{"n": 1}', b'{"n": 2}'}
