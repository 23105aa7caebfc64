"""What happened to a few things, in order, as the stream has it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import logs
from shared.bus import Bus, Message, is_trouble
from shared.errors import Unavailable
from shared.events import Event, parse

log = logs.get(__name__)

AROUND = timedelta(seconds=30)  # before and after a known moment, for what came of it
MOST = 10_000  # messages of one span that are looked at
PATIENCE = 5.0  # seconds


@dataclass(frozen=True)
class Span:
    """A time in which something is known to have happened."""

    since: datetime
    until: datetime


@dataclass(frozen=True)
class Told:
    """One event, and how it differs from the one before it of the same thing."""

    event: Event
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Story:
    told: tuple[Told, ...]
    whole: bool  # whether everything in these spans was looked at


class History:
    """Reads the stream by time and subject. Ids are in the events only, so spans must be short."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def story(self, about: set[str], subjects: list[str], spans: Iterable[Span]) -> Story:
        """The events of these aggregates in and around these times. Raises Unavailable."""
        try:
            read = self._bus.run(self._read(about, subjects, widened(spans)))
        except Exception as error:
            if not is_trouble(error):
                raise
            log.warning("the stream can't be read", error=repr(error))
            raise Unavailable("The history can't be read right now") from error
        events, whole = read
        return Story(tuple(_told(events)), whole)

    async def _read(
        self, about: set[str], subjects: list[str], spans: list[Span]
    ) -> tuple[list[Event], bool]:
        found: dict[str, Event] = {}
        whole = True
        async with asyncio.timeout(PATIENCE):
            for span in spans:
                messages = [each async for each in _within(self._bus, subjects, span)]
                whole = whole and len(messages) < MOST
                found |= {event.id: event for each in messages if (event := _about(each, about))}
        return sorted(found.values(), key=lambda event: event.time), whole


def widened(spans: Iterable[Span]) -> list[Span]:
    """These times and a little around them, those that meet made one."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: span.since):
        since, until = span.since - AROUND, span.until + AROUND
        if result and since <= result[-1].until:
            result[-1] = Span(result[-1].since, max(result[-1].until, until))
        else:
            result.append(Span(since, until))
    return result


async def _within(bus: Bus, subjects: list[str], span: Span) -> AsyncIterator[Message]:
    """Stored messages of a span, at most so many."""
    count = 0
    async for message in bus.read(subjects=subjects, since=span.since):
        if message is None or count == MOST or _time(message) > span.until:
            return
        count += 1
        yield message


def _time(message: Message) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(message.payload)["time"])
    except (ValueError, LookupError, TypeError):  # no event, so it ends nothing
        return datetime.min.replace(tzinfo=UTC)


def _about(message: Message, about: set[str]) -> Event | None:
    keys = [name.partition(":")[2].encode() for name in about]
    if not any(key in message.payload for key in keys):
        return None
    try:
        event = parse(message.payload)
    except ValueError:
        return None
    return event if event.aggregate in about else None


def _told(events: list[Event]) -> Iterable[Told]:
    before: dict[str, dict[str, Any]] = {}
    for event in events:
        data = event.to_dict()["data"]
        yield Told(event, tuple(_changes(before.get(event.aggregate), data)))
        before[event.aggregate] = data


# Of the first event of a thing in these spans; what else it says is on the thing's own part.
_AT_FIRST = ("title", "status", "quantity", "unitAmount", "amount", "currency")


def _changes(before: dict[str, Any] | None, after: dict[str, Any]) -> Iterable[str]:
    for name, value in after.items():
        if before is None and name in _AT_FIRST:
            yield f"{name}: {_short(value)}"
        elif before is not None and before.get(name) != value:
            yield f"{name}: {_short(before.get(name))} → {_short(value)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}…"
