"""What would be applied to a cluster, rendered once; nothing here needs one, or an engine."""

import shutil
from typing import Any

import pytest

from dev.deploy.manifests import OVERLAYS, render

Manifest = dict[str, Any]


@pytest.fixture(scope="session", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    if not shutil.which("kubectl") and not shutil.which("kustomize"):
        # The ordinary run needs nothing but Python; `make check-deploy` insists on one of them.
        pytest.skip("neither kubectl nor kustomize is installed")
    return request.param


@pytest.fixture(scope="session")
def manifests(overlay: str) -> list[Manifest]:
    return render(overlay)
