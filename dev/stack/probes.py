"""Asks a part, in its own protocol, whether it is ready; no driver, so that it costs no memory."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, cast

Kind = Literal["http", "gateway", "nats", "redis", "mongo", "mongod"]
Value = str | int | list["Value"] | dict[str, "Value"]

SECONDS = 2.0
REPLICA_SET = "ticketing"
_OP_MSG = 2013


@dataclass(frozen=True, slots=True)
class Check:
    """Where and how to ask a part on 127.0.0.1."""

    kind: Kind
    port: int
    path: str = "/"


class _NotReadyError(Exception):
    """The part answers, but not yet what it should; the text says what it lacks."""


async def probe(check: Check) -> str:
    """Say why a part is not ready; an empty text means that it is."""
    try:
        async with asyncio.timeout(SECONDS):
            await _ASK[check.kind](check)
    except _NotReadyError as reason:
        return str(reason)
    except TimeoutError:
        return f"no answer within {SECONDS:.0f} s"
    except ConnectionRefusedError:
        return f"nothing listens on port {check.port}"
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        return f"no proper answer ({type(error).__name__})"
    return ""


async def _talk(
    port: int, request: bytes, answer: Callable[[asyncio.StreamReader], Awaitable[bytes]]
) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await answer(reader)
    finally:
        writer.close()
        with suppress(OSError):  # The answer, or the lack of one, is known already.
            await writer.wait_closed()


async def _get(check: Check) -> tuple[int, bytes]:
    request = f"GET {check.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answer = await _talk(check.port, request.encode(), lambda reader: reader.read(-1))
    if not answer.startswith(b"HTTP/"):
        raise _NotReadyError("the connection was closed without an answer")
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


async def _http(check: Check) -> None:
    status, body = await _get(check)
    if status != 200:
        raise _NotReadyError(f"{check.path} answers {status}{_failed_checks(body)}")


def _failed_checks(body: bytes) -> str:
    try:
        answer: object = json.loads(body)
    except ValueError:
        return ""
    checks = cast(dict[str, object], answer).get("checks") if isinstance(answer, dict) else None
    if not isinstance(checks, dict):
        return ""
    failed = [f"{k}: {v}" for k, v in cast(dict[str, object], checks).items() if v != "ok"]
    return f" ({', '.join(failed)})"


async def _gateway(check: Check) -> None:
    # The start page exists as soon as the routes are read; without them Traefik says 404.
    status, _ = await _get(check)
    if status == 404:
        raise _NotReadyError("the routes are not read yet")


async def _nats(check: Check) -> None:
    ask = b"SUB _INBOX.ready 1\r\nPUB $JS.API.INFO _INBOX.ready 0\r\n\r\n"
    request = b'CONNECT {"verbose":false}\r\n' + ask

    async def answer(reader: asyncio.StreamReader) -> bytes:
        while not (line := await reader.readline()).startswith(b"MSG "):
            if not line or line.startswith(b"-ERR"):
                raise _NotReadyError(f"NATS answers {line.decode().strip()!r}")
        return await reader.readexactly(int(line.split()[-1]))

    if b'"error"' in await _talk(check.port, request, answer):
        raise _NotReadyError("JetStream is not ready")


async def _redis(check: Check) -> None:
    line = await _talk(check.port, b"PING\r\n", lambda reader: reader.readline())
    if not line.startswith(b"+PONG"):
        raise _NotReadyError(line.decode().strip())


async def _mongo(check: Check) -> None:
    if b"\x08isWritablePrimary\x00\x01" not in await _command(check.port, {"hello": 1}):
        raise _NotReadyError("not writable yet")


async def _mongod(check: Check) -> None:
    """A real mongod must be told once that it is a replica set, and again when its port changed."""
    if b"\x02setName\x00" in await _command(check.port, {"hello": 1}):
        return await _mongo(check)
    members: list[Value] = [{"_id": 0, "host": f"127.0.0.1:{check.port}"}]
    config: dict[str, Value] = {"_id": REPLICA_SET, "version": 1, "members": members}
    if b"AlreadyInitialized" in await _command(check.port, {"replSetInitiate": config}):
        moved: dict[str, Value] = {**config, "version": 2}
        await _command(check.port, {"replSetReconfig": moved, "force": 1})
    raise _NotReadyError("the replica set is being set up")


async def _command(port: int, command: dict[str, Value]) -> bytes:
    body = struct.pack("<IB", 0, 0) + bson({**command, "$db": "admin"})
    request = struct.pack("<iiii", 16 + len(body), 1, 0, _OP_MSG) + body

    async def answer(reader: asyncio.StreamReader) -> bytes:
        (length,) = struct.unpack("<i", await reader.readexactly(4))
        return await reader.readexactly(length - 4)

    return await _talk(port, request, answer)


def bson(document: dict[str, Value]) -> bytes:
    """Encode the few types that the commands here use."""
    elements = b"".join(_element(name, value) for name, value in document.items())
    return struct.pack("<i", len(elements) + 5) + elements + b"\x00"


def _element(name: str, value: Value) -> bytes:
    key = name.encode() + b"\x00"
    match value:
        case int():
            return b"\x10" + key + struct.pack("<i", value)
        case str():
            text = value.encode() + b"\x00"
            return b"\x02" + key + struct.pack("<i", len(text)) + text
        case list():
            return b"\x04" + key + bson({str(i): item for i, item in enumerate(value)})
        case dict():
            return b"\x03" + key + bson(value)


_ASK: dict[Kind, Callable[[Check], Awaitable[None]]] = {
    "http": _http,
    "gateway": _gateway,
    "nats": _nats,
    "redis": _redis,
    "mongo": _mongo,
    "mongod": _mongod,
}
