"""The pages that links in mails lead to. Only a button acts: programs look at links too."""

from collections.abc import Callable

from flask import Blueprint, Response, flash, request
from werkzeug.wrappers import Response as BaseResponse

from apps.auth import cookies, doors
from apps.auth.doors import services
from apps.auth.inputs import Forgotten, NewPasswordByLink, Opened
from apps.auth.letters import NEW_EMAIL, RESET, VERIFICATION
from apps.auth.views import form_page
from shared import web
from shared.errors import Refused

blueprint = Blueprint("letters", __name__, template_folder="templates")


@blueprint.post("/account/verification")
def ask_to_verify() -> BaseResponse:
    try:
        doors.ask_to_verify(web.local_path(request.form.get("next")))
    except Refused as refused:
        if refused.status == 401:
            raise
        flash(f"{refused}.", "warn")
    else:
        flash("The mail is on its way. Open the link in it.", "good")
    return web.see_other("/account")


@blueprint.get("/account/verify")
def open_verification() -> Response:
    return _opened(VERIFICATION, "auth/verify.html")


@blueprint.post("/account/verify")
def verify() -> BaseResponse:
    return _use("auth/verify.html", _verify)


def _verify() -> BaseResponse:
    services().letters.verify(web.form(Opened).token)
    flash("Thank you: your address is confirmed. You can put tickets on sale now.", "good")
    response = web.see_other(_after())
    cookies.renew(response, services().accounts)  # for the old one still says unconfirmed
    return response


def _after() -> str:
    """Where somebody was going when they were asked to confirm their address."""
    return web.local_path(request.values.get("next"), "/account")


@blueprint.get("/account/forgotten")
def forgotten() -> Response:
    return form_page("auth/forgotten.html", email=request.args.get("email", ""), sent=False)


@blueprint.post("/account/forgotten")
def ask_to_reset() -> Response:
    email = request.form.get("email", "")
    try:
        doors.ask_to_reset(web.form(Forgotten).email)
    except Refused as refused:
        return web.kept(form_page("auth/forgotten.html", refused, email=email, sent=False))
    return web.kept(form_page("auth/forgotten.html", email=email, sent=True))


@blueprint.get("/account/reset")
def open_reset() -> Response:
    return _opened(RESET, "auth/reset.html")


@blueprint.post("/account/reset")
def reset() -> BaseResponse:
    return _use("auth/reset.html", _reset)


def _reset() -> BaseResponse:
    wanted = web.form(NewPasswordByLink)
    services().letters.reset(wanted.token, wanted.password)
    flash("Your new password counts from now on. Sign in with it.", "good")
    return web.see_other("/account/signin")


@blueprint.get("/account/email/confirm")
def open_new_email() -> Response:
    return _opened(NEW_EMAIL, "auth/confirm-email.html")


@blueprint.post("/account/email/confirm")
def change_email() -> BaseResponse:
    return _use("auth/confirm-email.html", _change_email)


def _change_email() -> BaseResponse:
    account = services().letters.change_email(web.form(Opened).token)
    flash(f"Your address is {account.email} from now on.", "good")
    return web.see_other("/account")


def _opened(purpose: str, template: str) -> Response:
    """The page of a link, which says at once when the link is spent."""
    token = request.args.get("token", "")
    try:
        _, _, email = services().letters.opened(purpose, token)
    except Refused as refused:
        return form_page(template, refused, token="", email="", next=_after())
    return form_page(template, token=token, email=email, next=_after())


def _use(template: str, act: Callable[[], BaseResponse]) -> BaseResponse:
    try:
        return act()
    except Refused as refused:
        spent = any(error.field == "token" for error in refused.errors)
        token = "" if spent else request.form.get("token", "")
        return form_page(template, refused, token=token, email="", next=_after())
