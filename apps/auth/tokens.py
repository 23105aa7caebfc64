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
from pymongo.errors import PyMongoError

from apps.auth.models import Account, Session
from shared.errors import Unavailable
from shared.identity import AUDIENCE, ISSUER, LIFETIME, Identity, Revocations
from shared.mongo import is_temporary
from shared.people import User

PURPOSE = b"ticketing auth: Ed25519 key that signs tokens, 1"


class Signer:
    """The signing key, and its public half in the form that other services read."""

    def __init__(self, secret: str) -> None:
        seed = HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(secret.encode())
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        essence = {"crv": "Ed25519", "kty": "OKP", "x": _base64(public)}
        self.key_id = _thumbprint(essence)
        self.public = {**essence, "kid": self.key_id, "use": "sig", "alg": "EdDSA"}
        self._key = jwt.PyJWK(self.public)

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.public]}

    def find(self, key_id: str) -> jwt.PyJWK | None:
        return self._key if key_id == self.key_id else None

    def issue(self, account: Account, session: Session) -> str:
        """A token for the session, good for one lifetime from now."""
        now = time.time()
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": account.id,
            "email": account.email,
            "sid": session.id,
            "iat": now,
            "exp": now + LIFETIME.total_seconds(),
        }
        return jwt.encode(claims, self._private, "EdDSA", headers={"kid": self.key_id})


class Doorkeeper(Identity):
    """Auth's own way to know somebody: it asks the sessions themselves.

    The other services learn of a sign-out within a second; here it counts from its answer on.
    """

    def __init__(self, signer: Signer, is_open: Callable[[str, datetime], bool]) -> None:
        super().__init__(signer, Revocations())
        self._is_open = is_open

    def user(self, token: str) -> User | None:
        user = super().user(token)
        if user is None:
            return None
        try:
            return user if self._is_open(user.session_id, datetime.now(UTC)) else None
        except PyMongoError as error:
            if is_temporary(error):
                raise Unavailable from error
            raise


def _thumbprint(essence: dict[str, str]) -> str:
    """The key's id: RFC 7638, so that the same key has the same id everywhere."""
    canonical = json.dumps(essence, separators=(",", ":"), sort_keys=True)
    return _base64(hashlib.sha256(canonical.encode()).digest())


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")
