"""Two people on one ticket: what one does, the other's page learns within a second."""

from collections.abc import Callable, Iterator

import pytest

from tests.live.page import Page
from tests.system.world import Person, World

OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(world: World) -> Iterator[OpenPage]:
    pages: list[Page] = []

    def page(*topics: str, person: Person | None = None) -> Page:
        token = person.cookies["session"] if person else ""
        pages.append(Page(world.stack.port, *topics, token=token))
        assert pages[-1].status == 200
        return pages[-1]

    yield page
    for page in pages:
        page.close()


def test_a_reservation_changes_the_page_of_somebody_else_within_a_second(
    seller: Person, buyer: Person, other: Person, open_page: OpenPage
) -> None:
    ticket = seller.sells(quantity=3)
    other.sees_ticket(ticket, available=3)
    looking = open_page(f"ticket:{ticket['id']}")
    selling = open_page("sales", person=seller)
    spying = open_page("orders", "sales", person=other)
    order = buyer.reserves(ticket)
    looking.hears(f"ticket:{ticket['id']}", 1.0)
    other.sees_ticket(ticket, seconds=1.0, available=2)
    selling.hears("sales", 1.0)

    mine = open_page(f"order:{order['id']}", "orders", person=buyer)
    spying_more = open_page(f"order:{order['id']}", person=other)
    buyer.pays(order)
    buyer.sees_order(order, status="complete")
    mine.hears(f"order:{order['id']}", 1.0)
    mine.hears("orders", 1.0)
    assert spying.told == spying_more.told == []
