"""Runs `ticketing` and looks at what it says: in a process of its own, or faster in this one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from ticketing.cli import main

PROGRAM = Path(sys.executable).with_name("ticketing")
SECONDS = 120.0


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def expect(self, code: int) -> "Result":
        assert self.code == code, f"exit code {self.code} instead of {code}:\n{self.out}{self.err}"
        return self


def inside(*words: str, env: Mapping[str, str]) -> Result:
    """One command in this process, which saves it its start; an exception fails the test."""
    out, err = StringIO(), StringIO()
    code: object = 0
    with (
        patch.dict(os.environ, {"COLUMNS": "120", **env}, clear=True),
        patch.object(sys, "argv", ["ticketing", *words]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    if isinstance(code, str):  # as the interpreter does at its end
        err.write(f"{code}\n")
        code = 1
    return Result(int(str(code or 0)), out.getvalue(), err.getvalue())


def ticketing(*words: str, env: Mapping[str, str]) -> Result:
    """One command with this environment alone; whatever it says, a traceback is not part of it."""
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    # A narrow terminal would break the lines of the help where a test looks for them.
    done = subprocess.run(
        [PROGRAM, *words],
        env={**base, "COLUMNS": "120", **env},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout, done.stderr)
