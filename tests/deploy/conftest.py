"""What would be applied to a cluster, and the keys of compose; nothing here needs an engine."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.deploy import prepare
from dev.deploy.manifests import OVERLAYS, render
from dev.stack.parts import APPS

Manifest = dict[str, Any]
Keys = dict[str, dict[str, str]]


@pytest.fixture(scope="session", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    require_kustomize()
    return request.param


@pytest.fixture(scope="session")
def manifests(overlay: str) -> list[Manifest]:
    return render(overlay)


@pytest.fixture(scope="session")
def overlays() -> dict[str, list[Manifest]]:
    require_kustomize()
    return {overlay: render(overlay) for overlay in OVERLAYS}


def require_kustomize() -> None:
    if not shutil.which("kubectl") and not shutil.which("kustomize"):
        # The ordinary run needs nothing but Python; `make check-deploy` insists on one of them.
        pytest.skip("neither kubectl nor kustomize is installed")


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Keys]:
    """Starts compose's first container, as often as wanted, and returns the keys that it made."""
    for app in (*APPS, "stripe"):
        (tmp_path / app).mkdir()
    monkeypatch.setattr(prepare, "KEYS", tmp_path)
    monkeypatch.setattr(prepare, "OWNERS", {})
    monkeypatch.setattr("os.chown", lambda *_: None)
    monkeypatch.setenv("SMTP_URL", "")
    for name in ("KEY", "WEBHOOK_SECRET", "PUBLISHABLE_KEY", "API_BASE"):
        monkeypatch.setenv(f"STRIPE_{name}", "")

    def prepare_and_read() -> Keys:
        prepare.main()
        return {
            app: {file.name: file.read_text() for file in (tmp_path / app).iterdir()}
            for app in (*APPS, "stripe")
        }

    return prepare_and_read


@pytest.fixture
def keys(prepared: Callable[[], Keys]) -> Keys:
    return prepared()
