"""Whole purchases through the gateway: reserve, pay, look until the order is complete."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import uvloop

from bench import floors, usage
from bench.client import Connection
from bench.figures import Result, Round, Sample, sample
from bench.floors import bare_writes
from bench.ground import Ground
from bench.load import request
from bench.people import Person
from bench.scenarios import different_tickets

AT_ONCE = 16  # buyers; each begins anew as soon as a purchase is complete
LOOK_EVERY = 0.2  # seconds between two looks at the order; a page is told instead
ASK_AGAIN = 1.0  # seconds, as Retry-After says
PATIENCE = 15.0  # seconds until a purchase counts as lost


class Unexpected(Exception):  # noqa: N818 - an answer, which is counted
    """An answer that ends a purchase."""


@dataclass
class Rush:
    """Buyers who go on until a time is reached."""

    port: int
    tickets: list[str]
    times: list[float] = field(default_factory=list[float])
    refusals: Counter[str] = field(default_factory=Counter[str])
    _numbers: "count[int]" = field(default_factory=count)

    async def run(self, people: list[Person], seconds: float) -> Sample:
        deadline = time.perf_counter() + seconds
        await asyncio.gather(*(self._buy_until(deadline, person) for person in people))
        seconds += time.perf_counter() - deadline  # the last ones were waited for
        errors = sum(self.refusals.values())
        return sample(self.times, seconds, errors, dict(self.refusals))

    async def _buy_until(self, deadline: float, person: Person) -> None:
        connection = Connection(self.port)
        while (begun := time.perf_counter()) < deadline:
            ticket = self.tickets[next(self._numbers) % len(self.tickets)]
            try:
                await self._buy(connection, person, ticket)
            except Unexpected as why:
                self.refusals[str(why)] += 1
            else:
                self.times.append((time.perf_counter() - begun) * 1000)
        connection.close()

    async def _buy(self, connection: Connection, person: Person, ticket: str) -> None:
        order = await self._ask(connection, "POST", "/api/orders", person, {"ticketId": ticket})
        give_up = time.perf_counter() + PATIENCE
        await self._pay(connection, person, order["id"], give_up)
        while order["status"] != "complete":
            if time.perf_counter() > give_up:
                raise Unexpected("never complete")
            await asyncio.sleep(LOOK_EVERY)
            order = await self._ask(connection, "GET", f"/api/orders/{order['id']}", person)

    async def _pay(
        self, connection: Connection, person: Person, order: str, give_up: float
    ) -> None:
        """Pay, and again where payments did not know the order yet; each refusal is counted."""
        body = {"orderId": order, "token": "tok_visa"}
        while True:
            try:
                await self._ask(connection, "POST", "/api/payments", person, body)
                return
            except Unexpected as why:
                if not str(why).endswith(" 404") or time.perf_counter() > give_up:
                    raise
                self.refusals[str(why)] += 1
                await asyncio.sleep(ASK_AGAIN)

    async def _ask(
        self, connection: Connection, method: str, path: str, person: Person, body: Any = None
    ) -> Any:
        answer = await connection.send(request(method, path, body, person.token))
        if not 200 <= answer.status < 300:
            raise Unexpected(f"{method} {path[:13]} {answer.status}")
        return answer.json


@dataclass(frozen=True)
class Purchases:
    name: str = "purchase"
    about: str = "whole purchase through the gateway, until the order is complete"

    def run(self, ground: Ground) -> Result:
        tickets, people = different_tickets(ground), ground.people[:AT_ONCE]
        uvloop.run(Rush(ground.stack.port, tickets).run(people, 1.0))  # opens connections
        ground.rest()
        at_floor = bare_writes(ground, floors.PURCHASE)(ground.effort.seconds)
        before = usage.now(ground.pids, ground.stores)
        rush = Rush(ground.stack.port, tickets)
        load = uvloop.run(rush.run(people, ground.effort.sustained))
        spent = usage.now(ground.pids, ground.stores).since(before)
        notes = {"seconds_until_at_rest": round(ground.rest(), 1), "buyers_at_once": AT_ONCE}
        cost = usage.cost(ground.pids, [spent])
        rounds = [Round(load, at_floor)]
        return Result(self.name, self.about, rounds, cost, floors.PURCHASE.about, notes)
