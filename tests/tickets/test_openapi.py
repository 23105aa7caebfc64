"""The OpenAPI document: well formed, true, and without cost for requests."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from apps.tickets import api

METHODS = {"get", "post", "put", "delete"}


@pytest.fixture
def document(visitor: FlaskClient) -> dict[str, Any]:
    return visitor.get("/api/tickets/openapi.json").get_json()


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method): about
        for path, methods in document["paths"].items()
        for method, about in methods.items()
    }


def test_every_route_is_described(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", str(rule)), method.lower())
        for rule in app.url_map.iter_rules()
        if str(rule).startswith("/api/tickets") and rule.endpoint.startswith("api.")
        for method in rule.methods or ()
        if method.lower() in METHODS
    }
    assert operations(document).keys() == routes
    assert len(routes) == 5


def test_the_document_is_well_formed(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"].keys() >= {"title", "version"}
    names = [about["operationId"] for about in operations(document).values()]
    assert len(set(names)) == len(names)
    for (path, _), about in operations(document).items():
        assert about["summary"]
        assert about["responses"]
        assert all(re.fullmatch("[2-5][0-9]{2}", status) for status in about["responses"])
        in_path = {p["name"] for p in about["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        for parameter in about["parameters"]:
            assert parameter["in"] in {"path", "query", "header"}
            assert "type" in parameter["schema"] or "anyOf" in parameter["schema"]
        for requirement in about.get("security", []):
            assert requirement.keys() <= document["components"]["securitySchemes"].keys()


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_every_reference_leads_somewhere_and_no_schema_is_unused(document: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) == schemas


def test_bounds_and_security_are_in_it(document: dict[str, Any]) -> None:
    described = operations(document)
    limit = described["/api/tickets", "get"]["parameters"][0]
    assert (limit["name"], limit["schema"]["minimum"], limit["schema"]["maximum"]) == (
        "limit",
        1,
        100,
    )
    assert "security" in described["/api/tickets", "post"]
    assert "security" not in described["/api/tickets", "get"]
    price = document["components"]["schemas"]["TicketIn"]["properties"]["price"]
    assert price["type"] == "number"


def test_views_are_not_wrapped(app: Flask) -> None:
    assert app.view_functions["api.create"] is api.create
    served = {str(rule) for rule in app.url_map.iter_rules() if "doc" in str(rule)}
    assert served == {"/api/docs", "/api/tickets/docs"}


def test_the_document_is_a_page_and_a_fragment(visitor: FlaskClient) -> None:
    page = visitor.get("/api/tickets/docs").text
    assert "<html" in page
    assert "PUT /api/tickets/{ticket_id}" in page
    fragment = visitor.get("/api/tickets/docs", headers={"HX-Request": "true"}).text
    assert "<html" not in fragment
    assert "TicketOut" in fragment
    everything = visitor.get("/api/docs").text
    assert 'hx-get="/api/users/docs"' in everything
    assert 'href="/api/users/docs"' in everything
