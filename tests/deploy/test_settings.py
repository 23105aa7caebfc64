"""Settings: what the classes know, what is documented, and what each way of running gives."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from dev.deploy import clusterkeys
from dev.deploy.commands import ROOT
from dev.stack.parts import APPS
from shared import config
from shared.config import Settings
from tests.deploy.objects import Manifest, data, of

CLASSES: dict[str, type[Settings]] = {
    app: import_module(f"apps.{app}.config").Settings for app in APPS
}
ALL = {field.upper() for settings in CLASSES.values() for field in settings.model_fields}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ALL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))


def test_every_setting_is_documented_and_nothing_else_is():
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = text.partition("## Settings of the services")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)} == ALL


def test_every_setting_is_in_the_example_and_nothing_else_is():
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)) == ALL


def test_a_secret_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    give(monkeypatch, {**REQUIRED, "MONGO_URI": "mongodb://db", "REDIS_URL": "redis://redis"})
    (tmp_path / "jwt_key").write_text("k" * 40 + "\n")
    assert config.load(CLASSES["auth"]).model_dump()["jwt_key"] == "k" * 40


def test_the_environment_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    give(monkeypatch, {**REQUIRED, "MONGO_URI": "mongodb://db"})
    (tmp_path / "mongo_uri").write_text("mongodb://other")
    assert config.load(CLASSES["orders"]).model_dump()["mongo_uri"] == "mongodb://db"


def test_a_folder_that_is_not_there_is_no_trouble(monkeypatch: pytest.MonkeyPatch):
    give(monkeypatch, {**REQUIRED, "SECRETS_DIR": "/nowhere", "REDIS_URL": "redis://redis"})
    assert config.load(CLASSES["expiration"])


def test_every_deployment_is_told_all_it_needs(
    overlay: str,
    manifests: list[Manifest],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    for deployment in of(manifests, "Deployment"):
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        if not container["image"].startswith("ticketing:"):
            continue
        app = deployment["metadata"]["name"].partition("-")[0]
        given: dict[str, str] = {}
        for source in container["envFrom"]:
            given |= data(manifests, source["configMapRef"]["name"])
        assert given.keys() <= ALL, deployment["metadata"]["name"]
        with monkeypatch.context() as patch:
            give(patch, given)
            for name, value in secrets(overlay, app).items():
                (tmp_path / name).write_text(value)
            settings = config.load(CLASSES[app])
            assert not settings.embedded
            for file in tmp_path.iterdir():
                file.unlink()


def secrets(overlay: str, app: str) -> dict[str, str]:
    """The files of a service's Secret: made in the cluster, or as docs/deployment.md asks for."""
    made = clusterkeys.keys(b"root")[f"{app}-keys"]
    if overlay == "prod":
        asked = (ROOT / "docs" / "deployment.md").read_text()
        names = re.findall(rf"^secret {app}-keys ((?:.+\\\n)*.+)$", asked, re.MULTILINE)
        made = dict.fromkeys(re.findall(r"([a-z_]+)=", names[0]), "x" * 64)
    return made


def give(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


REQUIRED = {
    "NATS_URL": "nats://nats",
    "SECRET_KEY": "x" * 32,
    "AUTH_URL": "http://auth",
    "PUBLIC_URL": "http://localhost",
}
