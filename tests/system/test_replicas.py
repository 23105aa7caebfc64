"""What one service needs to know of another may still be on its way."""

import pytest

from tests.system.world import GOOD_CARD, Person, World


@pytest.mark.parametrize("attempt", range(5))
def test_a_ticket_can_be_reserved_and_paid_the_moment_it_is_there(
    seller: Person, buyer: Person, attempt: int
):
    order = buyer.reserves(seller.sells())
    buyer.pays(order)
    buyer.sees_order(order, status="complete")


def test_a_ticket_that_does_not_arrive_is_not_found_and_can_be_asked_for_again(
    world: World, seller: Person, buyer: Person
):
    world.stack.stop("orders-worker")
    try:
        ticket = seller.sells()
        refused = buyer.asks_for(ticket).expect(404)
        assert refused.headers["retry-after"] == "1"
    finally:
        world.stack.start_part("orders-worker")
    # The worker's first pull may still be held by the stream for the one that was killed.
    order = world.until_answered(lambda: buyer.asks_for(ticket), 201).json
    assert order["ticket"]["id"] == ticket["id"]


def test_an_order_that_does_not_arrive_at_payments_keeps_its_hold(
    world: World, seller: Person, buyer: Person
):
    world.stack.stop("payments-worker")
    try:
        order = buyer.reserves(seller.sells())
        body = {"orderId": order["id"], "token": GOOD_CARD}
        refused = buyer.post("/api/payments", body).expect(404)
        assert refused.headers["retry-after"] == "1"
        assert buyer.order(order)["status"] == "created"
    finally:
        world.stack.start_part("payments-worker")
    later = buyer.reserves(seller.sells())
    buyer.pays(later)
    buyer.sees_order(later, status="complete")
