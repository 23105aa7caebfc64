"""A sale as Stripe sees it: what is charged, what is given back, and what orders is told."""

import secrets
import threading
import time
from typing import Any

import mongomock
import pytest

from apps.payments.gateway import BadSignature, Doubt
from apps.payments.models import Declined, Method, NotPayable, Payment, TooManyAttempts
from shared.errors import Forbidden, KeyReused, NotFound, NotHereYet
from shared.events import OrderCreated, PaymentRefunded
from tests.payments.market import AMOUNT, ORDER, Crash, ErrandsLater
from tests.payments.shop import CONFIRM, INTENTS, Shop, steps, user

CAPTURE, CANCEL, REFUND = f"{INTENTS}/*/capture", f"{INTENTS}/*/cancel", "/v1/refunds"


def test_a_card_is_authorised_then_the_order_committed_then_the_money_taken(shop: Shop) -> None:
    paid = shop.pay()
    assert paid.status == "authorized"
    assert (shop.statuses(), shop.net(), shop.names()) == (
        ["requires_capture"],
        0,
        ["PaymentCreated"],
    )
    shop.exchange()
    assert shop.orders.order.status == "complete"
    assert (shop.statuses(), shop.net()) == (["succeeded"], AMOUNT)
    assert shop.names() == ["PaymentCreated", "PaymentCompleted"]
    assert shop.payment().settle_at is None


def test_an_order_has_only_so_many_attempts_and_a_repeat_is_none(shop: Shop) -> None:
    shop.payments.most_attempts = 3
    for number in range(3):
        with pytest.raises(Declined):
            shop.pay("visa_chargeDeclined", key=f"key {number}")
    with pytest.raises(TooManyAttempts):
        shop.pay()
    with pytest.raises(Declined):
        shop.pay("visa_chargeDeclined", key="key 2")
    assert (len(shop.payment().attempts), shop.net()) == (3, 0)


def test_a_declined_card_is_refused_with_its_reason_and_another_one_may_follow(shop: Shop) -> None:
    with pytest.raises(Declined, match="insufficient funds"):
        shop.pay("visa_chargeDeclinedInsufficientFunds")
    with pytest.raises(Declined, match="Your card was declined"):
        shop.pay("visa_chargeDeclined")
    assert shop.names() == []
    shop.pay()
    shop.exchange()
    assert (shop.statuses(), shop.net()) == (["succeeded"], AMOUNT)
    assert [attempt.state for attempt in shop.payment().attempts] == [
        "declined",
        "declined",
        "authorized",
    ]


def test_a_card_that_stripe_does_not_know_is_refused(shop: Shop) -> None:
    with pytest.raises(Declined, match="No such payment_method"):
        shop.pay("nonsense")
    assert shop.pay().status == "authorized"


# --- 3-D Secure -----------------------------------------------------------------------------------


def test_the_bank_asks_and_the_buyer_confirms(shop: Shop) -> None:
    asked = shop.pay("threeDSecure2Required")
    assert asked.status == "requires_action"
    assert shop.at_the_bank(asked, "complete").status == 303
    assert shop.payments.returned(user(), ORDER).status == "authorized"
    shop.exchange()
    assert (shop.orders.order.status, shop.net()) == ("complete", AMOUNT)


def test_the_bank_asks_and_the_buyer_fails(shop: Shop) -> None:
    asked = shop.pay("threeDSecure2Required")
    shop.at_the_bank(asked, "fail")
    back = shop.payments.returned(user(), ORDER)
    assert back.status == "declined"
    assert back.attempts[0].error
    assert "did not confirm that it was you" in back.attempts[0].error
    assert shop.pay().status == "authorized"


def test_while_the_bank_is_asked_everybody_gets_the_same_page(shop: Shop) -> None:
    first = shop.pay("threeDSecure2Required")
    second = shop.pay("visa")
    assert second == first
    assert (shop.statuses(), shop.authorisations()) == (["requires_action"], 0)


