"""Errors as the Stripe API answers them."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An answer other than 200: a status and the fields of `error` in its body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.fields: Json = {"type": kind, "message": message}
        if code:
            self.fields |= {"code": code, "doc_url": doc_url(code)}
        if param:
            self.fields["param"] = param
        self.fields |= {name: value for name, value in extra.items() if value is not None}

    def body(self) -> Json:
        return {"error": self.fields}


class CardError(ApiError):
    """The bank said no. Unlike after other errors, what happened so far stays: it is history."""


def doc_url(code: str) -> str:
    return f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, code=code, param=param)


def missing_resource(kind: str, ident: str, param: str) -> ApiError:
    return ApiError(404, f"No such {kind}: '{ident}'", code="resource_missing", param=param)


def unexpected_state(intent: Json, message: str) -> ApiError:
    return ApiError(400, message, code="payment_intent_unexpected_state", payment_intent=intent)


def illegal_move(intent: Json, start: str, past: str, legal: Sequence[str]) -> ApiError:
    """The wording that Stripe uses when a state forbids an operation."""
    return unexpected_state(
        intent,
        f"{start} because it has a status of {intent['status']}. Only a PaymentIntent with one "
        f"of the following statuses may be {past}: {', '.join(legal)}.",
    )


def no_key() -> ApiError:
    return ApiError(
        401,
        "You did not provide an API key. You need to provide your API key in the Authorization "
        "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
    )


def bad_key(key: str) -> ApiError:
    return ApiError(401, f"Invalid API Key provided: {key[:8]}{'*' * len(key[8:])}")


def server_error(status: int) -> ApiError:
    message = "An unknown error occurred (the emulator was told to fail)."
    return ApiError(status, message, kind="api_error")
