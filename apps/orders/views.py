"""The pages of buyers: what they ordered, and one order until it is theirs."""

from typing import Annotated, Literal

from flask import Blueprint, Response, current_app, request
from pydantic import Field
from werkzeug.wrappers import Response as BaseResponse

from apps.orders.api import OrderIn, PageIn, page, service
from apps.orders.models import Purchase
from shared import web
from shared.fields import Input, Whole
from shared.identity import require_user
from shared.paging import Cursors, next_url

blueprint = Blueprint("views", __name__, template_folder="templates")


class ListIn(Input):
    show: Literal["upcoming", "all"] = "upcoming"
    limit: Annotated[Whole, Field(ge=1, le=100)] = 24
    after: str | None = None


@blueprint.before_request
def only_for_people_signed_in() -> None:
    require_user()


@blueprint.get("/orders")
def index() -> Response:
    wanted = web.query(ListIn)
    purchases, following = _history(wanted) if wanted.show == "all" else _upcoming(wanted)
    link = next_url(following) if following else None
    return web.render(
        "orders/index.html",
        block="orders",
        purchases=purchases,
        next_link=link,
        show=wanted.show,
    )


def _history(wanted: ListIn) -> tuple[list[Purchase], str | None]:
    orders, following = page(PageIn(limit=wanted.limit, after=wanted.after))
    return service().with_places(orders), following


def _upcoming(wanted: ListIn) -> tuple[list[Purchase], str | None]:
    cursors = Cursors(str(current_app.secret_key), "upcoming")
    (start,) = cursors.read(wanted.after) or [0]
    purchases = service().upcoming(require_user())
    end = start + wanted.limit
    return purchases[start:end], cursors.make([end]) if len(purchases) > end else None


@blueprint.post("/orders")
def create() -> BaseResponse:
    wanted = web.form(OrderIn)
    order = service().place(
        require_user(),
        web.require_id(wanted.ticket_id),
        wanted.quantity,
        web.idempotency_key(),
    )
    return web.see_other(f"/orders/{order.id}")


@blueprint.get("/orders/<order_id>")
def show(order_id: str) -> BaseResponse:
    purchase = service().purchase(require_user(), web.require_id(order_id))
    order, late = purchase.order, service().is_late(purchase.order)
    known = (request.args.get("version"), request.args.get("late") == "1")
    asks_for_news = web.wants_fragment() and known[0] is not None
    if asks_for_news and known == (str(order.version), late):
        return Response(status=204)  # the open page is still true
    return web.render(
        "orders/order.html",
        block="order",
        purchase=purchase,
        order=order,
        late=late,
        spoken=asks_for_news,
        # Payments sends people here a moment before its event arrives.
        confirming=order.status == "awaiting:payment"
        or (order.status == "created" and "paid" in request.args and not late),
        key=web.new_key(),
    )


@blueprint.post("/orders/<order_id>/cancel")
def cancel(order_id: str) -> BaseResponse:
    order = service().cancel(require_user(), web.require_id(order_id))
    return web.see_other(f"/orders/{order.id}")
