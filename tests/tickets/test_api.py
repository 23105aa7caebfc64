"""The JSON contract of /api/tickets."""

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.tickets.models import Stock
from apps.tickets.service import Tickets
from tests.tickets.conftest import SELLER

TICKET = {"title": "Opera", "price": 20.5}


def create(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    response = client.post("/api/tickets", json=TICKET | changes)
    assert response.status_code == 201, response.text
    return response.get_json()


def fields(response: Any) -> list[str | None]:
    return [error.get("field") for error in response.get_json()["errors"]]


def test_creating_answers_with_the_whole_ticket(seller: FlaskClient, visitor: FlaskClient) -> None:
    created = create(
        seller,
        quantity=3,
        currency="EUR",
        venue=" Hall ",
        startsAt="2027-05-01T20:00:00+02:00",
        description="Two acts",
        limitPerPerson=2,
    )
    assert created == {
        "id": created["id"],
        "title": "Opera",
        "price": 20.5,
        "currency": "eur",
        "quantity": 3,
        "available": 3,
        "userId": SELLER,
        "version": 0,
        "venue": "Hall",
        "startsAt": "2027-05-01T18:00:00.000Z",
        "description": "Two acts",
        "limitPerPerson": 2,
    }
    shown = visitor.get(f"/api/tickets/{created['id']}")
    assert shown.get_json() == created
    assert shown.headers["ETag"] == '"0-0"'


def test_optional_fields_have_defaults_and_are_left_out_when_empty(seller: FlaskClient) -> None:
    created = create(seller, price=20)
    assert (created["quantity"], created["currency"]) == (1, "usd")
    assert "20," in json.dumps(created)  # a whole price is a whole number
    assert not {"venue", "startsAt", "description", "limitPerPerson", "orderId"} & created.keys()


def test_nobody_sets_what_is_not_theirs(seller: FlaskClient) -> None:
    created = create(
        seller, userId="somebody", version=9, available=500, id="mine", unitAmount=1, withdrawn=True
    )
    assert (created["userId"], created["version"], created["available"]) == (SELLER, 0, 1)
    assert re.fullmatch("[0-9a-f]{24}", created["id"])
    path = f"/api/tickets/{created['id']}"
    changed = seller.put(path, json=TICKET | {"userId": "x", "version": 7, "available": 3})
    assert changed.get_json() == created | {"version": 1}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": None}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": ["Opera"]}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"price": 0}, "price"),
        ({"price": -1}, "price"),
        ({"price": 0.49}, "price"),
        ({"price": 1.999}, "price"),
        ({"price": "20"}, "price"),
        ({"price": True}, "price"),
        ({"price": None}, "price"),
        ({"price": {"$gt": 1}}, "price"),
        ({"price": 1_000_000}, "price"),
        ({"price": 10**40}, "price"),
        ({"price": 20.5, "currency": "jpy"}, "price"),
        ({"currency": "xau"}, "currency"),
        ({"currency": 7}, "currency"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 100_001}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": "5"}, "quantity"),
        ({"venue": 5}, "venue"),
        ({"startsAt": "tomorrow"}, "startsAt"),
        ({"startsAt": "2027-05-01T20:00:00"}, "startsAt"),
        ({"startsAt": "0001-01-01T00:00:00+14:00"}, "startsAt"),
        ({"startsAt": 1_800_000_000}, "startsAt"),
        ({"description": "x" * 5_001}, "description"),
        ({"limitPerPerson": 0}, "limitPerPerson"),
        ({"limitPerPerson": 101}, "limitPerPerson"),
        ({"limitPerPerson": "4"}, "limitPerPerson"),
        ({"limitPerPerson": True}, "limitPerPerson"),
    ],
)
def test_a_wrong_value_is_an_error_at_its_field(seller: FlaskClient, changes, wrong) -> None:
    response = seller.post("/api/tickets", json=TICKET | changes)
    assert response.status_code == 400
    assert fields(response) == [wrong]


def test_every_wrong_field_is_named(seller: FlaskClient) -> None:
    response = seller.post("/api/tickets", json={"quantity": 0})
    assert response.status_code == 400
    assert sorted(map(str, fields(response))) == ["price", "quantity", "title"]
    assert response.get_json()["errors"][0] == {"message": "title is required", "field": "title"}


@pytest.mark.parametrize("body", ["", "{", "[]", '"text"', "null", '{"price": NaN}', "\udcff"])
def test_a_body_that_is_no_object_is_refused(seller: FlaskClient, body: str) -> None:
    response = seller.post("/api/tickets", data=body.encode("utf-8", "surrogateescape"))
    assert response.status_code == 400
    assert "The body must be" in response.get_json()["errors"][0]["message"]


