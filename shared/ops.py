"""Health and metrics on a port of their own, which the gateway does not route."""

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app  # pyright: ignore[reportUnknownVariableType]

from shared import logs

log = logs.get(__name__)

# A check returns nothing when its dependency answers, and raises when it does not.
Checks = dict[str, Callable[[], object]]


class NotReady(Exception):  # noqa: N818 - a state, not a mistake
    """A dependency does not answer, or something is still being loaded."""


def serve(host: str, port: int, checks: Checks) -> None:
    """Answer /healthz, /readyz and /metrics from a background thread."""
    server = make_server(
        host, port, _app(checks), server_class=_Server, handler_class=_QuietHandler
    )
    threading.Thread(target=server.serve_forever, name="ops", daemon=True).start()


def require(condition: bool, reason: str) -> None:
    if not condition:
        raise NotReady(reason)


def _app(checks: Checks) -> Callable[..., Iterable[bytes]]:
    metrics: Callable[..., Iterable[bytes]] = make_wsgi_app()  # pyright: ignore[reportUnknownVariableType]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/healthz":
                return _answer(start_response, 200, {"status": "ok"})
            case "/readyz":
                results = {name: _result(check) for name, check in checks.items()}
                ready = all(result == "ok" for result in results.values())
                answer = {"status": "ok" if ready else "not ready", "checks": results}
                return _answer(start_response, 200 if ready else 503, answer)
            case "/metrics":
                return metrics(environ, start_response)
            case _:
                return _answer(start_response, 404, {"status": "not found"})

    return app


def _result(check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason
        log.info("not ready", error=repr(error))
        return f"{type(error).__name__}: {error}"
    return "ok"


def _answer(start: Callable[..., Any], status: int, value: dict[str, Any]) -> Iterable[bytes]:
    phrases = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}
    start(phrases[status], [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Probes are no news."""