def test_a_buyer_who_never_comes_back_from_the_bank_is_found_paid(shop: Shop) -> None:
    shop.at_the_bank(shop.pay("threeDSecure2Required"), "complete")
    shop.passes(29)
    assert shop.payment().status == "requires_action"
    shop.passes(1)
    assert (shop.orders.order.status, shop.net()) == ("complete", AMOUNT)


def test_a_question_of_the_bank_that_nobody_answers_ends_with_the_order(shop: Shop) -> None:
    asked = shop.pay("threeDSecure2Required")
    shop.passes(15 * 60)
    assert shop.orders.order.status == "cancelled"
    assert shop.statuses() == ["canceled"]
    shop.at_the_bank(asked, "complete")
    assert (shop.statuses(), shop.authorisations()) == (["canceled"], 0)


# --- orders that end ------------------------------------------------------------------------------


def test_an_order_cancelled_after_the_authorisation_charges_nobody(shop: Shop) -> None:
    shop.pay()
    shop.orders.cancel()
    shop.exchange()
    assert (shop.orders.order.status, shop.statuses(), shop.net()) == ("cancelled", ["canceled"], 0)
    failed = shop.said()[-1]
    assert type(failed).__name__ == "PaymentFailed"
    assert (failed.data.captured, failed.data.refunded) == (0, 0)


def test_an_order_cancelled_while_the_card_is_asked_is_not_payable(shop: Shop) -> None:
    def cancelled_meanwhile(point: str) -> None:
        if point == "confirm":
            shop.hears(shop.cancelled_order())

    steps(shop, cancelled_meanwhile)
    with pytest.raises(NotPayable, match="cancelled"):
        shop.pay()
    assert (shop.statuses(), shop.net()) == (["canceled"], 0)


def test_a_cancelled_order_is_not_payable(shop: Shop) -> None:
    shop.orders.cancel()
    shop.exchange()
    with pytest.raises(NotPayable, match="This order was cancelled"):
        shop.pay()
    assert shop.intents() == []


def test_money_captured_for_a_cancelled_order_goes_back_exactly_once(shop: Shop) -> None:
    shop.pay()
    shop.exchange()
    event = shop.cancelled_order()
    for _ in range(3):
        shop.hears(event)
    assert (shop.net(), len(shop.stripe(REFUND))) == (0, 1)
    assert shop.names()[2:] == ["PaymentRefunded"]
    shop.passes(3600)
    assert (shop.net(), len(shop.stripe(REFUND)), len(shop.said())) == (0, 1, 3)


def test_what_a_person_gave_back_is_not_given_back_again(shop: Shop) -> None:
    """The webhook about it was lost, so the service believes that all is still there."""
    shop.pay()
    shop.exchange()
    shop.emulator.control(refund={"payment_intent": shop.intents()[0]["id"], "amount": 900})
    shop.hears(shop.cancelled_order())
    assert shop.net() == 0
    assert [refund["amount"] for refund in shop.stripe(REFUND)] == [AMOUNT - 900, 900]
    assert shop.said()[-1].data.refunded == AMOUNT


def test_new_orders_are_stored_together_and_known_ones_are_left_as_they_are(shop: Shop) -> None:
    known = shop.orders.said[0]
    others = [
        known.model_copy(update={"data": known.data.model_copy(update={"id": f"{n:024x}"})})
        for n in range(3)
    ]
    shop.pay()
    before = shop.payment()
    shop.payments.hear_of_new([others[0], known, *others, others[1]])
    shop.payments.errands.run()
    assert shop.payment() == before
    for event in others:
        assert shop.payments.store.require(event.data.id).order.status == "created"
    shop.orders.cancel()
    shop.exchange()
    shop.payments.hear_of_new([known])  # once more, as after a crash before it was acknowledged
    assert shop.payment().order.status == "cancelled"


