"""What is on sale, as orders knows it, and why somebody gets nothing of it."""

from dataclasses import dataclass
from datetime import datetime

from shared.errors import Forbidden, NotFound, Refused


class TicketReserved(Refused):
    message = "Ticket is already reserved"


class SoldOut(Refused):
    message = "Sold out"


class NotEnoughLeft(Refused):
    def __init__(self, left: int) -> None:
        super().__init__(f"Only {left} left", field="quantity")


class NotOnSale(Refused):
    message = "This ticket is no longer on sale"


@dataclass(frozen=True)
class Ordered:
    """The ticket as it was when it was reserved."""

    id: str
    title: str
    unit_amount: int
    version: int
    seller_id: str


@dataclass(frozen=True)
class Ticket:
    """What orders knows of a ticket: a replica, and how far its blocks follow it."""

    id: str
    epoch: int
    version: int
    user_id: str
    title: str
    unit_amount: int
    currency: str
    quantity: int
    withdrawn: bool
    blocks: int
    reach: int  # blocks that a run may have made, also one that did not come to its end
    rev: int
    allotted: bool
    venue: str | None = None  # what was stored before it was kept has none, until a resync
    starts_at: datetime | None = None
    limit_per_person: int | None = None


def require_seller(ticket: Ticket | None, user_id: str) -> Ticket:
    """The ticket, if this person sells it. Raises NotFound or Forbidden."""
    if ticket is None:
        raise NotFound
    if ticket.user_id != user_id:
        raise Forbidden("Somebody else sells this ticket")
    return ticket


def refusal(ticket: Ticket, left: int, wanted: int) -> Refused:
    """Why somebody got no units, when so many are left."""
    if ticket.withdrawn:
        return NotOnSale()
    if 0 < left < wanted:
        return NotEnoughLeft(left)
    return TicketReserved() if ticket.quantity == 1 else SoldOut()


def ordered(ticket: Ticket) -> Ordered:
    """The ticket as an order keeps it."""
    return Ordered(ticket.id, ticket.title, ticket.unit_amount, ticket.version, ticket.user_id)
