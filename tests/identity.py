"""Signed-in people for tests: tokens that a real Ed25519 key of this run signs."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from shared.identity import AUDIENCE, ISSUER, Identity
from shared.people import User
from shared.revocations import Revocations

KEY_ID = "tests"
_private_key = Ed25519PrivateKey.generate()


def sign(
    user_id: str,
    email: str = "",
    *,
    lifetime: timedelta = timedelta(hours=1),
    session_id: str | None = None,
    **more: object,
) -> str:
    """A session token as auth makes them; `more` claims, such as the scopes of an API token."""
    now = datetime.now(UTC)
    claims = {
        "sub": user_id,
        "email": email or f"{user_id}@example.com",
        "sid": session_id or secrets.token_hex(12),
        "iat": now,
        "exp": now + lifetime,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "verified": True,
        "role": "user",
        **more,
    }
    return jwt.encode(claims, _private_key, algorithm="EdDSA", headers={"kid": KEY_ID})


def identity() -> Identity:
    """What verifies those tokens, with nothing revoked."""
    return Identity(_Keys(), Revocations())


def user(user_id: str) -> User:
    """A signed-in person, as the services see them."""
    found = identity().user(sign(user_id))
    assert found is not None
    return found


def public_key() -> dict[str, Any]:
    """What verifies those tokens, as auth publishes it."""
    public = OKPAlgorithm.to_jwk(_private_key.public_key(), as_dict=True)
    return {**public, "kid": KEY_ID, "alg": "EdDSA"}


class _Keys:
    def find(self, key_id: str) -> jwt.PyJWK | None:
        return jwt.PyJWK(public_key()) if key_id == KEY_ID else None
