"""A small HTTP client on asyncio, for buyers who wait for what follows, and in place of wrk."""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import uvloop

from bench.figures import Sample, added, sample


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection, kept open; answers must say how long they are."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> Answer:
        """Send a whole request and read its answer."""
        reader, writer = await self._open()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        found = [line for line in lines if line.startswith(b"content-length:")]
        size = int(found[0].partition(b":")[2]) if found else 0
        body = await reader.readexactly(size)
        if b"connection: close" in lines:
            self.close()
        return Answer(int(lines[0].split()[1]), body)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


def measure(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Sample:
    """Send requests in turn for so long, from as many processes as there are cores."""
    count = min(os.cpu_count() or 1, connections)
    shares = [connections // count + (index < connections % count) for index in range(count)]
    with ProcessPoolExecutor(count) as pool:
        jobs = [
            pool.submit(_process, port, [*requests[index::count]] or [*requests], share, seconds)
            for index, share in enumerate(shares)
        ]
        parts = [job.result() for job in jobs]
    times = [each for part in parts for each in part[0]]
    statuses = added(part[1] for part in parts)
    errors = sum(count for status, count in statuses.items() if not status.startswith("2"))
    return sample(times, seconds, errors, statuses)


def _process(
    port: int, requests: list[bytes], connections: int, seconds: float
) -> tuple[list[float], dict[str, int]]:
    return uvloop.run(_send_all(port, requests, connections, seconds))


async def _send_all(
    port: int, requests: list[bytes], connections: int, seconds: float
) -> tuple[list[float], dict[str, int]]:
    deadline = time.perf_counter() + seconds
    times: list[float] = []
    statuses: dict[str, int] = {}

    async def send(first: int) -> None:
        connection, number = Connection(port), first
        while (begun := time.perf_counter()) < deadline:
            answer = await connection.send(requests[number % len(requests)])
            times.append((time.perf_counter() - begun) * 1000)
            statuses[str(answer.status)] = statuses.get(str(answer.status), 0) + 1
            number += connections
        connection.close()

    await asyncio.gather(*(send(first) for first in range(connections)))
    return times, statuses
