"""How long an event takes from its commit in one service until another one can read it."""

import asyncio
import threading
import time
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import uvloop

from bench import usage
from bench.client import Connection
from bench.figures import Result, Round, Sample, sample
from bench.ground import Ground
from bench.scenarios import different_orders
from shared.events import STREAM, OrderCreated, parse
from shared.mongo import Documents

RATE = 50  # orders a second, at even distances, however long each takes
LOOK_EVERY = 0.005  # seconds; one look is for all that have not arrived, so that it costs little
PATIENCE = 10.0
CONNECTIONS = 32


@dataclass(frozen=True)
class Telling:
    name: str = "events"
    about: str = f"order committed in orders, until payments can read it, at {RATE} orders/s"

    def run(self, ground: Ground) -> Result:
        load = different_orders(ground)
        ground.rest()
        since = time.time()
        before = usage.now(ground.pids, ground.stores)
        seconds = ground.effort.seconds * 2
        arrivals = _Arrivals(ground.stores["payments"]["payments"])
        with arrivals.watched():
            statuses = uvloop.run(_order(load.port, load.requests, seconds, arrivals))
        spent = usage.now(ground.pids, ground.stores).since(before)
        committed = ground.audit.history.bus.run(_commits(ground, since))
        told = _sample(committed, arrivals.seen, seconds, statuses)
        notes = {"looked_for": len(arrivals.seen)}
        cost = usage.cost(ground.pids, [spent])
        return Result(self.name, self.about, [Round(told)], cost, notes=notes)


def _sample(
    committed: dict[str, float], seen: dict[str, float], seconds: float, statuses: list[int]
) -> Sample:
    times = [(at - committed[order]) * 1000 for order, at in seen.items()]
    errors = sum(status != 201 for status in statuses)
    return replace(sample(times, seconds, errors), requests=len(statuses))


class _Arrivals:
    """Looks for documents, and notes when each was first there."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._awaited: set[str] = set()
        self.seen: dict[str, float] = {}

    def expect(self, key: str) -> None:
        self._awaited.add(key)

    @contextmanager
    def watched(self) -> Generator[None]:
        """Look again and again. Raises TimeoutError if something does not arrive in the end."""
        over = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            watch = pool.submit(self._watch, over)
            try:
                yield
            finally:
                over.set()
            watch.result()

    def _watch(self, over: threading.Event) -> None:
        deadline = float("inf")
        while not over.is_set() or self._awaited:
            if over.is_set():
                deadline = min(deadline, time.monotonic() + PATIENCE)
            if time.monotonic() > deadline:
                missing = f"{len(self._awaited)} orders did not reach payments"
                raise TimeoutError(f"{missing} in {PATIENCE:.0f} s")
            awaited = list(self._awaited)
            found = self._documents.find({"_id": {"$in": awaited}}, {"_id": 1}) if awaited else ()
            arrived = {document["_id"] for document in found}
            self.seen |= dict.fromkeys(arrived, time.time())
            self._awaited -= arrived
            time.sleep(LOOK_EVERY)


async def _order(
    port: int, requests: Iterable[bytes], seconds: float, arrivals: _Arrivals
) -> list[int]:
    """Send orders at even distances; returns the statuses of all answers."""
    free = [Connection(port) for _ in range(CONNECTIONS)]
    wanted = list(requests)
    statuses: list[int] = []
    begun = time.perf_counter()

    async def send(number: int) -> None:
        await asyncio.sleep(begun + number / RATE - time.perf_counter())
        connection = free.pop() if free else Connection(port)
        answer = await connection.send(wanted[number % len(wanted)])
        free.append(connection)
        statuses.append(answer.status)
        if answer.status == 201:
            arrivals.expect(answer.json["id"])

    await asyncio.gather(*(send(number) for number in range(int(seconds * RATE))))
    for connection in free:
        connection.close()
    return statuses


async def _commits(ground: Ground, since: float) -> dict[str, float]:
    """When each order that was made since then was committed, as its own event says."""
    found: dict[str, float] = {}
    async for message in ground.audit.history.messages(STREAM, 1):
        event: Any = parse(message.payload)
        if isinstance(event, OrderCreated) and event.time.timestamp() >= since:
            found[event.data.id] = event.time.timestamp()
    return found
