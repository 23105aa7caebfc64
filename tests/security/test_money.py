"""Attacks on money and seats: other amounts, two for one, forged news of the bank."""

import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from dev.stack import Stack
from tests.security.forger import new_id
from tests.system.http import Answer, Client
from tests.system.world import GOOD_CARD, Json, Person, World, at_once
from tests.waiting import wait_until

# --- amounts --------------------------------------------------------------------------------------


QUANTITIES: dict[str, Any] = {
    "nothing": 0, "less_than_nothing": -1, "too_many": 11, "very_many": 10**30, "a_part": 0.5,
    "a_text": "1", "a_yes": True, "a_list": [1], "an_operator": {"$gt": 0}, "no_number": None,
    "a_power": 1e300,
}  # fmt: skip


@pytest.mark.parametrize("want", QUANTITIES)
def test_an_attacker_wants_to_reserve(attacker: Person, ticket: Json, want: str):
    answer = attacker.asks_for(ticket, QUANTITIES[want]).expect(400)
    assert answer.json["errors"][0]["field"] == "quantity"


PRICES: dict[str, str] = {
    "for_nothing": "0", "for_less_than_nothing": "-20", "for_too_little": "0.49",
    "for_part_of_a_cent": "19.999", "for_more_than_there_is": "1e15", "for_a_text": '"20"',
    "for_a_list": "[20]", "for_an_operator": '{"$gt": 0}', "for_nan": "NaN",
    "for_infinity": "Infinity",
    "for_yes": "true", "for_null": "null", "for_an_absurd_power": "1e9999999999999999999",
    "for_a_tiny_power": "1e-9999999999999999999", "for_endless_digits": "1." + "0" * 200 + "1",
}  # fmt: skip


@pytest.mark.parametrize("want", PRICES)
def test_an_attacker_wants_to_sell(attacker: Person, want: str):
    body = f'{{"title": "Odd", "price": {PRICES[want]}}}'
    attacker.send("POST", "/api/tickets", body).expect(400)


def test_an_attacker_wants_to_pay_another_amount(attacker: Person, ticket: Json, world: World):
    order = attacker.reserves(ticket)
    body = {"orderId": order["id"], "token": GOOD_CARD, "amount": 0.5, "price": 1, "total": 1}
    made = attacker.post("/api/payments", {**body, "currency": "jpy"}).expect(201).json
    payment = attacker.sees_payment(made, status="paid")
    assert (payment["amount"], payment["currency"]) == (order["total"], "usd")


def test_an_attacker_wants_buyers_to_pay_more_than_they_saw(seller: Person, victim: Person):
    own = seller.sells(price=20, quantity=5)
    order = victim.reserves(own)
    seller.edits(own, price=500, quantity=5).expect(200)
    paid = victim.sees_payment(victim.pays(order), status="paid")
    assert paid["amount"] == 20


def test_an_attacker_wants_to_pay_with_the_fields_of_a_form(attacker: Person, ticket: Json):
    order = attacker.reserves(ticket)
    fields = {"orderId": order["id"], "token": GOOD_CARD, "amount": "1", "status": "succeeded"}
    attacker.submit("/payments", fields).expect(303)
    attacker.sees_order(order, status="complete", total=20)


# --- two for one ----------------------------------------------------------------------------------


def test_an_attacker_wants_one_seat_twice(world: World, seller: Person):
    last = seller.sells()
    answers = at_once(lambda person: person.asks_for(last), world.crowd(5))
    assert sorted(answer.status for answer in answers) == [201, 400, 400, 400, 400]


def test_an_attacker_wants_to_pay_in_two_tabs_and_dispute_one(
    stack: Stack, attacker: Person, ticket: Json
):
    order = attacker.reserves(ticket)
    cards = [GOOD_CARD, "tok_mastercard", GOOD_CARD, "tok_mastercard"]
    tabs = [Client(attacker.url, dict(attacker.cookies)) for _ in cards]

    def pay(tab: tuple[Client, str]) -> Answer:
        return tab[0].post("/api/payments", {"orderId": order["id"], "token": tab[1]})

    answers = at_once(pay, zip(tabs, cards, strict=True))
    assert {answer.status for answer in answers} <= {201, 202, 503}
    attacker.sees_order(order, status="complete")
    assert charged(stack, order) == 2_000


def test_an_attacker_wants_the_ticket_and_the_money(stack: Stack, world: World, ticket: Json):
    """They pay and cancel at the same instant: one of the two counts."""
    person = world.crowd(1)[0]
    for _ in range(4):
        order = person.reserves(ticket)
        tabs = [Person(person.url, dict(person.cookies)) for _ in range(2)]
        acts = [
            lambda o=order, t=tabs[0]: t.offers_card(o),
            lambda o=order, t=tabs[1]: t.cancels(o),
        ]
        at_once(lambda act: act(), acts)

        def ended(o: Json = order) -> str:
            status = person.order(o)["status"]
            return status if status in ("complete", "cancelled") else ""

        has_it = wait_until(ended, "the end of the order") == "complete"
        wait_until(lambda o=order, h=has_it: charged(stack, o) == (2_000 if h else 0), "the money")


