"""Refusals: facts with an HTTP status, raised anywhere and translated once in `shared.web`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong, and the input field it is about, if there is one."""

    message: str
    field: str | None = None


class Refused(Exception):  # noqa: N818 - its subclasses state facts, such as TicketReserved
    """A request that can't be met; the class says why, the status says it to clients."""

    status = 400
    message = "The request can't be met"
    field: str | None = None
    retry_after: int | None = None
    page: str | None = None  # where a person can do something about it

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message or self.message)
        self.field = field or self.field

    @property
    def errors(self) -> list[FieldError]:
        return [FieldError(str(self), self.field)]


def error_body(refused: Refused) -> dict[str, list[dict[str, str]]]:
    """A refusal as all JSON answers tell it."""
    return {
        "errors": [
            {"message": error.message} | ({"field": error.field} if error.field else {})
            for error in refused.errors
        ]
    }


class InvalidInput(Refused):
    """One or more fields of the request are wrong."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self._errors = errors

    @property
    def errors(self) -> list[FieldError]:
        return self._errors


class NotSignedIn(Refused):
    status = 401
    message = "Not signed in"


class Forbidden(Refused):
    status = 403
    message = "Not allowed"


class NotVerified(Forbidden):
    message = (
        "Confirm your e-mail address first: open the link that was mailed to you. "
        "Your account page, /account, sends it again"
    )
    page = "/account"


class NotFound(Refused):
    status = 404
    message = "Not found"


class NotHereYet(NotFound):
    """Something that another service announced has not arrived; asking again soon helps."""

    retry_after = 1


class Conflict(Refused):
    status = 409
    message = "Somebody else changed this at the same time; load it again"


class PreconditionFailed(Refused):
    status = 412
    message = "The version in If-Match is not the current one"


class KeyReused(Refused):
    status = 422
    message = "This Idempotency-Key was used with another request"


class TooMany(Refused):
    status = 429
    message = "Too many requests; try again in a moment"


class Unavailable(Refused):
    """A part that the service needs does not answer; nothing was lost."""

    status = 503
    message = "Temporarily unavailable; try again in a moment"
    retry_after = 2
