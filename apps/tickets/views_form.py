"""The pages of a seller's form: new, edit, preview, and two versions to choose from."""

from collections.abc import Mapping
from datetime import UTC, datetime

from flask import Blueprint, Response, flash, request
from werkzeug.wrappers import Response as BaseResponse

from apps.tickets import models
from apps.tickets.api import service
from apps.tickets.inputs import EditIn, TicketIn
from apps.tickets.models import BelowTaken, Details, Ticket, TicketReserved, TicketWithdrawn
from shared import web
from shared.errors import FieldError, InvalidInput, KeyReused, PreconditionFailed, Refused
from shared.fields import MINIMUM, to_text
from shared.identity import require_user, require_verified

blueprint = Blueprint("form", __name__)

KEPT_OPEN = (InvalidInput, TicketReserved, TicketWithdrawn, BelowTaken)

_CURRENCIES = [(code, code.upper()) for code in MINIMUM]
_LABELS = {
    "title": "Title",
    "price": "Price of one",
    "currency": "Currency",
    "quantity": "How many",
    "limitPerPerson": "At most per person",
    "venue": "Venue",
    "startsAt": "Starts at",
    "description": "Description",
}
_ATTRIBUTES = {
    "price": "unit_amount",
    "startsAt": "starts_at",
    "limitPerPerson": "limit_per_person",
}
_NOBODY = "0" * 24  # as an id in a preview, whose ticket is not stored


@blueprint.get("/tickets/new")
def new() -> Response:
    require_verified()
    return edit_form({"currency": "usd", "quantity": "1"})


@blueprint.post("/tickets")
def create() -> BaseResponse:
    user = require_verified()
    if request.form.get("step") == "edit":
        return edit_form(request.form)
    try:
        details = web.form(TicketIn).details
        if request.form.get("step") == "preview":
            return _preview(details)
        ticket = service().create(user, details, web.idempotency_key())
    except InvalidInput as refused:
        return edit_form(request.form, refused=refused)
    except KeyReused:
        # Back, changed, sent again: with a new key it would be a second ticket, so they decide.
        refused = Refused("This is on sale already. Send it again to put another one on sale")
        refused.status = KeyReused.status
        return edit_form({**request.form, "idempotencyKey": web.new_key()}, refused=refused)
    flash("It is on sale now. This is the page that buyers see.", "good")
    return web.see_other(f"/tickets/{ticket.id}")


@blueprint.post("/tickets/check")
def check() -> Response:
    """What is wrong with one field, asked for while the others are still being filled in."""
    require_user()
    field = request.args.get("field", "")
    if field not in _LABELS:
        raise InvalidInput([FieldError("field must be a field of the form", "field")])
    return web.render(
        "tickets/form.html",
        block="check",
        values=request.form,
        ticket=None,
        key=request.form.get("idempotencyKey") or web.new_key(),
        currencies=_CURRENCIES,
        labels=_LABELS,
        field=field,
        errors=_problems(TicketIn),
    )


def _problems(model: type[TicketIn]) -> list[FieldError]:
    try:
        web.form(model)
    except InvalidInput as refused:
        return refused.errors
    return []


@blueprint.get("/tickets/<ticket_id>/edit")
def edit(ticket_id: str) -> Response:
    ticket = service().get_own(require_user(), web.require_id(ticket_id))
    return edit_form(values_of(ticket), ticket)


@blueprint.post("/tickets/<ticket_id>")
def update(ticket_id: str) -> BaseResponse:
    user = require_user()
    ticket = service().get_own(user, web.require_id(ticket_id))
    values = _chosen(request.form, ticket)
    if values.get("step") == "edit":
        return edit_form(values, ticket)
    try:
        wanted = web.validate(EditIn, values, form=True)
        if values.get("step") == "preview":
            return _preview(wanted.details, ticket)
        service().edit(
            user,
            ticket.id,
            lambda _: wanted.details,
            wanted.version,
            web.idempotency_key(),
            wanted.digest,
        )
    except KEPT_OPEN as refused:
        return edit_form(values, ticket, refused)
    except (PreconditionFailed, KeyReused):
        typed = web.form(EditIn).details
        return conflict(request.form, typed, service().get_own(user, ticket.id))
    flash("Your changes are saved.", "good")
    return web.see_other(f"/tickets/{ticket.id}")


def _chosen(form: Mapping[str, str], ticket: Ticket) -> dict[str, str]:
    """The form, with what is stored in each field where somebody chose to keep that."""
    stored = values_of(ticket)
    kept = [name for name in _LABELS if form.get(f"keep-{name}") == "stored"]
    # To go back to the text is to choose nothing yet.
    chosen = {} if form.get("step") == "edit" else {name: stored[name] for name in kept}
    return {**form, **chosen}


def edit_form(
    values: Mapping[str, str], ticket: Ticket | None = None, refused: Refused | None = None
) -> Response:
    """The form of a new ticket, or of an edit; refused input stays in it."""
    response = web.render(
        "tickets/form.html",
        status=refused.status if refused else 200,
        values=values,
        ticket=ticket,
        errors=refused.errors if refused else [],
        currencies=_CURRENCIES,
        labels=_LABELS,
        # A refused form had no effect, so the key stays for the next attempt.
        key=values.get("idempotencyKey") or web.new_key(),
    )
    return web.kept(response)


def conflict(values: Mapping[str, str], wanted: Details, current: Ticket) -> Response:
    """What was typed beside what somebody else stored, to choose from field by field."""
    stored = values_of(current)
    response = web.render(
        "tickets/conflict.html",
        status=409,
        # Sent again, it is a change of what is shown here, and no repetition of the first one.
        values={**stored, **values, "version": stored["version"], "idempotencyKey": web.new_key()},
        current=stored,
        ticket=current,
        differing=[
            (name, label) for name, label in _LABELS.items() if _differ(name, wanted, current)
        ],
        errors=[],
    )
    return web.kept(response)


def _differ(name: str, wanted: Details, current: Ticket) -> bool:
    attribute = _ATTRIBUTES.get(name, name)
    return getattr(wanted, attribute) != getattr(current, attribute)


def _preview(details: Details, existing: Ticket | None = None) -> Response:
    """The ticket as buyers would see it; nothing is stored."""
    shown, _ = models.create(existing.id if existing else _NOBODY, _NOBODY, details, _now())
    values = {"idempotencyKey": web.new_key(), **request.form}
    return web.kept(
        web.render("tickets/preview.html", ticket=shown, existing=existing, values=values)
    )


def _now() -> datetime:
    return datetime.now(UTC)


def values_of(ticket: Ticket) -> dict[str, str]:
    """A ticket as the fields of its form."""
    return {
        "title": ticket.title,
        "price": to_text(ticket.unit_amount, ticket.currency).split()[0].replace(",", ""),
        "currency": ticket.currency,
        "quantity": str(ticket.quantity),
        "limitPerPerson": str(ticket.limit_per_person or ""),
        "venue": ticket.venue or "",
        "startsAt": f"{ticket.starts_at:%Y-%m-%dT%H:%M}" if ticket.starts_at else "",
        "description": ticket.description or "",
        "version": str(ticket.version),
    }
