"""Loses the database of orders in containers, and brings it back from a backup."""

import os
import re
import tempfile

from dev.deploy.commands import CommandError, run
from dev.deploy.engine import PROJECT, Engine, wait

SERVICE, STORE = "orders", "orders-db"
PARTS = (SERVICE, f"{SERVICE}-worker")


def lose_and_restore(engine: Engine) -> str:
    """As docs/operations.md tells it. Raises CommandError."""
    # Closed before the backup only because the stand-in can't read two collections at one moment.
    engine.compose("stop", *PARTS)
    with tempfile.TemporaryDirectory() as folder:
        saved = _documents(_tool(engine, folder, "backup", SERVICE, "--to=/backup"))
        _lose(engine)
        back = _documents(_tool(engine, folder, "restore", SERVICE, "--from=/backup"))
    if saved != back:
        raise CommandError(f"{saved} documents were saved, and {back} are back")
    wait("everything is announced", lambda: _announced(engine))
    engine.compose("start", *PARTS)
    for part in PARTS:
        (container,) = engine.containers(part)
        wait(f"{part} is healthy", lambda c=container: engine.is_healthy(c))
    return f"{saved} documents"


def _announced(engine: Engine) -> bool:
    """The command may be repeated, where a server was too busy to answer in time."""
    try:
        _tool(engine, None, "events", "restored", SERVICE)
    except CommandError as error:
        if "a server does not answer" not in str(error):
            raise
        return False
    return True


def _tool(engine: Engine, folder: str | None, *words: str) -> str:
    """Run an operator's command beside the service, with its settings."""
    options = ["--rm", "--no-deps", "-T"]
    if folder:
        options += ["--user", str(os.getuid()), "--volume", f"{folder}:/backup"]
    return engine.compose("run", *options, f"{SERVICE}-worker", *words)


def _lose(engine: Engine) -> None:
    engine.compose("rm", "--stop", "--force", STORE)
    run("docker", "volume", "rm", f"{PROJECT}_{STORE}")
    engine.compose("up", "--detach", "--wait", "--no-build", "--no-deps", STORE)


def _documents(printed: str) -> int:
    found = re.search(r": (\d+) documents of ", printed)
    if found is None or found[1] == "0":
        raise CommandError(f"no documents: {printed}")
    return int(found[1])
