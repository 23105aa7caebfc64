"""Stands for the live service: an ASGI app on the server that the real one runs on."""

from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":  # only requests are of interest here
        return
    streams = b"/stream" in scope["query_string"]
    kind = b"text/event-stream" if streams else b"text/plain"
    headers = [(b"content-type", kind), (b"protocol", scope["http_version"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if not streams:
        await send({"type": "http.response.body", "body": b"live\n" * 500})
        return
    await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
