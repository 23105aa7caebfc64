"""Ways to look at rendered manifests."""

from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]

SERVING = ("Deployment", "StatefulSet")


def name(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def of(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def template(manifest: Manifest) -> Manifest | None:
    """The pods that an object makes."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec.get("template") if manifest["kind"] in (*SERVING, "Job", "CronJob") else None


def pods(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Every object that makes pods, with the pod."""
    for manifest in manifests:
        pod = template(manifest)
        if pod is not None:
            yield manifest, pod


def containers(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Every container, with what it is called and its pod."""
    for manifest, pod in pods(manifests):
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            yield f"{name(manifest)}/{container['name']}", pod["spec"], container


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector means a pod with these labels."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def data(manifests: list[Manifest], config_map: str) -> dict[str, str]:
    (found,) = [m for m in of(manifests, "ConfigMap") if m["metadata"]["name"] == config_map]
    return found["data"]
