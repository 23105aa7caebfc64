"""Cursors lead to the next page; one that this installation did not make leads nowhere."""

from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from shared.errors import InvalidInput
from shared.paging import Cursors, next_url

SECRET = "a secret of the tests"
positions = st.lists(st.one_of(st.integers(), st.text(), st.none()), max_size=4)


@given(positions)
def test_a_cursor_stands_for_its_position(position: list[Any]):
    cursors = Cursors(SECRET, "orders")
    assert cursors.read(cursors.make(position)) == position


@pytest.mark.parametrize("cursor", [None, ""])
def test_without_a_cursor_the_list_begins(cursor: str | None):
    assert Cursors(SECRET, "orders").read(cursor) is None


def forged() -> list[str]:
    good = Cursors(SECRET, "orders").make([1, "x"])
    payload, _, signature = good.partition(".")
    return [
        "x",
        "é",
        "a.b",
        "." + signature,
        payload + ".",
        payload + "." + signature[:-1],
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        URLSafeSerializer("another secret", salt="cursor:orders").dumps([1]),
        Cursors(SECRET, "tickets").make([1, "x"]),
        "A" * 10_000,
    ]


@pytest.mark.parametrize("cursor", forged(), ids=lambda cursor: cursor[:20])
def test_a_forged_cursor_is_refused_by_name(cursor: str):
    with pytest.raises(InvalidInput) as caught:
        Cursors(SECRET, "orders").read(cursor)
    (error,) = caught.value.errors
    assert (error.field, error.message) == ("after", "after is not a cursor of this list")


def test_the_next_page_keeps_what_was_asked_for():
    app = Flask("tests")
    with app.test_request_context("/api/orders?limit=2&after=old&q=a%26b"):
        assert next_url("new") == "/api/orders?limit=2&after=new&q=a%26b"
