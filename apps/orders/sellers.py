"""What can be seen by those who sell: their tickets, their sales, and who bought."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apps.orders import counts
from apps.orders.counts import Count
from apps.orders.models import Order
from apps.orders.onsale import Ticket, require_seller
from apps.orders.people import People
from apps.orders.sales import Sales
from apps.orders.store import Tickets
from apps.orders.units import Availability
from shared.mongo import find_all
from shared.outbox import Aggregates
from shared.people import User


@dataclass(frozen=True)
class Offer:
    """A ticket as its seller sees it: what is free of it, what is taken, and what was sold."""

    ticket: Ticket
    available: int
    taken: int
    count: Count

    @property
    def held(self) -> int:
        """Units that are taken but not paid; a sale may be counted before they are told of."""
        return max(0, self.taken - self.count.sold)

    @property
    def is_on_sale(self) -> bool:
        return not self.ticket.withdrawn and self.available > 0


@dataclass(frozen=True)
class Sold:
    """A paid order as the seller sees it; a deleted account has no address."""

    order: Order
    email: str | None


@dataclass
class Sellers:
    tickets: Tickets
    announced: Aggregates[Availability]
    sales: Sales
    people: People

    def offers(self, user: User) -> list[Offer]:
        """Everything that a person sells: first what is on sale, by date and title."""
        tickets = self.tickets.of_seller(user.id)
        tallies = self.sales.of_seller(user.id)
        units = self._units(ticket.id for ticket in tickets)
        offers = [
            Offer(ticket, *units.get(ticket.id, (0, 0)), tallies.get(ticket.id, Count()))
            for ticket in tickets
        ]
        return sorted(offers, key=_by_date)

    def _units(self, ids: Iterable[str]) -> dict[str, tuple[int, int]]:
        """What is free of tickets, and what is taken."""
        wanted = {"available": 1, "capacity": 1}
        found = find_all(self.announced.collection, ids, wanted)
        return {one["_id"]: (one["available"], one["capacity"] - one["available"]) for one in found}

    def offer(self, user: User, ticket_id: str) -> Offer:
        """One ticket of the seller's. Raises NotFound or Forbidden."""
        ticket = require_seller(self.tickets.find(ticket_id), user.id)
        free, taken = self._units([ticket_id]).get(ticket_id, (0, 0))
        return Offer(ticket, free, taken, self.sales.of_ticket(ticket_id))

    def buyers(
        self, ticket: Ticket, after: str | None, limit: int
    ) -> tuple[list[Sold], str | None]:
        """At least so many paid orders of a ticket if there are, and the block that follows."""
        sold: list[Sold] = []
        following = iter(self._blocks_from(ticket.id, after))
        for block in following:
            sold += self._with_emails(self.sales.buyers(block))
            if len(sold) >= limit:
                break
        return sold, next(following, None)

    def _blocks_from(self, ticket_id: str, first: str | None) -> list[str]:
        blocks = self.sales.blocks_of(ticket_id)
        return blocks[blocks.index(first) :] if first in blocks else blocks

    def all_buyers(self, tickets: Iterable[Ticket]) -> Iterator[Sold]:
        """Every paid order of some tickets, read a block at a time."""
        for ticket in tickets:
            for block in self.sales.blocks_of(ticket.id):
                yield from self._with_emails(self.sales.buyers(block))

    def _with_emails(self, orders: list[Order]) -> list[Sold]:
        emails = self.people.emails(order.user_id for order in orders)
        return [Sold(order, emails.get(order.user_id)) for order in orders]


def together(offers: Iterable[Offer]) -> Count:
    return counts.total(offer.count for offer in offers)


def _by_date(offer: Offer) -> tuple[bool, bool, str, str]:
    starts = offer.ticket.starts_at
    return (
        not offer.is_on_sale,
        starts is None,
        starts.isoformat() if starts else "",
        offer.ticket.title.casefold(),
    )
