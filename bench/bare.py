"""The floor of reads: one Flask route that returns so many ready bytes as BARE_BYTES says."""

import os

from flask import Flask, Response


def web() -> Flask:
    app = Flask(__name__)
    answer = b"x" * int(os.environ["BARE_BYTES"])

    @app.get("/")
    def bare() -> Response:
        return Response(answer, mimetype="application/json")

    return app
