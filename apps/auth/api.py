"""The JSON door."""

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel

from apps.auth import asking, cookies, doors
from apps.auth.doors import services
from apps.auth.inputs import Credentials, NewAccount
from apps.auth.models import Account
from apps.auth.service import SignedIn
from shared import web
from shared.identity import who
from shared.openapi import Output, documented

blueprint = Blueprint("api", __name__)

KEYS_FRESH = 300  # seconds for which others may keep the public keys before they look again


class UserOut(Output):
    id: str
    email: str


class CurrentUserOut(Output):
    current_user: UserOut | None


class Nothing(Output):
    """An empty object."""


class KeyOut(Output):
    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class KeysOut(BaseModel):
    keys: list[KeyOut]


@blueprint.post("/api/users/signup")
@documented({201: UserOut}, (400, 403, 429), json=NewAccount)
def sign_up() -> tuple[Response, int]:
    """Open an account and sign in; the session is a cookie."""
    return _signed_in(doors.join(web.body(NewAccount))), 201


@blueprint.post("/api/users/signin")
@documented({200: UserOut}, (400, 403, 429), json=Credentials)
def sign_in() -> Response:
    """Begin a session. With a second factor, the code comes along."""
    return _signed_in(doors.enter(web.body(Credentials)))


@blueprint.post("/api/users/signout")
@documented({200: Nothing}, (403,))
def sign_out() -> Response:
    """End this session everywhere; without one there is nothing to do."""
    if user := who():
        services().accounts.sign_out(user)
    response = jsonify({})
    cookies.take_back(response)
    return response


@blueprint.get(asking.PATH)
@documented({200: CurrentUserOut})
def current_user() -> Response:
    """Who is asking, or null."""
    response = jsonify(asking.current(who()))
    cookies.renew(response, services().accounts)
    return response


@blueprint.get("/api/users/jwks.json")
@documented({200: KeysOut})
def keys() -> Response:
    """The public keys that tokens are verified with."""
    response = jsonify(services().accounts.signer.jwks)
    response.headers["Cache-Control"] = f"public, max-age={KEYS_FRESH}"
    return response


def _signed_in(signed_in: SignedIn) -> Response:
    response = jsonify(_user(signed_in.account).to_json())
    cookies.hand_out(response, signed_in.token)
    return response


def _user(account: Account) -> UserOut:
    return UserOut(id=account.id, email=account.email)
