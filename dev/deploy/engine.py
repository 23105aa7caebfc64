"""The container engine: finds one that builds, brings compose.yaml up and looks at containers."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dev.deploy.commands import CommandError, program, run, succeeds

PROJECT = "ticketing-check"
IMAGES = {"app": "ticketing-check:app", "dev": "ticketing-check:dev"}
REGISTRY = ("registry-1.docker.io", 443)


class NoEngineError(Exception):
    """There is nothing to build and run containers with; the text says what is missing."""


def find() -> "Engine":
    """Raises NoEngineError."""
    if not succeeds("docker", "info"):
        raise NoEngineError("no container engine answers (`docker info`)")
    compose = program("docker-compose")
    plugin = ["docker", "compose"]
    if not compose and not succeeds(*plugin, "version"):
        raise NoEngineError("there is no docker compose")
    return Engine(_builder(), [compose] if compose else plugin)


def _builder() -> str:
    """A docker that builds with BuildKit: one with buildx, or one that still has it built in."""
    candidates = [shutil.which("docker"), "/usr/bin/docker"]
    for docker in filter(None, candidates):
        version = run(docker, "version", "--format", "{{.Client.Version}}")
        if int(version.split(".")[0]) < 23 or succeeds(docker, "buildx", "version"):
            return docker
    raise NoEngineError("docker can't build: its buildx plugin is missing")


def registry_answers() -> bool:
    try:
        socket.create_connection(REGISTRY, timeout=5).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Engine:
    """Docker, with the variables that compose.yaml is filled in with."""

    builder: str
    composer: list[str]
    variables: dict[str, str] = field(default_factory=dict[str, str])

    def build(self, target: str) -> None:
        base = self.variables.get("PYTHON_IMAGE")
        arguments = ["--build-arg", f"PYTHON_IMAGE={base}"] if base else []
        command = [self.builder, "build", "-q", "--target", target, "-t", IMAGES[target]]
        run(*command, *arguments, ".", env={"DOCKER_BUILDKIT": "1"}, seconds=400)

    def compose(self, *words: str, seconds: float = 240) -> str:
        images = {
            "TICKETING_IMAGE": IMAGES["app"],
            "TICKETING_TOOLS_IMAGE": IMAGES["dev"],
            "COMPOSE_PROJECT_NAME": PROJECT,
        }
        return run(*self.composer, *words, env={**images, **self.variables}, seconds=seconds)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's running containers, the oldest first."""
        labels = [f"label=com.docker.compose.project={PROJECT}"]
        labels.append(f"label=com.docker.compose.service={service}")
        filters = [word for label in labels for word in ("--filter", label)]
        return run("docker", "ps", "-q", *filters).split()[::-1]

    def inspect(self, container: str) -> dict[str, Any]:
        return json.loads(run("docker", "inspect", container))[0]

    def is_healthy(self, container: str) -> bool:
        return self.inspect(container)["State"].get("Health", {}).get("Status") == "healthy"

    def crash(self, service: str) -> str:
        """End a container's first process as a crash would; what the engine is told it obeys."""
        (container,) = self.containers(service)
        os.kill(self.inspect(container)["State"]["Pid"], signal.SIGKILL)
        return container

    def has_come_back(self, container: str) -> bool:
        found = self.inspect(container)
        return found["RestartCount"] > 0 and self.is_healthy(container)


def wait(what: str, condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for a condition. Raises CommandError when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise CommandError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)
