"""What buyers take with them: tickets, receipts, dates; and the check at the entrance."""

import re
import subprocess
import sys
import zlib
from datetime import UTC, datetime

import pytest
import segno
from flask import Flask
from werkzeug.test import TestResponse

from apps.orders import create_app
from apps.orders.documents import qr
from apps.orders.documents.calendar import calendar
from apps.orders.documents.codes import Codes, Unit
from apps.orders.models import Order, Purchase
from shared.errors import NotFound
from tests.identity import identity, sign
from tests.orders.world import BUYER, OTHER, PAIR, SELLER, START, World, settings

TITLE = "Noc; Jazzu, Łódź: ein sehr langer Titel, der über eine Zeile hinausgeht"
STARTS = datetime(2027, 6, 1, 18, 30, tzinfo=UTC)
CODES = Codes("a secret of the tests", "http://localhost")
PAPERS = ("tickets", "tickets.pdf", "receipt", "receipt.pdf", "calendar.ics")


@pytest.fixture
def app(memory: World) -> Flask:
    memory.sells(20, title=TITLE, venue="Hall 2", starts_at=STARTS)
    return create_app(settings(), memory.service, identity())


@pytest.fixture
def order(app: Flask, memory: World) -> Order:
    return memory.reserves(2)


@pytest.fixture
def paid(order: Order, memory: World) -> Order:
    memory.service.complete(order.id, PAIR)
    return order


def get(app: Flask, path: str, user_id: str = BUYER) -> TestResponse:
    client = app.test_client()
    client.set_cookie("session", sign(user_id))
    return client.get(path)


# --- who gets what --------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", PAPERS)
def test_only_the_buyer_gets_it(app: Flask, paid: Order, paper: str) -> None:
    path = f"/orders/{paid.id}/{paper}"
    assert get(app, path).status_code == 200
    assert get(app, path, OTHER).status_code == 403
    assert get(app, path, SELLER).status_code == 403
    assert app.test_client().get(path).status_code == 303


@pytest.mark.parametrize("paper", PAPERS)
def test_there_is_none_before_it_is_paid(app: Flask, order: Order, paper: str) -> None:
    assert get(app, f"/orders/{order.id}/{paper}").status_code == 404


def test_a_refunded_order_has_a_receipt_and_no_tickets(
    app: Flask, paid: Order, memory: World
) -> None:
    memory.service.refund(paid.id, PAIR, paid.amount)
    statuses = [get(app, f"/orders/{paid.id}/{paper}").status_code for paper in PAPERS]
    assert statuses == [404, 404, 200, 200, 404]
    assert "Given back" in get(app, f"/orders/{paid.id}/receipt").text
    assert "/tickets" not in get(app, f"/orders/{paid.id}").text.replace('href="/tickets', "")


def test_some_money_back_leaves_the_tickets_good(app: Flask, paid: Order, memory: World) -> None:
    memory.service.refund(paid.id, PAIR, 500)
    assert get(app, f"/orders/{paid.id}/tickets").status_code == 200


def test_a_ticket_without_a_date_has_no_calendar_file(app: Flask, memory: World) -> None:
    memory.sells(20)
    order = memory.reserves()
    memory.service.complete(order.id, PAIR)
    assert get(app, f"/orders/{order.id}/calendar.ics").status_code == 404
    assert "calendar" not in get(app, f"/orders/{order.id}/tickets").text


def test_place_and_time_are_those_of_now(app: Flask, paid: Order, memory: World) -> None:
    memory.sells(20, title="Moved", venue="Hall 3", starts_at=STARTS)
    page = get(app, f"/orders/{paid.id}/tickets").text
    assert "Hall 3" in page
    assert "Hall 2" not in page
    assert "Moved" not in page  # what was bought keeps its name


def test_tickets_that_were_stored_before_they_had_a_place(memory: World, app: Flask) -> None:
    order = memory.reserves()
    memory.service.complete(order.id, PAIR)
    memory.store["tickets"].update_many({}, {"$unset": {"venue": "", "starts_at": ""}})
    memory.store["orders"].update_many({}, {"$unset": {"paid_at": ""}})
    assert get(app, f"/orders/{order.id}").status_code == 200
    assert get(app, f"/orders/{order.id}/receipt").status_code == 200
    memory.sells(20, venue="Hall 2", starts_at=STARTS)
    assert "Hall 2" in get(app, f"/orders/{order.id}").text


# --- codes ----------------------------------------------------------------------------------------


