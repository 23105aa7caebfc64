"""`python -m dev.cli ARGUMENTS`: the `ticketing` command against the running embedded stack."""

import os
import sys
from collections.abc import Sequence

from dev.stack.settings import read
from dev.stack.state import Home, Run

SERVICES = ("auth", "tickets", "orders", "payments", "expiration")
ANY = "payments"  # its environment has all that commands about no single service need


def environment(run: Run, arguments: Sequence[str] = ()) -> dict[str, str]:
    """What the service that the arguments name is told, and where every service's data are."""
    service = next((word for word in reversed(arguments) if word in SERVICES), ANY)
    env = {**_env(run, ANY), **_env(run, service)}
    for name in SERVICES:
        if uri := _env(run, name).get("MONGO_URI"):
            env[f"{name.upper()}_MONGO_URI"] = uri
    return env


def _env(run: Run, service: str) -> dict[str, str]:
    part = run["parts"].get(f"{service}-web")
    return dict(part["env"]) if part else {}


def main() -> None:
    home = Home(read(os.environ).data)
    run = home.run() if home.is_running() else None
    if run is None:
        sys.exit(f"no stack is running on {home.path}: start one with `make up`")
    arguments = sys.argv[1:]
    command = [sys.executable, "-m", "ticketing", *arguments]
    os.execve(sys.executable, command, {**os.environ, **environment(run, arguments)})  # noqa: S606 - our own program, no shell


if __name__ == "__main__":
    main()
