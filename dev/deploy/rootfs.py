"""Collects the root file system of the image: `python3 rootfs.py ROOTFS VENV`, inside the build.

It copies the interpreter, the virtual environment and the shared libraries that both load. A slim
base image with the same content would be twice as large, most of it never used.
"""

import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from fnmatch import fnmatch
from pathlib import Path

# Parts of the standard library for developers, and what only installs or tests.
STANDARD = (
    *("site-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests"),
    *("tkinter", "turtledemo", "turtle.py", "distutils", "config-*", "_test*", "_tkinter*"),
    *("curses", "_curses*", "readline*", "pydoc.py", "dbm", "_dbm*", "_gdbm*"),
    *("audioop*", "ossaudiodev*", "nis.*", "xxlimited*", "_xxtestfuzz*"),
)
# The types of Stripe's requests are half of its package. Those of what payments uses are kept.
TYPES = "stripe/params"
KEPT_TYPES = ("__init__.py", "_payment_intent*.py", "_refund*.py")
# What the services import. A module that is missing here is compiled at each start instead.
IMPORTED = (
    *("argon2", "cryptography.hazmat.primitives.asymmetric.ed25519", "flask", "limits"),
    *("flask_login", "granian.cli", "granian.server", "granian.wsgi", "htmx_flask", "huey"),
    *("huey.consumer", "itsdangerous", "jinja2_fragments.flask", "jwt", "nats.js"),
    *("prometheus_client", "pydantic_settings", "pymongo", "redis", "spectree", "structlog"),
    *("stripe._payment_intent_service", "stripe._refund_service", "stripe._webhook"),
    *("http.server", "multiprocessing.connection", "sqlite3", "wsgiref.simple_server"),
    *("fpdf", "pyotp", "segno", "smtplib", "starlette.applications", "stripe._payment_intent"),
    "uvloop",
)
# Compiled doubles of modules that are there in Python too, and half of that package; a page of PDF
# needs none of them.
OPTIONAL = "fontTools"
# What compiled modules were made from, and what only type checkers read.
SOURCES = ("*.c", "*.h", "*.pxd", "*.pyi", "*.pyx")
LIST = """import sys, {}
files = {{getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}}
print(*sorted(file for file in files if file.endswith(".py")))"""
FILES = ("/etc/os-release", "/etc/ssl/certs/ca-certificates.crt", "/etc/nsswitch.conf")
USER = 10001


def main() -> None:
    root, venv = Path(sys.argv[1]), Path(sys.argv[2])
    _copy_python(root)
    _copy_packages(root, venv)
    libraries = _libraries(root)
    for library in libraries:
        _copy(library, root)
    for name in FILES:
        if Path(name).exists():
            _copy(Path(name), root)
    _write_accounts(root)
    _write_packages(root, libraries)
    _compile(root, venv)
    _write_loader_cache(root, libraries)


def _copy_python(root: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = Path(sys.base_prefix)
    _copy(prefix / "bin" / version, root)
    for name in ("python3", "python"):
        (root / str(prefix / "bin")[1:] / name).symlink_to(version)
    ignored = shutil.ignore_patterns(*STANDARD, "__pycache__", "*.a")
    place = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(place, root / str(place)[1:], ignore=ignored, symlinks=True)


def _copy_packages(root: Path, venv: Path) -> None:
    target = root / str(venv)[1:]
    shutil.copytree(venv, target, ignore=_unused, symlinks=True)


def _unused(folder: str, names: list[str]) -> set[str]:
    if folder.endswith(TYPES):
        return {name for name in names if not any(fnmatch(name, kept) for kept in KEPT_TYPES)}
    if OPTIONAL in Path(folder).parts:
        compiled = {name for name in names if name.endswith(".so") or name == "__pycache__"}
        return compiled | _sources(names)
    return {"__pycache__", "RECORD"} & set(names) | _sources(names)


def _sources(names: list[str]) -> set[str]:
    return {name for name in names if any(fnmatch(name, source) for source in SOURCES)}


def _libraries(root: Path) -> list[Path]:
    """Everything that the dynamic loader needs for what is there already."""
    binaries = [*root.glob("usr/local/bin/python3.*"), *root.rglob("*.so"), *root.rglob("*.so.*")]
    found: set[str] = set()
    for binary in binaries:
        needed = _run("ldd", str(binary))
        found |= set(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", needed, re.MULTILINE))
    # What a wheel brings along itself is in its place already.
    return sorted(Path(name) for name in found if not Path(name).is_relative_to(root))


def _copy(file: Path, root: Path) -> None:
    target = root / str(file)[1:]
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(file, target)


def _write_accounts(root: Path) -> None:
    (root / "etc/passwd").write_text(
        f"root:x:0:0:root:/:/nonexistent\napp:x:{USER}:{USER}:app:/tmp:/nonexistent\n"
    )
    (root / "etc/group").write_text(f"root:x:0:\napp:x:{USER}:\n")
    (root / "tmp").mkdir(mode=0o1777)
    (root / "tmp").chmod(0o1777)


def _write_packages(root: Path, libraries: list[Path]) -> None:
    """Say which Debian packages the libraries are of, where security scanners look for it."""
    if not shutil.which("dpkg-query"):
        return
    folder = root / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    for library in libraries:
        pattern = f"*{library.resolve().name}"
        for line in _run("dpkg-query", "--search", pattern).splitlines():
            package = line.partition(": ")[0]
            status = _run("dpkg-query", "--status", package)
            (folder / package.partition(":")[0]).write_text(status)


def _compile(root: Path, venv: Path) -> None:
    """Compile what the processes import, as nothing can be written where they run.

    Hashes instead of times in the compiled files make two builds of the same lock file alike.
    """
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    listing = LIST.format(", ".join(IMPORTED))
    for name in _run(str(venv / "bin/python3"), "-Wignore", "-c", listing).split():
        py_compile.compile(str(root / name[1:]), dfile=name, doraise=True, invalidation_mode=mode)


def _write_loader_cache(root: Path, libraries: list[Path]) -> None:
    folders = sorted({str(library.parent) for library in libraries})
    (root / "etc/ld.so.conf").write_text("\n".join(folders) + "\n")
    _run("ldconfig", "-r", str(root))


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
