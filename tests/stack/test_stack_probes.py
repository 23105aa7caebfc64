"""How the supervisor asks servers for their health."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable

import bson
import pytest

from dev.stack.probes import Check, Kind, probe
from dev.stack.probes import bson as encode

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ask(kind: Kind, talk: Talk, path: str = "/") -> str:
    """Probe a server that behaves like `talk`."""

    async def scenario() -> str:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await probe(Check(kind, port, path))

    return asyncio.run(scenario())


def saying(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        writer.close()

    return talk


def http(status: str, body: object) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n{json.dumps(body)}".encode()


@pytest.mark.parametrize(
    ("kind", "answer", "reason"),
    [
        ("http", http("200 OK", {}), ""),
        (
            "http",
            http("503 No", {"checks": {"mongo": "down", "nats": "ok"}}),
            "/ answers 503 (mongo: down)",
        ),
        ("http", b"HTTP/1.1 500 Oops\r\n\r\n<html>", "/ answers 500"),
        ("http", b"", "the connection was closed without an answer"),
        ("gateway", http("502 Bad Gateway", {}), ""),
        ("gateway", http("404 Not Found", {}), "the routes are not read yet"),
        ("redis", b"+PONG\r\n", ""),
        ("redis", b"-LOADING the data\r\n", "-LOADING the data"),
        ("nats", b'INFO {}\r\nPONG\r\nMSG _INBOX.ready 1 13\r\n{"streams":0}\r\n', ""),
        ("nats", b'INFO {}\r\nMSG _INBOX.ready 1 12\r\n{"error":{}}\r\n', "JetStream is not ready"),
        ("nats", b"INFO {}\r\n-ERR 'no'\r\n", "NATS answers \"-ERR 'no'\""),
    ],
)
def test_an_answer_is_understood(kind: Kind, answer: bytes, reason: str):
    assert ask(kind, saying(answer)) == reason


def test_a_server_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dev.stack.probes.SECONDS", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    assert "no answer" in ask("redis", talk)


def test_documents_are_encoded_as_the_driver_does():
    document = {"a": 1, "b": "text", "c": {"d": [{"e": "é"}, 2]}}
    assert encode(document) == bson.encode(document)


class Mongod:
    """Answers as a mongod does that was never told that it is a replica set."""

    def __init__(self, answers: dict[str, dict[str, object]]):
        self.answers = answers
        self.asked: list[dict[str, object]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, _, _, _, _, _ = struct.unpack("<iiiiIB", await reader.readexactly(21))
        command = bson.decode(await reader.readexactly(length - 21))
        self.asked.append(command)
        body = struct.pack("<IB", 0, 0) + bson.encode(self.answers[next(iter(command))])
        writer.write(struct.pack("<iiii", 16 + len(body), 1, 1, 2013) + body)
        writer.close()

    @property
    def names(self) -> list[str]:
        return [next(iter(command)) for command in self.asked]


def test_a_new_mongod_is_made_a_replica_set():
    mongod = Mongod({"hello": {"isWritablePrimary": False}, "replSetInitiate": {"ok": 1.0}})
    assert ask("mongod", mongod) == "the replica set is being set up"
    assert mongod.names == ["hello", "replSetInitiate"]
    assert mongod.asked[1]["$db"] == "admin"


def test_a_mongod_whose_port_has_changed_is_told_its_new_address():
    taken = {"ok": 0.0, "codeName": "AlreadyInitialized"}
    answers = {"hello": {}, "replSetInitiate": taken, "replSetReconfig": {"ok": 1.0}}
    mongod = Mongod(answers)
    assert ask("mongod", mongod) != ""
    assert mongod.names == ["hello", "replSetInitiate", "replSetReconfig"]
    assert mongod.asked[2]["force"]


@pytest.mark.parametrize("writable", [True, False])
def test_a_mongod_that_knows_its_set_is_only_waited_for(writable: bool):
    mongod = Mongod({"hello": {"setName": "ticketing", "isWritablePrimary": writable}})
    assert (ask("mongod", mongod) == "") == writable
    assert set(mongod.names) == {"hello"}
