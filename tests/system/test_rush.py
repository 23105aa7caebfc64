"""Many people who want the same thing at the same instant."""

import random
from collections import Counter

import pytest

from tests.system.world import Person, World, at_once

BUYERS = 50


def one_round(seller: Person, crowd: list[Person]) -> None:
    ticket = seller.sells()
    answers = at_once(lambda person: person.asks_for(ticket), crowd)
    assert Counter(answer.status for answer in answers) == {201: 1, 400: len(crowd) - 1}
    assert {a.message for a in answers if a.status == 400} == {"Ticket is already reserved"}
    (order,) = (answer.json for answer in answers if answer.status == 201)
    (winner,) = (person for person in crowd if person.id == order["userId"])
    seller.sees_ticket(ticket, available=0, orderId=order["id"])
    winner.cancels(order).expect(204)


@pytest.mark.parametrize("attempt", range(3))
def test_of_50_buyers_at_the_same_instant_exactly_one_gets_the_ticket(
    world: World, seller: Person, attempt: int
):
    one_round(seller, world.crowd(BUYERS))


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(20))
def test_of_50_buyers_exactly_one_gets_the_ticket_20_times_out_of_20(
    world: World, seller: Person, attempt: int
):
    one_round(seller, world.crowd(BUYERS))


def test_many_units_are_sold_out_and_never_oversold(world: World, seller: Person):
    ticket, crowd = seller.sells(quantity=20), world.crowd(30)
    answers = at_once(lambda person: person.asks_for(ticket), crowd)
    assert Counter(answer.status for answer in answers) == {201: 20, 400: 10}
    seller.sees_ticket(ticket, available=0)
    for person, answer in zip(crowd, answers, strict=True):
        if answer.status == 201:
            person.cancels(answer.json).expect(204)
    seller.sees_ticket(ticket, available=20)


def test_several_units_each_from_several_blocks_are_never_oversold(world: World, seller: Person):
    ticket, crowd = seller.sells(quantity=120), world.crowd(30)
    wishes = {person.id: random.Random(n).randint(1, 10) for n, person in enumerate(crowd)}
    answers = at_once(lambda person: person.asks_for(ticket, wishes[person.id]), crowd)
    assert {answer.status for answer in answers} == {201, 400}
    sold = sum(answer.json["quantity"] for answer in answers if answer.status == 201)
    assert sold <= 120
    left = 120 - sold
    seller.sees_ticket(ticket, available=left)
    # Whoever was refused had wanted more than there was left for them.
    refused = [wishes[p.id] for p, a in zip(crowd, answers, strict=True) if a.status == 400]
    assert min(refused) > left


def test_one_buyer_who_clicks_ten_times_with_one_key_reserves_once(seller: Person, buyer: Person):
    ticket = seller.sells(quantity=10)
    key = f"rush-{ticket['id']}"
    answers = at_once(lambda _: buyer.asks_for(ticket, 2, Idempotency_Key=key), range(10))
    assert {answer.status for answer in answers} == {201}
    (order_id,) = {answer.json["id"] for answer in answers}
    seller.sees_ticket(ticket, available=8)
    buyer.cancels({"id": order_id})


def test_a_double_click_on_the_last_one_is_one_reservation(seller: Person, buyer: Person):
    ticket = seller.sells()
    answers = at_once(lambda _: buyer.asks_for(ticket, Idempotency_Key=ticket["id"]), range(2))
    assert {answer.status for answer in answers} == {201}
    (order_id,) = {answer.json["id"] for answer in answers}
    buyer.cancels({"id": order_id})


def test_one_buyer_who_pays_in_ten_tabs_is_charged_once(seller: Person, buyer: Person):
    order = buyer.reserves(seller.sells())
    answers = at_once(lambda _: buyer.offers_card(order), range(10))
    assert {answer.status for answer in answers} <= {201, 202}
    (payment_id,) = {answer.json["id"] for answer in answers}
    buyer.sees_order(order, status="complete")
    payment = buyer.sees_payment({"id": payment_id}, status="paid")
    assert payment["amount"] == 20
    assert "refunded" not in payment
