"""What people type to sign up and in, and to look after their account."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from apps.auth.apitokens import LONGEST_DAYS, SCOPES
from shared.fields import Exact, IfGiven, Input, Line, Text, Whole, is_form

LONGEST_EMAIL = 254  # characters, RFC 5321
LONGEST_LOCAL = 64
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128

_WORD = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(
    rf"(?P<local>{_WORD}(?:\.{_WORD})*)@(?:{_LABEL}\.)+(?!\d+\Z){_LABEL}", re.IGNORECASE | re.ASCII
)


def _email(value: str) -> str:
    """The address in the one form that is stored and looked up."""
    match = _EMAIL.fullmatch(value) if len(value) <= LONGEST_EMAIL else None
    if match is None or len(match["local"]) > LONGEST_LOCAL:
        raise PydanticCustomError("email", "must be an e-mail address such as name@example.com")
    return value.lower()


def _of_length(value: str) -> str:
    if not SHORTEST_PASSWORD <= len(value) <= LONGEST_PASSWORD:
        raise PydanticCustomError(
            "password",
            "must have {least} to {most} characters",
            {"least": SHORTEST_PASSWORD, "most": LONGEST_PASSWORD},
        )
    return value


Email = Annotated[Text, AfterValidator(_email)]


NewPassword = Annotated[
    Exact,
    AfterValidator(_of_length),
    Field(json_schema_extra={"minLength": SHORTEST_PASSWORD, "maxLength": LONGEST_PASSWORD}),
]
# A password that can't be anybody's is simply wrong.
ShownPassword = Annotated[Exact, Field(min_length=1, max_length=LONGEST_PASSWORD)]
Token = Annotated[Text, Field(min_length=1, max_length=2_000)]
Code = Annotated[Text, Field(min_length=1, max_length=40)]


class NewAccount(Input):
    email: Email
    password: NewPassword


class Credentials(Input):
    """To sign in; `code` where a second factor is on."""

    email: Email
    password: ShownPassword
    code: Annotated[Code | None, IfGiven] = None


class SecondStep(Input):
    step: Token
    code: Code


class Forgotten(Input):
    email: Email


class Opened(Input):
    """A link from a mail."""

    token: Token


class NewPasswordByLink(Opened):
    password: NewPassword


class PasswordChange(Input):
    old: ShownPassword
    password: NewPassword


class EmailChange(Input):
    email: Email
    password: ShownPassword


class PasswordAgain(Input):
    password: ShownPassword


class FactorOn(PasswordAgain):
    setup: Token
    code: Code


def _scopes(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    """JSON has a list; a form's boxes come joined by spaces."""
    names: Any = value.split() if is_form(info) and isinstance(value, str) else value
    if not isinstance(names, list) or not names or any(name not in [*SCOPES] for name in names):  # pyright: ignore[reportUnknownVariableType] - JSON is untyped
        wanted = ", ".join(SCOPES)
        raise PydanticCustomError(
            "scopes", "must name at least one of {wanted}", {"wanted": wanted}
        )
    return tuple(scope for scope in SCOPES if scope in names)


class NewToken(Input):
    name: Annotated[Line, Field(min_length=1, max_length=60)]
    scopes: Annotated[
        tuple[str, ...],
        BeforeValidator(_scopes),
        WithJsonSchema({"type": "array", "minItems": 1, "items": {"enum": list(SCOPES)}}),
    ]
    days: Annotated[Whole, Field(ge=1, le=LONGEST_DAYS)] = 30
