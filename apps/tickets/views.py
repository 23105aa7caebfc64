"""The pages."""

from collections.abc import Mapping

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as BaseResponse

from apps.tickets.api import service
from apps.tickets.inputs import EditIn, ListIn, PageIn, TicketIn, link_to_next, place
from apps.tickets.models import BelowTaken, Ticket, TicketReserved, TicketWithdrawn
from shared import web
from shared.errors import FieldError, InvalidInput, KeyReused, PreconditionFailed, Refused
from shared.fields import MINIMUM, to_text
from shared.identity import require_user

blueprint = Blueprint("views", __name__, template_folder="templates")

PAGE = 24  # cards on a page: fills rows of two, three and four
CURRENCIES = [(code, code.upper()) for code in MINIMUM]
_KEPT_OPEN = (InvalidInput, TicketReserved, TicketWithdrawn, BelowTaken)


@blueprint.get("/")
@blueprint.get("/tickets")
def index() -> Response:
    wanted = web.query(ListIn)
    limit = wanted.limit if "limit" in request.args else PAGE
    page = service().browse(wanted.sort, wanted.q, place(wanted.sort, wanted.after), limit)
    return web.render(
        "tickets/index.html",
        block="results",
        tickets=page.tickets,
        wanted=wanted,
        next_link=link_to_next(wanted.sort, page),
    )


@blueprint.get("/tickets/<ticket_id>")
def show(ticket_id: str) -> BaseResponse:
    ticket = service().get(web.require_id(ticket_id))
    if request.args.get("seen") == ticket.tag:
        return Response(status=204)  # the open page is still true
    return web.render("tickets/ticket.html", block="offer", ticket=ticket, key=web.new_key())


@blueprint.get("/tickets/mine")
def mine() -> Response:
    user, wanted = require_user(), web.query(PageIn)
    page = service().mine(user, place("mine", wanted.after), wanted.limit)
    link = link_to_next("mine", page)
    return web.render("tickets/mine.html", tickets=page.tickets, next_link=link)


@blueprint.get("/tickets/new")
def new() -> Response:
    require_user()
    return _form({"currency": "usd", "quantity": "1"})


@blueprint.post("/tickets")
def create() -> BaseResponse:
    user = require_user()
    try:
        ticket = service().create(user, web.form(TicketIn).details, web.idempotency_key())
    except InvalidInput as refused:
        return _form(request.form, refused=refused)
    except KeyReused:
        # Back, changed, sent again: with a new key it would be a second ticket, so they decide.
        refused = Refused("This is on sale already. Send it again to put another one on sale")
        refused.status = KeyReused.status
        return _form({**request.form, "idempotencyKey": web.new_key()}, refused=refused)
    return web.see_other(f"/tickets/{ticket.id}")


@blueprint.get("/tickets/<ticket_id>/edit")
def edit(ticket_id: str) -> Response:
    ticket = service().get_own(require_user(), web.require_id(ticket_id))
    return _form(_values(ticket), ticket)


@blueprint.post("/tickets/<ticket_id>")
def update(ticket_id: str) -> BaseResponse:
    user = require_user()
    ticket = service().get_own(user, web.require_id(ticket_id))
    try:
        wanted = web.form(EditIn)
        service().edit(
            user,
            ticket.id,
            lambda _: wanted.details,
            wanted.version,
            web.idempotency_key(),
            wanted.digest,
        )
    except _KEPT_OPEN as refused:
        return _form(request.form, ticket, refused)
    except (PreconditionFailed, KeyReused):
        # The form now has what the person typed beside what is stored; sending it again counts.
        current = service().get_own(user, ticket.id)
        changed = {"version": str(current.version), "idempotencyKey": web.new_key()}
        return _form({**request.form, **changed}, current, status=409, stale=True)
    return web.see_other(f"/tickets/{ticket.id}")


@blueprint.post("/tickets/<ticket_id>/withdraw")
def withdraw(ticket_id: str) -> BaseResponse:
    ticket = service().withdraw(require_user(), web.require_id(ticket_id))
    return web.see_other(f"/tickets/{ticket.id}")


@blueprint.get("/api/docs")
def docs() -> Response:
    return web.render("tickets/docs.html", services=("users", "tickets", "orders", "payments"))


def _form(
    values: Mapping[str, str],
    ticket: Ticket | None = None,
    refused: Refused | None = None,
    *,
    status: int = 200,
    stale: bool = False,
) -> Response:
    """The form of a new ticket, or of an edit; refused input stays in it."""
    errors: list[FieldError] = refused.errors if refused else []
    return web.render(
        "tickets/form.html",
        status=refused.status if refused else status,
        values=values,
        ticket=ticket,
        current=_values(ticket) if ticket else {},
        errors=errors,
        stale=stale,
        currencies=CURRENCIES,
        # A refused form had no effect, so the key stays for the next attempt.
        key=values.get("idempotencyKey") or web.new_key(),
    )


def _values(ticket: Ticket) -> dict[str, str]:
    """A ticket as the fields of its form."""
    return {
        "title": ticket.title,
        "price": to_text(ticket.unit_amount, ticket.currency).split()[0].replace(",", ""),
        "currency": ticket.currency,
        "quantity": str(ticket.quantity),
        "venue": ticket.venue or "",
        "startsAt": f"{ticket.starts_at:%Y-%m-%dT%H:%M}" if ticket.starts_at else "",
        "description": ticket.description or "",
        "version": str(ticket.version),
    }
