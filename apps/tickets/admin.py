"""The admin area's part about tickets: what is known of one, and taking it off sale."""

from flask import Response
from werkzeug.wrappers import Response as BaseResponse

from apps.tickets.api import service
from shared import admin, web
from shared.errors import FieldError, NotFound, Refused

blueprint = admin.blueprint(__name__)

SHOWN = 20  # tickets of one person


@blueprint.get("/tickets/admin/<key>")
def show(key: str) -> Response:
    """The ticket with this id, or the latest that this person sells."""
    return _part(web.require_id(key))


@blueprint.post("/tickets/admin/<ticket_id>/withdraw")
def withdraw(ticket_id: str) -> BaseResponse:
    ticket_id = web.require_id(ticket_id)
    try:
        asked = admin.action("ticket.withdrawn", f"ticket:{ticket_id}")
        service().withdraw_for_admin(ticket_id, asked)
    except Refused as refused:
        if refused.status != 400:
            raise
        return _part(ticket_id, refused.errors, refused.status)
    return admin.done("The ticket is withdrawn from sale.", ticket_id)


def _part(key: str, errors: list[FieldError] | None = None, status: int = 200) -> Response:
    ticket, others = None, []
    try:
        ticket = service().get(key)
    except NotFound:
        others = service().store.of_seller(key, None, SHOWN).tickets
    return admin.part(
        "tickets/admin.html", status, ticket=ticket, others=others, errors=errors or []
    )
