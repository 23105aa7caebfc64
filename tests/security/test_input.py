"""Attacks by what a request says: operators, types, sizes, encodings. Each is a 4xx."""

import json
from typing import Any

import pytest

from dev.stack.settings import ROOT
from tests.system.http import Client
from tests.system.world import PASSWORD, Json, Person, World

# What to put where a text is wanted.
VALUES: dict[str, Any] = {
    "match_everything": {"$gt": ""},
    "match_everything_else": {"$ne": None},
    "match_a_pattern": {"$regex": ".*"},
    "run_code_in_the_database": {"$where": "sleep(1000)"},
    "pass_a_list": ["x"],
    "pass_a_number": 7,
    "pass_a_huge_number": 10**400,
    "pass_a_yes": True,
    "pass_nothing": None,
    "end_a_text_early": "a\x00b",
    "hide_a_control_character": "a\x1bb",
    "pass_half_a_character": "\ud800",
    "fill_the_memory": "x" * 60_000,
}

# Every route that takes JSON, and its fields that hold a text.
ROUTES: dict[str, tuple[str, str, Json, tuple[str, ...]]] = {
    "signin": (
        "POST", "/api/users/signin", {"email": "a@example.com", "password": PASSWORD},
        ("email", "password"),
    ),
    "signup": (
        "POST", "/api/users/signup", {"email": "a@example.com", "password": PASSWORD}, ("email",),
    ),
    "forgotten": ("POST", "/api/users/password/forgotten", {"email": "a@example.com"}, ("email",)),
    "reset": (
        "POST", "/api/users/password/reset", {"token": "x", "password": PASSWORD}, ("token",),
    ),
    "sell": ("POST", "/api/tickets", {"title": "T", "price": 20}, ("title", "currency")),
    "reserve": ("POST", "/api/orders", {"ticketId": "0" * 24}, ("ticketId",)),
    "pay": (
        "POST", "/api/payments", {"orderId": "0" * 24, "token": "tok_visa"}, ("orderId", "token"),
    ),
    "token": (
        "POST", "/api/users/tokens", {"name": "x", "scopes": ["read"], "days": 1}, ("name",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("want", VALUES)
@pytest.mark.parametrize("route", ROUTES)
def test_an_attacker_wants_to(attacker: Person, route: str, want: str):
    method, path, body, fields = ROUTES[route]
    for field in fields:
        answer = attacker.send(method, path, json.dumps({**body, field: VALUES[want]})).expect(400)
        named = {error.get("field") for error in answer.json["errors"]}
        # A text without a token is one more thing that is wrong; the absence has no field.
        assert field in named or None in named, answer.text


BODIES: dict[str, bytes] = {
    "let_two_readers_see_two_values": b'{"ticketId": "a", "ticketId": "b"}',
    "hide_a_second_value_by_an_escape": b'{"ticketId": "a", "ticket\\u0049d": "b"}',
    "nest_until_it_breaks": b'{"ticketId": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "nest_a_little_too_deep": b'{"ticketId": ' + b"[" * 9 + b"]" * 9 + b"}",
    "send_half_a_body": b'{"ticketId": "a',
    "send_two_bodies": b"{} {}",
    "send_bytes_that_are_no_text": b'{"ticketId": "\xff\xfe"}',
    "send_an_overlong_slash": b'{"ticketId": "\xc0\xaf"}',
    "send_utf_16": '{"ticketId": "a"}'.encode("utf-16"),
    "send_a_comment": b'{"ticketId": "a" /* x */}',
    "send_a_number_that_is_none": b'{"ticketId": "a", "quantity": NaN}',
    "send_a_number_without_end": b'{"ticketId": "a", "quantity": ' + b"9" * 6_000 + b"}",
    "send_an_absurd_power": b'{"ticketId": "a", "quantity": 1e99999999999999999999}',
    "send_a_list": b'[{"ticketId": "a"}]',
    "send_a_prototype": b'{"__proto__": {"quantity": 1}, "constructor": {"prototype": {}}}',
    "send_xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a/>',
    "send_a_pickle": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85R.",
    "send_nothing": b"",
}


@pytest.mark.parametrize("want", BODIES)
def test_an_attacker_wants_to_confuse_the_reader_and(attacker: Person, want: str):
    answer = attacker.send("POST", "/api/orders", BODIES[want]).expect(400)
    assert answer.json["errors"]


QUERIES = (
    "limit=0", "limit=-1", "limit=1e9", "limit=999999999999999999999999", "limit[$gt]=0&limit=x",
    "limit=1&limit=2", "sort=$where", "sort[]=x&sort=y", "q=%00", "q=%ff", "q=" + "x" * 300,
    "min=NaN", "max=1e99999", "from=2020-13-45", "to=[]", "after[]=x&after=y", "q=%ed%a0%80",
)  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_an_attacker_wants_a_query_to_break(world: World, query: str):
    for path in ("/api/tickets", "/tickets"):
        world.visitor().get(f"{path}?{query}").expect(400)


FORMS = (
    "title=%ff&price=20", "title=a%00b&price=20", "title=a&title=b&price=20",
    "title[$gt]=&price=20",
    "title=a%0d%0ab&price=20", "title=%e2%80%ae&price=20", "title=a&price=" + "9" * 5_000,
    "&" * 2_000, "=" * 2_000, "%", "title=%ED%A0%80",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[:30])
def test_an_attacker_wants_a_form_to_break(attacker: Person, form: str):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    attacker.send("POST", "/tickets", form, kind).expect(400)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x", "a/b"])
def test_an_attacker_wants_another_kind_of_form(attacker: Person, kind: str):
    body = (
        '--x\r\nContent-Disposition: form-data; name="title"; filename="/etc/x"\r\n\r\na\r\n--x--'
    )
    attacker.send("POST", "/tickets", body, {"Content-Type": kind}).expect(400)


HEADERS = (
    {"Idempotency-Key": "x" * 300}, {"Idempotency-Key": "a\tb"}, {"If-Match": "1" * 5_000},
    {"If-Match": '"' + "9" * 5_000 + '-1"'}, {"If-Match": "٣"}, {"HX-Current-URL": "http://["},
    {"Origin": "http://["}, {"Cookie": "session=" + "x" * 9_000}, {"Cookie": "a" * 5_000},
    {"Authorization": "Bearer " + "x." * 3_000}, {"Content-Type": "application/json; charset=evil"},
    {"traceparent": "x" * 55}, {"Accept": "*" * 5_000}, {"Range": "bytes=0-,0-,0-"},
    {"If-None-Match": '"' * 500}, {"Accept-Encoding": "x" * 3_000}, {"HX-Request": "true"},
)  # fmt: skip


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: next(iter(headers)))
def test_an_attacker_wants_a_header_to_break(
    world: World, attacker: Person, ticket: Json, headers: dict[str, str]
):
    headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    for client in (attacker, world.visitor()):
        for method, path in (
            ("GET", f"/api/tickets/{ticket['id']}"),
            ("PUT", f"/api/tickets/{ticket['id']}"),
            ("POST", "/api/orders"),
            ("GET", "/orders"),
            ("POST", "/account/signin"),
        ):
            body = None if method == "GET" else '{"title": "T", "price": 20}'
            assert client.send(method, path, body, headers).status < 500, (method, path)


def test_an_attacker_wants_an_error_to_show_how_it_is_made(attacker: Person, world: World):
    """Nothing that went wrong in this folder may have been told in detail; here is one more."""
    traces = ("Traceback", 'File "', str(ROOT), ".py", "pymongo", "werkzeug", "127.0.0.1:")
    for path in ("/api/tickets/%F0", "/api/nothing", "/tickets/x/y/z", "/account/admin/x"):
        text = attacker.get(path).text
        assert not [trace for trace in traces if trace in text]
    assert "server" not in Client(world.stack.url).get("/api/tickets?limit=1").headers
