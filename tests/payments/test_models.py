"""The rules of payments: what each thing that is heard or seen makes of an order's payment."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.payments import changes, models, settling
from apps.payments.models import (
    Attempt,
    AttemptState,
    Intent,
    IntentStatus,
    Method,
    NotPayable,
    Order,
    Pair,
    Payment,
)
from apps.payments.settling import LISTEN, LOOK, RETRY
from shared.errors import Forbidden, KeyReused, NotFound
from shared.events import (
    OrderAwaitingPayment,
    OrderCancelled,
    OrderCreated,
    OrderData,
    OrderedTicket,
    OrderEvent,
    PaymentCompleted,
    PaymentCreated,
    PaymentFailed,
    PaymentPair,
    PaymentRefunded,
)
from tests.payments.market import AMOUNT, BUYER, ORDER, START

PAYMENT = "9a1d00000000000000000001"
NOW = START + timedelta(minutes=5)
LONG_AGO = START
VISA = Method("token", "tok_visa")
ORDERED = Order(0, 0, "created", BUYER, "Concert", 2, AMOUNT, "usd", START + timedelta(minutes=15))
INTENT = Intent("pi_1", 1, "requires_payment_method", "secret")
NEW = Payment(ORDER, 0, PAYMENT, ORDERED, START, START)

ATTEMPTS: list[AttemptState] = list(get_args(AttemptState))
STATUSES: list[IntentStatus] = list(get_args(IntentStatus))
# The state in which an intent is known while its last attempt is in the given one.
SHOWN: dict[AttemptState, IntentStatus] = {
    "started": "requires_payment_method",
    "action": "requires_action",
    "authorized": "requires_capture",
    "declined": "requires_payment_method",
    "lost": "requires_payment_method",
}


def paying(state: AttemptState, n: int = 1, **changes: Any) -> Payment:
    """A payment whose last attempt, of n, is in the given state."""
    earlier = [Attempt(number, VISA, "declined") for number in range(1, n)]
    attempts = (*earlier, Attempt(n, VISA, state))
    intent = replace(INTENT, status=SHOWN[state])
    return replace(NEW, intent=intent, attempts=attempts, **changes)


def ended(status: IntentStatus, captured: int = 0, refunded: int = 0) -> Payment:
    state: AttemptState = "authorized" if status == "succeeded" else "lost"
    payment = paying(state)
    intent = replace(INTENT, status=status, captured=captured, refunded=refunded)
    return replace(payment, intent=intent)


PAID = ended("succeeded", AMOUNT)


def with_order(payment: Payment, status: str, attempt: int | None = None) -> Payment:
    pair = Pair(PAYMENT, attempt) if attempt else None
    return replace(payment, order=replace(ORDERED, status=status, payment=pair))


def seen(status: IntentStatus, **changes: Any) -> Intent:
    return replace(INTENT, status=status, **changes)


# --- observe --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("state", ATTEMPTS)
def test_what_a_look_at_the_intent_makes_of_an_attempt(
    state: AttemptState, status: IntentStatus
) -> None:
    after, event = changes.observe(paying(state), seen(status), NOW)
    assert after.attempt is not None
    expected: dict[str, tuple[str, Any]] = {
        "succeeded": ("authorized", PaymentCompleted),
        "canceled": ("lost", PaymentFailed),
        "requires_capture": ("authorized", None if state == "authorized" else PaymentCreated),
    }
    if state == "action":
        expected["requires_payment_method"] = ("declined", None)
    assert (after.attempt.state, event) == expected.get(status, (state, None))


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("state", ATTEMPTS)
def test_what_an_attempts_own_answer_makes_of_it(state: AttemptState, status: IntentStatus) -> None:
    after, event = changes.observe(paying(state), seen(status), NOW, answer_to=1)
    looked, looked_event = changes.observe(paying(state), seen(status), NOW)
    assert after.attempt is not None
    assert looked.attempt is not None
    expected = {
        ("started", "requires_payment_method"): "declined",
        ("started", "requires_action"): "action",
        ("authorized", "requires_payment_method"): "lost",
    }
    assert after.attempt.state == expected.get((state, status), looked.attempt.state)
    assert event == looked_event


def test_the_answer_to_an_earlier_attempt_declines_no_later_one() -> None:
    payment = paying("started", n=2)
    assert changes.observe(payment, seen("requires_payment_method"), NOW, answer_to=1) == (
        payment,
        None,
    )
    after, _ = changes.observe(payment, seen("requires_payment_method"), NOW, answer_to=2)
    assert after.status == "declined"


def test_a_declined_attempt_keeps_the_reason() -> None:
    declined = seen("requires_payment_method", error="Your card was declined.")
    after, event = changes.observe(paying("started"), declined, NOW, answer_to=1)
    assert event is None
    assert after.attempt is not None
    assert after.attempt.error == "Your card was declined."
    assert after.settle_at is None


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "succeeded"])
def test_money_is_final(status: IntentStatus) -> None:
    assert changes.observe(PAID, seen(status, refunded=9), NOW, answer_to=1) == (PAID, None)


@pytest.mark.parametrize("status", STATUSES)
def test_a_dead_intent_stays_dead(status: IntentStatus) -> None:
    dead = ended("canceled")
    assert changes.observe(dead, seen(status), NOW, answer_to=1) == (dead, None)


@pytest.mark.parametrize("status", STATUSES)
def test_another_intent_says_nothing(status: IntentStatus) -> None:
    payment = paying("started")
    other = replace(seen(status), id="pi_0")
    assert changes.observe(payment, other, NOW, answer_to=1) == (payment, None)
    assert changes.observe(NEW, other, NOW) == (NEW, None)


def test_a_refund_falls_only_by_what_failed() -> None:
    given = seen("succeeded", captured=AMOUNT, refunded=AMOUNT)
    after, _ = changes.observe(PAID, given, NOW)
    failed = replace(given, refunded=0, returned=AMOUNT)
    after, event = changes.observe(after, failed, NOW)
    assert (after.status, event, after.refund_failed) == ("paid", PaymentRefunded, True)
    for older in (replace(given, refunded=0), given, failed):
        assert changes.observe(after, older, NOW) == (after, None)


def test_a_refund_counts_upwards_only() -> None:
    some = seen("succeeded", captured=AMOUNT, refunded=900)
    after, event = changes.observe(PAID, some, NOW)
    assert (after.status, event) == ("paid", PaymentRefunded)
    assert changes.observe(after, some, NOW) == (after, None)
    assert changes.observe(after, replace(some, refunded=0), NOW) == (after, None)
    after, event = changes.observe(after, replace(some, refunded=AMOUNT), NOW)
    assert (after.status, event) == ("refunded", PaymentRefunded)


@given(
    st.lists(
        st.tuples(st.sampled_from(STATUSES), st.integers(0, AMOUNT), st.integers(0, 3)), max_size=8
    ),
    st.sampled_from(ATTEMPTS),
)
def test_whatever_is_seen_again_changes_nothing(
    looks: list[tuple[IntentStatus, int, int]], state: AttemptState
) -> None:
    payment = paying(state, n=2)
    for status, refunded, answer_to in looks:
        captured = AMOUNT if status == "succeeded" else 0
        look = seen(status, captured=captured, refunded=min(refunded, captured))
        before = payment
        payment, event = changes.observe(payment, look, NOW, answer_to=answer_to)
        assert changes.observe(payment, look, NOW, answer_to=answer_to) == (payment, None)
        assert event is None or payment != before
        if before.intent and before.intent.status in ("succeeded", "canceled"):
            assert payment.intent
            assert payment.intent.status == before.intent.status
            assert payment.intent.captured == before.intent.captured


# --- begin ----------------------------------------------------------------------------------------


def begin(payment: Payment, fresh: Intent | None = INTENT) -> changes.Change:
    return changes.begin(payment, fresh, VISA, ("key", "hash"), NOW)


def test_an_attempt_is_noted_with_its_intent() -> None:
    after, event = begin(NEW)
    assert event is None
    assert after.intent == INTENT
    assert after.attempts == (Attempt(1, VISA, "started", None, "key", "hash"),)
    assert (after.status, after.settle_at) == ("processing", NOW + RETRY)


@pytest.mark.parametrize("state", ["started", "action", "authorized", "lost"])
def test_no_attempt_while_one_is_or_may_be_alive(state: AttemptState) -> None:
    payment = paying(state)
    assert not changes.may_begin(payment)
    assert begin(payment) == (payment, None)


def test_after_a_declined_attempt_the_same_intent_is_tried_again() -> None:
    declined = paying("declined")
    assert not changes.needs_intent(declined)
    after, _ = begin(declined, None)
    assert after.intent == declined.intent
    assert [attempt.n for attempt in after.attempts] == [1, 2]


def test_after_a_dead_intent_there_must_be_a_new_one() -> None:
    dead = ended("canceled")
    assert changes.next_number(dead) == 2
    assert begin(dead, None) == (dead, None)
    assert begin(dead, INTENT) == (dead, None)  # of the same number: made for an earlier attempt
    after, _ = begin(dead, replace(INTENT, id="pi_2", number=2))
    assert after.intent is not None
    assert (after.intent.id, len(after.attempts)) == ("pi_2", 2)


@pytest.mark.parametrize("status", ["awaiting:payment", "complete"])
def test_an_order_that_is_being_paid_gets_no_other_attempt(status: str) -> None:
    for payment in (NEW, paying("declined"), ended("canceled")):
        assert not changes.may_begin(with_order(payment, status))


def test_a_cancelled_order_is_not_payable() -> None:
    with pytest.raises(NotPayable, match="cancelled"):
        begin(with_order(NEW, "cancelled"))


# --- learn ----------------------------------------------------------------------------------------


def told(
    kind: type[OrderEvent], status: str, version: int, *, epoch: int = 0, attempt: int = 0
) -> OrderEvent:
    data = OrderData(
        id=ORDER,
        user_id=BUYER,
        status=status,
        reason=None,
        quantity=2,
        amount=AMOUNT,
        currency="usd",
        expires_at=ORDERED.expires_at,
        ticket=OrderedTicket(id="t", title="Concert", unit_amount=1950, version=0),
        payment=PaymentPair(payment_id=PAYMENT, attempt=attempt) if attempt else None,
        refunded=0,
    )
    return kind(data=data, version=version, epoch=epoch)


def test_a_newer_event_replaces_the_order_and_says_when_to_act() -> None:
    event = told(OrderAwaitingPayment, "awaiting:payment", 1, attempt=1)
    after, said = changes.learn(paying("authorized"), event, NOW)
    assert said is None
    assert after.order == replace(
        ORDERED, version=1, status="awaiting:payment", payment=Pair(PAYMENT, 1)
    )
    assert (settling.next_move(after, NOW), after.settle_at) == ("capture", NOW + RETRY)


def test_an_older_or_the_same_event_changes_nothing() -> None:
    after, _ = changes.learn(NEW, told(OrderCancelled, "cancelled", 2), NOW)
    for version in (0, 1, 2):
        assert changes.learn(after, told(OrderCreated, "created", version), NOW) == (after, None)


def test_after_a_restore_a_higher_epoch_is_newer() -> None:
    after, _ = changes.learn(NEW, told(OrderCancelled, "cancelled", 7), NOW)
    after, _ = changes.learn(after, told(OrderCreated, "created", 0, epoch=1), NOW)
    assert after.order.status == "created"


# --- what must happen next ------------------------------------------------------------------------

MOVES: list[tuple[str, Payment, str]] = [
    ("no attempt", NEW, "rest"),
    ("no attempt, cancelled", with_order(NEW, "cancelled"), "rest"),
    ("started", paying("started"), "confirm"),
    ("started, cancelled", with_order(paying("started"), "cancelled"), "cancel"),
    ("at the bank", paying("action"), "look"),
    ("at the bank, cancelled", with_order(paying("action"), "cancelled"), "cancel"),
    ("declined", paying("declined"), "rest"),
    ("declined, cancelled", with_order(paying("declined"), "cancelled"), "cancel"),
    ("authorised", paying("authorized"), "say again"),
    ("authorised, cancelled", with_order(paying("authorized"), "cancelled"), "cancel"),
    ("committed", with_order(paying("authorized"), "awaiting:payment", 1), "capture"),
    ("lost", with_order(paying("lost"), "awaiting:payment", 1), "cancel"),
    ("dead", ended("canceled"), "rest"),
    ("dead, cancelled", with_order(ended("canceled"), "cancelled"), "rest"),
    ("dead, committed", with_order(ended("canceled"), "awaiting:payment", 1), "say again"),
    ("paid", PAID, "say again"),
    ("paid, committed", with_order(PAID, "awaiting:payment", 1), "say again"),
    ("paid, complete", with_order(PAID, "complete", 1), "rest"),
    ("paid, cancelled", with_order(PAID, "cancelled"), "refund"),
    (
        "partly given back, cancelled",
        with_order(ended("succeeded", AMOUNT, 900), "cancelled"),
        "refund",
    ),
    ("given back, cancelled", with_order(ended("succeeded", AMOUNT, AMOUNT), "cancelled"), "rest"),
    (
        "given back, unknown to the order",
        with_order(ended("succeeded", AMOUNT, 900), "complete", 1),
        "say again",
    ),
    (
        "committed to an attempt of the past",
        with_order(paying("authorized", n=2), "awaiting:payment", 1),
        "say again",
    ),
    (
        "committed to the past, declined",
        with_order(paying("declined", n=2), "awaiting:payment", 1),
        "say again",
    ),
    (
        "committed to the past, at the bank",
        with_order(paying("action", n=2), "awaiting:payment", 1),
        "say again",
    ),
    (
        # Stripe may answer the same failure for a day, and until it hears, the order can't expire.
        "committed to the past, started",
        with_order(paying("started", n=2), "awaiting:payment", 1),
        "say again",
    ),
]


@pytest.mark.parametrize(
    ("payment", "move"), [case[1:] for case in MOVES], ids=[c[0] for c in MOVES]
)
def test_the_next_move(payment: Payment, move: str) -> None:
    assert settling.next_move(replace(payment, updated_at=LONG_AGO), NOW) == move


def test_another_payment_of_the_order_is_not_captured() -> None:
    payment = paying("authorized")
    pair = Pair("9a1d00000000000000000009", 1)
    order = replace(ORDERED, status="awaiting:payment", payment=pair)
    assert settling.next_move(replace(payment, order=order, updated_at=NOW), NOW) == "rest"


@pytest.mark.parametrize(
    ("payment", "delay", "move"),
    [
        (paying("started"), RETRY, "confirm"),
        (paying("action"), LOOK, "look"),
        (paying("authorized"), LISTEN, "say again"),
        (PAID, LISTEN, "say again"),
        (with_order(ended("canceled"), "awaiting:payment", 1), LISTEN, "say again"),
    ],
)
def test_what_others_may_do_by_themselves_is_waited_for(
    payment: Payment, delay: timedelta, move: str
) -> None:
    payment = replace(payment, updated_at=NOW)
    early = NOW + delay - timedelta(milliseconds=1)
    assert settling.next_move(payment, early) == "rest"
    assert settling.next_move(payment, NOW + delay) == move
    assert settling.look_again_at(payment, NOW) == NOW + delay


@pytest.mark.parametrize(
    ("payment", "move"), [case[1:] for case in MOVES], ids=[c[0] for c in MOVES]
)
def test_whatever_is_not_at_rest_is_looked_at_again(payment: Payment, move: str) -> None:
    again = settling.look_again_at(payment, NOW)
    assert (again is None) == (move == "rest")
    assert again is None or again > NOW


def test_resting_forgets_the_time_and_keeps_one_that_is_still_to_come() -> None:
    payment = paying("declined", settle_at=START)
    assert changes.rest(payment, NOW) == (replace(payment, settle_at=None), None)
    assert changes.rest(NEW, NOW) == (NEW, None)
    waiting = paying("authorized", settle_at=NOW + timedelta(seconds=1))
    assert changes.rest(waiting, NOW) == (waiting, None)
    overdue = paying("authorized", settle_at=NOW)
    assert changes.rest(overdue, NOW) == (replace(overdue, settle_at=NOW + LISTEN), None)


def test_what_does_not_work_out_is_put_off() -> None:
    overdue = with_order(paying("authorized", settle_at=START), "cancelled")
    assert changes.postpone(overdue, NOW) == (replace(overdue, settle_at=NOW + RETRY), None)
    assert changes.postpone(NEW, NOW) == (NEW, None)
    later = replace(overdue, settle_at=NOW + timedelta(hours=1))
    assert changes.postpone(later, NOW) == (later, None)


# --- saying it again ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payment", "event", "attempt"),
    [
        (paying("authorized", n=2), PaymentCreated, 2),
        (PAID, PaymentCompleted, 1),
        (ended("succeeded", AMOUNT, 900), PaymentCompleted, 1),
        (ended("succeeded", AMOUNT, AMOUNT), PaymentCompleted, 1),
        (with_order(ended("succeeded", AMOUNT, 900), "complete", 1), PaymentRefunded, 1),
        (with_order(ended("canceled"), "awaiting:payment", 1), PaymentFailed, 1),
        (with_order(paying("authorized", n=3), "awaiting:payment", 1), PaymentFailed, 1),
        (with_order(paying("declined", n=3), "awaiting:payment", 2), PaymentFailed, 2),
    ],
)
def test_the_order_hears_what_it_has_not_answered(
    payment: Payment, event: type, attempt: int
) -> None:
    after, said = changes.say_again(replace(payment, updated_at=LONG_AGO), NOW)
    assert (said, after.updated_at) == (event, NOW)
    assert models.public(after).attempt == attempt
    assert changes.say_again(after, NOW) == (after, None)


def test_an_attempt_that_the_order_can_not_take_yet_is_announced_later() -> None:
    behind = with_order(paying("started", n=2), "awaiting:payment", 1)
    after, event = changes.observe(behind, seen("requires_capture"), NOW)
    assert (after.status, event) == ("authorized", None)
    free = replace(after, order=ORDERED)
    assert changes.say_again(free, NOW + LISTEN)[1] is PaymentCreated


@pytest.mark.parametrize(
    ("payment", "event"),
    [
        (NEW, None),
        (paying("started"), None),
        (paying("action"), None),
        (paying("declined"), None),
        (paying("lost"), None),
        (paying("authorized"), PaymentCreated),
        (ended("canceled"), PaymentFailed),
        (PAID, PaymentCompleted),
        (with_order(PAID, "complete", 1), PaymentCompleted),
        (with_order(ended("succeeded", AMOUNT, 900), "complete", 1), PaymentRefunded),
    ],
)
def test_a_resync_announces_what_was_ever_announced(payment: Payment, event: type | None) -> None:
    assert changes.resync(payment, NOW)[1] is event


# --- what others see ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payment", "status"),
    [
        (NEW, "new"),
        (paying("started"), "processing"),
        (paying("action"), "requires_action"),
        (paying("declined"), "declined"),
        (paying("authorized"), "authorized"),
        (paying("lost"), "failed"),
        (ended("canceled"), "failed"),
        (PAID, "paid"),
        (ended("succeeded", AMOUNT, AMOUNT - 1), "paid"),
        (ended("succeeded", AMOUNT, AMOUNT), "refunded"),
    ],
)
def test_the_status_in_a_word(payment: Payment, status: str) -> None:
    assert payment.status == status
    assert models.public(payment).status == status


def test_what_events_say() -> None:
    data = models.public(with_order(ended("succeeded", AMOUNT, 900), "complete", 1))
    assert (data.id, data.order_id, data.user_id) == (PAYMENT, ORDER, BUYER)
    assert (data.amount, data.currency, data.captured, data.refunded) == (
        AMOUNT,
        "usd",
        AMOUNT,
        900,
    )


@pytest.mark.parametrize(
    ("payment", "error"),
    [
        (paying("declined"), "The card was declined"),
        (ended("canceled"), "nothing was charged"),
        (with_order(paying("authorized"), "cancelled"), "cancelled"),
    ],
)
def test_what_came_to_nothing_is_refused(payment: Payment, error: str) -> None:
    with pytest.raises((NotPayable, models.Declined), match=error):
        models.require_under_way(payment)


@pytest.mark.parametrize("state", ["started", "action", "authorized"])
def test_what_is_under_way_is_the_answer(state: AttemptState) -> None:
    assert models.require_under_way(paying(state)) == paying(state)


def test_only_the_buyer() -> None:
    assert models.require_buyer(NEW, BUYER) == NEW
    with pytest.raises(Forbidden):
        models.require_buyer(NEW, "somebody")
    with pytest.raises(NotFound):
        models.require_buyer(None, BUYER)


def test_a_key_belongs_to_one_request() -> None:
    payment, _ = begin(NEW)
    assert models.attempt_with_key(payment, "key", "hash") == payment.attempts[0]
    assert models.attempt_with_key(payment, "other", "hash") is None
    with pytest.raises(KeyReused):
        models.attempt_with_key(payment, "key", "another hash")
