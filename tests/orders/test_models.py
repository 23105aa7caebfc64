"""The rules of orders and blocks, without any storage."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.orders import models
from apps.orders.models import Change, Order, Pair
from apps.orders.onsale import Ordered
from apps.orders.units import Block, Units, block_ids, blocks_needed, moves
from shared.errors import Forbidden, NotFound, Refused
from shared.events import Event, OrderCancelled, OrderCreated
from tests.orders.world import BUYER, HOLD, OTHER, PAIR, SELLER, START, TICKET

IN_TIME = START + timedelta(minutes=1)
LATE = START + HOLD
OTHER_PAIR = Pair(PAIR.payment_id, 2)

CREATED = Order(
    id="0de200000000000000000001",
    version=3,
    status="created",
    user_id=BUYER,
    quantity=2,
    amount=3900,
    currency="usd",
    ticket=Ordered(TICKET, "Concert", 1950, 4, SELLER),
    blocks=(Units(f"{TICKET}:0", 2),),
    created_at=START,
    expires_at=START + HOLD,
    updated_at=START,
)
AWAITING = replace(CREATED, status="awaiting:payment", payment=PAIR)
COMPLETE = replace(AWAITING, status="complete")
CANCELLED = replace(CREATED, status="cancelled", reason="buyer")
STATES = {order.status: order for order in (CREATED, AWAITING, COMPLETE, CANCELLED)}
IGNORED = "ignored"

Transition = Callable[[Order], Change]


def authorised(pair: Pair) -> Transition:
    return lambda order: models.commit(order, pair, IN_TIME)


def captured(pair: Pair) -> Transition:
    return lambda order: models.complete(order, pair, IN_TIME)


def dead(pair: Pair, now: object = IN_TIME) -> Transition:
    return lambda order: models.payment_failed(order, pair, now)  # type: ignore[arg-type]


# What happens: {the order's state: (its state afterwards, what it says)}
TABLE: dict[str, tuple[Transition, dict[str, tuple[str, str]]]] = {
    "PaymentCreated": (
        authorised(PAIR),
        {
            "created": ("awaiting:payment", "OrderAwaitingPayment"),
            "awaiting:payment": ("awaiting:payment", "OrderAwaitingPayment"),
            "complete": ("complete", IGNORED),
            "cancelled": ("cancelled", "OrderCancelled"),
        },
    ),
    "PaymentCreated of another attempt": (
        authorised(OTHER_PAIR),
        {
            "awaiting:payment": ("awaiting:payment", IGNORED),
            "complete": ("complete", IGNORED),
            "cancelled": ("cancelled", "OrderCancelled"),
        },
    ),
    "PaymentCreated past the hold": (
        lambda order: models.commit(order, PAIR, LATE + HOLD),
        {"created": ("awaiting:payment", "OrderAwaitingPayment")},
    ),
    "PaymentCompleted": (
        captured(PAIR),
        {
            "created": ("complete", "OrderCompleted"),
            "awaiting:payment": ("complete", "OrderCompleted"),
            "complete": ("complete", IGNORED),
            "cancelled": ("cancelled", "OrderCancelled"),
        },
    ),
    "PaymentCompleted of another attempt": (
        captured(OTHER_PAIR),
        {
            "awaiting:payment": ("awaiting:payment", IGNORED),
            "complete": ("complete", IGNORED),
            "cancelled": ("cancelled", "OrderCancelled"),
        },
    ),
    "PaymentFailed in time": (
        dead(PAIR),
        {
            "created": ("created", IGNORED),
            "awaiting:payment": ("created", "OrderCreated"),
            "complete": ("complete", IGNORED),
            "cancelled": ("cancelled", IGNORED),
        },
    ),
    "PaymentFailed past the hold": (
        dead(PAIR, LATE),
        {
            "created": ("created", IGNORED),
            "awaiting:payment": ("cancelled", "OrderCancelled"),
            "complete": ("complete", IGNORED),
            "cancelled": ("cancelled", IGNORED),
        },
    ),
    "PaymentFailed of another attempt": (
        dead(OTHER_PAIR, LATE),
        {
            "awaiting:payment": ("awaiting:payment", IGNORED),
            "complete": ("complete", IGNORED),
        },
    ),
    "the hold is over": (
        lambda order: models.expire(order, LATE),
        {
            "created": ("cancelled", "OrderCancelled"),
            "awaiting:payment": ("awaiting:payment", IGNORED),
            "complete": ("complete", IGNORED),
            "cancelled": ("cancelled", IGNORED),
        },
    ),
    "an alarm that is early": (
        lambda order: models.expire(order, LATE - timedelta(milliseconds=1)),
        {"created": ("created", IGNORED)},
    ),
    "the buyer cancels": (
        lambda order: models.cancel(order, "buyer", IN_TIME),
        {
            "created": ("cancelled", "OrderCancelled"),
            "awaiting:payment": ("awaiting:payment", "PaymentInProgress"),
            "complete": ("complete", "OrderPaid"),
            "cancelled": ("cancelled", IGNORED),
        },
    ),
    "PaymentRefunded": (
        lambda order: models.refund(order, PAIR, 500, IN_TIME),
        {
            "created": ("created", IGNORED),
            "awaiting:payment": ("awaiting:payment", "OrderAwaitingPayment"),
            "complete": ("complete", "OrderCompleted"),
            "cancelled": ("cancelled", IGNORED),
        },
    ),
    "PaymentRefunded of another attempt": (
        lambda order: models.refund(order, OTHER_PAIR, 500, IN_TIME),
        {"complete": ("complete", IGNORED), "awaiting:payment": ("awaiting:payment", IGNORED)},
    ),
}
CELLS = [
    pytest.param(transition, STATES[before], after, says, id=f"{event}: {before}")
    for event, (transition, cells) in TABLE.items()
    for before, (after, says) in cells.items()
]


@pytest.mark.parametrize(("transition", "before", "after", "says"), CELLS)
def test_transition_table(transition: Transition, before: Order, after: str, says: str) -> None:
    order, said = outcome(transition, before)
    assert (order.status, said) == (after, says)
    assert (order is before) == (said in (IGNORED, "OrderPaid", "PaymentInProgress"))


@pytest.mark.parametrize(("transition", "before", "after", "says"), CELLS)
def test_units_are_given_back_exactly_when_an_order_becomes_cancelled(
    transition: Transition, before: Order, after: str, says: str
) -> None:
    order, _ = outcome(transition, before)
    became_cancelled = after == "cancelled" and before.status != "cancelled"
    assert bool(order.release_pending) == became_cancelled
    assert bool(order.reason) == (after == "cancelled")


def outcome(transition: Transition, before: Order) -> tuple[Order, str]:
    """The order afterwards, and its event or its refusal by name."""
    try:
        order, event = transition(before)
    except Refused as refused:
        return before, type(refused).__name__
    return order, event.__name__ if event else IGNORED


def test_commit_keeps_the_payment_and_the_attempt() -> None:
    assert models.commit(CREATED, PAIR, IN_TIME)[0].payment == PAIR


def test_completion_without_a_commit_keeps_the_payment_too() -> None:
    """PaymentCompleted may overtake PaymentCreated."""
    order, _ = models.complete(CREATED, PAIR, IN_TIME)
    assert models.refund(order, PAIR, 100, IN_TIME)[0].refunded == 100


def test_a_dead_payment_is_forgotten_so_that_the_next_attempt_can_commit() -> None:
    order, _ = models.payment_failed(AWAITING, PAIR, IN_TIME)
    again, event = models.commit(order, OTHER_PAIR, IN_TIME)
    assert again.payment == OTHER_PAIR
    assert event is not None


def test_why_an_order_was_cancelled() -> None:
    reasons = [
        models.cancel(CREATED, "buyer", IN_TIME)[0].reason,
        models.cancel(CREATED, "seller", IN_TIME)[0].reason,
        models.expire(CREATED, LATE)[0].reason,
        models.payment_failed(AWAITING, PAIR, LATE)[0].reason,
    ]
    assert reasons == ["buyer", "seller", "expired", "payment"]


def test_a_payment_that_fails_with_the_last_moment_cancels() -> None:
    before = models.payment_failed(AWAITING, PAIR, LATE - timedelta(milliseconds=1))
    assert before == (replace(CREATED, updated_at=LATE - timedelta(milliseconds=1)), OrderCreated)
    assert models.payment_failed(AWAITING, PAIR, LATE)[1] is OrderCancelled


@pytest.mark.parametrize("amount", [0, 499, 500])
def test_an_older_refund_changes_nothing(amount: int) -> None:
    refunded = replace(COMPLETE, refunded=500)
    assert models.refund(refunded, PAIR, amount, IN_TIME) == (refunded, None)


def test_a_refund_that_failed_later_makes_the_tickets_good_again() -> None:
    refunded, _ = models.refund(COMPLETE, PAIR, 3900, IN_TIME)
    failed, event = models.refund(refunded, PAIR, 0, IN_TIME, returned=3900)
    assert (failed.is_refunded, failed.returned, event is not None) == (False, 3900, True)
    assert models.refund(failed, PAIR, 3900, IN_TIME) == (failed, None)


def test_a_larger_refund_replaces_the_amount() -> None:
    order, event = models.refund(replace(COMPLETE, refunded=500), PAIR, 3900, IN_TIME)
    assert (order.refunded, order.status, event is not None) == (3900, "complete", True)


@pytest.mark.parametrize(
    ("order", "passed", "reminds"),
    [
        (AWAITING, 14, False),
        (AWAITING, 15, True),
        (CREATED, 15, False),
        (COMPLETE, 15, False),
        (CANCELLED, 15, False),
    ],
)
def test_remind(order: Order, passed: int, reminds: bool) -> None:
    now = START + timedelta(seconds=passed)
    after, event = models.remind(order, now, timedelta(seconds=15))
    assert (event is not None) == reminds
    assert after.updated_at == (now if reminds else START)


@pytest.mark.parametrize("order", STATES.values(), ids=STATES)
def test_announcing_again_says_the_state(order: Order) -> None:
    again, event = models.announce(order, LATE)
    assert again == replace(order, updated_at=LATE)
    assert event is not None
    said = {
        "created": "OrderCreated",
        "awaiting:payment": "OrderAwaitingPayment",
        "complete": "OrderCompleted",
        "cancelled": "OrderCancelled",
    }
    assert event.__name__ == said[order.status]


def test_released_twice() -> None:
    pending = replace(CANCELLED, release_pending=True)
    assert models.released(pending) == (CANCELLED, None)
    assert models.released(CANCELLED)[0] is CANCELLED


def test_a_tombstone_can_never_be_revived() -> None:
    stone = models.tombstone(CREATED.id, f"{TICKET}:3", 2, LATE)
    assert (stone.ticket.id, stone.blocks) == (TICKET, (Units(f"{TICKET}:3", 2),))
    for change in (models.commit, models.complete):
        assert change(stone, PAIR, LATE)[0].status == "cancelled"


def test_events_carry_the_public_state_only() -> None:
    order = models.with_key(replace(COMPLETE, refunded=500), "a key", "a hash")
    event: Event = OrderCreated(data=models.public(order))
    assert event.to_dict()["data"] == {
        "id": order.id,
        "userId": BUYER,
        "status": "complete",
        "reason": None,
        "quantity": 2,
        "amount": 3900,
        "currency": "usd",
        "expiresAt": "2027-05-01T20:15:00Z",
        "ticket": {
            "id": TICKET,
            "title": "Concert",
            "unitAmount": 1950,
            "version": 4,
            "sellerId": order.ticket.seller_id,
        },
        "payment": {"paymentId": PAIR.payment_id, "attempt": 1},
        "refunded": 500,
        "returned": 0,
        "blocks": [f"{TICKET}:0"],
    }


def test_only_the_buyer_sees_an_order() -> None:
    assert models.require_buyer(CREATED, BUYER) is CREATED
    with pytest.raises(Forbidden):
        models.require_buyer(CREATED, OTHER)
    with pytest.raises(NotFound):
        models.require_buyer(None, BUYER)


# --- allotment ------------------------------------------------------------------------------------


@st.composite
def some_blocks(draw: st.DrawFn) -> tuple[list[Block], int]:
    """Blocks of a size as they can be: never fuller than the size."""
    size = draw(st.integers(1, 100))
    blocks: list[Block] = []
    for number in range(draw(st.integers(1, 8))):
        capacity = draw(st.integers(0, size))
        blocks.append(Block(f"t:{number}", capacity, draw(st.integers(0, capacity))))
    return blocks, size


def apply(blocks: list[Block], wanted: int, size: int) -> list[Block]:
    changes = {move.block: move.units for move in moves(blocks, wanted, size)}
    return [
        Block(b.id, b.capacity + changes.get(b.id, 0), b.available + changes.get(b.id, 0))
        for b in blocks
    ]


@given(some_blocks(), st.integers(1, 900))
def test_allotting_moves_free_units_only(given: tuple[list[Block], int], quantity: int) -> None:
    blocks, size = given
    after = apply(blocks, quantity, size)
    for before, block in zip(blocks, after, strict=True):
        assert block.capacity - block.available == before.capacity - before.available
        assert block.available >= 0
        assert block.capacity <= size


@given(some_blocks(), st.integers(1, 900))
def test_allotting_reaches_the_quantity_unless_units_or_room_are_missing(
    given: tuple[list[Block], int], quantity: int
) -> None:
    blocks, size = given
    after = apply(blocks, quantity, size)
    total = sum(block.capacity for block in after)
    taken = sum(block.capacity - block.available for block in blocks)
    assert total == max(taken, min(quantity, size * len(blocks)))


@given(some_blocks(), st.integers(1, 900))
def test_allotting_twice_changes_nothing_more(
    given: tuple[list[Block], int], quantity: int
) -> None:
    blocks, size = given
    assert moves(apply(blocks, quantity, size), quantity, size) == []


@given(some_blocks(), st.integers(1, 900))
def test_allotting_goes_one_way_and_asks_each_block_once(
    given: tuple[list[Block], int], quantity: int
) -> None:
    blocks, size = given
    wanted = moves(blocks, quantity, size)
    assert len({move.units > 0 for move in wanted}) <= 1
    assert len({move.block for move in wanted}) == len(wanted)


def test_growth_fills_the_first_blocks_and_shrinking_empties_the_last() -> None:
    blocks = [Block("t:0", 2, 2), Block("t:1", 4, 4)]
    assert [(move.block, move.units) for move in moves(blocks, 8, 5)] == [("t:0", 2)]
    assert [(m.block, m.units) for m in moves(blocks, 1, 5)] == [("t:1", -4), ("t:0", -1)]


@pytest.mark.parametrize(("quantity", "needed"), [(1, 1), (100, 1), (101, 2), (100_000, 1000)])
def test_blocks_needed(quantity: int, needed: int) -> None:
    assert blocks_needed(quantity, 100) == needed
    assert len(block_ids(TICKET, needed)) == needed
