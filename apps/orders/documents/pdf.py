"""Tickets and receipts as PDF.

Nothing imports this module before somebody asks for a file: with its fonts it takes tens of
megabytes, which no other process should pay for.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

from apps.orders.documents.qr import Drawing
from apps.orders.models import Purchase
from shared.ui import moment, money

with warnings.catch_warnings():
    # Pictures are what it wants Pillow for, and our documents have none.
    warnings.filterwarnings("ignore", "Pillow could not be imported", UserWarning)
    from fpdf import FPDF
    from fpdf.enums import MethodReturnValue

FONTS = Path(__file__).parent / "fonts"
INK, SOFT, LINE = (26, 25, 35), (90, 88, 102), (200, 196, 188)
A4, A5 = (210.0, 297.0), (148.0, 210.0)  # mm
EDGE = 14  # mm
CODE = 62  # mm along an edge of a QR code


def tickets(purchase: Purchase, codes: Sequence[Drawing]) -> bytes:
    """One small page for each unit, to be shown on a phone or printed."""
    pdf = _document("landscape", A5, purchase.order.ticket.title)
    for number, code in enumerate(codes, 1):
        pdf.add_page()
        _ticket(pdf, purchase, code, number)
    return bytes(pdf.output())


def _ticket(pdf: FPDF, purchase: Purchase, code: Drawing, number: int) -> None:
    order = purchase.order
    left, fold = EDGE, pdf.w - CODE - 2 * EDGE
    width = fold - left - EDGE / 2
    _text(pdf, left, EDGE, "TICKETING", 9, width, bold=True, colour=SOFT)
    y = _text(pdf, left, EDGE + 10, order.ticket.title, 22, width, bold=True, lines=3) + 5
    for name, value in _facts(purchase, number):
        y = _text(pdf, left, y, name, 8, width, colour=SOFT)
        y = _text(pdf, left, y, value, 12, width, lines=2) + 2.5
    _text(pdf, left, pdf.h - EDGE - 4, f"Order {order.id}", 8, width, colour=SOFT)
    _perforation(pdf, fold)
    x, top = fold + EDGE / 2 + 3, (pdf.h - CODE) / 2 - 6
    _code(pdf, code, x, top)
    _text(pdf, x, top + CODE + 2, f"{number} of {order.quantity}", 14, CODE, bold=True, align="C")
    _text(pdf, x, top + CODE + 9, "Show this code at the entrance", 8, CODE, colour=SOFT, align="C")


def _facts(purchase: Purchase, number: int) -> list[tuple[str, str]]:
    order = purchase.order
    starts = moment(purchase.starts_at) if purchase.starts_at else None
    facts = [
        ("When", starts),
        ("Where", purchase.venue),
        ("Price", money(order.ticket.unit_amount, order.currency)),
        ("Ticket", f"{number} of {order.quantity}"),
    ]
    return [(name, value) for name, value in facts if value]


def _perforation(pdf: FPDF, x: float) -> None:
    pdf.set_draw_color(*LINE)
    pdf.set_dash_pattern(dash=1.5, gap=1.5)
    pdf.line(x, EDGE / 2, x, pdf.h - EDGE / 2)
    pdf.set_dash_pattern()


def _code(pdf: FPDF, code: Drawing, left: float, top: float) -> None:
    square = CODE / code.size
    pdf.set_fill_color(0, 0, 0)
    for run in code.runs:
        x, y = left + run.x * square, top + run.y * square
        pdf.rect(x, y, run.length * square, square, style="F")


def receipt(purchase: Purchase, email: str) -> bytes:
    """One page that says what was bought, by whom, and what was paid."""
    order = purchase.order
    pdf = _document("portrait", A4, f"Receipt for {order.ticket.title}")
    pdf.add_page()
    width = pdf.w - 2 * EDGE
    _text(pdf, EDGE, EDGE, "TICKETING", 9, width, bold=True, colour=SOFT)
    y = _text(pdf, EDGE, EDGE + 10, "Receipt", 24, width, bold=True) + 6
    for name, value in _about(purchase, email):
        _text(pdf, EDGE, y, name, 10, 40, colour=SOFT)
        y = _text(pdf, EDGE + 40, y, value, 10, width - 40, lines=3) + 2
    y += 6
    for name, value, strong in _sums(purchase):
        pdf.set_draw_color(*LINE)
        pdf.line(EDGE, y, pdf.w - EDGE, y)
        _text(pdf, EDGE + width - 50, y + 3, value, 11, 50, bold=strong, align="R")
        y = _text(pdf, EDGE, y + 3, name, 11, width - 55, bold=strong, lines=3) + 3
    return bytes(pdf.output())


def _about(purchase: Purchase, email: str) -> list[tuple[str, str]]:
    order = purchase.order
    return [
        ("Order", order.id),
        ("Paid", moment(order.paid_time)),
        ("Buyer", email),
        *([("When", moment(purchase.starts_at))] if purchase.starts_at else []),
        *([("Where", purchase.venue)] if purchase.venue else []),
    ]


def _sums(purchase: Purchase) -> list[tuple[str, str, bool]]:
    order = purchase.order
    each = money(order.ticket.unit_amount, order.currency)
    total = money(order.amount, order.currency)
    sums = [(f"{order.quantity} × {order.ticket.title}, {each} each", total, False)]
    sums.append(("Total paid by card", total, True))
    if order.refunded:
        sums.append(("Given back", f"−{money(order.refunded, order.currency)}", False))
    return sums


def _document(orientation: str, size: tuple[float, float], title: str) -> FPDF:
    pdf = FPDF(orientation, "mm", size)
    pdf.set_title(title)
    pdf.set_creator("Ticketing")
    pdf.set_lang("en")
    pdf.set_auto_page_break(auto=False)
    pdf.add_font("sans", "", FONTS / "DejaVuSans.ttf")
    pdf.add_font("sans", "B", FONTS / "DejaVuSans-Bold.ttf")
    return pdf


def _text(
    pdf: FPDF,
    x: float,
    y: float,
    text: str,
    size: float,
    width: float,
    *,
    bold: bool = False,
    colour: tuple[int, int, int] = INK,
    align: str = "L",
    lines: int = 1,
) -> float:
    """Write at a place, on so many lines at the most; returns where the next line may begin."""
    pdf.set_font("sans", "B" if bold else "", size)
    pdf.set_text_color(*colour)
    height = size * 0.45
    shown = _first_lines(pdf, text, width, lines)
    for number, line in enumerate(shown):
        pdf.set_xy(x, y + number * height)
        pdf.cell(width, height, line, align=align)
    return y + len(shown) * height


def _first_lines(pdf: FPDF, text: str, width: float, lines: int) -> list[str]:
    """The text as it breaks, with an ellipsis where it is cut off."""
    broken = pdf.multi_cell(width, text=text, dry_run=True, output=MethodReturnValue.LINES)
    assert isinstance(broken, list)  # noqa: S101 - what was asked for
    if len(broken) <= lines:
        return broken
    last = broken[lines - 1].rstrip()
    while last and pdf.get_string_width(f"{last}…") > width - 2:
        last = last[:-1]
    return [*broken[: lines - 1], f"{last}…"]
