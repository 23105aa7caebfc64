"""What buyers take with them: tickets with their codes, receipts, dates; and who checks them."""

from flask import Blueprint, Response, current_app

from apps.orders.api import service
from apps.orders.documents import qr
from apps.orders.documents.calendar import calendar
from apps.orders.documents.codes import Codes, Unit
from apps.orders.models import Purchase
from shared import web
from shared.errors import NotFound
from shared.identity import require_user

blueprint = Blueprint("papers", __name__)


@blueprint.before_request
def only_for_people_signed_in() -> None:
    require_user()


def codes() -> Codes:
    return current_app.extensions["codes"]


@blueprint.get("/orders/<order_id>/tickets")
def tickets(order_id: str) -> Response:
    purchase = service().tickets_of(require_user(), web.require_id(order_id))
    return web.render("orders/tickets.html", purchase=purchase, codes=_drawings(purchase))


@blueprint.get("/orders/<order_id>/tickets.pdf")
def tickets_pdf(order_id: str) -> Response:
    # Imported here, so that nobody pays for fonts and PDF who never asks for a file.
    from apps.orders.documents import pdf

    purchase = service().tickets_of(require_user(), web.require_id(order_id))
    content = pdf.tickets(purchase, _drawings(purchase))
    return _file(content, "application/pdf", f"tickets-{order_id}.pdf")


@blueprint.get("/orders/<order_id>/receipt")
def receipt(order_id: str) -> Response:
    user = require_user()
    purchase = service().receipt_of(user, web.require_id(order_id))
    return web.render("orders/receipt.html", purchase=purchase, email=user.email)


@blueprint.get("/orders/<order_id>/receipt.pdf")
def receipt_pdf(order_id: str) -> Response:
    from apps.orders.documents import pdf

    user = require_user()
    purchase = service().receipt_of(user, web.require_id(order_id))
    content = pdf.receipt(purchase, user.email)
    return _file(content, "application/pdf", f"receipt-{order_id}.pdf")


@blueprint.get("/orders/<order_id>/calendar.ics")
def date(order_id: str) -> Response:
    purchase = service().tickets_of(require_user(), web.require_id(order_id))
    if purchase.starts_at is None:
        raise NotFound("This ticket has no date")
    url = f"{codes().public_url}/orders/{order_id}"
    content = calendar(purchase, purchase.starts_at, url, service().clock.now())
    return _file(content, "text/calendar; charset=utf-8", f"ticket-{order_id}.ics")


@blueprint.get("/orders/check/<code>")
def check(code: str) -> Response:
    unit = codes().read(code)
    purchase = service().checked(require_user(), unit.order_id)
    verdict = purchase.order.verdict(unit.number)
    return web.render("orders/check.html", purchase=purchase, unit=unit, verdict=verdict)


def _drawings(purchase: Purchase) -> list[qr.Drawing]:
    order = purchase.order
    units = [Unit(order.id, number) for number in range(1, order.quantity + 1)]
    return [qr.draw(codes().address(unit)) for unit in units]


def _file(content: bytes, kind: str, name: str) -> Response:
    response = Response(content, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
