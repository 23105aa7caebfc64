"""Structured logs and the trace that connects a request with the events that follow from it."""

import logging
import re
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from structlog.typing import EventDict

_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(service: str, level: str, fmt: str) -> None:
    """Send all logs to stderr as one JSON object, or one readable line, per event."""
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if fmt == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def _add_trace(_logger: object, _method: str, entry: EventDict) -> EventDict:
    if begun := _trace.get():
        entry["trace_id"] = begun.value[3:35]
    return entry


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    return structlog.get_logger(module=name)


class _Trace:
    """The trace of some work. Most requests need none, so it gets its id when it is asked for."""

    def __init__(self, value: str) -> None:
        self._value = value

    @property
    def value(self) -> str:
        self._value = self._value or _new()
        return self._value


_trace: ContextVar[_Trace | None] = ContextVar("trace", default=None)


def _new() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def current_trace() -> str:
    """The W3C `traceparent` of the work in hand; a new one where none was begun."""
    begun = _trace.get()
    return begun.value if begun else _new()


@contextmanager
def trace(traceparent: str | None) -> Generator[None, None, None]:
    """Do work under the given trace, so that its logs and events carry it on."""
    # Anybody can send one; it is written into logs and events, so it must be one.
    known = traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else ""
    token = _trace.set(_Trace(known) if known else _trace.get() or _Trace(""))
    try:
        yield
    finally:
        _trace.reset(token)
