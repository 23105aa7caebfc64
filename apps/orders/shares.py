"""How many units of a ticket one person may have, where its seller set a limit.

The units that a person has of a limited ticket are numbered below the limit. An order keeps the
numbers of its units as its shares, and a unique index lets nobody have a share twice. So the limit
holds however many processes reserve at once, and whatever crashes. An order gives its shares up by
the same write that cancels or refunds it.

Orders from before there was a limit have no shares: each of their units takes the place of a
share from the top, and so do shares beyond a limit that was lowered.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from apps.orders.models import Order
from shared.errors import Refused


class OverLimit(Refused):
    def __init__(self, limit: int, held: int) -> None:
        most = f"one person may have at most {limit}"
        if held >= limit:
            said = f"None left for you: you have {held} already, and {most}"
        else:
            have = f"you have {held} already, and " if held else ""
            said = f"quantity must be at most {limit - held}: {have}{most}"
        super().__init__(said, field="quantity")


class Overtaken(Refused):
    """Another request of the same person took the same shares; asking again counts anew."""

    message = "You reserved this several times at the same moment; try again"


@dataclass
class Held:
    """What one person has of one ticket: open and paid, not what was cancelled or refunded."""

    units: int = 0
    shares: set[str] = field(default_factory=set[str])

    def add(self, order: Order) -> None:
        self.units += order.quantity
        self.shares.update(order.shares or ())


def held(orders: Iterable[Order]) -> defaultdict[str, Held]:
    """What each person has, from their orders of one ticket."""
    people: defaultdict[str, Held] = defaultdict(Held)
    for order in orders:
        if order.status != "cancelled" and not order.is_refunded:
            people[order.user_id].add(order)
    return people


def with_shares(order: Order, limit: int, held: Held) -> Order:
    """The new order with shares for its units. Raises OverLimit."""
    if held.units + order.quantity > limit:
        raise OverLimit(limit, held.units)
    every = (f"{order.ticket.id}:{order.user_id}:{number}" for number in range(limit))
    free = [share for share in every if share not in held.shares]
    return replace(order, shares=tuple(free[: order.quantity]))
