"""The pages."""

from collections.abc import Callable

from flask import Blueprint, Response, flash, request
from werkzeug.wrappers import Response as BaseResponse

from apps.auth import cookies
from apps.auth.api import enter, limits, service
from apps.auth.inputs import Credentials, NewAccount
from apps.auth.limits import count_sign_up
from apps.auth.service import SignedIn
from shared import web
from shared.errors import Refused
from shared.identity import require_user, who

blueprint = Blueprint("views", __name__, template_folder="templates")


@blueprint.get("/account/signup")
def new_account() -> BaseResponse:
    return web.see_other(_next()) if who() else _form("auth/signup.html")


@blueprint.post("/account/signup")
def sign_up() -> BaseResponse:
    def attempt() -> SignedIn:
        wanted = web.form(NewAccount)
        count_sign_up(limits())
        return service().sign_up(wanted.email, wanted.password)

    return _enter(attempt, "auth/signup.html")


@blueprint.get("/account/signin")
def new_session() -> BaseResponse:
    return web.see_other(_next()) if who() else _form("auth/signin.html")


@blueprint.post("/account/signin")
def sign_in() -> BaseResponse:
    def attempt() -> SignedIn:
        return enter(web.form(Credentials))

    return _enter(attempt, "auth/signin.html")


@blueprint.post("/account/signout")
def sign_out() -> BaseResponse:
    if user := who():
        service().sign_out(user)
    response = web.see_other("/")
    cookies.take_back(response)
    return response


@blueprint.get("/account")
def account() -> Response:
    user = require_user()
    response = web.render("auth/account.html", profile=service().profile(user))
    cookies.renew(response, service())
    return response


@blueprint.post("/account/signout-elsewhere")
def sign_out_elsewhere() -> BaseResponse:
    ended = service().sign_out_elsewhere(require_user())
    flash(f"Signed out in {ended} other place{'' if ended == 1 else 's'}", "good")
    return web.see_other("/account")


def _enter(attempt: Callable[[], SignedIn], template: str) -> BaseResponse:
    """Go on signed in, or show the form again with what was wrong."""
    try:
        signed_in = attempt()
    except Refused as refused:
        return _form(template, refused)
    response = web.see_other(_next())
    cookies.hand_out(response, signed_in.token)
    return response


def _form(template: str, refused: Refused | None = None) -> Response:
    response = web.render(
        template,
        status=refused.status if refused else 200,
        errors=refused.errors if refused else [],
        email=request.form.get("email", ""),
        next=_next(),
    )
    if refused and refused.retry_after:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _next() -> str:
    """Where somebody was going before they were asked to sign in; never another site."""
    return web.local_path(request.values.get("next"))
