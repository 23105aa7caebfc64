"""Edges between a seller who changes their mind and a buyer who has begun."""

from .shop import Shop, until


def test_a_seller_edits_the_price_during_a_reservation(shop: Shop) -> None:
    """The buyer pays what they agreed to."""
    ticket = shop.sells(quantity=3)
    order = shop.reserves(ticket)
    assert shop.edits(ticket, quantity=3, price=99).status == 200
    shop.pays(order)
    shop.ends(order, "complete")
    assert shop.charged(order) == 2000


def test_a_seller_edits_the_only_seat_during_a_reservation(shop: Shop) -> None:
    ticket = shop.sells()
    shop.reserves(ticket)
    shop.available(ticket, 0)
    assert shop.edits(ticket, quantity=1, price=99).status == 400


def test_a_seller_shrinks_during_a_reservation(shop: Shop) -> None:
    ticket = shop.sells(quantity=6)
    order = shop.reserves(ticket, quantity=4)
    shop.available(ticket, 2)
    assert shop.edits(ticket, quantity=3).status == 400
    assert shop.edits(ticket, quantity=4).status == 200
    shop.available(ticket, 0)
    shop.pays(order)
    shop.ends(order, "complete")
    wanted = {"ticketId": ticket}
    assert shop.other.insist("POST", "/api/orders", wanted).status == 400


def test_a_seller_shrinks_below_what_is_held_before_tickets_knows(shop: Shop) -> None:
    """Tickets allows it, as it has not heard yet: nobody loses a seat, and no more are sold."""
    ticket = shop.sells(quantity=6)
    shop.available(ticket, 6)
    with shop.frozen("tickets-worker"):
        order = shop.reserves(ticket, quantity=5)
        assert shop.edits(ticket, quantity=2).status == 200
    shop.available(ticket, 0)
    shop.pays(order)
    assert shop.ends(order, "complete", "cancelled").get("status") == "complete"
    assert shop.other.insist("POST", "/api/orders", {"ticketId": ticket}).status == 400


def test_a_seller_withdraws_during_a_reservation(shop: Shop) -> None:
    ticket = shop.sells(quantity=4)
    kept, lost = shop.reserves(ticket), shop.reserves(ticket, who=shop.other)
    shop.pays(kept)
    shop.ends(kept, "complete")
    assert shop.seller.insist("DELETE", f"/api/tickets/{ticket}").status == 204
    assert shop.ends(lost, "cancelled", who=shop.other).get("reason") == "seller"
    assert shop.pays(lost, who=shop.other).status == 400
    assert shop.order(kept).get("status") == "complete"
    until(
        lambda: shop.other.insist("POST", "/api/orders", {"ticketId": ticket}),
        lambda answer: answer.status == 400,
    )
