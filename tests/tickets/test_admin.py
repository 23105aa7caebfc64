"""The part of the admin area about tickets."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from apps.tickets.service import Tickets
from apps.tickets.store import Tickets as Store
from tests.identity import sign
from tests.tickets.conftest import SELLER
from tests.tickets.test_views import HTMX, sell

ADMIN = "ad0000000000000000000001"
FORM = {"reason": "A forgery", "confirm": "yes", "idempotencyKey": "k" * 20}
UNKNOWN = "0" * 24


def as_admin(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.set_cookie("session", sign(ADMIN, role="admin"))
    return client


@pytest.fixture
def ticket_id(seller: FlaskClient) -> str:
    return sell(seller).rpartition("/")[2]


def page(ticket_id: str) -> str:
    return f"/tickets/admin/{ticket_id}"


def test_nobody_else_may_enter(
    app: Flask, seller: FlaskClient, visitor: FlaskClient, service: Tickets, ticket_id: str
) -> None:
    program = sign(ADMIN, role="admin", scopes=["read", "sell", "buy"])
    token = {"Authorization": f"Bearer {program}"}
    for method, path in (("GET", page(ticket_id)), ("POST", f"{page(ticket_id)}/withdraw")):
        data = FORM if method == "POST" else None
        assert seller.open(path, method=method, data=data).status_code == 403
        answer = app.test_client().open(path, method=method, data=data, headers=token)
        assert answer.status_code == 403
        answer = visitor.open(path, method=method, data=data)
        assert (answer.status_code, "/account/signin" in answer.location) == (303, True)
    assert not service.get(ticket_id).withdrawn


def test_a_ticket_is_found_by_its_id_and_by_its_seller(app: Flask, ticket_id: str) -> None:
    whole = as_admin(app).get(page(ticket_id)).text
    assert "Opera" in whole
    assert f'action="{page(ticket_id)}/withdraw"' in whole
    part = as_admin(app).get(page(SELLER), headers=HTMX).text
    assert f"/account/admin?q={ticket_id}" in part
    assert "<html" not in part
    assert "No ticket has this id" in as_admin(app).get(page(UNKNOWN)).text


def test_an_admin_withdraws_it_once_and_says_why(
    app: Flask, service: Tickets, store: Store, ticket_id: str
) -> None:
    for _ in range(2):
        answer = as_admin(app).post(f"{page(ticket_id)}/withdraw", data=FORM)
        assert (answer.status_code, answer.location) == (303, f"/account/admin?q={ticket_id}")
    assert service.get(ticket_id).withdrawn
    (noted,) = store.trail.aggregates.collection.find()
    assert (noted["kind"], noted["target"]) == ("ticket.withdrawn", f"ticket:{ticket_id}")
    assert (noted["actor"], noted["reason"]) == (ADMIN, "A forgery")
    assert [each["subject"] for each in noted["outbox"]] == ["audit.recorded"]
    assert "Withdraw the ticket" not in as_admin(app).get(page(ticket_id)).text


@pytest.mark.parametrize(
    ("change", "message"),
    [({"reason": ""}, "Reason is required"), ({"confirm": "no"}, "Tick this to confirm")],
)
def test_without_a_reason_nothing_happens(
    app: Flask, service: Tickets, store: Store, ticket_id: str, change: dict[str, str], message: str
) -> None:
    answer = as_admin(app).post(f"{page(ticket_id)}/withdraw", data=FORM | change)
    assert answer.status_code == 400
    assert message in answer.text
    assert not service.get(ticket_id).withdrawn
    assert list(store.trail.aggregates.ids()) == []


def test_what_does_not_exist_cannot_be_withdrawn(app: Flask, store: Store) -> None:
    answer = as_admin(app).post(f"{page(UNKNOWN)}/withdraw", data=FORM)
    assert answer.status_code == 404
    assert list(store.trail.aggregates.ids()) == []
