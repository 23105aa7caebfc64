"""A refund that an admin asks for: refused where there is nothing to give, otherwise made once."""

from dataclasses import replace
from typing import Any

import pytest

from apps.payments import changes, models, refunds, settling
from apps.payments.models import Intent, NotRefundable, Wish
from shared.auditlog import Entry, entry
from shared.errors import NotFound
from shared.events import PaymentRefunded
from tests.payments.market import AMOUNT, BUYER, ORDER, START
from tests.payments.shop import Shop
from tests.payments.test_models import INTENT, NEW, NOW, ORDERED
from tests.payments.test_settle import REFUND, trouble

WISH = Wish("e" * 24, "admin", START, "The concert was cancelled")
PAID: Intent = replace(INTENT, status="succeeded", captured=AMOUNT)


def wish() -> Entry:
    return entry("order.refunded", "admin", f"order:{ORDER}", "192.0.2.7", "No bear")


def sold(shop: Shop, card: str = "visa") -> Shop:
    shop.pay(card)
    shop.exchange()
    assert shop.payment().status == "paid"
    return shop


# --- the rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "intent", [None, INTENT, replace(PAID, refunded=AMOUNT), replace(INTENT, status="canceled")]
)
def test_nothing_can_be_refunded_that_was_not_taken(intent: Intent | None) -> None:
    with pytest.raises(NotRefundable):
        changes.wish_refund(replace(NEW, intent=intent), WISH, NOW)


def test_what_goes_back_by_itself_needs_no_wish() -> None:
    cancelled = replace(NEW, intent=PAID, order=replace(ORDERED, status="cancelled"))
    with pytest.raises(NotRefundable, match="on its way"):
        changes.wish_refund(cancelled, WISH, NOW)


def test_the_same_wish_again_changes_nothing_and_another_is_refused() -> None:
    wished, event = changes.wish_refund(replace(NEW, intent=PAID), WISH, NOW)
    assert (wished.wish, event) == (WISH, None)
    assert changes.wish_refund(wished, WISH, NOW) == (wished, None)
    with pytest.raises(NotRefundable, match="on its way"):
        changes.wish_refund(wished, replace(WISH, id="f" * 24), NOW)


def test_a_wish_waits_until_the_order_knows_that_it_is_paid() -> None:
    """The order completes first, so that every refund is one of a complete order."""
    attempt = models.Attempt(1, models.Method("token", "tok"), "authorized")
    wished = replace(NEW, intent=PAID, attempts=(attempt,), wish=WISH)
    assert settling.stage(wished) == "listen"
    complete = replace(ORDERED, status="complete")
    assert settling.stage(replace(wished, order=complete)) == "refund"


# --- the whole way --------------------------------------------------------------------------------


def test_the_money_goes_back_and_the_order_stays_sold(shop: Shop) -> None:
    refunded = refunds.refund(sold(shop).payments, ORDER, wish())
    shop.exchange()
    assert (refunded.status, shop.net()) == ("refunded", 0)
    assert shop.names()[-1] == "PaymentRefunded"
    assert (shop.orders.order.status, shop.orders.order.refunded) == ("complete", AMOUNT)
    assert shop.payment().settle_at is None


def test_it_is_noted_for_the_audit_log_with_who_and_why(shop: Shop) -> None:
    asked = wish()
    refunds.refund(sold(shop).payments, ORDER, asked)
    refunds.refund(shop.payments, ORDER, asked)
    (noted,) = shop.database["audit"].find()
    (told,) = noted["outbox"]
    assert (noted["_id"], told["subject"]) == (asked.id, "audit.recorded")
    known = ("kind", "actor", "target", "address", "reason")
    assert [told["data"][name] for name in known] == [
        *("order.refunded", "admin", f"order:{ORDER}"),
        *("192.0.2.7", "No bear"),
    ]


def test_what_is_refused_is_not_noted(shop: Shop) -> None:
    with pytest.raises(NotRefundable):
        refunds.refund(shop.payments, ORDER, wish())
    with pytest.raises(NotFound):
        refunds.refund(shop.payments, "0" * 24, wish())
    assert shop.database["audit"].count_documents({}) == 0


@trouble
def test_whatever_the_refund_meets_it_is_made_once(shop: Shop, fault: dict[str, Any]) -> None:
    sold(shop).fault(REFUND, **fault)
    refunds.refund(shop.payments, ORDER, wish())
    shop.exchange()
    shop.passes(5)
    assert (shop.net(), len(shop.stripe(REFUND))) == (0, 1)
    assert shop.orders.order.refunded == AMOUNT


def test_a_process_that_ends_after_the_wish_leaves_it_to_the_reconciler(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sold(shop).payments, "settle_quietly", lambda _: None)
    refunds.refund(shop.payments, ORDER, wish())
    assert shop.net() == AMOUNT
    shop.payments = shop.process()
    shop.passes(6)
    assert (shop.net(), shop.orders.order.refunded) == (0, AMOUNT)


def test_part_of_it_was_given_back_at_the_dashboard(shop: Shop) -> None:
    """Which payments has not heard of, so that Stripe refuses the whole amount at first."""
    payment = sold(shop).payment()
    assert payment.intent is not None
    shop.emulator.request(
        "POST",
        REFUND,
        f"payment_intent={payment.intent.id}&amount=100",
        Authorization="Bearer sk_test_x",
    )
    refunds.refund(shop.payments, ORDER, wish())
    shop.exchange()
    assert (shop.net(), shop.orders.order.refunded) == (0, AMOUNT)


