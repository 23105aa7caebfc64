"""Sold orders as a table for spreadsheets (RFC 4180), a row at a time."""

import csv
import io
from collections.abc import Iterable, Iterator

from apps.orders.sellers import Sold
from shared.fields import to_major
from shared.ui import iso

HEAD = ("Ticket", "Buyer", "Quantity", "Total", "Currency", "Refunded", "Paid", "State", "Order")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
MARK = "\ufeff"  # without it, spreadsheets take UTF-8 for something else


def rows(sold: Iterable[Sold]) -> Iterator[str]:
    yield MARK + _line(HEAD)
    for one in sold:
        order = one.order
        yield _line(
            (
                _harmless(order.ticket.title),
                _harmless(one.email or ""),
                order.quantity,
                to_major(order.amount, order.currency),
                order.currency.upper(),
                to_major(order.refunded, order.currency),
                iso(order.paid_time),
                "refunded" if order.is_refunded else "paid",
                order.id,
            )
        )


def _harmless(text: str) -> str:
    """A text that a spreadsheet would run as a formula becomes one that it shows."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(values: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