def test_an_order_that_comes_late_after_its_end_stays_cancelled(shop: Shop) -> None:
    shop.orders.cancel()
    stale = shop.orders.said[0]
    shop.exchange()
    shop.hears(stale)
    assert shop.payment().order.status == "cancelled"
    with pytest.raises(NotPayable):
        shop.pay()


def test_an_end_that_comes_before_its_beginning(database: Any, stripe: Any) -> None:
    shop = Shop(database, stripe)
    shop.orders.cancel()
    for event in reversed(shop.orders.said):
        shop.hears(event)
    assert shop.payment().order.status == "cancelled"


# --- captures that fail ---------------------------------------------------------------------------


def test_a_refused_capture_ends_the_payment_and_the_buyer_may_pay_again(shop: Shop) -> None:
    shop.pay("captureRefused")
    shop.exchange()
    assert shop.names() == ["PaymentCreated", "PaymentFailed"]
    assert (shop.orders.order.status, shop.payment().status) == ("created", "failed")
    shop.pay()
    shop.exchange()
    assert (shop.statuses(), shop.net()) == (["canceled", "succeeded"], AMOUNT)
    assert shop.orders.order.status == "complete"
    assert shop.orders.order.payment is not None
    assert shop.orders.order.payment.attempt == 2


def test_a_refused_capture_past_the_hold_ends_the_order(shop: Shop) -> None:
    shop.pay("captureRefused")
    shop.clock.time = shop.orders.order.expires_at
    shop.exchange()
    assert (shop.orders.order.status, shop.orders.order.reason) == ("cancelled", "payment")
    assert (shop.statuses(), shop.net()) == (["canceled"], 0)


def test_an_authorisation_that_expired_before_its_capture(shop: Shop) -> None:
    shop.pay()
    shop.emulator.control(expire=shop.intents()[0]["id"])
    shop.exchange()
    assert shop.names() == ["PaymentCreated", "PaymentFailed"]
    assert (shop.orders.order.status, shop.net()) == ("created", 0)


def test_an_order_that_counts_on_a_dead_attempt_is_told_so(shop: Shop) -> None:
    """The first PaymentCreated comes once more, after the next attempt has begun."""
    shop.pay("captureRefused")
    shop.exchange()
    shop.orders.hear(shop.said()[0])
    assert shop.orders.order.status == "awaiting:payment"
    with pytest.raises(Declined):
        shop.pay("visa_chargeDeclined")
    shop.exchange()
    shop.passes(15)
    assert shop.orders.order.status == "created"
    failed = shop.said()[-1]
    assert (type(failed).__name__, failed.data.attempt) == ("PaymentFailed", 1)
    shop.pay()
    shop.exchange()
    assert (shop.orders.order.status, shop.net()) == ("complete", AMOUNT)


# --- saying it again ------------------------------------------------------------------------------


def test_an_order_that_does_not_answer_is_told_again(shop: Shop) -> None:
    shop.pay()
    for count in (1, 2, 3):
        assert shop.names() == ["PaymentCreated"] * count
        shop.clock.time = shop.payment().settle_at or shop.clock.time
        shop.payments.reconcile()
        shop.payments.reconcile()
    assert len({event.id for event in shop.said()}) == 4
    assert [event.version for event in shop.said()] == [1, 2, 3, 4]


def test_an_event_that_comes_again_changes_nothing(shop: Shop) -> None:
    shop.pay()
    shop.exchange()
    before = shop.payment()
    for event in shop.orders.said:
        shop.hears(event)
    assert (shop.payment(), shop.net(), len(shop.said())) == (before, AMOUNT, 2)


def test_news_that_ask_for_nothing_are_only_stored(shop: Shop) -> None:
    later = shop.payments.errands
    assert isinstance(later, ErrandsLater)
    for _ in range(2):  # once more, as every event may come
        shop.payments.learn(shop.orders.said[0])
    assert not later.waiting
    shop.pay()
    shop.payments.learn(shop.cancelled_order())
    assert len(later.waiting) == 1


# --- several at once ------------------------------------------------------------------------------


