"""The JSON door."""

import re

from flask import Blueprint, Response, current_app, jsonify, request
from pydantic import Field

from apps.tickets.inputs import ChangeIn, ListIn, TicketIn, link_to_next, place
from apps.tickets.models import Ticket
from apps.tickets.service import Tickets
from shared import web
from shared.errors import PreconditionFailed
from shared.fields import to_major
from shared.identity import require_user, require_verified
from shared.openapi import (
    ConditionalHeaders,
    IdempotencyHeaders,
    Output,
    Price,
    Time,
    documented,
)
from shared.web.ready import same_for_everyone

blueprint = Blueprint("api", __name__)


class TicketOut(Output):
    id: str
    title: str
    price: Price
    currency: str
    quantity: int
    available: int = Field(description="units that can be bought now")
    user_id: str = Field(description="the seller")
    version: int
    venue: str | None = None
    starts_at: Time | None = None
    description: str | None = None
    limit_per_person: int | None = Field(None, description="units that one person may have in all")
    order_id: str | None = Field(None, description="the order that holds the only unit")


def service() -> Tickets:
    return current_app.extensions["service"]


@blueprint.post("/api/tickets")
@documented({201: TicketOut}, (400, 401, 403, 422), json=TicketIn, headers=IdempotencyHeaders)
def create() -> tuple[Response, int]:
    """Put a ticket on sale, which needs a confirmed address."""
    user = require_verified()
    ticket = service().create(user, web.body(TicketIn).details, web.idempotency_key())
    return _answer(ticket), 201


@blueprint.get("/api/tickets")
@documented({200: list[TicketOut]}, (400,), query=ListIn)
def index() -> Response:
    """What can be bought now. The Link header names the next page."""
    wanted = web.query(ListIn)
    after = place(wanted.sort, wanted.after)
    page = service().browse(wanted.search, after, wanted.limit)
    response = jsonify([to_json(ticket) for ticket in page.tickets])
    if link := link_to_next(wanted.sort, page):
        response.headers["Link"] = f'<{link}>; rel="next"'
    return same_for_everyone(response)


@blueprint.get("/api/tickets/<ticket_id>")
@documented({200: TicketOut, 304: None}, (404,))
def show(ticket_id: str) -> Response:
    """One ticket. Its ETag names the version and the version of its availability."""
    response = _answer(service().get(web.require_id(ticket_id)))
    # A client may keep it, if it asks each time whether it is still true.
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return same_for_everyone(response)


@blueprint.put("/api/tickets/<ticket_id>")
@documented(
    {200: TicketOut},
    (400, 401, 403, 404, 409, 412, 422),
    json=ChangeIn,
    headers=ConditionalHeaders,
)
def update(ticket_id: str) -> Response:
    """Change what the seller says of a ticket. What is left out stays as it is."""
    user, ticket_id = require_user(), web.require_id(ticket_id)
    change = web.body(ChangeIn)
    ticket = service().edit(
        user, ticket_id, change.over, _expected(), web.idempotency_key(), change.digest
    )
    return _answer(ticket)


@blueprint.delete("/api/tickets/<ticket_id>")
@documented({204: None}, (401, 403, 404))
def delete(ticket_id: str) -> tuple[str, int]:
    """Withdraw a ticket from sale. Paid orders stay."""
    service().withdraw(require_user(), web.require_id(ticket_id))
    return "", 204


def _expected() -> int | None:
    """The version that If-Match names: the part before the hyphen. None where any will do."""
    tags = request.if_match
    if tags.star_tag or not tags:
        return None
    versions = {tag.partition("-")[0] for tag in tags.as_set(include_weak=True)}
    if len(versions) != 1 or not re.fullmatch("[0-9]{1,18}", version := versions.pop()):
        raise PreconditionFailed
    return int(version)


def _answer(ticket: Ticket) -> Response:
    response = jsonify(to_json(ticket))
    response.set_etag(ticket.tag)
    return response


def to_json(ticket: Ticket) -> dict[str, object]:
    """A ticket as clients see it; money in major units."""
    return TicketOut(
        id=ticket.id,
        title=ticket.title,
        price=to_major(ticket.unit_amount, ticket.currency),
        currency=ticket.currency,
        quantity=ticket.quantity,
        available=ticket.available,
        user_id=ticket.user_id,
        version=ticket.version,
        venue=ticket.venue,
        starts_at=ticket.starts_at,
        description=ticket.description,
        limit_per_person=ticket.limit_per_person,
        order_id=ticket.order_id,
    ).to_json()
