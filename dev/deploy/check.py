"""`python -m dev.deploy.check`: is the way from laptop to cluster in order?

Lints, builds the image, brings the real compose.yaml up (on stand-in images where no registry
answers), runs system tests, crashes containers, replaces a service under load, takes all down.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dev.deploy import lint, standins
from dev.deploy.commands import CommandError, run
from dev.deploy.engine import IMAGES, Engine, NoEngineError, find, registry_answers
from dev.deploy.engine import wait as wait_for
from dev.deploy.loss import lose_and_restore
from dev.deploy.rolling import roll
from dev.deploy.sale import SaleError, sell
from dev.stack.ports import free_port

IMAGE_LIMIT = 150_000_000  # bytes
DEMO_TICKETS = 12
SYSTEM_TESTS = ("tests/system/test_sale.py", "tests/system/test_contract.py")
HOLD = "5"  # seconds that a reservation lasts, as the system tests expect it
# Each group at the same moment.
CRASHED = (("orders", "orders-worker", "alarms", "gateway"), ("nats", "redis", "orders-db"))


class Report:
    """Prints each step as it ends and keeps count."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.unchecked: list[str] = []

    def step(self, name: str, check: Callable[[], str]) -> bool:
        begun = time.monotonic()
        result, words = lint.verdict(check)
        print(f"{result:11}  {name}: {words}  [{time.monotonic() - begun:.1f} s]", flush=True)
        if result == "failed":
            self.failed.append(name)
        elif result == "not checked":
            self.unchecked.append(f"{name}: {words}")
        return result == "ok"

    def end(self) -> int:
        for line in self.unchecked:
            print(f"not checked: {line}")
        print(f"failed: {', '.join(self.failed)}" if self.failed else "check-deploy passed")
        return int(bool(self.failed))


class Live:
    """The system in containers, and what is asked of it."""

    def __init__(self, engine: Engine, port: int) -> None:
        self._engine = engine
        self._base = f"http://127.0.0.1:{port}"

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("compose up, everything healthy", self._up),
            ("demo data", self._seeded),
            ("health and metrics are not routed", self._hidden),
            ("containers can't write or rise", self._confined),
            ("a sale", self._sale),
            ("the system tests that need an address only", self._tests),
            ("crashed containers come back", self._crash),
            ("a sale afterwards", self._sale),
            ("a lost database comes back", lambda: lose_and_restore(self._engine)),
            ("a sale with it", self._sale),
            ("replace orders under load", lambda: roll(self._engine, self._base)),
            ("a clean stop", self._stop),
        ]

    def _up(self) -> str:
        self._engine.compose("up", "--detach", "--wait", "--wait-timeout", "200", "--no-build")
        return self._base

    def _seeded(self) -> str:
        # A ticket is listed once orders has told how many there are.
        wait_for("12 tickets are on sale", lambda: self._on_sale() >= DEMO_TICKETS, 30)
        return f"{self._on_sale()} tickets"

    def _on_sale(self) -> int:
        with urllib.request.urlopen(f"{self._base}/api/tickets", timeout=10) as answer:  # noqa: S310
            return len(json.load(answer))

    def _hidden(self) -> str:
        for path in ("/healthz", "/readyz", "/metrics", "/ping", "/api/rawdata"):
            try:
                urllib.request.urlopen(self._base + path, timeout=10)  # noqa: S310
            except urllib.error.HTTPError as refused:
                if refused.code == 404:
                    continue
            raise CommandError(f"{path} is not 404")
        return "404"

    def _confined(self) -> str:
        names = self._engine.compose("ps", "--services").split()
        for service in names:
            for container in self._engine.containers(service):
                _require_confined(service, self._engine.inspect(container))
        attempt = "import pathlib; pathlib.Path('/app/x').write_text('')"
        words = ("exec", "-T", "orders", "python3", "-c", attempt)
        try:
            self._engine.compose(*words)
        except CommandError as error:
            if "Read-only file system" in str(error):
                return f"{len(names)} services"
        raise CommandError("a container could write into the code")

    def _sale(self) -> str:
        try:
            sell(self._base)
        except (SaleError, OSError) as error:
            raise CommandError(f"{error}") from error
        return "reserved, declined, paid, complete; another one given up and sold again"

    def _tests(self) -> str:
        words = (sys.executable, "-m", "pytest", "-q", "--no-header", *SYSTEM_TESTS)
        return run(*words, env={"SYSTEM_URL": self._base}).splitlines()[-1]

    def _crash(self) -> str:
        for group in CRASHED:
            crashed = {self._engine.crash(service): service for service in group}
            for container, service in crashed.items():
                wait_for(f"{service} is back", lambda c=container: self._engine.has_come_back(c))
        for service in ("orders", "tickets", "payments", "auth", "orders-worker"):
            (container,) = self._engine.containers(service)
            wait_for(f"{service} is healthy", lambda c=container: self._engine.is_healthy(c))
        return "; ".join(", ".join(group) for group in CRASHED)

    def _stop(self) -> str:
        self._engine.compose("stop")
        words = ("ps", "--all", "--format", "{{.Service}} {{.ExitCode}}")
        ends = [line.split() for line in self._engine.compose(*words).splitlines()]
        # 137: killed, because it did not end in time.
        late = [service for service, code in ends if code == "137"]
        if late:
            raise CommandError(f"did not end in time: {', '.join(late)}")
        return f"{len(ends)} containers"


