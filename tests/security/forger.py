"""Makes tokens: some as auth would, to have every kind of person; most as an attacker would."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.auth.tokens import Signer
from tests.system.world import Person

Claims = dict[str, Any]
STRANGER = Ed25519PrivateKey.generate()


@dataclass
class Forger:
    """Knows auth's key, as no attacker does, to sign what auth itself would never say."""

    secret: str

    def __post_init__(self) -> None:
        self.signer = Signer(self.secret)
        self.key_id = self.signer.key_id

    def claims(self, person: Person, **changes: Any) -> Claims:
        """What the person's own token says, with changes; None takes a claim away."""
        told = jwt.decode(person.cookies["session"], options={"verify_signature": False})
        return {name: value for name, value in {**told, **changes}.items() if value is not None}

    def sign(self, claims: Claims, **header: Any) -> str:
        """Signed with auth's own key."""
        private = self.signer._private  # pyright: ignore[reportPrivateUsage]
        return jwt.encode(claims, private, "EdDSA", headers={"kid": self.key_id, **header})

    def sign_as_stranger(self, claims: Claims, **header: Any) -> str:
        """Signed with a key of one's own."""
        return jwt.encode(claims, STRANGER, "EdDSA", headers={"kid": self.key_id, **header})

    def by_hand(self, header: Claims, claims: Claims, signature: bytes = b"") -> str:
        return ".".join([part(header), part(claims), encoded(signature)])

    def by_public_key(self, claims: Claims) -> str:
        """HS256 with what is public as the secret: what a careless verifier takes for signed."""
        header = {"alg": "HS256", "typ": "JWT", "kid": self.key_id}
        text = f"{part(header)}.{part(claims)}"
        key = base64.urlsafe_b64decode(self.signer.public["x"] + "==")
        return f"{text}.{encoded(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def part(value: Claims) -> str:
    return encoded(json.dumps(value).encode())


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def public_jwk(key: Ed25519PrivateKey) -> Claims:
    x = encoded(key.public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "stranger"}


def hours(count: float) -> float:
    """A time that is so far away from now."""
    return time.time() + 3_600 * count


def new_id() -> str:
    return secrets.token_hex(12)
