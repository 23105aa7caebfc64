"""Attacks by texts that end in files: tables, calendars, documents, names of files."""

import csv
import io
import re
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.system.http import Client
from tests.system.world import Json, Person

FORMULAS = (
    '=HYPERLINK("http://evil.example","x")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(1+1)",
    "=1+1", "＝1+1", ' =1+1";x', "a,b;c\"d'e",
)  # fmt: skip
CALENDAR = "Show; X-EVIL:1, DTSTART:20200101 \\n BEGIN:VALARM END:VEVENT"


def sold(seller: Person, buyer: Person, title: str) -> Json:
    """A ticket of that title, bought and paid."""
    own = seller.sells(title=title, venue=title, startsAt="2031-05-01T20:00:00Z")
    order = buyer.reserves(own)
    buyer.pays(order)
    return buyer.sees_order(order, status="complete")


@pytest.mark.parametrize("formula", FORMULAS)
def test_an_attacker_wants_a_formula_in_the_table_of_buyers(
    seller: Person, victim: Person, formula: str
):
    order = sold(seller, victim, formula)
    for path in ("/orders/sales.csv", f"/orders/sales/{order['ticket']['id']}/buyers.csv"):
        answer = seller.get(path).expect(200)
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
        assert all(len(row) == len(rows[0]) for row in rows)
        for cell in (cell for row in rows for cell in row):
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "\t"))


@pytest.mark.parametrize("title", [CALENDAR, "x" * 200, "é" * 200, "a:b;c,d\\e"])
def test_an_attacker_wants_a_second_entry_in_a_calendar(seller: Person, victim: Person, title: str):
    order = sold(seller, victim, title)
    answer = victim.get(f"/orders/{order['id']}/calendar.ics").expect(200)
    assert answer.headers["content-type"].startswith("text/calendar")
    unfolded = answer.text.replace("\r\n ", "").split("\r\n")
    names = [line.partition(":")[0].partition(";")[0] for line in unfolded if line]
    assert names.count("BEGIN") == names.count("END") == 2
    assert "X-EVIL" not in names
    assert names.count("DTSTART") == 1
    assert max(len(line.encode()) for line in answer.text.split("\r\n")) <= 75


@pytest.mark.parametrize("name", ["tickets.pdf", "receipt.pdf", "calendar.ics"])
def test_an_attacker_wants_to_name_the_file(seller: Person, victim: Person, name: str):
    order = sold(seller, victim, '../../x"; filename="evil.exe')
    disposition, _ = download(victim, f"/orders/{order['id']}/{name}")
    assert "evil" not in disposition
    assert ".." not in disposition


def test_an_attacker_wants_markup_in_a_document(seller: Person, victim: Person):
    order = sold(seller, victim, "(x) Tj ET /Launch (app.alert) <</S/JavaScript>> endobj)")
    for name in ("tickets.pdf", "receipt.pdf"):
        _, content = download(victim, f"/orders/{order['id']}/{name}")
        assert content.startswith(b"%PDF-")
        # What stands in a text, between brackets, is only shown.
        markup = re.sub(rb"\((?:\\.|[^\\()])*\)", b"", content)
        assert b"/Type /Page" in markup
        for action in (b"JavaScript", b"/Launch", b"app.alert"):
            assert action not in markup


def download(person: Client, path: str) -> tuple[str, bytes]:
    """The name that a file is given, and the file, which need not be text."""
    connection = HTTPConnection(urlsplit(person.url).netloc, timeout=20)
    with closing(connection):
        connection.request("GET", path, headers={"Cookie": f"session={person.cookies['session']}"})
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.getheader("Content-Disposition", ""), answer.read()
