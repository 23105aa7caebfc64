"""The supervisor with real servers: start, deaths, stops, a second start."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dev.stack import Stack
from dev.stack.client import StackError
from dev.stack.settings import ROOT
from tests.stack.living import living
from tests.waiting import wait_until

SERVERS = ("nats", "valkey")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "data", only=SERVERS) as stack:
        yield stack


def command(stack: Stack, word: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "dev.stack", word),
        cwd=ROOT,
        env={**os.environ, "DATA": str(stack.home.path), "PORT": str(stack.port), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def groups(stack: Stack) -> list[int]:
    run = stack.run
    return [run["guard"], *(part["pid"] for part in run["parts"].values() if part["pid"])]


def test_the_last_line_of_the_start_says_where_it_is_ready(stack: Stack):
    assert stack.printed.splitlines()[-1] == f"ready {stack.url}"
    for name in SERVERS:
        assert stack.health(name) == ""
        assert f"{name} " in stack.printed


def test_status_shows_every_part_and_stop_ends_it(stack: Stack):
    status = command(stack, "status")
    assert status.returncode == 0
    for name, part in stack.parts.items():
        line = next(line for line in status.stdout.splitlines() if line.startswith(name))
        assert f" {part.pid} " in line
        assert f" {part.port} " in line
        assert line.endswith(" ok")

    left = groups(stack)
    assert command(stack, "stop").returncode == 0
    assert living(left) == []
    assert command(stack, "status").returncode == 1


def test_status_fails_when_a_part_is_ill(stack: Stack):
    stack.pause("valkey")
    status = command(stack, "status")
    stack.resume("valkey")
    assert status.returncode == 1
    assert "no answer" in status.stdout


def test_a_killed_part_is_started_again_on_its_port_and_that_is_said(stack: Stack):
    before = stack.parts["nats"]
    stack.kill("nats")
    stack.wait_ready("nats")
    after = stack.parts["nats"]
    assert after.pid != before.pid
    assert after.port == before.port
    assert after.restarts == 1
    assert "nats was ended by SIGKILL, starts again in 0.5 s" in stack.printed
    wait_until(lambda: "nats is ready again" in stack.printed, "NATS to be back", 5)


def test_a_part_is_held_down_until_it_is_let_go(stack: Stack):
    stack.stop("valkey")
    assert "nothing listens" in stack.health("valkey")
    stack.start_part("valkey")
    assert stack.health("valkey") == ""


def test_everything_listens_on_this_machine_only(tmp_path: Path):
    with Stack(tmp_path / "data", only=["auth-db", "nats", "valkey", "gateway"]) as stack:
        for part in stack.parts.values():
            found = psutil.Process(part.pid).net_connections()
            listening = {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN}
            assert listening == {"127.0.0.1"}, part.name


def test_a_database_comes_back_after_a_kill(tmp_path: Path):
    with Stack(tmp_path / "data", only=["auth-db"]) as stack:
        assert stack.health("auth-db") == ""
        stack.kill("auth-db")
        stack.wait_ready("auth-db")
        left = groups(stack)
    assert living(left) == []


def test_data_survive_a_stop_and_a_kill(stack: Stack):
    redis(stack, "SET kept 1")
    stack.close()
    stack.start()
    assert redis(stack, "GET kept") == "$1"
    redis(stack, "SET again 1")
    redis(stack, "WAITAOF 1 0 2000")
    stack.kill("valkey")
    stack.wait_ready("valkey")
    assert redis(stack, "GET again") == "$1"


def redis(stack: Stack, line: str) -> str:
    with socket.create_connection(("127.0.0.1", stack.ports["valkey"]), 5) as server:
        server.sendall(f"{line}\r\n".encode())
        return server.recv(1000).decode().splitlines()[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_in_time(stack: Stack, number: signal.Signals):
    left = groups(stack)
    stack.supervisor.send_signal(number)
    assert stack.supervisor.wait(10) == 0
    assert living(left) == []
    assert stack.printed.splitlines()[-1] == "stopped"


def test_a_part_that_hangs_does_not_hold_up_the_stop(stack: Stack):
    left = groups(stack)
    stack.pause("valkey")
    stack.supervisor.terminate()
    assert stack.supervisor.wait(10.5) == 0
    assert "valkey did not stop in time" in stack.printed
    assert living(left) == []


def test_a_second_signal_hastens_the_stop(stack: Stack):
    stack.pause("valkey")
    stack.supervisor.terminate()
    stack.wait_for("stopping", 5)
    begun = time.monotonic()
    stack.supervisor.terminate()
    assert stack.supervisor.wait(10) == 0
    assert time.monotonic() - begun < 3


def test_killing_the_supervisor_leaves_nothing_and_the_next_start_works(stack: Stack):
    left = groups(stack)
    stack.supervisor.kill()
    stack.supervisor.wait()
    wait_until(lambda: not living(left), "everything to end", 10)
    assert command(stack, "status").returncode == 1
    stack.start()
    assert stack.health("nats") == ""


def test_the_next_start_ends_what_a_killed_supervisor_and_guard_left(stack: Stack):
    left = groups(stack)
    os.kill(stack.run["guard"], signal.SIGKILL)
    stack.supervisor.kill()
    stack.supervisor.wait()
    wait_until(lambda: len(living(left)) == len(SERVERS), "only the servers to be left")
    stack.start()
    assert "ending 2 parts that the last run left behind" in stack.printed
    assert living(left) == []


def test_a_second_start_on_the_same_data_is_refused(stack: Stack):
    second = command(stack, "up")
    assert second.returncode == 1
    assert "running already" in second.stderr
    assert stack.url in second.stderr
    assert stack.health("nats") == ""


def test_a_port_in_use_is_refused_with_what_to_do(tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        stack = Stack(tmp_path / "data", only=["nats"])
        stack.port = other.getsockname()[1]
        with pytest.raises(StackError, match=f"PORT {stack.port} is in use.*PORT="):
            stack.start()
        assert stack.supervisor.wait() == 2


def test_two_stacks_run_side_by_side(stack: Stack, tmp_path: Path):
    with Stack(tmp_path / "other", only=["nats"]) as other:
        assert other.parts["nats"].port != stack.parts["nats"].port
        assert other.health("nats") == ""
    assert stack.health("nats") == ""


def test_a_failed_start_names_the_part_its_log_and_the_remedy(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "valkey").write_text("this should be a folder")
    stack = Stack(tmp_path / "data", only=["nats", "valkey"])
    with pytest.raises(StackError, match="ended before"):
        stack.start()
    assert stack.supervisor.wait() == 1
    assert "the start failed: valkey could not be started" in stack.printed
    assert str(stack.home.logs / "valkey.log") in stack.printed
    assert f"rm -r {stack.home.path}" in stack.printed
    assert living(groups(stack)) == []


def test_the_supervisor_is_small(stack: Stack):
    assert psutil.Process(stack.supervisor.pid).memory_info().rss < 30_000_000
