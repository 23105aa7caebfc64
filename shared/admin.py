"""The admin area as every service has a part of it: who may enter, and what an action must say."""

from dataclasses import replace
from typing import Annotated, Literal

from flask import Blueprint, Response, flash, request
from pydantic import Field
from werkzeug.wrappers import Response as BaseResponse

from shared import auditlog, web
from shared.auditlog import Entry
from shared.fields import Input, Text
from shared.identity import require_admin

LONGEST_REASON = 300


class ActionIn(Input):
    """The form of every action."""

    reason: Annotated[Text, Field(min_length=1, max_length=LONGEST_REASON)]
    confirm: Literal["yes"]


def blueprint(name: str) -> Blueprint:
    """A blueprint that lets nobody in but admins."""
    made = Blueprint("admin", name, template_folder="templates")
    made.before_request(_only_for_admins)
    return made


def _only_for_admins() -> None:
    require_admin()


def address() -> str:
    """Where the request comes from, as the gateway says."""
    return (request.remote_addr or "unknown")[:45]


def action(kind: str, target: str) -> Entry:
    """The entry of the action that this form asks for. Raises InvalidInput.

    The form's key makes its id, so that a form which is sent twice is noted once.
    """
    admin, wanted, key = require_admin(), web.form(ActionIn), web.idempotency_key()
    made = auditlog.entry(kind, admin.id, target, address(), wanted.reason)
    return replace(made, id=auditlog.key_id(admin.id, kind, target, key)) if key else made


def part(template: str, status: int = 200, **context: object) -> Response:
    """A service's part: the block of a page that shows all parts, or a page of its own."""
    return web.render(
        template,
        block="part",
        status=status,
        key=web.new_key(),
        typed=request.form,
        **context,
    )


def done(message: str, about: str) -> BaseResponse:
    """Back to everything that is known of a thing."""
    flash(message, "good")
    return web.see_other(f"/account/admin?q={about}")
