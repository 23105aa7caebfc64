"""Tokens: made here with a key that never leaves auth, and checked here against the sessions."""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import request
from pymongo.errors import PyMongoError

from apps.auth.apitokens import ApiToken
from apps.auth.models import Account, Session
from shared.bus import Bus
from shared.errors import Unavailable
from shared.events import SessionRevoked
from shared.identity import AUDIENCE, ISSUER, Identity
from shared.mongo import Document, Documents, is_temporary
from shared.people import User
from shared.relay import Relay
from shared.revocations import LIFETIME, Revocations
from shared.web.refusals import SAFE_METHODS

PURPOSE = b"ticketing auth: Ed25519 key that signs tokens, 1"


class Signer:
    """The signing key, and the public halves in the form that other services read.

    After a rotation the previous key signs nothing any more, and what it signed stays good.
    """

    def __init__(self, secret: str, previous: str = "") -> None:
        self._private = _private_key(secret)
        self.public = _public_jwk(self._private)
        self.key_id = self.public["kid"]
        published = [self.public]
        if previous and previous != secret:
            published.append(_public_jwk(_private_key(previous)))
        self.jwks: dict[str, Any] = {"keys": published}
        self._keys = {key["kid"]: jwt.PyJWK(key) for key in published}

    def find(self, key_id: str) -> jwt.PyJWK | None:
        return self._keys.get(key_id)

    def issue(self, account: Account, session: Session) -> str:
        """A token for the session, good for one lifetime from now."""
        now = time.time()
        more = {"role": account.role, "iat": now}
        return self._sign(account, session.id, now + LIFETIME.total_seconds(), more)

    def issue_for_program(self, account: Account, token: ApiToken) -> str:
        """A token that says what it may do. It never has the rights of an admin."""
        scopes = {"scopes": list(token.scopes)}
        return self._sign(account, token.id, token.expires_at.timestamp(), scopes)

    def _sign(
        self, account: Account, session_id: str, expires_at: float, more: dict[str, Any]
    ) -> str:
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": account.id,
            "email": account.email,
            "verified": account.verified,
            "sid": session_id,
            "iat": time.time(),
            "exp": expires_at,
            **more,
        }
        return jwt.encode(claims, self._private, "EdDSA", headers={"kid": self.key_id})


class Doorkeeper(Identity):
    """Auth's own way to know somebody. What changes something asks the sessions themselves.

    What only looks relies on the revocations in the stream, as every other service does, where
    they are up to date; those of this process count from their answer on. API tokens live for
    longer than the stream tells of, so they are always asked for.
    """

    def __init__(
        self,
        signer: Signer,
        is_open: Callable[[str, datetime], bool],
        revocations: Revocations,
        up_to_date: Callable[[], bool],
    ) -> None:
        super().__init__(signer, revocations)
        self._is_open, self._up_to_date = is_open, up_to_date

    def user(self, token: str) -> User | None:
        user = super().user(token)
        if user is None or (self._only_looks(user) and self._up_to_date()):
            return user
        try:
            return user if self._is_open(user.session_id, datetime.now(UTC)) else None
        except PyMongoError as error:
            if is_temporary(error):
                raise Unavailable from error
            raise

    def at_a_glance(self, token: str) -> User | None:
        """The user of a session's token for who only looks, where no question is needed."""
        try:
            user = super().user(token)
        except Unavailable:
            return None
        return user if user and user.scopes is None and self._up_to_date() else None

    def _only_looks(self, user: User) -> bool:
        return user.scopes is None and request.method in SAFE_METHODS


class Overheard(Relay):
    """Hears which sessions this process ends, before the stream tells everybody."""

    def __init__(self, bus: Bus, revocations: Revocations) -> None:
        super().__init__(bus)
        self._revocations = revocations

    def send(self, collection: Documents, key: str, entry: Document) -> None:
        if entry["subject"] == SessionRevoked.subject_name:
            self._revocations.add(SessionRevoked.model_validate(entry))
        super().send(collection, key, entry)


def _private_key(secret: str) -> Ed25519PrivateKey:
    seed = HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def _public_jwk(private: Ed25519PrivateKey) -> dict[str, str]:
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    essence = {"crv": "Ed25519", "kty": "OKP", "x": _base64(public)}
    return {**essence, "kid": _thumbprint(essence), "use": "sig", "alg": "EdDSA"}


def _thumbprint(essence: dict[str, str]) -> str:
    """The key's id: RFC 7638, so that the same key has the same id everywhere."""
    canonical = json.dumps(essence, separators=(",", ":"), sort_keys=True)
    return _base64(hashlib.sha256(canonical.encode()).digest())


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")
