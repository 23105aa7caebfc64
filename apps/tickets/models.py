"""A ticket on sale: what its seller may do with it, and when it can be bought. No storage here."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.errors import Forbidden, KeyReused, NotFound, PreconditionFailed, Refused
from shared.events import Event, TicketCreated, TicketData, TicketUpdated
from shared.fields import NO_DECIMALS


class TicketReserved(Refused):
    message = "Ticket is reserved"


class TicketWithdrawn(Refused):
    message = "This ticket was withdrawn from sale"


class BelowTaken(Refused):
    def __init__(self, taken: int) -> None:
        super().__init__(f"quantity must be at least {taken}: so many are taken", field="quantity")


@dataclass(frozen=True)
class Details:
    """What a seller says of a ticket, and may change."""

    title: str
    unit_amount: int
    currency: str
    quantity: int
    venue: str | None = None
    starts_at: datetime | None = None
    description: str | None = None
    limit_per_person: int | None = None  # units that one person may have; None: any number


@dataclass(frozen=True)
class Stock:
    """What orders last said: how many units may be sold, and how many of them are free."""

    epoch: int
    version: int
    capacity: int
    available: int
    order_id: str | None = None

    @property
    def taken(self) -> int:
        return self.capacity - self.available


@dataclass(frozen=True)
class Places:
    """Where a ticket stands in each order of the list. No two tickets share a place."""

    newest: int
    price: int
    date: int


@dataclass(frozen=True)
class Ticket:
    id: str
    version: int
    user_id: str
    title: str
    unit_amount: int
    currency: str
    quantity: int
    created_at: datetime
    updated_at: datetime
    venue: str | None = None
    starts_at: datetime | None = None
    description: str | None = None
    limit_per_person: int | None = None
    withdrawn: bool = False
    stock: Stock | None = None
    age: int = 0  # its place among all tickets by time, the newest last
    listed: Places | None = None  # only what can be bought now has places in the list
    search: str = ""
    key: str | None = None
    key_hash: str | None = None
    edit_key: str | None = None
    edit_hash: str | None = None

    @property
    def details(self) -> Details:
        return Details(**{name: getattr(self, name) for name in Details.__dataclass_fields__})

    @property
    def available(self) -> int:
        """Units that can be bought now, as far as this service knows."""
        if self.withdrawn:
            return 0
        if self.stock is None:
            return self.quantity
        # Until orders has followed a changed quantity, the smaller promise is the true one.
        return min(self.stock.available, max(self.quantity - self.stock.taken, 0))

    @property
    def taken(self) -> int:
        return self.stock.taken if self.stock else 0

    @property
    def order_id(self) -> str | None:
        """The order that holds the only unit."""
        return self.stock.order_id if self.stock and self.quantity == 1 else None

    @property
    def tag(self) -> str:
        """Changes with everything that people see of a ticket."""
        return f"{self.version}-{self.stock.version if self.stock else 0}"


Change = tuple[Ticket, type[Event] | None]


def create(ticket_id: str, user_id: str, details: Details, now: datetime) -> Change:
    ticket = Ticket(
        id=ticket_id,
        version=0,
        user_id=user_id,
        created_at=now,
        updated_at=now,
        age=_age(now, ticket_id),
        **vars(details),
    )
    return _placed(ticket), TicketCreated


def with_key(ticket: Ticket, key: str, key_hash: str) -> Ticket:
    return replace(ticket, key=key, key_hash=key_hash)


def require_seller(ticket: Ticket | None, user_id: str) -> Ticket:
    """The ticket, if this person sells it. Raises NotFound or Forbidden."""
    if ticket is None:
        raise NotFound
    if ticket.user_id != user_id:
        raise Forbidden("This is somebody else's ticket")
    return ticket


def edit(ticket: Ticket, details: Details, expected: int | None, now: datetime) -> Change:
    """Replace what the seller said. `expected` is the version that the change is based on.

    Raises PreconditionFailed for another version, TicketWithdrawn, TicketReserved or BelowTaken.
    """
    if expected is not None and expected != ticket.version:
        raise PreconditionFailed
    if ticket.withdrawn:
        raise TicketWithdrawn
    if ticket.quantity == 1 and ticket.taken:
        raise TicketReserved
    if details.quantity < ticket.taken:
        raise BelowTaken(ticket.taken)
    return _placed(replace(ticket, updated_at=now, **vars(details))), TicketUpdated


def edit_once(
    ticket: Ticket, details: Details, expected: int | None, now: datetime, key: str, key_hash: str
) -> Change:
    """Edit, unless the last edit had this key: then it is the same request again."""
    if ticket.edit_key == key:
        if ticket.edit_hash != key_hash:
            raise KeyReused(field="Idempotency-Key")
        return ticket, None
    edited, event = edit(ticket, details, expected, now)
    return replace(edited, edit_key=key, edit_hash=key_hash), event


def withdraw(ticket: Ticket, now: datetime) -> Change:
    """Take it off sale; what was paid stays paid. Withdrawing again changes nothing."""
    if ticket.withdrawn:
        return ticket, None
    return _placed(replace(ticket, withdrawn=True, updated_at=now)), TicketUpdated


def restock(ticket: Ticket, stock: Stock, *, rebuild: bool = False) -> Change:
    """Note what orders said, unless something newer is known; no event, as orders told everyone.

    A rebuild also takes the same version once more, whatever is here.
    """
    if ticket.stock:
        known, said = (ticket.stock.epoch, ticket.stock.version), (stock.epoch, stock.version)
        if known > said or (known == said and not rebuild):
            return ticket, None
    return _placed(replace(ticket, stock=stock)), None


def announce(ticket: Ticket) -> Change:
    """Say the state again, with a new version: heals what an event's loss left behind."""
    return _placed(ticket), TicketUpdated


