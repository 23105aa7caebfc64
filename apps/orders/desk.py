"""The desk where reservations are made: units are taken first, then the orders are stored."""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from apps.orders import models, onsale, shares
from apps.orders.allotment import Allotment
from apps.orders.blocks import Blocks, Wish
from apps.orders.groupcommit import GroupCommit
from apps.orders.hoarding import Hoarding
from apps.orders.models import Order
from apps.orders.onsale import NotOnSale, Ticket
from apps.orders.shares import OverLimit, Overtaken
from apps.orders.store import Orders as Store
from apps.orders.store import Tickets
from shared.errors import KeyReused, NotHereYet, Refused
from shared.events import OrderCreated
from shared.mongo import Document
from shared.patience import wait_for
from shared.people import User

GROUP = 100  # reservations for one ticket that share a write at the most; groups that share another
NO_TICKET = "There is no such ticket"
ATTEMPTS = 5  # of a request that others of the same person overtake, in other processes


Result = Order | Refused | None


@dataclass
class Request:
    """What somebody asks for, and what became of it; nothing while the ticket is not known here."""

    user_id: str
    quantity: int
    key: str | None
    key_hash: str
    result: Result = None


@dataclass
class Reservation:
    """A new order on its way into the database, and what became of it."""

    ticket: Ticket
    order: Order
    result: Result = None


@dataclass
class Insert:
    """Orders on their way into the database, and the ids of those that it refused."""

    documents: list[Document]
    refused: set[str] = field(default_factory=set[str])


