"""The stack that is measured, with people and tickets on it."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import people
from bench.client import Connection
from bench.load import request
from bench.people import Person
from dev.cli import environment
from dev.stack import Stack
from dev.stack.probes import Check, probe
from shared import mongo
from shared.config import MongoSettings
from shared.mongo import Store
from ticketing.audit import command, settings
from ticketing.audit.facts import AT_REST
from ticketing.audit.quiet import Quiet
from ticketing.audit.rounds import Audit

KEEPERS = ("auth", "tickets", "orders", "payments")
PEOPLE = 200
AT_ONCE = 16  # requests while something is prepared
HOLD_SECONDS = 7_200  # no reservation ends while anything is measured
PREPARING_SECONDS = 300.0
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Effort:
    """How long each stretch of load lasts, and how often it is repeated."""

    seconds: float
    rounds: int
    sustained: float  # seconds of whole purchases
    rest: float  # seconds that what follows from a load may take at the most
    many: int  # tickets of the long list
    tickets: tuple[int, ...]  # amounts at which growth is looked at
    orders: tuple[int, ...]


QUICK = Effort(1, 1, sustained=4, rest=3, many=5_000, tickets=(500, 2_000), orders=(100, 1_000))
FULL = Effort(2.5, 3, sustained=60, rest=30, many=100_000,
              tickets=(25_000, 50_000, 100_000),
              orders=(100, 1_000, 10_000, 90_000))  # fmt: skip


@dataclass
class Ground:
    stack: Stack
    effort: Effort
    audit: Audit
    more: dict[str, int] = field(default_factory=dict[str, int])  # processes beside the stack's
    _tickets: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def port(self, part: str) -> int:
        return self.stack.parts[part].port

    @property
    def pids(self) -> dict[str, int]:
        """Every process that is measured, by its name."""
        parts = {name: part.pid for name, part in self.stack.parts.items()}
        return parts | self.more

    def restart(self, part: str) -> None:
        """Start a process again, so that it knows nothing but what is in its database."""
        self.stack.restart(part)

    @cached_property
    def stores(self) -> dict[str, Store]:
        """Every service's database, by the service's name."""
        return {name: self.open(name, name) for name in KEEPERS}

    def open(self, service: str, name: str) -> Store:
        """A database on a service's own server."""
        uri = self.stack.parts[f"{service}-web"].env["MONGO_URI"]
        return mongo.connect(MongoSettings(mongo_uri=uri, mongo_db=name), name)

    @cached_property
    def people(self) -> list[Person]:
        key = self.stack.parts["auth-web"].env["JWT_KEY"]
        return people.sign_in(self.stores["auth"], key, PEOPLE)

    @property
    def seller(self) -> Person:
        return self.people[0]

    def on_sale(self, name: str, count: int, quantity: int) -> list[str]:
        """Ids of tickets that were put on sale under this name; they are made only once."""
        if name not in self._tickets:
            self._tickets[name] = asyncio.run(self._offer(name, count, quantity))
            self._settle(f"{count} tickets")
        return self._tickets[name]

    async def _offer(self, name: str, count: int, quantity: int) -> list[str]:
        offers = iter([request("POST", "/api/tickets", offer(f"{name} {number}", quantity),
                               self.seller.token) for number in range(count)])  # fmt: skip
        ids: list[str] = []

        async def send() -> None:
            connection = Connection(self.port("tickets-web"))
            ids.extend([(await connection.send(one)).json["id"] for one in offers])
            connection.close()

        await asyncio.gather(*(send() for _ in range(min(AT_ONCE, count))))
        return ids

    def _settle(self, what: str) -> None:
        quiet = Quiet(self.audit.databases, self.audit.history.bus)
        if restless := quiet.wait(PREPARING_SECONDS):
            raise SystemExit(f"{what} did not settle in {PREPARING_SECONDS:.0f} s: {restless}")

    def rest(self, seconds: float | None = None) -> float:
        """Wait until nothing is under way, but no longer than this; returns how long that took."""
        begun = time.monotonic()
        Quiet(self.audit.databases, self.audit.history.bus).wait(seconds or self.effort.rest)
        return time.monotonic() - begun

    def violations(self) -> list[str]:
        """What the audit finds wrong with everything that was done so far."""
        restless = Quiet(self.audit.databases, self.audit.history.bus).wait(PREPARING_SECONDS)
        if restless:
            return [f"not at rest: {restless}"]
        found = self.audit.run(AT_REST).violations
        return [f"{each.check}: {each.about}" for each in found]


def offer(title: str, quantity: int) -> dict[str, Any]:
    """What a seller says of a ticket."""
    return {"title": f"Concert of {title}", "price": 20, "quantity": quantity,
            "venue": "Chamber Hall, Riverside", "startsAt": "2099-05-01T19:00:00Z"}  # fmt: skip


def wait_until_ready(ops_port: int) -> None:
    """Wait until the process behind a port for health says that it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    while reason := asyncio.run(probe(Check("http", ops_port, "/readyz"))):
        if time.monotonic() > deadline:
            raise TimeoutError(reason)
        time.sleep(0.1)


@contextmanager
def started(folder: Path, effort: Effort, database: str = "") -> Generator[Ground]:
    """A stack of its own, in an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {"RATE_LIMITS": "0", "VERIFY_EMAIL": "0", "SEED": "0", "LOG_LEVEL": "warning"}
    env |= {"HOLD_SECONDS": str(HOLD_SECONDS)}
    env |= {"MONGOD": database} if database else {}
    with Stack(folder / "data", env) as stack:
        known = settings.read(environment(stack.run))
        with command.opened(known) as audit:
            yield Ground(stack, effort, audit)
