"""The cookie that holds the token: no script can read it, and no other site's form sends it."""

from flask import current_app, g
from werkzeug.wrappers import Response

from apps.auth.asking import Looked, looked_at
from apps.auth.config import Settings
from apps.auth.service import Accounts
from shared.identity import cookie_name, who
from shared.revocations import LIFETIME


def hand_out(response: Response, token: str) -> None:
    settings = _settings()
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=LIFETIME,
        secure=settings.secure,
        httponly=True,
        samesite="Lax",
    )


def take_back(response: Response) -> None:
    settings = _settings()
    name, secure = cookie_name(settings), settings.secure
    response.delete_cookie(name, secure=secure, httponly=True, samesite="Lax")


def renew(response: Response, service: Accounts) -> None:
    """Replace a cookie that is in use by a fresh one, long before it ends."""
    user = who()
    if not (user and g.get("by_cookie")):
        return
    lately: Looked = current_app.extensions["lately"]
    (token,) = lately.get(looked_at(user), lambda: (service.renewed(user),))
    if token:
        hand_out(response, token)


def _settings() -> Settings:
    return current_app.extensions["settings"]