@dataclass
class Desk:
    store: Store
    tickets: Tickets
    blocks: Blocks
    allotment: Allotment
    hold: timedelta
    now: Callable[[], datetime]
    hoarding: Hoarding

    def __post_init__(self) -> None:
        self._queue = GroupCommit(self._serve, GROUP)
        self._inserts = GroupCommit(self._insert_together, GROUP)

    def place(self, user: User, ticket_id: str, quantity: int, key: str | None) -> Order:
        """Reserve units of a ticket. The same key gives the same order again."""
        key_hash = _hash({"ticketId": ticket_id, "quantity": quantity})
        if key and (earlier := self._earlier(user.id, key, key_hash)):
            return earlier
        request = Request(user.id, quantity, key, key_hash)
        for _ in range(ATTEMPTS):
            self._queue.run(ticket_id, request)
            if isinstance(request.result, Order):
                return request.result
            if request.result is None:
                self._wait_for_ticket(ticket_id)
            elif not isinstance(request.result, Overtaken):
                raise request.result
        raise Overtaken

    def _earlier(self, user_id: str, key: str, key_hash: str) -> Order | None:
        earlier = self.store.by_key(user_id, key)
        if earlier and earlier.key_hash != key_hash:
            raise KeyReused(field="Idempotency-Key")
        return earlier

    def _wait_for_ticket(self, ticket_id: str) -> None:
        """Until its event has arrived and its units can be taken. Raises NotHereYet."""
        if wait_for(ticket_id, lambda: self._usable(ticket_id)) is None:
            raise NotHereYet(NO_TICKET)

    def _usable(self, ticket_id: str) -> Ticket | None:
        ticket = self.tickets.find(ticket_id)
        return ticket if ticket and ticket.blocks else None

    def _new_order(self, ticket: Ticket, request: Request) -> Order:
        now = self.now()
        order = Order(
            id=secrets.token_hex(12),
            version=0,
            status="created",
            user_id=request.user_id,
            quantity=request.quantity,
            amount=ticket.unit_amount * request.quantity,
            currency=ticket.currency,
            ticket=onsale.ordered(ticket),
            blocks=(),
            created_at=now,
            expires_at=now + self.hold,
            updated_at=now,
        )
        return models.with_key(order, request.key, request.key_hash) if request.key else order

    def _serve(self, ticket_id: str, requests: list[Request]) -> None:
        """One look at the ticket for everybody who wants it."""
        ticket = self._usable(ticket_id)
        if ticket is None:
            return
        if ticket.withdrawn:
            for request in requests:
                request.result = NotOnSale()
            return
        reservations = [Reservation(ticket, self._new_order(ticket, each)) for each in requests]
        self.reserve(ticket_id, reservations)
        for request, reservation in zip(requests, reservations, strict=True):
            request.result = reservation.result

    def reserve(self, ticket_id: str, reservations: list[Reservation]) -> None:
        """Carry out each request once: who sends it again is given the same answer."""
        firsts = {_request(r.order): r for r in reversed(reservations)}
        self._reserve_all(ticket_id, [r for r in reservations if firsts[_request(r.order)] is r])
        for reservation in reservations:
            reservation.result = firsts[_request(reservation.order)].result

    def _reserve_all(self, ticket_id: str, reservations: list[Reservation]) -> None:
        """Take units for all reservations in one write, then store their orders in another."""
        reservations = self._without_hoarders(ticket_id, reservations)
        reservations = self._within_limits(ticket_id, reservations)
        if not reservations:
            return
        wishes = {
            r.order.id: Wish(r.order.id, r.order.quantity, r.order.expires_at) for r in reservations
        }
        count = max(r.ticket.blocks for r in reservations)
        self.blocks.take(ticket_id, count, list(wishes.values()))
        for reservation in reservations:
            taken = tuple(wishes[reservation.order.id].taken)
            reservation.order = models.with_blocks(reservation.order, taken)
        losers = self._insert([r for r in reservations if r.order.blocks])
        self._refuse([r for r in reservations if not r.order.blocks])
        if losers or any(wish.returned for wish in wishes.values()):
            # Somebody may have counted what was free while units were held here for a moment.
            self.allotment.announce(ticket_id)

    def _without_hoarders(
        self, ticket_id: str, reservations: list[Reservation]
    ) -> list[Reservation]:
        refused = self.hoarding.refusals(ticket_id, (r.order for r in reservations), self.now())
        for reservation in reservations:
            if why := refused.get(reservation.order.id):
                # The repeat of a request finds what the first one was given.
                reservation.result = self._winner(reservation.order, why)
        return [r for r in reservations if r.order.id not in refused]

    def _within_limits(self, ticket_id: str, reservations: list[Reservation]) -> list[Reservation]:
        """Without those who would have more than the seller allows; the others get their shares."""
        people = {r.order.user_id for r in reservations if r.ticket.limit_per_person}
        if not people:
            return reservations
        held = shares.held(self.store.of_people(ticket_id, people))
        return [r for r in reservations if self._shared_out(r, held[r.order.user_id])]

    def _shared_out(self, reservation: Reservation, held: shares.Held) -> bool:
        order, limit = reservation.order, reservation.ticket.limit_per_person
        if limit:
            try:
                reservation.order = shares.with_shares(order, limit, held)
            except OverLimit as why:
                # The repeat of a request finds what the first one was given.
                reservation.result = self._winner(order, why)
                return False
        held.add(reservation.order)
        return True

    def _insert(self, served: list[Reservation]) -> set[str]:
        """Store the orders; the ids of those that another one stood in the way of."""
        if not served:
            return set()
        new_document = self.store.aggregates.new_document
        insert = Insert([new_document(r.order, OrderCreated) for r in served])
        self._inserts.run("", insert)
        for reservation in served:
            order = reservation.order
            if order.id in insert.refused:
                self.put_back(order)
                reservation.result = self._winner(
                    order, Overtaken() if order.shares else onsale.SoldOut()
                )
            else:
                reservation.result = order
        return insert.refused

    def _insert_together(self, _key: str, inserts: list[Insert]) -> None:
        """Orders of all tickets share a write: eight together take a third of the embedded
        database's time for eight alone."""
        documents = [document for insert in inserts for document in insert.documents]
        refused = self.store.aggregates.insert_many(documents)
        for insert in inserts:
            insert.refused = refused & {document["_id"] for document in insert.documents}

    def _winner(self, order: Order, otherwise: Refused) -> Order | Refused:
        """The order that was first under the same key; without one, why this one was not stored."""
        try:
            earlier = order.key and self._earlier(order.user_id, order.key, order.key_hash or "")
        except KeyReused as reused:
            return reused
        return earlier or otherwise

    def _refuse(self, left_out: list[Reservation]) -> None:
        """Say why there are no units, from one look for everybody who asked."""
        if not left_out:
            return
        ticket = self.tickets.find(left_out[0].ticket.id) or left_out[0].ticket
        left = sum(b.available for b in self.blocks.read(ticket.id, ticket.blocks, only_open=True))
        for reservation in left_out:
            refusal = onsale.refusal(ticket, left, reservation.order.quantity)
            # A double click on the last unit: the second request finds what the first one took.
            reservation.result = self._winner(reservation.order, refusal)

    def put_back(self, order: Order) -> None:
        """Give the units back to their blocks, and let a shrunken ticket give them up."""
        for part in order.blocks:
            self.blocks.release(order.id, part)
        self.allotment.after_release(order.ticket.id)


def _request(order: Order) -> tuple[str, ...]:
    """The same for requests that are one, sent several times."""
    return (order.user_id, order.key, order.key_hash or "") if order.key else (order.id,)


def _hash(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
