"""The pages."""

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as BaseResponse

from apps.orders.api import OrderIn, PageIn, page, service
from shared import web
from shared.identity import require_user
from shared.paging import next_url

blueprint = Blueprint("views", __name__, template_folder="templates")


@blueprint.before_request
def only_for_people_signed_in() -> None:
    require_user()


@blueprint.get("/orders")
def index() -> Response:
    orders, following = page(web.query(PageIn))
    link = next_url(following) if following else None
    return web.render("orders/index.html", orders=orders, next_link=link)


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
    order = service().get(require_user(), web.require_id(order_id))
    if web.wants_fragment() and request.args.get("version") == str(order.version):
        return Response(status=204)  # the open page is still true
    return web.render("orders/order.html", block="order", order=order)


@blueprint.post("/orders/<order_id>/cancel")
def cancel(order_id: str) -> BaseResponse:
    order = service().cancel(require_user(), web.require_id(order_id))
    return web.see_other(f"/orders/{order.id}")
