"""Makes the keys of an installation in a cluster, each service its own Secret.

All are derived from one random root, so that a second run, also after a first one that was cut off,
makes the same ones again.
"""

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

APPS = ("auth", "tickets", "orders", "payments", "expiration", "live")
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ROOT = "installation"


def main() -> None:
    _create(ROOT, {"root": secrets.token_hex(32)})
    found = _ask("GET", f"/{ROOT}")["data"]["root"]
    for name, values in keys(base64.b64decode(found)).items():
        _create(name, values)


def keys(root: bytes) -> dict[str, dict[str, str]]:
    """The Secrets of all services."""

    def key(name: str) -> str:
        return hmac.new(root, name.encode(), hashlib.sha256).hexdigest()

    made = {app: {"secret_key": key("secret_key")} for app in APPS}
    webhooks = {"stripe_webhook_secret": key("stripe_webhook_secret")}
    made["auth"]["jwt_key"] = key("jwt_key")
    made["payments"] |= {**webhooks, "stripe_key": "sk_test_cluster"}
    return {f"{app}-keys": values for app, values in {**made, "stripe": webhooks}.items()}


def _create(name: str, values: dict[str, str]) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
    try:
        _ask("POST", "", body)
    except urllib.error.HTTPError as refused:
        if refused.code != 409:
            raise
        print(f"{name} is there already")
    else:
        print(f"{name} made")


def _ask(method: str, path: str, body: Any = None) -> Any:
    namespace = (ACCOUNT / "namespace").read_text()
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/api/v1/namespaces/{namespace}/secrets{path}",
        json.dumps(body).encode() if body else None,
        {
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
        method=method,
    )
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=trusted, timeout=10) as answer:  # noqa: S310 - the same
        return json.load(answer)


if __name__ == "__main__":
    main()
