"""The table of `make status`."""

import asyncio
import time
from collections.abc import Iterable
from typing import cast

import psutil

from dev.stack.probes import Check, Kind, probe
from dev.stack.state import CheckState, Home, PartState, Run

SAMPLE_SECONDS = 0.5
_ROW = "{:18} {:>7} {:>6} {:>8} {:>6} {:>9} {:>8}  {}"
_HEAD = ("part", "pid", "port", "memory", "cpu", "up", "restarts", "health")


def health(check: CheckState) -> str:
    """Ask a part of run.json; an empty text means healthy."""
    return asyncio.run(_health_of([check]))[0]


async def _health_of(checks: Iterable[CheckState]) -> list[str]:
    asked = (Check(cast(Kind, c["kind"]), c["port"], c["path"]) for c in checks)
    return await asyncio.gather(*(probe(check) for check in asked))


def show(home: Home) -> int:
    """Print the table; 0 if everything is healthy, 1 if not or if nothing runs."""
    run = home.run() if home.is_running() else None
    if run is None:
        print(f"no stack is running on {home.path}")
        return 1
    reasons = asyncio.run(_health_of(part["check"] for part in run["parts"].values()))
    trees = _trees(run)
    loads = _loads(trees)
    print(f"{run['url']}  {run['phase']}  data in {home.path}\n")
    print(_ROW.format(*_HEAD))
    print(_row("supervisor", run["pid"], 0, run["started"], 0, "ok", trees, loads))
    for (name, part), reason in zip(run["parts"].items(), reasons, strict=True):
        print(_part_row(name, part, reason, trees, loads))
    total = sum(_memory(process) for tree in trees.values() for process in tree)
    print(f"\n{len(trees)} parts, {_megabytes(total)} MB, {sum(loads.values()):.1f} % of a core")
    return 0 if run["phase"] == "ready" and not any(reasons) else 1


Trees = dict[int, list[psutil.Process]]


def _trees(run: Run) -> Trees:
    """Each part's process with its children; the guard counts with the supervisor."""
    trees: Trees = {run["pid"]: _existing([run["pid"], run["guard"]])}
    for part in run["parts"].values():
        if part["pid"]:
            trees[part["pid"]] = _with_children(part["pid"])
    return trees


def _existing(pids: Iterable[int]) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


def _with_children(pid: int) -> list[psutil.Process]:
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _loads(trees: Trees) -> dict[int, float]:
    """Percent of a core of each tree, over a moment."""
    before = {pid: sum(map(_cpu_seconds, tree)) for pid, tree in trees.items()}
    begun = time.monotonic()
    time.sleep(SAMPLE_SECONDS)
    elapsed = time.monotonic() - begun
    return {
        pid: max(0.0, sum(map(_cpu_seconds, tree)) - before[pid]) / elapsed * 100
        for pid, tree in trees.items()
    }


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
        return times.user + times.system
    except psutil.Error:
        return 0.0


def _memory(process: psutil.Process) -> int:
    """Bytes, with shared pages counted once over all processes where the system tells."""
    try:
        full = process.memory_full_info()
        return cast(int, getattr(full, "pss", full.rss))
    except psutil.AccessDenied:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def _part_row(
    name: str, part: PartState, reason: str, trees: Trees, loads: dict[int, float]
) -> str:
    verdict = f"{part['state']}: {reason}" if reason else "ok"
    numbers = (part["pid"], part["port"], part["started"], part["restarts"])
    return _row(name, *numbers, verdict, trees, loads)


def _row(
    name: str,
    pid: int,
    port: int,
    started: float,
    restarts: int,
    verdict: str,
    trees: Trees,
    loads: dict[int, float],
) -> str:
    memory = _megabytes(sum(map(_memory, trees.get(pid, []))))
    up = _duration(time.time() - started) if pid else "-"
    load = f"{loads.get(pid, 0.0):.1f} %"
    return _ROW.format(
        name, pid or "-", port or "-", f"{memory} MB", load, up, restarts, verdict
    ).rstrip()


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.0f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
