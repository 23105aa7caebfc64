"""What a seller may do with a ticket, and when it can be bought."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.tickets import models
from apps.tickets.models import Details, Stock, Ticket
from shared.errors import Forbidden, KeyReused, NotFound, PreconditionFailed
from shared.events import TicketCreated, TicketUpdated

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DETAILS = Details("Opera", 2_000, "usd", 10)


def a_ticket(quantity: int = 10, *, taken: int = 0, ticket_id: str = "a" * 24) -> Ticket:
    details = replace(DETAILS, quantity=quantity)
    ticket, event = models.create(ticket_id, "seller", details, NOW)
    assert event is TicketCreated
    if taken:
        ticket, _ = models.restock(ticket, Stock(0, 1, quantity, quantity - taken))
    return ticket


def test_a_new_ticket_can_be_bought_before_orders_has_heard_of_it() -> None:
    assert a_ticket(7).available == 7
    assert a_ticket(7).listed is not None


def test_an_edit_replaces_every_detail_and_is_announced() -> None:
    wanted = Details("Ballet", 3_050, "eur", 12, "Hall", NOW, "Two acts", 4)
    edited, event = models.edit(a_ticket(), wanted, None, NOW + timedelta(hours=1))
    assert event is TicketUpdated
    assert {name: getattr(edited, name) for name in vars(wanted)} == vars(wanted)
    assert edited.created_at == NOW
    assert edited.updated_at == NOW + timedelta(hours=1)


def test_an_edit_of_another_version_is_refused() -> None:
    with pytest.raises(PreconditionFailed):
        models.edit(a_ticket(), DETAILS, 3, NOW)


def test_a_single_ticket_that_is_reserved_stays_as_it_is() -> None:
    with pytest.raises(models.TicketReserved, match="Ticket is reserved"):
        models.edit(a_ticket(1, taken=1), DETAILS, None, NOW)


def test_a_quantity_below_what_is_taken_is_refused_at_its_field() -> None:
    ticket = a_ticket(10, taken=4)
    with pytest.raises(models.BelowTaken) as refused:
        models.edit(ticket, replace(DETAILS, quantity=3), None, NOW)
    assert refused.value.errors[0].field == "quantity"
    edited, _ = models.edit(ticket, replace(DETAILS, quantity=4), None, NOW)
    assert edited.available == 0
    assert edited.listed is None


def test_the_same_key_edits_once() -> None:
    first, event = models.edit_once(a_ticket(), DETAILS, 0, NOW, "key", "hash")
    assert event is TicketUpdated
    # The retry names the version that its first try has already replaced.
    stored = replace(first, version=1)
    assert models.edit_once(stored, DETAILS, 0, NOW, "key", "hash") == (stored, None)
    with pytest.raises(KeyReused):
        models.edit_once(stored, DETAILS, 0, NOW, "key", "another hash")


def test_withdrawing_ends_the_sale_once() -> None:
    withdrawn, event = models.withdraw(a_ticket(), NOW)
    assert (withdrawn.available, withdrawn.listed, event) == (0, None, TicketUpdated)
    assert models.withdraw(withdrawn, NOW) == (withdrawn, None)
    with pytest.raises(models.TicketWithdrawn):
        models.edit(withdrawn, DETAILS, None, NOW)


def test_only_the_seller_passes() -> None:
    ticket = a_ticket()
    assert models.require_seller(ticket, "seller") is ticket
    with pytest.raises(Forbidden):
        models.require_seller(ticket, "somebody else")
    with pytest.raises(NotFound):
        models.require_seller(None, "seller")


def test_the_order_of_the_only_unit_is_shown() -> None:
    reserved, _ = models.restock(a_ticket(1), Stock(0, 1, 1, 0, "an order"))
    assert reserved.order_id == "an order"
    many, _ = models.restock(a_ticket(2), Stock(0, 1, 2, 1, "an order"))
    assert many.order_id is None


stocks = st.builds(
    Stock,
    epoch=st.integers(0, 2),
    version=st.integers(0, 4),
    capacity=st.just(10),
    available=st.integers(0, 10),
)


@given(st.lists(stocks, max_size=12, unique_by=lambda s: (s.epoch, s.version)), st.randoms())
def test_the_newest_availability_wins_in_whatever_order_it_arrives(stocks, random) -> None:
    arrivals = [*stocks, *stocks]  # at least once means now and then twice
    random.shuffle(arrivals)
    ticket = a_ticket()
    for stock in arrivals:
        ticket, event = models.restock(ticket, stock)
        assert event is None
    assert ticket.stock == max(stocks, key=lambda s: (s.epoch, s.version), default=None)
    assert (ticket.listed is None) == (ticket.available == 0)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 50))
def test_what_is_shown_as_free_never_exceeds_what_either_side_says(wanted, capacity, free) -> None:
    stock = Stock(0, 1, capacity, min(free, capacity))
    ticket, _ = models.restock(a_ticket(wanted), stock)
    assert 0 <= ticket.available <= stock.available
    assert ticket.available + stock.taken <= max(wanted, stock.taken)


ids = st.text("0123456789abcdef", min_size=24, max_size=24)
seconds = st.integers(946_684_800, 7_258_118_399)  # 2000 to 2199
dates = seconds.map(lambda moment: datetime.fromtimestamp(moment, UTC))


@given(ids, ids, st.integers(50, 99_999_999), st.integers(50, 99_999_999), dates, dates)
def test_places_follow_price_and_date(one, two, price, other_price, date, other_date) -> None:
    def placed(ticket_id, amount, starts_at):
        details = Details("T", amount, "usd", 1, starts_at=starts_at)
        return models.create(ticket_id, "seller", details, NOW)[0].listed

    first, second = placed(one, price, date), placed(two, other_price, other_date)
    if price < other_price:
        assert first.price < second.price
    if int(date.timestamp()) < int(other_date.timestamp()):
        assert first.date < second.date
    assert first.date < placed(two, price, None).date
    assert max(first.newest, first.price, placed(two, price, None).date) < 1 << 63
