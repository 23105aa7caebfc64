"""A stack for tests: runs the real supervisor in a process of its own and reads its run.json."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.stack.ports import free_port
from dev.stack.settings import ROOT, VARIABLES
from dev.stack.state import Home, PartState, Run

START_SECONDS = 120.0
STOP_SECONDS = 12.0


class StackError(Exception):
    """The stack did not do what was asked in time; the text holds what it printed."""


@dataclass(frozen=True, slots=True)
class Running:
    """One part as run.json has it now."""

    name: str
    pid: int
    port: int
    url: str
    state: str
    restarts: int
    log: Path
    env: dict[str, str]


class Stack:
    """`with Stack(data=folder, env={"SEED": "0"}) as stack: ... stack.url ...`"""

    def __init__(
        self, data: Path, env: Mapping[str, str] | None = None, only: Iterable[str] = ()
    ) -> None:
        self.home = Home(data.resolve())
        self.port = free_port()
        self._env = {**(env or {}), "STACK_ONLY": ",".join(only)}
        self._process: subprocess.Popen[bytes] | None = None
        self._killed: dict[str, int] = {}
        self._printed = data.parent / f"{data.name}.out"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- the whole stack

    def start(self) -> None:
        """Start it and wait until all of it is ready; also after `close`, with the same data."""
        self.launch()
        self.wait_for("ready http://")

    def launch(self) -> None:
        """Start it and wait for nothing."""
        settings = {name for names in VARIABLES for name in names.split(", ")}
        env = {name: value for name, value in os.environ.items() if name not in settings}
        env |= {"DATA": str(self.home.path), "PORT": str(self.port), **self._env}
        with self._printed.open("wb") as output:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "dev.stack", "up"),
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_for(self, text: str, seconds: float = START_SECONDS) -> None:
        """Wait until the supervisor has printed a text; raises StackError if it ends before."""
        deadline = time.monotonic() + seconds
        while text not in self.printed:
            if self.supervisor.poll() is not None:
                raise StackError(f"ended before it said {text!r}:\n{self.printed}")
            if time.monotonic() > deadline:
                raise StackError(f"did not say {text!r} in {seconds} s:\n{self.printed}")
            time.sleep(0.05)

    def close(self) -> None:
        """Stop it cleanly; raises StackError if it takes longer than it may."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise StackError(f"did not stop in {STOP_SECONDS} s:\n{self.printed}") from None

    @property
    def supervisor(self) -> subprocess.Popen[bytes]:
        """The process of the supervisor."""
        if self._process is None:
            raise StackError("the stack was not started")
        return self._process

    @property
    def url(self) -> str:
        """The gateway."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def printed(self) -> str:
        """Everything that the supervisor has printed since its last start."""
        return self._printed.read_text() if self._printed.exists() else ""

    @property
    def run(self) -> Run:
        """What run.json says now."""
        run = self.home.run()
        if run is None:
            raise StackError("the stack was not started")
        return run

    @property
    def ports(self) -> dict[str, int]:
        """Every internal port by name, also of parts that `only` leaves out."""
        return self.run["ports"]

    # ---- one part

    @property
    def parts(self) -> dict[str, Running]:
        """Every part as it is now."""
        return {name: _running(name, part) for name, part in self.run["parts"].items()}

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a part and its children; the supervisor starts a dead part again."""
        pid = self.parts[name].pid
        if not pid:
            raise StackError(f"{name} is not running")
        self._killed[name] = pid
        os.killpg(pid, number)

    def pause(self, name: str) -> None:
        """Freeze a part: it keeps its connections and answers nothing."""
        os.killpg(self.parts[name].pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a frozen part go on."""
        os.killpg(self.parts[name].pid, signal.SIGCONT)

    def stop(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a part and hold it down until `start_part`."""
        (self.home.held / name).touch()
        self.kill(name, number)
        self._until(lambda: not self.parts[name].pid, f"{name} to end", 10.0)

    def start_part(self, name: str) -> None:
        """Let a part that `stop` ended come back, and wait for it."""
        (self.home.held / name).unlink()
        self.wait_ready(name)

    def restart(self, name: str) -> None:
        """End a part cleanly and wait until it is ready again."""
        pid = self.parts[name].pid
        self._killed[name] = pid
        os.kill(pid, signal.SIGTERM)
        self.wait_ready(name)

    def wait_ready(self, name: str, seconds: float = 60.0) -> None:
        """Wait until a part is ready; after `kill`, until its next life is."""
        old = self._killed.get(name, 0)

        def back() -> bool:
            part = self.parts[name]
            return part.state == "ready" and part.pid not in (0, old) and not self.health(name)

        self._until(back, f"{name} to be ready", seconds)

    def health(self, name: str) -> str:
        """Ask a part itself; an empty text means healthy, another one says why not."""
        from dev.stack.status import health  # Only tests need it, not the supervisor.

        return health(self.run["parts"][name]["check"])

    def _until(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise StackError(f"waited {seconds} s for {what}:\n{self.printed}")
            time.sleep(0.05)


def _running(name: str, part: PartState) -> Running:
    return Running(
        name=name,
        pid=part["pid"],
        port=part["port"],
        url=part["url"],
        state=part["state"],
        restarts=part["restarts"],
        log=Path(part["log"]),
        env=part["env"],
    )
