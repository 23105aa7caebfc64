"""The pages: finding tickets, and one ticket with what its seller may do."""

from typing import Any

from flask import Blueprint, Response, flash, request, session
from werkzeug.wrappers import Response as BaseResponse

from apps.tickets.api import service
from apps.tickets.inputs import ListIn, PageIn, QuantityIn, link_to_next, place
from apps.tickets.store import Page
from apps.tickets.views_form import KEPT_OPEN, conflict, edit_form, values_of
from shared import web
from shared.errors import FieldError, InvalidInput, PreconditionFailed
from shared.identity import require_user
from shared.ui.frame import unframed, who
from shared.web.ready import same_for_everyone

blueprint = Blueprint("views", __name__, template_folder="templates")

LIST = "tickets/index.html"
PAGE = 24  # cards on a page: fills rows of two, three and four


@blueprint.get("/")
@blueprint.get("/tickets")
def index() -> Response:
    try:
        wanted = web.query(ListIn)
        after = place(wanted.sort, wanted.after)
    except InvalidInput as refused:
        return _list(Page([], None), errors=refused.errors)
    limit = wanted.limit if "limit" in request.args else PAGE
    page = service().browse(wanted.search, after, limit)
    return _list(page, wanted.sort) if web.wants_fragment() else _whole(page, wanted.sort)


def _whole(page: Page, sort: str) -> Response:
    """The list with the page around it, which alone says who is looking at it."""
    shown = _shown(page, sort)
    if session:  # which holds notices for this reader
        return web.render(LIST, **shown)
    rendered = unframed(LIST, **shown)
    response = web.for_one_reader(Response(rendered.for_visitor(who())))
    return same_for_everyone(response, rendered)


def _list(page: Page, sort: str = "newest", errors: list[FieldError] | None = None) -> Response:
    """The list, or what is wrong with what was asked for."""
    adds = request.headers.get("HX-Target") == "more"  # scrolling on asks for the next cards alone
    return web.render(
        LIST,
        block="cards" if adds and not errors and page.tickets else "results",
        status=InvalidInput.status if errors else 200,
        **_shown(page, sort, errors),
    )


def _shown(page: Page, sort: str, errors: list[FieldError] | None = None) -> dict[str, Any]:
    return {
        "page": page,
        "topics": [f"ticket:{ticket.id}" for ticket in page.tickets],
        "values": {"sort": sort, **request.args},
        "errors": errors or [],
        "next_link": link_to_next(sort, page),
    }


@blueprint.get("/tickets/<ticket_id>")
def show(ticket_id: str) -> BaseResponse:
    ticket = service().get(web.require_id(ticket_id))
    if request.args.get("seen") == ticket.tag:
        return Response(status=204)  # the open page is still true
    return web.render("tickets/ticket.html", block="offer", ticket=ticket, key=web.new_key())


@blueprint.get("/tickets/<ticket_id>/stub")
def stub(ticket_id: str) -> BaseResponse:
    """Price and availability on a card of the list."""
    ticket = service().get(web.require_id(ticket_id))
    if request.args.get("seen") == ticket.tag:
        return Response(status=204)
    if not web.wants_fragment():
        return web.see_other(f"/tickets/{ticket.id}")
    return web.render("tickets/index.html", block="stub", ticket=ticket)


@blueprint.get("/tickets/mine")
def mine() -> Response:
    user, wanted = require_user(), web.query(PageIn)
    page = service().mine(user, place("mine", wanted.after), wanted.limit)
    link = link_to_next("mine", page)
    return web.render("tickets/mine.html", tickets=page.tickets, next_link=link)


@blueprint.post("/tickets/<ticket_id>/quantity")
def change_quantity(ticket_id: str) -> BaseResponse:
    user = require_user()
    ticket = service().get_own(user, web.require_id(ticket_id))
    typed = {"quantity": request.form.get("quantity", "")}
    try:
        wanted = web.form(QuantityIn)
        service().edit(user, ticket.id, wanted.over, wanted.version, None, "")
    except KEPT_OPEN as refused:
        return edit_form(values_of(ticket) | typed, ticket, refused)
    except PreconditionFailed:
        current = service().get_own(user, ticket.id)
        wanted = web.form(QuantityIn).over(current.details)
        return conflict(values_of(current) | typed, wanted, current)
    flash("The number is changed.", "good")
    return web.see_other(f"/tickets/{ticket.id}")


@blueprint.get("/tickets/<ticket_id>/withdraw")
def confirm_withdrawal(ticket_id: str) -> BaseResponse:
    ticket = service().get_own(require_user(), web.require_id(ticket_id))
    if ticket.withdrawn:
        return web.see_other(f"/tickets/{ticket.id}")
    return web.render("tickets/withdraw.html", ticket=ticket)


@blueprint.post("/tickets/<ticket_id>/withdraw")
def withdraw(ticket_id: str) -> BaseResponse:
    ticket = service().withdraw(require_user(), web.require_id(ticket_id))
    return web.see_other(f"/tickets/{ticket.id}")


@blueprint.get("/api/docs")
def docs() -> Response:
    return web.render("tickets/docs.html", services=("users", "tickets", "orders", "payments"))
