"""Health, readiness and metrics of a process, on a port of their own."""

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dev.stack.ports import free_port
from shared import ops
from shared.config import DatabaseSettings, Settings
from shared.process import Process
from tests.shared.nats_server import NatsServer
from tests.waiting import wait_until


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def ready(port: int) -> tuple[int, Any]:
    status, text = get(port, "/readyz")
    return status, json.loads(text)


def test_every_check_is_named_and_one_that_fails_says_why():
    def away() -> None:
        raise ConnectionRefusedError("nobody there")

    port = free_port()
    ops.serve("127.0.0.1", port, {"mine": lambda: None, "other": away})
    status, answer = ready(port)
    assert status == 503
    assert answer == {
        "status": "not ready",
        "checks": {"mine": "ok", "other": "ConnectionRefusedError: nobody there"},
    }


def test_alive_means_that_the_process_answers_whatever_else_is_away():
    port = free_port()
    ops.serve("127.0.0.1", port, {"other": lambda: ops.require(condition=False, reason="away")})
    assert get(port, "/healthz") == (200, '{"status": "ok"}')
    assert ready(port)[1]["checks"] == {"other": "NotReady: away"}


def test_metrics_are_there_for_prometheus_and_nothing_else_is():
    port = free_port()
    ops.serve("127.0.0.1", port, {})
    status, text = get(port, "/metrics")
    assert status == 200
    assert "# TYPE events_handled_total counter" in text
    assert get(port, "/")[0] == 404
    assert get(port, "/api/users")[0] == 404


@pytest.fixture
def process(nats_server: NatsServer, mongo_uri: str, tmp_path: Path) -> Any:
    settings = DatabaseSettings(
        nats_url=nats_server.url,
        mongo_uri=mongo_uri,
        auth_url="http://unused",
        public_url="http://localhost",
        secret_key="a secret of the tests",
        state_dir=str(tmp_path),
        ops_port=free_port(),
    )
    process = Process("tests", settings)
    yield process
    process.bus.close()
    process.store.client.close()


def test_a_process_is_ready_when_its_database_and_nats_are(
    process: Process, nats_server: NatsServer
):
    port = process.settings.ops_port
    process.ensure_indexes(lambda: None)
    process.serve_ops({"mine": lambda: None})
    wait_until(lambda: ready(port)[0] == 200, "the process to be ready")
    everything = {"nats": "ok", "mongo": "ok", "indexes": "ok", "mine": "ok"}
    assert ready(port)[1] == {"status": "ok", "checks": everything}
    nats_server.kill()
    wait_until(lambda: ready(port)[0] == 503, "the process to notice")
    assert ready(port)[1]["checks"] == {**everything, "nats": "NotReady: not connected"}
    nats_server.start()
    wait_until(lambda: ready(port)[0] == 200, "the process to be ready again")


def test_a_web_process_is_not_ready_before_it_knows_who_was_signed_out(
    process: Process, nats_server: NatsServer
):
    nats_server.kill()
    port = process.settings.ops_port
    process.ensure_indexes(lambda: None)
    process.serve_ops({"revocations": process.revocations_known})
    assert "reading revoked sessions" in ready(port)[1]["checks"]["revocations"]
    nats_server.start()
    wait_until(lambda: ready(port)[0] == 200, "the revocations to be read")


def test_a_process_is_not_ready_before_keys_are_unique(process: Process):
    port, made = process.settings.ops_port, threading.Event()
    process.ensure_indexes(lambda: made.wait(10) and None)
    process.serve_ops({})
    wait_until(lambda: ready(port)[1]["checks"]["mongo"] == "ok", "the database to answer")
    assert (ready(port)[0], ready(port)[1]["checks"]["indexes"]) == (503, "NotReady: being made")
    made.set()
    wait_until(lambda: ready(port)[0] == 200, "the process to be ready")


def test_a_database_that_is_away_is_named(nats_server: NatsServer, tmp_path: Path):
    settings = DatabaseSettings(
        nats_url=nats_server.url,
        mongo_uri=f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=100",
        auth_url="http://unused",
        public_url="http://localhost",
        secret_key="a secret of the tests",
        state_dir=str(tmp_path),
        ops_port=free_port(),
    )
    process = Process("tests", settings)
    process.serve_ops({})
    status, answer = ready(settings.ops_port)
    assert status == 503
    assert answer["checks"]["mongo"].startswith("ServerSelectionTimeoutError")
    process.bus.close()
    process.store.client.close()


def test_a_service_without_a_database_has_no_check_of_one(nats_server: NatsServer):
    settings = Settings(
        nats_url=nats_server.url,
        auth_url="http://unused",
        public_url="http://localhost",
        secret_key="a secret of the tests",
        ops_port=free_port(),
    )
    process = Process("tests", settings)
    process.serve_ops({})
    wait_until(lambda: ready(settings.ops_port)[0] == 200, "the process to be ready")
    assert ready(settings.ops_port)[1]["checks"] == {"nats": "ok"}
    process.bus.close()
