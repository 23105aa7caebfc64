"""Form parameters: `a[b][0]=x` into nested values, and the checks Stripe makes on them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from dev.stripe.errors import ApiError, Json, invalid

Parser = Callable[[str, Any], Any]
Spec = Mapping[str, Parser]

_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_INTEGER = re.compile(r"^[+-]?\d{1,18}$")


def tree(pairs: Iterable[tuple[str, str]]) -> Json:
    """Nest form fields; lists stay mappings from their index until their parser reads them."""
    root: Json = {}
    for key, value in pairs:
        match = _KEY.match(key)
        if match is None:
            raise invalid(f"Invalid request: malformed parameter name '{key}'.", key)
        _place(root, [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])], value)
    return root


def _place(root: Json, path: Sequence[str], value: str) -> None:
    node = root
    for part in path[:-1]:
        inner = node.setdefault(part or str(len(node)), {})
        if not isinstance(inner, dict):
            raise invalid(f"Invalid request: '{path[0]}' is both a value and a hash.", path[0])
        node = cast(Json, inner)
    node[path[-1] or str(len(node))] = value


def read(given: Json, spec: Spec, required: Sequence[str] = (), inside: str = "") -> Json:
    """Check the given parameters against what an endpoint accepts."""
    unknown = [_full(inside, name) for name in given if name not in spec]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        raise invalid(
            f"Received unknown parameter{plural}: {', '.join(unknown)}",
            unknown[0],
            "parameter_unknown",
        )
    for name in required:
        if name not in given:
            raise missing(_full(inside, name))
    return {name: spec[name](_full(inside, name), raw) for name, raw in given.items()}


def missing(name: str) -> ApiError:
    return invalid(f"Missing required param: {name}.", name, "parameter_missing")


def _full(inside: str, name: str) -> str:
    return f"{inside}[{name}]" if inside else name


def text(name: str, raw: Any) -> str:
    if not isinstance(raw, str):
        raise invalid("Invalid string: expected a value, got a hash.", name)
    if not raw:
        raise invalid(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to "
            f"unset a parameter; however '{name}' cannot be unset. You should remove '{name}' "
            "from your request or supply a non-empty value.",
            name,
            "parameter_invalid_empty",
        )
    return raw


def clearable(name: str, raw: Any) -> str | None:
    return None if raw == "" else text(name, raw)


def integer(name: str, raw: Any) -> int:
    if not isinstance(raw, str) or not _INTEGER.match(raw):
        raise invalid(f"Invalid integer: {raw}", name, "parameter_invalid_integer")
    return int(raw)


def positive(name: str, raw: Any) -> int:
    number = integer(name, raw)
    if number < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, name, "parameter_invalid_integer")
    return number


def boolean(name: str, raw: Any) -> bool:
    if raw not in ("true", "false"):
        raise invalid(f"Invalid boolean: {raw}", name)
    return raw == "true"


def url(name: str, raw: Any) -> str:
    value = text(name, raw)
    if not re.fullmatch(r"https?://[^\s/]\S*", value):
        raise invalid("Not a valid URL", name, "url_invalid")
    return value


def one_of(*values: str) -> Parser:
    def parse(name: str, raw: Any) -> str:
        if raw not in values:
            listed = f"{', '.join(values[:-1])} or {values[-1]}" if values[1:] else values[0]
            raise invalid(f"Invalid {name}: must be one of {listed}", name)
        return raw

    return parse


def hash_of(spec: Spec, required: Sequence[str] = ()) -> Parser:
    def parse(name: str, raw: Any) -> Json:
        return read(_hash(name, raw), spec, required, name)

    return parse


def array_of(item: Parser) -> Parser:
    def parse(name: str, raw: Any) -> list[Any]:
        if not isinstance(raw, dict):
            raise invalid("Invalid array", name)
        given = cast(Json, raw)
        return [item(f"{name}[{index}]", given[index]) for index in given]

    return parse


def metadata(name: str, raw: Any) -> Json:
    """Up to 50 short strings; an empty value later unsets its key."""
    given: Json = {} if raw == "" else _hash(name, raw)
    for key, value in given.items():
        if not isinstance(value, str) or len(value) > 500 or len(key) > 40:
            raise invalid("Metadata takes keys of 40 and values of 500 characters.", name)
    if len(given) > 50:
        raise invalid("Metadata takes at most 50 keys.", name)
    return given


def moment(name: str, raw: Any) -> Json:
    """A `created` filter: a timestamp, or bounds."""
    if isinstance(raw, dict):
        bounds: Spec = dict.fromkeys(("gt", "gte", "lt", "lte"), integer)
        return read(cast(Json, raw), bounds, (), name)
    exact = integer(name, raw)
    return {"gte": exact, "lte": exact}


def _hash(name: str, raw: Any) -> Json:
    if not isinstance(raw, dict):
        raise invalid("Invalid object", name)
    return cast(Json, raw)
