"""A sale, and everything that can come between a reservation and its payment."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.system.conftest import HOLD
from tests.system.http import Client
from tests.system.world import (
    CAREFUL_CARD,
    DECLINED_CARD,
    GOOD_CARD,
    POOR_CARD,
    Person,
    World,
)
from tests.waiting import wait_until


def test_a_sale(seller: Person, buyer: Person):
    ticket = seller.sells(price=20.5)
    order = buyer.reserves(ticket)
    assert (order["status"], order["total"]) == ("created", 20.5)
    buyer.sees_ticket(ticket, available=0, orderId=order["id"])
    paid = buyer.pays(order)
    buyer.sees_order(order, status="complete")
    payment = buyer.sees_payment(paid, status="paid")
    assert (payment["amount"], payment["orderId"]) == (20.5, order["id"])
    assert buyer.sees_ticket(ticket)["available"] == 0


def test_a_reservation_lasts_as_long_as_it_says(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    left = datetime.fromisoformat(order["expiresAt"]) - datetime.now(UTC)
    assert timedelta(seconds=HOLD - 2) < left <= timedelta(seconds=HOLD)
    buyer.cancels(order)


def test_a_declined_card_can_be_followed_by_a_good_one(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    refused = buyer.offers_card(order, DECLINED_CARD).expect(400)
    assert refused.message == "Your card was declined."
    assert buyer.order(order)["status"] == "created"
    buyer.pays(order, GOOD_CARD)
    buyer.sees_order(order, status="complete")


def test_a_card_without_money_is_told_so(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    refused = buyer.offers_card(order, POOR_CARD).expect(400)
    assert refused.message == "Your card has insufficient funds."
    buyer.pays(order)
    buyer.sees_order(order, status="complete")


def test_a_paid_order_is_charged_once(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    first, second = buyer.pays(order), buyer.pays(order, "tok_mastercard")
    assert first["id"] == second["id"]
    buyer.sees_order(order, status="complete")
    assert buyer.pays(order)["id"] == first["id"]
    assert buyer.sees_payment(first, status="paid")["amount"] == 20


def test_other_currencies_are_charged_in_their_own_units(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells(price=4500, currency="jpy"))
    paid = buyer.pays(order)
    buyer.sees_order(order, status="complete", total=4500, currency="jpy")
    assert buyer.sees_payment(paid, status="paid")["amount"] == 4500


# --- 3-D Secure -----------------------------------------------------------------------------------


def at_the_bank(url: str, decision: str) -> str:
    """Press a button on the bank's page; returns where it sends the buyer."""
    origin, _, path = url.partition("/3d-secure/")
    bank = Client(origin)
    page = bank.get(f"/3d-secure/{path}").expect(200)
    assert f'name="{decision}"' in page.text
    answer = bank.submit(f"/3d-secure/{path}", {decision: "1"}).expect(303)
    return answer.location


def asked_by_the_bank(buyer: Person, order: Any) -> str:
    answer = buyer.offers_card(order, CAREFUL_CARD).expect(202)
    assert answer.json["status"] == "requires_action"
    assert answer.json["clientSecret"]
    return answer.json["redirectUrl"]


