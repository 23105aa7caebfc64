"""Everything about the deployment that can be judged without running it."""

from collections.abc import Callable
from pathlib import Path

from dev.deploy.commands import ROOT, CommandError, program, run
from dev.deploy.manifests import OVERLAYS, render, validate

Check = tuple[str, Callable[[], str]]


class MissingError(Exception):
    """A program is not there, so that something can't be checked; the text says what."""


def checks() -> list[Check]:
    return [
        ("Dockerfile (hadolint)", lambda: _tool("hadolint", "Dockerfile")),
        ("scripts (shellcheck)", _scripts),
        ("compose files (schema)", lambda: _schema("vendor.compose-spec", _compose_files())),
        ("compose.yaml (with and without a real Stripe)", _profiles),
        ("workflows (schema)", lambda: _schema("vendor.github-workflows", _workflows())),
        ("workflows (zizmor)", lambda: _tool("zizmor", "--offline", "--quiet", ".github")),
        *((f"manifests of {overlay}", lambda overlay=overlay: _overlay(overlay))
          for overlay in OVERLAYS),
    ]  # fmt: skip


def _tool(name: str, *words: str) -> str:
    found = program(name)
    if found is None:
        raise MissingError(f"{name} is not installed")
    run(found, *words)
    return "nothing found"


def _scripts() -> str:
    scripts = [str(path) for path in [Path(".ci/run"), *Path(ROOT).rglob("*.sh")] if _own(path)]
    _tool("shellcheck", *scripts)
    return f"{len(scripts)} of them, nothing found"


def _own(path: Path) -> bool:
    return ".venv" not in path.parts and ".data" not in path.parts


def _compose_files() -> list[str]:
    return ["compose.yaml", *sorted(str(path) for path in Path(ROOT).glob("compose/*.yaml"))]


def _profiles() -> str:
    """The development Stripe starts by itself, and not beside a real one."""
    composer = program("docker-compose")
    command = [composer] if composer else ["docker", "compose"]
    for key, expected in (("", True), ("sk_test_mine", False)):
        settings = {"STRIPE_KEY": key, "COMPOSE_PROFILES": ""}
        started = run(*command, "config", "--services", env=settings).split()
        if ("stripe" in started) is not expected:
            raise CommandError(f"STRIPE_KEY={key}: would start {', '.join(sorted(started))}")
    return "as it should be"


def _workflows() -> list[str]:
    return sorted(str(path) for path in Path(ROOT).glob(".github/workflows/*.yaml"))


def _schema(name: str, files: list[str]) -> str:
    _tool("check-jsonschema", "--builtin-schema", name, *files)
    return f"{len(files)} valid"


def _overlay(name: str) -> str:
    if program("kubectl") is None and program("kustomize") is None:
        raise MissingError("neither kubectl nor kustomize is installed")
    return validate(render(name))


def verdict(check: Callable[[], str]) -> tuple[str, str]:
    """What became of a check: `ok`, `failed` or `not checked`, and more words about it."""
    try:
        return "ok", check()
    except MissingError as error:
        return "not checked", str(error)
    except CommandError as error:
        return "failed", str(error)
