"""One part: its lives, its delays, and when the start is given up."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.stack import process as module
from dev.stack.guard import Guard
from dev.stack.parts import Part, Tier
from dev.stack.ports import free_port
from dev.stack.probes import Check
from dev.stack.process import Process, StartError, bound
from tests.stack.living import living

# A part that is ready at once: it answers every request with 200.
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.dismiss()


@pytest.fixture
def news() -> list[str]:
    return []


@pytest.fixture
def make(
    tmp_path: Path, guard: Guard, news: list[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Process]:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.01)

    def make(code: str) -> Process:
        port = free_port()
        command = (sys.executable, "-c", code, str(port))
        part = Part("it", Tier.WEB, command, Check("http", port), port)
        return Process(part, tmp_path, tmp_path / "held", guard, lambda _, text: news.append(text))

    return make


def test_a_part_that_keeps_dying_at_the_start_is_given_up(make: Callable[[str], Process]):
    async def scenario() -> Process:
        process = make("import sys; print('no disk'); sys.exit(7)")
        await asyncio.wait_for(process.run(), 20)
        with pytest.raises(StartError, match="ended with code 7 5 times"):
            await process.first_ready
        return process

    process = asyncio.run(scenario())
    assert process.state == "failed"
    assert process.log.read_text().count("no disk") == 5


def test_a_part_that_never_gets_ready_is_given_up(
    make: Callable[[str], Process], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "READY_SECONDS", 0.2)

    async def scenario() -> None:
        process = make("import signal; signal.pause()")
        run = asyncio.create_task(process.run())
        with pytest.raises(StartError, match="not ready after"):
            await asyncio.wait_for(process.first_ready, 20)
        process.kill()
        await run

    asyncio.run(scenario())


def test_a_program_that_does_not_exist_is_given_up(
    tmp_path: Path, guard: Guard, make: Callable[[str], Process]
):
    async def scenario() -> None:
        sample = make("").part
        missing = Part("it", Tier.WEB, ("/no/such/program",), sample.check, sample.port)
        process = Process(missing, tmp_path, tmp_path / "held", guard, lambda _, __: None)
        await asyncio.wait_for(process.run(), 20)
        with pytest.raises(StartError, match="could not be started"):
            await process.first_ready

    asyncio.run(scenario())


def run_to_its_end(make: Callable[[str], Process]) -> None:
    async def scenario() -> None:
        process = make("")
        await process.run()
        assert process.first_ready.exception()

    asyncio.run(scenario())


def test_the_delay_before_a_new_life_doubles(make: Callable[[str], Process], news: list[str]):
    run_to_its_end(make)
    said = [text.split("again in ")[1] for text in news if "again in" in text]
    assert said == ["0.01 s", "0.02 s", "0.04 s", "0.08 s"]


def test_the_delay_begins_anew_after_a_steady_life(
    make: Callable[[str], Process], news: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "STEADY_SECONDS", 0)
    run_to_its_end(make)
    said = [text.split("again in ")[1] for text in news if "again in" in text]
    assert said == ["0.01 s"] * 4


def test_a_part_that_was_ready_is_never_given_up(make: Callable[[str], Process], news: list[str]):
    async def scenario() -> None:
        process = make(SERVER)
        run = asyncio.create_task(process.run())
        await asyncio.wait_for(process.first_ready, 20)
        for life in range(1, module.ATTEMPTS + 2):
            await _until(lambda: process.state == "ready")
            module.send(process.pid, 9)
            await _until(lambda life=life: process.restarts == life)
        process.kill()
        await run

    asyncio.run(scenario())
    assert news.count("is ready again") >= module.ATTEMPTS


def test_stopping_also_ends_what_the_part_has_started(make: Callable[[str], Process]):
    with_child = "import os, signal\nif os.fork() == 0:\n  signal.pause()\n" + SERVER

    async def scenario() -> int:
        process = make(with_child)
        run = asyncio.create_task(process.run())
        await asyncio.wait_for(process.first_ready, 20)
        group = process.pid
        process.ask_to_stop()
        await asyncio.wait_for(run, 20)
        return group

    assert living([asyncio.run(scenario())]) == []


def test_a_long_log_is_emptied_and_its_text_kept_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOG_BYTES", 10)
    log = tmp_path / "it.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a long first line\n")
        bound(log)
        writer.write(b"next\n")
    assert log.read_text() == "next\n"
    assert (tmp_path / "it.log.1").read_text() == "a long first line\n"


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.01)
