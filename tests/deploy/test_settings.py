"""Settings: what the classes know, what is documented, and what each way of running gives."""

import re
from pathlib import Path

import pytest

from dev.deploy.commands import ROOT
from shared import config
from tests.deploy import places
from tests.deploy.objects import Manifest, data, of

TABLE = "## Settings of the services"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in places.ALL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))


def table() -> dict[str, list[str]]:
    """The rows of the documentation's table by setting: services, meaning, default, and places."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = text.partition(TABLE)[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    assert len({row[0] for row in cells}) == len(cells)
    return {row[0].strip(" `"): row[1:] for row in cells}


def test_every_setting_is_documented_and_nothing_else_is():
    assert table().keys() == places.ALL


def test_the_table_says_whose_a_setting_is_and_what_it_is_unless_it_is_set():
    for name, (services, meaning, default, *where) in table().items():
        assert meaning, name
        assert meaning not in where, f"{name}: a place stands where its meaning belongs"
        assert (name, services, default) == (name, places.services(name), places.default(name))


def test_the_table_says_where_each_environment_has_a_setting_from(
    keys: dict[str, dict[str, str]], overlays: dict[str, list[Manifest]]
):
    files = {name for app in places.CLASSES for name in keys[app]}
    for name, row in table().items():
        embedded, compose = places.embedded(name), places.compose(name, files)
        found = [embedded, compose, places.kustomize(name, overlays)]
        assert (name, row[3:]) == (name, found)


def test_every_setting_is_in_the_example_and_nothing_else_is():
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)) == places.ALL


def test_a_secret_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    give(monkeypatch, {**REQUIRED, "MONGO_URI": "mongodb://db", "REDIS_URL": "redis://redis"})
    (tmp_path / "jwt_key").write_text("k" * 40 + "\n")
    assert config.load(places.CLASSES["auth"]).model_dump()["jwt_key"] == "k" * 40


def test_the_environment_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    give(monkeypatch, {**REQUIRED, "MONGO_URI": "mongodb://db"})
    (tmp_path / "mongo_uri").write_text("mongodb://other")
    assert config.load(places.CLASSES["orders"]).model_dump()["mongo_uri"] == "mongodb://db"


def test_a_wrong_setting_from_a_file_is_named_and_its_value_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    good = {**REQUIRED, "MONGO_URI": "mongodb://db", "REDIS_URL": "redis://redis"}
    give(monkeypatch, {**good, "JWT_KEY": "k" * 40})
    (tmp_path / "threads").write_text("plenty-of-them")
    (tmp_path / "secret_key").write_text("too-short")
    monkeypatch.delenv("SECRET_KEY")
    with pytest.raises(SystemExit):
        config.load(places.CLASSES["auth"])
    printed = capsys.readouterr().err
    lines = {line.partition(": ")[0] for line in printed.splitlines()}
    assert lines == {"setting THREADS", "setting SECRET_KEY"}
    assert "at least 16" in printed
    assert "too-short" not in printed
    assert "plenty-of-them" not in printed


def test_a_folder_that_is_not_there_is_no_trouble(monkeypatch: pytest.MonkeyPatch):
    give(monkeypatch, {**REQUIRED, "SECRETS_DIR": "/nowhere", "REDIS_URL": "redis://redis"})
    assert config.load(places.CLASSES["expiration"])


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
        assert given.keys() <= places.ALL, deployment["metadata"]["name"]
        with monkeypatch.context() as patch:
            give(patch, given)
            for name, value in places.secrets(overlay, app).items():
                (tmp_path / name).write_text(value)
            settings = config.load(places.CLASSES[app])
            assert not settings.embedded
            for file in tmp_path.iterdir():
                file.unlink()


def give(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


REQUIRED = {
    "NATS_URL": "nats://nats",
    "SECRET_KEY": "x" * 32,
    "AUTH_URL": "http://auth",
    "PUBLIC_URL": "http://localhost",
}
