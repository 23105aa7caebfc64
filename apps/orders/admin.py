"""The admin area's part about orders: what is known of one, and its story across services."""

from datetime import datetime

from flask import Response, current_app

from apps.orders.api import service
from apps.orders.models import Order
from shared import admin, web
from shared.errors import NotFound, Unavailable
from shared.story import History, Span, Story

blueprint = admin.blueprint(__name__)

SHOWN = 20  # orders of one person
SUBJECTS = ["order.*", "payment.*", "ticket.*", "expiration.*"]


@blueprint.get("/orders/admin/<key>")
def show(key: str) -> Response:
    """The order with this id, or the latest of this person."""
    key = web.require_id(key)
    order = service().store.aggregates.find(key)
    others = [] if order else service().store.of_user(key, None, SHOWN)
    return admin.part("orders/admin.html", order=order, others=others)


@blueprint.get("/orders/admin/<order_id>/story")
def story(order_id: str) -> Response:
    """What was said of an order, its payment, its alarm and its ticket, in order."""
    order = service().store.aggregates.find(web.require_id(order_id))
    if order is None:
        raise NotFound
    return admin.part("orders/story.html", order=order, story=_story(order))


def _story(order: Order) -> Story:
    history: History | None = current_app.extensions.get("history")
    if history is None:
        raise Unavailable("The history can't be read here")
    about = {f"{kind}:{order.id}" for kind in ("order", "payment", "expiration")}
    return history.story(
        about | {f"ticket:{order.ticket.id}"}, SUBJECTS, times(order, service().clock.now())
    )


def times(order: Order, now: datetime) -> list[Span]:
    """When things happened to an order: while it was reserved, and when it changed last."""
    end = min(order.paid_at or order.expires_at, now)
    return [Span(order.created_at, end), Span(order.updated_at, order.updated_at)]
