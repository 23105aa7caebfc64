"""The scenarios of one operation each: what is sent, and beside which floor it is measured."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

from bench import floors, usage
from bench.figures import Result, Round
from bench.floors import Measure, Writes, bare_route, bare_writes
from bench.ground import Ground, offer
from bench.load import Load, request

FEW = 50  # tickets of the short list, and a page of any
UNITS = 20_000  # of the hot ticket
DIFFERENT = 200  # tickets that are ordered in turn
WARM_SECONDS = 1.0
_NUMBERS = count(1)


@dataclass(frozen=True)
class Scenario:
    """`load` makes what is sent; without `writes` its floor is a bare route."""

    name: str
    about: str
    part: str
    load: Callable[[Ground], Load]
    writes: Writes | None = None
    workers: int = 1  # of the web process; who runs more starts them
    rounds: int = 0  # none: as many as the whole run makes

    def run(self, ground: Ground) -> Result:
        load = self.load(ground)
        load.measure(WARM_SECONDS)
        with self._floor(ground, load) as floor:
            rounds: list[Round] = []
            spent: list[usage.Usage] = []
            settled: list[float] = []
            for _ in range(self.rounds or ground.effort.rounds):
                load = self.load(ground)
                if self.writes:
                    ground.rest()
                at_floor = floor(ground.effort.seconds)
                before = usage.now(ground.pids, ground.stores)
                rounds.append(Round(load.measure(ground.effort.seconds), at_floor))
                spent.append(usage.now(ground.pids, ground.stores).since(before))
                if self.writes:
                    settled.append(ground.rest())
        cost = usage.cost(ground.pids, spent)
        notes = {"seconds_until_at_rest": [round(each, 1) for each in settled]} if settled else {}
        return Result(self.name, self.about, rounds, cost, self._floor_about, notes)

    @property
    def _floor_about(self) -> str:
        return self.writes.about if self.writes else floors.READS

    @contextmanager
    def _floor(self, ground: Ground, load: Load) -> Generator[Measure]:
        if self.writes:
            yield bare_writes(ground, self.writes)
        else:
            with bare_route(ground, self.part, load, self.workers) as measure:
                yield measure


# --- what is sent ---------------------------------------------------------------------------------


def few(ground: Ground) -> list[str]:
    return ground.on_sale("the short list", FEW, 100)


def ticket_list(ground: Ground) -> Load:
    few(ground)
    return Load(ground.port("tickets-web"), [request("GET", f"/api/tickets?limit={FEW}")])


def one_ticket(ground: Ground) -> Load:
    requests = [request("GET", f"/api/tickets/{ticket}") for ticket in few(ground)]
    return Load(ground.port("tickets-web"), requests)


def current_user(ground: Ground) -> Load:
    path = "/api/users/currentuser"
    requests = [request("GET", path, token=person.token) for person in ground.people]
    return Load(ground.port("auth-web"), requests)


def tickets_page(ground: Ground) -> Load:
    few(ground)
    requests = [request("GET", "/tickets", token=person.token) for person in ground.people]
    return Load(ground.port("tickets-web"), requests)


def new_tickets(ground: Ground) -> Load:
    few(ground)
    requests = [
        request("POST", "/api/tickets", offer("one more", 100), person.token)
        for person in ground.people
    ]
    return Load(ground.port("tickets-web"), requests, statuses=True)


def different_orders(ground: Ground) -> Load:
    return orders_of(ground, different_tickets(ground))


def different_tickets(ground: Ground) -> list[str]:
    return ground.on_sale("its own", DIFFERENT, 1_000)


def hot_orders(ground: Ground) -> Load:
    return crowd(orders_of(ground, hot_ticket(ground)))


def hot_ticket(ground: Ground) -> list[str]:
    """A new one each time, so that none is sold out."""
    return ground.on_sale(f"everybody's choice {next(_NUMBERS)}", 1, UNITS)


def crowd(load: Load) -> Load:
    """The same from everybody at once."""
    return replace(load, connections=len(load.requests))


def orders_of(ground: Ground, tickets: list[str]) -> Load:
    """Everybody orders; whose turn it is and which ticket change together."""
    requests = [
        request(
            "POST",
            "/api/orders",
            {"ticketId": tickets[number % len(tickets)]},
            person.token,
        )
        for number, person in enumerate(ground.people)
    ]
    return Load(ground.port("orders-web"), requests, statuses=True)


READS = [
    Scenario("list-50", "GET /api/tickets, 50 of 50", "tickets-web", ticket_list),
    Scenario("ticket", "GET /api/tickets/:id", "tickets-web", one_ticket),
    Scenario("user", "GET /api/users/currentuser, signed in", "auth-web", current_user),
    Scenario("page", "GET /tickets, the page, signed in", "tickets-web", tickets_page),
]
ORDERS = Scenario(
    "orders", "POST /api/orders, different tickets", "orders-web", different_orders, floors.ORDER
)
HOT = Scenario(
    "hot",
    f"POST /api/orders, one ticket of {UNITS:,}, 200 buyers at once",
    "orders-web",
    hot_orders,
    floors.HOT,
)
TICKETS = Scenario("tickets", "POST /api/tickets", "tickets-web", new_tickets, floors.TICKET)
