"""The published language: every event that services exchange, its subject and its data.

An event carries the whole public state of its aggregate, so the newest one is all a reader needs.
Amounts are integers of the currency's minor unit; times are aware UTC; keys in JSON are camelCase.
"""

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

STREAM = "EVENTS"
STREAM_SUBJECTS = [
    f"{kind}.*"
    for kind in (
        *("ticket", "order", "availability", "payment", "expiration", "user", "session"),
        "audit",
    )
]


class Data(BaseModel):
    """The public state of an aggregate. Readers ignore keys they don't know, so it may grow."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


class UserData(Data):
    """`email` is None once the account is deleted, and whoever kept it forgets it."""

    id: str
    verified: bool
    disabled: bool
    deleted: bool
    email: str | None = None
    role: str = "user"


class SessionData(Data):
    """A revoked session; without `id`, every session of the user begun before `revoked_at`.

    Nothing that was signed for it is good after `until`, so the revocation can be forgotten then.
    """

    id: str | None
    user_id: str
    revoked_at: AwareDatetime
    until: AwareDatetime | None = None


class TicketData(Data):
    id: str
    user_id: str
    title: str
    unit_amount: int
    currency: str
    quantity: int
    withdrawn: bool
    venue: str | None = None
    starts_at: AwareDatetime | None = None
    description: str | None = None
    limit_per_person: int | None = None


class OrderedTicket(Data):
    """The ticket as it was when it was reserved: the price that the buyer agreed to."""

    id: str
    title: str
    unit_amount: int
    version: int
    seller_id: str = ""  # empty in events from before it was added


class PaymentPair(Data):
    """The payment and the attempt that an order is committed to."""

    payment_id: str
    attempt: int


class OrderData(Data):
    id: str
    user_id: str
    status: str
    reason: str | None
    quantity: int
    amount: int
    currency: str
    expires_at: AwareDatetime
    ticket: OrderedTicket
    payment: PaymentPair | None
    refunded: int
    returned: int = 0
    blocks: tuple[str, ...] = ()  # of its units, for orders itself; empty in older events


class AvailabilityData(Data):
    ticket_id: str
    capacity: int
    available: int
    order_id: str | None = None


class PaymentData(Data):
    """`refunded` is with the buyer; `returned` was sent there, too, and came back to us."""

    id: str
    order_id: str
    user_id: str
    attempt: int
    status: str
    amount: int
    currency: str
    captured: int
    refunded: int
    returned: int = 0


class ExpirationData(Data):
    order_id: str


class AuditData(Data):
    """An entry of the audit log: who did what, on what, when, from where and why.

    `actor` is a person's id, or empty for a stranger; `target` is such as `order:6f3c...`.
    """

    id: str
    kind: str
    at: AwareDatetime
    actor: str
    target: str
    address: str
    reason: str


class Event(BaseModel):
    """The envelope. A subclass names its subject and the type of its data."""

    model_config = ConfigDict(frozen=True)

    subject_name: ClassVar[str]
    key_name: ClassVar[str] = "id"
    id: str = Field(default_factory=lambda: secrets.token_hex(12))
    subject: str = ""
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    epoch: int = 0
    version: int = 0
    traceparent: str = ""

    def __init_subclass__(cls, subject: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if subject:
            cls.subject_name = subject
            EVENTS[subject] = cls

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - pydantic calls it so
        object.__setattr__(self, "subject", self.subject_name)

    @property
    def order(self) -> tuple[int, int]:
        """What decides which of two events of one aggregate is newer."""
        return self.epoch, self.version

    @property
    def aggregate(self) -> str:
        """Which aggregate this tells of, such as `ticket:6f3c...`."""
        data: Any = self.data  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] - each subclass has its own
        key = getattr(data, self.key_name)  # pyright: ignore[reportUnknownArgumentType]
        return f"{self.subject.partition('.')[0]}:{key}"

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True)

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_dict(cls, envelope: dict[str, Any]) -> Self:
        return cls.model_validate(envelope)


EVENTS: dict[str, type[Event]] = {}


class UserCreated(Event, subject="user.created"):
    data: UserData


class UserUpdated(Event, subject="user.updated"):
    data: UserData


class SessionRevoked(Event, subject="session.revoked"):
    data: SessionData


class TicketCreated(Event, subject="ticket.created"):
    data: TicketData


class TicketUpdated(Event, subject="ticket.updated"):
    data: TicketData


class OrderEvent(Event):
    data: OrderData


class OrderCreated(OrderEvent, subject="order.created"):
    pass


class OrderAwaitingPayment(OrderEvent, subject="order.awaiting-payment"):
    pass


class OrderCompleted(OrderEvent, subject="order.completed"):
    pass


class OrderCancelled(OrderEvent, subject="order.cancelled"):
    pass


class AvailabilityChanged(Event, subject="availability.changed"):
    key_name = "ticket_id"
    data: AvailabilityData


class PaymentEvent(Event):
    key_name = "order_id"  # there is one payment for each order
    data: PaymentData


class PaymentCreated(PaymentEvent, subject="payment.created"):
    pass


class PaymentCompleted(PaymentEvent, subject="payment.completed"):
    pass


class PaymentFailed(PaymentEvent, subject="payment.failed"):
    pass


class PaymentRefunded(PaymentEvent, subject="payment.refunded"):
    pass


class ExpirationComplete(Event, subject="expiration.complete"):
    key_name = "order_id"
    data: ExpirationData


class AuditRecorded(Event, subject="audit.recorded"):
    data: AuditData


def parse(payload: bytes | str) -> Event:
    """Read an event from JSON. Raises ValueError for what is none, or of an unknown subject."""
    envelope = Envelope.model_validate_json(payload)
    kind = EVENTS.get(envelope.subject)
    if kind is None:
        raise ValueError(f"unknown subject {envelope.subject!r}")
    return kind.model_validate_json(payload)


class Envelope(BaseModel):
    """Only what is needed to see which event a payload is."""

    subject: str