def test_each_unit_has_a_code_of_its_own(app: Flask, paid: Order) -> None:
    page = get(app, f"/orders/{paid.id}/tickets").text
    codes = re.findall(r"<svg[^>]* role=\"img\".*?</svg>", page, re.DOTALL)
    drawn = [re.findall(r'<path d="([^"]+)"', code)[-1] for code in codes]
    assert drawn == [qr.draw(CODES.address(Unit(paid.id, n))).path for n in (1, 2)]
    assert drawn[0] != drawn[1]


def test_a_drawing_is_the_code() -> None:
    text = CODES.address(Unit("0" * 24, 1))
    drawing = qr.draw(text)
    dark = {(run.x + i, run.y) for run in drawing.runs for i in range(run.length)}
    matrix = segno.make(text, error="m", micro=False).matrix
    wanted = {(x + 4, y + 4) for y, row in enumerate(matrix) for x, bit in enumerate(row) if bit}
    assert dark == wanted
    assert drawing.size == len(matrix) + 8


def test_the_seller_sees_that_a_ticket_is_good(app: Flask, paid: Order) -> None:
    path = CODES.address(Unit(paid.id, 2)).removeprefix("http://localhost")
    page = get(app, path, SELLER)
    assert "<h1>Valid</h1>" in page.text
    assert "2 of 2" in page.text
    for other in (BUYER, OTHER):
        answer = get(app, path, other)
        assert answer.status_code == 403
        assert "Noc" not in answer.text
        assert paid.id not in answer.text.replace(path, "")


@pytest.mark.parametrize(
    ("what", "says"), [("unpaid", "Not paid"), ("cancel", "Cancelled"), ("refund", "Refunded")]
)
def test_the_seller_sees_that_a_ticket_is_not_good(
    app: Flask, order: Order, memory: World, what: str, says: str
) -> None:
    if what == "cancel":
        memory.passes(memory.service.hold)
        memory.service.expire(order.id)
    if what == "refund":
        memory.service.complete(order.id, PAIR)
        memory.service.refund(order.id, PAIR, order.amount)
    code = CODES.make(Unit(order.id, 1))
    assert f"<h1>{says}</h1>" in get(app, f"/orders/check/{code}", SELLER).text


def test_a_code_that_somebody_made_up(app: Flask, paid: Order) -> None:
    forged = [
        Codes("another secret of somebody", "http://localhost").make(Unit(paid.id, 1)),
        CODES.make(Unit(paid.id, 1)).replace("-1.", "-2."),
        f"{paid.id}-1",
        "x",
        "é.é",
    ]
    for code in forged:
        assert get(app, f"/orders/check/{code}", SELLER).status_code == 404
        with pytest.raises(NotFound):
            CODES.read(code)


# --- files ----------------------------------------------------------------------------------------


def test_the_files_have_their_types_and_names(app: Flask, paid: Order) -> None:
    for paper, kind in (
        ("tickets.pdf", "application/pdf"),
        ("receipt.pdf", "application/pdf"),
        ("calendar.ics", "text/calendar; charset=utf-8"),
    ):
        answer = get(app, f"/orders/{paid.id}/{paper}")
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")


def test_a_page_of_the_file_for_each_unit_with_its_code(app: Flask, paid: Order) -> None:
    content = get(app, f"/orders/{paid.id}/tickets.pdf").data
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) == 2
    assert len(content) < 60_000
    streams = re.findall(rb"stream\n(.*?)\nendstream", content, re.DOTALL)
    drawn = [text for text in map(_inflate, streams) if b" re f" in text]
    expected = [len(qr.draw(CODES.address(Unit(paid.id, n))).runs) for n in (1, 2)]
    assert [text.count(b" re f") for text in drawn] == expected


def _inflate(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


def test_nobody_pays_for_pdf_before_it_is_asked_for() -> None:
    program = "import sys, apps.orders.papers; print('fpdf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_a_date_for_calendars(order: Order) -> None:
    purchase = Purchase(order, "Hall 2\nleft; door", STARTS)
    content = calendar(purchase, STARTS, f"https://a.test:8000/orders/{order.id}", START)
    lines = content.decode().split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-2:] == ["END:VCALENDAR", ""]
    assert max(len(line.encode()) for line in lines) <= 75
    unfolded = content.decode().replace("\r\n ", "").split("\r\n")
    assert f"UID:{order.id}@a.test" in unfolded
    assert "DTSTART:20270601T183000Z" in unfolded
    assert f"DTSTAMP:{START:%Y%m%dT%H%M%SZ}" in unfolded
    assert f"SUMMARY:{TITLE.replace(';', chr(92) + ';').replace(',', chr(92) + ',')}" in unfolded
    assert "LOCATION:Hall 2\\nleft\\; door" in unfolded
    assert not any(line.startswith("DTEND") for line in unfolded)
