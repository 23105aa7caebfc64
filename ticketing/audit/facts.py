"""What the audit has read, in as few bytes as the checks need, and what a check finds."""

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LIVE = {"created", "awaiting:payment", "complete"}  # orders that hold units


@dataclass(frozen=True, slots=True)
class Terms:
    """What orders and payments must agree on about an order."""

    epoch: int
    version: int
    status: str
    reason: str | None
    user_id: str
    title: str
    quantity: int
    amount: int
    currency: str
    expires_at: datetime
    payment: tuple[str, int] | None
    refunded: int


@dataclass(frozen=True, slots=True)
class Order:
    id: str
    terms: Terms
    ticket_id: str
    blocks: tuple[tuple[str, int], ...]
    updated_at: datetime
    release_pending: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """Units that an order took from a block."""

    order_id: str
    units: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Block:
    id: str
    capacity: int
    available: int
    taken: tuple[Entry, ...]
    open: bool
    stamp: tuple[int, int]

    @property
    def ticket_id(self) -> str:
        return self.id.partition(":")[0]

    @property
    def units(self) -> int:
        return sum(entry.units for entry in self.taken)


@dataclass(frozen=True, slots=True)
class Offer:
    """What tickets and orders must agree on about a ticket."""

    epoch: int
    version: int
    user_id: str
    title: str
    unit_amount: int
    currency: str
    quantity: int
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Stock:
    """What orders announced of a ticket, and what tickets has stored of that."""

    epoch: int
    version: int
    capacity: int
    available: int
    order_id: str | None


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of one order; `id` is the order's."""

    id: str
    payment_id: str
    order: Terms
    intent_id: str | None
    intent_status: str
    captured: int
    refunded: int
    attempts: int
    state: str
    settle_at: datetime | None
    wished_at: datetime | None  # that all be given back


@dataclass(frozen=True, slots=True)
class Intent:
    """A PaymentIntent as Stripe has it."""

    id: str
    order_id: str
    status: str
    amount: int
    currency: str
    captured: int
    refunded: int
    refund_failed: bool  # the last one that was made
    authorised_at: datetime | None

    @property
    def net(self) -> int:
        return self.captured - self.refunded


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that its outbox still holds."""

    aggregate: str
    event_id: str
    subject: str
    position: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Letter:
    """An event that no handler could take."""

    sequence: int
    consumer: str
    subject: str
    reason: str


@dataclass(slots=True)
class Timeline:
    """The events of one aggregate: by epoch and version, the event's id and its content."""

    events: dict[tuple[int, int], tuple[str, int]] = field(
        default_factory=dict[tuple[int, int], tuple[str, int]]
    )
    clashes: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    awaiting_since: datetime | None = None
    committed_at: int = 0  # sequences in the stream; 0: never
    captured_at: int = 0


@dataclass(slots=True)
class Facts:
    """Everything that was read in one round; a later round holds only what it looked at again."""

    read_at: datetime
    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    blocks: dict[str, list[Block]] = field(default_factory=dict[str, list[Block]])
    offers: dict[str, Offer] = field(default_factory=dict[str, Offer])
    followed: dict[str, Offer] = field(default_factory=dict[str, Offer])
    announced: dict[str, Stock] = field(default_factory=dict[str, Stock])
    stocks: dict[str, Stock | None] = field(default_factory=dict[str, Stock | None])
    payments: dict[str, Payment] = field(default_factory=dict[str, Payment])
    intents: dict[str, list[Intent]] = field(default_factory=dict[str, list[Intent]])
    heads: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    timelines: dict[str, Timeline] = field(default_factory=dict[str, Timeline])
    letters: list[Letter] = field(default_factory=list[Letter])
    duplicates: int = 0
    stream_is_whole: bool = True  # nothing was removed from it by age or size


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long things may be under way before they count as stuck."""

    expiry: timedelta = timedelta(seconds=30)
    awaiting: timedelta = timedelta(seconds=60)
    authorised: timedelta = timedelta(seconds=60)
    orphan: timedelta = timedelta(seconds=60)
    release: timedelta = timedelta(seconds=30)
    settling: timedelta = timedelta(seconds=60)
    refund: timedelta = timedelta(seconds=60)


# Once all is quiet nothing is under way; orphans are swept ten seconds after their time.
AT_REST = Bounds(
    expiry=timedelta(seconds=5),
    awaiting=timedelta(0),
    authorised=timedelta(0),
    orphan=timedelta(seconds=30),
    release=timedelta(0),
    settling=timedelta(seconds=5),
    refund=timedelta(0),
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is not as it must be; `ids` are the documents to look at again."""

    check: str
    about: str
    expected: str
    found: str
    ids: frozenset[str]

    @property
    def key(self) -> tuple[str, str]:
        return self.check, self.about


def differences(one: "DataclassInstance", other: "DataclassInstance") -> tuple[str, str]:
    """The fields in which two facts of one kind differ, as readable as possible."""
    names = [each.name for each in fields(one) if _differ(one, other, each.name)]
    return _listed(one, names), _listed(other, names)


def _differ(one: object, other: object, name: str) -> bool:
    return getattr(one, name) != getattr(other, name)


def _listed(fact: object, names: list[str]) -> str:
    return ", ".join(f"{name} {getattr(fact, name)!s}" for name in names)
