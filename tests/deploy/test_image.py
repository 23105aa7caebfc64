"""The image: what its build leaves out is really unused, and its health check tells the truth."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from fnmatch import fnmatch

import pytest

from dev.deploy import rootfs
from dev.deploy.commands import ROOT

# Every module of the product, also those that are imported when somebody asks for a file.
LOADED = """
import importlib, pkgutil, sys
for package in ("apps", "shared", "ticketing"):
    for found in pkgutil.walk_packages([package], f"{package}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    command = [sys.executable, "-Wignore", "-c", LOADED]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_the_types_that_payments_names_are_kept(loaded: list[str]):
    prefix = "stripe.params."
    names = [f"{m.removeprefix(prefix)}.py" for m in loaded if m.startswith(prefix)]
    assert names
    for name in names:
        assert any(fnmatch(name, kept) for kept in rootfs.KEPT_TYPES), name


def test_what_the_image_leaves_out_is_not_imported(loaded: list[str]):
    own = {module for module in loaded if module in sys.stdlib_module_names}
    for pattern in rootfs.STANDARD:
        assert not [module for module in own if fnmatch(module, pattern.removesuffix(".py"))]


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": "here"}'
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are silent."""


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def check(port: int, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-S", str(ROOT / "dev/deploy/healthcheck.py"), *words]
    environment = {"OPS_PORT": str(port)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_health_check_asks_the_process(port: int):
    assert check(port).returncode == 0
    refused = check(port, "/readyz")
    assert refused.returncode == 1
    assert "here" in refused.stdout


def test_the_health_check_fails_where_nothing_listens():
    found = check(1)
    assert found.returncode == 1
    assert "port 1" in found.stdout
