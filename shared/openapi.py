"""OpenAPI documents of the JSON routes: written beside each route, served, and shown as a page.

SpecTree only describes here. `shared.web` parses and validates, so a request costs nothing more.
"""

import json as json_format
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from inspect import unwrap
from typing import Annotated, Any, TypeVar
from weakref import WeakKeyDictionary

from flask import Blueprint, Flask, Response, jsonify
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel
from spectree import Response as Responses
from spectree import SpecTree
from spectree.config import SecurityValue
from spectree.models import InType, SecureType, SecurityScheme, SecuritySchemeData
from spectree.plugins.flask_plugin import FlaskPlugin

from shared import web
from shared.identity import COOKIE

F = TypeVar("F", bound=Callable[..., Any])
Model = type[BaseModel]


# An amount in major units, such as 20 or 20.5.
Price = Annotated[int | float, WithJsonSchema({"type": "number"})]
Time = Annotated[
    datetime,
    PlainSerializer(
        lambda time: time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        return_type=str,
    ),
]


class Output(BaseModel):
    """What a response says; build answers from a subclass so that the document stays true."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    def to_json(self) -> dict[str, Any]:
        """The answer for `jsonify`; optional keys without a value are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Problem(Output):
    """One thing that is wrong."""

    message: str
    field: str | None = Field(None, description="the input it is about, if it is about one")


class Errors(Output):
    """Every refusal has this shape."""

    errors: list[Problem]


class IdempotencyHeaders(BaseModel):
    """For requests that may be repeated after an unknown outcome."""

    key: str | None = Field(
        None,
        alias="Idempotency-Key",
        max_length=web.MAX_KEY,
        description="the same key with the same body has its effect once",
    )


class ConditionalHeaders(IdempotencyHeaders):
    if_match: str | None = Field(
        None, alias="If-Match", description="the ETag of the state that this change is based on"
    )


@dataclass(frozen=True)
class Documentation:
    responses: Mapping[int, Any]
    refusals: tuple[int, ...]
    json: Model | None
    query: Model | None
    headers: Model | None


_documented: "WeakKeyDictionary[Callable[..., Any], Documentation]" = WeakKeyDictionary()


def documented(
    responses: Mapping[int, Any],
    refusals: tuple[int, ...] = (),
    *,
    json: Model | None = None,
    query: Model | None = None,
    headers: Model | None = None,
) -> Callable[[F], F]:
    """Describe a view, below its route: `@documented({201: Ticket}, (400, 401), json=NewTicket)`.

    A response is a model, `list[model]` or None for an empty body; the view's docstring is the
    summary. Where 401 is among the refusals, the document says that one must be signed in.
    """

    def remember(view: F) -> F:
        _documented[view] = Documentation(responses, refusals, json, query, headers)
        return view

    return remember


def init_app(app: Flask, prefix: str, title: str) -> None:
    """Serve the document at `{prefix}/openapi.json` and as a page at `{prefix}/docs`.

    Call it after all blueprints are registered.
    """
    described = _describe(app, title)
    blueprint = Blueprint("openapi", __name__)

    @blueprint.get(f"{prefix}/openapi.json")
    def document() -> Response:
        return jsonify(described())

    @blueprint.get(f"{prefix}/docs")
    def page() -> Response:
        return web.render("openapi.html", title=title, prefix=prefix, document=described())

    app.register_blueprint(blueprint)


def _describe(app: Flask, title: str) -> Callable[[], dict[str, Any]]:
    tree = SpecTree(
        backend=_Plugin,
        app=app,
        title=title,
        mode="strict",
        annotations=False,
        naming_strategy=_name,
        nested_naming_strategy=_nested_name,
        # SpecTree adds one refusal to every route: ours is a dependency that is away.
        validation_error_status=HTTPStatus.SERVICE_UNAVAILABLE,
        validation_error_model=Errors,
        security_schemes=_SCHEMES,
    )

    @cache
    def described() -> dict[str, Any]:
        return _tidy(tree.spec)

    return described


def _tidy(spec: dict[str, Any]) -> dict[str, Any]:
    """The document without the models of queries and headers, which are parameters in it."""
    text = json_format.dumps(spec)
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    spec = json_format.loads(text, object_hook=_standard)
    schemas = spec["components"]["schemas"]
    spec["components"]["schemas"] = {name: schemas[name] for name in schemas if name in used}
    return spec


def _standard(schema: dict[str, Any]) -> dict[str, Any]:
    """Pydantic leaves bounds that follow a validator of ours under names of its own."""
    names = {"ge": "minimum", "le": "maximum"} if "type" in schema else {}
    return {names.get(key, key): value for key, value in schema.items()}


class _Plugin(FlaskPlugin):
    """Finds the documented views of an app, and adds neither routes nor wrappers to it."""

    def register_route(self, app: Flask) -> None:
        self._views = {
            endpoint: self._described(view, about, endpoint)
            for endpoint, view in app.view_functions.items()
            if (about := _documented.get(_undecorated(view)))
        }

    def _described(
        self, view: Callable[..., Any], about: Documentation, endpoint: str
    ) -> Callable[..., Any]:
        refusals = (*about.refusals, _UNREADABLE, *(_OF_ANY_BODY if about.json else ()))
        answers = dict(about.responses) | dict.fromkeys(refusals, Errors)
        return self.spectree.validate(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - SpecTree types it in part
            json=about.json,
            query=about.query,
            headers=about.headers,
            resp=Responses(**{f"HTTP_{status}": model for status, model in answers.items()}),
            tags=(self.config.title,),
            security=_SIGNED_IN if HTTPStatus.UNAUTHORIZED in about.refusals else None,
            operation_id=endpoint.replace(".", "_"),
            skip_validation=True,
        )(view)

    def parse_func(self, route: Any) -> Generator[tuple[str, Callable[..., Any]], Any, None]:
        if view := self._views.get(route.endpoint):
            for method in sorted(route.methods):
                yield method, view


def _undecorated(view: Callable[..., Any]) -> Callable[..., Any]:
    """The function that `documented` saw, below decorators that came later."""
    return unwrap(view, stop=lambda function: function in _documented)


_UNREADABLE = 400  # an address or a query that can be read in two ways, whatever is asked for
_OF_ANY_BODY = (413, 415)  # too large, not said to be JSON
_SIGNED_IN: SecurityValue = [{"cookie": []}, {"bearer": []}]
_SCHEMES = [
    SecurityScheme(
        name="cookie",
        data=SecuritySchemeData(type=SecureType.API_KEY, name=COOKIE, field_in=InType.COOKIE),
    ),
    SecurityScheme(name="bearer", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer")),
]


def _name(model: Model) -> str:
    return model.__name__


def _nested_name(_parent: str, child: str) -> str:
    return child
