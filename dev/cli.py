"""`python -m dev.cli ARGUMENTS`: the `ticketing` command against the running embedded stack."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from dev.stack.settings import ROOT

SERVICES = ("auth", "tickets", "orders", "payments", "expiration")
ANY = "payments"  # its environment has all that commands about no single service need


def environment(run: dict[str, Any], arguments: list[str]) -> dict[str, str]:
    """What the service that the arguments name is told, and where every service's data are."""
    service = next((word for word in reversed(arguments) if word in SERVICES), ANY)
    parts = run["parts"]
    merged = {**parts["payments-worker"]["env"], **parts[f"{service}-worker"]["env"]}
    for name in SERVICES:
        if uri := parts[f"{name}-worker"]["env"].get("MONGO_URI"):
            merged[f"{name.upper()}_MONGO_URI"] = uri
    return merged


def main() -> None:
    data = Path(os.environ.get("DATA", ROOT / ".data"))
    try:
        run = json.loads((data / "run.json").read_text())
    except FileNotFoundError:
        sys.exit(f"no stack runs on {data}: start one with `make up`")
    arguments = sys.argv[1:]
    command = [sys.executable, "-m", "ticketing", *arguments]
    os.execve(sys.executable, command, {**os.environ, **environment(run, arguments)})  # noqa: S606 - our own program, no shell


if __name__ == "__main__":
    main()
