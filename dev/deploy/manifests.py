"""Renders the overlays and validates every object against the schema of its kind, strictly."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from dev.deploy.commands import ROOT, CommandError, program, run

OVERLAYS = ("dev", "prod")
KUBERNETES = "1.32"
# Kinds that an operator brings to the cluster. Their schemas are not published as a package.
FOREIGN = {"IngressRoute", "Middleware", "ServersTransport", "Certificate"}

Manifest = dict[str, Any]


def render(overlay: str) -> list[Manifest]:
    """What `kubectl apply -k` would send. Raises CommandError."""
    folder = str(ROOT / "kustomize" / "overlays" / overlay)
    kubectl = program("kubectl")
    command = [kubectl, "kustomize"] if kubectl else [str(program("kustomize")), "build"]
    return list(yaml.safe_load_all(run(*command, folder)))


def validate(manifests: list[Manifest]) -> str:
    """Raises CommandError that names what is wrong."""
    known = [manifest for manifest in manifests if manifest["kind"] not in FOREIGN]
    validator = program("kubernetes-validate")
    if validator is None:
        raise CommandError("kubernetes-validate is not installed")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "manifests.yaml"
        file.write_text(yaml.safe_dump_all(known))
        run(validator, "--strict", "-k", KUBERNETES, str(file))
    foreign = Counter(m["kind"] for m in manifests if m["kind"] in FOREIGN)
    rest = ", ".join(f"{count} {kind}" for kind, count in sorted(foreign.items()))
    return f"{len(known)} valid for {KUBERNETES}; by rules of our own only: {rest}"
