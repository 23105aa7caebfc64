"""Who is asking: tokens that only auth signs, verified here without any call per request."""

import hashlib
import json
import threading
import time
import urllib.request
from collections import OrderedDict
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jwt

from shared import logs
from shared.config import Settings
from shared.errors import Forbidden, NotSignedIn, NotVerified, Unavailable
from shared.people import ADMIN, User
from shared.revocations import Revocations

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask, Request

log = logs.get(__name__)

COOKIE = "session"
ISSUER = "ticketing-auth"
AUDIENCE = "ticketing"
REFRESH = 60  # seconds between two looks at auth's keys at the most
STALE = 3_600  # seconds after which keys are looked up again, so that a retired one ends
# What reading keys can raise: no answer, half an answer, something that holds no keys.
_UNREADABLE = (OSError, HTTPException, ValueError, LookupError, TypeError, jwt.PyJWTError)
_REMEMBERED = 10_000  # verified tokens kept in memory


class Keys(Protocol):
    """Where verification keys come from."""

    def find(self, key_id: str) -> jwt.PyJWK | None: ...


class RemoteKeys:
    """Auth's public keys: in memory, on disk for a start without auth, refreshed when unknown."""

    def __init__(self, url: str, path: Path) -> None:
        self._url, self._path = url, path
        self._lock = threading.Lock()
        self._asked_at = -float(REFRESH)
        self._read_at = time.monotonic()
        self._keys = _kept_keys(path)

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key of that id, or None. Raises Unavailable while no key at all is known."""
        if key_id not in self._keys:
            self._refresh()
        elif time.monotonic() - self._read_at > STALE:
            self._refresh(wait=False)  # one request asks; the key of the others is known
        if not self._keys:
            raise Unavailable("Sign-in can't be checked right now; try again in a moment")
        return self._keys.get(key_id)

    def _refresh(self, *, wait: bool = True) -> None:
        if not self._lock.acquire(blocking=wait):
            return
        try:
            pause = REFRESH if self._keys else 1  # without any key, every request depends on it
            if time.monotonic() - self._asked_at >= pause:
                self._asked_at = time.monotonic()
                self._ask()
        finally:
            self._lock.release()

    def _ask(self) -> None:
        try:
            with urllib.request.urlopen(self._url, timeout=2) as answer:  # noqa: S310 - our own setting
                text = answer.read(100_000).decode()
            self._keys = _parse_keys(text)
            self._read_at = time.monotonic()
            self._save(text)
        except _UNREADABLE as error:
            log.warning("auth's keys can't be read", url=self._url, error=repr(error))

    def _save(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(f".{threading.get_ident()}")
        draft.write_text(text)
        draft.replace(self._path)


def _kept_keys(path: Path) -> dict[str, jwt.PyJWK]:
    """The keys of the last run, so that a start needs no auth; none where there are none."""
    try:
        return _parse_keys(path.read_text())
    except FileNotFoundError:
        return {}
    except _UNREADABLE as error:
        log.warning("the keys on disk can't be read", path=str(path), error=repr(error))
        return {}


def _parse_keys(text: str) -> dict[str, jwt.PyJWK]:
    return {str(key["kid"]): jwt.PyJWK(key) for key in json.loads(text)["keys"]}


class _Verified(NamedTuple):
    """A token's user, who is one only as long as auth publishes the key that signed."""

    key_id: str
    user: User


