"""What was sold of tickets, put together: the arithmetic, without any storage."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from apps.orders.models import Order


@dataclass(frozen=True)
class Count:
    """Units that are sold, money by currency, and units sold by the day (in UTC)."""

    sold: int = 0
    orders: int = 0
    earned: dict[str, int] = field(default_factory=dict[str, int])
    refunded: dict[str, int] = field(default_factory=dict[str, int])
    days: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def money(self) -> dict[str, int]:
        """What came in and stayed, by currency."""
        return {name: sum_ - self.refunded.get(name, 0) for name, sum_ in self.earned.items()}


def count(orders: Iterable[Order]) -> Count:
    """What some orders come to; only those that are paid count."""
    return total(_count_one(order) for order in orders if order.status == "complete")


def _count_one(order: Order) -> Count:
    return Count(
        sold=order.quantity,
        orders=1,
        earned={order.currency: order.amount},
        refunded={order.currency: order.refunded},
        days={f"{order.paid_time:%Y-%m-%d}": order.quantity},
    )


def total(counts: Iterable[Count]) -> Count:
    sold = orders = 0
    earned, refunded, days = Counter[str](), Counter[str](), Counter[str]()
    for one in counts:
        sold, orders = sold + one.sold, orders + one.orders
        earned.update(one.earned)
        refunded.update(one.refunded)
        days.update(one.days)
    return Count(sold, orders, dict(earned), dict(refunded), dict(days))


def last_days(days: dict[str, int], today: date, number: int) -> list[tuple[date, int]]:
    """Each of the last days with what was sold on it, the oldest first."""
    listed = [today - timedelta(days=back) for back in reversed(range(number))]
    return [(day, days.get(day.isoformat(), 0)) for day in listed]
