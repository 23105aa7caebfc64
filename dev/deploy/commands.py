"""Running other programs: what they print is shown only when they fail."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class CommandError(Exception):
    """A program failed; the text holds the command and the end of what it printed."""


def run(*command: str, env: Mapping[str, str] | None = None, seconds: float = 300) -> str:
    """Run to the end and return what was printed. Raises CommandError."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)}\nnot done in {seconds:.0f} s") from error
    if done.returncode:
        raise CommandError(f"{' '.join(command)}\n{done.stdout[-4000:]}")
    return done.stdout


def succeeds(*command: str) -> bool:
    """Whether a program runs at all and ends well."""
    try:
        run(*command, seconds=30)
    except (CommandError, OSError):
        return False
    return True


def program(name: str) -> str | None:
    """A program from the environment of this interpreter, or from the PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)
