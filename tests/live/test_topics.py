"""What may be asked for, and whom each event concerns."""

import json
from pathlib import Path

import pytest

from apps.live.topics import MOST, Key, asked, concerned, is_public, key
from shared.bus import TOLD
from shared.errors import InvalidInput

GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"
TICKET, ORDER = "71cce7000000000000000001", "0d0e00000000000000000001"
BUYER, SELLER = "b07e50000000000000000001", "5e11e7000000000000000001"


def event(subject: str) -> bytes:
    """The event as it is on the wire, about the ticket, the order and the people above."""
    text = (GOLDEN / f"{subject}.json").read_text()
    data = json.loads(text)["data"]
    names = NAMES[subject.partition(".")[0]]
    return json.dumps({**json.loads(text), "data": {**data, **names}}).encode()


NAMES = {
    "ticket": {"id": TICKET, "userId": SELLER},
    "order": {"id": ORDER, "userId": BUYER},
    "payment": {"orderId": ORDER, "userId": BUYER},
}
BUYERS = {Key(BUYER, f"order:{ORDER}"), Key(BUYER, "orders")}


def test_each_topic_is_asked_for_once() -> None:
    names = ["orders", f"ticket:{TICKET}", "orders", f"order:{ORDER}", "sales"]
    assert asked(names) == ["orders", f"ticket:{TICKET}", f"order:{ORDER}", "sales"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "ticket",
        "ticket:",
        "ticket:x",
        f"ticket:{TICKET.upper()}",
        f"ticket:{TICKET}0",
        f"orders:{ORDER}",
        f"order:{ORDER}\n",
        f"user:{BUYER}",
        "sales:",
        "*",
        "ticket:*",
        "order.*",
    ],
)
def test_what_is_no_topic_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(["orders", name])
    assert [error.field for error in refused.value.errors] == ["topic"]


def test_none_and_too_many_are_refused() -> None:
    many = [f"ticket:{number:024x}" for number in range(MOST + 1)]
    assert asked(many[:MOST]) == many[:MOST]
    for names in ([], many):
        with pytest.raises(InvalidInput):
            asked(names)


def test_only_tickets_are_everybodys() -> None:
    assert is_public(f"ticket:{TICKET}")
    assert key(f"ticket:{TICKET}", BUYER) == key(f"ticket:{TICKET}", None)
    for topic in (f"order:{ORDER}", "orders", "sales"):
        assert not is_public(topic)
        assert key(topic, BUYER) != key(topic, SELLER)


@pytest.mark.parametrize("subject", ["ticket.created", "ticket.updated"])
def test_a_ticket_concerns_everybody_and_its_seller(subject: str) -> None:
    assert set(concerned(subject, event(subject))) == {
        Key(None, f"ticket:{TICKET}"),
        Key(SELLER, "sales"),
    }


@pytest.mark.parametrize(
    "subject", ["order.created", "order.awaiting-payment", "order.completed", "order.cancelled"]
)
def test_an_order_concerns_its_buyer_and_the_seller_and_nobody_else(subject: str) -> None:
    assert set(concerned(subject, event(subject))) == BUYERS | {Key(SELLER, "sales")}


def test_an_order_from_before_sellers_were_named_concerns_its_buyer() -> None:
    older = json.loads(event("order.created"))
    del older["data"]["ticket"]["sellerId"]
    keys = set(concerned("order.created", json.dumps(older).encode()))
    assert keys == BUYERS | {Key("", "sales")}
    assert key("sales", None) not in keys


@pytest.mark.parametrize(
    "subject", ["payment.created", "payment.completed", "payment.failed", "payment.refunded"]
)
def test_a_payment_concerns_its_buyer_only(subject: str) -> None:
    assert set(concerned(subject, event(subject))) == BUYERS


def test_what_a_service_tells_goes_where_it_says() -> None:
    said = json.dumps({"topic": f"ticket:{TICKET}", "userId": None}).encode()
    assert concerned(TOLD, said) == [Key(None, f"ticket:{TICKET}")]
    assert concerned(TOLD, b'{"topic": "sales", "userId": "me"}') == [Key("me", "sales")]


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"subject": "order.eaten"}', b"[]"])
def test_what_is_unreadable_says_so(payload: bytes) -> None:
    for subject in ("order.created", TOLD):
        with pytest.raises(ValueError):  # noqa: PT011 - the kind of error is what the caller relies on
            concerned(subject, payload)