def test_an_attacker_wants_the_money_back_and_the_ticket(attacker: Person, ticket: Json):
    order = attacker.reserves(ticket)
    attacker.pays(order)
    attacker.sees_order(order, status="complete")
    attacker.cancels(order).expect(400)
    assert attacker.order(order)["status"] == "complete"


def test_an_attacker_wants_to_pay_for_what_was_cancelled(
    stack: Stack, attacker: Person, ticket: Json
):
    order = attacker.reserves(ticket)
    attacker.cancels(order).expect(204)
    answer = attacker.offers_card(order)
    assert answer.status == 400
    assert charged(stack, order) == 0


def test_an_attacker_wants_a_key_to_mean_two_things(attacker: Person, ticket: Json):
    key = new_id()
    order = attacker.asks_for(ticket, Idempotency_Key=key).expect(201).json
    attacker.asks_for(ticket, 2, Idempotency_Key=key).expect(422)
    again = attacker.asks_for(ticket, Idempotency_Key=key).expect(201).json
    assert again["id"] == order["id"]
    attacker.cancels(order).expect(204)


# --- news of the bank -----------------------------------------------------------------------------


WITHOUT_PAYING = ("?redirect_status=succeeded", "?payment_intent=pi_1&status=complete", "?paid=1")


@pytest.mark.parametrize("query", WITHOUT_PAYING)
def test_an_attacker_wants_the_way_back_from_the_bank_to_pay(
    attacker: Person, ticket: Json, query: str
):
    order = attacker.reserves(ticket)
    attacker.offers_card(order, "tok_threeDSecure2Required").expect(202)
    attacker.get(f"/payments/return/{order['id']}{query}")
    assert attacker.order(order)["status"] == "created"


def secret(stack: Stack) -> str:
    return stack.parts["payments-web"].env["STRIPE_WEBHOOK_SECRET"]


def signed(payload: str, key: str, at: float) -> str:
    told = hmac.new(key.encode(), f"{int(at)}.{payload}".encode(), hashlib.sha256).hexdigest()
    return f"t={int(at)},v1={told}"


def news(intent: str) -> str:
    """What Stripe would say of a payment of a fortune."""
    about = {"id": intent, "object": "payment_intent", "status": "succeeded", "amount": 1}
    about |= {"amount_received": 1, "currency": "jpy", "metadata": {"order_id": "0" * 24}}
    event = {"id": f"evt_{new_id()}", "object": "event", "type": "payment_intent.succeeded"}
    return json.dumps({**event, "api_version": "2020-08-27", "data": {"object": about}})


def tells(stack: Stack, payload: str, signature: str) -> Answer:
    headers = {"Stripe-Signature": signature} if signature else {}
    return Client(stack.url).send("POST", "/api/payments/webhook", payload, headers)


@pytest.fixture
def unpaid(attacker: Person, ticket: Json) -> Json:
    """An order whose bank was asked and has not answered, with its intent."""
    order = attacker.reserves(ticket)
    asked = attacker.offers_card(order, "tok_threeDSecure2Required").expect(202).json
    return {**order, "intent": asked["clientSecret"].partition("_secret")[0]}


FORGERIES: dict[str, Any] = {
    "without_a_signature": lambda _s, _p: "",
    "with_another_secret": lambda _s, p: signed(p, "whsec_guess", time.time()),
    "with_an_empty_secret": lambda _s, p: signed(p, "", time.time()),
    "with_an_old_signature": lambda s, p: signed(p, secret(s), time.time() - 400),
    "with_a_signature_for_later": lambda s, p: signed(p, secret(s), time.time() + 3_600),
    "with_the_signature_of_another": lambda s, p: signed(p + " ", secret(s), time.time()),
    "with_a_scheme_of_old": lambda s, p: signed(p, secret(s), time.time()).replace("v1", "v0"),
    "with_a_time_that_is_none": lambda _s, _p: "t=now,v1=" + "0" * 64,
}


@pytest.mark.parametrize("want", FORGERIES)
def test_an_attacker_wants_to_be_the_bank(stack: Stack, attacker: Person, unpaid: Json, want: str):
    payload = news(unpaid["intent"])
    tells(stack, payload, FORGERIES[want](stack, payload)).expect(400)
    assert attacker.order(unpaid)["status"] == "created"


def test_an_attacker_with_the_secret_wants_a_ticket_for_nothing(
    stack: Stack, attacker: Person, unpaid: Json
):
    """What a webhook says of amounts and states is not believed: Stripe itself is asked."""
    payload = news(unpaid["intent"])
    for _ in range(3):  # and saying it again changes nothing
        tells(stack, payload, signed(payload, secret(stack), time.time())).expect(200)
    assert attacker.order(unpaid)["status"] == "created"
    assert charged(stack, unpaid) == 0


@pytest.mark.parametrize("size", [66_000, 200_000])
def test_an_attacker_wants_to_fill_the_memory_by_webhooks(stack: Stack, size: int):
    tells(stack, "x" * size, "").expect(413)


def charged(stack: Stack, order: Json) -> int:
    """What the bank took for an order, in minor units."""
    stripe = Client(stack.parts["stripe"].url, headers={"Authorization": "Bearer sk_test_embedded"})
    intents = stripe.get("/v1/payment_intents?limit=100").expect(200).json["data"]
    mine = [each for each in intents if each["metadata"].get("order_id") == order["id"]]
    return sum(each["amount_received"] for each in mine)
