"""What is sent to an image is enough to run what is in it."""

import ast
from pathlib import Path

from dev.stack.settings import ROOT


def sent() -> list[Path]:
    """Every module that .dockerignore lets through."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    named = [ROOT / line.removeprefix("!") for line in lines if line.startswith("!")]
    files = [file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])]
    return [file for file in files if file.suffix == ".py"]


def imported(module: Path) -> set[str]:
    """The modules of our own that a module imports as soon as it is imported itself."""
    found: set[str] = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.split(".")[0] in ("apps", "dev", "shared", "ticketing")}


def file_of(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.exists()), None)


def test_what_an_image_imports_is_in_it():
    modules = set(sent())
    assert len(modules) > 100
    missing = {
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules
        for name in imported(module)
        if (file := file_of(name)) and file not in modules
    }
    assert not missing
