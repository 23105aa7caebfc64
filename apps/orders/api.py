"""The JSON door."""

from datetime import datetime
from typing import Annotated

from flask import Blueprint, Response, current_app, jsonify
from pydantic import Field

from apps.orders.models import Order
from apps.orders.service import Orders
from shared import web
from shared.errors import FieldError, InvalidInput
from shared.fields import Input, Text, Whole, to_major
from shared.identity import require_user
from shared.openapi import IdempotencyHeaders, Output, Price, Time, documented
from shared.paging import Cursors, next_url

blueprint = Blueprint("api", __name__)

MOST_UNITS = 10  # that one order may reserve


class OrderIn(Input):
    ticket_id: Annotated[Text, Field(min_length=1, max_length=64)]
    quantity: Annotated[Whole, Field(ge=1, le=MOST_UNITS)] = 1


class PageIn(Input):
    limit: Annotated[Whole, Field(ge=1, le=100)] = 50
    after: str | None = None


class TicketOut(Output):
    id: str
    title: str
    price: Price
    version: int


class OrderOut(Output):
    id: str
    status: str
    reason: str | None = None
    user_id: str
    quantity: int
    total: Price
    currency: str
    expires_at: Time
    version: int
    refunded: Price | None = None
    ticket: TicketOut


def service() -> Orders:
    return current_app.extensions["service"]


@blueprint.before_request
def only_for_people_signed_in() -> None:
    require_user()


@blueprint.post("/api/orders")
@documented(
    {201: OrderOut},
    (400, 401, 403, 404, 422, 429),
    json=OrderIn,
    headers=IdempotencyHeaders,
)
def create() -> tuple[Response, int]:
    """Reserve units of a ticket for a while."""
    wanted = web.body(OrderIn)
    ticket_id = web.require_id(wanted.ticket_id)
    order = service().place(require_user(), ticket_id, wanted.quantity, web.idempotency_key())
    return jsonify(to_json(order)), 201


@blueprint.get("/api/orders")
@documented({200: list[OrderOut]}, (400, 401), query=PageIn)
def index() -> Response:
    """The orders of the person who asks, newest first."""
    orders, following = page(web.query(PageIn))
    response = jsonify([to_json(order) for order in orders])
    if following:
        response.headers["Link"] = f'<{next_url(following)}>; rel="next"'
    return response


@blueprint.get("/api/orders/<order_id>")
@documented({200: OrderOut}, (401, 403, 404))
def show(order_id: str) -> Response:
    """One order, for its buyer."""
    return jsonify(to_json(service().get(require_user(), web.require_id(order_id))))


@blueprint.delete("/api/orders/<order_id>")
@documented({204: None}, (400, 401, 403, 404))
def delete(order_id: str) -> tuple[str, int]:
    """Cancel an order that is not paid; its units are free at once."""
    service().cancel(require_user(), web.require_id(order_id))
    return "", 204


def page(wanted: PageIn) -> tuple[list[Order], str | None]:
    """A page of the person's orders, and the cursor of the next one if there is one."""
    cursors = Cursors(str(current_app.secret_key), "orders")
    after = _position(cursors.read(wanted.after))
    orders = service().of_user(require_user(), after, wanted.limit + 1)
    if len(orders) <= wanted.limit:
        return orders, None
    last = orders[wanted.limit - 1]
    return orders[: wanted.limit], cursors.make([last.created_at.isoformat(), last.id])


def _position(read: list[str] | None) -> tuple[datetime, str] | None:
    if read is None:
        return None
    try:
        time, order_id = read
        return datetime.fromisoformat(time), order_id
    except ValueError:
        raise InvalidInput([FieldError("after is not a cursor of this list", "after")]) from None


def to_json(order: Order) -> dict[str, object]:
    """An order as clients see it; money in major units."""
    return OrderOut(
        id=order.id,
        status=order.status,
        reason=order.reason,
        user_id=order.user_id,
        quantity=order.quantity,
        total=to_major(order.amount, order.currency),
        currency=order.currency,
        expires_at=order.expires_at,
        version=order.version,
        refunded=to_major(order.refunded, order.currency) if order.refunded else None,
        ticket=TicketOut(
            id=order.ticket.id,
            title=order.ticket.title,
            price=to_major(order.ticket.unit_amount, order.currency),
            version=order.ticket.version,
        ),
    ).to_json()
