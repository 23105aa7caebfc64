"""The JSON door to one's own account."""

from typing import Literal

from flask import Blueprint, Response, jsonify
from pydantic import Field

from apps.auth import doors
from apps.auth.api import Nothing, UserOut
from apps.auth.apitokens import ApiToken
from apps.auth.doors import services
from apps.auth.inputs import (
    EmailChange,
    FactorOn,
    Forgotten,
    NewPasswordByLink,
    NewToken,
    Opened,
    PasswordAgain,
    PasswordChange,
)
from apps.auth.models import Session
from shared import web
from shared.identity import require_user
from shared.openapi import Output, Time, documented
from shared.people import User

blueprint = Blueprint("api_account", __name__)


class SessionOut(Output):
    id: str
    device: str
    created_at: Time
    used_at: Time
    expires_at: Time
    current: bool


class TokenOut(Output):
    id: str
    name: str
    scopes: list[Literal["read", "sell", "buy"]]
    created_at: Time
    expires_at: Time
    token: str | None = Field(None, description="the token itself, in the answer that makes it")


class SetupOut(Output):
    secret: str = Field(description="what goes into the app")
    uri: str = Field(description="the same as an otpauth address, which a QR code carries")
    setup: str = Field(description="to be sent back with the first code")


class RecoveryOut(Output):
    recovery_codes: list[str] = Field(description="each is good once; they are not shown again")


# --- the address ----------------------------------------------------------------------------------


@blueprint.post("/api/users/verification")
@documented({202: Nothing}, (400, 401, 403, 429))
def ask_to_verify() -> tuple[Response, int]:
    """Send the link that confirms the address once more."""
    doors.ask_to_verify()
    return jsonify({}), 202


@blueprint.post("/api/users/verification/confirm")
@documented({200: UserOut}, (400, 403), json=Opened)
def verify() -> Response:
    """Confirm an address with the token of the link."""
    account = services().letters.verify(web.body(Opened).token)
    return jsonify(UserOut(id=account.id, email=account.email).to_json())


@blueprint.post("/api/users/email")
@documented({202: Nothing}, (400, 401, 403, 429), json=EmailChange)
def ask_for_email() -> tuple[Response, int]:
    """Write to a new address, which counts once its link was opened."""
    user, wanted = doors.owner_with_password(), web.body(EmailChange)
    doors.count_mail_to(wanted.email)
    services().letters.ask_for_email(user, wanted.email, wanted.password)
    return jsonify({}), 202


@blueprint.post("/api/users/email/confirm")
@documented({200: UserOut}, (400, 403), json=Opened)
def change_email() -> Response:
    """Use the new address from now on."""
    account = services().letters.change_email(web.body(Opened).token)
    return jsonify(UserOut(id=account.id, email=account.email).to_json())


# --- the password ---------------------------------------------------------------------------------


@blueprint.put("/api/users/password")
@documented({200: Nothing}, (400, 401, 403, 429), json=PasswordChange)
def change_password() -> Response:
    """Set another password; all other sessions end."""
    user, wanted = doors.owner_with_password(), web.body(PasswordChange)
    services().accounts.change_password(user, wanted.old, wanted.password)
    return jsonify({})


@blueprint.post("/api/users/password/forgotten")
@documented({202: Nothing}, (400, 403, 429), json=Forgotten)
def ask_to_reset() -> tuple[Response, int]:
    """Send a link to set a new password. The answer is the same for every address."""
    doors.ask_to_reset(web.body(Forgotten).email)
    return jsonify({}), 202


@blueprint.post("/api/users/password/reset")
@documented({200: Nothing}, (400, 403), json=NewPasswordByLink)
def reset() -> Response:
    """Set a new password with the token of the link; all sessions and API tokens end."""
    wanted = web.body(NewPasswordByLink)
    services().letters.reset(wanted.token, wanted.password)
    return jsonify({})


# --- sessions -------------------------------------------------------------------------------------


@blueprint.get("/api/users/sessions")
@documented({200: list[SessionOut]}, (401, 403))
def sessions() -> Response:
    """Where you are signed in."""
    user = require_user()
    return jsonify([_session(each, user) for each in services().accounts.open_sessions(user)])


