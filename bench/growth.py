"""How the same requests do with more data, and with two web processes instead of one."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from bench import fill
from bench.figures import Result
from bench.ground import Ground, wait_until_ready
from bench.load import Load, request
from bench.scenarios import (
    HOT,
    ORDERS,
    READS,
    TICKETS,
    Scenario,
    new_tickets,
    ticket_list,
    tickets_page,
)
from dev.stack.ports import free_port

WARM_SECONDS = 0.5
SECONDS = 1.5
CONNECTIONS = 4  # few, as what they still ask for at the end is in the way of the next
SPARE = 10_000  # units that are left to order, beyond what is ordered already


@dataclass(frozen=True)
class Series:
    """One kind of request at several amounts of data."""

    name: str
    about: str
    load: Callable[[Ground], Load]


@dataclass(frozen=True)
class Field:
    """What there is more and more of, and which requests meet it."""

    unit: str
    grow: Callable[[Ground, int], None]
    series: Sequence[Series]


def run(ground: Ground) -> list[dict[str, Any]]:
    """Every series at every amount: for each the rate and the times."""
    found: dict[str, dict[str, Any]] = {}
    for field, amounts in zip(FIELDS, (ground.effort.tickets, ground.effort.orders), strict=True):
        for amount in amounts:
            field.grow(ground, amount)
            for series in field.series:
                entry = found.setdefault(series.name, _entry(series, field))
                entry["points"].append({"amount": amount, **_measured(series.load(ground))})
            ground.rest()
    return list(found.values())


def _entry(series: Series, field: Field) -> dict[str, Any]:
    return {"name": series.name, "about": series.about, "unit": field.unit, "points": []}


def _measured(load: Load) -> dict[str, float]:
    load = replace(load, connections=CONNECTIONS)
    load.wait()  # a process that has just begun may have much to read first
    load.measure(WARM_SECONDS)
    sample = load.measure(SECONDS)
    times = {name: round(getattr(sample, name), 2) for name in ("p50", "p95", "p99")}
    return {"rate": round(sample.rate, 1), **times, "errors": sample.errors}


def long_list(ground: Ground) -> Result:
    """The list's first page out of very many tickets."""
    about = f"GET /api/tickets, 50 of {ground.effort.many:,}"
    fill.tickets(ground, ground.effort.many)
    return Scenario("list-many", about, "tickets-web", ticket_list).run(ground)


# --- more data ------------------------------------------------------------------------------------


def _any_ticket(ground: Ground) -> Load:
    found = ground.stores["tickets"]["tickets"].find({}, {"_id": 1}).limit(1_000)
    requests = [request("GET", f"/api/tickets/{ticket['_id']}") for ticket in found]
    return Load(ground.port("tickets-web"), requests)


def _much_ordered(ground: Ground) -> str:
    return ground.on_sale("much ordered", 1, max(ground.effort.orders) + SPARE)[0]


def _grow_orders(ground: Ground, amount: int) -> None:
    fill.orders(ground, _much_ordered(ground), ground.people[1], amount)


def _as_buyer(method: str, path: str) -> Callable[[Ground], Load]:
    def load(ground: Ground) -> Load:
        body = {"ticketId": _much_ordered(ground)} if method == "POST" else None
        sent = request(method, path, body, ground.people[1].token)
        return Load(ground.port("orders-web"), [sent])

    return load


def _sales(ground: Ground) -> Load:
    sent = request("GET", "/orders/sales", token=ground.seller.token)
    return Load(ground.port("orders-web"), [sent])


FIELDS = [
    Field(
        "tickets on sale",
        fill.tickets,
        [
            Series("list", "GET /api/tickets", ticket_list),
            Series("ticket", "GET /api/tickets/:id, of 1,000", _any_ticket),
            Series("page", "GET /tickets, signed in", tickets_page),
            Series("create", "POST /api/tickets", new_tickets),
        ],
    ),
    Field(
        "orders of one buyer, one ticket and one seller",
        _grow_orders,
        [
            Series("my-orders", "GET /api/orders", _as_buyer("GET", "/api/orders")),
            Series("orders-page", "GET /orders", _as_buyer("GET", "/orders")),
            Series("sales", "GET /orders/sales, the seller", _sales),
            Series("order", "POST /api/orders", _as_buyer("POST", "/api/orders")),
        ],
    ),
]


# --- more processes -------------------------------------------------------------------------------


def with_two(ground: Ground) -> list[Result]:
    """Each scenario of one operation again, with two web processes, beside a floor with two."""
    found: list[Result] = []
    for scenario in (*READS, ORDERS, HOT, TICKETS):
        with _second(ground, scenario):
            result = replace(scenario, workers=2, rounds=1).run(ground)
        found.append(replace(result, name=f"{scenario.name} x2"))
    return found


@contextmanager
def _second(ground: Ground, scenario: Scenario) -> Generator[None]:
    """Another process of the same service on the same port, as the system shares it out."""
    first = ground.stack.parts[scenario.part]
    port = free_port()
    service = scenario.part.partition("-")[0]
    command = [sys.executable, "-m", "ticketing", "web", service]
    env = {**os.environ, **first.env, "OPS_PORT": str(port)}
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as second:  # noqa: S603 - our own program
        try:
            wait_until_ready(port)
            ground.more[f"{scenario.part} 2"] = second.pid
            yield
        finally:
            ground.more.clear()
            second.terminate()
