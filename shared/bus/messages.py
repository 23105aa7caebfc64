"""What goes over the bus, and what may become of it. No connection here."""

from collections.abc import Callable
from dataclasses import dataclass, field

Listener = Callable[[str, bytes], None]
Tell = Callable[[str, str | None], None]  # as `Bus.tell`


@dataclass(frozen=True)
class Message:
    """What was stored: the payload, its place in the stream, and its headers."""

    subject: str
    payload: bytes
    sequence: int
    deliveries: int = 1
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Ack:
    """The handler did its work, or decided that there is none to do."""


@dataclass(frozen=True)
class Nak:
    """Deliver again after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class Dead:
    """Put aside for a person, with the reason."""

    reason: str


Outcome = Ack | Nak | Dead
Handler = Callable[[list[Message]], list[Outcome]]


@dataclass(frozen=True)
class Consumer:
    """A durable pull consumer. `handle` gets up to `batch` messages that arrive within `linger`.

    After that each loop rests `rest` times as long as they took, within limits, as what others do
    is more urgent.
    """

    durable: str
    subjects: list[str]
    handle: Handler
    loops: int = 4
    batch: int = 1
    linger: float = 0.0
    rest: float = 0.0


def tell_nobody(topic: str, user_id: str | None) -> None:
    """Where nobody looks at a page yet: a rebuild, or a test without NATS."""
    del topic, user_id
