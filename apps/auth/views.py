"""The pages: signing up, in and out."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as BaseResponse

from apps.auth import cookies, doors
from apps.auth.doors import services
from apps.auth.factors import CodeNeeded
from apps.auth.inputs import Credentials, NewAccount, SecondStep
from apps.auth.models import LinkSpent
from apps.auth.service import SignedIn
from shared import web
from shared.errors import Refused
from shared.identity import who

blueprint = Blueprint("views", __name__, template_folder="templates")


@blueprint.get("/account/signup")
def new_account() -> BaseResponse:
    return web.see_other(_next()) if who() else _form("auth/signup.html")


@blueprint.post("/account/signup")
def sign_up() -> BaseResponse:
    return _enter(lambda: doors.join(web.form(NewAccount), _next()), "auth/signup.html")


@blueprint.get("/account/signin")
def new_session() -> BaseResponse:
    return web.see_other(_next()) if who() else _form("auth/signin.html")


@blueprint.post("/account/signin")
def sign_in() -> BaseResponse:
    try:
        return _enter(lambda: doors.enter(web.form(Credentials)), "auth/signin.html")
    except CodeNeeded as needed:
        return _code_form(services().factors.second_step(needed.account))


@blueprint.post("/account/signin/code")
def second_step() -> BaseResponse:
    try:
        signed_in = doors.enter_second_step(web.form(SecondStep))
    except LinkSpent:
        return _form("auth/signin.html", LinkSpent("That took too long; sign in again"))
    except Refused as refused:
        return _code_form(request.form.get("step", ""), refused)
    return _in(signed_in)


@blueprint.post("/account/signout")
def sign_out() -> BaseResponse:
    if user := who():
        services().accounts.sign_out(user)
    response = web.see_other("/")
    cookies.take_back(response)
    return response


def _enter(attempt: Callable[[], SignedIn], template: str) -> BaseResponse:
    """Go on signed in, or show the form again with what was wrong."""
    try:
        return _in(attempt())
    except CodeNeeded:
        raise
    except Refused as refused:
        return _form(template, refused)


def _in(signed_in: SignedIn) -> BaseResponse:
    response = web.see_other(_next())
    cookies.hand_out(response, signed_in.token)
    return response


def _form(template: str, refused: Refused | None = None) -> Response:
    email = request.form.get("email", "")
    return web.kept(form_page(template, refused, email=email, next=_next()))


def _code_form(step: str, refused: Refused | None = None) -> Response:
    return form_page("auth/code.html", refused, step=step, next=_next())


def form_page(template: str, refused: Refused | None = None, **context: Any) -> Response:
    """A page with a form; `refused` says what was wrong with what was sent."""
    response = web.render(
        template,
        status=refused.status if refused else 200,
        errors=refused.errors if refused else [],
        **context,
    )
    if refused and refused.retry_after:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _next() -> str:
    """Where somebody was going before they were asked to sign in; never another site."""
    return web.local_path(request.values.get("next"))