@blueprint.delete("/api/users/sessions")
@documented({204: None}, (401, 403))
def end_others() -> tuple[str, int]:
    """Sign out everywhere else."""
    services().accounts.sign_out_elsewhere(require_user())
    return "", 204


@blueprint.delete("/api/users/sessions/<session_id>")
@documented({204: None}, (401, 403, 404))
def end_session(session_id: str) -> tuple[str, int]:
    """Sign out in one place."""
    services().accounts.end_session(require_user(), web.require_id(session_id))
    return "", 204


def _session(session: Session, user: User) -> dict[str, object]:
    return SessionOut(
        id=session.id,
        device=session.device,
        created_at=session.created_at,
        used_at=session.used_at or session.created_at,
        expires_at=session.expires_at,
        current=session.id == user.session_id,
    ).to_json()


# --- API tokens -----------------------------------------------------------------------------------


@blueprint.get("/api/users/tokens")
@documented({200: list[TokenOut]}, (401, 403))
def tokens() -> Response:
    """Your API tokens."""
    return jsonify([_token(each) for each in services().keyring.all(require_user())])


@blueprint.post("/api/users/tokens")
@documented({201: TokenOut}, (400, 401, 403), json=NewToken)
def grant() -> tuple[Response, int]:
    """Make an API token; its text is in this answer alone."""
    user, wanted = require_user(), web.body(NewToken)
    token, text = services().keyring.grant(user, wanted.name, wanted.scopes, wanted.days)
    return jsonify({**_token(token), "token": text}), 201


@blueprint.delete("/api/users/tokens/<token_id>")
@documented({204: None}, (401, 403, 404))
def revoke(token_id: str) -> tuple[str, int]:
    """End an API token everywhere."""
    services().keyring.revoke(require_user(), web.require_id(token_id))
    return "", 204


def _token(token: ApiToken) -> dict[str, object]:
    return TokenOut.model_validate(
        {
            "id": token.id,
            "name": token.name,
            "scopes": list(token.scopes),
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }
    ).to_json()


# --- the second factor ----------------------------------------------------------------------------


@blueprint.post("/api/users/factor/setup")
@documented({200: SetupOut}, (400, 401, 403))
def begin_factor() -> Response:
    """A secret for an app. Nothing changes before a code of it is confirmed."""
    setup = services().factors.begin(require_user())
    return jsonify(SetupOut(secret=setup.secret, uri=setup.uri, setup=setup.signed).to_json())


@blueprint.put("/api/users/factor")
@documented({200: RecoveryOut}, (400, 401, 403, 429), json=FactorOn)
def turn_on_factor() -> Response:
    """Ask for a code at every sign-in from now on."""
    user, wanted = doors.owner_with_password(), web.body(FactorOn)
    codes = services().factors.turn_on(user, wanted.setup, wanted.code, wanted.password)
    return jsonify(RecoveryOut(recovery_codes=codes).to_json())


@blueprint.delete("/api/users/factor")
@documented({204: None}, (400, 401, 403, 429), json=PasswordAgain)
def turn_off_factor() -> tuple[str, int]:
    """Ask for no code any more."""
    user, shown = doors.owner_with_password(), web.body(PasswordAgain)
    services().factors.turn_off(user, shown.password)
    return "", 204


# --- taking it along, and leaving -----------------------------------------------------------------


@blueprint.get("/api/users/export")
@documented({200: Nothing}, (401, 403))
def export() -> Response:
    """Everything that is kept of you here."""
    response = jsonify(services().leaving.export(require_user()))
    response.headers["Content-Disposition"] = 'attachment; filename="account.json"'
    return response


@blueprint.delete("/api/users/account")
@documented({204: None}, (400, 401, 403, 409, 429), json=PasswordAgain)
def delete() -> tuple[str, int]:
    """Delete the account, its sessions and its tokens."""
    user, shown = doors.owner_with_password(), web.body(PasswordAgain)
    services().leaving.delete(user, shown.password)
    return "", 204
