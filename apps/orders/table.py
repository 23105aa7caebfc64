"""Sold orders as a table for spreadsheets, a row at a time."""

from collections.abc import Iterable, Iterator

from apps.orders.sellers import Sold
from shared.fields import to_major
from shared.sheet import MARK, harmless, line
from shared.ui import iso

HEAD = ("Ticket", "Buyer", "Quantity", "Total", "Currency", "Refunded", "Paid", "State", "Order")


def rows(sold: Iterable[Sold]) -> Iterator[str]:
    yield MARK + line(HEAD)
    for one in sold:
        order = one.order
        yield line(
            (
                harmless(order.ticket.title),
                harmless(one.email or ""),
                order.quantity,
                to_major(order.amount, order.currency),
                order.currency.upper(),
                to_major(order.refunded, order.currency),
                iso(order.paid_time),
                "refunded" if order.is_refunded else "paid",
                order.id,
            )
        )