def test_a_payment_confirmed_at_the_bank(world: World, seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    back = at_the_bank(asked_by_the_bank(buyer, order), "complete")
    assert back.startswith(f"{world.stack.url}/payments/return/{order['id']}?")
    answer = buyer.get(back.removeprefix(world.stack.url)).expect(303)
    assert answer.location == f"/orders/{order['id']}?paid=1"
    buyer.sees_order(order, status="complete")


def test_a_payment_confirmed_at_the_bank_by_somebody_who_never_comes_back(
    seller: Person, buyer: Person
):
    order = buyer.reserves(seller.sells())
    at_the_bank(asked_by_the_bank(buyer, order), "complete")
    buyer.sees_order(order, status="complete")


def test_a_payment_refused_at_the_bank_can_be_tried_again(
    world: World, seller: Person, buyer: Person
):
    order = buyer.reserves(seller.sells())
    back = at_the_bank(asked_by_the_bank(buyer, order), "fail")
    page = buyer.get(back.removeprefix(world.stack.url)).expect(400)
    assert page.form("/payments")["orderId"] == order["id"]
    assert buyer.order(order)["status"] == "created"
    buyer.pays(order)
    buyer.sees_order(order, status="complete")


def test_a_buyer_who_stays_at_the_bank_too_long_pays_nothing(
    world: World, seller: Person, buyer: Person, other: Person
):
    ticket = seller.sells()
    order = buyer.reserves(ticket)
    asked = buyer.offers_card(order, CAREFUL_CARD).expect(202).json
    buyer.sees_order(order, status="cancelled", reason="expired")
    buyer.sees_payment(asked, status="failed")
    other.sees_ticket(ticket, available=1)
    refused = buyer.offers_card(order).expect(400)
    assert refused.message == "This order was cancelled"
    other.pays(other.reserves(ticket))


# --- expiry, cancelling ---------------------------------------------------------------------------


def test_an_expiry_frees_the_ticket_and_somebody_else_buys_it(
    seller: Person, buyer: Person, other: Person
):
    ticket = seller.sells()
    order = buyer.reserves(ticket)
    # At most 5 s after its time, and the time of a look.
    buyer.sees_order(order, seconds=HOLD + 5.5, status="cancelled", reason="expired")
    later = datetime.now(UTC) - datetime.fromisoformat(order["expiresAt"])
    assert timedelta(0) <= later < timedelta(seconds=5.5)
    free = other.sees_ticket(ticket, available=1)
    assert "orderId" not in free
    second = other.reserves(ticket)
    other.pays(second)
    other.sees_order(second, status="complete")
    assert buyer.order(order)["status"] == "cancelled"


def test_a_paid_order_does_not_expire(seller: Person, buyer: Person, other: Person):
    paid, unpaid = buyer.reserves(seller.sells()), buyer.reserves(seller.sells())
    buyer.pays(paid)
    buyer.sees_order(unpaid, status="cancelled", reason="expired")
    assert buyer.order(paid)["status"] == "complete"


def test_a_cancelled_reservation_is_free_at_once(seller: Person, buyer: Person, other: Person):
    ticket = seller.sells()
    order = buyer.reserves(ticket)
    buyer.cancels(order).expect(204)
    again = other.reserves(ticket)
    buyer.cancels(order).expect(204)
    assert buyer.order(order)["reason"] == "buyer"
    assert other.order(again)["status"] == "created"
    other.cancels(again).expect(204)
    other.sees_ticket(ticket, available=1)


def test_a_paid_order_can_not_be_cancelled(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    buyer.pays(order)
    buyer.sees_order(order, status="complete")
    assert buyer.cancels(order).expect(400).message == "A paid order can't be cancelled"


def test_a_cancelled_order_can_not_be_paid(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    buyer.offers_card(order, DECLINED_CARD).expect(400)  # payments knows of the order
    buyer.cancels(order).expect(204)

    def refused() -> bool:
        return buyer.offers_card(order, DECLINED_CARD).expect(400).message.startswith("This order")

    wait_until(refused, "payments to know that the order is cancelled")
    assert buyer.order(order)["status"] == "cancelled"


# --- what the seller does meanwhile ---------------------------------------------------------------


def test_the_price_that_was_agreed_to_stays(seller: Person, buyer: Person):
    ticket = seller.sells(price=20, quantity=3)
    order = buyer.reserves(ticket, 2)
    seller.edits(ticket, price=99.5, quantity=3, title="Dearer").expect(200)
    kept = buyer.order(order)
    assert (kept["total"], kept["ticket"]["price"]) == (40, 20)
    assert kept["ticket"]["title"] == "A concert"
    paid = buyer.pays(order)
    assert buyer.sees_payment(paid, status="paid")["amount"] == 40
    buyer.sees_ticket(ticket, price=99.5, available=1)


def test_a_reserved_ticket_can_not_be_edited(seller: Person, buyer: Person):
    ticket = seller.sells()
    order = buyer.reserves(ticket)
    seller.sees_ticket(ticket, orderId=order["id"])
    assert seller.edits(ticket, price=1).expect(400).message == "Ticket is reserved"
    buyer.cancels(order).expect(204)
    seller.sees_ticket(ticket, available=1)
    assert seller.edits(ticket, price=1).expect(200).json["version"] == 1


def test_the_quantity_never_falls_below_what_is_taken(seller: Person, buyer: Person):
    ticket = seller.sells(quantity=5)
    order = buyer.reserves(ticket, 3)
    seller.sees_ticket(ticket, available=2)
    refused = seller.edits(ticket, quantity=2).expect(400)
    assert refused.json["errors"][0]["field"] == "quantity"
    before = seller.availability(ticket)
    seller.edits(ticket, quantity=3).expect(200)
    wait_until(lambda: seller.availability(ticket) != before, "orders to follow")
    seller.sees_ticket(ticket, quantity=3, available=0)
    assert buyer.asks_for(ticket).expect(400).message == "Sold out"
    buyer.cancels(order)


def test_more_units_go_on_sale_at_once(seller: Person, buyer: Person, other: Person):
    ticket = seller.sells(quantity=2)
    order = buyer.reserves(ticket, 2)
    seller.sees_ticket(ticket, available=0)
    seller.edits(ticket, quantity=250).expect(200)
    seller.sees_ticket(ticket, available=248)
    second = other.reserves(ticket, 10)
    other.cancels(second)
    buyer.cancels(order)


def test_withdrawing_cancels_what_is_unpaid_and_keeps_what_is_paid(
    seller: Person, buyer: Person, other: Person
):
    ticket = seller.sells(quantity=5)
    paid, unpaid = buyer.reserves(ticket, 2), other.reserves(ticket)
    buyer.pays(paid)
    buyer.sees_order(paid, status="complete")
    seller.withdraws(ticket)
    other.sees_order(unpaid, status="cancelled", reason="seller")
    assert buyer.order(paid)["status"] == "complete"
    assert buyer.asks_for(ticket).expect(400).message == "This ticket is no longer on sale"
    assert ticket["id"] not in [each["id"] for each in buyer.get("/api/tickets").json]


# --- several who want the same --------------------------------------------------------------------


def test_of_two_buyers_one_gets_the_ticket(seller: Person, buyer: Person, other: Person):
    ticket = seller.sells()
    order = buyer.reserves(ticket)
    assert other.asks_for(ticket).expect(400).message == "Ticket is already reserved"
    buyer.pays(order)
    buyer.sees_order(order, status="complete")
    assert other.asks_for(ticket).expect(400).message == "Ticket is already reserved"


def test_nobody_sees_or_touches_somebody_elses_order(
    world: World, seller: Person, buyer: Person, other: Person
):
    order = buyer.reserves(seller.sells())
    paid = buyer.pays(order)
    visitor = world.visitor()
    for path in (f"/api/orders/{order['id']}", f"/api/payments/{paid['id']}"):
        buyer.get(path).expect(200)
        other.get(path).expect(403)
        visitor.get(path).expect(401)
    other.cancels(order).expect(403)
    other.offers_card(order).expect(403)
    visitor.post("/api/orders", {"ticketId": order["ticket"]["id"]}).expect(401)
    seller_of_nothing = other.edits(order["ticket"], price=1)
    seller_of_nothing.expect(403)


# --- the same request twice -----------------------------------------------------------------------


def test_a_double_click_reserves_once(seller: Person, buyer: Person):
    ticket = seller.sells(quantity=5)
    first = buyer.asks_for(ticket, 2, Idempotency_Key=f"k-{ticket['id']}").expect(201).json
    again = buyer.asks_for(ticket, 2, Idempotency_Key=f"k-{ticket['id']}").expect(201).json
    assert first["id"] == again["id"]
    buyer.sees_ticket(ticket, available=3)
    other_body = buyer.asks_for(ticket, 1, Idempotency_Key=f"k-{ticket['id']}").expect(422)
    assert other_body.json["errors"][0]["field"] == "Idempotency-Key"
    buyer.cancels(first)


def test_a_double_click_puts_on_sale_once_and_pays_once(seller: Person, buyer: Person):
    key = f"k-{datetime.now(UTC).timestamp()}"
    tickets = [
        seller.post("/api/tickets", {"title": "Once", "price": 5}, Idempotency_Key=key).expect(201)
        for _ in range(2)
    ]
    assert tickets[0].json["id"] == tickets[1].json["id"]
    seller.post("/api/tickets", {"title": "Twice", "price": 5}, Idempotency_Key=key).expect(422)
    order = buyer.reserves(tickets[0].json)
    paid = [buyer.offers_card(order, Idempotency_Key=key).expect(201).json for _ in range(2)]
    assert paid[0]["id"] == paid[1]["id"]
    buyer.offers_card(order, DECLINED_CARD, Idempotency_Key=key).expect(422)
    buyer.sees_order(order, status="complete")


def test_a_key_belongs_to_one_person(seller: Person, buyer: Person, other: Person):
    ticket = seller.sells(quantity=5)
    mine = buyer.asks_for(ticket, Idempotency_Key=f"shared-{ticket['id']}").expect(201).json
    theirs = other.asks_for(ticket, Idempotency_Key=f"shared-{ticket['id']}").expect(201).json
    assert mine["id"] != theirs["id"]
    buyer.cancels(mine)
    other.cancels(theirs)
