"""What a stack keeps in its data folder: the lock, its keys and `run.json`."""

import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from typing import NotRequired, TypedDict, cast

_KEYS = ("JWT_KEY", "SECRET_KEY", "STRIPE_WEBHOOK_SECRET")


class CheckState(TypedDict):
    """How to ask a part for its health."""

    kind: str
    port: int
    path: str


class PartState(TypedDict):
    """One part in run.json; pid is 0 while it is not running."""

    pid: int
    started: float
    state: str
    restarts: int
    port: int
    url: str
    log: str
    check: CheckState
    env: dict[str, str]


class Run(TypedDict):
    """run.json: what runs now, or ran last."""

    phase: str
    url: str
    pid: int
    started: float
    guard: int
    ports: dict[str, int]
    parts: dict[str, PartState]
    error: NotRequired[str]


class StateError(Exception):
    """The data folder can't be used; the text says what to do."""


class AlreadyRunningError(StateError):
    """Another stack holds this data folder."""


class Home:
    """The data folder of one stack."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.seeded = path / "seeded"
        self.held = path / "held"
        self._lock = -1

    def prepare(self) -> None:
        """Make the folder and take it for this process; raises AlreadyRunningError."""
        try:
            for folder in (self.logs, self.held):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"DATA={self.path} can't be used: {error.strerror}") from error
        self._take_lock()
        for name in self.held.iterdir():
            name.unlink()

    def _take_lock(self, patience: float = 10.0) -> None:
        """After a kill the guard keeps the lock while it ends what is left: that is waited for."""
        deadline = time.monotonic() + patience
        while not self.try_lock():
            run = self.run()
            if time.monotonic() > deadline or (run and is_alive(run["pid"], run["started"])):
                where = f" at {run['url']} (pid {run['pid']})" if run else ""
                raise AlreadyRunningError(
                    f"a stack is running already on {self.path}{where}: stop it with `make stop`,"
                    " or choose another folder and port: make up DATA=... PORT=..."
                )
            time.sleep(0.1)

    def try_lock(self) -> bool:
        """Take the lock if it is free; it lives as long as this process and its guard."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        return True

    def unlock(self) -> None:
        """Give the folder free."""
        os.close(self._lock)

    def is_running(self) -> bool:
        """Whether a supervisor lives on this folder."""
        if not (self.path / "lock").exists() or self.try_lock():
            if self._lock >= 0:
                self.unlock()
            return False
        run = self.run()
        return run is not None and is_alive(run["pid"], run["started"])

    def run(self) -> Run | None:
        """What run.json says; None without one."""
        path = self.path / "run.json"
        if not path.exists():
            return None
        found = _read_object(path)
        if found is None or not found.keys() >= Run.__required_keys__:
            raise StateError(f"{path} is damaged: remove it and start again")
        return cast(Run, cast(object, found))

    def write_run(self, run: Run) -> None:
        """Replace run.json in one step; it holds keys, so only the owner may read it."""
        _write_private(self.path / "run.json", json.dumps(run, indent=1))

    def secrets(self) -> dict[str, str]:
        """The keys of this installation, made up at its first start."""
        path = self.path / "secrets.json"
        if not path.exists():
            made = {name: secrets.token_hex(32) for name in _KEYS}
            _write_private(path, json.dumps(made))
        found = _read_object(path)
        if found is None or not found.keys() >= set(_KEYS):
            raise StateError(
                f"{path} is damaged: restore it from a backup, or begin anew with"
                f" `rm -r {self.path}` (which loses all data)"
            )
        return {name: str(found[name]) for name in _KEYS}


def _read_object(path: Path) -> dict[str, object] | None:
    """The JSON object in a file; None if there is anything else in it."""
    try:
        found: object = json.loads(path.read_text())
    except ValueError:
        return None
    return cast(dict[str, object], found) if isinstance(found, dict) else None


def _write_private(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    draft.replace(path)


def is_alive(pid: int, started: float) -> bool:
    """Whether the process of that time still runs; another one may have got its number."""
    import psutil  # Only some commands need it, and it would stay in the supervisor's memory.

    try:
        process = psutil.Process(pid)
        # The clock and the system's own reckoning differ by a little, and by a slow start.
        same = abs(process.create_time() - started) < 10
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
