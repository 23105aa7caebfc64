"""Reads the stream once, and later only what was added; keeps a fingerprint of each event."""

import json
import zlib
from collections.abc import AsyncIterator

from shared.bus import DEAD_STREAM, Bus, Message
from shared.events import (
    STREAM,
    Event,
    ExpirationComplete,
    OrderAwaitingPayment,
    OrderEvent,
    PaymentCompleted,
    parse,
)
from ticketing.audit.facts import Facts, Letter, Timeline

# An alarm is no state of anything: it may ring any number of times, always as version 0.
WITHOUT_VERSIONS = {ExpirationComplete.subject_name}


class History:
    """Everything the stream holds, by aggregate."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.timelines: dict[str, Timeline] = {}
        self.duplicates = 0
        self._next = 1

    def read(self, facts: Facts) -> None:
        """Fill in what the stream and the dead letters say now."""
        self.bus.run(self._read())
        facts.timelines, facts.duplicates = self.timelines, self.duplicates
        facts.letters = self.bus.run(self._letters())
        facts.stream_is_whole = self.bus.run(self._is_whole())

    async def _read(self) -> None:
        async for message in self.messages(since=self._next):
            self._next = message.sequence + 1
            if (event := event_of(message)) is not None:
                self._note(event, message.sequence)

    async def messages(self, stream: str = STREAM, since: int = 1) -> AsyncIterator[Message]:
        """Every stored message from a sequence on."""
        async for message in self.bus.read(stream, since=since):
            if message is not None:
                yield message

    async def _letters(self) -> list[Letter]:
        return [letter(message) async for message in self.messages(DEAD_STREAM)]

    async def _is_whole(self) -> bool:
        info = await self.bus.jetstream.stream_info(STREAM)
        return info.state.first_seq <= 1

    def _note(self, event: Event, sequence: int) -> None:
        if event.subject in WITHOUT_VERSIONS:
            return
        timeline = self.timelines.setdefault(event.aggregate, Timeline())
        told = (event.id, _fingerprint(event))
        known = timeline.events.setdefault(event.order, told)
        if known is not told:
            self.duplicates += 1
        if known != told:
            timeline.clashes.add(event.order)
        _note_place(timeline, event, sequence)
        if isinstance(event, OrderEvent) and event.order == max(timeline.events):
            _note_awaiting(timeline, event)


def _fingerprint(event: Event) -> int:
    envelope = event.to_dict()
    return zlib.crc32(json.dumps([envelope["subject"], envelope["data"]]).encode())


def _note_place(timeline: Timeline, event: Event, sequence: int) -> None:
    """Where the stream first told of a commit, and of a capture."""
    if isinstance(event, OrderAwaitingPayment):
        timeline.committed_at = timeline.committed_at or sequence
    elif isinstance(event, PaymentCompleted):
        timeline.captured_at = timeline.captured_at or sequence


def _note_awaiting(timeline: Timeline, event: OrderEvent) -> None:
    """Since when the order has been waiting for its capture; saying so again changes nothing."""
    if not isinstance(event, OrderAwaitingPayment):
        timeline.awaiting_since = None
    elif timeline.awaiting_since is None:
        timeline.awaiting_since = event.time


def event_of(message: Message) -> Event | None:
    """The event; None for a message that is none, which consumers put aside as a dead letter."""
    try:
        return parse(message.payload)
    except ValueError:
        return None


def letter(message: Message) -> Letter:
    headers = message.headers
    return Letter(
        message.sequence,
        message.subject.partition(".")[2],
        headers.get("Subject", ""),
        headers.get("Reason", ""),
    )
