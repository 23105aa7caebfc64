"""One part as a process: started, watched until it is ready, started again when it dies."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dev.stack.guard import Guard, send
from dev.stack.parts import Part, inherited
from dev.stack.probes import probe
from dev.stack.settings import ROOT

READY_SECONDS = 60.0
FIRST_DELAY, LONGEST_DELAY, STEADY_SECONDS = 0.5, 15.0, 60.0
ATTEMPTS = 5
LOG_BYTES = 10_000_000

Tell = Callable[["Process", str], None]


class StartError(Exception):
    """A part did not come up."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(f"{name} {reason}")
        self.log = log


class Process:
    """Keeps one part alive from `run` until `stop`."""

    def __init__(self, part: Part, logs: Path, held: Path, guard: Guard, tell: Tell) -> None:
        self.part = part
        self.log = logs / f"{part.name}.log"
        self.state = "waiting"
        self.pid = 0
        self.started = 0.0
        self.restarts = 0
        self.first_ready: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._held = held / part.name
        self._guard = guard
        self._tell = tell
        self._stopping = asyncio.Event()
        self._begun = time.monotonic()

    async def run(self) -> None:
        """Start the part, and again whenever it dies, with a growing delay."""
        self._begun = time.monotonic()
        rotate(self.log)
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            ending = await self._live()
            if self._stopping.is_set():
                self._change("stopped")
                return
            self.restarts += 1
            if time.time() - self.started > STEADY_SECONDS:
                delay = FIRST_DELAY
            if self._gave_up(ending):
                return
            self._change("dead", f"{ending}, starts again in {delay:g} s")
            await self._pause(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _live(self) -> str:
        """One life of the process; says how it ended."""
        try:
            child = await self._spawn()
        except OSError as error:
            self.started = time.time()
            return f"could not be started ({error})"
        self.pid, self.started = child.pid, time.time()
        self._guard.watch(self.pid)
        self._change("starting")
        if self._stopping.is_set():
            self.ask_to_stop()
        watcher = asyncio.create_task(self._watch_for_ready())
        code = await child.wait()
        watcher.cancel()
        await self._end_group()
        return _ending(code)

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._write_files()
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.part.command,
                env={**inherited(), **self.part.env},
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _write_files(self) -> None:
        if self.part.folder is not None:
            self.part.folder.mkdir(parents=True, exist_ok=True)
        for path, text in self.part.files.items():
            path.write_text(text)

    async def _watch_for_ready(self) -> None:
        """Ask until the part is ready; a part that was ready once may take its time."""
        while reason := await probe(self.part.check):
            waited = time.monotonic() - self._begun
            if waited > READY_SECONDS and not self.first_ready.done():
                self._fail(f"is not ready after {READY_SECONDS:.0f} s: {reason}")
            await asyncio.sleep(0.1)
        again = self.first_ready.done()
        self._change("ready", "is ready again" if again else "")
        if not again:
            self.first_ready.set_result(time.monotonic() - self._begun)

    def _gave_up(self, ending: str) -> bool:
        """At the first start a part that keeps dying has a fault that no repeat heals."""
        if self.first_ready.done() or self.restarts < ATTEMPTS:
            return False
        self._fail(f"{ending} {ATTEMPTS} times in a row")
        return True

    def _fail(self, reason: str) -> None:
        self._change("failed")
        self.first_ready.set_exception(StartError(self.part.name, reason, self.log))

    async def _pause(self, seconds: float) -> None:
        """Wait before the next life, and as long as a test holds the part down."""
        await self._wait_for_stop(seconds)
        while self._held.exists() and not self._stopping.is_set():
            await self._wait_for_stop(0.1)

    async def _wait_for_stop(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _end_group(self) -> None:
        """Children of a dead part would keep its port and serve on with nobody watching."""
        deadline = time.monotonic() + 1.0
        while send(self.pid, signal.SIGKILL) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self._guard.forget(self.pid)
        self.pid = 0

    def ask_to_stop(self) -> None:
        """Let the part end by itself."""
        self._stopping.set()
        if self.pid:
            with suppress(ProcessLookupError):  # It ended by itself a moment ago.
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the part and its children at once."""
        self._stopping.set()
        if self.pid:
            send(self.pid, signal.SIGKILL)

    def _change(self, state: str, news: str = "") -> None:
        self.state = state
        self._tell(self, news)


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def rotate(log: Path) -> None:
    """Begin a new log and keep the last one."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def bound(log: Path) -> None:
    """Empty a log that has grown too long, in place: the part keeps writing to it."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
