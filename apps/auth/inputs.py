"""What people type to sign up and in."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from shared.fields import Exact, Input, Text

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


class NewAccount(Input):
    email: Email
    password: Annotated[
        Exact,
        AfterValidator(_of_length),
        Field(json_schema_extra={"minLength": SHORTEST_PASSWORD, "maxLength": LONGEST_PASSWORD}),
    ]


class Credentials(Input):
    """To sign in. A password that can't be anybody's is simply wrong."""

    email: Email
    password: Annotated[Exact, Field(min_length=1, max_length=LONGEST_PASSWORD)]
