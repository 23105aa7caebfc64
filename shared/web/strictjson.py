"""JSON that can be read in one way only: whoever checks it and whoever uses it see the same."""

import json
from decimal import Decimal
from typing import Any, NoReturn

from shared.errors import FieldError, InvalidInput

DEPTH = 8  # objects and lists within each other; no request of ours has more than two
_SHOWN = 60  # characters of a key that an error repeats


def parse(data: bytes) -> dict[str, Any]:
    """The object that a body holds, with exact decimals. Raises InvalidInput."""
    try:
        value = json.loads(
            data.decode(),
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_once_each,
        )
    except ArithmeticError:
        _refuse("The body holds a number that is out of range")
    except (ValueError, RecursionError):
        _refuse("The body must be valid JSON")
    if not isinstance(value, dict):
        _refuse("The body must be a JSON object")
    if _is_deeper(value, DEPTH):  # pyright: ignore[reportUnknownArgumentType] - JSON is untyped
        _refuse(f"The body must not have more than {DEPTH} levels")
    return value  # pyright: ignore[reportUnknownVariableType] - the same


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values counts would depend on the reader, so there must not be two."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            shown = key[:_SHOWN]
            _refuse(f"{shown} is given more than once", shown)
        found[key] = value
    return found


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner: Any = value.values() if isinstance(value, dict) else value  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON is untyped
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _refuse(message: str, field: str | None = None) -> NoReturn:
    raise InvalidInput([FieldError(message, field)]) from None
