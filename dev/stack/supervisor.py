"""Starts the parts in order, keeps them alive, and stops them in the opposite order."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterable

from dev.stack.guard import Guard, send
from dev.stack.parts import Part, Plan, Tier, build, inherited
from dev.stack.process import Process, StartError, bound
from dev.stack.report import Report
from dev.stack.settings import ROOT, Settings
from dev.stack.state import Home, PartState, Run

STOP_SECONDS = 9.5
# What each tier keeps for itself when those before it are slow. The embedded database needs
# two seconds even when it is idle; the others end at once when nothing is wrong.
RESERVE_SECONDS = {
    Tier.GATEWAY: 2.5,
    Tier.WEB: 1.0,
    Tier.WORKER: 1.0,
    Tier.STRIPE: 0.5,
    Tier.BROKER: 0.5,
    Tier.DATABASE: 3.0,
}
LOG_CHECK_SECONDS = 10.0
SEED_SECONDS = 60.0


class Supervisor:
    """One running stack."""

    def __init__(self, settings: Settings, home: Home, plan: Plan, report: Report) -> None:
        self._settings = settings
        self._home = home
        self._plan = plan
        self._report = report
        self._parts = build(plan)
        self._guard = Guard()
        self._phase = "starting"
        self._started = time.time()
        self._processes: list[Process] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._asked = asyncio.Event()

    async def run(self) -> int:
        """Run until a signal; returns the exit code."""
        self._listen_for_signals()
        self._processes = [self._process(part) for part in self._parts]
        self._write()
        keeper = asyncio.create_task(self._bound_logs())
        start = asyncio.create_task(self._start())
        stop = asyncio.create_task(self._asked.wait())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        failure = start.exception() if start.done() else None
        if start.done() and failure is None:
            await stop
        for task in (start, stop, keeper):
            task.cancel()
        if failure is not None and not isinstance(failure, StartError):
            raise failure
        if failure is not None:
            self._report.failed(failure, self._home.path)
        await self._shut_down()
        failed = failure is not None or any(task.exception() for task in self._tasks)
        self._set_phase("failed" if failed else "stopped")
        return int(failed)

    def _process(self, part: Part) -> Process:
        return Process(part, self._home.logs, self._home.held, self._guard, self._tell)

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        """The first signal asks for a clean stop, the second one hastens it."""
        if self._asked.is_set():
            self._report.say("ending everything at once")
            for process in self._processes:
                process.kill()
        self._asked.set()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """A part that nobody watches any more is worse than a clean stop of everything."""
        if error := task.exception():
            self._report.warn(f"{task.get_name()} can't be watched any more: {error!r}")
            self._asked.set()

    async def _start(self) -> None:
        await self._bring_up(p for p in self._processes if not p.part.is_app)
        await self._bring_up(p for p in self._processes if p.part.is_app)
        if self._settings.seed and not self._settings.only and not self._home.seeded.exists():
            await self._seed()
        self._set_phase("ready")
        self._report.ready(self._settings, self._parts, self._home)

    async def _bring_up(self, processes: Iterable[Process]) -> None:
        group = list(processes)
        for process in group:
            task = asyncio.create_task(process.run(), name=process.part.name)
            task.add_done_callback(self._on_end)
            self._tasks.append(task)
        await asyncio.gather(*(process.first_ready for process in group))

    async def _seed(self) -> None:
        """Make the demo data, once for each data folder."""
        log = self._home.logs / "seed.log"
        with log.open("wb") as output:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "dev.seed"),
                env={**inherited(), **self._auth_env(), "PUBLIC_URL": self._settings.url},
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._guard.watch(child.pid)
        try:
            async with asyncio.timeout(SEED_SECONDS):
                code = await child.wait()
        except TimeoutError:
            raise StartError("demo data", f"not made within {SEED_SECONDS:.0f} s", log) from None
        finally:
            send(child.pid, signal.SIGKILL)
            self._guard.forget(child.pid)
        if code != 0:
            raise StartError("demo data", f"could not be made (exit code {code})", log)
        self._home.seeded.touch()
        self._report.say("demo data made")

    def _auth_env(self) -> dict[str, str]:
        """What commands on accounts need: the demo accounts are confirmed by one."""
        return next(dict(part.env) for part in self._parts if part.name == "auth-worker")

    async def _shut_down(self) -> None:
        """Stop tier by tier; none may take the time that the tiers after it need."""
        self._set_phase("stopping")
        self._report.say("stopping")
        deadline = time.monotonic() + STOP_SECONDS
        for tier in sorted(Tier, reverse=True):
            kept = sum(RESERVE_SECONDS[later] for later in Tier if later < tier)
            group = [process for process in self._processes if process.part.tier == tier]
            await self._stop(group, deadline - kept - time.monotonic())
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._guard.dismiss()
        self._report.say("stopped")

    async def _stop(self, group: list[Process], seconds: float) -> None:
        names = {process.part.name for process in group}
        running = [task for task in self._tasks if task.get_name() in names]
        for process in group:
            process.ask_to_stop()
        if not running:
            return
        await asyncio.wait(running, timeout=max(seconds, 0))
        for process in group:
            if process.pid:
                self._report.say(f"{process.part.name} did not stop in time and is killed")
                process.kill()

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_SECONDS)
            for process in self._processes:
                bound(process.log)

    def _tell(self, process: Process, news: str) -> None:
        self._write()
        if self._phase != "stopping":
            self._report.changed(process, news)

    def _set_phase(self, phase: str) -> None:
        self._phase = phase
        self._write()

    def _write(self) -> None:
        try:
            self._home.write_run(self._run())
        except OSError as error:  # A full disk must not end the parts that still work.
            self._report.warn(f"run.json can't be written: {error}")

    def _run(self) -> Run:
        return Run(
            phase=self._phase,
            url=self._settings.url,
            pid=os.getpid(),
            started=self._started,
            guard=self._guard.pid,
            ports=dict(self._plan.ports),
            parts={process.part.name: _part_state(process) for process in self._processes},
        )


def _part_state(process: Process) -> PartState:
    part = process.part
    scheme = {"nats": "nats", "redis": "redis", "mongo": "mongodb", "mongod": "mongodb"}
    check = part.check
    return PartState(
        pid=process.pid,
        started=process.started,
        state=process.state,
        restarts=process.restarts,
        port=part.port,
        url=f"{scheme.get(check.kind, 'http')}://127.0.0.1:{part.port}",
        log=str(process.log),
        check={"kind": check.kind, "port": check.port, "path": check.path},
        env=dict(part.env),
    )
