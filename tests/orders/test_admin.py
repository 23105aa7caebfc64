"""The part of the admin area about orders."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from apps.orders import admin, create_app
from apps.orders.models import Order
from shared.story import Span, widened
from tests.identity import identity, sign
from tests.orders.world import BUYER, World, settings

ADMIN = "ad0000000000000000000001"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(memory: World) -> Flask:
    memory.sells(20, title="Sofa Concert")
    return create_app(settings(), memory.service, identity())


@pytest.fixture
def order(app: Flask, memory: World) -> Order:
    return memory.reserves(2)


def client(app: Flask, user_id: str = ADMIN, role: str = "admin") -> FlaskClient:
    client = app.test_client()
    client.set_cookie("session", sign(user_id, role=role))
    return client


def test_nobody_else_may_enter(app: Flask, order: Order) -> None:
    program = sign(ADMIN, role="admin", scopes=["read", "sell", "buy"])
    token = {"Authorization": f"Bearer {program}"}
    for path in (f"/orders/admin/{order.id}", f"/orders/admin/{order.id}/story"):
        assert client(app, BUYER, "user").get(path).status_code == 403
        assert app.test_client().get(path, headers=token).status_code == 403
        answer = app.test_client().get(path)
        assert (answer.status_code, "/account/signin" in answer.location) == (303, True)


def test_an_order_is_found_by_its_id_and_by_its_buyer(app: Flask, order: Order) -> None:
    whole = client(app).get(f"/orders/admin/{order.id}").text
    assert "39.00 USD" in whole
    assert f'hx-get="/orders/admin/{order.id}/story"' in whole
    part = client(app).get(f"/orders/admin/{BUYER}", headers=HTMX).text
    assert f"/account/admin?q={order.id}" in part
    assert "<html" not in part
    assert "No order has this id" in client(app).get("/orders/admin/" + "0" * 24).text


def test_a_story_that_cannot_be_read_takes_nothing_with_it(app: Flask, order: Order) -> None:
    answer = client(app).get(f"/orders/admin/{order.id}/story", headers=HTMX)
    assert (answer.status_code, "Try again" in answer.text) == (503, True)
    assert client(app).get("/orders/admin/" + "0" * 24 + "/story").status_code == 404


def test_a_story_is_looked_for_where_something_happened(order: Order, memory: World) -> None:
    reserved, changed = admin.times(order, memory.clock.now())
    assert reserved == Span(order.created_at, memory.clock.now())
    assert changed == Span(order.updated_at, order.updated_at)
    assert len(widened([changed, reserved])) == 1