def test_an_exponent_beyond_reason_is_an_error_not_a_crash(seller: FlaskClient) -> None:
    for number in ("1e999999", "1e-999999", "-1e400"):
        body = f'{{"title": "T", "price": {number}}}'
        response = seller.post("/api/tickets", data=body, content_type="application/json")
        assert response.status_code == 400, number
        assert fields(response) == ["price"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (*TICKET, "quantity", "currency", "venue", "startsAt", "description", "limitPerPerson"),
            json_values,
        ),
    )
)
def test_no_body_makes_the_server_fail(seller: FlaskClient, body: dict[str, Any]) -> None:
    assert seller.post("/api/tickets", json=body).status_code in (201, 400)


def test_selling_and_changing_need_a_session(visitor: FlaskClient, seller: FlaskClient) -> None:
    path = f"/api/tickets/{create(seller)['id']}"
    assert visitor.post("/api/tickets", json=TICKET).status_code == 401
    assert visitor.put(path, json=TICKET).status_code == 401
    assert visitor.delete(path).status_code == 401


def test_only_the_seller_changes_a_ticket(stranger: FlaskClient, seller: FlaskClient) -> None:
    path = f"/api/tickets/{create(seller)['id']}"
    assert stranger.put(path, json=TICKET).status_code == 403
    assert stranger.delete(path).status_code == 403
    assert seller.get(path).get_json()["version"] == 0


@pytest.mark.parametrize("ticket_id", ["f" * 24, "short", "F" * 24, "%00", "..%2f"])
def test_what_is_not_there_is_not_found(seller: FlaskClient, ticket_id: str) -> None:
    path = f"/api/tickets/{ticket_id}"
    assert seller.get(path).status_code == 404
    assert seller.put(path, json=TICKET).status_code == 404
    assert seller.delete(path).status_code == 404


def test_a_wrong_method_is_refused(seller: FlaskClient) -> None:
    response = seller.patch("/api/tickets")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


# --- changing -------------------------------------------------------------------------------------


def test_a_change_raises_the_version(seller: FlaskClient) -> None:
    created = create(seller, venue="Hall", quantity=4)
    path = f"/api/tickets/{created['id']}"
    response = seller.put(path, json={"title": "Ballet", "price": 19.99})
    assert response.status_code == 200
    assert response.headers["ETag"] == '"1-0"'
    changed = response.get_json()
    assert (changed["title"], changed["price"], changed["version"]) == ("Ballet", 19.99, 1)


def test_the_limit_per_person_stays_unless_it_is_named(seller: FlaskClient) -> None:
    created = create(seller, quantity=50, limitPerPerson=4)
    path = f"/api/tickets/{created['id']}"
    for changes, limit in (({}, 4), ({"limitPerPerson": 100}, 100)):
        assert seller.put(path, json=TICKET | changes).get_json()["limitPerPerson"] == limit
    without = seller.put(path, json=TICKET | {"limitPerPerson": None}).get_json()
    assert (without["version"], without["quantity"]) == (3, 50)
    assert "limitPerPerson" not in without


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"0-0"', 200),
        ('"0-77"', 200),  # somebody reserved meanwhile; that is no other version
        ('W/"0-0"', 200),
        ("*", 200),
        ('"1-0"', 412),
        ('"nonsense"', 412),
        ("0-0", 200),
    ],
)
def test_if_match_counts_the_version_only(seller: FlaskClient, tag: str, status: int) -> None:
    path = f"/api/tickets/{create(seller)['id']}"
    assert seller.put(path, json=TICKET, headers={"If-Match": tag}).status_code == status


def test_a_reserved_ticket_keeps_its_price(seller: FlaskClient, service: Tickets) -> None:
    ticket_id = create(seller)["id"]
    service.restock(ticket_id, Stock(0, 1, 1, 0, "0" * 24))
    response = seller.put(f"/api/tickets/{ticket_id}", json=TICKET)
    assert response.status_code == 400
    assert response.get_json() == {"errors": [{"message": "Ticket is reserved"}]}
    assert seller.get(f"/api/tickets/{ticket_id}").get_json()["orderId"] == "0" * 24


def test_the_quantity_stays_above_what_is_held(seller: FlaskClient, service: Tickets) -> None:
    ticket_id = create(seller, quantity=10)["id"]
    service.restock(ticket_id, Stock(0, 1, 10, 6))
    response = seller.put(f"/api/tickets/{ticket_id}", json=TICKET | {"quantity": 3})
    assert response.status_code == 400
    assert fields(response) == ["quantity"]
    assert seller.put(f"/api/tickets/{ticket_id}", json=TICKET | {"quantity": 4}).status_code == 200


def test_withdrawing_can_be_repeated_and_the_ticket_stays_readable(seller: FlaskClient) -> None:
    path = f"/api/tickets/{create(seller, quantity=5)['id']}"
    assert [seller.delete(path).status_code for _ in range(2)] == [204, 204]
    shown = seller.get(path).get_json()
    assert (shown["available"], shown["version"]) == (0, 1)
    assert seller.get("/api/tickets").get_json() == []
    assert seller.put(path, json=TICKET).status_code == 400


