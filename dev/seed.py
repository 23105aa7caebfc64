"""Demo data over HTTP: people, tickets and a few sales. Running it again adds nothing."""

import http.cookiejar
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

SELLER = "seller@example.com"
BUYER = "buyer@example.com"
ADMIN = "admin@example.com"
PASSWORD = "ticketing-demo"

# Title, price, currency, quantity, venue, days from now, hour (UTC), description.
_TICKETS: list[tuple[str, float, str, int, str, int, int, str]] = [
    (
        "The Marlow Quartet: Late Strings",
        38,
        "usd",
        120,
        "Chamber Hall, Riverside",
        24,
        19,
        "Haydn, Bartók and a new work written for the quartet.\n\nTwo hours with one interval.",
    ),
    (
        "Harbour Lights Open Air",
        64.5,
        "usd",
        500,
        "Pier 9",
        52,
        17,
        "Six bands on two stages, food from the market next door. Bring a raincoat.",
    ),
    (
        "City Derby: Rovers v. Athletic",
        45,
        "usd",
        250,
        "Northgate Stadium",
        16,
        14,
        "Unreserved seats in the family stand.",
    ),
    (
        "Improv at the Old Bakery",
        12,
        "usd",
        40,
        "The Old Bakery",
        6,
        19,
        "You shout the words, they make the play. Doors open half an hour before.",
    ),
    (
        "A Winter's Tale",
        29.9,
        "usd",
        80,
        "Little Theatre",
        33,
        18,
        "Shakespeare's late play with live music and a very convincing bear.",
    ),
    (
        "Sourdough for Beginners",
        75,
        "usd",
        8,
        "Mill Lane Kitchen",
        12,
        9,
        "A morning course. You take home a loaf and a jar of starter.",
    ),
    (
        "One front-row seat: Ana Duarte",
        180,
        "usd",
        1,
        "Grand Auditorium",
        41,
        19,
        "Row A, seat 14. I can't go and would like somebody else to.",
    ),
    (
        "Night at the Observatory",
        18.5,
        "usd",
        30,
        "Hill Observatory",
        19,
        21,
        "Saturn through the big telescope if the sky is clear; a talk in the dome if it isn't.",
    ),
    (
        "Python for Gardeners",
        15,
        "eur",
        60,
        "Botanical Garden, Lecture Room",
        27,
        16,
        "Sensors, watering and a little code. No programming needed.",
    ),
    (
        "Silent Film with Piano: The General",
        14,
        "gbp",
        90,
        "Electric Cinema",
        9,
        18,
        "Buster Keaton's railway chase with live accompaniment.",
    ),
    (
        "Spring Half Marathon",
        52,
        "usd",
        300,
        "Start at Town Hall",
        88,
        7,
        "Start number, timing chip, soup and a medal.",
    ),
    (
        "Koto Recital",
        4500,
        "jpy",
        25,
        "Garden House",
        61,
        10,
        "Traditional and new pieces, with tea afterwards.",
    ),
    (
        "Candlelight Choir in the Crypt",
        22,
        "usd",
        6,
        "St Anne's",
        30,
        20,
        "Forty voices, sixty candles, no amplification. Bring a coat: the crypt is cold.",
    ),
    (
        "The Complete Piano Sonatas in One Very Long Weekend, with Soup in the Intervals",
        96,
        "usd",
        70,
        "Chamber Hall, Riverside",
        46,
        9,
        "Thirty-two sonatas, three pianists, two days. Come and go as you like.",
    ),
    (
        "Museum After Hours",
        16,
        "usd",
        150,
        "City Museum",
        14,
        18,
        "The whole house by torchlight, with short talks in every room.",
    ),
]

# What the buyer has bought already: the number of a ticket above, and how many.
_PURCHASES = [(1, 2), (2, 4), (4, 3), (6, 5), (13, 6)]


class SeedError(Exception):
    """The demo data could not be created; the text says which request failed and how."""


class Client:
    """A person with a session."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def post(self, path: str, body: dict[str, Any], key: str = "") -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        request = urllib.request.Request(  # noqa: S310 - the address is the stack's own
            self._base + path, json.dumps(body).encode(), headers, method="POST"
        )
        try:
            with self._opener.open(request, timeout=15) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, _body(refused.read())
        except OSError as error:
            raise SeedError(f"POST {self._base}{path}: {error}") from error

    def enter(self, email: str) -> None:
        """Sign up, or sign in where the account is there already."""
        account = {"email": email, "password": PASSWORD}
        status, answer = self.post("/api/users/signup", account)
        if status == 400 and "Email in use" in _messages(answer):
            status, answer = self.post("/api/users/signin", account)
        if status not in (200, 201):
            raise SeedError(f"can't sign in as {email}: {status} {'; '.join(_messages(answer))}")


def seed(base: str) -> int:
    """Create the demo data; returns how many tickets there are."""
    for email in (BUYER, ADMIN, SELLER):
        Client(base).enter(email)
    _command("verify", BUYER, SELLER, ADMIN)
    _command("grant-admin", ADMIN)
    seller = Client(base)
    seller.enter(SELLER)  # once more, so that the session says that the address is confirmed
    ids: dict[int, str] = {}
    for number, ticket in enumerate(_tickets(), start=1):
        status, answer = seller.post("/api/tickets", ticket, key=f"demo-{number}")
        # 422: this key made the ticket on another day, so its date is another one by now.
        if status not in (201, 422):
            reasons = "; ".join(_messages(answer))
            raise SeedError(f"can't create {ticket['title']!r}: {status} {reasons}")
        if status == 201:
            ids[number] = answer["id"]
    buyer = Client(base)
    buyer.enter(BUYER)
    for number, quantity in _PURCHASES:
        if number in ids:
            _buy(buyer, ids[number], quantity)
    return len(_TICKETS)


def _buy(buyer: Client, ticket_id: str, quantity: int) -> None:
    """Reserve and pay, once: what has been bought, or can't be, stays as it is."""
    order = {"ticketId": ticket_id, "quantity": quantity}
    status, answer = buyer.post("/api/orders", order, key=f"demo-{ticket_id}")
    if status == 201 and answer["status"] == "created":
        buyer.post("/api/payments", {"orderId": answer["id"], "token": "tok_visa"})


def _command(name: str, *emails: str) -> None:
    """What an operator does with `ticketing accounts`, with the settings of auth."""
    command = (sys.executable, "-m", "ticketing", "accounts", name, *emails)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SeedError(f"ticketing accounts {name}: {done.stderr.strip()}")


def _tickets() -> list[dict[str, Any]]:
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return [
        {
            "title": title,
            "price": price,
            "currency": currency,
            "quantity": quantity,
            "venue": venue,
            "startsAt": (today.replace(hour=hour) + timedelta(days=days)).isoformat(),
            "description": description,
        }
        for title, price, currency, quantity, venue, days, hour, description in _TICKETS
    ]


def _messages(answer: Any) -> list[str]:
    errors = answer.get("errors", []) if isinstance(answer, dict) else []  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON is untyped
    return [str(error.get("message")) for error in errors]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType] - the same


def _body(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None  # the gateway answered for a service that is away


def main() -> int:
    base = os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000")
    try:
        count = seed(base)
    except SeedError as error:
        sys.stderr.write(f"seed: {error}\n")
        return 1
    print(f"{count} tickets on sale at {base}, by {SELLER}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
