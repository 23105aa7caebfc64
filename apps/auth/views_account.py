"""The pages of one's own account."""

from flask import Blueprint, Response, flash, jsonify, request
from werkzeug.wrappers import Response as BaseResponse

from apps.auth import cookies, doors
from apps.auth.doors import services
from apps.auth.inputs import EmailChange, PasswordAgain, PasswordChange
from apps.auth.views import form_page
from shared import web
from shared.errors import Refused
from shared.identity import require_user

blueprint = Blueprint("account", __name__, template_folder="templates")


@blueprint.get("/account")
def account() -> Response:
    user = require_user()
    accounts = services().accounts
    response = web.render(
        "auth/account.html",
        account=accounts.own(user),
        sessions=accounts.open_sessions(user),
        here=user.session_id,
        next=web.local_path(request.args.get("next")),
        tokens=len(services().keyring.all(user)),
    )
    cookies.renew(response, accounts)
    return response


@blueprint.post("/account/signout-elsewhere")
def sign_out_elsewhere() -> BaseResponse:
    ended = services().accounts.sign_out_elsewhere(require_user())
    flash(f"Signed out in {ended} other place{'' if ended == 1 else 's'}", "good")
    return web.see_other("/account")


@blueprint.post("/account/sessions/<session_id>/end")
def end_session(session_id: str) -> BaseResponse:
    services().accounts.end_session(require_user(), web.require_id(session_id))
    flash("Signed out there", "good")
    return web.see_other("/account")


@blueprint.get("/account/password")
def password() -> Response:
    return form_page("auth/password.html", email=require_user().email)


@blueprint.post("/account/password")
def change_password() -> BaseResponse:
    user = require_user()
    try:
        doors.owner_with_password()
        wanted = web.form(PasswordChange)
        services().accounts.change_password(user, wanted.old, wanted.password)
    except Refused as refused:
        return web.kept(form_page("auth/password.html", refused, email=user.email))
    flash("Your password is changed, and you are signed out everywhere else.", "good")
    return web.see_other("/account")


@blueprint.get("/account/email")
def email() -> Response:
    return form_page("auth/email.html", current=require_user().email, email="")


@blueprint.post("/account/email")
def ask_for_email() -> BaseResponse:
    user = require_user()
    try:
        doors.owner_with_password()
        wanted = web.form(EmailChange)
        doors.count_mail_to(wanted.email)
        services().letters.ask_for_email(user, wanted.email, wanted.password)
    except Refused as refused:
        typed = request.form.get("email", "")
        return web.kept(form_page("auth/email.html", refused, current=user.email, email=typed))
    flash(f"Open the link that we have sent to {wanted.email}.", "good")
    return web.see_other("/account")


@blueprint.get("/account/export")
def export() -> Response:
    response = jsonify(services().leaving.export(require_user()))
    response.headers["Content-Disposition"] = 'attachment; filename="account.json"'
    return response


@blueprint.get("/account/delete")
def leaving() -> Response:
    return form_page("auth/delete.html", email=require_user().email)


@blueprint.post("/account/delete")
def delete() -> BaseResponse:
    user = require_user()
    try:
        doors.owner_with_password()
        services().leaving.delete(user, web.form(PasswordAgain).password)
    except Refused as refused:
        return web.kept(form_page("auth/delete.html", refused, email=user.email))
    flash("Your account is deleted. Goodbye.", "good")
    response = web.see_other("/")
    cookies.take_back(response)
    return response
