"""Where each setting comes from, read from what starts the services in each environment."""

import re
from importlib import import_module
from typing import Any

import yaml
from pydantic_core import PydanticUndefined

from dev.deploy import clusterkeys
from dev.deploy.commands import ROOT
from dev.stack.parts import APPS, Plan, build, port_names
from dev.stack.settings import VARIABLES, read
from shared.config import Settings
from tests.deploy.objects import Manifest, data, of

CLASSES: dict[str, type[Settings]] = {
    app: import_module(f"apps.{app}.config").Settings for app in APPS
}
ALL = {field.upper() for settings in CLASSES.values() for field in settings.model_fields}
MADE = ("JWT_KEY", "SECRET_KEY", "STRIPE_WEBHOOK_SECRET")


def services(name: str) -> str:
    """Which services have a setting, as the table says it."""
    having = [app for app in APPS if name.lower() in CLASSES[app].model_fields]
    return "all" if having == list(APPS) else ", ".join(having)


def default(name: str) -> str:
    fields = (CLASSES[app].model_fields.get(name.lower()) for app in APPS)
    value: Any = next(field for field in fields if field is not None).default
    if value is PydanticUndefined:
        return "required"
    return str(int(value) if isinstance(value, bool) else value) or "empty"


def embedded(name: str) -> str:
    options = {word for names in VARIABLES for word in names.split(", ")}
    told = {name for part in plan() if "ticketing" in part.command for name in part.env}
    # PORT means the gateway's there; the services' own ports are chosen.
    if name in options and name != "PORT":
        return "`make up`"
    if name in MADE:
        return "made"
    return "chosen" if name in told else "default"


def plan() -> list[Any]:
    ports = {name: 20000 + number for number, name in enumerate(port_names())}
    return build(Plan(read({"DATA": "/nowhere"}), ports, dict.fromkeys(MADE, "made up")))


def compose(name: str, files: set[str]) -> str:
    """`files` are the names of those that the container `prepare` writes."""
    parts = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    told: dict[str, str] = dict(parts["prepare"]["environment"])
    for service in parts.values():
        if service["image"].startswith("${TICKETING_IMAGE"):
            told |= service["environment"]
    if told.get(name, "").startswith(f"${{{name}:-"):
        return "variable"
    if name.lower() in files:
        return "file"
    return "fixed" if name in told and name not in image() else in_image(name)


def image() -> set[str]:
    text = (ROOT / "Dockerfile").read_text()
    block = re.findall(r"^FROM scratch AS app\n(.*?)^USER", text, re.MULTILINE | re.DOTALL)[0]
    return set(re.findall(r"\b([A-Z_]+)=", block)) & ALL


def in_image(name: str) -> str:
    return "image" if name in image() else "default"


def kustomize(name: str, overlays: dict[str, list[Manifest]]) -> str:
    found = {overlay: overlay_place(name, overlay, overlays[overlay]) for overlay in overlays}
    if len(set(found.values())) == 1:
        return found["dev"]
    return "; ".join(f"{overlay}: {place}" for overlay, place in found.items())


def overlay_place(name: str, overlay: str, manifests: list[Manifest]) -> str:
    if any(name in map_ for map_ in told_by_maps(manifests)):
        return "ConfigMap"
    secret = {key for app in CLASSES for key in secrets(overlay, app)}
    return "Secret" if name.lower() in secret else in_image(name)


def told_by_maps(manifests: list[Manifest]) -> list[dict[str, str]]:
    """What the ConfigMaps tell each process of ours."""
    found: list[dict[str, str]] = []
    for deployment in of(manifests, "Deployment"):
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        if container["image"].startswith("ticketing:"):
            maps = [source["configMapRef"]["name"] for source in container["envFrom"]]
            found += [data(manifests, name) for name in maps]
    return found


def secrets(overlay: str, app: str) -> dict[str, str]:
    """The files of a service's Secret: made in the cluster, or as docs/deployment.md asks for."""
    made = clusterkeys.keys(b"root")[f"{app}-keys"]
    if overlay == "prod":
        asked = (ROOT / "docs" / "deployment.md").read_text()
        names = re.findall(rf"^secret {app}-keys ((?:.+\\\n)*.+)$", asked, re.MULTILINE)
        asked_for = re.findall(r"([a-z_]+)=", names[0])
        made = {name: "smtps://mail" if name == "smtp_url" else "x" * 64 for name in asked_for}
    return made
