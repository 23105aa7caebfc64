"""What a request says: JSON, forms and queries as models, ids and keys; anything else a 4xx."""

import secrets
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict

from shared.errors import FieldError, InvalidInput, NotFound, Refused
from shared.fields import ID_PATTERN, explain
from shared.web import strictjson

M = TypeVar("M", bound=BaseModel)

MAX_BODY = 64 * 1024  # bytes; no request of ours comes near it
MAX_KEY = 255  # characters of an Idempotency-Key, as at Stripe
FORM = "application/x-www-form-urlencoded"


class WrongType(Refused):
    """A form of another site can send text that looks like JSON, but not under JSON's name."""

    status = 415
    message = "Send JSON with the header Content-Type: application/json"


def body(model: type[M]) -> M:
    """The JSON body as a model. Raises InvalidInput that names each wrong field."""
    values = strictjson.parse(request.get_data())
    if not request.is_json:
        raise WrongType
    return validate(model, values)


def form(model: type[M]) -> M:
    """The posted form as a model. Raises InvalidInput that names each wrong field."""
    return validate(model, _once_each(request.form), form=True)


def query(model: type[M]) -> M:
    """The query string as a model. Raises InvalidInput that names each wrong field."""
    return validate(model, _once_each(request.args), form=True)


def validate(model: type[M], values: dict[str, Any], *, form: bool = False) -> M:
    try:
        return model.model_validate(values, context={"form": form})
    except ValidationError as error:
        raise InvalidInput(_field_errors(error)) from None


def _once_each(values: MultiDict[str, str]) -> dict[str, str]:
    twice = [name for name, given in values.lists() if len(given) > 1]
    if twice:
        raise InvalidInput([FieldError(f"{name} is given more than once", name) for name in twice])
    return values.to_dict()


def _field_errors(error: ValidationError) -> list[FieldError]:
    return [
        FieldError(explain(dict(problem)), ".".join(str(part) for part in problem["loc"]) or None)
        for problem in error.errors()
    ]


def refuse_what_is_no_text() -> None:
    """Before any view: names and values are UTF-8, where Werkzeug would put in what it likes."""
    if request.query_string and not _is_text(request.query_string):
        raise InvalidInput([FieldError("The query must be valid UTF-8")])
    if request.mimetype == FORM and not _is_text(request.get_data()):
        raise InvalidInput([FieldError("The form must be valid UTF-8")])


def _is_text(encoded: bytes) -> bool:
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return False
    return True


def require_id(value: str) -> str:
    """An id from the path. Raises NotFound where it can't be one."""
    if not ID_PATTERN.fullmatch(value):
        raise NotFound
    return value


def idempotency_key() -> str | None:
    """The request's Idempotency-Key: a header of clients, a hidden field of forms."""
    key = request.headers.get("Idempotency-Key") or request.form.get("idempotencyKey")
    if key and (len(key) > MAX_KEY or not key.isprintable()):
        message = f"Idempotency-Key must be at most {MAX_KEY} printable characters"
        raise InvalidInput([FieldError(message, "Idempotency-Key")])
    return key or None


def new_key() -> str:
    """A key for the hidden field of a form that must have its effect once."""
    return secrets.token_urlsafe(16)
