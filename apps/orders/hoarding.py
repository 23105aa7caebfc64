"""How much one person may hold without paying, and how fast they may ask for more."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.orders.models import Order
from apps.orders.store import Orders as Store
from shared.errors import TooMany

MINUTE = timedelta(minutes=1)
MOST_A_MINUTE = 30  # reservations of one person, of any tickets


class TooManyOpen(TooMany):
    message = "You hold this ticket in several unpaid orders already; pay or cancel one first"
    retry_after = 60


class TooFast(TooMany):
    message = "That were many reservations in a minute; wait a little"
    retry_after = 60


@dataclass(frozen=True)
class Hoarding:
    """Counted in the orders themselves, for everybody of one group commit by one query.

    Reservations for one ticket are made one group after the other in a process, so nobody gets
    past the count there; several processes can exceed it by what they do in the same instant.
    """

    store: Store
    hold: timedelta
    most_open: int | None

    def refusals(
        self, ticket_id: str, orders: Iterable[Order], now: datetime
    ) -> dict[str, TooMany]:
        """Of these new orders, those that are too many, by id, and why."""
        wanted = list(orders)
        if self.most_open is None or not wanted:
            return {}
        since = now - max(self.hold, MINUTE)
        open_orders: Counter[str] = Counter()
        lately: Counter[str] = Counter()
        for user_id, ticket, status, created_at in self.store.lately_of(
            {order.user_id for order in wanted}, since
        ):
            open_orders[user_id] += ticket == ticket_id and status == "created"
            lately[user_id] += created_at > now - MINUTE
        refused: dict[str, TooMany] = {}
        for order in wanted:
            if open_orders[order.user_id] >= self.most_open:
                refused[order.id] = TooManyOpen()
            elif lately[order.user_id] >= MOST_A_MINUTE:
                refused[order.id] = TooFast()
            open_orders[order.user_id] += 1
            lately[order.user_id] += 1
        return refused
