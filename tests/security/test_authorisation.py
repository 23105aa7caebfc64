"""The table of who may do what, walked on a running system; no route is without a row."""

import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from starlette.routing import Route

from apps import auth, live, orders, payments, tickets
from apps.auth.config import Settings as AuthSettings
from apps.live.config import Settings as LiveSettings
from apps.live.hub import Hub
from apps.orders.config import Settings as OrdersSettings
from apps.orders.documents.codes import Codes, Unit
from apps.payments.config import Settings as PaymentsSettings
from apps.tickets.config import Settings as TicketsSettings
from tests.identity import identity
from tests.security.authorisation import KINDS, Row, rows
from tests.security.forger import Forger, hours
from tests.security.operators import new_admin
from tests.system.http import Answer, Client
from tests.system.world import Json, World
from tests.waiting import wait_until

NOBODY = "0" * 24
COMMON: Json = {
    "embedded": True,
    "nats_url": "nats://unused",
    "mongo_uri": "mongodb://unused",
    "redis_url": "memory://",
    "auth_url": "http://unused",
    "public_url": "http://localhost",
    "secret_key": "a secret of the tests",
}


def flask_apps() -> Iterator[Flask]:
    """The services as they are made everywhere; nothing is asked of what is behind the routes."""
    person = identity()
    yield auth.create_app(
        AuthSettings(**COMMON, jwt_key="x" * 40, mail_dir="unused"), Mock(), person
    )
    yield tickets.create_app(TicketsSettings(**COMMON), Mock(), person)
    yield orders.create_app(OrdersSettings(**COMMON), Mock(), person)
    bank: Any = {"stripe_key": "sk_test_x", "stripe_webhook_secret": "whsec_x"}
    yield payments.create_app(PaymentsSettings(**COMMON, **bank), Mock(), person)


def routes() -> set[tuple[str, str]]:
    found = {
        (method, rule.rule)
        for app in flask_apps()
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    streams = live.create_app(LiveSettings(**COMMON), Hub(1), identity()).routes
    assert all(isinstance(route, Route) for route in streams)
    return found | {("GET", route.path) for route in streams if isinstance(route, Route)}


def test_every_route_has_its_row_and_every_row_its_route():
    listed = [row.route for row in rows()]
    assert len(listed) == len(set(listed))
    assert set(listed) == routes()


# --- the walk -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(world: World, forger: Forger) -> dict[str, Client]:
    """One of each kind, each with an account of their own."""
    kinds = ("owner", "other", "seller", "revoked", "program")
    persons = {kind: world.person() for kind in kinds}
    persons["admin"] = new_admin(world)
    others = forger.claims(persons["other"])
    sessions = {
        "expired": forger.sign({**others, "exp": hours(-1)}),
        "forged": forger.sign_as_stranger({**others, "role": "admin"}),
        "revoked": persons["revoked"].cookies["session"],
    }
    persons["revoked"].post("/api/users/signout").expect(200)
    revoked = Client(world.stack.url, {"session": sessions["revoked"]})
    for path in ("/api/orders", f"/api/payments/{NOBODY}", "/tickets/mine"):
        wait_until(lambda p=path: revoked.get(p).status in (303, 401), "the end of the session")
    strangers = {
        kind: Client(world.stack.url, {"session": token}) for kind, token in sessions.items()
    }
    scope = forger.sign(forger.claims(persons["program"], scopes=["nothing"]))
    program = Client(world.stack.url, headers={"Authorization": f"Bearer {scope}"})
    return {**persons, **strangers, "nobody": world.visitor(), "program": program}


@pytest.fixture(scope="module")
def things(people: dict[str, Any], world: World) -> dict[str, str]:
    """What the routes are about: a ticket, and an order of it that is paid."""
    seller, owner = people["seller"], people["owner"]
    ticket = seller.sells(title="Walk", quantity=50, startsAt="2031-05-01T20:00:00Z")
    order = owner.reserves(ticket)
    payment = owner.pays(order)
    owner.sees_order(order, status="complete")
    settings = world.stack.parts["orders-web"].env
    codes = Codes(settings["SECRET_KEY"], settings["PUBLIC_URL"])
    return {
        "ticket_id": ticket["id"],
        "order_id": order["id"],
        "payment_id": payment["id"],
        "key": order["id"],
        "user_id": people["other"].id,
        "code": codes.make(Unit(order["id"], 1)),
    }


def ask(client: Client, row: Row, things: dict[str, str]) -> Answer:
    path = re.sub("<([a-z_]+)>", lambda match: things.get(match[1], NOBODY), row.path)
    if row.path.startswith("/live"):
        return client.send("HEAD", path)  # the answer without the stream
    if row.method == "GET":
        return client.get(path)
    if path.startswith("/api/"):
        return client.send(row.method, path, "{}")
    return client.submit(path, {})


def test_everybody_may_do_what_the_table_says_and_nothing_else(
    people: dict[str, Any], things: dict[str, str]
):
    # Who is refused comes first, so that nobody meets what the owner has left behind.
    order = (
        "nobody",
        "expired",
        "revoked",
        "forged",
        "program",
        "other",
        "admin",
        "owner",
        "seller",
    )
    assert set(order) == set(people) >= set(KINDS)
    wrong: list[str] = []
    for row in rows():
        for kind in order:
            as_nobody = row.expected["nobody"]
            expected = 403 if kind == "program" else row.expected.get(kind, as_nobody)
            found = ask(people[kind], row, things).status
            if found != expected:
                wrong.append(f"{row.method} {row.path}: {kind} {found}, not {expected}")
    assert not wrong, "\n" + "\n".join(wrong)