class Identity:
    """Turns a token into a user."""

    def __init__(self, keys: Keys, revocations: Revocations) -> None:
        self._keys, self.revocations = keys, revocations
        self._verified: OrderedDict[str, _Verified] = OrderedDict()
        self._lock = threading.Lock()

    def user(self, token: str) -> User | None:
        """The user of a valid token; None for any other. Raises Unavailable without any key."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        known = self._verified.get(digest)  # without the lock, for which a rush would queue
        if known is None or self._keys.find(known.key_id) is None:
            known = self._verify(token)
            if known is None:
                return None
            self._remember(digest, known)
        user = known.user
        if user.expires_at <= datetime.now(UTC) or self.revocations.covers(user):
            return None
        return user

    def _remember(self, digest: str, verified: _Verified) -> None:
        with self._lock:
            self._verified[digest] = verified
            if len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)

    def _verify(self, token: str) -> _Verified | None:
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid"))
            key = self._keys.find(key_id)
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "iat", "sub", "sid", "email"]},
            )
        except jwt.PyJWTError:
            return None
        return _Verified(key_id, user_of(claims))


def user_of(claims: dict[str, Any]) -> User:
    return User(
        id=str(claims["sub"]),
        email=str(claims["email"]),
        session_id=str(claims["sid"]),
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        verified=claims.get("verified") is True,
        role=str(claims.get("role", "user")),
        scopes=frozenset(map(str, claims["scopes"])) if "scopes" in claims else None,
    )


def visitor(environ: "WSGIEnvironment", identity: Identity, cookie: str) -> User | None:
    """Who looks at what all may see, by their cookie; while nobody can be checked, nobody."""
    from werkzeug.http import parse_cookie

    token = parse_cookie(environ).get(cookie, "")
    try:
        user = identity.user(token) if token else None
    except Unavailable:
        return None
    return None if user and user.scopes is not None else user


def cookie_name(settings: Settings) -> str:
    """Under TLS the `__Host-` prefix keeps other hosts of the domain from setting the cookie."""
    return f"__Host-{COOKIE}" if settings.secure else COOKIE


def init_app(app: "Flask", settings: Settings, identity: Identity) -> None:
    """Let flask-login find the user in the cookie or in the `Authorization` header."""
    # Imported here, because the live service has no use for Flask and saves its memory.
    from flask import g
    from flask_login import LoginManager

    app.config["VERIFY_EMAIL"] = settings.verify_email
    manager = LoginManager()
    manager.session_protection = None
    # Templates ask `who()` instead, which does not fail where nobody can be checked.
    manager.init_app(app, add_context_processor=False)
    name = cookie_name(settings)

    def load(request: "Request") -> User | None:
        if "nobody_known" in g:  # asked again by the error page: the wait would be the same
            raise g.nobody_known
        token = bearer_token(request)
        if not token:
            token = request.cookies.get(name, "")
            g.by_cookie = bool(token)
        try:
            user = identity.user(token) if token else None
        except Unavailable as error:
            g.nobody_known = error
            raise
        # An API token is for programs. In a cookie, scopes would not be looked at.
        return None if user and user.scopes is not None and g.get("by_cookie") else user

    manager.request_loader(load)


def bearer_token(request: "Request") -> str:
    """The token of a client without cookies; no form or link of another site can send one."""
    return bearer(request.environ.get("HTTP_AUTHORIZATION", ""))


def bearer(header: str) -> str:
    """The token in the value of an `Authorization` header; empty where there is none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def who() -> User | None:
    """The person who makes this request, if they are signed in."""
    from flask_login import current_user

    user = current_user._get_current_object()  # pyright: ignore[reportPrivateUsage] - documented by Werkzeug; the proxy would end with the request
    return user if isinstance(user, User) else None


def require_user() -> User:
    """The person who makes this request. Raises NotSignedIn."""
    user = who()
    if user is None:
        raise NotSignedIn
    return user


def require_admin() -> User:
    """The person, if they look after this installation. A program never does.

    Raises NotSignedIn or Forbidden.
    """
    user = require_user()
    if user.role != ADMIN or user.scopes is not None:
        raise Forbidden
    return user


def require_verified() -> User:
    """The same, with a confirmed address, which selling needs. Raises NotVerified."""
    from flask import current_app

    user = require_user()
    if current_app.config["VERIFY_EMAIL"] and not user.verified:
        raise NotVerified
    return user
