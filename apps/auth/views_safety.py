"""The pages of API tokens and of the second factor."""

from flask import Blueprint, Response, flash, request
from werkzeug.wrappers import Response as BaseResponse

from apps.auth import doors
from apps.auth.apitokens import LONGEST_DAYS, SCOPES
from apps.auth.doors import services
from apps.auth.factors import SetupSpent
from apps.auth.inputs import FactorOn, NewToken, PasswordAgain
from apps.auth.views import form_page
from shared import web
from shared.errors import Refused
from shared.identity import require_user
from shared.people import User

blueprint = Blueprint("safety", __name__, template_folder="templates")


@blueprint.get("/account/tokens")
def tokens() -> Response:
    return _tokens(require_user())


@blueprint.post("/account/tokens")
def grant() -> Response:
    """The token is shown in this answer and nowhere else, so there is no redirect."""
    user = require_user()
    values = {**request.form.to_dict(), "scopes": " ".join(request.form.getlist("scopes"))}
    try:
        wanted = web.validate(NewToken, values, form=True)
        _, text = services().keyring.grant(user, wanted.name, wanted.scopes, wanted.days)
    except Refused as refused:
        return _tokens(user, refused)
    return _tokens(user, text=text)


@blueprint.post("/account/tokens/<token_id>/revoke")
def revoke(token_id: str) -> BaseResponse:
    services().keyring.revoke(require_user(), web.require_id(token_id))
    flash("The token is revoked", "good")
    return web.see_other("/account/tokens")


def _tokens(user: User, refused: Refused | None = None, text: str = "") -> Response:
    return form_page(
        "auth/tokens.html",
        refused,
        tokens=services().keyring.all(user),
        scopes=SCOPES,
        longest=LONGEST_DAYS,
        text=text,
        name=request.form.get("name", "") if refused else "",
        days=request.form.get("days", "30") if refused else "30",
        chosen=request.form.getlist("scopes") if refused else ["read"],
    )


@blueprint.get("/account/second-factor")
def factor() -> Response:
    user = require_user()
    known = services().accounts.own(user).factor
    setup = None if known else services().factors.begin(user)
    return form_page("auth/factor.html", factor=known, setup=setup)


@blueprint.post("/account/second-factor")
def turn_on() -> Response:
    """The recovery codes are shown in this answer and nowhere else."""
    user = require_user()
    try:
        doors.owner_with_password()
        wanted = web.form(FactorOn)
        codes = services().factors.turn_on(user, wanted.setup, wanted.code, wanted.password)
    except Refused as refused:
        return _factor_again(user, refused)
    return form_page("auth/recovery.html", codes=codes)


def _factor_again(user: User, refused: Refused) -> Response:
    """With the same secret, which is in the person's app by now."""
    try:
        setup = services().factors.again(user, request.form.get("setup", ""))
    except SetupSpent as spent:
        refused, setup = spent, services().factors.begin(user)
    return form_page("auth/factor.html", refused, factor=None, setup=setup)


@blueprint.post("/account/second-factor/off")
def turn_off() -> BaseResponse:
    user = require_user()
    try:
        doors.owner_with_password()
        services().factors.turn_off(user, web.form(PasswordAgain).password)
    except Refused as refused:
        known = services().accounts.own(user).factor
        setup = None if known else services().factors.begin(user)
        return form_page("auth/factor.html", refused, factor=known, setup=setup)
    flash("Signing in asks for no code any more.", "warn")
    return web.see_other("/account")
