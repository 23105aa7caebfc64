"""Edges between the order, the buyer and the bank."""

import threading

from dev.chaos.history import Answer

from .shop import Shop, pass_time_of, until


def test_a_payment_that_arrives_for_a_cancelled_order(shop: Shop) -> None:
    ticket = shop.sells()
    order = shop.reserves(ticket)
    until(lambda: shop.audit.databases.collection("payments", "payments").find_one(order), bool)
    with shop.frozen("payments-worker", "orders-worker"):
        assert shop.buyer.insist("DELETE", f"/api/orders/{order}").status == 204
        # Payments has not heard of it: the card is authorised, and never charged.
        assert shop.pays(order).status == 201
    until(lambda: shop.intent(order).status, lambda status: status == "canceled")
    assert shop.charged(order) == 0
    assert shop.order(order).get("status") == "cancelled"
    shop.available(ticket, 1)


def test_a_cancellation_of_a_paid_order(shop: Shop) -> None:
    order = shop.reserves(shop.sells())
    shop.pays(order)
    shop.ends(order, "complete")
    assert shop.buyer.insist("DELETE", f"/api/orders/{order}").status == 400
    assert shop.order(order).get("status") == "complete"


def test_two_tabs_paying_the_same_order(shop: Shop) -> None:
    order = shop.reserves(shop.sells())
    answers: list[Answer] = []
    tabs = [shop.buyer.another(name) for name in ("left", "right")]
    threads = [
        threading.Thread(target=lambda tab=tab: answers.append(shop.pays(order, who=tab)))
        for tab in tabs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tab in tabs:
        tab.close()
    assert {answer.get("id") for answer in answers} == {answers[0].get("id")}
    shop.ends(order, "complete")
    assert shop.charged(order) == 2000


def test_capture_refused_by_the_bank(shop: Shop) -> None:
    ticket = shop.sells()
    order = shop.reserves(ticket)
    assert shop.pays(order, "pm_card_captureRefused").status == 201
    shop.says(order, "payment.failed")
    end = shop.ends(order, "created", "cancelled")
    if end.get("status") == "created":  # time is left: another card does it
        shop.pays(order)
        end = shop.ends(order, "complete", "cancelled")
    assert shop.charged(order) == (2000 if end.get("status") == "complete" else 0)


def test_the_authorisation_that_itself_expired(shop: Shop) -> None:
    ticket = shop.sells()
    order = shop.reserves(ticket)
    with shop.frozen("orders-worker"):
        assert shop.pays(order).status == 201
        shop.bank(expire=shop.intent(order).id)
        pass_time_of(shop.order(order))
    shop.ends(order, "cancelled")
    assert shop.charged(order) == 0
    shop.available(ticket, 1)


def test_a_refund_started_at_stripes_dashboard(shop: Shop) -> None:
    ticket = shop.sells(quantity=2)
    order = shop.reserves(ticket)
    shop.pays(order)
    shop.ends(order, "complete")
    shop.bank(refund={"payment_intent": shop.intent(order).id, "amount": 500})
    until(lambda: shop.order(order), lambda answer: answer.get("refunded") == 5)
    shop.bank(refund={"payment_intent": shop.intent(order).id})
    until(lambda: shop.order(order), lambda answer: answer.get("refunded") == 20)
    assert shop.order(order).get("status") == "complete"
    shop.available(ticket, 1)  # units stay sold


def test_stripe_is_away_while_the_buyer_pays(shop: Shop) -> None:
    order = shop.reserves(shop.sells())
    shop.bank(fault={"kind": "drop", "when": "after", "path": "*/confirm", "times": 1})
    shop.pays(order)
    assert shop.ends(order, "complete", "cancelled").get("status") == "complete"
    assert shop.charged(order) == 2000


def test_a_double_click_reserves_once(shop: Shop) -> None:
    ticket = shop.sells(quantity=5)
    wanted = {"ticketId": ticket, "quantity": 2}
    shop.available(ticket, 5)
    answers: list[Answer] = []
    tabs = [shop.buyer.another(str(number)) for number in range(4)]
    threads = [
        threading.Thread(
            target=lambda tab=tab: answers.append(
                tab.insist("POST", "/api/orders", wanted, f"double-{ticket}")
            )
        )
        for tab in tabs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tab in tabs:
        tab.close()
    granted = {answer.get("id") for answer in answers if answer.status == 201}
    assert len(granted) == 1
    shop.available(ticket, 3)
    other = {**wanted, "quantity": 1}
    assert shop.buyer.insist("POST", "/api/orders", other, f"double-{ticket}").status == 422