# --- repeating ------------------------------------------------------------------------------------


def test_the_same_key_makes_one_ticket(seller: FlaskClient, stranger: FlaskClient) -> None:
    key = {"Idempotency-Key": "once"}
    first, again = (seller.post("/api/tickets", json=TICKET, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.get_json() == again.get_json()
    other = seller.post("/api/tickets", json=TICKET | {"price": 21}, headers=key)
    assert other.status_code == 422
    theirs = stranger.post("/api/tickets", json=TICKET, headers=key)
    assert theirs.get_json()["id"] != first.get_json()["id"]
    assert len(seller.get("/api/tickets").get_json()) == 2


def test_the_same_key_changes_a_ticket_once(seller: FlaskClient) -> None:
    path = f"/api/tickets/{create(seller)['id']}"
    headers = {"Idempotency-Key": "once", "If-Match": '"0-0"'}
    answers = [seller.put(path, json=TICKET, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.get_json()["version"] for answer in answers] == [1, 1]
    other = seller.put(path, json=TICKET | {"price": 30}, headers=headers)
    assert other.status_code == 422
    assert seller.put(path, json=TICKET, headers={"Idempotency-Key": "x" * 256}).status_code == 400


# --- reading --------------------------------------------------------------------------------------


def test_an_unchanged_ticket_is_not_sent_again(seller: FlaskClient, service: Tickets) -> None:
    ticket_id = create(seller)["id"]
    path = f"/api/tickets/{ticket_id}"
    tag = {"If-None-Match": seller.get(path).headers["ETag"]}
    unchanged = seller.get(path, headers=tag)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    service.restock(ticket_id, Stock(0, 1, 1, 0))
    changed = seller.get(path, headers=tag)
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"0-1"')


def test_the_list_is_walked_by_its_links(seller: FlaskClient, visitor: FlaskClient) -> None:
    created = [create(seller, price=10 + number)["id"] for number in range(5)]
    url: str | None = "/api/tickets?limit=2&sort=price"
    pages: list[list[str]] = []
    while url:
        response = visitor.get(url)
        pages.append([ticket["id"] for ticket in response.get_json()])
        link = re.fullmatch('<(.*)>; rel="next"', response.headers.get("Link", ""))
        url = link[1] if link else None
    assert pages == [created[:2], created[2:4], created[4:]]


def test_what_a_change_leaves_out_stays_as_it_is(seller: FlaskClient) -> None:
    ticket = create(seller, quantity=500, venue="Hall", currency="jpy", price=2000)
    changed = seller.put(f"/api/tickets/{ticket['id']}", json={"title": "Ballet", "price": 3000})
    assert changed.get_json() == ticket | {"title": "Ballet", "price": 3000, "version": 1}


def test_a_changed_price_must_fit_the_currency_that_the_ticket_has(seller: FlaskClient) -> None:
    path = f"/api/tickets/{create(seller, currency='jpy', price=2000)['id']}"
    refused = seller.put(path, json={"title": "Ballet", "price": 20.5})
    assert (refused.status_code, fields(refused)) == (400, ["price"])
    assert (
        seller.put(path, json={"title": "A", "price": 20.5, "currency": "usd"}).status_code == 200
    )


def test_the_list_holds_fifty_by_default(seller: FlaskClient) -> None:
    for _ in range(51):
        create(seller)
    assert len(seller.get("/api/tickets").get_json()) == 50
    assert len(seller.get("/api/tickets?limit=100").get_json()) == 51


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("sort=title", "sort"),
        ("after=tampered", "after"),
    ],
)
def test_a_wrong_query_is_refused(visitor: FlaskClient, query: str, wrong: str) -> None:
    response = visitor.get(f"/api/tickets?{query}")
    assert response.status_code == 400
    assert fields(response) == [wrong]


def test_a_cursor_is_good_for_its_own_order_only(seller: FlaskClient) -> None:
    for _ in range(2):
        create(seller)
    link = seller.get("/api/tickets?limit=1&sort=price").headers["Link"]
    cursor = re.search(r"after=([^&>]+)", link)
    assert cursor is not None
    assert seller.get(f"/api/tickets?sort=price&after={cursor[1]}").status_code == 200
    assert seller.get(f"/api/tickets?sort=date&after={cursor[1]}").status_code == 400


def test_the_list_is_searched(seller: FlaskClient) -> None:
    create(seller, title="Jazz", venue="Old Barn")
    create(seller, title="Rock")
    found = seller.get("/api/tickets?q=bArN").get_json()
    assert [ticket["title"] for ticket in found] == ["Jazz"]
