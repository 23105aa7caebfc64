"""What API tokens may do, and what needs a confirmed address: one rule for every service."""

from typing import Any

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient

from shared import web
from shared.config import Settings
from shared.identity import require_user, require_verified
from tests.identity import identity, sign


def app_with(scope: str | None, **changes: Any) -> FlaskClient:
    settings = Settings(
        nats_url="nats://unused",
        secret_key="a secret of the tests",
        auth_url="http://unused",
        public_url="http://localhost",
        **changes,
    )
    app: Flask = web.create(__name__, "/things", settings, identity(), scope=scope)

    @app.route("/api/things", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def things() -> Response:
        return jsonify(require_user().id)

    @app.post("/api/things/sell")
    @app.post("/things/sell", endpoint="page")
    def sell() -> Response:
        return jsonify(require_verified().id)

    return app.test_client()


def status(client: FlaskClient, method: str, **claims: object) -> int:
    headers = {"Authorization": f"Bearer {sign('u1', **claims)}"}
    return client.open("/api/things", method=method, headers=headers).status_code


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_changing_something_needs_the_scope_of_the_service(method: str) -> None:
    client = app_with("sell")
    assert status(client, method, scopes=["sell"]) == 200
    for scopes in (["read"], ["buy"], ["read", "buy"], [], ["SELL"], ["sell "]):
        assert status(client, method, scopes=scopes) == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_needs_the_scope_to_read(method: str) -> None:
    client = app_with("sell")
    assert status(client, method, scopes=["read"]) == 200
    assert status(client, method, scopes=["sell", "buy"]) == 403


def test_where_no_scope_is_named_tokens_change_nothing() -> None:
    client = app_with(None)
    assert status(client, "GET", scopes=["read"]) == 200
    for scopes in (["read", "sell", "buy"], ["None"], [""]):
        assert status(client, "POST", scopes=scopes) == 403


def test_a_person_s_own_session_has_no_scopes() -> None:
    assert status(app_with("sell"), "POST") == 200


def test_in_a_cookie_a_token_is_nobody_s_whatever_its_scopes() -> None:
    client = app_with("sell")
    client.set_cookie("session", sign("u1", scopes=["read", "sell", "buy"]))
    assert client.post("/api/things").status_code == 401
    client.set_cookie("session", sign("u1"))
    assert client.post("/api/things").status_code == 200


def test_selling_needs_a_confirmed_address() -> None:
    client = app_with("sell")
    client.set_cookie("session", sign("u1", verified=False))
    refused = client.post("/api/things/sell")
    assert refused.status_code == 403
    assert "/account" in refused.json["errors"][0]["message"]
    page = client.post("/things/sell")
    assert page.status_code == 403
    assert '<a class="button" href="/account">' in page.text
    assert "<h1>One more step</h1>" in page.text
    assert "Error 403" not in page.text
    client.set_cookie("session", sign("u1"))
    assert client.post("/api/things/sell").status_code == 200


def test_selling_needs_no_confirmed_address_where_nobody_confirms_any() -> None:
    client = app_with("sell", embedded=True, verify_email=False)
    client.set_cookie("session", sign("u1", verified=False))
    assert client.post("/api/things/sell").status_code == 200
    client.delete_cookie("session")
    assert client.post("/api/things/sell").status_code == 401
