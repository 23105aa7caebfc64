"""The pages of sellers: what is on sale, what was sold, and to whom."""

from collections.abc import Iterator
from typing import Annotated, Any

from flask import Blueprint, Response, current_app, stream_with_context
from pydantic import Field

from apps.orders import sellers, table
from apps.orders.api import service
from apps.orders.chart import chart
from apps.orders.counts import last_days
from apps.orders.sellers import Offer, Sellers
from shared import web
from shared.fields import Input, Whole
from shared.identity import require_user
from shared.paging import Cursors, next_url

blueprint = Blueprint("selling", __name__)

DAYS = 30  # that the chart shows


class PageIn(Input):
    limit: Annotated[Whole, Field(ge=1, le=100)] = 50
    after: str | None = None


@blueprint.before_request
def only_for_people_signed_in() -> None:
    require_user()


def _sellers() -> Sellers:
    return service().sellers


@blueprint.get("/orders/sales")
def index() -> Response:
    wanted, user = web.query(PageIn), require_user()
    cursors = _cursors("offers")
    (start,) = cursors.read(wanted.after) or [0]
    offers = _sellers().offers(user)
    end = start + wanted.limit
    following = cursors.make([end]) if len(offers) > end else None
    return web.render(
        "orders/sales.html",
        block="sales",
        offers=offers[start:end],
        on_sale=sum(offer.available for offer in offers if offer.is_on_sale),
        next_link=next_url(following) if following else None,
        **_counted(offers),
    )


@blueprint.get("/orders/sales.csv")
def all_buyers() -> Response:
    tickets = [offer.ticket for offer in _sellers().offers(require_user())]
    return _csv(table.rows(_sellers().all_buyers(tickets)), "sales.csv")


@blueprint.get("/orders/sales/<ticket_id>")
def show(ticket_id: str) -> Response:
    wanted = web.query(PageIn)
    offer = _sellers().offer(require_user(), web.require_id(ticket_id))
    cursors = _cursors(f"buyers:{ticket_id}")
    (first,) = cursors.read(wanted.after) or [None]
    buyers, block = _sellers().buyers(offer.ticket, first, wanted.limit)
    following = cursors.make([block]) if block else None
    return web.render(
        "orders/buyers.html",
        block="sales",
        offer=offer,
        buyers=buyers,
        next_link=next_url(following) if following else None,
        **_counted([offer]),
    )


@blueprint.get("/orders/sales/<ticket_id>/buyers.csv")
def buyers(ticket_id: str) -> Response:
    offer = _sellers().offer(require_user(), web.require_id(ticket_id))
    return _csv(table.rows(_sellers().all_buyers([offer.ticket])), f"buyers-{ticket_id}.csv")


def _counted(offers: list[Offer]) -> dict[str, Any]:
    """What both pages say of sales: the sums, and the days."""
    count = sellers.together(offers)
    days = last_days(count.days, service().clock.now().date(), DAYS)
    held = sum(offer.held for offer in offers)
    return {"count": count, "held": held, "chart": chart(days)}


def _cursors(kind: str) -> Cursors:
    return Cursors(str(current_app.secret_key), kind)


def _csv(rows: Iterator[str], name: str) -> Response:
    response = Response(stream_with_context(rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
