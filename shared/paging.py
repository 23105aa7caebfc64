"""Pages of a list: a signed cursor that says where the next one begins."""

from typing import Any
from urllib.parse import urlencode

from flask import request
from itsdangerous import BadData, URLSafeSerializer

from shared.errors import FieldError, InvalidInput


class Cursors:
    """Makes and reads cursors; a cursor that this installation did not make is refused."""

    def __init__(self, secret_key: str, kind: str) -> None:
        self._serializer = URLSafeSerializer(secret_key, salt=f"cursor:{kind}")

    def make(self, position: list[Any]) -> str:
        return str(self._serializer.dumps(position))

    def read(self, cursor: str | None) -> list[Any] | None:
        """The position a cursor stands for. Raises InvalidInput for one that is not ours."""
        if not cursor:
            return None
        try:
            return self._serializer.loads(cursor)
        except BadData:
            message = "after is not a cursor of this list"
            raise InvalidInput([FieldError(message, "after")]) from None


def next_url(cursor: str) -> str:
    """The address of the page after this one: the same request with another cursor."""
    arguments = {**request.args.to_dict(), "after": cursor}
    return f"{request.path}?{urlencode(arguments)}"
