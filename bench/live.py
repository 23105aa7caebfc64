"""What open pages cost: memory, and what they do to others. `python -m bench.live`, two minutes.

It starts an embedded stack of its own, opens the pages through the gateway, and compares memory
and the time of ordinary requests before and after. Times mean little on a machine that is shared:
look at the ratios.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from dev.stack import Stack
from shared.bus import Bus

PARTS = ("live-web", "gateway")
ROUNDS = 5  # messages to all pages
REQUESTS = 200  # ordinary requests, one after the other
AT_ONCE = 50  # pages that are opened at a time


@dataclass
class Page:
    """One open page; it only counts what it hears."""

    heard: list[float] = field(default_factory=list[float])
    kept: list[object] = field(default_factory=list[object])  # what would close if it were dropped

    async def open(self, port: int, topic: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /live?topic={topic} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise SystemExit(f"a page was refused: {status!r}")
        await reader.readuntil(b"retry: ")
        self.kept += [writer, asyncio.create_task(self._listen(reader))]

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b"event: "):
                self.heard.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2_000)
    pages = parser.parse_args().pages
    with tempfile.TemporaryDirectory() as folder:
        env = {"RATE_LIMITS": "0", "VERIFY_EMAIL": "0"}
        with Stack(Path(folder) / "data", env) as stack:
            asyncio.run(measure(stack, pages))


async def measure(stack: Stack, count: int) -> None:
    topic = f"ticket:{_any_ticket(stack)}"
    quiet = await asyncio.to_thread(_times, stack)
    before = _memory(stack)
    pages = [Page() for _ in range(count)]
    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(p.open(stack.port, topic) for p in pages[start : start + AT_ONCE]))
    opened = _memory(stack)
    firsts, lasts = await _say(stack, pages, topic)
    busy = await asyncio.to_thread(_times, stack)
    after = _memory(stack)

    print(f"{count} open pages")
    for part in PARTS:
        grown = (after[part] - before[part]) / count / 1024
        print(f"  {part:10} {_mb(before[part])} -> {_mb(after[part])}, {grown:.0f} kB a page")
    print(f"  together   {_mb(sum(before.values()))} -> {_mb(sum(after.values()))}"
          f" (just opened: {_mb(sum(opened.values()))})")  # fmt: skip
    print(f"  said to heard: first page {_ms(firsts)}, last page {_ms(lasts)}, medians of {ROUNDS}")
    for name, share in (("p50", 0.50), ("p95", 0.95)):
        without, with_them = _quantile(quiet, share), _quantile(busy, share)
        print(f"  GET /api/tickets {name}: {without * 1000:.1f} ms without,"
              f" {with_them * 1000:.1f} ms with them, ratio {with_them / without:.2f}")  # fmt: skip


async def _say(stack: Stack, pages: list[Page], topic: str) -> tuple[list[float], list[float]]:
    """Say that something changed; how long until the first page and until every page knows."""
    bus = Bus(f"nats://127.0.0.1:{stack.ports['nats']}", "bench").start()
    await asyncio.to_thread(bus.wait_ready, 10)
    firsts: list[float] = []
    lasts: list[float] = []
    for number in range(1, ROUNDS + 1):
        begun = time.perf_counter()
        bus.tell(topic)
        while any(len(page.heard) < number for page in pages):
            await asyncio.sleep(0.002)
        firsts.append(min(page.heard[-1] for page in pages) - begun)
        lasts.append(max(page.heard[-1] for page in pages) - begun)
        await asyncio.sleep(1)  # beyond what is told together
    bus.close()
    return firsts, lasts


def _times(stack: Stack) -> list[float]:
    times: list[float] = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        with urllib.request.urlopen(f"{stack.url}/api/tickets") as answer:  # noqa: S310 - our own stack
            answer.read()
        times.append(time.perf_counter() - begun)
    return times


def _any_ticket(stack: Stack) -> str:
    with urllib.request.urlopen(f"{stack.url}/api/tickets") as answer:  # noqa: S310 - our own stack
        return json.load(answer)[0]["id"]


def _memory(stack: Stack) -> dict[str, int]:
    """The proportional share of memory of each part, with the processes below it."""
    run = stack.home.run()
    assert run is not None  # noqa: S101 - it is running
    return {name: _with_children(run["parts"][name]["pid"]) for name in PARTS}


def _with_children(pid: int | None) -> int:
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return sum(one.memory_full_info().pss for one in family)


def _quantile(times: list[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)]


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"


def _ms(times: list[float]) -> str:
    return f"{statistics.median(times) * 1000:.0f} ms"


if __name__ == "__main__":
    main()
