"""Real servers for tests: started on a free port with an empty folder, ended with the run."""

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from dev.stack.ports import free_port

START = 60.0  # seconds until a server must answer


@contextmanager
def mongo_server(folder: Path, *, alone: bool = True) -> Generator[str, None, None]:
    """The embedded MongoDB-speaking server; yields its address for clients.

    It can also say that it is a replica set.
    """
    port = free_port()
    program = Path(sys.executable).with_name("secantusd-py")
    place = ["--port", str(port), "--storage-path", str(folder)]
    options = [*place, *(["--standalone"] if alone else []), "--cache-size", "128M"]
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen([program, *options], stdout=log, stderr=subprocess.STDOUT)
        try:
            uri = f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites=false"
            _wait_until_it_answers(uri, process)
            yield uri
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def connect(uri: str) -> MongoClient[dict[str, Any]]:
    """A client with the same durability and read settings as the services have."""
    return MongoClient(uri, tz_aware=True, w="majority", journal=True, readConcernLevel="majority")


def _wait_until_it_answers(uri: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=200) as client:
        while True:
            assert process.poll() is None, f"the server ended with {process.returncode}"
            try:
                client.admin.command("ping")
            except PyMongoError:
                assert time.monotonic() < deadline, "the server does not answer"
            else:
                return