def test_a_person_or_a_payment_is_found_by_its_id(shop: Shop) -> None:
    payment = shop.payment()
    for key in (ORDER, payment.payment_id):
        assert refunds.find(shop.payments, key) == (payment, [])
    assert refunds.find(shop.payments, BUYER) == (None, [payment])
    assert refunds.find(shop.payments, "0" * 24) == (None, [])


# --- refunds that fail later ----------------------------------------------------------------------


def fails_later(shop: Shop) -> None:
    """Days after it succeeded, the last refund comes back, and Stripe tells so."""
    shop.emulator.control(end_refund=shop.stripe(REFUND)[0]["id"])
    shop.webhook(shop.stripe_events("refund.failed")[0])
    shop.exchange()


def test_a_refund_that_fails_later_is_not_shown_as_refunded(shop: Shop) -> None:
    sold(shop, "refundFail")
    refunds.refund(shop.payments, ORDER, wish())
    shop.exchange()
    assert (shop.payment().status, shop.orders.order.is_refunded) == ("refunded", True)
    fails_later(shop)
    payment, order = shop.payment(), shop.orders.order
    assert (payment.status, payment.refund_failed, shop.net()) == ("paid", True, AMOUNT)
    assert (order.refunded, order.returned, order.is_refunded) == (0, AMOUNT, False)
    shop.passes(3600)
    assert (len(shop.stripe(REFUND)), shop.payment().settle_at) == (1, None)


def test_what_failed_is_tried_again_when_an_admin_says_so(shop: Shop) -> None:
    sold(shop, "refundFail")
    refunds.refund(shop.payments, ORDER, wish())
    shop.exchange()
    fails_later(shop)
    refunds.refund(shop.payments, ORDER, wish())
    shop.exchange()
    assert (shop.payment().status, shop.orders.order.refunded, shop.net()) == (
        "refunded",
        AMOUNT,
        0,
    )
    fails_later(shop)
    assert (shop.payment().status, shop.orders.order.returned) == ("paid", 2 * AMOUNT)


def test_a_cancelled_order_whose_refund_fails_waits_for_a_person(shop: Shop) -> None:
    sold(shop, "refundFail")
    shop.hears(shop.cancelled_order())
    fails_later(shop)
    shop.passes(3600)
    assert (len(shop.stripe(REFUND)), shop.net(), shop.payment().refund_failed) == (1, AMOUNT, True)
    refunds.refund(shop.payments, ORDER, wish())
    assert (len(shop.stripe(REFUND)), shop.net()) == (2, 0)


def test_the_news_of_a_failed_refund_that_comes_first_is_right_too(shop: Shop) -> None:
    """A look at Stripe from before the failure arrives after the one that saw it."""
    sold(shop, "refundFail")
    refunds.refund(shop.payments, ORDER, wish())
    told = shop.said()[-1]
    shop.exchange()
    fails_later(shop)
    assert isinstance(told, PaymentRefunded)
    shop.orders.hear(told)
    assert (shop.orders.order.refunded, shop.orders.order.returned) == (0, AMOUNT)


def test_what_failed_and_was_given_back_at_the_dashboard_is_no_worry_any_more(shop: Shop) -> None:
    sold(shop, "refundFail")
    refunds.refund(shop.payments, ORDER, wish())
    shop.exchange()
    fails_later(shop)
    shop.emulator.control(refund={"payment_intent": shop.intents()[0]["id"]})
    shop.webhook(shop.stripe_events("charge.refunded")[0])
    shop.exchange()
    payment, order = shop.payment(), shop.orders.order
    assert (payment.status, payment.refund_failed, order.is_refunded) == ("refunded", False, True)


def test_a_refund_that_takes_days_counts_from_its_beginning(shop: Shop) -> None:
    sold(shop, "pendingRefund")
    refunds.refund(shop.payments, ORDER, wish())
    shop.exchange()
    before = shop.payment()
    shop.emulator.control(end_refund=shop.stripe(REFUND)[0]["id"])
    shop.webhook(shop.stripe_events("charge.refund.updated")[0])
    assert (shop.payment(), before.status) == (before, "refunded")


# --- refunds that Stripe refuses ------------------------------------------------------------------


def test_a_refused_refund_is_asked_for_less_and_less_often(shop: Shop) -> None:
    """By processes that know nothing of each other, and until it works out."""
    sold(shop).emulator.control(
        fault={"kind": "error", "status": 400, "method": "POST", "path": REFUND}
    )
    refunds.refund(shop.payments, ORDER, wish())
    waits: list[float] = []
    for _ in range(12):
        due = shop.payment().settle_at
        assert due is not None
        waits.append((due - shop.clock.time).total_seconds())
        shop.clock.time = due
        shop.payments = shop.process()
        shop.payments.reconcile()
    assert waits == [*(5.0 * 2**n for n in range(1, 11)), 5120, 5120]
    shop.emulator.control(reset="behaviour")
    shop.passes(5120)
    assert (shop.net(), shop.payment().refusals, shop.orders.order.refunded) == (0, 0, AMOUNT)
