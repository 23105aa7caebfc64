"""Server-sent events over HTTP: a response that lasts as long as its page is open."""

import asyncio
import random
from dataclasses import dataclass

from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from apps.live.hub import Hub, Stream

HEARTBEAT = 15.0  # seconds; an open page that hears nothing gets a comment
SLOWEST = 10.0  # seconds that a page may take to read what is sent; then it is cut
RETRY = (1_000, 5_000)  # milliseconds until a page that was cut asks again; spread at random

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",
}

_cut = Counter(
    "live_streams_cut_total", "Streams that were ended because they were read too slowly"
)


@dataclass(frozen=True)
class EventStream:
    """The response, as an ASGI application."""

    hub: Hub
    stream: Stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _raw(HEADERS)})
            await self._write(send, f"retry: {random.randint(*RETRY)}\n\n")  # noqa: S311 - no secret
            while text := await self.stream.next(HEARTBEAT):
                await self._write(send, text)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            _cut.inc()
        finally:
            gone.cancel()
            self.hub.leave(self.stream)

    async def _until_gone(self, receive: Receive) -> None:
        """After the request itself, the only message is that the page has left."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.stream.end()

    async def _write(self, send: Send, text: str) -> None:
        async with asyncio.timeout(SLOWEST):  # the server waits while the page does not read
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
