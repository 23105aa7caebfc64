"""Floors: what the same machine does at the most, without our code, in the same run."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psutil

from bench import barewrites
from bench.barewrites import Task
from bench.figures import Sample, sample
from bench.ground import Ground
from bench.load import Load, request
from dev.stack.ports import free_port
from shared.mongo import Document, Documents

THREADS = 32  # of a web process; a floor writes from as many
Measure = Callable[[float], Sample]
READS = "a bare Flask route on the same server with the same options, as many bytes"
START_SECONDS = 10.0


@contextmanager
def bare_route(ground: Ground, part: str, load: Load, workers: int = 1) -> Generator[Measure]:
    """A server with the options that the part runs with, but only one route behind it."""
    port = free_port()
    size = len(_body(load))
    command = _with_options(
        psutil.Process(ground.stack.parts[part].pid).cmdline(),
        {
            "--factory": "bench.bare:web",
            "--port": str(port),
            "--workers": str(workers),
            "--log-level": "error",  # its advice on threads was given when the stack started
        },
    )
    server = subprocess.Popen(command, env={**os.environ, "BARE_BYTES": str(size)})  # noqa: S603 - the stack's own command
    try:
        _wait(port)
        bare = replace(load, port=port, requests=[request("GET", "/")])
        yield bare.measure
    finally:
        server.terminate()
        server.wait()


def _with_options(command: list[str], values: Mapping[str, str]) -> list[str]:
    changed = list(command)
    for name, value in values.items():
        changed[changed.index(name) + 1] = value
    return changed


def _body(load: Load) -> bytes:
    """What the first of the requests is answered with."""
    head = load.requests[0].decode().split("\r\n\r\n")[0].split("\r\n")
    path = head[0].split()[1]
    headers = dict(line.split(": ", 1) for line in head[1:])
    asked = urllib.request.Request(f"http://127.0.0.1:{load.port}{path}", headers=headers)
    with urllib.request.urlopen(asked) as answer:  # noqa: S310 - the same
        return answer.read()


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
            return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@dataclass(frozen=True)
class Writes:
    """A floor of writes: which, from how many clients, and how units are taken."""

    operation: str
    about: str
    processes: int = 1
    threads: int = THREADS
    together: bool = False


TICKET = Writes("ticket", "bare pymongo: one insert, the ticket with its event")
ORDER = Writes("order", "bare pymongo: one update of a block, one insert of the order")
HOT = replace(ORDER, about=f"{ORDER.about}, all on one ticket", together=True)
PURCHASE = Writes(
    "purchase", "bare pymongo: the eight writes of a purchase, from 4 processes", 4, 4
)
_LIKE: dict[str, Document] = {"payments": {"intent.status": "succeeded"}}  # what is copied
_UNITS, _BLOCKS = 100, 500
_INDEX_OPTIONS = ("unique", "sparse", "partialFilterExpression")


def bare_writes(ground: Ground, writes: Writes) -> Measure:
    """The same writes as an operation makes, on the same servers, beside its databases."""
    services = {"ticket": ["tickets"], "order": ["orders"]}.get(
        writes.operation, ["orders", "payments"]
    )
    blocks = [f"{'0' * 24}:{number}" for number in range(_BLOCKS)]

    def measure(seconds: float) -> Sample:
        # A new database each time: emptying one takes the embedded server seconds.
        database = f"bench-{secrets.token_hex(4)}"
        for service in services:
            _prepare(ground, service, database, blocks)
        task = Task(
            uris={name: ground.stack.parts[f"{name}-web"].env["MONGO_URI"] for name in services},
            database=database, operation=writes.operation, threads=writes.threads,
            seconds=seconds, first=0, units=_UNITS, blocks=blocks, together=writes.together,
        )  # fmt: skip
        return sample(_run(task, writes.processes), seconds)

    return measure


def _run(task: Task, processes: int) -> list[float]:
    command = [sys.executable, "-m", "bench.barewrites"]
    running: list[subprocess.Popen[str]] = []
    for number in range(processes):
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        share = replace(task, first=task.first + number * _UNITS * _BLOCKS // processes)
        assert process.stdin  # noqa: S101 - asked for above
        json.dump(vars(share), process.stdin)
        process.stdin.close()
        running.append(process)
    times: list[float] = []
    for process in running:
        assert process.stdout  # noqa: S101 - the same
        times += json.load(process.stdout)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)
    return times


def _prepare(ground: Ground, service: str, database: str, blocks: list[str]) -> None:
    """Empty collections with the indexes of the real ones, and documents to copy."""
    real, store = ground.stores[service], ground.open(service, database)
    names = (service, "blocks") if service == "orders" else (service,)
    found = {name: _example(real[name], _LIKE.get(name, {})) for name in names}
    for name in names:
        _copy_indexes(real[name], store[name])
    if block := found.pop("blocks", None):
        found["taken"] = {"order_id": "", "units": 1, "until": found["orders"]["expires_at"]}
        whole: Document = {**block, "capacity": _UNITS, "available": _UNITS, "taken": []}
        store["blocks"].insert_many([{**whole, "_id": key} for key in blocks])
    barewrites.keep_templates(store, found)


def _example(documents: Documents, like: Document) -> Document:
    found = documents.find_one(like)
    if found is None:
        raise SystemExit(f"there is nothing in {documents.full_name} to copy")
    return found


def _copy_indexes(source: Documents, target: Documents) -> None:
    for index in source.list_indexes():
        options = {name: index[name] for name in _INDEX_OPTIONS if name in index}
        if index["name"] != "_id_":
            target.create_index(list(index["key"].items()), **options)
