"""Field types for what people and clients send: JSON with exact types, forms with text."""

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

ID_PATTERN = re.compile(r"[0-9a-f]{24}")

# Stripe's smallest charge of each currency, in minor units, and whether it has decimals.
MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "chf": 50, "cad": 50, "aud": 50, "jpy": 50}
NO_DECIMALS = {"jpy"}
LARGEST = 99_999_999  # Stripe's largest charge in minor units
_DIGITS = 20  # before or after the point of a number; more can't be an amount
_LARGEST_WHOLE = 2**63 - 1  # what a database keeps
# Of the control characters, people type tabs and ends of lines.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# Ends of lines, and marks by which a text shows other letters than it has.
_BEYOND_A_LINE = re.compile(r"[\t\n\r\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Input(BaseModel):
    """What a request may say; unknown keys are ignored, so nobody can set what is not theirs."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


def is_form(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("form"))


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("text", "must be a text")
    if "\x00" in value:
        raise PydanticCustomError("text", "must not contain NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("text", "must be valid Unicode") from None
    return value


def _without_control_characters(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError("text", "must not contain control characters")
    return value


def _one_line(value: str) -> str:
    if _BEYOND_A_LINE.search(value):
        raise PydanticCustomError("text", "must be one line that reads in one direction")
    return value


def _whole(value: Any, info: ValidationInfo) -> Any:
    if is_form(info) and isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,30}\s*", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("whole", "must be a whole number")
    if abs(value) > _LARGEST_WHOLE:
        raise PydanticCustomError("whole", "is out of range")
    return value


def _number(value: Any, info: ValidationInfo) -> Any:
    if is_form(info) and isinstance(value, str):
        return _from_text(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PydanticCustomError("number", "must be a number")
    return Decimal(value)


def _from_text(text: str) -> Decimal:
    try:
        return Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        raise PydanticCustomError("number", "must be a number") from None


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise PydanticCustomError("number", "must be a number")
    # An exponent beyond all amounts would make arithmetic raise, or take for ever.
    if abs(value.adjusted()) > _DIGITS:
        raise PydanticCustomError("number", "is out of range")
    # Arithmetic rounds after 28 digits, so that more could hide behind a smaller number.
    if len(value.as_tuple().digits) > _DIGITS:
        raise PydanticCustomError("number", "has too many digits")
    return value


def _none_if_empty(value: Any, info: ValidationInfo) -> Any:
    return None if is_form(info) and value == "" else value


def _moment(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("time", "must be a time such as 2027-05-01T20:00:00Z")
    # A browser's datetime-local field has no zone; forms say that they mean UTC.
    return value + "Z" if is_form(info) and re.fullmatch(r"[\d-]{10}T[\d:]{5,8}", value) else value


Exact = Annotated[str, BeforeValidator(_text)]  # such as a password: spaces at its ends count
Text = Annotated[
    Exact, StringConstraints(strip_whitespace=True), AfterValidator(_without_control_characters)
]
Line = Annotated[Text, AfterValidator(_one_line)]  # such as a name, which stands in other texts
Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[
    Decimal,
    BeforeValidator(_number),
    AfterValidator(_finite),
    WithJsonSchema({"type": "number"}),
]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
IfGiven = BeforeValidator(_none_if_empty)


def to_minor(price: Decimal, currency: str) -> int:
    """A price in major units as an integer of minor units. Raises ValueError with the reason."""
    exact = price if currency in NO_DECIMALS else price * 100
    if exact != exact.to_integral_value():
        places = "no" if currency in NO_DECIMALS else "at most 2"
        raise ValueError(f"must have {places} decimals in {currency.upper()}")
    amount = int(exact)
    if amount < MINIMUM[currency]:
        raise ValueError(f"must be at least {to_text(MINIMUM[currency], currency)}")
    if amount > LARGEST:
        raise ValueError(f"must be at most {to_text(LARGEST, currency)}")
    return amount


def to_major(amount: int, currency: str) -> int | float:
    """An amount of minor units as the JSON number of major units that clients see."""
    if currency in NO_DECIMALS or amount % 100 == 0:
        return amount if currency in NO_DECIMALS else amount // 100
    return amount / 100


def to_text(amount: int, currency: str) -> str:
    """An amount as people read it, such as 19.50 USD."""
    if currency in NO_DECIMALS:
        return f"{amount:,} {currency.upper()}"
    return f"{amount // 100:,}.{amount % 100:02d} {currency.upper()}"


_TOO_SHORT = "must have at least {min_length} characters"
_TOO_LONG = "must have at most {max_length} characters"
_TIME = "must be a time with its zone, such as 2027-05-01T20:00:00Z"
_REASONS = {
    "missing": "is required",
    "too_short": _TOO_SHORT,
    "string_too_short": _TOO_SHORT,
    "too_long": _TOO_LONG,
    "string_too_long": _TOO_LONG,
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "timezone_aware": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
}


def explain(problem: dict[str, Any]) -> str:
    """One of pydantic's errors in words that a person who filled in a form understands."""
    field = str(problem["loc"][-1]) if problem["loc"] else "The input"
    context: dict[str, Any] = problem.get("ctx", {})
    kind = "missing" if context.get("min_length") == 1 else problem["type"]
    if reason := _REASONS.get(kind):
        return f"{field} {reason.format(**context)}"
    text = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{field} {text[:1].lower()}{text[1:]}"
