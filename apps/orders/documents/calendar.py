"""The date of a ticket as a file for calendars (RFC 5545)."""

from datetime import UTC, datetime

from apps.orders.models import Purchase

LINE = 75  # octets, without the line break


def calendar(purchase: Purchase, starts_at: datetime, url: str, now: datetime) -> bytes:
    """One event. How long it takes is not known, so it has a start alone."""
    order = purchase.order
    host = url.partition("//")[2].partition("/")[0].partition(":")[0]
    units = "1 ticket" if order.quantity == 1 else f"{order.quantity} tickets"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Ticketing//Orders//EN",
        "BEGIN:VEVENT",
        f"UID:{order.id}@{host}",
        f"DTSTAMP:{_utc(now)}",
        f"DTSTART:{_utc(starts_at)}",
        f"SUMMARY:{_text(order.ticket.title)}",
        *([f"LOCATION:{_text(purchase.venue)}"] if purchase.venue else []),
        f"DESCRIPTION:{_text(f'{units}, order {order.id}')}",
        f"URL:{url}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return b"".join(_fold(line) for line in lines)


def _utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    for special in ("\\", ";", ","):
        value = value.replace(special, f"\\{special}")
    # What is left of control characters has no place in a line of text.
    joined = "\\n".join(value.splitlines())
    return "".join(letter for letter in joined if letter.isprintable())


def _fold(line: str) -> bytes:
    """A long line goes on in the next one after a space; no letter is torn apart."""
    parts: list[bytes] = [b""]
    for letter in line:
        encoded = letter.encode()
        if len(parts[-1]) + len(encoded) > LINE:
            parts.append(b" ")
        parts[-1] += encoded
    return b"\r\n".join(parts) + b"\r\n"
