"""The Flask application: the API, the pages and the control address."""

import hmac
from collections.abc import Callable

from flask import Flask, Response, abort, request

from dev.stripe import params
from dev.stripe.api import ENDPOINTS, Endpoint
from dev.stripe.errors import ApiError, bad_key, no_key
from dev.stripe.gate import Call, Gate, Reply, refusal
from dev.stripe.ids import new_id
from dev.stripe.operation import API_VERSION
from dev.stripe.pages import register_pages
from dev.stripe.server import DROP
from dev.stripe.switchboard import register_control


def create_app(gate: Gate, key: str | None) -> Flask:
    """`key` is the only API key to accept; without one, any test key is."""
    app = Flask(__name__)
    for endpoint in ENDPOINTS:
        name = f"{endpoint.method} {endpoint.path}"
        app.add_url_rule(endpoint.path, name, _view(gate, endpoint, key), methods=[endpoint.method])
    app.add_url_rule("/v1/<path:_rest>", "unknown", _unknown, methods=["GET", "POST", "DELETE"])
    app.add_url_rule("/healthz", "healthz", lambda: "ok\n")
    app.before_request(_refuse_other_sites)
    register_pages(app, gate)
    register_control(app, gate)
    return app


def _view(gate: Gate, endpoint: Endpoint, key: str | None) -> Callable[..., Response]:
    def view(**idents: str) -> Response:
        request_id = new_id("req")
        try:
            _authenticate(key)
            fields = request.args if endpoint.method == "GET" else request.form
            given = params.tree(fields.items(multi=True))
            idempotency_key = _idempotency_key() if endpoint.method == "POST" else None
            call = Call(endpoint, idents, request.path, given, idempotency_key, request_id)
            reply = gate.answer(call)
        except ApiError as error:
            reply = refusal(error)
        return _response(reply, request_id)

    return view


def _unknown(_rest: str) -> Response:
    message = (
        f"Unrecognized request URL ({request.method}: {request.path}). Please see "
        "https://stripe.com/docs; the emulator knows only a part of it."
    )
    return _response(refusal(ApiError(404, message)), new_id("req"))


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key and len(key) > 255:
        raise ApiError(400, "Idempotency keys are at most 255 characters long.")
    return key


def _authenticate(expected: str | None) -> None:
    given = request.authorization
    key = (given.token or given.username) if given else None
    if not key:
        raise no_key()
    known = hmac.compare_digest(key, expected) if expected else key.startswith("sk_test_")
    if not known:
        raise bad_key(key)


def _response(reply: Reply, request_id: str) -> Response:
    if reply.dropped:
        request.environ[DROP] = True
    headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION, **reply.headers}
    return Response(reply.body, reply.status, headers, mimetype="application/json")


def _refuse_other_sites() -> None:
    """A page of somebody else's, open in the developer's browser, may not press our buttons."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site") == "cross-site":
        abort(403)
