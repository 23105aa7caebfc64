"""Edges between a reservation's end and its payment."""

from shared.events import ExpirationComplete, ExpirationData

from .shop import AT_THE_BANK, Shop, pass_time_of


def test_an_expiry_that_arrives_when_the_buyer_has_just_authorised(shop: Shop) -> None:
    ticket = shop.sells()
    order = shop.reserves(ticket)
    with shop.frozen("orders-worker"):
        assert shop.pays(order).status == 201
        # The commit and the expiry now both wait for orders, in an order that nobody knows.
        shop.publish(ExpirationComplete(data=ExpirationData(order_id=order)))
        pass_time_of(shop.order(order))
    end = shop.ends(order, "complete", "cancelled").get("status")
    assert shop.charged(order) == (2000 if end == "complete" else 0)
    shop.available(ticket, 0 if end == "complete" else 1)


def test_an_expiry_that_rings_too_early_changes_nothing(shop: Shop) -> None:
    """A clock that is ahead by seconds: orders decides by its own."""
    order = shop.reserves(shop.sells())
    shop.publish(ExpirationComplete(data=ExpirationData(order_id=order)))
    assert shop.pays(order).status == 201
    assert shop.ends(order, "complete", "cancelled").get("status") == "complete"


def test_a_late_expiry_of_order_a_after_b_bought_the_same_ticket(shop: Shop) -> None:
    ticket = shop.sells()
    mine = shop.reserves(ticket)
    assert shop.ends(mine, "cancelled").get("reason") == "expired"
    theirs = shop.reserves(ticket, who=shop.other)
    assert shop.pays(theirs, who=shop.other).status == 201
    shop.ends(theirs, "complete", who=shop.other)
    shop.publish(ExpirationComplete(data=ExpirationData(order_id=mine)))
    shop.publish(shop.says(mine, "order.cancelled"))
    shop.publish(shop.says(mine, "order.created"))
    assert shop.violations() == []
    assert shop.order(theirs, shop.other).get("status") == "complete"
    shop.available(ticket, 0)


def test_redis_flushed(shop: Shop) -> None:
    ticket = shop.sells()
    order = shop.reserves(ticket)
    shop.stack.stop("valkey")
    for file in (shop.stack.home.path / "valkey").rglob("*"):
        if file.is_file():
            file.unlink()
    shop.stack.start_part("valkey")
    assert shop.ends(order, "cancelled").get("reason") == "expired"
    shop.available(ticket, 1)


def test_3d_secure_abandoned_half_way(shop: Shop) -> None:
    ticket = shop.sells()
    order = shop.reserves(ticket)
    answer = shop.pays(order, AT_THE_BANK)
    assert answer.status == 202
    assert shop.ends(order, "cancelled").get("reason") == "expired"
    shop.available(ticket, 1)
    assert shop.violations() == []
    assert shop.intent(order).status == "canceled"
    shop.passes_the_bank(answer)  # they come back at last
    assert shop.intent(order).status == "canceled"


def test_3d_secure_passed(shop: Shop) -> None:
    order = shop.reserves(shop.sells())
    shop.passes_the_bank(shop.pays(order, AT_THE_BANK))
    assert shop.ends(order, "complete", "cancelled").get("status") == "complete"
    assert shop.charged(order) == 2000
