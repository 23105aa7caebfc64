"""Links that are sent by mail: signed, for one purpose, good for a while."""

from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadData, URLSafeTimedSerializer

from apps.auth.models import LinkSpent

PURPOSE = b"ticketing auth: links that are sent by mail, 1"


class Links:
    """Signed with a key that only auth has; all services know the one that signs cursors."""

    def __init__(self, secret: str, previous: str = "") -> None:
        # itsdangerous signs with the last key and reads with all of them.
        self._keys = [_derive(key) for key in (previous, secret) if key]

    def sign(self, purpose: str, *values: Any) -> str:
        return self._serializer(purpose).dumps(values)

    def read(self, purpose: str, token: str, age: timedelta) -> list[Any]:
        """What was signed. Raises LinkSpent for any other text, and after its time."""
        try:
            return self._serializer(purpose).loads(token, max_age=int(age.total_seconds()))
        except BadData:
            raise LinkSpent from None

    def _serializer(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._keys, salt=purpose)


def _derive(secret: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(secret.encode())