def test_many_tabs_make_one_attempt_and_one_authorisation(shop: Shop) -> None:
    barrier = threading.Barrier(6)
    seen: list[Payment | Exception] = []

    def tab(number: int) -> None:
        barrier.wait()
        try:
            seen.append(shop.pay(key=f"tab {number}"))
        except Exception as error:  # noqa: BLE001 - the test looks at it
            seen.append(error)

    threads = [threading.Thread(target=tab, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {getattr(payment, "payment_id", payment) for payment in seen} == {
        shop.payment().payment_id
    }
    assert len(shop.payment().attempts) == 1
    assert (shop.statuses(), shop.authorisations()) == (["requires_capture"], 1)
    shop.exchange()
    assert (shop.orders.order.status, shop.net()) == ("complete", AMOUNT)


def test_a_tab_that_stripe_does_not_serve_gets_the_attempt_of_the_other(shop: Shop) -> None:
    other = shop.process()

    def meanwhile(point: str) -> None:
        if point == "create":
            other.pay(user(), ORDER, Method("payment_method", "pm_card_mastercard"), None)
            shop.fault(INTENTS, kind="error", status=409)

    steps(shop, meanwhile)
    assert shop.pay() == shop.payment()
    assert [attempt.method.value for attempt in shop.payment().attempts] == ["pm_card_mastercard"]
    assert (shop.authorisations(), len(shop.intents())) == (1, 1)


def test_two_workers_capture_once(shop: Shop) -> None:
    """The first pauses before each of its steps, and the second does everything meanwhile."""
    shop.pay()
    other, reached = shop.process(), 0

    def meanwhile(point: str) -> None:
        nonlocal reached
        if point == "capture":
            reached += 1
            other.settle(ORDER)

    steps(shop, meanwhile)
    shop.exchange()
    assert reached
    assert (shop.net(), shop.names()) == (AMOUNT, ["PaymentCreated", "PaymentCompleted"])


# --- Stripe fails ---------------------------------------------------------------------------------

TROUBLE = [
    {"kind": "error", "when": "before"},
    {"kind": "error", "when": "after"},
    {"kind": "drop", "when": "before"},
    {"kind": "drop", "when": "after"},
    {"kind": "error", "status": 409},
    {"kind": "error", "status": 429},
    {"kind": "error", "status": 401},
    {"kind": "error", "when": "before", "stored": True},
    {"kind": "error", "when": "after", "stored": True},
]
trouble = pytest.mark.parametrize(
    "fault", TROUBLE, ids=lambda fault: "-".join(str(value) for value in fault.values())
)


@trouble
@pytest.mark.parametrize("path", [CAPTURE, f"{INTENTS}/pi_*"])
def test_whatever_a_capture_meets_the_money_is_taken_once(
    shop: Shop, path: str, fault: dict[str, Any]
) -> None:
    shop.pay()
    shop.fault(path, **fault)
    shop.exchange()
    shop.passes(5)
    assert (shop.orders.order.status, shop.net()) == ("complete", AMOUNT)
    assert (shop.authorisations(), len(shop.intents())) == (1, 1)


@trouble
def test_whatever_a_confirmation_meets_the_card_is_authorised_once(
    shop: Shop, fault: dict[str, Any]
) -> None:
    shop.fault(CONFIRM, **fault)
    assert shop.pay().status == "processing"
    shop.passes(4.9)
    assert shop.payment().status == "processing"
    shop.passes(0.1)
    if fault.get("stored") and fault["when"] == "before":
        # Stripe repeats its failure for a day: no money was held, and the order ends with its hold.
        assert shop.authorisations() == 0
        shop.passes(15 * 60)
        assert (shop.orders.order.status, shop.statuses()) == ("cancelled", ["canceled"])
    else:
        assert (shop.orders.order.status, shop.net()) == ("complete", AMOUNT)
        assert (shop.authorisations(), len(shop.intents())) == (1, 1)


@trouble
def test_whatever_the_intent_meets_there_is_only_one(
    shop: Shop, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.patience.PATIENCE", 0.1)
    shop.fault(INTENTS, **fault)
    with pytest.raises(Doubt):
        shop.pay()
    if fault.get("stored"):
        return  # repeated for a day under the same key: the buyer is not charged
    assert shop.pay().status == "authorized"
    assert len(shop.intents()) == 1


@trouble
@pytest.mark.parametrize("path", [CANCEL, f"{INTENTS}/pi_*"])
def test_whatever_a_cancellation_meets_nobody_is_charged(
    shop: Shop, path: str, fault: dict[str, Any]
) -> None:
    shop.pay()
    shop.orders.cancel()
    shop.fault(path, **fault)
    shop.exchange()
    shop.passes(5)
    assert (shop.statuses(), shop.net(), shop.payment().settle_at) == (["canceled"], 0, None)


@trouble
def test_whatever_a_refund_meets_the_money_goes_back_once(
    shop: Shop, fault: dict[str, Any]
) -> None:
    shop.pay()
    shop.exchange()
    shop.cancelled_order()
    shop.fault(REFUND, **fault)
    shop.exchange()
    shop.passes(5)
    assert (shop.net(), len(shop.stripe(REFUND))) == (0, 1)


def test_a_payment_that_never_works_out_holds_up_no_other(shop: Shop) -> None:
    shop.pay()
    shop.emulator.control(fault={"kind": "error", "path": CAPTURE})
    shop.exchange()
    for _ in range(3):
        shop.passes(5)
        waits_until = shop.payment().settle_at
        assert waits_until is not None
        assert waits_until > shop.clock.now()
    shop.emulator.control(reset="behaviour")
    shop.passes(5)
    assert shop.orders.order.status == "complete"


def test_an_amount_that_stripe_refuses_is_not_payable(shop: Shop) -> None:
    shop.database["payments"].update_one({"_id": ORDER}, {"$set": {"order.amount": 10**8}})
    with pytest.raises(NotPayable):
        shop.pay()


# --- crashes --------------------------------------------------------------------------------------


def sale(shop: Shop) -> None:
    shop.pay()
    shop.exchange()


def decline(shop: Shop) -> None:
    with pytest.raises(Declined):
        shop.pay("visa_chargeDeclined")


def refused_capture(shop: Shop) -> None:
    shop.pay("captureRefused")
    shop.exchange()


def end(shop: Shop) -> None:
    shop.pay()
    shop.orders.cancel()
    shop.exchange()


def give_back(shop: Shop) -> None:
    shop.pay()
    shop.exchange()
    shop.cancelled_order()
    shop.exchange()


@pytest.mark.parametrize("story", [sale, decline, refused_capture, end, give_back])
def test_a_crash_between_any_two_steps(stripe: Any, story: Any) -> None:
    """The buyer comes back after a while, as buyers do; then all is as if nothing had happened."""
    number = 0
    while _crashed(stripe, story, number):
        number += 1
    assert number > 4  # steps at which it did


def _crashed(stripe: Any, story: Any, number: int) -> bool:
    stripe.control(reset="everything")
    with mongomock.MongoClient(tz_aware=True) as client:
        return _ended_at(Shop(client["payments"], stripe), story, number)


def _ended_at(shop: Shop, story: Any, number: int) -> bool:
    """Whether the story has that many steps; if so, the process crashed there."""
    reached = -1

    def reach(_: str) -> None:
        nonlocal reached
        reached += 1
        if reached == number:
            raise Crash

    shop.exchange()
    steps(shop, reach)
    try:
        story(shop)
        reach("the end")
    except Crash:
        _recover(shop)
        _assert_kept(shop, story)
        return True
    return False


def _recover(shop: Shop) -> None:
    shop.payments = shop.process()
    shop.delivered = 0  # what was in hand was not acknowledged: it comes again
    shop.exchange()
    for _ in range(8):
        shop.passes(5)


def _assert_kept(shop: Shop, story: Any) -> None:
    """The right end of the order, or a way on to it that charges nobody."""
    order, charged = shop.orders.order, shop.net()
    assert charged == (AMOUNT if order.status == "complete" else 0)
    assert shop.authorisations() <= 1
    assert len(shop.intents()) <= 1
    if order.status == "created":
        if story in (end, give_back):
            return
        shop.pay()
        shop.exchange()
        assert (shop.orders.order.status, shop.net()) == ("complete", AMOUNT)
    else:
        assert shop.payment().settle_at is None
        assert "requires_capture" not in shop.statuses()


# --- webhooks -------------------------------------------------------------------------------------


def test_a_webhook_brings_what_an_answer_did_not(shop: Shop) -> None:
    shop.fault(CONFIRM, kind="drop", when="after")
    assert shop.pay().status == "processing"
    shop.webhook(shop.stripe_events("payment_intent.amount_capturable_updated")[0])
    assert shop.payment().status == "authorized"
    shop.exchange()
    assert shop.net() == AMOUNT


def test_webhooks_twice_late_and_in_any_order_change_nothing(shop: Shop) -> None:
    with pytest.raises(Declined):
        shop.pay("visa_chargeDeclined")
    sale(shop)
    before = shop.payment()
    events = shop.stripe("/v1/events")
    assert len(events) > 6
    for event in [*events, *reversed(events)]:
        shop.webhook(event)
    assert (shop.payment(), shop.names(), shop.net()) == (
        before,
        ["PaymentCreated", "PaymentCompleted"],
        AMOUNT,
    )
    assert shop.database["webhooks"].count_documents({}) == len(events)


def test_an_old_webhook_about_a_declined_card_does_not_end_the_next_attempt(shop: Shop) -> None:
    with pytest.raises(Declined):
        shop.pay("visa_chargeDeclined")
    old = shop.stripe_events("payment_intent.payment_failed")[0]
    shop.fault(CONFIRM, kind="drop", when="before")
    assert shop.pay().status == "processing"
    shop.webhook(old)
    assert shop.payment().status == "processing"
    shop.passes(5)
    assert (shop.orders.order.status, shop.net()) == ("complete", AMOUNT)


def test_a_refund_from_the_dashboard_is_announced(shop: Shop) -> None:
    sale(shop)
    intent = shop.intents()[0]["id"]
    for amount, total in ((900, 900), (AMOUNT - 900, AMOUNT)):
        shop.emulator.control(refund={"payment_intent": intent, "amount": amount})
        shop.webhook(shop.stripe_events("charge.refunded")[0])
        refunded = shop.said()[-1]
        assert isinstance(refunded, PaymentRefunded)
        assert refunded.data.refunded == total
        shop.exchange()
        assert shop.orders.order.refunded == total
    assert shop.payment().status == "refunded"
    assert shop.orders.order.status == "complete"


def test_a_refund_that_orders_never_heard_of_is_said_again(shop: Shop) -> None:
    sale(shop)
    shop.emulator.control(refund={"payment_intent": shop.intents()[0]["id"], "amount": 900})
    shop.webhook(shop.stripe_events("charge.refunded")[0])
    shop.events.append(shop.said()[-1])  # lost on its way
    shop.passes(15)
    assert shop.orders.order.refunded == 900
    assert shop.payment().settle_at is None


def test_a_refund_in_the_moment_of_the_capture_is_announced_after_it(shop: Shop) -> None:
    """Stripe says so before the answer to the capture is stored."""

    def refunded_at_once(point: str) -> None:
        if point == "_store" and shop.statuses() == ["succeeded"] and shop.net() == AMOUNT:
            shop.emulator.control(refund={"payment_intent": shop.intents()[0]["id"], "amount": 900})
            shop.webhook(shop.stripe_events("charge.refunded")[0])

    steps(shop, refunded_at_once)
    sale(shop)
    assert shop.orders.order.status == "complete"
    shop.passes(15)
    assert (shop.orders.order.refunded, shop.net()) == (900, AMOUNT - 900)
    assert shop.names() == ["PaymentCreated", "PaymentCompleted", "PaymentRefunded"]


def test_a_payment_cancelled_at_the_dashboard_ends(shop: Shop) -> None:
    shop.pay()
    shop.emulator.control(expire=shop.intents()[0]["id"])
    shop.webhook(shop.stripe_events("payment_intent.canceled")[0])
    assert shop.names() == ["PaymentCreated", "PaymentFailed"]
    assert shop.payment().status == "failed"


def test_a_forged_webhook_is_refused_and_not_kept(shop: Shop) -> None:
    shop.fault(CONFIRM, kind="drop", when="after")
    shop.pay()
    event = shop.stripe_events("payment_intent.amount_capturable_updated")[0]
    with pytest.raises(BadSignature):
        shop.webhook(event, secret="whsec_other")
    with pytest.raises(BadSignature):
        shop.webhook(event, at=event["created"] - 301)
    with pytest.raises(BadSignature):
        shop.payments.webhook(b"{}", "")
    assert shop.payment().status == "processing"
    assert shop.database["webhooks"].count_documents({}) == 0


def test_a_webhook_about_an_unknown_intent_is_taken(shop: Shop) -> None:
    event: Any = {
        "id": "evt_1",
        "object": "event",
        "created": int(time.time()),
        "type": "payment_intent.succeeded",
        "data": {"object": {"id": "pi_unknown", "object": "payment_intent"}},
    }
    shop.webhook(event)
    assert shop.database["webhooks"].count_documents({"intent_id": "pi_unknown"}) == 1


def test_a_webhook_while_stripe_is_away_is_asked_for_again(shop: Shop) -> None:
    shop.fault(CONFIRM, kind="drop", when="after")
    shop.pay()
    event = shop.stripe_events("payment_intent.amount_capturable_updated")[0]
    shop.fault(f"{INTENTS}/pi_*", kind="drop")
    with pytest.raises(Doubt):
        shop.webhook(event)
    shop.webhook(event)
    assert shop.payment().status == "authorized"


# --- who may do what ------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_attempt(shop: Shop) -> None:
    first = shop.pay(key="k")
    assert shop.pay(key="k") == first
    assert len(shop.payment().attempts) == 1
    with pytest.raises(KeyReused):
        shop.pay("mastercard", key="k")


def test_the_key_of_a_declined_attempt_is_declined_again_without_asking(shop: Shop) -> None:
    for _ in range(2):
        with pytest.raises(Declined, match="Your card was declined"):
            shop.pay("visa_chargeDeclined", key="k")
    assert len(shop.payment().attempts) == 1


def test_only_the_buyer_pays_and_looks(shop: Shop) -> None:
    paid = shop.pay()
    stranger = user(secrets.token_hex(12))
    with pytest.raises(Forbidden):
        shop.payments.pay(stranger, ORDER, paid.attempts[0].method, None)
    with pytest.raises(Forbidden):
        shop.payments.get(stranger, paid.payment_id)
    with pytest.raises(Forbidden):
        shop.payments.returned(stranger, ORDER)
    with pytest.raises(NotFound):
        shop.payments.get(user(), secrets.token_hex(12))
    assert shop.payments.get(user(), paid.payment_id) == paid


def test_an_order_on_its_way_is_waited_for(database: Any, stripe: Any) -> None:
    shop = Shop(database, stripe)
    event = shop.orders.said[0]
    assert isinstance(event, OrderCreated)
    timer = threading.Timer(0.2, shop.payments.learn, (event,))
    timer.start()
    assert shop.payments.wait_for(user(), ORDER).order.status == "created"
    timer.join()


def test_an_order_that_does_not_come(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.patience.PATIENCE", 0.1)
    with pytest.raises(NotHereYet):
        shop.payments.wait_for(user(), secrets.token_hex(12))