def _require_confined(service: str, found: dict[str, Any]) -> None:
    host, config = found["HostConfig"], found["Config"]
    wanted: dict[str, bool] = {
        "read-only": host["ReadonlyRootfs"],
        "no capabilities": host["CapDrop"] == ["ALL"],
        "no new privileges": "no-new-privileges:true" in host["SecurityOpt"],
        "a limit of memory": host["Memory"] > 0,
        "no root": str(config["User"]).partition(":")[0] not in ("", "0", "root"),
    }
    missing = [name for name, holds in wanted.items() if not holds]
    if missing:
        raise CommandError(f"{service}: not {', not '.join(missing)}")


def _image(engine: Engine) -> str:
    for target in IMAGES:
        engine.build(target)
    size = int(run("docker", "image", "inspect", "-f", "{{.Size}}", IMAGES["app"]))
    if size > IMAGE_LIMIT:
        raise CommandError(f"the image has {size / 1e6:.0f} MB, more than {IMAGE_LIMIT / 1e6:.0f}")
    return f"{size / 1e6:.0f} MB"


def _equip(report: Report) -> Engine | None:
    """An engine with images to run on."""
    try:
        engine = find()
    except NoEngineError as error:
        report.failed.append("containers")
        print(f"failed       containers: {error}")
        return None
    if registry_answers() or os.environ.get("PYTHON_IMAGE"):
        return engine
    print("no registry answers: stand-ins for the base image and the servers", flush=True)
    report.unchecked.append("the images of MongoDB, NATS, Redis, Traefik and Python themselves")
    made = report.step("stand-in images", lambda: standins.make(engine.builder))
    return replace(engine, variables=standins.variables()) if made else None


def _live(report: Report, engine: Engine) -> None:
    gateway, stripe = free_port(), free_port()
    ports = {"PORT": str(gateway), "STRIPE_PORT": str(stripe), "BIND": "127.0.0.1"}
    ports |= {"PUBLIC_URL": f"http://127.0.0.1:{gateway}", "HOLD_SECONDS": HOLD}
    engine = replace(engine, variables={**engine.variables, **ports})
    try:
        all(report.step(name, check) for name, check in Live(engine, gateway).steps())
        if report.failed:
            print(engine.compose("logs", "--tail", "5", "--no-color"))
    finally:
        engine.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")


def main() -> int:
    report = Report()
    for name, check in lint.checks():
        report.step(name, check)
    engine = _equip(report)
    if engine and report.step("image", lambda: _image(engine)):
        _live(report, engine)
    report.unchecked.append("the manifests in a cluster")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
