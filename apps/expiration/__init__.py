"""Expiration: alarm clocks that ring when a reservation's time is up. Orders decides what then."""

from typing import TYPE_CHECKING

from apps.expiration.alarms import Alarms
from shared.errors import Unavailable

if TYPE_CHECKING:
    from flask import Flask, Response


def create_app(alarms: Alarms) -> "Flask":
    """A small window for operators; the gateway does not route to it."""
    # Imported here, because a worker has no use for the web and saves its memory.
    from flask import Flask, jsonify

    app = Flask(__name__, static_folder=None)

    @app.get("/alarms")
    def pending() -> "Response":
        return jsonify(pending=alarms.pending())

    @app.errorhandler(Unavailable)
    def unavailable(error: Unavailable) -> "tuple[Response, int]":
        return jsonify(error=str(error)), error.status

    return app
