"""Tickets in a database, and lists that are read a page at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mongomock import MongoClient
from pymongo.errors import DuplicateKeyError

from apps.tickets import models, shelf
from apps.tickets.models import Details, Stock, Ticket
from apps.tickets.shelf import Shelf
from apps.tickets.store import Search, Sort, Tickets

START = datetime(2026, 11, 1, tzinfo=UTC)


def add(store: Tickets, number: int, **details: object) -> Ticket:
    wanted = replace(Details(f"Concert {number}", 1_000 + number, "usd", 5), **details)
    ticket, event = models.create(
        f"{number:04x}".ljust(24, "0"), "seller", wanted, START + timedelta(minutes=number)
    )
    return store.aggregates.insert(ticket, event)


def walk(store: Tickets, sort: Sort, limit: int, text: str = "", **filters: Any) -> list[str]:
    """The titles on all pages of a list, each page asked for by the place that the last named."""
    titles: list[str] = []
    after = None
    while True:
        page = store.on_sale(Search(sort, text, **filters), START, after, limit)
        assert len(page.tickets) <= limit
        assert page.tickets or after is None, "a link led to an empty page"
        titles += [ticket.title for ticket in page.tickets]
        if page.following is None:
            return titles
        after = page.following


def test_pages_show_each_ticket_once_in_the_order_asked_for(store: Tickets) -> None:
    for number in range(23):
        add(store, number, starts_at=START + timedelta(days=40 - number))
    titles = [f"Concert {number}" for number in range(23)]
    for limit in (1, 7, 22, 23, 50):
        assert walk(store, "price", limit) == titles
        assert walk(store, "-price", limit) == titles[::-1]
        assert walk(store, "newest", limit) == titles[::-1]
        assert walk(store, "date", limit) == titles[::-1]


def test_what_cannot_be_bought_is_not_listed(store: Tickets) -> None:
    add(store, 1)
    sold_out, withdrawn = add(store, 2), add(store, 3)
    gone = Stock(0, 1, 5, 0)
    store.aggregates.update(sold_out.id, lambda ticket: models.restock(ticket, gone))
    store.aggregates.update(withdrawn.id, lambda ticket: models.withdraw(ticket, START))
    assert walk(store, "newest", 10) == ["Concert 1"]
    back = Stock(0, 2, 5, 1)
    store.aggregates.update(sold_out.id, lambda ticket: models.restock(ticket, back))
    assert walk(store, "newest", 10) == ["Concert 2", "Concert 1"]


def test_search_finds_parts_of_title_and_venue_in_any_case(store: Tickets) -> None:
    add(store, 1, title="Straßenfest (live)", venue="Old Town")
    add(store, 2, title="Oldest Songs", venue="Hall")
    add(store, 3, title="Jazz.Night")
    assert walk(store, "price", 1, "OLD") == ["Straßenfest (live)", "Oldest Songs"]
    assert walk(store, "price", 10, "STRASSE") == ["Straßenfest (live)"]
    assert walk(store, "price", 10, "(LIVE") == ["Straßenfest (live)"]
    assert walk(store, "price", 10, "z.n") == ["Jazz.Night"]
    assert walk(store, "price", 10, "j.z") == []


FILTERS = [
    ({"since": START + timedelta(days=3), "until": START + timedelta(days=6)}, {3, 4, 5}),
    ({"since": START + timedelta(days=7)}, {7, 8}),
    ({"until": START + timedelta(days=2)}, {1}),
    ({"lowest": 1_003, "highest": 1_005}, {3, 4, 5}),
    ({"lowest": 1_008}, {8, 9}),
    ({"highest": 1_001}, {1}),
    ({"since": START + timedelta(days=2), "highest": 1_004}, {2, 3, 4}),
    ({"text": "concert 4", "lowest": 1_004}, {4}),
    ({"text": "concert 4", "lowest": 1_005}, set[int]()),
]


@pytest.mark.parametrize("sort", ["newest", "price", "-price", "date"])
@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_filters_mean_the_same_in_every_order(store: Tickets, sort, filters, expected) -> None:
    for number in range(1, 9):
        add(store, number, starts_at=START + timedelta(days=number))
    add(store, 9)  # without a date: never among what begins on certain days
    for limit in (1, 2, 50):
        titles = walk(store, sort, limit, **filters)
        assert set(titles) == {f"Concert {number}" for number in expected}
        assert len(titles) == len(expected)


@pytest.mark.parametrize("sort", ["newest", "price", "-price", "date"])
def test_what_has_begun_is_not_listed(store: Tickets, sort: Sort) -> None:
    add(store, 1, starts_at=START - timedelta(seconds=1))
    add(store, 2, starts_at=START)
    add(store, 3, starts_at=START + timedelta(seconds=1))
    add(store, 4)
    assert sorted(walk(store, sort, 10)) == ["Concert 3", "Concert 4"]
    assert sorted(walk(store, sort, 10, since=START - timedelta(days=1))) == ["Concert 3"]


def test_what_has_begun_is_cleared_away_once(store: Tickets) -> None:
    begun = add(store, 1, starts_at=START)
    add(store, 2, starts_at=START + timedelta(hours=1))
    assert store.past(START, 10) == [begun.id]
    store.aggregates.update(begun.id, lambda ticket: models.clear_past(ticket, START))
    assert store.past(START, 10) == []


def test_prices_are_compared_by_the_number_that_people_read(store: Tickets) -> None:
    add(store, 1, unit_amount=4_500, currency="usd")
    add(store, 2, unit_amount=4_500, currency="jpy")
    assert walk(store, "price", 10) == ["Concert 1", "Concert 2"]
    assert walk(store, "price", 10, highest=450_000, lowest=4_501) == ["Concert 2"]


@pytest.mark.parametrize("sort", ["newest", "-price"])
def test_a_search_without_end_stops_and_goes_on(
    store: Tickets, sort: Sort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "_STRETCH", 2)
    monkeypatch.setattr(shelf, "_MOST_STRETCHES", 3)
    for number in range(40):
        add(store, number)
    pages = []
    after = None
    while not pages or after is not None:
        page = store.on_sale(Search(sort, "concert 2"), START, after, 5)
        pages.append([ticket.title for ticket in page.tickets])
        after = page.following
    assert [] in pages, "no page stopped early"
    found = [title for page in pages for title in page]
    assert sorted(found) == sorted(f"Concert {n}" for n in (2, *range(20, 30)))


def test_sellers_see_all_of_theirs_and_nobody_elses(store: Tickets) -> None:
    first, second = add(store, 1), add(store, 2)
    store.aggregates.update(first.id, lambda ticket: models.withdraw(ticket, START))
    page = store.of_seller("seller", None, 1)
    assert [ticket.id for ticket in page.tickets] == [second.id]
    page = store.of_seller("seller", page.following, 1)
    assert [ticket.id for ticket in page.tickets] == [first.id]
    assert page.following is None
    assert store.of_seller("somebody else", None, 10).tickets == []


def test_a_key_belongs_to_one_ticket_of_a_seller(store: Tickets) -> None:
    def create(ticket_id: str, seller: str) -> None:
        ticket, event = models.create(ticket_id, seller, Details("T", 100, "usd", 1), START)
        store.aggregates.insert(models.with_key(ticket, "key", "hash"), event)

    create("a" * 24, "seller")
    create("b" * 24, "another seller")
    with pytest.raises(DuplicateKeyError):
        create("c" * 24, "seller")


def test_availability_is_stored_without_an_event(store: Tickets) -> None:
    ticket = add(store, 1)
    store.aggregates.update(ticket.id, lambda t: models.restock(t, Stock(0, 3, 5, 2)))
    document = store.aggregates.collection.find_one({"_id": ticket.id})
    assert document is not None
    assert (document["version"], document["rev"], len(document["outbox"])) == (0, 1, 1)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 300)),
        st.tuples(st.just("remove"), st.integers(0, 300)),
        st.tuples(st.just("read"), st.integers(1, 12)),
        st.tuples(st.just("read from"), st.integers(0, 300)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=60)
@given(steps, st.booleans())
def test_fences_never_change_what_is_on_a_page(steps, descending) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Small enough that a few documents make many stretches, and crossings happen.
        patch.setattr(shelf, "_STRETCH", 3)
        patch.setattr(shelf, "_SURVEY", 10)
        patch.setattr(shelf, "_MOST_CROSSED", 2)
        patch.setattr(shelf, "_MOST_FENCES", 20)
        documents = MongoClient()["tickets"]["tickets"]
        list_of = Shelf(documents, "price", descending=descending)
        present: set[int] = set()
        for step, number in steps:
            if step == "add":
                documents.replace_one(
                    {"_id": number}, {"_id": number, "listed": {"price": number}}, upsert=True
                )
                present.add(number)
            elif step == "remove":
                documents.delete_one({"_id": number})
                present.discard(number)
            else:
                after = number if step == "read from" else None
                limit = 5 if step == "read from" else number
                found = [list_of.place(document) for document in list_of.read(after, limit).found]
                expected = sorted(present, reverse=descending)
                if after is not None:
                    beyond = after.__gt__ if descending else after.__lt__
                    expected = [place for place in expected if beyond(place)]
                assert found == expected[:limit]


def test_a_page_asks_for_a_short_stretch_of_a_long_list(store: Tickets, monkeypatch) -> None:
    for number in range(300):
        add(store, number)
    store.on_sale(Search("price"), START, None, 50)  # surveys the list
    asked: list[int] = []
    find = Shelf._find

    def count(self, condition, limit, fields=None):
        asked.append(self._documents.count_documents(condition))
        return find(self, condition, limit, fields)

    monkeypatch.setattr(Shelf, "_find", count)
    page = store.on_sale(Search("price"), START, None, 50)
    assert len(page.tickets) == 50
    assert sum(asked) <= 100