def clear_past(ticket: Ticket, now: datetime) -> Change:
    """Take a ticket whose time has come out of the list, so that it costs readers nothing."""
    past = ticket.starts_at is not None and ticket.starts_at <= now
    return (replace(ticket, listed=None) if past else ticket), None


def public(ticket: Ticket) -> TicketData:
    """What the ticket's events say."""
    return TicketData(
        id=ticket.id,
        user_id=ticket.user_id,
        title=ticket.title,
        unit_amount=ticket.unit_amount,
        currency=ticket.currency,
        quantity=ticket.quantity,
        withdrawn=ticket.withdrawn,
        venue=ticket.venue,
        starts_at=ticket.starts_at,
        description=ticket.description,
        limit_per_person=ticket.limit_per_person,
    )


# --- the list -------------------------------------------------------------------------------------

# A place is one integer of at most 62 bits: what is sorted by, then bits of the random id, so that
# equal prices and dates still have an order, and any stretch of the list can be cut in two.
# Prices are compared by the number that people read, in hundredths, whatever the currency.
_BITS = 28
_NO_DATE = 1 << 33  # seconds; tickets without a date stand after all others


def _placed(ticket: Ticket) -> Ticket:
    """The ticket with what the list is made of brought up to date."""
    return replace(
        ticket,
        listed=_places(ticket) if ticket.available else None,
        search=f"{ticket.title}\n{ticket.venue or ''}".casefold(),
    )


def _places(ticket: Ticket) -> Places:
    seconds = int(ticket.starts_at.timestamp()) if ticket.starts_at else _NO_DATE
    factor = 100 if ticket.currency in NO_DECIMALS else 1
    return Places(
        newest=ticket.age,
        price=ticket.unit_amount * factor << _BITS | _bits(ticket.id, _BITS),
        date=seconds << _BITS | _bits(ticket.id, _BITS),
    )


@dataclass(frozen=True)
class Span:
    """Places of one order of the list: from `low` up to, but without, `high`."""

    low: int = 0
    high: int = 1 << 62


def dates(since: datetime | None, until: datetime | None, now: datetime) -> Span:
    """Where the tickets stand that begin at `since` or later, before `until`, and not in the past.

    Tickets without a date are among them only where no date is asked for.
    """
    low = _second(now) + 1
    if since is None and until is None:
        return Span(low << _BITS)
    if since:
        low = max(low, _second(since))
    return Span(low << _BITS, (_second(until) if until else _NO_DATE) << _BITS)


def prices(lowest: int | None, highest: int | None) -> Span:
    """Where the tickets stand whose price is between two numbers of hundredths."""
    every = Span()
    return Span(
        every.low if lowest is None else lowest << _BITS,
        every.high if highest is None else highest + 1 << _BITS,
    )


def _second(time: datetime) -> int:
    return int(time.timestamp())


def _age(created_at: datetime, ticket_id: str) -> int:
    milliseconds = int(created_at.astimezone(UTC).timestamp() * 1000)
    return milliseconds << 20 | _bits(ticket_id, 20)


def _bits(ticket_id: str, count: int) -> int:
    return int(ticket_id[: count // 4], 16)
