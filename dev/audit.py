"""`python -m dev.audit`: the audit of the embedded stack that runs, or ran last, on DATA."""

import os
import subprocess
import sys
from collections.abc import Mapping

from dev.stack.settings import read
from dev.stack.state import Home, Run

SERVICES = ("auth", "tickets", "orders", "payments")


def environment(run: Run) -> dict[str, str]:
    """What the audit must be told of a stack."""
    env: dict[str, str] = {}
    for name in SERVICES:
        env[f"{name.upper()}_MONGO_URI"] = _env(run, name)["MONGO_URI"]
    payments = _env(run, "payments")
    for name in ("NATS_URL", "STRIPE_KEY", "STRIPE_API_BASE"):
        env[name] = payments[name]
    return env


def _env(run: Run, app: str) -> Mapping[str, str]:
    return run["parts"][f"{app}-web"]["env"]


def main() -> int:
    home = Home(read(os.environ).data)
    run = home.run() if home.is_running() else None
    if run is None:
        print(f"no stack is running on {home.path}", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "ticketing", "audit", *sys.argv[1:]]
    return subprocess.call(command, env={**os.environ, **environment(run)})


if __name__ == "__main__":
    raise SystemExit(main())
