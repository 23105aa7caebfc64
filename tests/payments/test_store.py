"""How payments are found: by what is due, by their order, payment, intent and key."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import mongomock
import pytest

from apps.payments import store as store_module
from apps.payments.models import Attempt
from apps.payments.store import LONG_AGO
from apps.payments.store import Payments as Store
from tests.payments.market import BUYER, ORDER
from tests.payments.test_models import INTENT, NEW, NOW, PAYMENT, VISA

OTHER = "0c0e00000000000000000002"


@pytest.fixture
def store() -> Iterator[Store]:
    with mongomock.MongoClient(tz_aware=True) as client:
        store = Store(client["payments"])
        store.ensure_indexes()
        yield store


def test_a_payment_comes_back_as_it_was_stored(store: Store) -> None:
    attempt = Attempt(1, VISA, "declined", "No.", "key", "hash")
    payment = replace(NEW, intent=INTENT, attempts=(attempt,), settle_at=NOW)
    assert store.insert(payment)
    assert store.require(ORDER) == payment
    assert store.by_payment_id(PAYMENT) == payment
    assert store.by_intent("pi_1") == payment
    assert store.by_key(BUYER, "key") == payment


def test_what_is_not_there(store: Store) -> None:
    store.insert(NEW)
    assert store.by_payment_id(ORDER) is None
    assert store.by_intent("pi_2") is None
    assert store.by_key(BUYER, "key") is None
    with pytest.raises(KeyError):
        store.require(OTHER)


def test_an_order_has_one_payment(store: Store) -> None:
    assert store.insert(NEW)
    assert not store.insert(replace(NEW, payment_id=OTHER))
    assert store.require(ORDER) == NEW


def test_looking_for_what_is_due_leaves_out_what_waits_for_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing sorts before any date, and the embedded server reads all from there on."""
    store.insert(replace(NEW, settle_at=None))
    store.insert(replace(NEW, id=OTHER, payment_id=OTHER, settle_at=NOW))
    asked: list[dict[str, Any]] = []
    find = store._payments.find

    def watched(condition: dict[str, Any], *more: Any) -> Any:
        asked.append(condition)
        return find(condition, *more)

    monkeypatch.setattr(store._payments, "find", watched)
    assert store.due(NOW) == [OTHER]
    assert asked == [{"settle_at": {"$gt": LONG_AGO, "$lte": NOW}}]


def test_the_longest_overdue_come_first_and_no_round_takes_on_too_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SWEEP", 2)
    for number, seconds in enumerate((1, 3, 2, 0, -1)):
        settle_at = NOW - timedelta(seconds=seconds)
        name = f"{number:024}"
        store.insert(replace(NEW, id=name, payment_id=name, settle_at=settle_at))
    store.insert(NEW)
    assert store.due(NOW) == [f"{1:024}", f"{2:024}"]
    monkeypatch.setattr(store_module, "SWEEP", 9)
    assert store.due(NOW) == [f"{number:024}" for number in (1, 2, 0, 3)]
