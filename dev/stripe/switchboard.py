"""The control address: `GET /control` shows, `POST /control` changes how the emulator behaves."""

from collections.abc import Callable
from typing import Any, cast

from flask import Flask, Response, jsonify, request

from dev.stripe import api
from dev.stripe.control import ControlError
from dev.stripe.errors import ApiError, Json
from dev.stripe.gate import Gate
from dev.stripe.params import positive, read, text

Command = Callable[[Gate, Any], Json | None]


def register_control(app: Flask, gate: Gate) -> None:
    app.add_url_rule("/control", "control", lambda: jsonify(_shown(gate)))
    app.add_url_rule("/control", "command", lambda: _command(gate), methods=["POST"])


def _shown(gate: Gate) -> Json:
    with gate.store.reading() as session:
        pending = session.count_pending()
    return gate.controls.shown() | {"pending_webhooks": pending}


def _command(gate: Gate) -> tuple[Response, int]:
    given = request.get_json(force=True, silent=True)
    if not isinstance(given, dict) or len(cast(Json, given)) != 1:
        return jsonify(error=f"Send an object with one of: {', '.join(COMMANDS)}"), 400
    name, value = next(iter(cast(Json, given).items()))
    if name not in COMMANDS:
        return jsonify(error=f"Unknown: {name}. Known are: {', '.join(COMMANDS)}"), 400
    try:
        result = COMMANDS[name](gate, value)
    except ControlError as error:
        return jsonify(error=f"{name}: {error}"), 400
    except ApiError as error:
        return jsonify(error.body()), error.status
    return jsonify(result or _shown(gate)), 200


def _fault(gate: Gate, value: Any) -> None:
    gate.controls.add_fault(value)


def _webhooks(gate: Gate, value: Any) -> None:
    gate.controls.set_webhooks(value)


def expire(gate: Gate, value: Any) -> Json:
    return gate.act(lambda op: api.expire_authorisation(op, str(value)))


def refund(gate: Gate, value: Any) -> Json:
    """As if somebody pressed the button in Stripe's dashboard."""
    if not isinstance(value, dict):
        raise ControlError("an object with payment_intent, and amount if not all, is expected")
    given = {name: str(each) for name, each in cast(Json, value).items()}
    spec = {"payment_intent": text, "amount": positive}
    params = read(given, spec, ("payment_intent",))
    return gate.act(lambda op: api.create_refund(op, params))


def end_refund(gate: Gate, value: Any) -> Json:
    return gate.act(lambda op: api.end_refund(op, str(value)))


def resend(gate: Gate, value: Any) -> None:
    if gate.wake is None:
        raise ControlError("there is no webhook address")
    with gate.store.transaction() as session:
        event = session.find("event", str(value))
        if event is None:
            raise ControlError(f"no such event: {value}")
        session.schedule(event["id"], event["data"]["object"]["id"], 0, 0, "pending")
    gate.wake()


def _reset(gate: Gate, value: Any) -> None:
    if value not in ("behaviour", "everything"):
        raise ControlError("either behaviour or everything is expected")
    gate.controls.reset()
    if value == "everything":
        with gate.store.transaction() as session:
            session.wipe()


COMMANDS: dict[str, Command] = {
    "fault": _fault,
    "webhooks": _webhooks,
    "expire": expire,
    "refund": refund,
    "end_refund": end_refund,
    "resend": resend,
    "reset": _reset,
}
